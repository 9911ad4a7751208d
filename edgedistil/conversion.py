"""From a preset to a verified file: load, train or prune if requested, convert.

    request -> classifier (-> with a head) (-> pruned) (-> trained with quantization) -> converted, verified

`edgedistil convert` is the command line of this module.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistil.data import LabelledTexts, MultiLabelTexts, MultiLabelTrainingData, TrainingData
from edgedistil.data.samples import are_held_out, choose_samples, read_samples, renamed
from edgedistil.data.spelling import spelled_as
from edgedistil.score_fitting import KEPT_TRAINING_DATA, TRAINING_DATA, ScoreWishes, fit_scores, held_out_texts
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.preparation.prepared import ConversionOptions
from edgedistil_converters.quantization.calibration import sampled
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.quantization.schemes import Bounds
from edgedistil_runtime.contract import COMPILED_MEMBERS
from edgedistil_runtime.errors import DataError, OutputError

if TYPE_CHECKING:
    from edgedistil.presets.loading import LabelledClassifier
    from edgedistil.training.tasks import AnyTrainingData
    from edgedistil_converters import Conversion, PreparedClassifier

__all__ = ["ConversionRequest", "checkpoints_folder", "convert_preset"]

Stage = Callable[[str], None]
_Samples = LabelledTexts | MultiLabelTexts | None

_log = logging.getLogger(__name__)
_MOST_CALIBRATION_TEXTS = 512  # ranges hardly widen after a few hundred


@dataclass(frozen=True)
class ConversionRequest:
    """Everything that a conversion depends on.

    Attributes:
        preset: Name, handle or directory of a preset, see `edgedistil.presets`.
        output: The file to write.
        plan: How to quantize.
        interface: Inputs of the file.
        labels: Class names that replace the preset's.
        training: Labelled texts, or texts with any number of labels for a multi-label classifier. A preset without a
            trained head gets one that is trained on them, and `int8-qat` trains on them. A trained head is not changed,
            and must have all of their labels.
        calibration_texts: Texts that `int8-static` measures ranges on and `int4` rounds by, of which 512 are chosen at
            random; the texts of `training` if empty.
        verification_texts: Texts to judge the file on; if empty, the samples that the preset keeps, else texts of
            `training` or `calibration_texts`.
        verification_labels: Label of each of these texts, or None; empty if none has one.
        verification_label_sets: Labels of each of these texts for a multi-label classifier, whose scores are calibrated
            on them; empty if they are not known.
        bounds: Bounds of the verification instead of the plan's.
        keep_failed: True to write a file that fails verification under another name.
        pruning_texts: Texts whose pieces stay in the vocabulary; if empty, it is not pruned.
        vocabulary_size: Number of pieces to keep, with `pruning_texts`.
        target: `cpu`; an accelerator for which the file gets a second part: `gpu`, `edgetpu`, `coralboard`; or `npu`.
        sequence_length: Number of tokens that texts are cut to; None for the preset's.
        name: Name of the model in its metadata; None for the preset's name.
        force: True to replace an existing file.
        seed: Seed of training.
        calibrate_scores: Divide the logits by the temperature that makes scores probabilities of being right, fitted on
            `verification_texts` if they have labels, else on the held-out samples that the preset keeps.
        unknown_label: Name for texts with none of the labels. The file gets the output `unknown_score`, and a threshold
            for it that is fitted on the texts that `calibrate_scores` takes. None for a file without.
        in_scope_kept: With `unknown_label`: share of these texts that the threshold keeps; None for 0.97 or, with
            `unknown_texts`, for the best balance.
        unknown_texts: With `unknown_label`: texts with none of the labels.
        fixed_lengths: Numbers of token ids for which the file has signatures of fixed shapes as well.

    Raises:
        DataError: The vocabulary size has no pruning texts, or `int8-qat` no training data.

    Example:
        >>> ConversionRequest("intents", Path("qat.tflite"), QuantizationPlan("int8-qat"))
        Traceback (most recent call last):
        edgedistil_runtime.errors.DataError: int8-qat trains with quantization before it converts. ...
    """

    preset: str
    output: Path
    plan: QuantizationPlan = field(default_factory=QuantizationPlan)
    interface: ModelInterface = field(default_factory=ModelInterface)
    labels: tuple[str, ...] | None = None
    training: LabelledTexts | MultiLabelTexts | None = None
    calibration_texts: tuple[str, ...] = ()
    verification_texts: tuple[str, ...] = ()
    pruning_texts: tuple[str, ...] = ()
    vocabulary_size: int | None = None
    target: str = "cpu"
    sequence_length: int | None = None
    name: str | None = None
    force: bool = False
    seed: int = 0
    verification_labels: tuple[str | None, ...] = ()
    bounds: Bounds = field(default_factory=Bounds)
    keep_failed: bool = False
    calibrate_scores: bool = False
    unknown_label: str | None = None
    in_scope_kept: float | None = None
    unknown_texts: tuple[str, ...] = ()
    verification_label_sets: tuple[tuple[str, ...], ...] = ()
    fixed_lengths: tuple[int, ...] = ()

    @property
    def options(self) -> ConversionOptions:
        """The part of the request that the converter takes."""
        return ConversionOptions(
            self.plan,
            self.interface,
            self.target,
            self.verification_texts,
            self.force,
            self.verification_labels,
            "verification data",
            self.bounds,
            self.keep_failed,
            self.fixed_lengths,
        )

    @property
    def score_wishes(self) -> ScoreWishes:
        """The part of the request that is fitted on held-out texts."""
        return ScoreWishes(self.calibrate_scores, self.unknown_label, self.in_scope_kept, self.unknown_texts)

    def check(self) -> None:
        """Checks, before any work, that the request can be met.

        Raises:
            EdgeDistilError: The output cannot be written, the target cannot run the plan, or the plan needs texts.
        """
        self.options.check(self.output, _texts_for_calibration(self))
        if self.unknown_label is not None:
            from edgedistil_converters.preparation.prepared import check_unknown_target

            check_unknown_target(self.target, self.interface)
        folder = checkpoints_folder(self.output)
        if self.plan.needs == "training data" and folder.exists() and not folder.is_dir():
            raise OutputError(
                f"Training with quantization keeps its checkpoints in the folder {folder}. Received: a file of that "
                "name. Move it away, or choose another `output`."
            )

    def __post_init__(self) -> None:
        if self.unknown_label is None and (self.unknown_texts or self.in_scope_kept is not None):
            raise DataError(
                "`in_scope_kept` and `unknown_texts` are for a file that recognizes texts with none of its labels. "
                "Received: one of them without `unknown_label`. Pass `unknown_label` too."
            )
        if self.vocabulary_size is not None and not self.pruning_texts:
            raise DataError(
                "A vocabulary is pruned to the pieces of texts. Received: `vocabulary_size` without texts. "
                "Pass `pruning_texts` too."
            )
        if self.plan.needs == "training data" and self.training is None:
            raise DataError(
                "int8-qat trains with quantization before it converts. Received: no training data. Pass `training`, at "
                "best the data that the classifier was trained on, or use the scheme int8 (`scheme`), which needs none."
            )


def convert_preset(request: ConversionRequest, on_stage: Stage | None = None) -> "Conversion":
    """Converts a preset.

    Args:
        request: The preset, the output and the options.
        on_stage: Called with the name of each stage when it begins.

    Raises:
        EdgeDistilError: Loading the preset or the conversion fails, or the data do not fit; no file is written then.

    Example:
        >>> conversion = convert_preset(ConversionRequest("intents", Path("int8.tflite")))
        >>> conversion.artifact.metadata.labels
        ('lights', 'music', 'weather')
    """
    stage = on_stage or (lambda _: None)
    request.check()
    prepared, samples, source = _prepared(request, stage)
    options = _with_samples(request.options, samples, source)
    options = replace(options, verification_labels=spelled_as(options.verification_labels, prepared.labels))
    sets = _label_sets(request, samples, prepared.labels) if prepared.thresholds else None
    of_other_kind = any(request.verification_labels) if prepared.thresholds else bool(request.verification_label_sets)
    held_out = held_out_texts(options, prepared.labels, request.score_wishes, sets, has_other_labels=of_other_kind)
    if request.pruning_texts:
        stage(f"pruning the vocabulary to {len(request.pruning_texts):,} texts")
        prepared = _pruned(prepared, request)
    if request.plan.needs == "training data":
        prepared = _trained_with_quantization(prepared, request, options, stage)
    from edgedistil_converters import convert_prepared

    if held_out is not None:  # after all that changes the weights
        prepared = fit_scores(prepared, request.score_wishes, held_out, stage)
    prepared = _with_calibration_texts(prepared, request)

    conversion = convert_prepared(prepared, options, request.output, on_stage=stage)
    if request.plan.needs == "training data":
        from edgedistil_converters.preparation.quantization_aware.job import remove_job

        remove_job(checkpoints_folder(request.output))
    return conversion


def _with_samples(options: ConversionOptions, samples: _Samples, source: str) -> ConversionOptions:
    """Adds texts to judge the file on, unless the request has some."""
    if options.verification_texts or samples is None:
        return options
    return replace(
        options,
        verification_texts=samples.texts,
        verification_labels=samples.labels if isinstance(samples, LabelledTexts) else (),
        verification_source=source,
    )


def _label_sets(request: ConversionRequest, samples: _Samples, labels: Sequence[str]) -> Sequence[Sequence[str]]:
    """Labels of each of the texts that a multi-label file is judged on; empty if they are not known."""
    if request.verification_texts:
        if not request.verification_label_sets:
            return ()
        samples = MultiLabelTexts(request.verification_texts, request.verification_label_sets)
    return samples.spelled_as(labels).label_sets if isinstance(samples, MultiLabelTexts) else ()


def _with_calibration_texts(prepared: "PreparedClassifier", request: ConversionRequest) -> "PreparedClassifier":
    """Chooses the texts that ranges are measured on or weights rounded by, and records them if they shape the file."""
    texts = sampled(_texts_for_calibration(request), _MOST_CALIBRATION_TEXTS)
    record = dict(prepared.record)
    rounding = request.plan.calibrated(int(prepared.classifier.backbone.num_layers)).rounding
    if texts and (
        request.plan.needs == "calibration data" or rounding != "nearest" or request.target in COMPILED_MEMBERS
    ):
        record["calibration"] = {"texts": len(texts), "sha256": _digest(texts)}
    elif request.calibration_texts:
        _log.warning("The calibration data are not used: a plan of %s measures no ranges.", request.plan.scheme)
    return replace(prepared, calibration_texts=texts, record=record)


def _texts_for_calibration(request: ConversionRequest) -> tuple[str, ...]:
    return request.calibration_texts or (request.training.texts if request.training else ())


def _digest(texts: Sequence[str]) -> str:
    """SHA-256 of texts in their order, which identifies the calibration data."""
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


def _prepared(request: ConversionRequest, stage: Stage) -> "tuple[PreparedClassifier, _Samples, str]":
    """Loads the preset's classifier or trains a head; also returns texts to judge the file on, and their source."""
    from edgedistil.presets.loading import NoTrainedHead, load_labelled_classifier, set_sequence_length
    from edgedistil.training.targets import classifier_targets
    from edgedistil_converters.preparation.prepared import PreparedClassifier

    stage(f"loading {request.preset}")
    record: dict[str, Any] = {}
    try:
        trained = load_labelled_classifier(request.preset, labels=request.labels)
    except NoTrainedHead:
        if request.training is None:
            raise
        record["head"] = {"texts": len(request.training), "seed": request.seed}
        trained, data = _with_new_head(request, request.training, stage)
        samples: _Samples = choose_samples(data.validation or data.training)
        source = "held-out training data" if data.validation else TRAINING_DATA
    else:
        set_sequence_length(trained.classifier, request.sequence_length, request.preset)
        _check_layers(request.plan, trained.classifier)
        if request.training is not None:
            classifier_targets(request.training, trained.labels, is_multi_label=bool(trained.thresholds))
        samples, source = _samples(request, trained.labels)
    prepared = PreparedClassifier(
        trained.classifier,
        trained.labels,
        request.name or trained.name,
        record=record,
        thresholds=trained.thresholds,
    )
    if request.unknown_label is not None:
        from edgedistil_converters.preparation.unknown_texts import check_unknown_rule

        check_unknown_rule(prepared, request.unknown_label, request.in_scope_kept)
    return prepared, samples, source


def _samples(request: ConversionRequest, labels: tuple[str, ...]) -> tuple[_Samples, str]:
    """The texts that the preset keeps, else some of the training data, and the origin."""
    from edgedistil.presets.download import locate
    from edgedistil.presets.loading import LABELS_FILE

    directory = locate(request.preset)
    samples = read_samples(directory)
    if samples is None:
        return (choose_samples(request.training) if request.training else None), TRAINING_DATA
    if request.labels is not None:
        names = (directory / LABELS_FILE).read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
        samples = renamed(samples, dict(zip(names, labels, strict=True)))
    return samples, "samples of the preset" if are_held_out(directory) else KEPT_TRAINING_DATA


def _check_layers(plan: QuantizationPlan, classifier: Any) -> None:
    """Raises, before any training, the error that the conversion would raise after it."""
    plan.weight_dtypes(int(classifier.backbone.num_layers))


def _with_new_head(
    request: ConversionRequest, texts: LabelledTexts | MultiLabelTexts, stage: Stage
) -> "tuple[LabelledClassifier, AnyTrainingData]":
    """Fine-tunes with the default settings; `edgedistil train` has options. Also returns the data with its parts."""
    if request.labels is not None:
        raise DataError(
            "A head that is trained here has the labels of its training data. Received: `labels` too. Leave them out, "
            "and rename the labels in the training data."
        )
    from edgedistil.training import FINE_TUNING
    from edgedistil.training.settings import multi_label_settings

    has_sets = isinstance(texts, MultiLabelTexts)
    settings = replace(multi_label_settings(FINE_TUNING) if has_sets else FINE_TUNING, seed=request.seed)
    keeps_length = request.sequence_length is None
    if request.sequence_length is not None:
        settings = replace(settings, sequence_length=request.sequence_length)
    division: dict[str, Any] = {"validation_fraction": settings.validation_fraction, "seed": settings.seed}
    data: AnyTrainingData
    if isinstance(texts, MultiLabelTexts):
        data = MultiLabelTrainingData.prepare(texts, **division)
    else:
        data = TrainingData.prepare(texts, **division)
    from edgedistil.training.loop import train
    from edgedistil.training.start import from_preset

    classifier = from_preset(request.preset, data, settings, keeps_sequence_length=keeps_length)
    settings = replace(settings, sequence_length=int(classifier.preprocessor.sequence_length))
    _check_layers(request.plan, classifier)
    stage(f"training on {len(data.training):,} texts")
    return train(classifier, data, settings, name=Path(request.preset).name).trained, data


def _pruned(prepared: "PreparedClassifier", request: ConversionRequest) -> "PreparedClassifier":
    from edgedistil_converters import prune_classifier

    pruned = prune_classifier(prepared.classifier, request.pruning_texts, vocabulary_size=request.vocabulary_size)
    record = {**prepared.record, "vocabulary_pruning": pruned.report.to_dict()}
    return replace(prepared, classifier=pruned.classifier, record=record)


def _trained_with_quantization(
    prepared: "PreparedClassifier", request: ConversionRequest, options: ConversionOptions, stage: Stage
) -> "PreparedClassifier":
    """Trains in place. Checkpoints are kept next to the output until it is written, so the same call continues."""
    from edgedistil.training.targets import classifier_targets
    from edgedistil_converters.preparation.quantization_aware import QATSettings
    from edgedistil_converters.preparation.quantization_aware.prepare import train_with_quantization

    assert request.training is not None
    settings, texts = QATSettings(seed=request.seed), request.training
    targets = classifier_targets(texts, tuple(prepared.labels), is_multi_label=bool(prepared.thresholds))
    folder = checkpoints_folder(request.output)
    folder.mkdir(exist_ok=True)

    def show(epoch: int, step: int, steps: int, loss: float) -> None:
        stage(
            f"training with quantization: epoch {epoch} of {settings.epochs}, step {step} of {steps}, loss {loss:.3f}"
        )

    stage(f"preparing {len(texts):,} texts for training with quantization")
    prepared = train_with_quantization(
        prepared, texts.texts, targets, settings, options=options, folder=folder, on_progress=show
    )
    _check_history(prepared.record["quantization_aware_training"]["history"][0])
    return prepared


def _check_history(before: Mapping[str, float]) -> None:
    """Warns if most predictions before training contradict the labels; `before` is a `QATEpoch` as plain data."""
    if before["accuracy"] < before["agreement"] / 2:
        _log.warning(
            "The labels of the training data are those of the classifier on only %.0f %% of the texts: are they the "
            "data that it was trained on?",
            100 * before["accuracy"],
        )


def checkpoints_folder(output: Path) -> Path:
    """Returns the folder for checkpoints of training with quantization; it is removed when the output is written.

    Example:
        >>> checkpoints_folder(Path("intents.tflite")).name
        'intents.tflite.qat'
    """
    return output.with_name(f"{output.name}.qat")
