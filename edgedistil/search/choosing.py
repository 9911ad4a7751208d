"""The smallest file within limits, and why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Candidate", "Limits", "explain_failure", "smallest_within"]

_ROUNDING = 1e-9  # accuracies are shares of few texts: equal ones may differ in their last digit


@dataclass(frozen=True)
class Candidate:
    """A file to choose from.

    Attributes:
        name: Name of the file.
        size: Bytes.
        ms: Median milliseconds of one text.
        accuracy: Accuracy on the validation data, 0 to 1.
    """

    name: str
    size: int
    ms: float
    accuracy: float


@dataclass(frozen=True)
class Limits:
    """Limits of a choice.

    Attributes:
        size: Most bytes.
        ms: Most milliseconds of one text; `None` for no limit.
        teacher: Accuracy of the teacher on the validation data, 0 to 1.
        within: Percentage points that a file may lie below it.

    Example:
        >>> limits = Limits(size=1_500_000, ms=1.0, teacher=0.95, within=1.0)
        >>> limits.is_in_budget(Candidate("a", 1_500_000, 1.2, 0.99)), limits.is_within(Candidate("a", 9, 9, 0.94))
        (False, True)
    """

    size: int
    ms: float | None
    teacher: float
    within: float

    def gap(self, candidate: Candidate) -> float:
        """Percentage points below the teacher."""
        return 100 * (self.teacher - candidate.accuracy)

    def is_within(self, candidate: Candidate) -> bool:
        """True if it is almost as accurate as the teacher."""
        return self.gap(candidate) <= self.within + _ROUNDING

    def is_in_budget(self, candidate: Candidate) -> bool:
        """True if it is small and fast enough."""
        return candidate.size <= self.size and (self.ms is None or candidate.ms <= self.ms)

    def excess(self, candidate: Candidate) -> float:
        """How many times the budget it takes, by size or by time, whichever is more."""
        return max(candidate.size / self.size, candidate.ms / self.ms if self.ms else 0.0)

    def __str__(self) -> str:
        time = "" if self.ms is None else f" and {self.ms:g} ms"
        return f"{self.size / 1e6:g} MB{time}"


def smallest_within(candidates: Sequence[Candidate], limits: Limits) -> Candidate | None:
    """Returns the smallest candidate within all limits, the faster one of two equals; `None` if there is none.

    Example:
        >>> files = [Candidate("large", 900, 2.0, 0.95), Candidate("small", 300, 1.0, 0.94)]
        >>> smallest_within(files, Limits(1000, None, 0.95, 1.0)).name
        'small'
        >>> smallest_within(files, Limits(1000, None, 0.95, 0.5)).name
        'large'
        >>> smallest_within(files, Limits(500, None, 0.95, 0.5)) is None
        True
    """
    fit = [one for one in candidates if limits.is_in_budget(one) and limits.is_within(one)]
    return min(fit, key=lambda one: (one.size, one.ms, -one.accuracy), default=None)


def explain_failure(candidates: Sequence[Candidate], limits: Limits) -> str:
    """Explains why no candidate fits: the nearest ones, and what to change.

    The nearest ones are the most accurate file in the budget, and the accurate file that exceeds the budget least.

    Example:
        >>> files = [Candidate("large", 9_000_000, 2.0, 0.95), Candidate("small", 3_000_000, 1.0, 0.91)]
        >>> print(explain_failure(files, Limits(4_000_000, None, 0.95, 1.0)))
        No student is within 1 percentage points of the teacher (95.00 %) and in the budget of 4 MB. Nearest in ...
    """
    sentences = [
        f"No student is within {limits.within:g} percentage points of the teacher ({100 * limits.teacher:.2f} %) and "
        f"in the budget of {limits}."
    ]
    affordable = [one for one in candidates if limits.is_in_budget(one)]
    accurate = [one for one in candidates if limits.is_within(one)]
    if affordable:
        best = max(affordable, key=lambda one: (one.accuracy, -one.size))
        sentences.append(
            f"Nearest in the budget: {_described(best, limits)}. Allow more with `within`, or let it learn from more "
            "texts (`unlabelled`, `augmented_per_text`)."
        )
    if accurate:
        least = min(accurate, key=limits.excess)
        names = "`budget_mb`" if limits.ms is None else "`budget_mb` or `budget_ms`"
        sentences.append(f"Nearest of those that are accurate enough: {_described(least, limits)}. Raise {names}.")
    if not affordable and not accurate and candidates:
        nearest = min(candidates, key=limits.excess)
        sentences.append(
            f"Nearest: {_described(nearest, limits)}. Raise `budget_mb`, or start from other `students` or convert by "
            "another `scheme`."
        )
    return " ".join(sentences)


def _described(candidate: Candidate, limits: Limits) -> str:
    return (
        f"{candidate.name}, {candidate.size / 1e6:.2f} MB, {candidate.ms:.3g} ms, accuracy "
        f"{100 * candidate.accuracy:.2f} %, {limits.gap(candidate):.2f} points below the teacher"
    )
