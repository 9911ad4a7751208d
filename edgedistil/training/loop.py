"""Fits a classifier to labelled texts and measures it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edgedistil.data import LabelledTexts, TrainingData
from edgedistil.presets.loading import LabelledClassifier
from edgedistil.scores import score_probabilities
from edgedistil.training.batches import TokenizedTexts, tokenize, training_batches
from edgedistil.training.callbacks import BestEpoch
from edgedistil.training.keras_outputs import Predictor, gives_probabilities
from edgedistil.training.long_texts import divide_texts, mean_by_text, measure_truncation
from edgedistil.training.optimization import build_optimizer
from edgedistil.training.settings import TrainingSettings
from edgedistil.truncation import Truncation
from edgedistil_runtime.errors import DataError, PresetError
from edgedistil_runtime.pieces import WINDOWS

__all__ = ["TrainingResult", "steps_per_epoch", "train"]


@dataclass(frozen=True)
class TrainingResult:
    """A trained classifier and how it was trained.

    Attributes:
        trained: Classifier with the weights of the best epoch, and its labels.
        settings: Settings of the training.
        history: One mapping an epoch, as in `training.json`.
        best_epoch: Number of the best epoch, from 1 up.
        metrics: `validation`, and `test` if there are test data, each with accuracy, macro_f1, loss, rows.
        truncation: Training texts that are longer than the sequence length.
    """

    trained: LabelledClassifier
    settings: TrainingSettings
    history: tuple[dict[str, Any], ...]
    best_epoch: int
    metrics: dict[str, dict[str, Any]]
    truncation: Truncation


def train(
    classifier: Any,
    data: TrainingData,
    settings: TrainingSettings,
    *,
    name: str = "classifier",
    callbacks: Iterable[Any] = (),
) -> TrainingResult:
    """Fits a classifier, and keeps the epoch that is best on the validation data.

    The classifier is changed in place. Its own compilation is left as it is: training uses a second Keras model over
    the same layers, which takes token ids, so that every text is tokenized once and not once an epoch.

    Args:
        classifier: A `keras_hub.models.DistilBertTextClassifier` with a preprocessor.
        data: Data to train, validate and test on.
        settings: Settings; the same settings and data give the same classifier on the same machine.
        name: Name of the result.
        callbacks: Keras callbacks to add, such as a `ProgressReporter`.

    Returns:
        The trained classifier with its labels, history and metrics.

    Raises:
        PresetError: the classifier has no preprocessor, or another number of outputs than the data have classes.
        DataError: the loss is not a finite number.

    Example:
        >>> from edgedistil.data import read_labelled_texts
        >>> from edgedistil.presets.loading import load_classifier
        >>> data = TrainingData.prepare(read_labelled_texts("train.csv"))
        >>> result = train(load_classifier("intents"), data, TrainingSettings(epochs=1))
        >>> result.metrics["validation"]["accuracy"]
        1.0
    """
    _check(classifier, data)
    keras.utils.set_random_seed(settings.seed)
    classifier.backbone.trainable = not settings.is_backbone_frozen
    parts = {"training": data.training, "validation": data.validation, **({"test": data.test} if data.test else {})}
    preprocessor = classifier.preprocessor
    pieces = {part: divide_texts(preprocessor, texts.texts, settings.long_texts) for part, texts in parts.items()}
    tokenized = {part: tokenize(preprocessor, some.texts) for part, some in pieces.items() if some.texts}
    classes = {part: _class_numbers(texts, data.labels) for part, texts in parts.items() if texts}

    predictor = Predictor(classifier)

    def measured(part: str) -> dict[str, Any]:
        return score_probabilities(mean_by_text(predictor.probabilities(tokenized[part]), pieces[part]), classes[part])

    best = BestEpoch(lambda: measured("validation"), monitor=settings.monitor, patience=settings.patience)
    targets = classes["training"][pieces["training"].rows]
    _fit(classifier, tokenized["training"], targets, settings, [best, *callbacks])
    return TrainingResult(
        trained=LabelledClassifier(classifier, data.labels, name=name, source=name),
        settings=settings,
        history=tuple(best.history),
        best_epoch=best.best_epoch,
        metrics={part: measured(part) for part in parts if part != "training"},
        truncation=measure_truncation(preprocessor, data.training.texts, settings.long_texts),
    )


def steps_per_epoch(data: TrainingData, settings: TrainingSettings, preprocessor: Any = None) -> int:
    """Number of batches in an epoch.

    Args:
        data: Data to train on.
        settings: Settings of the training.
        preprocessor: Preprocessor of the classifier, to count pieces if `settings.long_texts` is `windows`.

    Example:
        >>> texts = LabelledTexts(("a", "b", "c"), ("x", "y", "y"))
        >>> steps_per_epoch(TrainingData(texts, texts), TrainingSettings(batch_size=2))
        2
    """
    texts = data.training.texts
    if settings.long_texts == WINDOWS and preprocessor is not None:
        texts = divide_texts(preprocessor, texts, WINDOWS).texts
    return -(-len(texts) // settings.batch_size)


def _fit(
    classifier: Any,
    texts: TokenizedTexts,
    classes: NDArray[np.int64],
    settings: TrainingSettings,
    callbacks: list[Any],
) -> None:
    network = keras.Model(classifier.input, classifier.output)
    num_classes = classifier.num_classes
    targets = np.eye(num_classes, dtype="float32")[classes]
    batches = training_batches(
        texts,
        targets,
        batch_size=settings.batch_size,
        seed=settings.seed,
        token_dropout=settings.token_dropout,
        unknown_id=classifier.preprocessor.tokenizer.token_to_id("[UNK]"),
        is_full_length=settings.is_jit_compiled,
    )
    network.compile(
        optimizer=build_optimizer(settings, steps_per_epoch=len(batches)),
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=not gives_probabilities(classifier), label_smoothing=settings.label_smoothing
        ),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=settings.is_jit_compiled,
    )
    # shuffle=False: training_batches gives a new order every epoch.
    network.fit(batches, epochs=settings.epochs, callbacks=[_FiniteLoss(), *callbacks], verbose=0, shuffle=False)


class _FiniteLoss(keras.callbacks.Callback):  # type: ignore[misc]
    """Stops with an error when training has diverged, instead of keeping a classifier of NaN weights."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs and not np.isfinite(logs["loss"]):
            raise DataError(
                f"Training diverged in epoch {epoch + 1}: the loss is {logs['loss']}. "
                "Try a smaller `learning_rate`, for instance a third of it"
            )


def _check(classifier: Any, data: TrainingData) -> None:
    if classifier.preprocessor is None:
        raise PresetError("Training needs a classifier with a preprocessor, to tokenize the texts. Received: none")
    if classifier.num_classes != len(data.labels):
        raise PresetError(
            f"The classifier has {classifier.num_classes} outputs and the training data have {len(data.labels)} "
            f"classes. Load it with num_classes={len(data.labels)}"
        )


def _class_numbers(data: LabelledTexts, labels: Sequence[str]) -> NDArray[np.int64]:
    number_of = {label: number for number, label in enumerate(labels)}
    return np.array([number_of[label] for label in data.labels], dtype="int64")
