"""From a preset to a verified file: load, train or prune where that is asked for, convert.

    request -> classifier (-> with a head) (-> pruned) (-> trained with quantization) -> converted, verified

`edgedistil convert` is the command line of this module.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistil.data import LabelledTexts, TrainingData
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.preparation.prepared import ConversionOptions
from edgedistil_converters.quantization.calibration import sampled
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_runtime.errors import DataError, OutputError

if TYPE_CHECKING:
    from edgedistil.presets.loading import LabelledClassifier
    from edgedistil_converters import Conversion, PreparedClassifier

__all__ = ["ConversionRequest", "checkpoints_folder", "convert_preset"]

Stage = Callable[[str], None]

_log = logging.getLogger(__name__)
_MOST_CALIBRATION_TEXTS = 512  # ranges hardly widen after some hundreds


@dataclass(frozen=True)
class ConversionRequest:
    """Everything that a conversion depends on.

    Attributes:
        preset: what `edgedistil.presets` takes: a name, a handle, a directory.
        output: the file to write.
        plan: how to quantize.
        interface: what the file takes.
        labels: class names instead of the preset's.
        training: labelled texts: a preset without a trained head gets one, and `int8-qat` trains on them. A trained
            head stays as it is, and knows their labels.
        calibration_texts: texts that `int8-static` measures ranges on and `int4` rounds by, some hundreds of them
            at random; those of `training` where there are none.
        verification_texts: texts to verify the file with, beside the built-in ones.
        pruning_texts: texts whose pieces the vocabulary keeps; none leaves it as it is.
        vocabulary_size: how many pieces to keep, with `pruning_texts`.
        target: `cpu`, or an accelerator that the file gets a second part for: `gpu`, `edgetpu`.
        sequence_length: tokens that a text is cut to; None for the preset's.
        name: what the model is called in its metadata; None for the preset's name.
        force: whether to replace a file that stands at `output`.
        seed: of training.
    """

    preset: str
    output: Path
    plan: QuantizationPlan = field(default_factory=QuantizationPlan)
    interface: ModelInterface = field(default_factory=ModelInterface)
    labels: tuple[str, ...] | None = None
    training: LabelledTexts | None = None
    calibration_texts: tuple[str, ...] = ()
    verification_texts: tuple[str, ...] = ()
    pruning_texts: tuple[str, ...] = ()
    vocabulary_size: int | None = None
    target: str = "cpu"
    sequence_length: int | None = None
    name: str | None = None
    force: bool = False
    seed: int = 0

    @property
    def options(self) -> ConversionOptions:
        """The part of the request that the converter takes."""
        return ConversionOptions(self.plan, self.interface, self.target, self.verification_texts, self.force)

    def check(self) -> None:
        """Refuses a request that cannot be met, before any work is done.

        Raises:
            EdgeDistilError: The output cannot be written, the target cannot run the plan, or the plan needs texts.
        """
        self.options.check(self.output, _texts_for_calibration(self))
        folder = checkpoints_folder(self.output)
        if self.plan.needs == "training data" and folder.exists() and not folder.is_dir():
            raise OutputError(
                f"Training with quantization keeps its checkpoints in the folder {folder}. Received: a file of that "
                "name. Move it away, or choose another output."
            )

    def __post_init__(self) -> None:
        if self.vocabulary_size is not None and not self.pruning_texts:
            raise DataError(
                "A vocabulary is pruned to the pieces that texts need. Received: a vocabulary size without texts. "
                "Pass --prune-vocabulary FILE too."
            )
        if self.plan.needs == "training data" and self.training is None:
            raise DataError(
                "int8-qat trains with quantization before it converts. Received: no training data. Pass --train-data "
                "FILE, the classifier's own training data at best, or use int8, which needs none."
            )


def convert_preset(request: ConversionRequest, on_stage: Stage | None = None) -> "Conversion":
    """Converts a preset as asked.

    Args:
        request: what to convert, and how.
        on_stage: called with the name of each stage as it begins.

    Raises:
        EdgeDistilError: the preset, the data or the conversion fail; no file is left then.

    Example:
        >>> conversion = convert_preset(ConversionRequest("intents", Path("int8.tflite")))
        >>> conversion.artifact.metadata.labels
        ('lights', 'music', 'weather')
    """
    stage = on_stage or (lambda _: None)
    request.check()
    prepared = _prepared(request, stage)
    if request.pruning_texts:
        stage(f"pruning the vocabulary to {len(request.pruning_texts):,} texts")
        prepared = _pruned(prepared, request)
    if request.plan.needs == "training data":
        prepared = _trained_with_quantization(prepared, request, stage)
    prepared = _with_calibration_texts(prepared, request)
    from edgedistil_converters import convert_prepared

    conversion = convert_prepared(prepared, request.options, request.output, on_stage=stage)
    if request.plan.needs == "training data":
        from edgedistil_converters.preparation.quantization_aware.job import remove_job

        remove_job(checkpoints_folder(request.output))
    return conversion


def _with_calibration_texts(prepared: "PreparedClassifier", request: ConversionRequest) -> "PreparedClassifier":
    """Chooses the texts that ranges are measured on or weights rounded by, and records them if they shape the file."""
    texts = sampled(_texts_for_calibration(request), _MOST_CALIBRATION_TEXTS)
    record = dict(prepared.record)
    rounding = request.plan.calibrated(int(prepared.classifier.backbone.num_layers)).rounding
    if request.plan.needs == "calibration data" or rounding != "nearest" or request.target == "edgetpu":
        record["calibration"] = {"texts": len(texts), "sha256": _digest(texts)}
    elif request.calibration_texts:
        _log.warning("The calibration data are not used: a plan of %s measures nothing.", request.plan.scheme)
    return replace(prepared, calibration_texts=texts, record=record)


def _texts_for_calibration(request: ConversionRequest) -> tuple[str, ...]:
    return request.calibration_texts or (request.training.texts if request.training else ())


def _digest(texts: Sequence[str]) -> str:
    """Of texts in their order, to tell two calibrations apart."""
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


def _prepared(request: ConversionRequest, stage: Stage) -> "PreparedClassifier":
    """Loads the preset's own classifier, or trains a head for it on labelled texts."""
    from edgedistil.presets.loading import NoTrainedHead, load_labelled_classifier, set_sequence_length
    from edgedistil_converters.preparation.prepared import PreparedClassifier

    stage(f"loading {request.preset}")
    record: dict[str, Any] = {}
    try:
        trained = load_labelled_classifier(request.preset, labels=request.labels)
    except NoTrainedHead:
        if request.training is None:
            raise
        record["head"] = {"texts": len(request.training), "seed": request.seed}
        trained = _with_new_head(request, request.training, stage)
    else:
        set_sequence_length(trained.classifier, request.sequence_length, request.preset)
        _check_layers(request.plan, trained.classifier)
        if request.training is not None:
            _class_numbers(request.training, trained.labels)
    return PreparedClassifier(trained.classifier, trained.labels, request.name or trained.name, record=record)


def _check_layers(plan: QuantizationPlan, classifier: Any) -> None:
    """Raises before any training what the conversion would raise after it."""
    plan.weight_dtypes(int(classifier.backbone.num_layers))


def _with_new_head(request: ConversionRequest, texts: LabelledTexts, stage: Stage) -> "LabelledClassifier":
    """Fine-tunes with the defaults; `edgedistil train` is where one chooses."""
    if request.labels is not None:
        raise DataError(
            "A head that is trained here has the labels of its training data. Received: names for the labels "
            "(--labels) too. Leave them out, and call the labels in the training data what they are to be called."
        )
    from edgedistil.training import FINE_TUNING

    settings = replace(FINE_TUNING, seed=request.seed)
    keeps_length = request.sequence_length is None
    if request.sequence_length is not None:
        settings = replace(settings, sequence_length=request.sequence_length)
    data = TrainingData.prepare(texts, validation_fraction=settings.validation_fraction, seed=settings.seed)
    from edgedistil.training.loop import train
    from edgedistil.training.start import from_preset

    classifier = from_preset(request.preset, data, settings, keeps_sequence_length=keeps_length)
    settings = replace(settings, sequence_length=int(classifier.preprocessor.sequence_length))
    _check_layers(request.plan, classifier)
    stage(f"training on {len(data.training):,} texts")
    return train(classifier, data, settings, name=Path(request.preset).name).trained


def _pruned(prepared: "PreparedClassifier", request: ConversionRequest) -> "PreparedClassifier":
    from edgedistil_converters import prune_classifier

    pruned = prune_classifier(prepared.classifier, request.pruning_texts, vocabulary_size=request.vocabulary_size)
    record = {**prepared.record, "vocabulary_pruning": pruned.report.to_dict()}
    return replace(prepared, classifier=pruned.classifier, record=record)


def _trained_with_quantization(
    prepared: "PreparedClassifier", request: ConversionRequest, stage: Stage
) -> "PreparedClassifier":
    """Trains in place. Checkpoints are kept beside the output until there is one: the same command continues."""
    from edgedistil_converters.preparation.quantization_aware import QATSettings
    from edgedistil_converters.preparation.quantization_aware.prepare import train_with_quantization

    assert request.training is not None
    settings, texts = QATSettings(seed=request.seed), request.training
    numbers = _class_numbers(texts, tuple(prepared.labels))
    folder = checkpoints_folder(request.output)
    folder.mkdir(exist_ok=True)

    def show(epoch: int, step: int, steps: int, loss: float) -> None:
        stage(
            f"training with quantization: epoch {epoch} of {settings.epochs}, step {step} of {steps}, loss {loss:.3f}"
        )

    stage(f"preparing {len(texts):,} texts for training with quantization")
    prepared = train_with_quantization(
        prepared, texts.texts, numbers, settings, options=request.options, folder=folder, on_progress=show
    )
    _check_history(prepared.record["quantization_aware_training"]["history"][0])
    return prepared


def _check_history(before: Mapping[str, float]) -> None:
    """Warns if the state before training already contradicts the labels; `before` is a `QATEpoch` as plain data."""
    if before["accuracy"] < before["agreement"] / 2:
        _log.warning(
            "The labels of the training data are those of the classifier on %.0f %% of the texts alone: are they the "
            "ones that it was trained on?",
            100 * before["accuracy"],
        )


def checkpoints_folder(output: Path) -> Path:
    """Where training with quantization keeps its checkpoints until there is an output."""
    return output.with_name(f"{output.name}.qat")


def _class_numbers(texts: LabelledTexts, labels: tuple[str, ...]) -> list[int]:
    """The number of each text's class. A classifier of one output has two, of which 1 is the one with a label."""
    found = set(texts.labels)
    if len(labels) == 1:
        if not (labels[0] in found and len(found) > 1):
            raise DataError(
                f"{texts.name}: a classifier of one output tells {labels[0]} from everything else, and needs texts of "
                f"both. Received: {', '.join(sorted(found)[:8])}."
            )
        return [int(label == labels[0]) for label in texts.labels]
    unknown = sorted(found - set(labels))
    if unknown:
        raise DataError(
            f"{texts.name}: labels must be among the classifier's: {', '.join(labels[:8])}. "
            f"Received: {', '.join(unknown[:8])}. To train a head for other labels: edgedistil train --preset PRESET."
        )
    return [labels.index(label) for label in texts.labels]
