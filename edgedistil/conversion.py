"""From a preset to a verified file: load, train or prune where that is asked for, convert.

    request -> classifier (-> a head trained) (-> pruned) (-> trained with quantization) -> converted, verified

`edgedistil convert` is the command line of this module.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistil.data import LabelledTexts, TrainingData
from edgedistil_converters.files import check_output
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.quantization.calibration import check_calibration_given, sampled
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.targets.plans import check_target
from edgedistil_runtime.errors import DataError, OutputError

if TYPE_CHECKING:
    from edgedistil.presets.loading import LabelledClassifier
    from edgedistil_converters import Conversion
    from edgedistil_converters.preparation.quantization_aware import QATEpoch
    from edgedistil_runtime.artifact import GoldenCase

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
    check_output(request.output, force=request.force)
    check_target(request.target, request.plan, request.interface)
    check_calibration_given(request.plan, _texts_for_calibration(request))
    _check_checkpoints(request)
    trained, preparation = _trained(request, stage)
    if request.pruning_texts:
        stage(f"pruning the vocabulary to {len(request.pruning_texts):,} texts")
        trained, preparation["vocabulary_pruning"] = _pruned(trained, request)
    ranges = answers = None
    if request.plan.needs == "training data":
        stage("answering the verification texts with Keras")
        answers = _answers(trained, request)  # before training changes what is to be kept
        ranges, preparation["quantization_aware_training"] = _train_with_quantization(trained, request, stage)
    calibration_texts = sampled(_texts_for_calibration(request), _MOST_CALIBRATION_TEXTS)
    if _is_calibrated(request, trained):
        preparation["calibration"] = {"texts": len(calibration_texts), "sha256": _digest(calibration_texts)}
    elif request.calibration_texts:
        _log.warning("The calibration data are not used: a plan of %s measures nothing.", request.plan.scheme)
    from edgedistil_converters import convert_classifier

    conversion = convert_classifier(
        trained.classifier,
        trained.labels,
        request.output,
        plan=request.plan,
        interface=request.interface,
        calibration_texts=calibration_texts,
        ranges=ranges,
        answers=answers,
        preparation=preparation,
        target=request.target,
        name=request.name or trained.name,
        verification_texts=request.verification_texts,
        force=request.force,
        on_stage=stage,
    )
    if request.plan.needs == "training data":
        from edgedistil_converters.preparation.quantization_aware.job import remove_job

        remove_job(checkpoints_folder(request.output))
    return conversion


def _texts_for_calibration(request: ConversionRequest) -> tuple[str, ...]:
    return request.calibration_texts or (request.training.texts if request.training else ())


def _is_calibrated(request: ConversionRequest, trained: "LabelledClassifier") -> bool:
    """Whether texts have a say in the file."""
    rounding = request.plan.calibrated(int(trained.classifier.backbone.num_layers)).rounding
    return request.plan.needs == "calibration data" or rounding != "nearest" or request.target == "edgetpu"


def _digest(texts: Sequence[str]) -> str:
    """Of texts in their order, to tell two calibrations apart."""
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


def _answers(trained: "LabelledClassifier", request: ConversionRequest) -> "list[GoldenCase]":
    from edgedistil_converters.verification.keras_answers import answer_with_keras
    from edgedistil_converters.verification.texts import verification_inputs

    return answer_with_keras(trained.classifier, verification_inputs(request.verification_texts, request.interface))


def _trained(request: ConversionRequest, stage: Stage) -> tuple["LabelledClassifier", dict[str, Any]]:
    """The preset's own classifier, or one with a head trained on labelled texts, and what was done for it."""
    from edgedistil.presets.loading import NoTrainedHead, load_labelled_classifier, set_sequence_length

    stage(f"loading {request.preset}")
    try:
        trained = load_labelled_classifier(request.preset, labels=request.labels)
    except NoTrainedHead:
        if request.training is None:
            raise
        texts = len(request.training)
        return _with_new_head(request, request.training, stage), {"head": {"texts": texts, "seed": request.seed}}
    set_sequence_length(trained.classifier, request.sequence_length, request.preset)
    _check_layers(request.plan, trained.classifier)
    if request.training is not None:
        _class_numbers(request.training, trained.labels)
    return trained, {}


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


def _pruned(trained: "LabelledClassifier", request: ConversionRequest) -> tuple["LabelledClassifier", dict[str, Any]]:
    from edgedistil_converters import prune_classifier

    pruned = prune_classifier(trained.classifier, request.pruning_texts, vocabulary_size=request.vocabulary_size)
    return replace(trained, classifier=pruned.classifier), pruned.report.to_dict()


def _train_with_quantization(
    trained: "LabelledClassifier", request: ConversionRequest, stage: Stage
) -> tuple[dict[str, tuple[float, float]], dict[str, Any]]:
    """Trains in place. Checkpoints stand beside the output until there is one: the same command goes on with them."""
    from edgedistil_converters.preparation.quantization_aware import QATSettings
    from edgedistil_converters.preparation.quantization_aware.classifier import train_classifier

    assert request.training is not None
    settings, texts = QATSettings(seed=request.seed), request.training
    numbers = _class_numbers(texts, trained.labels)
    folder = checkpoints_folder(request.output)
    folder.mkdir(exist_ok=True)

    def show(epoch: int, step: int, steps: int, loss: float) -> None:
        stage(
            f"training with quantization: epoch {epoch} of {settings.epochs}, step {step} of {steps}, loss {loss:.3f}"
        )

    stage(f"preparing {len(texts):,} texts for training with quantization")
    training = train_classifier(
        trained.classifier, texts.texts, numbers, settings, plan=request.plan, folder=folder, on_progress=show
    )
    _check_history(training.history[0])
    history = [asdict(epoch) for epoch in training.history]
    return dict(training.ranges), {**asdict(settings), "texts": len(texts), "history": history}


def _check_history(before: "QATEpoch") -> None:
    if before.accuracy < before.agreement / 2:
        _log.warning(
            "The labels of the training data are those of the classifier on %.0f %% of the texts alone: are they the "
            "ones that it was trained on?",
            100 * before.accuracy,
        )


def checkpoints_folder(output: Path) -> Path:
    """Where training with quantization keeps its checkpoints until there is an output."""
    return output.with_name(f"{output.name}.qat")


def _check_checkpoints(request: ConversionRequest) -> None:
    folder = checkpoints_folder(request.output)
    if request.plan.needs == "training data" and folder.exists() and not folder.is_dir():
        raise OutputError(
            f"Training with quantization keeps its checkpoints in the folder {folder}. Received: a file of that name. "
            "Move it away, or choose another output."
        )


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
