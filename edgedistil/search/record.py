"""distillation.json: everything that a search measured and chose, as frozen values, written and strictly read."""

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from edgedistil.search.choosing import Candidate, Limits
from edgedistil.search.settings import SearchSettings
from edgedistil_converters.files import atomic_path
from edgedistil_runtime.benchmarking.machine import Machine
from edgedistil_runtime.errors import DataError

__all__ = [
    "RECORD_FILE",
    "ArmRecord",
    "AugmentedRecord",
    "Distillation",
    "FileRecord",
    "PrunedRecord",
    "RefusedRecord",
    "SkippedRecord",
    "StudentRecord",
    "TeacherRecord",
    "read_record",
    "write_record",
]

RECORD_FILE = "distillation.json"
SCHEMA_VERSION = 1

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class TeacherRecord:
    """A teacher.

    Attributes:
        name: Name or handle of its preset, or the name of its directory or file.
        is_fine_tuned: True if it was trained here.
        accuracy: Accuracy on the validation data, in Keras or as the runtime runs its file, 0 to 1.
        test_accuracy: The same on the test data; `None` if there are none.
        weight_bytes: Bytes of its weights in float32, or of its file.
    """

    name: str
    is_fine_tuned: bool
    accuracy: float
    test_accuracy: float | None
    weight_bytes: int


@dataclass(frozen=True)
class PrunedRecord:
    """A student with fewer word pieces.

    Attributes:
        vocabulary: Number of pieces that stayed.
        parameters: Number of its weights.
        accuracy: Accuracy on the validation data, in Keras, 0 to 1.
        unchanged_unseen: Estimate of the share of new texts that are divided as before, 0 to 1.
    """

    vocabulary: int
    parameters: int
    accuracy: float
    unchanged_unseen: float


@dataclass(frozen=True)
class AugmentedRecord:
    """A student that learned from a number of new texts for each training text.

    Attributes:
        augmented_per_text: The number.
        accuracy: Accuracy on the validation data, in Keras, 0 to 1.
    """

    augmented_per_text: int
    accuracy: float


@dataclass(frozen=True)
class StudentRecord:
    """A trained student.

    Attributes:
        name: Name of the student, and of its preset among the stages.
        num_layers: Number of layers, that of the pooling among them.
        hidden_dim: Width.
        vocabulary: Number of word pieces.
        parameters: Number of weights.
        accuracy: Accuracy on the validation data, in Keras, 0 to 1.
        pruned: The student with fewer word pieces; `None` if its texts need almost all.
        augmented_per_text: Number of new texts for each training text that it learned from.
        tried: All numbers that were tried, this one among them.
    """

    name: str
    num_layers: int
    hidden_dim: int
    vocabulary: int
    parameters: int
    accuracy: float
    pruned: PrunedRecord | None
    augmented_per_text: int
    tried: tuple[AugmentedRecord, ...]


@dataclass(frozen=True)
class FileRecord:
    """A file, as the runtime ran it on this machine.

    Attributes:
        name: Name among the stages.
        student: Name of the student.
        is_pruned: True if it was made of the student with fewer word pieces.
        scheme: Quantization scheme.
        size: Bytes.
        ms: Median milliseconds of one text.
        accuracy: Accuracy on the validation data, 0 to 1.
        sha256: Digest.
    """

    name: str
    student: str
    is_pruned: bool
    scheme: str
    size: int
    ms: float
    accuracy: float
    sha256: str

    @property
    def candidate(self) -> Candidate:
        """The file as something to choose."""
        return Candidate(self.name, self.size, self.ms, self.accuracy)


@dataclass(frozen=True)
class RefusedRecord:
    """A conversion whose verification failed.

    Attributes:
        name: Name that the file would have.
        reason: Message of the error.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class SkippedRecord:
    """A student that was not trained, because it cannot be small enough.

    Attributes:
        name: Name of the student.
        least_bytes: Bytes of the matrices of its layers.
    """

    name: str
    least_bytes: int


@dataclass(frozen=True)
class ArmRecord:
    """The chosen student, trained on fewer things.

    Attributes:
        name: Things that it learned from.
        accuracy: Accuracy on the validation data, in Keras, 0 to 1.
    """

    name: str
    accuracy: float


@dataclass(frozen=True)
class Distillation:
    """Result of a search: content of distillation.json.

    Attributes:
        settings: Settings, without paths.
        inputs: Digest of everything that the result depends on.
        texts: Number of texts: `training`, `validation`, `test`, `unlabelled`, and `left_out` of the unlabelled ones.
        labels: Class names.
        machine: Machine that the milliseconds were measured on.
        measured_at: Time of the measurement, ISO 8601 in UTC.
        teacher: The teacher.
        students: Students that were trained.
        files: Files that were measured.
        refused: Conversions whose verification failed.
        skipped: Students that were not trained.
        chosen: Name of the file that was chosen; `None` if none fits.
        test_accuracy: Accuracy of the chosen file on the test data, 0 to 1; `None` if there are none.
        arms: The chosen student, trained on fewer things; empty without the ablation.
        edgedistil: Version that measured.
        schema_version: Version of this structure.
    """

    settings: SearchSettings
    inputs: str
    texts: Mapping[str, int]
    labels: tuple[str, ...]
    machine: Machine
    measured_at: str
    teacher: TeacherRecord
    students: tuple[StudentRecord, ...]
    files: tuple[FileRecord, ...]
    refused: tuple[RefusedRecord, ...]
    skipped: tuple[SkippedRecord, ...]
    chosen: str | None
    test_accuracy: float | None
    arms: tuple[ArmRecord, ...]
    edgedistil: str
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if self.schema_version != SCHEMA_VERSION:
            raise DataError(f"schema_version must be {SCHEMA_VERSION}. Received: {self.schema_version}")
        if self.chosen is not None and self.chosen not in {file.name for file in self.files}:
            raise DataError(f"`chosen` must be one of the files. Received: {self.chosen!r}")

    @property
    def chosen_file(self) -> FileRecord | None:
        """The file that was chosen; `None` if none fits."""
        return next((file for file in self.files if file.name == self.chosen), None)

    @property
    def limits(self) -> Limits:
        """Limits of the choice."""
        settings = self.settings
        return Limits(settings.budget_bytes, settings.budget_ms, self.teacher.accuracy, settings.within)

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data."""
        return asdict(self)


def write_record(record: Distillation, directory: Path) -> None:
    """Writes distillation.json into a directory."""
    text = json.dumps(record.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_path(directory / RECORD_FILE, force=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_record(directory: str | Path) -> Distillation:
    """Reads distillation.json of a directory; a key too many or too few, or another type, is an error.

    Raises:
        DataError: the file is missing or damaged, or of another schema.

    Example:
        >>> read_record("intents")
        Traceback (most recent call last):
        edgedistil_runtime.errors.DataError: intents/distillation.json cannot be read: No such file or directory
    """
    path = Path(directory) / RECORD_FILE
    try:
        return _read(Distillation, json.loads(path.read_text(encoding="utf-8")), "")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, DataError) as error:
        raise DataError(f"{path} is no record of a search, or a damaged one: {error}") from error


def _read(kind: type[_Value], value: Any, where: str) -> _Value:
    """Plain data as a value of a type, which is a dataclass or a part of one."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:  # X | None
        [inner] = [argument for argument in arguments if argument is not type(None)]
        return typing.cast(_Value, None if value is None else _read(inner, value, where))
    if origin is tuple and isinstance(value, list):
        return typing.cast(_Value, tuple(_read(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value)))
    if origin is Mapping and isinstance(value, dict):
        return typing.cast(_Value, {key: _read(arguments[1], item, f"{where}.{key}") for key, item in value.items()})
    if is_dataclass(kind) and isinstance(value, dict):
        return _read_fields(kind, value, where)
    # JSON has one kind of number, so 1.0 may have become 1; True is an int to Python and none here.
    legal: tuple[Any, ...] = (int, float) if kind is float else (kind,)
    if origin is not None or is_dataclass(kind) or type(value) not in legal:
        raise DataError(
            f"{where or 'the whole'} must be of type {getattr(kind, '__name__', kind)}. Received: {value!r}"
        )
    return kind(value) if kind is float else value  # type: ignore[call-arg]


def _read_fields(kind: type[_Value], value: Mapping[str, Any], where: str) -> _Value:
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if names != set(value):
        missing, unknown = sorted(names - set(value)), sorted(set(value) - names)
        raise DataError(f"{where or 'the whole'} lacks {missing} or has unknown keys {unknown}")
    types_of = typing.get_type_hints(kind)
    return kind(**{name: _read(types_of[name], value[name], f"{where}.{name}".strip(".")) for name in value})
