"""Everything that a report shows, as frozen values: facts and scores of the data, the models and the machine.

`edgedistil.measuring.models` makes them, `edgedistil.report.page` draws them.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edgedistil.measuring.machine import Machine
from edgedistil.measuring.speed import BenchmarkSettings, ModelSpeed
from edgedistil.measuring.texts import TimedTexts
from edgedistil.scores import Evaluation
from edgedistil_runtime.errors import DataError

__all__ = [
    "SCHEMA_VERSION",
    "ChangedText",
    "Changes",
    "DataFacts",
    "FileFacts",
    "KerasFacts",
    "MeasuredModel",
    "Measurements",
    "OpCount",
]

SCHEMA_VERSION = 1
_NORMAL_95 = 1.959964  # two-sided quantile of the normal distribution


@dataclass(frozen=True)
class DataFacts:
    """The labelled texts.

    Attributes:
        name: of the file, never a whole path.
        texts: how many.
        sha256: of the file, so that two reports can be told to be about the same texts.
    """

    name: str
    texts: int
    sha256: str


@dataclass(frozen=True)
class ChangedText:
    """A text to which a model gives another label than the reference does."""

    text: str
    right: str
    reference: str
    given: str


@dataclass(frozen=True)
class Changes:
    """How a model's labels differ from the reference's, text by text.

    Attributes:
        same: texts with the same label, right or wrong.
        broken: that the reference has right and the model wrong.
        repaired: that the model has right and the reference wrong.
        otherwise: that both have wrong, with different labels.
        examples: some of the texts that changed, the broken ones first.
    """

    same: int
    broken: int
    repaired: int
    otherwise: int
    examples: tuple[ChangedText, ...]


@dataclass(frozen=True)
class OpCount:
    """How many ops of a kind and version are in a file, over all signatures."""

    op: str
    version: int
    count: int


@dataclass(frozen=True)
class FileFacts:
    """What an artefact says about itself, and what is in it.

    Attributes:
        name: what the model is called.
        sha256: of the whole file.
        flatbuffer_size, flatbuffer_sha256: of the TFLite model without its archive.
        quantization: the plan.
        target, oldest_runtime: where it runs.
        tokenizer: its kind and settings.
        architecture, parity, preparation, versions: as in `ArtifactMetadata`.
        golden_cases: how many.
        ops: by name.
        matmul_weights: dtype -> matmuls.
        integer_ops: op -> how many put out int8.
        constant_bytes: dtype -> bytes.
    """

    name: str
    sha256: str
    flatbuffer_size: int
    flatbuffer_sha256: str
    quantization: Mapping[str, Any]
    target: str
    oldest_runtime: str
    tokenizer: Mapping[str, Any]
    architecture: Mapping[str, Any]
    parity: Mapping[str, Any]
    preparation: Mapping[str, Any]
    versions: Mapping[str, str]
    golden_cases: int
    ops: tuple[OpCount, ...]
    matmul_weights: Mapping[str, int]
    integer_ops: Mapping[str, int]
    constant_bytes: Mapping[str, int]


@dataclass(frozen=True)
class KerasFacts:
    """What is known of a Keras preset.

    Attributes:
        source: the preset's name or that of its directory.
        parameters: how many weights it has.
        weight_bytes: of these, in the dtype that they are computed in.
        sequence_length: tokens that a text is cut to.
        versions: of the packages that ran it.
    """

    source: str
    parameters: int
    weight_bytes: int
    sequence_length: int
    versions: Mapping[str, str]


@dataclass(frozen=True)
class MeasuredModel:
    """One model.

    Attributes:
        name: of its file or directory; different from that of every other model.
        evaluation: its scores, classes in the order of `Measurements.labels`.
        changes: against the reference; None for the reference itself.
        speed: None for a Keras preset.
        file: None for a Keras preset.
        keras: None for a file.
    """

    name: str
    evaluation: Evaluation
    changes: Changes | None
    speed: ModelSpeed | None
    file: FileFacts | None
    keras: KerasFacts | None

    @property
    def size(self) -> int:
        """Bytes: of the file, or of the weights of a Keras preset."""
        if self.speed:
            return self.speed.size
        return self.keras.weight_bytes if self.keras else 0

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """Where the accuracy on many more texts of the kind lies, with a confidence of 95 %.

        Wilson's score interval: E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference,
        Journal of the American Statistical Association 22 (1927).
        """
        share, count = self.evaluation.accuracy, self.evaluation.texts
        spread = _NORMAL_95**2 / count
        center = (share + spread / 2) / (1 + spread)
        half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
        return max(center - half, 0.0), min(center + half, 1.0)

    @property
    def is_keras(self) -> bool:
        """Whether it is a preset that Keras ran."""
        return self.keras is not None

    @property
    def short_name(self) -> str:
        """The name without `.tflite`."""
        return self.name.removesuffix(".tflite") or self.name

    @property
    def scheme(self) -> str:
        """How it is quantized, in a word."""
        return str(self.file.quantization["scheme"]) if self.file else "Keras"


@dataclass(frozen=True)
class Measurements:
    """All that a report shows.

    Attributes:
        data: the labelled texts.
        labels: the classes, in the reference's order.
        models: in the order in which they were given.
        reference: which of them the others are compared with.
        machine: where it was measured.
        measured_at: when, ISO 8601 in UTC.
        timed: the texts whose latency was taken; None where no file was timed.
        settings: how latency was taken.
        edgedistil: the version that measured.
        schema_version: of this structure.
    """

    data: DataFacts
    labels: tuple[str, ...]
    models: tuple[MeasuredModel, ...]
    reference: int
    machine: Machine
    measured_at: str
    timed: TimedTexts | None
    settings: BenchmarkSettings
    edgedistil: str
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if not 0 <= self.reference < len(self.models):
            raise DataError(f"The reference must be one of {len(self.models)} models. Received: {self.reference}.")
        for model in self.models:
            if tuple(scores.label for scores in model.evaluation.classes) != self.labels:
                raise DataError(f"All models must have the same labels in the same order. Received: {model.name}.")

    @property
    def reference_model(self) -> MeasuredModel:
        """The model that the others are compared with."""
        return self.models[self.reference]

    @property
    def others(self) -> tuple[MeasuredModel, ...]:
        """The models that are compared with the reference."""
        return tuple(model for i, model in enumerate(self.models) if i != self.reference)

    def to_dict(self) -> dict[str, Any]:
        """The measurements as plain data."""
        return asdict(self)

    def to_json(self) -> str:
        """The measurements as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)
