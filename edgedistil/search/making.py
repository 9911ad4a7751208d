"""The products of a search: teacher, students, students with fewer word pieces, files. Each is a stage."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from edgedistil.conversion import ConversionRequest, convert_preset
from edgedistil.data import TrainingData
from edgedistil.distillation.answer_cache import AnswerCache
from edgedistil.distillation.answering import AnyTeacher
from edgedistil.distillation.coverage import measure_coverage
from edgedistil.distillation.file_teacher import FileTeacher, is_model_file
from edgedistil.distillation.soft_targets import TeacherAnswers, ask_teacher
from edgedistil.distillation.teacher import Teacher
from edgedistil.presets.attribution import read_attribution
from edgedistil.presets.loading import LABELS_FILE, has_trained_head, load_labelled_classifier
from edgedistil.search.digests import digest_of, file_digest, preset_digest, texts_digest
from edgedistil.search.settings import SearchSettings
from edgedistil.search.stages import Stages
from edgedistil.search.starts import StudentStart
from edgedistil.training.callbacks import ProgressReporter, TrainingProgress
from edgedistil.training.card import CARD_FILE, model_card
from edgedistil.training.keras_outputs import predict_probabilities
from edgedistil.training.loop import TrainingResult, train
from edgedistil.training.record import write_training
from edgedistil.training.settings import TrainingSettings
from edgedistil.training.targets import class_numbers
from edgedistil_converters import prune_classifier
from edgedistil_converters.files import atomic_directory, atomic_path
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_runtime.errors import ConversionError

__all__ = ["Made", "MadeFile", "MadeStudent", "Workshop"]

_TEACHER, _TEACHER_FILE, _ANSWERS, _PRUNED = "teacher", "teacher.tflite", "teacher_answers", ".pruned"
_WORTH = 0.98  # pruning that keeps more of the pieces is left out

Say = Callable[[str], None]


@dataclass(frozen=True)
class Made:
    """A classifier that was made.

    Attributes:
        path: Directory of its preset, or the file of a teacher that is one.
        digest: Digest of what it was made of.
        facts: Facts about it, as plain data.
    """

    path: Path
    digest: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class MadeStudent:
    """A student that was trained with the best number of new texts.

    Attributes:
        start: Its start.
        made: The student.
        augmented_per_text: Number of new texts for each training text that it learned from.
        tried: All numbers that were tried, with the accuracy on the validation data.
    """

    start: StudentStart
    made: Made
    augmented_per_text: int
    tried: Mapping[int, float]


@dataclass(frozen=True)
class MadeFile:
    """A file that was made, or that its verification refused.

    Attributes:
        path: Path of the file.
        student: Name of the student.
        source: Preset that it was converted from.
        is_pruned: True if that preset has fewer word pieces than the student began with.
        scheme: Quantization scheme.
        sha256: Digest of the file; empty if there is none.
        refusal: Why there is none; empty if there is one.
    """

    path: Path
    student: str
    source: Path
    is_pruned: bool
    scheme: str
    sha256: str
    refusal: str


class Workshop:
    """Makes the products of a search.

    Args:
        data: Training and validation data, without test data.
        unlabelled: Texts without labels, none of which is in the test data.
        settings: Settings of the search.
        stages: Folder of the products.
        name: Name of the model in its files.
        say: Called with the name of each step when it begins.
        warn: Called with a sentence about the data.
    """

    def __init__(
        self,
        data: TrainingData,
        unlabelled: Sequence[str],
        settings: SearchSettings,
        stages: Stages,
        *,
        name: str,
        say: Say,
        warn: Say,
    ) -> None:
        self._data, self._unlabelled, self._settings, self._stages = data, unlabelled, settings, stages
        self._name, self._say, self._warn = name, say, warn
        self._data_digest = digest_of(texts_digest(data.training), texts_digest(data.validation))
        self._answers: dict[int, TeacherAnswers] = {}
        self._warned: set[str] = set()

    @cached_property
    def teacher(self) -> Made:
        """The teacher: a copy of a trained classifier or of a file, or a fine-tuned preset."""
        preset, settings = self._settings.teacher, self._settings.training()
        is_file = is_model_file(preset)
        is_trained = is_file or has_trained_head(preset)
        inputs = (list(self._data.labels),) if is_trained else (settings.to_dict(), self._data_digest)
        digest = digest_of("teacher", preset_digest(preset), *inputs)
        name = self._settings.without_paths().teacher
        if not is_trained:
            start = StudentStart(preset, _TEACHER)
            made = self._train(start, _TEACHER, digest, settings, lambda: None)
            return replace(made, facts={**made.facts, "name": name, "is_fine_tuned": True})

        def copy_file(path: Path) -> Mapping[str, Any]:
            FileTeacher(Path(preset)).check_data(self._data)
            with atomic_path(path, force=True) as temporary:
                shutil.copyfile(preset, temporary)
            return {"name": name, "is_fine_tuned": False}

        def copy(path: Path) -> Mapping[str, Any]:
            trained = load_labelled_classifier(preset)
            Teacher(trained).check_data(self._data)
            with atomic_directory(path) as work:
                trained.classifier.save_to_preset(str(work))
                (work / LABELS_FILE).write_text("".join(f"{label}\n" for label in trained.labels), encoding="utf-8")
            return {"name": name, "is_fine_tuned": False}

        return self._made(_TEACHER_FILE, digest, copy_file) if is_file else self._made(_TEACHER, digest, copy)

    def answers(self, augmented_per_text: int) -> TeacherAnswers:
        """The teacher's answers to all that students learn; read from files as far as they are known."""
        if augmented_per_text not in self._answers:
            self._answers = {augmented_per_text: self._ask(self._unlabelled, augmented_per_text)}  # not all in memory
        return self._answers[augmented_per_text]

    def student(self, start: StudentStart) -> MadeStudent:
        """Trains a student on the teacher's answers, with each number of new texts; the best one is kept.

        Of equally accurate ones it is the one with the fewest texts.
        """
        made = {number: self._student(start, number) for number in self._settings.augmented_per_text}
        tried = {number: float(one.facts["accuracy"]) for number, one in made.items()}
        best = max(tried, key=lambda number: (tried[number], -number))
        return MadeStudent(start, made[best], best, tried)

    def _student(self, start: StudentStart, number: int) -> Made:
        settings = self._settings.training(start.preset if start.is_from_scratch else None)
        texts = texts_digest(self._unlabelled), number
        digest = digest_of("student", start.digest, self.teacher.digest, self._data_digest, settings.to_dict(), *texts)
        # What an earlier call made is used, also if it tried other numbers.
        names = [start.name, f"{start.name}.augment{number}"]
        usual = names[0] if len(self._settings.augmented_per_text) == 1 else names[1]
        name = next((name for name in names if self._stages.is_made(name, digest)), usual)
        return self._train(start, name, digest, settings, lambda: self.answers(number))

    def arms(self, student: MadeStudent) -> Iterator[tuple[str, Made]]:
        """Trains a student on labels only, then also on the teacher's answers, then on those to unlabelled texts."""
        start = student.start
        settings = self._settings.training(start.preset if start.is_from_scratch else None)
        arms: list[tuple[str, str, Callable[[], TeacherAnswers | None]]] = [("labels only", "labels", lambda: None)]
        has_more = bool(self._unlabelled), bool(student.augmented_per_text)
        if any(has_more):
            arms.append(("and the teacher", "teacher", lambda: self._ask((), 0)))
        if all(has_more):
            arms.append(("and unlabelled texts", "unlabelled", lambda: self._ask(self._unlabelled, 0)))
        for arm, short, ask in arms:
            texts = texts_digest(self._unlabelled) if short == "unlabelled" else ""
            teacher = "" if short == "labels" else self.teacher.digest
            digest = digest_of("arm", short, start.digest, teacher, self._data_digest, settings.to_dict(), texts)
            yield arm, self._train(start, f"{start.name}.{short}", digest, settings, ask)

    def pruned(self, student: str, made: Made) -> Made | None:
        """Removes the word pieces that no text needs; `None` if almost all are needed.

        The texts are the training texts and those without labels: validation data must stay unseen.
        """
        texts = (*self._data.training.texts, *self._unlabelled)
        digest = digest_of("pruned", made.digest, texts_digest(texts))

        def prune(path: Path) -> Mapping[str, Any]:
            self._say(f"{student}: pruning the vocabulary")
            classifier = load_labelled_classifier(made.path).classifier
            pruned = prune_classifier(classifier, texts)
            report = pruned.report
            if report.vocabulary_after > _WORTH * report.vocabulary_before:
                return {"vocabulary": report.vocabulary_after}
            with atomic_directory(path) as work:
                _copy_record(made.path, work, pruned.classifier, report.to_dict(), self._name)
            return {
                "vocabulary": report.vocabulary_after,
                "parameters": int(pruned.classifier.count_params()),
                "accuracy": self._accuracy(pruned.classifier),
                "unchanged_unseen": report.unchanged_unseen,
            }

        found = self._made(f"{student}{_PRUNED}", digest, prune)
        return found if found.path.exists() else None

    def files(self, student: str, made: Made, pruned: Made | None) -> Iterator[MadeFile]:
        """Converts a student by each scheme; the one with all word pieces only if pruning cost accuracy."""
        sources = [(pruned, True)] if pruned else []
        if pruned is None or pruned.facts["accuracy"] < made.facts["accuracy"]:
            sources.append((made, False))
        for source, is_pruned in sources:
            for scheme in self._settings.schemes:
                yield self._file(student, source, scheme, is_pruned=is_pruned)

    def _file(self, student: str, source: Made, scheme: str, *, is_pruned: bool) -> MadeFile:
        name = f"{student}{_PRUNED if is_pruned else ''}.{scheme}.tflite"

        def convert(path: Path) -> Mapping[str, Any]:
            self._say(f"{student}: converting by {scheme}")
            request = ConversionRequest(
                preset=str(source.path),
                output=path,
                plan=QuantizationPlan(scheme),
                training=self._data.training,
                name=self._name,
                seed=self._settings.seed,
            )
            try:
                convert_preset(request, lambda stage: self._say(f"{student}, {scheme}: {stage}"))
            except ConversionError as error:
                return {"sha256": "", "refusal": str(error)}
            return {"sha256": file_digest(path), "refusal": ""}

        digest = digest_of("file", source.digest, scheme, self._settings.seed)
        made = self._made(name, digest, convert)
        return MadeFile(made.path, student, source.path, is_pruned, scheme, **made.facts)

    def _train(
        self,
        start: StudentStart,
        name: str,
        digest: str,
        settings: TrainingSettings,
        ask: Callable[[], TeacherAnswers | None],
    ) -> Made:
        def make(path: Path) -> Mapping[str, Any]:
            answers = ask()
            self._say(f"{name}: preparing to train")
            classifier = start.build(self._data, self._settings, answers)
            coverage = measure_coverage(classifier.preprocessor, self._data.training.texts)
            is_student = name != _TEACHER and not start.is_from_scratch  # there is another warning about the teacher
            if is_student and coverage.is_low:
                self._warn(coverage.warning(f"student {name}", "training"))
            result = train(
                classifier,
                self._data,
                settings,
                name=self._name,
                callbacks=[ProgressReporter(lambda progress: self._say(_progress(name, progress, settings.epochs)))],
                checkpoint=self._stages.checkpoint(name),
                soft_targets=answers.soft_targets if answers else None,
            )
            teacher = answers.to_dict() if answers else None
            origin, attribution = start.origin(), start.attribution()
            write_training(result, self._data, path, origin=origin, attribution=attribution, teacher=teacher)
            return _facts(result)

        return self._made(name, digest, make)

    def _made(self, name: str, digest: str, make: Callable[[Path], Mapping[str, Any]]) -> Made:
        return Made(self._stages.path(name), digest, self._stages.make(name, digest, make))

    @cached_property
    def _loaded_teacher(self) -> AnyTeacher:
        self._say("loading the teacher")
        name = self._settings.without_paths().teacher
        if is_model_file(self.teacher.path):
            return FileTeacher(self.teacher.path, name=name)
        return Teacher(replace(load_labelled_classifier(self.teacher.path), source=name))

    def _ask(self, unlabelled: Sequence[str], augmented_per_text: int) -> TeacherAnswers:
        answers = ask_teacher(
            self._loaded_teacher,
            self._data,
            unlabelled=unlabelled,
            augmented_per_text=augmented_per_text,
            seed=self._settings.seed,
            cache=AnswerCache(self._stages.path(_ANSWERS)),
            on_progress=lambda done, total: self._say(f"the teacher answered {done:,} of {total:,} texts"),
        )
        for warning in answers.warnings():
            if warning not in self._warned:  # the same texts are asked about for each number of new texts
                self._warned.add(warning)
                self._warn(warning)
        return answers

    def _accuracy(self, classifier: Any) -> float:
        """Accuracy on the validation data."""
        assert self._data.validation
        predicted = predict_probabilities(classifier, self._data.validation.texts).argmax(axis=1)
        return round(float((predicted == class_numbers(self._data.validation, self._data.labels)).mean()), 6)


def _facts(result: TrainingResult) -> dict[str, Any]:
    backbone = result.trained.classifier.backbone
    return {
        "num_layers": int(backbone.num_layers),
        "hidden_dim": int(backbone.hidden_dim),
        "vocabulary": int(backbone.vocabulary_size),
        "parameters": int(result.trained.classifier.count_params()),
        "accuracy": result.metrics["validation"]["accuracy"],
    }


def _progress(name: str, progress: TrainingProgress, epochs: int) -> str:
    loss = progress.metrics.get("loss")
    shown = "" if loss is None else f", loss {loss:.3f}"
    return f"{name}: epoch {progress.epoch} of {epochs}, step {progress.step}{shown}"


def _copy_record(source: Path, work: Path, classifier: Any, pruning: Mapping[str, Any], name: str) -> None:
    """Writes a pruned classifier with the labels, samples and records of the one that it was made of."""
    classifier.save_to_preset(str(work))
    written = {path.name for path in work.iterdir()}
    for path in source.iterdir():
        if path.is_file() and path.name not in written and not path.name.endswith(".weights.h5"):
            shutil.copyfile(path, work / path.name)
    record = json.loads((source / "training.json").read_text(encoding="utf-8"))
    record |= {"parameters": int(classifier.count_params()), "vocabulary_pruning": dict(pruning)}
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (work / "training.json").write_text(text, encoding="utf-8", newline="\n")
    card = model_card(record, name=name, attribution=read_attribution(source))
    (work / CARD_FILE).write_text(card, encoding="utf-8", newline="\n")
