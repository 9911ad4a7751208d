"""Distillation: small students as int8 files, with and without each thing that they learn from.

    python benchmarks/distillation.py ../shared/data/banking77 --corpus ../shared/corpus --seeds 0 1 2 --on test

For each data set and seed: the teacher (`all_minilm_l6_v2_en`, fine-tuned, or found in --teachers, where
`benchmarks/fine_tuning.py --save` keeps presets), and two students of it, with these arms:

- `full`: starts from the general encoder, learns the teacher's answers to the training texts, to --augment new texts
  for each of them, and to --unlabelled texts of the corpus; with --per-class, to the other training texts instead;
- `no teacher`: fine-tunes the general encoder on the labels only;
- `no general start`: the same texts and answers, from scratch;
- `no augmentation`, `no unlabelled texts`: without these texts;
- `convolutional`: the same texts and answers, and a network of constant weights only, measured in Keras.

Files are pruned to the pieces of the texts that the student has seen and of --sentences of the corpus, or have all with
--whole-vocabulary. Accuracies are of the Keras model and of the file through the runtime. *times faster* compares the
student's file with its teacher's int8 file: a text after another one, and the *same text* again.
Results are appended to --work/results.jsonl, and what is there is not measured again. With --keep, students are kept,
and another --work measures their files again without training them.
"""

import argparse
import hashlib
import json
import random
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from fine_tuning import accuracy, read_parts, replace_part

from edgedistil.data import LabelledTexts, TrainingData, read_labelled_texts
from edgedistil.sizes import SIZES
from edgedistil.training.settings import FINE_TUNING, TrainingSettings, from_scratch_settings

MINILM = "all_minilm_l6_v2_en"
STUDENTS = {"4 x 256": ("edgedistil_small_en", "mini"), "2 x 128": ("edgedistil_tiny_en", "tiny")}
ARMS = ("full", "no teacher", "no general start", "no augmentation", "no unlabelled texts", "convolutional")
FROM_SCRATCH_ARMS = ("no general start", "convolutional")
LOSSES = ("vector_loss", "hidden_loss")
SETTINGS = ("epochs", "learning_rate", "temperature", "teacher_share", "distillation_loss", *LOSSES)
FILE = ("file", "layers", "pieces")
TIMED_TEXTS, TIMED_BLOCK, TIMED_ROUNDS = 200, 50, 4


def chosen(options: argparse.Namespace) -> dict[str, Any]:
    """Settings that the command line changes, for the arms that start from a general encoder."""
    return {name: getattr(options, name) for name in SETTINGS}


def settings_of(arm: str, options: argparse.Namespace, seed: int, size: str) -> TrainingSettings:
    """Settings of an arm's training."""
    if arm in FROM_SCRATCH_ARMS:
        scratch = replace(from_scratch_settings(SIZES[size].hidden_dim), seed=seed)
        return replace(scratch, epochs=options.scratch_epochs or scratch.epochs)
    return replace(
        FINE_TUNING, seed=seed, **{name: value for name, value in chosen(options).items() if value is not None}
    )


def other_texts(folder: Path, data: TrainingData, measured: LabelledTexts, options: argparse.Namespace) -> list[str]:
    """Texts without labels: the other training texts if there are only some of each class, else some of the corpus."""
    if options.per_class is not None:
        known = {*data.training.texts, *measured.texts}
        return [text for text in read_labelled_texts(folder / "train.csv").texts if text not in known]
    return sentences(options.corpus, options.unlabelled)


def sentences(corpus: Path | None, count: int) -> list[str]:
    """Sentences of a corpus, the same ones at every call."""
    if not count or corpus is None:
        return []
    texts = [line for path in sorted(corpus.glob("*.txt")) for line in path.read_text("utf-8").splitlines()]
    return random.Random(0).sample(texts, count)


def find_teacher(folder: Path, data: TrainingData, options: argparse.Namespace, seed: int) -> Path:
    """Directory of the fine-tuned teacher, which is trained unless it is there."""
    name = f"{folder.name}_{options.per_class or 'all'}_default_{seed}"
    for parent in (*options.teachers, options.work):
        if (parent / name).is_dir():
            return Path(parent / name)
    from edgedistil.training.loop import train
    from edgedistil.training.record import write_training
    from edgedistil.training.start import from_preset

    settings = replace(FINE_TUNING, seed=seed)
    result = train(from_preset(MINILM, data, settings), data, settings)
    write_training(result, data, options.work / name, origin={"preset": MINILM})
    return Path(options.work / name)


def kept_student(key: Mapping[str, Any], options: argparse.Namespace) -> Path:
    """Directory of the preset of a row's student."""
    if options.keep is None:
        return Path(options.work / "student")
    known = {name: value for name, value in key.items() if name != "hidden_loss" or value is not None}
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:8]
    words = (key["data"], key["student"], key["arm"], str(key["seed"]), digest)
    return Path(options.keep / "_".join(words).replace(" ", "-"))


def measure(folder: Path, student: str, arm: str, options: argparse.Namespace, seed: int, kept: Path) -> dict[str, Any]:
    """One row: an arm of a student, trained with one seed."""
    from edgedistil.distillation.answer_cache import AnswerCache
    from edgedistil.distillation.augmentation import augment
    from edgedistil.distillation.soft_targets import ask_teacher
    from edgedistil.distillation.teacher import Teacher

    preset, size = STUDENTS[student]
    data, measured = read_parts(folder, options.on, options.per_class, seed)
    settings = settings_of(arm, options, seed, size)
    teacher, soft = find_teacher(folder, data, options, seed), None
    unlabelled = [] if arm == "no unlabelled texts" else other_texts(folder, data, measured, options)
    unlabelled = [text for text in unlabelled if text not in set(measured.texts)]
    augmented = 0 if arm == "no augmentation" else options.augment
    row_file = kept.with_name(f"{kept.name}.json")
    is_kept = options.keep is not None and row_file.is_file()
    if arm != "no teacher" and not is_kept:
        answers = ask_teacher(
            Teacher.load(teacher),
            data,
            unlabelled=unlabelled,
            has_vectors=bool(options.vector_loss),
            hidden_layers=int(student[0]) if options.hidden_loss else 0,
            augmented_per_text=augmented,
            seed=seed,
            cache=AnswerCache(options.work / "answers"),
        )
        soft = answers.soft_targets
    started = time.process_time()
    if arm == "convolutional":
        given = train_convolutional(preset, data, settings, soft, measured)
        right = accuracy([data.labels[index] for index in given], measured.labels)
        return {"accuracy": right, "processor_seconds": round(time.process_time() - started)}
    if not is_kept:
        row = train_student(preset, size, arm, data, measured, settings, soft, kept)
        row_file.write_text(json.dumps(row), "utf-8")
    row = dict(json.loads(row_file.read_text("utf-8")))
    if options.file:
        new = [] if arm == "no teacher" else augment(data.training, augmented, seed=seed, known=set(measured.texts))
        seen = (*data.training.texts, *unlabelled, *new)
        row |= ask_file(kept, teacher, data, seen, measured, options)
    return row


def train_student(
    preset: str,
    size: str,
    arm: str,
    data: TrainingData,
    measured: LabelledTexts,
    settings: TrainingSettings,
    soft: Any,
    kept: Path,
) -> dict[str, Any]:
    """Trains a student that can be converted, writes its preset and measures it in Keras."""
    from edgedistil.training.keras_outputs import predict_probabilities
    from edgedistil.training.loop import train
    from edgedistil.training.record import write_training
    from edgedistil.training.start import from_preset, from_scratch

    started = time.process_time()
    if arm == "no general start":
        classifier = from_scratch(size, data, settings, more_texts=soft.more_texts)
    else:
        classifier = from_preset(preset, data, settings, soft_targets=soft)
    result = train(classifier, data, settings, soft_targets=soft)
    seconds = time.process_time() - started
    keras = predict_probabilities(classifier, measured.texts).argmax(axis=1)
    write_training(result, data, kept, origin={"preset": preset}, force=True)
    return {
        "accuracy": accuracy([data.labels[index] for index in keras], measured.labels),
        "processor_seconds": round(seconds),
        "texts": len(data.training) + (len(soft.more_texts) if soft else 0),
        "best_epoch": result.best_epoch,
        "history": [round(epoch["val_accuracy"], 4) for epoch in result.history if "val_accuracy" in epoch],
    }


def ask_file(
    student: Path,
    teacher: Path,
    data: TrainingData,
    seen: Sequence[str],
    measured: LabelledTexts,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Accuracy, size and speed of a student's file, beside its teacher's file."""
    from edgedistil.conversion import ConversionRequest, convert_preset
    from edgedistil_converters import QuantizationPlan
    from edgedistil_converters.quantization.plan import LayerScheme
    from edgedistil_runtime import TextClassifier

    path = options.work / "student.tflite"
    request = ConversionRequest(
        str(student),
        path,
        QuantizationPlan(options.file, layers=tuple(LayerScheme(*layer.split("=")) for layer in options.layer)),
        training=data.training if options.file in ("int8-qat", "int8-static", "int4") else None,
        pruning_texts=() if options.whole_vocabulary else (*seen, *sentences(options.corpus, options.sentences)),
        keep_failed=True,
        force=True,
    )
    convert_preset(request)
    of_teacher = options.work / f"{teacher.name}.tflite"
    if not of_teacher.is_file():
        convert_preset(ConversionRequest(str(teacher), of_teacher, QuantizationPlan("int8"), keep_failed=True))
    with TextClassifier(path, num_threads=1) as model, TextClassifier(of_teacher, num_threads=1) as large:
        given = [model.classify(text).label for text in measured.texts]
        row = {"file_accuracy": accuracy(given, measured.labels), "bytes": path.stat().st_size}
        if not options.without_speed:
            new, again = compare_speed(model, large, measured.texts[:TIMED_TEXTS])
            row |= {"times_faster": round(new, 2), "times_faster_again": round(again, 2)}
    return row


def compare_speed(student: Any, teacher: Any, texts: Sequence[str]) -> tuple[float, float]:
    """Measures how many times faster a student is, for a text after another one and for the same text again.

    The models take turns, each with a block of texts, so that each has the processor's caches as if it ran by itself.
    The ratio is that of a block's medians, and of these the median over all blocks, because a shared machine is slower
    at some times than at others.
    """
    ratios: dict[bool, list[float]] = {False: [], True: []}
    for first in [*range(0, len(texts), TIMED_BLOCK)] * TIMED_ROUNDS:
        block = texts[first : first + TIMED_BLOCK]
        slow, fast = (time_block(model, block) for model in (teacher, student))
        for is_again, found in ratios.items():
            found.append(slow[is_again] / fast[is_again])
    return statistics.median(ratios[False]), statistics.median(ratios[True])


def time_block(model: Any, texts: Sequence[str]) -> dict[bool, float]:
    """Median seconds of a text after another one, and of the same text again."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for text in texts:
        for found in seconds.values():
            started = time.perf_counter()
            model.classify(text)
            found.append(time.perf_counter() - started)
    return {is_again: statistics.median(found) for is_again, found in seconds.items()}


def train_convolutional(
    preset: str, data: TrainingData, settings: TrainingSettings, soft: Any, measured: LabelledTexts
) -> Any:
    """Trains a network of an embedding, two convolutions and a maximum over time; returns its classes."""
    import keras

    from edgedistil.presets.loading import load_classifier
    from edgedistil.training.batches import evaluation_batches, tokenize, training_batches
    from edgedistil.training.objective import make_objective, texts_to_fit

    keras.utils.set_random_seed(settings.seed)
    preprocessor = load_classifier(preset, num_classes=len(data.labels), sequence_length=64).preprocessor
    texts = texts_to_fit(data, soft)
    tokenized, asked = (tokenize(preprocessor, part) for part in (texts, measured.texts))
    width = 2 * load_width(preset)
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in ("token_ids", "padding_mask")}
    x = keras.layers.Embedding(preprocessor.tokenizer.vocabulary_size(), width)(inputs["token_ids"])
    x = keras.layers.SpatialDropout1D(0.1)(x)
    for kernel in (3, 5):
        x = keras.layers.Conv1D(width, kernel, padding="same", activation="relu")(x)
    x = keras.layers.Dropout(0.3)(keras.layers.GlobalMaxPooling1D()(x))
    model = keras.Model(inputs, keras.layers.Dense(len(data.labels))(x))
    objective = make_objective(data, np.arange(len(texts)), settings, soft)
    model.compile(optimizer=keras.optimizers.AdamW(1e-3), loss=objective.loss, metrics=[objective.accuracy])
    batches = training_batches(tokenized, objective.targets, batch_size=64, seed=settings.seed)
    model.fit(batches, epochs=settings.epochs, verbose=0)
    given = np.zeros(len(asked), np.int64)
    for rows, batch in evaluation_batches(asked, batch_size=256):
        given[rows] = np.asarray(model(batch)).argmax(axis=1)
    return given


def load_width(preset: str) -> int:
    """Width of a preset's hidden states."""
    from edgedistil.presets.loading import load_classifier

    return int(load_classifier(preset, num_classes=2).backbone.hidden_dim)


COLUMNS = {
    "data": "data",
    "texts a class": "per_class",
    "on": "on",
    "student": "student",
    "arm": "arm",
    "new": "augment",
    "corpus": "unlabelled",
    "rate": "learning_rate",
    "loss": "distillation_loss",
    **{
        name.replace("_", " "): name
        for name in ("epochs", "temperature", "teacher_share", *LOSSES, "scratch_epochs", *FILE)
    },
}
MEANS = {
    "Keras": ("accuracy", 100),
    "file, %": ("file_accuracy", 100),
    "MB": ("bytes", 1e-6),
    "times faster": ("times_faster", 1),
    "same text": ("times_faster_again", 1),
    "processor min": ("processor_seconds", 1 / 60),
}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: means over seeds. A setting that no row changes has no column."""
    named = {title: name for title, name in COLUMNS.items() if any(row.get(name) is not None for row in rows)}
    means = {title: value for title, value in MEANS.items() if any(value[0] in row for row in rows)}
    lines = [f"| {' | '.join([*named, 'seeds', *means])} |", "|---" * (len(named) + len(means) + 1) + "|"]
    for key in dict.fromkeys(tuple(row.get(name) for name in named.values()) for row in rows):
        found = [row for row in rows if tuple(row.get(name) for name in named.values()) == key]
        cells = ["default" if value is None else str(value) for value in key]
        cells.append(", ".join(str(row["seed"]) for row in found))
        for name, scale in means.values():
            values = [row[name] for row in found if name in row]
            cells.append(f"{scale * statistics.mean(values):.2f}" if values else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measures the students and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", type=Path, help="folders with train.csv, test.csv, perhaps validation.csv")
    parser.add_argument("--students", nargs="+", default=list(STUDENTS), choices=list(STUDENTS))
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--per-class", type=int, help="texts of every class to train on (default: all)")
    parser.add_argument("--on", choices=["validation", "test"], default="validation")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--corpus", type=Path, help="folder of .txt files with a text in each line")
    parser.add_argument("--unlabelled", type=int, default=10_000, help="texts of the corpus")
    parser.add_argument("--augment", type=int, default=4, help="new texts for each training text")
    parser.add_argument("--epochs", type=int, help="of the arms that start from a general encoder")
    parser.add_argument("--scratch-epochs", type=int, help="of the arms that start from scratch")
    parser.add_argument("--learning-rate", type=float, help="of the arms that start from a general encoder")
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--teacher-share", type=float)
    parser.add_argument("--distillation-loss", choices=["kl", "mse"])
    parser.add_argument("--vector-loss", type=float)
    parser.add_argument("--hidden-loss", type=float)
    parser.add_argument("--file", default="int8", help="scheme of the file, or nothing for Keras only")
    parser.add_argument("--layer", nargs="*", default=[], help="layers with another scheme, PATTERN=SCHEME")
    parser.add_argument("--sentences", type=int, default=0, help="texts of the corpus whose pieces stay in the file")
    parser.add_argument("--whole-vocabulary", action="store_true", help="files with all pieces of the student")
    parser.add_argument("--without-speed", action="store_true", help="on a machine that is busy with other work")
    parser.add_argument("--teachers", nargs="*", type=Path, default=[], help="folders of fine-tuned teachers")
    parser.add_argument(
        "--keep", type=Path, help="folder of trained students; those that are there are not trained again"
    )
    parser.add_argument("--work", type=Path, default=Path("build/distillation"), help="folder for results")
    parser.add_argument("--table", type=Path, help="a Markdown file whose part between the two marks is replaced")
    parser.add_argument("--mark", default="students", help="name of the marks")
    options = parser.parse_args()
    for made in filter(None, (options.work, options.keep)):
        made.mkdir(parents=True, exist_ok=True)
    results = options.work / "results.jsonl"
    rows = [json.loads(line) for line in results.read_text("utf-8").splitlines()] if results.is_file() else []
    changes = {"augment": options.augment, "unlabelled": options.unlabelled, **chosen(options)}
    for seed in options.seeds:
        for folder in options.data:
            for student in options.students:
                for arm in options.arms:
                    key = {"data": folder.name, "per_class": options.per_class, "on": options.on, "student": student}
                    key |= {"arm": arm, "seed": seed, **changes}
                    if arm in FROM_SCRATCH_ARMS:
                        key["scratch_epochs"] = options.scratch_epochs
                    named = {**key, "file": None if arm == "convolutional" else options.file or None}
                    named["layers"] = ", ".join(options.layer) or None
                    named["pieces"] = "all" if options.whole_vocabulary else None
                    if options.sentences:
                        named["pieces"] = f"and of {options.sentences:,} sentences"
                    if any(all(row.get(name) == value for name, value in named.items()) for row in rows):
                        continue
                    row = {**named, **measure(folder, student, arm, options, seed, kept_student(key, options))}
                    rows.append(row)
                    with results.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
                    print(json.dumps(row), file=sys.stderr, flush=True)
    if options.table:
        replace_part(options.table, options.mark, table(rows))
    print(table(rows))


if __name__ == "__main__":
    main()
