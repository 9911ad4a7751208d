"""Texts with several labels: a set made of pairs of texts of other classes, trained on, converted and measured.

    python benchmarks/several_labels.py ../shared/data/clinc150 --presets edgedistil_small_en

Two thirds of the texts are pairs of texts of different classes, joined by " and " or by ". ", and have both labels; the
others have one. Training texts come from train.csv, validation texts, which choose the epoch and the thresholds, from
validation.csv, and test texts from test.csv. Each part has as many texts as its file has rows. The preset directory is
converted with its own thresholds, and the file's label sets are compared with Keras'. A student that is in --work
already is measured again, with thresholds that are fitted anew. A scheme may have exceptions for layers, such as
int8,logits=fp32.

The last column is the mean of the share of equal sets over thresholds that are moved by -0.3 to 0.3, as logits. The
share at the thresholds themselves is about ten texts in 4,500 more or less by chance.

With --shared-texts, nothing is converted: the thresholds of the students in --work are fitted on a half of the
validation texts, and micro-F1 is measured on the other half, for numbers of texts that labels share.

Results are appended to --work/results.jsonl, and what is there is not measured again. Figures of another version of the
code go with `rm`.
"""

import argparse
import itertools
import json
import platform
import random
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil.data import LabelledTexts, MultiLabelTexts, MultiLabelTrainingData, read_labelled_texts
from edgedistil.set_scores import SetEvaluation, evaluate_label_sets
from edgedistil.training.settings import FINE_TUNING, multi_label_settings

Floats = NDArray[np.float32]

PARTS = ("train", "validation", "test")
JOINED_BY = (" and ", ". ")
SHARE_OF_PAIRS = 2 / 3


def joined(data: LabelledTexts, seed: int) -> MultiLabelTexts:
    """As many texts as there are: every text once, two thirds of them with a text of another class after it."""
    generator = random.Random(seed)
    texts, sets = [], []
    for row in generator.sample(range(len(data)), len(data)):
        text, label = data.texts[row], data.labels[row]
        if generator.random() >= SHARE_OF_PAIRS:
            texts.append(text)
            sets.append((label,))
            continue
        other = generator.randrange(len(data))
        while data.labels[other] == label:
            other = generator.randrange(len(data))
        texts.append(generator.choice(JOINED_BY).join([text, data.texts[other]]))
        sets.append((label, data.labels[other]))
    return MultiLabelTexts(tuple(texts), tuple(sets))


def make_data(folder: Path) -> MultiLabelTrainingData:
    """The three parts; their draws are always the same."""
    return MultiLabelTrainingData(
        *(joined(read_labelled_texts(folder / f"{part}.csv"), seed) for seed, part in enumerate(PARTS))
    )


def train_preset(preset: str, data: MultiLabelTrainingData, seed: int, directory: Path, epochs: int | None) -> int:
    """Trains with the default settings, and writes the preset directory; returns the best epoch."""
    from dataclasses import replace

    from edgedistil.training.loop import train
    from edgedistil.training.record import write_training
    from edgedistil.training.start import from_preset

    settings = replace(multi_label_settings(FINE_TUNING), seed=seed, epochs=epochs or FINE_TUNING.epochs)
    result = train(from_preset(preset, data, settings), data, settings)
    for epoch in result.history:
        print(json.dumps(epoch), file=sys.stderr, flush=True)
    write_training(result, data, directory, origin={"preset": preset}, force=True)
    return result.best_epoch


def fit_again(data: MultiLabelTrainingData, directory: Path) -> int:
    """Fits the thresholds of a student that was trained before, and writes them; returns its best epoch."""
    from edgedistil.presets.loading import load_labelled_classifier
    from edgedistil.presets.thresholds import write_thresholds
    from edgedistil.training.keras_outputs import predict_probabilities
    from edgedistil.training.targets import label_sets
    from edgedistil.training.thresholds import fit_thresholds

    assert data.validation is not None
    trained = load_labelled_classifier(directory)
    probabilities = predict_probabilities(trained.classifier, data.validation.texts)
    write_thresholds(
        directory, trained.labels, fit_thresholds(probabilities, label_sets(data.validation, trained.labels))
    )
    return int(json.loads((directory / "training.json").read_text("utf-8"))["best_epoch"])


def compare_shared_texts(data: MultiLabelTrainingData, directory: Path, numbers: Sequence[int]) -> dict[int, float]:
    """Number of shared texts -> micro-F1 of thresholds on other validation texts, the mean of four divisions."""
    from edgedistil.presets.loading import load_labelled_classifier
    from edgedistil.set_scores import score_label_sets
    from edgedistil.training.keras_outputs import predict_probabilities
    from edgedistil.training.targets import label_sets
    from edgedistil.training.thresholds import fit_thresholds

    assert data.validation is not None
    trained = load_labelled_classifier(directory)
    probabilities = predict_probabilities(trained.classifier, data.validation.texts)
    targets = label_sets(data.validation, trained.labels)
    found: dict[int, list[float]] = {number: [] for number in numbers}
    for seed in range(4):
        halves = np.array_split(np.random.default_rng(seed).permutation(len(targets)), 2)
        for (fitted, other), number in itertools.product((halves, halves[::-1]), numbers):
            thresholds = fit_thresholds(probabilities[fitted], targets[fitted], shared_texts=number)
            found[number].append(score_label_sets(probabilities[other], targets[other], thresholds)["micro_f1"])
    return {number: float(np.mean(values)) for number, values in found.items()}


def same_nearby(keras: Floats, file: Floats, thresholds: Sequence[float]) -> float:
    """Mean share of equal sets over moved thresholds; probabilities are [texts, labels]."""
    limits = np.asarray(thresholds)
    logits = np.log(limits) - np.log1p(-limits)
    moved = 1 / (1 + np.exp(-(logits + np.linspace(-0.3, 0.3, 13)[:, None])))
    return float(np.mean([((keras >= one) == (file >= one)).all(axis=1).mean() for one in moved]))


def plan_of(text: str) -> Any:
    """A plan as `int8,logits=fp32`."""
    from edgedistil_converters import QuantizationPlan
    from edgedistil_converters.quantization.plan import LayerScheme

    scheme, *layers = text.split(",")
    return QuantizationPlan(scheme, tuple(LayerScheme(*layer.split("=")) for layer in layers))


def measure(preset: str, data: MultiLabelTrainingData, seed: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each scheme."""
    from edgedistil.conversion import ConversionRequest, convert_preset
    from edgedistil.presets.loading import load_labelled_classifier
    from edgedistil.training.keras_outputs import predict_probabilities
    from edgedistil_runtime import TextClassifier
    from edgedistil_runtime.decision import Decision

    directory = options.work / f"{preset}_{seed}"
    started = time.process_time()
    is_there = (directory / "training.json").is_file()
    best_epoch = fit_again(data, directory) if is_there else train_preset(preset, data, seed, directory, options.epochs)
    seconds = None if is_there else round(time.process_time() - started)
    assert data.test is not None
    trained = load_labelled_classifier(directory)
    decision = Decision(trained.thresholds)
    expected = predict_probabilities(trained.classifier, data.test.texts)
    keras = [tuple(trained.labels[number] for number in decision.chosen(row)) for row in expected.tolist()]
    rows = []
    for scheme in options.schemes:
        plan = plan_of(scheme)
        path = options.work / f"{preset}_{seed}_{options.schemes.index(scheme)}.tflite"
        convert_preset(
            ConversionRequest(
                str(directory), path, plan, calibration_texts=data.training.texts if plan.needs else (), force=True
            )
        )
        with TextClassifier(path, num_threads=1) as model:
            answers = model.classify_batch(data.test.texts)
        file = [answer.labels or () for answer in answers]
        given = np.array([list(answer.probabilities.values()) for answer in answers], "float32")
        scores = {"keras": facts(data.test, keras, trained.labels), "file": facts(data.test, file, trained.labels)}
        same = sum(set(one) == set(other) for one, other in zip(keras, file, strict=True)) / len(keras)
        nearby = same_nearby(expected, given, trained.thresholds)
        costs = {"bytes": path.stat().st_size, "best_epoch": best_epoch, "processor_seconds": seconds}
        shares = {"same_sets": same, "same_nearby": nearby}
        rows.append({"preset": preset, "seed": seed, "scheme": scheme, **scores, **shares, **costs})
    return rows


def facts(data: MultiLabelTexts, given: Sequence[Sequence[str]], labels: Sequence[str]) -> dict[str, float]:
    """Micro-F1, macro-F1 and the share of texts with exactly the right labels."""
    found: SetEvaluation = evaluate_label_sets(data.label_sets, given, labels)
    return {name: getattr(found, name) for name in ("micro_f1", "macro_f1", "subset_accuracy")}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown, in percent."""
    lines = [
        "| preset | seed | scheme | MB | micro-F1, Keras | micro-F1, file | macro-F1, file | right sets, file "
        "| sets as Keras' | at moved thresholds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        shares = [row["keras"]["micro_f1"], *row["file"].values(), row["same_sets"], row["same_nearby"]]
        cells = [f"`{row['preset']}`", str(row["seed"]), f"`{row['scheme']}`", f"{row['bytes'] / 1e6:.1f}"]
        lines.append(f"| {' | '.join([*cells, *(f'{100 * share:.2f}' for share in shares)])} |")
    return "\n".join(lines)


def replace_part(page: Path, name: str, text: str) -> None:
    """Replaces the part of a Markdown file between the marks of a name."""
    before, _, rest = page.read_text("utf-8").partition(f"<!-- {name} -->\n")
    after = rest.partition(f"<!-- end of {name} -->")[2]
    page.write_text(f"{before}<!-- {name} -->\n{text}\n<!-- end of {name} -->{after}", "utf-8")


def main() -> None:
    """Measures the presets and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with train.csv, validation.csv and test.csv")
    parser.add_argument("--presets", nargs="+", default=["edgedistil_small_en"])
    parser.add_argument("--schemes", nargs="+", default=["int8"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, help="epochs instead of the default")
    parser.add_argument("--work", type=Path, default=Path("build/several_labels"), help="folder for results")
    parser.add_argument("--table", type=Path, help="a Markdown file whose part between the two marks is replaced")
    parser.add_argument("--shared-texts", nargs="+", type=int, help="compare numbers of texts that labels share")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    results = options.work / "results.jsonl"
    rows = [json.loads(line) for line in results.read_text("utf-8").splitlines()] if results.is_file() else []
    data = make_data(options.data)
    if options.shared_texts:
        for seed, preset in itertools.product(options.seeds, options.presets):
            scores = compare_shared_texts(data, options.work / f"{preset}_{seed}", options.shared_texts)
            print(preset, seed, json.dumps(scores))
        return
    for seed in options.seeds:
        for preset in options.presets:
            if any((row["preset"], row["seed"]) == (preset, seed) for row in rows):
                continue
            for row in measure(preset, data, seed, options):
                rows.append(row)
                with results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), file=sys.stderr, flush=True)
    text = f"{table(rows)}\n\n{options.data.name}; {platform.machine()}; the file on one thread; in percent."
    if options.table:
        replace_part(options.table, "several labels", text)
    print(text)


if __name__ == "__main__":
    main()
