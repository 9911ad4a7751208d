"""Training in one call, in the place of Keras' `fit`, which shows arrays of texts in their order.

KerasHub's `fit` turns texts into a `tf.data.Dataset`, for which Keras ignores `shuffle=True`. Files sorted by class are
common, and a classifier that is trained on one class after the other forgets the first ones.
"""

from collections.abc import Collection, Sequence
from typing import Any

from edgedistil.data import LabelledTexts, MultiLabelTexts, MultiLabelTrainingData, TrainingData
from edgedistil.training.loop import TrainingResult, train
from edgedistil.training.settings import FINE_TUNING, TrainingSettings, multi_label_settings
from edgedistil_runtime.errors import DataError

__all__ = ["fit"]

Labels = Sequence[str | int] | Sequence[Collection[str | int]]


def fit(
    classifier: Any,
    texts: Sequence[str],
    labels: Labels,
    *,
    validation: tuple[Sequence[str], Labels] | None = None,
    settings: TrainingSettings | None = None,
) -> TrainingResult:
    """Fits a classifier to texts, in a new order every epoch.

    Args:
        classifier: A `keras_hub.models.DistilBertTextClassifier` with a preprocessor, changed in place. For several
            labels it has `activation="sigmoid"`.
        texts: Texts.
        labels: Label of each text, or a list of any number of labels for each. Numbers from 0 up are outputs of the
            classifier; names are in the order of `TrainingResult.trained.labels`.
        validation: Texts and labels that choose the best epoch; `None` holds a tenth of the texts out, or nothing if
            there are fewer than 30 a class.
        settings: Settings, for instance `replace(FINE_TUNING, epochs=3)`; `None` is `FINE_TUNING`, with the best epoch
            by micro-F1 if texts have several labels.

    Raises:
        DataError: texts and labels cannot be used, or training diverges.
        PresetError: the classifier has another number of outputs than there are labels, or no sigmoids for several.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> classifier = load_classifier("intents", num_classes=2)
        >>> result = fit(classifier, ["lights on", "lights off"] * 4, [1, 0] * 4, settings=TrainingSettings(epochs=1))
        >>> result.trained.labels
        ('0', '1')
        >>> classifier = load_classifier("intents", num_classes=2, activation="sigmoid")
        >>> texts, labels = ["too late", "late and broken"] * 4, [["late"], ["late", "broken"]] * 4
        >>> fit(classifier, texts, labels, settings=TrainingSettings(epochs=1)).trained.thresholds
        (0.5, 0.5)
    """
    given = [_read(texts, labels), *([] if validation is None else [_read(*validation)])]
    kinds = {type(one) for one in given}
    if len(kinds) > 1:
        raise DataError("`validation` must have lists of labels if the training texts have, and only then.")
    has_sets = kinds == {MultiLabelTexts}
    if settings is None:
        settings = multi_label_settings(FINE_TUNING) if has_sets else FINE_TUNING
    kind: Any = MultiLabelTrainingData if has_sets else TrainingData
    data = kind.prepare(
        given[0],
        validation=given[1] if validation else None,
        validation_fraction=settings.validation_fraction,
        seed=settings.seed,
    )
    return train(classifier, data, settings)


def _read(texts: Sequence[str], labels: Labels) -> LabelledTexts | MultiLabelTexts:
    are_lists = {isinstance(label, (list, tuple, set, frozenset)) for label in labels}
    if len(are_lists) > 1:
        raise DataError("`labels` must have a label for each text, or a list of labels for each. Received: both")
    if are_lists == {True}:
        sets: Any = labels
        return MultiLabelTexts(tuple(texts), tuple(tuple(dict.fromkeys(map(str, some))) for some in sets))
    return LabelledTexts(tuple(texts), tuple(str(label) for label in labels))
