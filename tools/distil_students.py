"""Distils all-MiniLM-L6-v2 into the two English encoders of `edgedistil/presets/`, of 4 x 256 and of 2 x 128.

    python tools/distil_students.py ../shared/corpus -o build/students --minutes 45 --bfloat16 [--threads 2]
    python tools/distil_students.py ../shared/corpus -o build/students --texts 2000 --epochs 2

The corpus is a folder of sentences-*.txt (a text a line), index.tsv (file, first line, last line, source), SOURCES.md
and LICENSES.md. Share-alike sources (CC BY-SA) are left out without --share-alike, because it is an open question if
weights are an adaptation of texts. A preset contains weights, word pieces and the attribution, and no text.

Every source gives texts in proportion to the square root of its size, so that fiction does not decide. The first 2,048
texts are held out. The teacher's vectors are computed once and kept in chunks, float16. Each student starts from the
teacher (`distillation.students`) and is trained on its vectors (`distillation.sentence_training`). With --minutes, the
teacher and the students each have a share of the time, and the learning rate falls with the time that is used up. After
a break, the same command goes on after the last chunk of the teacher, or after the last state of a student (every two
minutes).

Prints a line for each chunk, then one JSON object: scores on the held-out texts of each float32 student and of the int8
preset that was written.
"""

import argparse
import json
import math
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from edgedistil.distillation.sentence_training import (
    SentenceTrainer,
    TeacherVectors,
    sentence_vectors,
    similarity_scores,
)
from edgedistil.distillation.students import principal_directions, student_basis, student_from
from edgedistil.distillation.token_network import AllPositions, Bfloat16Positions, TokenNetwork, mean_over_tokens
from edgedistil.distillation.words import continuation_pieces, mean_by_word, word_numbers
from edgedistil.presets.int8_encoder import write_encoder
from edgedistil.presets.loading import load_classifier
from edgedistil.sizes import BackboneSize
from edgedistil.training.batches import evaluation_batches, tokenize
from edgedistil_converters.files import atomic_path
from edgedistil_converters.preparation.pieces import texts_with_piece
from edgedistil_converters.preparation.pruning import choose_preprocessor_pieces, preprocessor_with_pieces

TEACHER = "all_minilm_l6_v2_en"
PIECES, POSITIONS, TOKENS = 10_000, 256, 64
HELD_OUT, CHUNK, SAMPLE, TEXTS_FOR_PIECES = 2048, 4096, 512, 200_000
SECONDS_BETWEEN_STATES = 120
TEACHER_SHARE = 0.24  # of the minutes; what all shares leave is for the rest
SHARE_ALIKE = "BY-SA"


@dataclass(frozen=True)
class Student:
    """A preset to make: its size, the peak of its learning rate, and its share of the minutes."""

    name: str
    size: BackboneSize
    peak: float
    share: float


STUDENTS = (
    Student("edgedistil_small_en", BackboneSize(4, 256, 8, 1024), peak=1.2e-3, share=0.55),
    Student("edgedistil_tiny_en", BackboneSize(2, 128, 4, 512), peak=2e-3, share=0.15),
)


def read_corpus(folder: Path, *, share_alike: bool, seed: int) -> tuple[list[str], list[str]]:
    """Texts in an order of which every beginning has the same mixture of sources, and the names of the sources."""
    licences = {cells[0]: cells[2] for cells in table_rows(folder / "SOURCES.md") if len(cells) > 4}
    files = {path.name: path.read_text(encoding="utf-8").split("\n") for path in sorted(folder.glob("*.txt"))}
    of_source: dict[str, list[str]] = {}
    for line in (folder / "index.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        file, first, last, source = line.split("\t")
        if share_alike or SHARE_ALIKE not in licences[source]:
            of_source.setdefault(source, []).extend(files[file][int(first) - 1 : int(last)])
    generator = np.random.default_rng(seed)
    texts = [text for source in of_source.values() for text in source]
    places = [
        (generator.permutation(len(s)) + generator.random(len(s))) / math.sqrt(len(s)) for s in of_source.values()
    ]
    return [texts[index] for index in np.argsort(np.concatenate(places), kind="stable")], list(of_source)


def table_rows(path: Path) -> Iterator[list[str]]:
    """The cells of the rows of a Markdown file's table, without its head."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    for line in lines[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def attribution(folder: Path, sources: Sequence[str], name: str) -> str:
    """What the licences of the teacher and of the corpus ask for."""
    rows = [cells for cells in table_rows(folder / "SOURCES.md") if cells[0] in sources]
    credits = list(table_rows(folder / "LICENSES.md"))
    if not any(SHARE_ALIKE in cells[2] for cells in rows):
        credits = [cells for cells in credits if SHARE_ALIKE not in cells[0]]
    return "\n".join(
        [
            f"# Attribution of {name}",
            "",
            "The encoder was distilled from sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0,",
            "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2), whose word pieces it shares, with English",
            "texts of the sources below. They were cut into sentences and filtered; none is part of the encoder. Who",
            "passes on a model that was trained from the encoder passes on this page.",
            "",
            "| licence | sources |",
            "|---|---|",
            *(f"| {cells[0]} | {cells[1]} |" for cells in credits),
            "",
            "| source | repository and commit | licence |",
            "|---|---|---|",
            *(f"| {cells[0]} | {cells[1]} | {cells[2]} |" for cells in rows),
            "",
        ]
    )


class Teacher:
    """The teacher's vectors for chunks of texts, the word pieces of the students and their directions, computed once.

    Args:
        texts: All texts in their order, the held-out ones first.
        work: Folder for what is computed.
        is_bfloat16: Compute matmuls in bfloat16.
    """

    def __init__(self, texts: Sequence[str], work: Path, *, is_bfloat16: bool = False) -> None:
        self.texts, self.work = texts, work
        self.classifier = load_classifier(TEACHER, num_classes=2, sequence_length=TOKENS)
        self.backbone, self.preprocessor = self.classifier.backbone, self.classifier.preprocessor
        self.vocabulary = self.preprocessor.tokenizer.get_vocabulary()
        self.pieces = self._once("pieces.npy", self._choose_pieces)
        self.sample = tokenize(self.preprocessor, texts[HELD_OUT : HELD_OUT + SAMPLE])
        self.directions = self._once("directions.npy", lambda: principal_directions(self.backbone, self.sample))
        self.student_preprocessor = preprocessor_with_pieces(self.preprocessor, self.pieces)
        self._is_continuation = continuation_pieces(self.vocabulary)
        network = TokenNetwork(self.backbone, Bfloat16Positions if is_bfloat16 else AllPositions)
        integers = tf.TensorSpec((None, None), tf.int32)
        self._hidden = tf.function(lambda ids, mask: network(ids, mask), input_signature=[integers, integers])

    def held_out(self) -> TeacherVectors:
        """The texts on which students are compared with the teacher."""
        return self._load("held_out.npz", self.texts[:HELD_OUT])

    def chunk(self, number: int) -> TeacherVectors:
        """A chunk of the other texts, from its file if it is there."""
        start = HELD_OUT + number * CHUNK
        return self._load(f"chunk_{number:04}.npz", self.texts[start : start + CHUNK])

    def has_chunk(self, number: int) -> bool:
        """True if the chunk was computed."""
        return (self.work / f"chunk_{number:04}.npz").exists()

    def _load(self, name: str, texts: Sequence[str]) -> TeacherVectors:
        path = self.work / name
        if not path.exists():
            self._compute(texts).save(path)
        return TeacherVectors.load(path)

    def _compute(self, texts: Sequence[str]) -> TeacherVectors:
        whole, own = tokenize(self.preprocessor, texts), tokenize(self.student_preprocessor, texts)
        numbers = word_numbers(whole, self._is_continuation)
        own_numbers = word_numbers(own, self._is_continuation[self.pieces])
        directions = self.directions[:, : STUDENTS[0].size.hidden_dim]
        sentences = np.zeros((len(texts), len(directions)), "float16")
        words: list[Any] = [None] * len(texts)
        for rows, batch in evaluation_batches(whole, batch_size=128):
            hidden = self._hidden(batch["token_ids"], batch["padding_mask"])
            means = tf.math.l2_normalize(mean_over_tokens(hidden, batch["padding_mask"]), -1)
            sentences[rows] = means.numpy()
            vectors, counts = mean_by_word(hidden.numpy(), numbers[rows, : hidden.shape[1]])
            for row, of_text in zip(rows, np.split(vectors @ directions, np.cumsum(counts)[:-1]), strict=True):
                words[row] = of_text.astype("float16")
        counts = np.array([len(of_text) for of_text in words])
        first = np.cumsum(counts) - counts
        is_there = (own_numbers >= 0) & (own_numbers < counts[:, None])  # a text may be cut after another word
        word_rows = np.where(is_there, first[:, None] + own_numbers, -1).astype("int32")
        return TeacherVectors(own, sentences, np.concatenate(words), word_rows)

    def _choose_pieces(self) -> Any:
        counts = np.zeros(len(self.vocabulary), "int64")
        for start in range(0, min(len(self.texts), TEXTS_FOR_PIECES), CHUNK):
            rows = tokenize(self.preprocessor, self.texts[start : start + CHUNK]).token_ids
            counts += texts_with_piece(rows, len(counts))
        return choose_preprocessor_pieces(self.preprocessor, counts, vocabulary_size=PIECES).kept

    def _once(self, name: str, compute: Any) -> Any:
        path = self.work / name
        if not path.exists():
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.save(file, compute())
        return np.load(path)


def compute_chunks(teacher: Teacher, options: argparse.Namespace) -> int:
    """Computes chunks until the texts or the teacher's share of the time are used up; returns their number."""
    last = -(-(len(teacher.texts) - HELD_OUT) // CHUNK)
    limit = math.inf if options.minutes is None else options.minutes * 60 * TEACHER_SHARE
    clock = teacher.work / "teacher_seconds.json"
    used = float(json.loads(clock.read_text())) if clock.exists() else 0.0
    teacher.held_out()
    number = 0
    while number < last and (teacher.has_chunk(number) or used < limit):
        if not teacher.has_chunk(number):
            started, busy = time.monotonic(), time.process_time()
            texts = len(teacher.chunk(number).texts)
            seconds, busy = time.monotonic() - started, time.process_time() - busy
            used += seconds
            clock.write_text(json.dumps(used))
            print(f"teacher chunk {number}: {texts / seconds:.0f} texts/s ({texts / busy:.0f} of a core)", flush=True)
        number += 1
    return number


def train_student(student: Student, teacher: Teacher, chunks: int, options: argparse.Namespace) -> dict[str, Any]:
    """Trains a student, or goes on with it, and writes its preset."""
    width, path = student.size.hidden_dim, teacher.work / f"{student.name}.npz"
    held_out, basis = teacher.held_out(), student_basis(teacher.directions, width)
    backbone = student_from(
        teacher.backbone,
        student.size,
        teacher.pieces,
        texts=teacher.sample,
        directions=teacher.directions,
        max_sequence_length=POSITIONS,
    )
    turn = np.linalg.pinv(teacher.directions[:, : STUDENTS[0].size.hidden_dim]) @ basis
    variance = float((held_out.words.astype("float32") @ turn).var(axis=0).sum())
    trainer = SentenceTrainer(
        backbone,
        basis=basis,
        turn=turn.astype("float32"),
        word_variance=variance,
        peak=student.peak,
        is_bfloat16=options.bfloat16,
    )
    report(student, held_out, backbone, basis, "start")
    trainer.restore(path)
    run(trainer, student, teacher, chunks, options, path)
    return finish(student, teacher, trainer, basis, options)


def run(
    trainer: SentenceTrainer,
    student: Student,
    teacher: Teacher,
    chunks: int,
    options: argparse.Namespace,
    path: Path,
) -> None:
    """Trains until the time or the epochs are used up; writes the state every two minutes and at the end."""
    texts_per_epoch = min(chunks * CHUNK, len(teacher.texts) - HELD_OUT)

    def progress(now: SentenceTrainer) -> float:
        if options.minutes is not None:
            return now.seconds / (60 * options.minutes * student.share)
        return now.texts / (texts_per_epoch * options.epochs)

    saved = trainer.seconds
    while progress(trainer) < 1:
        order = np.random.default_rng([options.seed, trainer.epoch]).permutation(chunks)
        number = int(order[trainer.chunk])
        generator = np.random.default_rng([options.seed, trainer.epoch, number])
        before, busy = trainer.texts, time.process_time()
        started = trainer.seconds
        losses = trainer.train(teacher.chunk(number), generator, progress)
        count, busy = trainer.texts - before, time.process_time() - busy
        trainer.chunk += 1
        if trainer.chunk == chunks:
            trainer.epoch, trainer.chunk = trainer.epoch + 1, 0
        shown = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
        speed = f"{count / (trainer.seconds - started):.0f} texts/s ({count / busy:.0f} of a core)"
        print(f"{student.name} {progress(trainer):.3f} epoch {trainer.epoch}: {shown}, {speed}", flush=True)
        if trainer.seconds - saved > SECONDS_BETWEEN_STATES or progress(trainer) >= 1:
            trainer.save(path)
            saved = trainer.seconds


def finish(
    student: Student, teacher: Teacher, trainer: SentenceTrainer, basis: Any, options: argparse.Namespace
) -> dict[str, Any]:
    """Writes the preset, and compares it as it is read again."""
    held_out = teacher.held_out()
    scores = {"float32": report(student, held_out, trainer.student, basis, "end")}
    texts, sources = options.corpus, options.sources
    page = attribution(texts, sources, student.name)
    teacher.student_preprocessor.sequence_length = POSITIONS
    directory = teacher.work / student.name
    shutil.rmtree(directory, ignore_errors=True)  # of an earlier call
    write_encoder(trainer.student, teacher.student_preprocessor, directory, attribution=page)
    read = load_classifier(directory, num_classes=2)
    sample = teacher.texts[:64]
    assert (
        tokenize(read.preprocessor, sample).token_ids == tokenize(teacher.student_preprocessor, sample).token_ids
    ).all()
    scores["int8"] = report(student, held_out, read.backbone, basis, "int8")
    size = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    return {**scores, "texts": trainer.texts, "seconds": round(trainer.seconds), "bytes": size}


def report(student: Student, held_out: TeacherVectors, backbone: Any, basis: Any, moment: str) -> dict[str, float]:
    """Prints and returns the scores of a student on the held-out texts."""
    scores = similarity_scores(sentence_vectors(backbone, held_out.texts), held_out.sentences, basis)
    print(f"{student.name} {moment}: {scores}", flush=True)
    return scores


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="folder of the corpus")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for chunks, states and presets")
    parser.add_argument("--minutes", type=float, help="time for everything, instead of --texts and --epochs")
    parser.add_argument("--texts", type=int, help="texts to train on, at most")
    parser.add_argument("--epochs", type=float, default=2, help="passes over them, without --minutes")
    parser.add_argument("--share-alike", action="store_true", help="with the sources under CC BY-SA")
    parser.add_argument("--only", choices=[student.name for student in STUDENTS], help="one of the students")
    parser.add_argument("--bfloat16", action="store_true", help="matmuls in bfloat16; faster with AVX512-BF16 or AMX")
    parser.add_argument("--threads", type=int, help="cores to use; all of them by default")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the presets."""
    options = parse(arguments)
    if options.threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(options.threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    options.output.mkdir(parents=True, exist_ok=True)
    texts, options.sources = read_corpus(options.corpus, share_alike=options.share_alike, seed=options.seed)
    check_plan(options)
    print(f"{len(texts):,} texts of {len(options.sources)} sources", flush=True)
    texts = texts if options.texts is None else texts[: HELD_OUT + options.texts]
    teacher = Teacher(texts, options.output, is_bfloat16=options.bfloat16)
    chunks = compute_chunks(teacher, options)
    chosen = [student for student in STUDENTS if options.only in (None, student.name)]
    results = {student.name: train_student(student, teacher, chunks, options) for student in chosen}
    print(json.dumps(results))
    return 0


def check_plan(options: argparse.Namespace) -> None:
    """Refuses to go on in a folder of another corpus, choice of sources or seed."""
    plan = {"sources": options.sources, "seed": options.seed, "texts": options.texts}
    path = options.output / "plan.json"
    if path.exists() and json.loads(path.read_text()) != plan:
        raise SystemExit(f"{options.output} is of another run. Pass the same options, or another folder")
    path.write_text(json.dumps(plan))


if __name__ == "__main__":
    raise SystemExit(main())
