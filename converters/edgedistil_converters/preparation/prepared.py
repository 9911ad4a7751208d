"""The input of a conversion: a prepared classifier, and the options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistil_converters.files import check_output
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.model.keras_hub import read_output_activation
from edgedistil_converters.quantization.calibration import check_calibration_given
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.quantization.schemes import Bounds
from edgedistil_converters.targets.plans import check_target
from edgedistil_converters.targets.torq_tools import find_torq_tools
from edgedistil_runtime.contract import CORALBOARD, CPU, NPU
from edgedistil_runtime.errors import ConversionError

if TYPE_CHECKING:
    from edgedistil_converters.quantization.ranges import Ranges
    from edgedistil_runtime.artifact import GoldenCase

__all__ = ["ConversionOptions", "PreparedClassifier", "check_fixed_lengths", "check_unknown_target", "failed_path"]

_SHORTEST_ROW = 3  # [CLS], one piece, [SEP]


@dataclass(frozen=True)
class PreparedClassifier:
    """A trained classifier and what is known about it.

    Attributes:
        classifier: A `keras_hub.models.DistilBertTextClassifier` with its preprocessor.
        labels: Class names, in the order of the classifier's outputs.
        name: Name of the model in its metadata.
        calibration_texts: Texts like those that the model will classify. `int8-static` measures ranges on them, and
            int4 weights are rounded by GPTQ if there are any.
        ranges: Activation ranges from training with quantization, site -> (min, max). Required by `int8-qat`.
        reference: Outputs of the classifier before a step that changed it, with which the file is compared. None for
            the outputs of `classifier`.
        record: Changes made to the classifier, as plain data for the metadata.
        thresholds: Smallest probability of each label that the model gives a text, for a classifier with an independent
            sigmoid for each label; empty for one that gives every text its best label.

    Raises:
        ConversionError: The preprocessor is missing, or the labels or thresholds do not fit the outputs.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> PreparedClassifier(load_classifier("intents"), ["lights", "music"], "intents")
        Traceback (most recent call last):
        edgedistil_runtime.errors.ConversionError: There must be one distinct label for each of the classifier's 3 ...
    """

    classifier: Any
    labels: Sequence[str]
    name: str
    calibration_texts: Sequence[str] = ()
    ranges: "Ranges | None" = None
    reference: "Sequence[GoldenCase] | None" = None
    record: Mapping[str, Any] = field(default_factory=dict)
    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        classifier, labels = self.classifier, self.labels
        if getattr(classifier, "preprocessor", None) is None:
            raise ConversionError(
                "The classifier needs its preprocessor, which has the tokenizer. Received: preprocessor=None. "
                "Set classifier.preprocessor to a DistilBertTextClassifierPreprocessor."
            )
        if isinstance(labels, str) or not all(isinstance(name, str) and name and "\n" not in name for name in labels):
            raise ConversionError(
                "Labels (`labels`) must be a list of strings, none of them empty, each on one line. "
                f"Received: {labels if isinstance(labels, str) else list(labels)[:10]!r}."
            )
        if len(labels) != classifier.num_classes or len(set(labels)) != len(labels):
            raise ConversionError(
                f"There must be one distinct label for each of the classifier's {classifier.num_classes} outputs. "
                f"Received {len(labels)} labels: {', '.join(map(str, labels[:10]))}."
            )
        if self.thresholds:
            _check_thresholds(self.thresholds, labels, read_output_activation(classifier))

    def require_one_label(self, what: str) -> None:
        """Refuses a multi-label classifier for a step that needs the one right label of each text.

        Args:
            what: The step, the beginning of a sentence.

        Raises:
            ConversionError: The classifier has thresholds.
        """
        if self.thresholds:
            raise ConversionError(
                f"{what} a classifier that gives every text one label. Received: a multi-label classifier."
            )


def _check_thresholds(thresholds: tuple[float, ...], labels: Sequence[str], activation: str) -> None:
    if len(thresholds) != len(labels) or not all(0 < threshold < 1 for threshold in thresholds):
        raise ConversionError(
            "There must be a number greater than 0 and less than 1 for each label (`thresholds`). "
            f"Received: {len(thresholds)} for {len(labels)} labels: {list(thresholds)[:10]}."
        )
    if activation != "sigmoid" or len(labels) < 2:
        raise ConversionError(
            "A multi-label classifier (`thresholds`) has several outputs with a sigmoid each: activation='sigmoid'. "
            f"Received: {len(labels)} outputs, {activation}."
        )


@dataclass(frozen=True)
class ConversionOptions:
    """How a classifier is converted.

    Attributes:
        plan: How to quantize; int8 with dynamic ranges by default.
        interface: Inputs of the file; one text as UTF-8 bytes, with the builtin tokenizer, by default.
        target: `cpu`; `gpu`, `edgetpu` or `coralboard` for a file with a second part for that accelerator; `npu` for a
            float file of fixed shapes.
        verification_texts: Texts like those that the model will classify, to verify in addition to the built-in ones.
            Without any, the calibration texts are taken.
        verification_labels: Label of each of these texts, for the accuracy; None or an unknown one does not count.
            Empty if there are none.
        verification_source: Origin of these texts, for the report.
        bounds: Bounds of the verification instead of the plan's.
        keep_failed: True to write a file that fails verification under another name; see `failed_path`.
        force: True to replace an existing file.
        fixed_lengths: Numbers of token ids, ascending, for which the file has signatures of fixed shapes as well; see
            `signatures.FixedShapes`. A file for an NPU has no others, and one of its sequence length by default.

    Example:
        >>> options = ConversionOptions(QuantizationPlan("int8-static"))
        >>> options.check(Path("intents_static.tflite"), ["turn the lights on", "play some music"])
    """

    plan: QuantizationPlan = field(default_factory=QuantizationPlan)
    interface: ModelInterface = field(default_factory=ModelInterface)
    target: str = "cpu"
    verification_texts: Sequence[str] = ()
    force: bool = False
    verification_labels: Sequence[str | None] = ()
    verification_source: str = "verification texts"
    bounds: Bounds = field(default_factory=Bounds)
    keep_failed: bool = False
    fixed_lengths: Sequence[int] = ()

    def check(self, output: Path, calibration_texts: Sequence[str] = ()) -> None:
        """Checks, before any work, that the options can be met.

        Args:
            output: The file to write.
            calibration_texts: Calibration texts, which some plans need.

        Raises:
            OutputError: The file cannot be written.
            ConversionError: The target cannot run the plan or the interface, or its compiler is missing, or the plan
                needs texts.
        """
        check_output(output, force=self.force)
        check_target(self.target, self.plan, self.interface)
        if self.target == CORALBOARD:
            find_torq_tools()
        check_fixed_lengths(self.fixed_lengths, self.interface)
        check_calibration_given(self.plan, calibration_texts)


def check_fixed_lengths(lengths: Sequence[int], interface: ModelInterface, sequence_length: int | None = None) -> None:
    """Checks that a file can have signatures of these lengths.

    Args:
        lengths: Numbers of token ids.
        interface: Inputs of the file.
        sequence_length: The most token ids that the model reads, if it is known already.

    Raises:
        ConversionError: A number is too small or too large, they do not ascend, or MediaPipe reads the file.

    Example:
        >>> check_fixed_lengths((32, 16), ModelInterface())
        Traceback (most recent call last):
        edgedistil_runtime.errors.ConversionError: Fixed lengths (`fixed_lengths`) must be whole numbers from 3 up, ...
    """
    are_numbers = all(isinstance(length, int) and not isinstance(length, bool) for length in lengths)
    if not are_numbers or list(lengths) != sorted({length for length in lengths if length >= _SHORTEST_ROW}):
        raise ConversionError(
            f"Fixed lengths (`fixed_lengths`) must be whole numbers from {_SHORTEST_ROW} up, each once and ascending, "
            f"such as 16,32,64. Received: {','.join(map(str, lengths))}."
        )
    if lengths and interface.metadata is not None:
        raise ConversionError(
            f"A host that reads {interface.metadata} metadata takes a file with one signature. Received: "
            f"`fixed_lengths` with `metadata`={interface.metadata!r}. Leave out one of them."
        )
    if lengths and sequence_length is not None and lengths[-1] > sequence_length:
        raise ConversionError(
            f"Fixed lengths (`fixed_lengths`) can be at most the model's sequence length, {sequence_length}. "
            f"Received: {','.join(map(str, lengths))}. Leave out the longer ones, or raise `sequence_length`."
        )


def check_unknown_target(target: str, interface: ModelInterface) -> None:
    """Checks that a file for a target and a host can have the output `unknown_score`.

    Raises:
        ConversionError: An accelerator, whose part gives probabilities only, or MediaPipe, which takes one output.

    Example:
        >>> check_unknown_target("gpu", ModelInterface())
        Traceback (most recent call last):
        edgedistil_runtime.errors.ConversionError: `unknown_label` needs the target cpu or npu (`target`). ...
    """
    if target not in (CPU, NPU):
        raise ConversionError(
            f"`unknown_label` needs the target {CPU} or {NPU} (`target`). Received: {target}. "
            "Convert without it, or for one of these."
        )
    if interface.metadata is not None:
        raise ConversionError(
            f"A host that reads {interface.metadata} metadata takes a model with one output. Received: `unknown_label` "
            f"with `metadata`={interface.metadata!r}. Leave out one of them."
        )


def failed_path(output: Path) -> Path:
    """Return the name under which a file that fails verification is kept.

    Example:
        >>> failed_path(Path("intents.tflite")).name
        'intents.failed.tflite'
    """
    return output.with_name(f"{output.stem}.failed.tflite")
