"""What a conversion fits on held-out texts: the temperature of the scores, and the threshold for unknown texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgedistil_converters.preparation.prepared import ConversionOptions
from edgedistil_runtime.errors import DataError

if TYPE_CHECKING:
    from edgedistil_converters import PreparedClassifier

__all__ = ["KEPT_TRAINING_DATA", "TRAINING_DATA", "HeldOut", "ScoreWishes", "fit_scores", "held_out_texts"]

TRAINING_DATA, KEPT_TRAINING_DATA = "training data", "training texts that the preset keeps"
_NOT_HELD_OUT = (TRAINING_DATA, KEPT_TRAINING_DATA)

_OF_ONE_LABEL = ": they have lists of labels, and the classifier gives a text one"
_OF_SEVERAL = (
    ": they have one label each, and the classifier gives a text several, which are read from lists, with "
    "`label_separator` or with `label_columns`"
)

HeldOut = tuple[list[str], list[Any], str]
"""Texts, the number of each one's class or those of its labels, and the source."""


@dataclass(frozen=True)
class ScoreWishes:
    """What is fitted, as in `ConversionRequest`.

    Attributes:
        calibrate_scores: Calibrate the scores.
        unknown_label: Name for texts with none of the labels; None to recognize none.
        in_scope_kept: Share of the held-out texts that the threshold keeps.
        unknown_texts: Texts with none of the labels.

    Example:
        >>> ScoreWishes(calibrate_scores=True, unknown_label="other").parameters
        ('calibrate_scores', 'unknown_label')
    """

    calibrate_scores: bool = False
    unknown_label: str | None = None
    in_scope_kept: float | None = None
    unknown_texts: tuple[str, ...] = ()

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that need held-out texts."""
        names = {"calibrate_scores": self.calibrate_scores, "unknown_label": self.unknown_label is not None}
        return tuple(name for name, is_wished in names.items() if is_wished)


def fit_scores(
    prepared: "PreparedClassifier", wishes: ScoreWishes, held_out: HeldOut, stage: Callable[[str], None]
) -> "PreparedClassifier":
    """Calibrates the scores and fits the rule for unknown texts, as far as they are asked for."""
    from edgedistil_converters import calibrate_scores, fit_unknown_rule

    texts, numbers, source = held_out
    if wishes.calibrate_scores:
        stage(f"calibrating the scores on {len(texts):,} texts")
        prepared = calibrate_scores(prepared, texts, numbers, source=source)
    if wishes.unknown_label is not None:
        stage(f"fitting the threshold for {wishes.unknown_label} on {len(texts):,} texts")
        prepared = fit_unknown_rule(
            prepared,
            wishes.unknown_label,
            texts,
            numbers,
            in_scope_kept=wishes.in_scope_kept,
            unknown_texts=wishes.unknown_texts,
            source=source,
        )
    return prepared


def held_out_texts(
    options: ConversionOptions,
    labels: Sequence[str],
    wishes: ScoreWishes,
    label_sets: Sequence[Sequence[str]] | None = None,
    *,
    has_other_labels: bool = False,
) -> HeldOut | None:
    """Returns held-out texts, the numbers of their classes, and their source, if something is fitted on them.

    Args:
        options: Texts, their labels and their source.
        labels: Labels of the classifier.
        wishes: What is fitted.
        label_sets: For a multi-label classifier: labels of each text, instead of the options'; empty if there are none.
        has_other_labels: The texts have one label each for a multi-label classifier, or lists for another one.

    Raises:
        DataError: The texts are too few, or the classifier was trained on them, or lacks one of their labels.
    """
    if not wishes.parameters:
        return None
    from edgedistil_converters.preparation.score_calibration import ENOUGH_TEXTS
    from edgedistil_converters.verification.samples import class_number

    numbers: list[Any]
    if label_sets is None:
        numbers = [class_number(label, labels) for label in options.verification_labels]
    else:
        numbers = [_set_numbers(few, labels) for few in label_sets]
    known = [
        (text, number)
        for text, number in zip(options.verification_texts, numbers, strict=bool(numbers))
        if number is not None
    ]
    source = options.verification_source
    if source in _NOT_HELD_OUT or len(known) < ENOUGH_TEXTS:
        received = source if source in _NOT_HELD_OUT else f"{len(known)} labelled texts ({source})"
        if has_other_labels:
            received += _OF_ONE_LABEL if label_sets is None else _OF_SEVERAL
        subject = "Scores are calibrated" if wishes.calibrate_scores else "The threshold is fitted"
        parameters = "` and `".join(wishes.parameters)
        raise DataError(
            f"{subject} on at least {ENOUGH_TEXTS} labelled texts that the classifier was not trained on. "
            f"Received: {received}. Pass others (`verification_texts`), or leave out `{parameters}`."
        )
    return [text for text, _ in known], [number for _, number in known], source


def _set_numbers(few: Sequence[str], labels: Sequence[str]) -> tuple[int, ...]:
    unknown = [label for label in few if label not in labels]
    if unknown:
        raise DataError(
            "The texts that scores are calibrated on (`verification_texts`) have a label that the classifier does not "
            f"have. Received: {unknown[0]}. The classifier's: {', '.join(labels[:10])}."
        )
    return tuple(labels.index(label) for label in few)
