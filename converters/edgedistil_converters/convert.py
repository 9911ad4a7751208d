"""The main job: a Keras classifier in, one verified artefact out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edgedistil_converters.files import atomic_path, check_output
from edgedistil_converters.flatbuffer import convert_module
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.model.keras_hub import read_weights
from edgedistil_converters.model.keras_token_ids import unpadded_rows
from edgedistil_converters.model.weights import ClassifierWeights
from edgedistil_converters.quantization.calibration import check_calibration
from edgedistil_converters.quantization.observed_ranges import activation_ranges
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.quantization.ranges import Ranges
from edgedistil_converters.signatures import DEFAULT_SHAPES, TextClassifierModule
from edgedistil_converters.targets.build import build_encoder
from edgedistil_converters.targets.mediapipe import check_mediapipe_tokenizer, with_mediapipe_metadata
from edgedistil_converters.targets.parts import TargetEncoder
from edgedistil_converters.targets.plans import check_target, encoder_tolerance
from edgedistil_converters.tflite.structure import Structure, read_structure
from edgedistil_converters.tokenizer.settings import read_tokenizer
from edgedistil_converters.tokenizer.tftext import CUSTOM_OPS
from edgedistil_converters.verification.keras_answers import answer_with_keras
from edgedistil_converters.verification.plan_check import check_structure
from edgedistil_converters.verification.texts import verification_inputs
from edgedistil_converters.verification.verify import (
    ParityReport,
    choose_golden_cases,
    replay_tolerance,
    trusted_answers,
    verify,
)
from edgedistil_runtime.artifact import (
    Artifact,
    ArtifactMetadata,
    EncoderFlatbuffers,
    EncoderPart,
    GoldenCase,
    TokenizerSettings,
    artifact_bytes,
    read_artifact,
)
from edgedistil_runtime.errors import ConversionError

__all__ = ["Conversion", "convert_classifier"]

_PACKAGES = ("edgedistil-converters", "tensorflow", "keras", "keras-hub", "ai-edge-litert", "litert-quantizer")


@dataclass(frozen=True)
class Conversion:
    """A finished conversion.

    Attributes:
        artifact: what was written, read back.
        parity: how it compares with the Keras classifier.
        structure: what it is made of.
    """

    artifact: Artifact
    parity: ParityReport
    structure: Structure


def convert_classifier(
    classifier: Any,
    labels: Sequence[str],
    output: str | Path,
    *,
    plan: QuantizationPlan | None = None,
    interface: ModelInterface | None = None,
    calibration_texts: Sequence[str] = (),
    ranges: Ranges | None = None,
    answers: Sequence[GoldenCase] | None = None,
    preparation: Mapping[str, Any] | None = None,
    target: str = "cpu",
    name: str | None = None,
    verification_texts: Sequence[str] = (),
    force: bool = False,
    on_stage: Callable[[str], None] | None = None,
) -> Conversion:
    """Converts a trained classifier into one `.tflite` file: text in, class probabilities out.

    Args:
        classifier: a `keras_hub.models.DistilBertTextClassifier` with its preprocessor.
        labels: class names, in the order of the classifier's outputs.
        output: path of the file to write.
        plan: how to quantize; int8 with dynamic ranges by default.
        interface: what the file takes; one text, UTF-8 bytes for the builtin tokenizer, by default.
        calibration_texts: texts like those the model will meet, which `int8-static` needs; with them, int4 weights are
            rounded by GPTQ.
        ranges: of activations, site -> (least, greatest), learned in training, for a plan of `int8-qat`.
        answers: what the file is verified against instead of the classifier's own answers: those that it gave to
            `verification_inputs` before training with quantization changed it; see `answer_with_keras`. There are no
            others then, whatever `verification_texts` says.
        preparation: what was done to the classifier before, as plain data for the metadata.
        target: `cpu`, which every device has; `gpu` or `edgetpu` for a file with a second part for that accelerator.
        name: what the model is called in its metadata; the file's stem by default.
        verification_texts: texts like those the model will meet, verified beside the built-in ones.
        force: whether to replace an existing file.
        on_stage: called with the name of each stage as it begins.

    Returns:
        The artefact, its parity with the classifier, and its structure.

    Raises:
        OutputError: the file cannot be written.
        ConversionError: the classifier cannot be converted; among these
        StructureError: the file is not what the plan says;
        ParityError: the file does not compute what the classifier computes. No file is left then.

    Example:
        >>> import keras_hub
        >>> classifier = keras_hub.models.DistilBertTextClassifier.from_preset("intents")
        >>> conversion = convert_classifier(classifier, ["lights", "music", "weather"], "int8.tflite")
        >>> conversion.parity.label_agreement
        1.0
    """
    plan, interface = plan or QuantizationPlan(), interface or ModelInterface()
    output, stage = Path(output), on_stage or (lambda _: None)
    check_output(output, force=force)
    check_target(target, plan, interface)
    _check_classifier(classifier, labels)
    check_calibration(plan, calibration_texts, ranges)
    stage("reading weights and vocabulary")
    source = _read(classifier, interface)
    if calibration_texts:
        plan = plan.calibrated(len(source.weights.layers))
    if answers is None:
        stage("answering the verification texts with Keras")
        answers = answer_with_keras(classifier, verification_inputs(verification_texts, interface))
    rows = cache(lambda: _calibration_rows(classifier.preprocessor, calibration_texts, interface))
    stage("building the graph and its tokenizer")
    encoder = build_encoder(target, source.weights, source.settings, plan, rows, ranges)
    flatbuffer, structure = _convert(source, plan, interface, encoder, rows, ranges, stage)
    name = name or output.stem
    if interface.metadata == "mediapipe":
        flatbuffer = with_mediapipe_metadata(flatbuffer, name=name, settings=source.settings)
    metadata = replace(
        _metadata(name, labels, source, plan, structure, choose_golden_cases(answers)),
        target=target,
        encoder=_described(encoder),
        preparation=preparation or {},
    )
    parts = _Parts(flatbuffer, source.vocabulary, encoder, is_deflated=interface.metadata is None)
    stage("verifying the file against Keras")
    with atomic_path(output, force=force) as temporary:
        parity = _write_verified(temporary, parts, metadata, answers, plan)
    return Conversion(artifact=read_artifact(output), parity=parity, structure=structure)


def _calibration_rows(preprocessor: Any, texts: Sequence[str], interface: ModelInterface) -> list[tuple[int, ...]]:
    """Token ids of texts and, where the file takes pairs, of each text with its neighbour."""
    rows = unpadded_rows(preprocessor, texts)
    if interface.takes_text_pair and len(texts) > 1:
        rows += unpadded_rows(preprocessor, texts[:-1], texts[1:])
    return rows


@dataclass(frozen=True)
class _Source:
    """What is read of a classifier."""

    weights: ClassifierWeights
    settings: TokenizerSettings
    vocabulary: Sequence[str]


def _read(classifier: Any, interface: ModelInterface) -> _Source:
    weights = read_weights(classifier)
    settings, vocabulary = read_tokenizer(classifier.preprocessor)
    settings = replace(settings, kind=interface.tokenizer)
    _check_sizes(weights, settings)
    _check_interface(interface, settings, vocabulary)
    return _Source(weights, settings, vocabulary)


def _convert(
    source: _Source,
    plan: QuantizationPlan,
    interface: ModelInterface,
    encoder: TargetEncoder | None,
    rows: Callable[[], Sequence[Sequence[int]]],
    ranges: Ranges | None,
    stage: Callable[[str], None],
) -> tuple[bytes, Structure]:
    """The flatbuffer that every CPU runs, and what it is made of, found to be what the plan says."""

    def calibrate(model: bytes) -> Ranges:
        if ranges is not None:
            return ranges
        stage("measuring the ranges of activations")
        return activation_ranges(model, rows())

    encoder_inputs = encoder.inputs if encoder else None
    module = TextClassifierModule(source.weights, source.settings, source.vocabulary, plan, interface, encoder_inputs)
    stage(f"converting to TFLite, {plan.scheme}")
    custom_ops = CUSTOM_OPS if interface.tokenizer == "tftext" else frozenset()
    flatbuffer = convert_module(
        module, plan, DEFAULT_SHAPES, has_custom_ops=bool(custom_ops), calibrate=calibrate, sample_rows=rows
    )
    structure = read_structure(flatbuffer)
    check_structure(structure, plan, custom_ops)
    return flatbuffer, structure


@dataclass(frozen=True)
class _Parts:
    """What a file is made of beside its metadata."""

    flatbuffer: bytes
    vocabulary: Sequence[str]
    encoder: TargetEncoder | None
    is_deflated: bool  # hosts' own readers of the archive inflate nothing

    def write(self, path: Path, metadata: ArtifactMetadata) -> None:
        encoder = EncoderFlatbuffers(self.encoder.flatbuffer, self.encoder.compiled) if self.encoder else None
        path.write_bytes(
            artifact_bytes(self.flatbuffer, metadata, self.vocabulary, encoder=encoder, is_deflated=self.is_deflated)
        )


def _described(encoder: TargetEncoder | None) -> EncoderPart | None:
    if encoder is None:
        return None
    return EncoderPart(encoder.lengths, is_compiled=encoder.compiled is not None, mapping=encoder.mapping)


def _write_verified(
    path: Path, parts: _Parts, metadata: ArtifactMetadata, answers: Sequence[GoldenCase], plan: QuantizationPlan
) -> ParityReport:
    """Writes the file, verifies it, and writes it again with what that found."""
    parts.write(path, metadata)
    tolerance = plan.tolerance
    parity = both = verify(path, answers, tolerance)
    if metadata.encoder is not None:
        tolerance = encoder_tolerance(metadata.target, plan)
        encoder_parity = verify(path, answers, tolerance, part="encoder")
        metadata = replace(metadata, encoder=replace(metadata.encoder, parity=encoder_parity.to_dict()))
        both = parity.worse_of(encoder_parity)
    metadata = replace(
        metadata,
        parity=parity.to_dict(),
        golden_cases=choose_golden_cases(trusted_answers(answers, both)),
        tolerance=replay_tolerance(tolerance, both),
    )
    parts.write(path, metadata)
    return parity


def _check_classifier(classifier: Any, labels: Sequence[str]) -> None:
    if getattr(classifier, "preprocessor", None) is None:
        raise ConversionError(
            "The classifier needs its preprocessor: the tokenizer goes into the file. Received: preprocessor=None. "
            "Set classifier.preprocessor to a DistilBertTextClassifierPreprocessor."
        )
    if isinstance(labels, str) or not all(isinstance(label, str) and label and "\n" not in label for label in labels):
        raise ConversionError(
            "Labels must be a list of strings, none of them empty, each on one line. "
            f"Received: {labels if isinstance(labels, str) else list(labels)[:10]!r}."
        )
    if len(labels) != classifier.num_classes or len(set(labels)) != len(labels):
        raise ConversionError(
            f"There must be one distinct label for each of the classifier's {classifier.num_classes} outputs. "
            f"Received {len(labels)} labels: {', '.join(map(str, labels[:10]))}."
        )


def _check_sizes(weights: ClassifierWeights, settings: TokenizerSettings) -> None:
    rows, positions = weights.token_embeddings.shape[0], weights.position_embeddings.shape[0]
    if settings.vocabulary_size > rows:
        raise ConversionError(
            f"The vocabulary has {settings.vocabulary_size} pieces and the embedding table {rows} rows. "
            "The tokenizer belongs to another backbone; load both from one preset."
        )
    if settings.sequence_length > positions:
        raise ConversionError(
            f"sequence_length must be at most the backbone's max_sequence_length, {positions}. "
            f"Received: {settings.sequence_length}. Build the preprocessor with sequence_length={positions}."
        )


def _check_interface(interface: ModelInterface, settings: TokenizerSettings, vocabulary: Sequence[str]) -> None:
    if interface.takes_text_pair and settings.sequence_length < 3:
        raise ConversionError(
            "A pair of texts needs a sequence_length of at least 3, for [CLS] and two [SEP]. "
            f"Received: {settings.sequence_length}."
        )
    if interface.metadata == "mediapipe":
        check_mediapipe_tokenizer(settings, vocabulary)


def _metadata(
    name: str,
    labels: Sequence[str],
    source: _Source,
    plan: QuantizationPlan,
    structure: Structure,
    golden_cases: tuple[GoldenCase, ...],
) -> ArtifactMetadata:
    return ArtifactMetadata(
        name=name,
        labels=tuple(labels),
        tokenizer=source.settings,
        quantization=plan.to_dict(),
        target="cpu",
        golden_cases=golden_cases,
        tolerance=plan.tolerance.largest,
        model=source.weights.summary(),
        versions={package: version(package) for package in _PACKAGES},
        oldest_runtime=structure.minimum_runtime,
    )
