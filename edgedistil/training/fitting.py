"""Training in one call, in the place of Keras' `fit`, which shows arrays of texts in their order.

KerasHub's `fit` turns texts into a `tf.data.Dataset`, for which Keras ignores `shuffle=True`. Files sorted by class are
common, and a classifier that is trained on one class after the other forgets the first ones.
"""

from collections.abc import Sequence
from typing import Any

from edgedistil.data import LabelledTexts, TrainingData
from edgedistil.training.loop import TrainingResult, train
from edgedistil.training.settings import FINE_TUNING, TrainingSettings

__all__ = ["fit"]


def fit(
    classifier: Any,
    texts: Sequence[str],
    labels: Sequence[str | int],
    *,
    validation: tuple[Sequence[str], Sequence[str | int]] | None = None,
    settings: TrainingSettings = FINE_TUNING,
) -> TrainingResult:
    """Fits a classifier to texts, in a new order every epoch.

    Args:
        classifier: A `keras_hub.models.DistilBertTextClassifier` with a preprocessor, changed in place.
        texts: Texts.
        labels: Label of each text. Numbers from 0 up are outputs of the classifier; names are in the order
            of `TrainingResult.trained.labels`.
        validation: Texts and labels that choose the best epoch; `None` holds a tenth of the texts out, or nothing if
            there are fewer than 30 a class.
        settings: Settings, for instance `replace(FINE_TUNING, epochs=3)`.

    Raises:
        DataError: texts and labels cannot be used, or training diverges.
        PresetError: the classifier has another number of outputs than there are labels.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> classifier = load_classifier("intents", num_classes=2)
        >>> result = fit(classifier, ["lights on", "lights off"] * 4, [1, 0] * 4, settings=TrainingSettings(epochs=1))
        >>> result.trained.labels
        ('0', '1')
    """
    data = TrainingData.prepare(
        _labelled(texts, labels),
        validation=None if validation is None else _labelled(*validation),
        validation_fraction=settings.validation_fraction,
        seed=settings.seed,
    )
    return train(classifier, data, settings)


def _labelled(texts: Sequence[str], labels: Sequence[str | int]) -> LabelledTexts:
    return LabelledTexts(tuple(texts), tuple(str(label) for label in labels))
