"""Axes of a plot: round ticks, linear or logarithmic, and the coordinate of a value."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Axis", "fitted_axis", "shown"]

_LARGEST_LINEAR_RATIO = 12.0
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Axis:
    """A range of values that is mapped to a range of coordinates.

    Attributes:
        low, high: Values at the ends.
        start, end: Coordinates at the ends.
        ticks: Values to mark.
        is_logarithmic: True if equal ratios are equally far apart.

    Example:
        >>> Axis(low=0, high=10, start=100, end=0, ticks=(0, 5, 10)).at(2.5)
        75.0
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
    """An axis that contains values, with a margin.

    Args:
        values: Values to show.
        start: Coordinate of its beginning.
        end: Coordinate of its end.
        has_zero: Begin at 0, as lengths that are compared by eye must; positive values that are more than twelvefold
            apart get a logarithmic axis instead.
        limits: Least and greatest value that the axis may have, such as 0 and 1 for a share.

    Example:
        >>> fitted_axis([2, 9], 0, 100, has_zero=True, limits=(0, 100)).ticks
        (0.0, 2.5, 5.0, 7.5, 10.0)
        >>> fitted_axis([1, 500], 0, 100, has_zero=True, limits=(0, 1e9)).is_logarithmic
        True
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
    """A value as text, with at most three significant digits.

    Example:
        >>> shown(0.012345), shown(12345.6)
        ('0.0123', '12,346')
    """
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
