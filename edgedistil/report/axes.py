"""Axes of a plot: round ticks, linear or logarithmic, and where a value lies on the paper."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Axis", "fitted_axis", "shown"]

_LARGEST_LINEAR_RATIO = 12.0
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Axis:
    """A range of values over a range of coordinates.

    Attributes:
        low, high: values at its ends.
        start, end: coordinates there.
        ticks: values to mark.
        is_logarithmic: whether equal ratios are equally far apart.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    is_logarithmic: bool = False

    def at(self, value: float) -> float:
        """The coordinate of a value."""
        low, high, value = (math.log10(v) if self.is_logarithmic else v for v in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def fitted_axis(
    values: Sequence[float], start: float, end: float, *, has_zero: bool, limits: tuple[float, float]
) -> Axis:
    """An axis that holds values, with a margin.

    Args:
        values: what is to be seen.
        start: coordinate of its beginning.
        end: coordinate of its end.
        has_zero: whether it begins at 0, as lengths that are compared by eye must; positive values that are more than
            twelvefold apart get a logarithmic axis instead.
        limits: values beyond which there is nothing, such as 0 and 1 for a share.
    """
    low, high = min(values), max(values)
    if has_zero and low > 0 and high / low > _LARGEST_LINEAR_RATIO:
        return _logarithmic(low, high, start, end)
    low = 0.0 if has_zero else low
    margin = 0.12 * (high - low) or abs(high) * 0.05 or 1.0
    step = _step((high - low + 2 * margin) / 5)
    bottom = low if has_zero else max(limits[0], math.floor((low - margin / 2) / step) * step)
    top = min(limits[1], math.ceil((high + margin / 2) / step) * step)
    count = round((top - bottom) / step)
    return Axis(bottom, top, start, end, tuple(round(bottom + i * step, 10) for i in range(count + 1)))


def shown(value: float) -> str:
    """A value as text, with three digits that count at most."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in _STEPS if step * power >= rough * (1 - 1e-9))


def _logarithmic(low: float, high: float, start: float, end: float) -> Axis:
    bottom, top = low / 1.5, high * 1.5
    powers = range(math.floor(math.log10(bottom)), math.ceil(math.log10(top)) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    inside = tuple(tick for tick in ticks if bottom <= tick <= top)
    fewer = tuple(tick for tick in inside if f"{tick:e}"[0] == "1")
    return Axis(bottom, top, start, end, fewer if len(inside) > 7 and len(fewer) > 1 else inside, is_logarithmic=True)
