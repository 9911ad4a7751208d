"""The main job: a Keras classifier in, one verified file out.

read -> answer with Keras -> build -> quantize -> check the plan -> write -> verify
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edgedistil_converters.files import atomic_path
from edgedistil_converters.flatbuffer import convert_module
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.model.keras_logits import keras_logits
from edgedistil_converters.model.keras_token_ids import unpadded_rows
from edgedistil_converters.model.mean_pooling import fold_mean_pooling
from edgedistil_converters.model.read_classifier import read_classifier
from edgedistil_converters.model.weights import ClassifierWeights
from edgedistil_converters.preparation.outlier_channels import scale_outlier_channels
from edgedistil_converters.preparation.prepared import (
    ConversionOptions,
    PreparedClassifier,
    check_fixed_lengths,
    check_unknown_target,
    failed_path,
)
from edgedistil_converters.preparation.unknown_texts import energies, fit_unknown_rule
from edgedistil_converters.quantization.calibration import check_calibration, sampled
from edgedistil_converters.quantization.observed_ranges import activation_ranges
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.quantization.ranges import Ranges
from edgedistil_converters.quantization.schemes import Bounds
from edgedistil_converters.signatures import (
    DEFAULT_SHAPES,
    FixedShapes,
    TextClassifierModule,
    check_pairs,
    check_signatures,
    custom_ops,
)
from edgedistil_converters.targets.build import build_encoder
from edgedistil_converters.targets.mediapipe import with_mediapipe_metadata
from edgedistil_converters.targets.npu import check_npu_form
from edgedistil_converters.targets.parts import TargetEncoder
from edgedistil_converters.tflite.structure import Structure, read_structure
from edgedistil_converters.verification.keras_answers import answer_with_keras
from edgedistil_converters.verification.plan_check import check_structure
from edgedistil_converters.verification.samples import Samples, class_number
from edgedistil_converters.verification.texts import verification_inputs
from edgedistil_converters.verification.unknown_check import check_unknown_scores
from edgedistil_converters.verification.verified_file import FileParts, write_verified
from edgedistil_converters.verification.verify import ParityReport
from edgedistil_converters.verification.weights_check import check_weights
from edgedistil_runtime.artifact import Artifact, ArtifactMetadata, GoldenCase, TokenizerSettings, read_artifact
from edgedistil_runtime.contract import (
    BUILTIN,
    FIXED_LENGTHS,
    MULTI_LABEL_SCHEMA_VERSION,
    NPU,
    SCHEMA_VERSION,
    UNKNOWN_TEXTS,
)
from edgedistil_runtime.errors import ConversionError, ParityError

__all__ = ["Conversion", "convert_classifier", "convert_prepared"]

Stage = Callable[[str], None]

_MOST_SAMPLES = 300
_PACKAGES = ("edgedistil-converters", "tensorflow", "keras", "keras-hub", "ai-edge-litert", "litert-quantizer")


@dataclass(frozen=True)
class Conversion:
    """A finished conversion.

    Attributes:
        artifact: The file that was written, read back.
        parity: Comparison with the Keras classifier.
        structure: Signatures, ops and dtypes of the file.
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
    target: str = "cpu",
    name: str | None = None,
    verification_texts: Sequence[str] = (),
    verification_labels: Sequence[str | None] = (),
    min_agreement: float | None = None,
    max_accuracy_loss: float | None = None,
    keep_failed: bool = False,
    force: bool = False,
    on_stage: Stage | None = None,
    thresholds: Sequence[float] = (),
    unknown_label: str | None = None,
    in_scope_kept: float | None = None,
    unknown_texts: Sequence[str] = (),
    fixed_lengths: Sequence[int] = (),
) -> Conversion:
    """Converts a trained classifier into one `.tflite` file: text in, class probabilities out.

    Args:
        classifier: A `keras_hub.models.DistilBertTextClassifier` with its preprocessor.
        labels: Class names, in the order of the classifier's outputs.
        output: Path of the file to write.
        plan: How to quantize; int8 with dynamic ranges by default. `int8-qat` needs learned ranges: see
            `convert_prepared`.
        interface: What the file takes; one text, UTF-8 bytes for the builtin tokenizer, by default.
        calibration_texts: Texts like those that the model will meet, which `int8-static` needs; with them, int4
            weights are rounded by GPTQ.
        target: `cpu`, which every device has; `gpu`, `edgetpu` or `coralboard` for a file with a second part for that
            accelerator; `npu` for a float file of fixed shapes that takes token ids.
        name: Name of the model in its metadata; the file's stem by default.
        verification_texts: Texts like those that the model will meet, on which the file is judged; without any, the
            calibration texts.
        verification_labels: Label of each of these texts, for the accuracy; None or an unknown one does not count.
            Empty if there are none.
        min_agreement: Smallest share of texts with the classifier's label, see `Rules`; None for the plan's.
        max_accuracy_loss: Largest loss of accuracy in percentage points, see `Rules`; None for the plan's.
        keep_failed: True to write a file that fails verification under another name, `model.failed.tflite` for
            `model.tflite`.
        force: True to replace an existing file.
        on_stage: Called with the name of each stage as it begins.
        thresholds: For a multi-label classifier, which has a sigmoid for each label: smallest probability of each label
            that a text gets, in the order of `labels`. Empty for a classifier that gives every text one label.
        unknown_label: Name for texts with none of the labels, for a file with `unknown_score`; see `fit_unknown_rule`.
            The threshold is fitted on the verification texts that have labels, on which the classifier must not have
            been trained.
        in_scope_kept: With `unknown_label`, see `fit_unknown_rule`.
        unknown_texts: With `unknown_label`, see `fit_unknown_rule`.
        fixed_lengths: Numbers of token ids, ascending, for which the file has signatures of fixed shapes as well, for
            hosts that cannot resize an input.

    Returns:
        The file, its parity with the classifier, and its structure.

    Raises:
        OutputError: The file cannot be written.
        ConversionError: The classifier cannot be converted; among these
        StructureError: The file is not what the plan requires.
        ParityError: The file does not compute what the classifier computes. No file is left then.

    Example:
        >>> import keras_hub
        >>> classifier = keras_hub.models.DistilBertTextClassifier.from_preset("intents")
        >>> conversion = convert_classifier(classifier, ["lights", "music", "weather"], "int8.tflite")
        >>> conversion.parity.label_agreement
        1.0
    """
    prepared = PreparedClassifier(
        classifier, labels, name or Path(output).stem, calibration_texts, thresholds=tuple(map(float, thresholds))
    )
    options = ConversionOptions(
        plan or QuantizationPlan(),
        interface or ModelInterface(),
        target,
        verification_texts,
        force,
        verification_labels,
        bounds=Bounds(min_agreement, max_accuracy_loss),
        keep_failed=keep_failed,
        fixed_lengths=tuple(fixed_lengths),
    )
    if unknown_label is not None:
        options.check(Path(output), calibration_texts)
        check_unknown_target(options.target, options.interface)
        prepared = fit_unknown_rule(
            prepared,
            unknown_label,
            verification_texts,
            [class_number(label, labels) for label in verification_labels] or [None] * len(verification_texts),
            in_scope_kept=in_scope_kept,
            unknown_texts=unknown_texts,
            source=options.verification_source,
        )
    elif unknown_texts or in_scope_kept is not None:
        raise ConversionError(
            "`in_scope_kept` and `unknown_texts` need a name for texts with none of the labels. Received: one of them "
            "without `unknown_label`. Pass it too."
        )
    return convert_prepared(prepared, options, output, on_stage=on_stage)


def convert_prepared(
    prepared: PreparedClassifier, options: ConversionOptions, output: str | Path, *, on_stage: Stage | None = None
) -> Conversion:
    """Converts a prepared classifier; `convert_classifier` is the short way for one that needs no preparation.

    Args:
        prepared: The classifier, and what its preparation found.
        options: How to convert it.
        output: Path of the file to write.
        on_stage: Called with the name of each stage as it begins.

    Raises:
        EdgeDistilError: See `convert_classifier`.
    """
    stage, path = on_stage or _ignore, Path(output)
    options.check(path, prepared.calibration_texts)
    check_calibration(options.plan, prepared.calibration_texts, prepared.ranges)
    if UNKNOWN_TEXTS in prepared.record:
        check_unknown_target(options.target, options.interface)
    stage("reading weights and vocabulary")
    source = read_classifier(prepared.classifier, options.interface.tokenizer)
    check_signatures(options.interface, source.settings, source.vocabulary)
    check_pairs(options.interface, source.weights.pooled_activation)
    check_fixed_lengths(options.fixed_lengths, options.interface, source.settings.sequence_length)
    # Fixed ranges are those of the layer that averages, and accelerators run it.
    unscaled = source.weights if options.plan.is_static else fold_mean_pooling(source.weights)
    num_layers = len(unscaled.layers)
    plan = options.plan.calibrated(num_layers) if prepared.calibration_texts else options.plan
    samples, answers = _samples(prepared, options), prepared.reference
    if answers is None:
        stage("answering the verification texts with Keras")
        answers = answer_with_keras(prepared.classifier, verification_inputs(samples.texts, options.interface))
    if prepared.ranges is None:  # training with quantization changes the weights on purpose
        stage("comparing the weights with Keras")
        check_weights(unscaled, source.settings.pad_id, answers)
    rows = cache(lambda: _calibration_rows(prepared, options.interface))
    stage("building the graph and its tokenizer")
    encoder = build_encoder(
        options.target, source.weights, source.settings, plan, rows, prepared.ranges, options.fixed_lengths
    )
    fixed = _fixed_shapes(options, source.settings, encoder)
    is_measured = plan.is_static and prepared.ranges is None  # learned ranges are those of unscaled channels
    weights = scale_outlier_channels(unscaled, rows()) if is_measured else unscaled
    module = TextClassifierModule(
        weights,
        source.settings,
        source.vocabulary,
        plan,
        options.interface,
        encoder.inputs if encoder else None,
        has_unknown_score=UNKNOWN_TEXTS in prepared.record,
        fixed=fixed,
    )

    def calibrate(model: bytes) -> Ranges:
        stage("measuring the ranges of activations")
        return prepared.ranges if prepared.ranges is not None else activation_ranges(model, rows())

    stage(f"converting to TFLite, {plan.scheme}")
    foreign_ops = custom_ops(options.interface)
    flatbuffer = convert_module(
        module, plan, DEFAULT_SHAPES, has_custom_ops=bool(foreign_ops), calibrate=calibrate, sample_rows=rows
    )
    structure = read_structure(flatbuffer)
    check_structure(structure, plan, foreign_ops)
    if options.target == NPU:
        check_npu_form(flatbuffer)
    if options.interface.metadata == "mediapipe":
        flatbuffer = with_mediapipe_metadata(flatbuffer, name=prepared.name, settings=source.settings)
    parts = FileParts(flatbuffer, source.vocabulary, encoder, is_deflated=options.interface.metadata is None)
    stage("verifying the file against Keras")
    with atomic_path(path, force=options.force) as temporary:
        metadata = _metadata(prepared, options, source.settings, unscaled, plan, structure)
        if fixed.lengths:
            metadata = replace(metadata, preparation={**metadata.preparation, FIXED_LENGTHS: fixed.to_dict()})
        if fixed.are_alone:  # no longer row can be run
            answers = [answer for answer in answers if len(answer.token_ids) <= fixed.lengths[-1]]
        try:
            parity = write_verified(temporary, parts, metadata, answers, plan, samples=samples, bounds=options.bounds)
            if metadata.unknown_rule is not None:
                _check_unknown_scores(temporary, prepared, answers, plan)
        except ParityError as error:
            raise ParityError(f"{error} {_keep_failed(temporary, path, options)}") from error
    return Conversion(artifact=read_artifact(path), parity=parity, structure=structure)


def _fixed_shapes(
    options: ConversionOptions, settings: TokenizerSettings, encoder: TargetEncoder | None
) -> FixedShapes:
    """The signatures of fixed shapes that the options make."""
    lengths = tuple(options.fixed_lengths)
    if options.target == NPU:
        return FixedShapes(lengths or (settings.sequence_length,), are_alone=True)
    takes_text = options.interface.tokenizer == BUILTIN
    return FixedShapes(lengths, encoder.lengths if encoder and lengths else (), takes_text=takes_text)


def _samples(prepared: PreparedClassifier, options: ConversionOptions) -> Samples:
    """The texts that the file is judged on, with their classes."""
    if options.verification_texts:
        # The accuracy of several labels is not judged; their agreement with Keras is.
        given = () if prepared.thresholds else options.verification_labels
        numbers = [class_number(label, list(prepared.labels)) for label in given]
        return Samples(options.verification_texts, numbers, options.verification_source)
    if prepared.reference is None and prepared.calibration_texts:
        return Samples(sampled(prepared.calibration_texts, _MOST_SAMPLES), source="calibration texts")
    return Samples()


def _check_unknown_scores(
    path: Path, prepared: PreparedClassifier, answers: Sequence[GoldenCase], plan: QuantizationPlan
) -> None:
    single = [answer for answer in answers if answer.text_pair is None]
    expected = energies(keras_logits(prepared.classifier, [answer.text for answer in single]))
    check_unknown_scores(
        path, [answer.text for answer in single], [answer.token_ids for answer in single], expected, plan
    )


def _keep_failed(failed: Path, path: Path, options: ConversionOptions) -> str:
    """Keeps a file that failed, if that is asked for; returns a sentence about it."""
    if not options.keep_failed:
        return "To study the file, keep it under another name (`keep_failed`)."
    kept = failed_path(path)
    with atomic_path(kept, force=True) as temporary:
        temporary.write_bytes(failed.read_bytes())
    return f"The file is kept for study: {kept}."


def _calibration_rows(prepared: PreparedClassifier, interface: ModelInterface) -> list[tuple[int, ...]]:
    """Token ids of the calibration texts and, if the file takes pairs, of each text with its neighbour."""
    preprocessor, texts = prepared.classifier.preprocessor, prepared.calibration_texts
    rows = unpadded_rows(preprocessor, texts)
    if interface.takes_text_pair and len(texts) > 1:
        rows += unpadded_rows(preprocessor, texts[:-1], texts[1:])
    return rows


def _metadata(
    prepared: PreparedClassifier,
    options: ConversionOptions,
    settings: TokenizerSettings,
    weights: ClassifierWeights,
    plan: QuantizationPlan,
    structure: Structure,
) -> ArtifactMetadata:
    """What is known about the file before it is verified."""
    return ArtifactMetadata(
        name=prepared.name,
        labels=tuple(prepared.labels),
        tokenizer=settings,
        quantization=plan.to_dict(),
        target=options.target,
        golden_cases=(),
        tolerance=plan.tolerance.largest,
        model=weights.summary(),
        versions={package: version(package) for package in _PACKAGES},
        oldest_runtime=structure.minimum_runtime,
        preparation=dict(prepared.record),
        thresholds=prepared.thresholds,
        schema_version=MULTI_LABEL_SCHEMA_VERSION if prepared.thresholds else SCHEMA_VERSION,
    )


def _ignore(stage: str) -> None:
    pass
