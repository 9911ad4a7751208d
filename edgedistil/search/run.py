"""A search from data to a directory: model.tflite, its preset, distillation.json and report.html.

DIRECTORY/model.tflite         the chosen file
DIRECTORY/preset/              the preset that it was converted from
DIRECTORY/distillation.json    everything that was measured; written last, so that it names what is there
DIRECTORY/report.html          the same as a page with plots
DIRECTORY/stages/              teacher, students, files; a second call makes only what is missing or made of others
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from edgedistil import __version__
from edgedistil.data import TrainingData
from edgedistil.data.classes import has_few_texts, split
from edgedistil.measuring.answers import ask_file, ask_preset
from edgedistil.measuring.measurements import Measurements
from edgedistil.measuring.models import measure
from edgedistil.scores import evaluate_labels
from edgedistil.search.choosing import explain_failure, smallest_within
from edgedistil.search.digests import digest_of, preset_digest, texts_digest
from edgedistil.search.making import Made, MadeFile, MadeStudent, Say, Workshop
from edgedistil.search.page import PAGE_FILE, write_page
from edgedistil.search.record import (
    RECORD_FILE,
    ArmRecord,
    AugmentedRecord,
    Distillation,
    FileRecord,
    PrunedRecord,
    RefusedRecord,
    SkippedRecord,
    StudentRecord,
    TeacherRecord,
    read_record,
    write_record,
)
from edgedistil.search.settings import SearchSettings
from edgedistil.search.stages import opened_stages
from edgedistil.search.starts import read_starts
from edgedistil_converters.files import atomic_directory, atomic_path, sole_use
from edgedistil_runtime.benchmarking.speed import BenchmarkSettings
from edgedistil_runtime.errors import BudgetError, DataError, OutputError

__all__ = ["MODEL_FILE", "PRESET_FOLDER", "find_student", "hold_out"]

MODEL_FILE, PRESET_FOLDER = "model.tflite", "preset"
_OF_FEW, _OF_MANY = 0.2, 0.1  # shares that are held out


def hold_out(data: TrainingData, *, seed: int = 0) -> TrainingData:
    """Holds out validation data, which a choice needs, if there are none.

    A tenth of the training texts is held out, or a fifth with fewer than 30 texts a class.

    Args:
        data: Data, with or without validation data.
        seed: Seed of the choice of texts.

    Raises:
        DataError: a class has a single text.

    Example:
        >>> from edgedistil.data import read_labelled_texts
        >>> data = hold_out(TrainingData(read_labelled_texts("train.csv")))
        >>> len(data.training), len(data.validation)
        (162, 18)
    """
    if data.validation:
        return data
    training, validation = split(data.training, _OF_FEW if has_few_texts(data.training) else _OF_MANY, seed=seed)
    return TrainingData(training, validation, data.test)


@dataclass(frozen=True)
class _Made:
    """All products of a search."""

    teacher: Made
    students: tuple[tuple[MadeStudent, Made | None], ...]
    files: tuple[MadeFile, ...]
    skipped: tuple[SkippedRecord, ...]


@dataclass(frozen=True)
class _Search:
    """The inputs of a search.

    Attributes:
        data: Data, with validation data.
        unlabelled: Texts without labels, each once, none of them in the data.
        left_out: Number of given texts that are not among these.
        settings: Settings.
        target: Directory to write.
        benchmark: Settings of the measurement of milliseconds; `None` for the defaults.
        say: Called with the name of each step.
    """

    data: TrainingData
    unlabelled: tuple[str, ...]
    left_out: int
    settings: SearchSettings
    target: Path
    benchmark: BenchmarkSettings | None
    say: Say

    @cached_property
    def digest(self) -> str:
        """Digest of everything that the result depends on."""
        settings, data = self.settings, self.data
        presets = [preset_digest(settings.teacher), *(start.digest for start in read_starts(settings.students))]
        parts = [texts_digest(part) for part in (data.training, data.validation, data.test, self.unlabelled)]
        return digest_of(settings.without_paths().to_dict(), presets, parts)

    def finished(self) -> Distillation | None:
        """The result of an earlier call with the same inputs, if it is there and has a choice."""
        try:
            record = read_record(self.target)
        except DataError:
            return None
        is_whole = all((self.target / name).exists() for name in (MODEL_FILE, PRESET_FOLDER, PAGE_FILE))
        return record if record.inputs == self.digest and record.chosen and is_whole else None

    def choose(self, workshop: Workshop, made: _Made) -> Distillation:
        """Measures all files, chooses one, and writes the directory."""
        assert self.data.validation
        files = {file.path.name: file for file in made.files if not file.refusal}
        paths = [made.teacher.path, *(file.path for file in files.values())]
        measured = measure(paths, self.data.validation, settings=self.benchmark, on_progress=self.say)
        record = self._record(made, measured)
        best = smallest_within([file.candidate for file in record.files], record.limits)
        if best is None:
            _write(record, measured, self.target, None)
            raise BudgetError(_explain(record, self.target))
        chosen = files[best.name]
        [student] = [student for student, _ in made.students if student.start.name == chosen.student]
        arms = workshop.arms(student) if self.settings.has_ablation else ()
        record = replace(
            record,
            chosen=best.name,
            test_accuracy=_test_accuracy(chosen.path, self.data),
            arms=tuple(ArmRecord(name, arm.facts["accuracy"]) for name, arm in arms),
        )
        _write(record, measured, self.target, chosen)
        return record

    def _record(self, made: _Made, measured: Measurements) -> Distillation:
        """Everything that was measured, without a choice."""
        parts = {"training": self.data.training, "validation": self.data.validation, "test": self.data.test}
        counts = {name: len(part) if part else 0 for name, part in parts.items()}
        return Distillation(
            settings=self.settings.without_paths(),
            inputs=self.digest,
            texts={**counts, "unlabelled": len(self.unlabelled), "left_out": self.left_out},
            labels=measured.labels,
            machine=measured.machine,
            measured_at=measured.measured_at,
            teacher=_teacher_record(made.teacher, measured, self.data),
            students=tuple(_student_record(*student) for student in made.students),
            files=tuple(_file_record(file, measured) for file in made.files if not file.refusal),
            refused=tuple(RefusedRecord(file.path.name, file.refusal) for file in made.files if file.refusal),
            skipped=made.skipped,
            chosen=None,
            test_accuracy=None,
            arms=(),
            edgedistil=__version__,
        )


def find_student(
    data: TrainingData,
    settings: SearchSettings,
    directory: str | Path,
    *,
    unlabelled: Sequence[str] = (),
    benchmark: BenchmarkSettings | None = None,
    on_stage: Say = lambda _: None,
    on_warning: Say = lambda _: None,
) -> Distillation:
    """Writes the smallest file that is in a budget and almost as accurate as its teacher.

    The teacher labels all texts, students learn its answers, and each is converted. The files are measured as the
    runtime runs them, on the validation data, and one is chosen. Test data are measured afterwards. A second call with
    the same directory goes on after an interruption, and makes only what has changed.

    Args:
        data: Labelled texts; without validation data, some training texts are held out, see `hold_out`.
        settings: Budget, tolerance, teacher, students.
        directory: Directory to write: a new or an empty one, or one that an earlier call wrote.
        unlabelled: Texts without labels, which the teacher labels. Those that are in the data are left out.
        benchmark: Settings of the measurement of milliseconds.
        on_stage: Called with the name of each step when it begins.
        on_warning: Called with a sentence about the data, such as texts that the teacher can hardly read.

    Returns:
        Everything that was measured, and the choice.

    Raises:
        BudgetError: no student is in the budget and accurate enough; the message names the nearest.
        DataError: the data cannot be used, or the teacher has other labels.
        PresetError: the teacher or a start cannot be found or loaded.
        OutputError: the directory holds something else, or another search is running in it.

    Example:
        >>> from edgedistil.data import read_labelled_texts
        >>> data = TrainingData(read_labelled_texts("train.csv"))
        >>> settings = SearchSettings(budget_mb=0.2, teacher="intents", students=("edgedistil_tiny_en",))
        >>> find_student(data, settings, "found")
        Traceback (most recent call last):
        edgedistil_runtime.errors.BudgetError: No student can become a file of 0.2 MB: the layers of ...
    """
    data = hold_out(data, seed=settings.seed)
    known = {text for part in (data.training, data.validation, data.test) if part for text in part.texts}
    usable = tuple(text for text in dict.fromkeys(unlabelled) if text not in known)
    if unlabelled and not usable:
        on_warning(f"None of the {len(unlabelled):,} texts without labels is used: all are in the data, or repeated")
    search = _Search(data, usable, len(unlabelled) - len(usable), settings, Path(directory), benchmark, on_stage)
    with opened_stages(search.target) as stages, sole_use(stages.folder) as is_ours:
        if not is_ours:
            raise OutputError(f"Another search is running in {directory}. Wait for its end, or choose another `output`")
        earlier = search.finished()
        if earlier:
            return earlier
        name = search.target.resolve().name
        learned = replace(data, test=None)
        workshop = Workshop(learned, usable, settings, stages, name=name, say=on_stage, warn=on_warning)
        return search.choose(workshop, _make(workshop, settings, on_stage))


def _make(workshop: Workshop, settings: SearchSettings, say: Say) -> _Made:
    starts = read_starts(settings.students)
    least = {start: start.least_bytes(settings.schemes) for start in starts}
    small = [start for start in starts if least[start] <= settings.budget_bytes]
    if not small:
        nearest = min(starts, key=lambda start: least[start])
        raise BudgetError(
            f"No student can become a file of {settings.budget_mb:g} MB: the layers of {nearest.name}, the smallest, "
            f"need {least[nearest] / 1e6:.2f} MB by the schemes {', '.join(settings.schemes)}. Raise `budget_mb`, or "
            "start from smaller `students`"
        )
    teacher = workshop.teacher
    students: list[tuple[MadeStudent, Made | None]] = []
    files: list[MadeFile] = []
    for start in small:
        say(f"student {start.name}")
        student = workshop.student(start)
        pruned = workshop.pruned(start.name, student.made)
        students.append((student, pruned))
        files += workshop.files(start.name, student.made, pruned)
    skipped = tuple(SkippedRecord(start.name, least[start]) for start in starts if start not in small)
    return _Made(teacher, tuple(students), tuple(files), skipped)


def _explain(record: Distillation, target: Path) -> str:
    reasons = [explain_failure([file.candidate for file in record.files], record.limits)]
    reasons += [
        f"{one.name} was not trained: its layers need {one.least_bytes / 1e6:.2f} MB." for one in record.skipped
    ]
    reasons += [f"{one.name} was refused: {one.reason}" for one in record.refused]
    return " ".join([*reasons, f"What was made is in {target / 'stages'}, and what was measured in {PAGE_FILE}"])


def _teacher_record(teacher: Made, measured: Measurements, data: TrainingData) -> TeacherRecord:
    model = measured.reference_model
    return TeacherRecord(
        name=teacher.facts["name"],
        is_fine_tuned=teacher.facts["is_fine_tuned"],
        accuracy=model.accuracy,
        test_accuracy=_test_accuracy(teacher.path, data),
        weight_bytes=model.size,
    )


def _student_record(student: MadeStudent, pruned: Made | None) -> StudentRecord:
    return StudentRecord(
        name=student.start.name,
        **student.made.facts,
        pruned=PrunedRecord(**pruned.facts) if pruned else None,
        augmented_per_text=student.augmented_per_text,
        tried=tuple(AugmentedRecord(number, accuracy) for number, accuracy in student.tried.items()),
    )


def _file_record(file: MadeFile, measured: Measurements) -> FileRecord:
    [model] = [model for model in measured.models if model.name == file.path.name]
    assert model.speed
    return FileRecord(
        name=file.path.name,
        student=file.student,
        is_pruned=file.is_pruned,
        scheme=file.scheme,
        size=model.size,
        ms=model.speed.p50_ms,
        accuracy=model.accuracy,
        sha256=file.sha256,
    )


def _test_accuracy(path: Path, data: TrainingData) -> float | None:
    if data.test is None:
        return None
    ask = ask_preset if path.is_dir() else ask_file
    answers = ask(path, data.test.texts)
    test = data.test.spelled_as(answers.labels)
    return evaluate_labels(test.labels, answers.given, answers.labels).accuracy


def _write(record: Distillation, measured: Measurements, target: Path, chosen: MadeFile | None) -> None:
    """Writes the directory; distillation.json is removed first and written last."""
    (target / RECORD_FILE).unlink(missing_ok=True)
    if chosen:
        with atomic_path(target / MODEL_FILE, force=True) as temporary:
            shutil.copyfile(chosen.path, temporary)
        with atomic_directory(target / PRESET_FOLDER, force=True) as work:
            shutil.copytree(chosen.source, work, dirs_exist_ok=True)
    else:
        (target / MODEL_FILE).unlink(missing_ok=True)
        shutil.rmtree(target / PRESET_FOLDER, ignore_errors=True)
    write_page(record, measured, target)
    write_record(record, target)
