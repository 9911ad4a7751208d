"""Everything that a report shows, as frozen values: facts and scores of the data, the models and the machine.

`edgedistil.measuring.models` makes them, `edgedistil.report.page` draws them.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edgedistil.measuring.reliability import ScoreQuality
from edgedistil.measuring.set_texts import ChangedSet, LabelChange, SetMistake
from edgedistil.scores import Evaluation
from edgedistil.set_scores import SetEvaluation
from edgedistil_runtime.benchmarking.machine import Machine
from edgedistil_runtime.benchmarking.speed import BenchmarkSettings, ModelSpeed
from edgedistil_runtime.benchmarking.texts import TimedTexts
from edgedistil_runtime.benchmarking.timing import CallSpeed
from edgedistil_runtime.errors import DataError

__all__ = [
    "SCHEMA_VERSION",
    "BaselineFacts",
    "ChangedSet",
    "ChangedText",
    "Changes",
    "DataFacts",
    "FileFacts",
    "KerasFacts",
    "LabelChange",
    "MeasuredModel",
    "Measurements",
    "Mistake",
    "OpCount",
    "SetMistake",
]

SCHEMA_VERSION = 1
_NORMAL_95 = 1.959964  # two-sided quantile of the normal distribution


@dataclass(frozen=True)
class DataFacts:
    """Facts about the labelled texts.

    Attributes:
        name: File name, never a whole path.
        texts: Number of texts.
        sha256: Digest of the file, to see whether two reports are about the same texts.
    """

    name: str
    texts: int
    sha256: str


@dataclass(frozen=True)
class ChangedText:
    """A text with another label from a model than from the reference.

    Attributes:
        text: The text; a long one is shortened.
        right: Right label.
        reference: Label from the reference.
        given: Label from the model.
        reference_score: Score of the reference's label from the reference; `None` if it has no scores.
        score: Score of the model's label from the model; `None` for the baseline.
    """

    text: str
    right: str
    reference: str
    given: str
    reference_score: float | None = None
    score: float | None = None


@dataclass(frozen=True)
class Changes:
    """Differences between a model's labels and the reference's.

    With several labels for a text, the label is the whole set.

    Attributes:
        same: Texts with the same label, right or wrong.
        broken: Texts that the reference has right and the model wrong.
        repaired: Texts that the model has right and the reference wrong.
        otherwise: Texts that both have wrong, with different labels.
        examples: Some of the texts that changed: the broken ones first, then the repaired; of each kind those first
            of which the reference is surest; of sets, those with a label furthest from the reference's threshold.
    """

    same: int
    broken: int
    repaired: int
    otherwise: int
    examples: tuple[ChangedText, ...] | tuple[ChangedSet, ...]


@dataclass(frozen=True)
class Mistake:
    """A text with a wrong label from a model.

    Attributes:
        text: The text; a long one is shortened.
        right: Right label.
        given: Label from the model.
        score: Score of that label.
        right_score: Score of the right label.
    """

    text: str
    right: str
    given: str
    score: float
    right_score: float


@dataclass(frozen=True)
class OpCount:
    """Number of ops of a kind and version in a file, over all signatures.

    Attributes:
        op: Name, such as `FULLY_CONNECTED`.
        version: Version of the op.
        count: Number of ops.
    """

    op: str
    version: int
    count: int


@dataclass(frozen=True)
class FileFacts:
    """Metadata and contents of an artifact.

    Attributes:
        name: Name of the model.
        sha256: Digest of the whole file.
        flatbuffer_size, flatbuffer_sha256: Bytes and digest of the TFLite model without its archive.
        quantization: Quantization plan.
        target, oldest_runtime: Accelerator, and oldest TFLite version that runs the file.
        tokenizer: Kind and settings of the tokenizer.
        architecture, parity, preparation, versions: As in `ArtifactMetadata`.
        golden_cases: Number of golden cases.
        ops: Ops by name and version.
        matmul_weights: Dtype of the weights -> number of matmuls.
        integer_ops: Op -> number of those with int8 outputs.
        constant_bytes: Dtype -> bytes.
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
    """Facts about a Keras preset.

    Attributes:
        source: Name of the preset or of its directory.
        parameters: Number of weights.
        weight_bytes: Bytes of the weights, in the dtype that they are computed in.
        sequence_length: Tokens that a text is cut to.
        versions: Package -> version, of the packages that ran it.
    """

    source: str
    parameters: int
    weight_bytes: int
    sequence_length: int
    versions: Mapping[str, str]


@dataclass(frozen=True)
class BaselineFacts:
    """Facts about the baseline.

    Attributes:
        data: Name of the file of training texts.
        texts: Number of training texts.
        features: Number of n-grams.
        size: Bytes of the pickled model.
        speed: Its speed, in this process.
        versions: Package -> version, of the packages that ran it.
    """

    data: str
    texts: int
    features: int
    size: int
    speed: CallSpeed
    versions: Mapping[str, str]


@dataclass(frozen=True)
class MeasuredModel:
    """Measurements of one model.

    Attributes:
        name: Name of its file or directory, unique in a report.
        evaluation: Scores, with classes in the order of `Measurements.labels`; a `SetEvaluation` if texts have several
            labels.
        changes: Differences from the reference; `None` for the reference itself.
        speed: Speed of a file; `None` for another model.
        file: Facts about a file; `None` for another model.
        keras: Facts about a Keras preset; `None` for another model.
        baseline: Facts about the baseline; `None` for another model.
        scores: Measures of the scores; `None` for the baseline.
        mistakes: Some of the texts with a wrong label, the highest scores first; of several labels, those that are
            given wrongly, then those that are missing, the surest first. Empty for the baseline.
        thresholds: Smallest probability of each of `Measurements.labels` that a multi-label model gives; empty for
            other models.
    """

    name: str
    evaluation: Evaluation | SetEvaluation
    changes: Changes | None
    speed: ModelSpeed | None = None
    file: FileFacts | None = None
    keras: KerasFacts | None = None
    baseline: BaselineFacts | None = None
    scores: ScoreQuality | None = None
    mistakes: tuple[Mistake, ...] | tuple[SetMistake, ...] = ()
    thresholds: tuple[float, ...] = ()

    @property
    def accuracy(self) -> float:
        """Share of the texts with the right label, or from a multi-label model with exactly the right labels."""
        found = self.evaluation
        return found.subset_accuracy if isinstance(found, SetEvaluation) else found.accuracy

    @property
    def size(self) -> int:
        """Bytes of the file, of the weights of a Keras preset, or of the pickled baseline."""
        if self.speed:
            return self.speed.size
        if self.baseline:
            return self.baseline.size
        return self.keras.weight_bytes if self.keras else 0

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95 % confidence interval of the accuracy.

        Wilson's score interval: E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference,
        Journal of the American Statistical Association 22 (1927).

        Example:
            >>> from edgedistil.scores import evaluate_labels
            >>> scores = evaluate_labels(["a"] * 10, ["a"] * 8 + ["b"] * 2, ["a", "b"])
            >>> model = MeasuredModel("x.tflite", scores, changes=None, speed=None, file=None, keras=None)
            >>> [round(end, 3) for end in model.accuracy_interval]
            [0.49, 0.943]
        """
        share, count = self.accuracy, self.evaluation.texts
        spread = _NORMAL_95**2 / count
        center = (share + spread / 2) / (1 + spread)
        half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
        return max(center - half, 0.0), min(center + half, 1.0)

    @property
    def is_keras(self) -> bool:
        """True if it is a preset that Keras ran."""
        return self.keras is not None

    @property
    def latency(self) -> CallSpeed | ModelSpeed | None:
        """Speed of a file or of the baseline; `None` for a Keras preset."""
        return self.baseline.speed if self.baseline else self.speed

    @property
    def short_name(self) -> str:
        """The name without `.tflite`."""
        return self.name.removesuffix(".tflite") or self.name

    @property
    def scheme(self) -> str:
        """Quantization scheme, or the library that runs the model: `Keras` or `scikit-learn`."""
        if self.baseline:
            return "scikit-learn"
        return str(self.file.quantization["scheme"]) if self.file else "Keras"


@dataclass(frozen=True)
class Measurements:
    """Everything that a report shows.

    Attributes:
        data: Facts about the labelled texts.
        labels: Classes, in the reference's order.
        models: Models, in the order in which they were given.
        reference: Index of the model that the others are compared with.
        machine: Machine that was measured on.
        measured_at: Time of the measurement, ISO 8601 in UTC.
        timed: Facts about the texts that were timed; `None` if no file was timed.
        settings: Settings of the speed measurement.
        edgedistil: Version that measured.
        schema_version: Version of this structure.
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
    def has_label_sets(self) -> bool:
        """True if texts have any number of labels."""
        return isinstance(self.reference_model.evaluation, SetEvaluation)

    @property
    def others(self) -> tuple[MeasuredModel, ...]:
        """The models that are compared with the reference."""
        return tuple(model for i, model in enumerate(self.models) if i != self.reference)

    def to_dict(self) -> dict[str, Any]:
        """The measurements as plain data, with the pairs of labels that each model confuses most."""
        data = asdict(self)
        for model, entry in zip(self.models, data["models"], strict=True):
            entry["evaluation"] = model.evaluation.to_dict()
            entry["confused_pairs"] = [asdict(pair) for pair in model.evaluation.confused_pairs()]
        return data

    def to_json(self) -> str:
        """The measurements as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)
