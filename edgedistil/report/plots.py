"""Plots as SVG: points, points by group, and stacked bars. The style sheet has the colours and fonts."""

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edgedistil.report.axes import Axis, fitted_axis, shown
from edgedistil.report.markup import Attribute, Markup, element, joined, number
from edgedistil.report.style import SERIES

__all__ = [
    "Group",
    "Point",
    "bar_legend",
    "grouped_points",
    "marker",
    "picture",
    "scatter",
    "shortened",
    "stacked_bars",
    "text_width",
]

_WIDTH, _HEIGHT = 400.0, 290.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 54.0, 388.0, 14.0, 242.0
_LETTER = 6.4  # width of an average letter of 12 px
_LINE = 14.0
_LONGEST_NAME = 24
_TEXT_IN_BAR = 46.0  # least width of a part that shows its name
_PART_STEPS = (7, 3, 5, 1, 8, 4, 6, 2)  # steps of the ramp, ordered so that neighbours in a bar differ much
_SHARE = (0.0, 1.0)
_ANY = (0.0, math.inf)


@dataclass(frozen=True)
class Point:
    """A model in a plot.

    Attributes:
        name: Name beside the point.
        series: Number of the model, from 0.
        x, y: Values that are compared; y is a share.
        low, high: Ends of y's interval.
    """

    name: str
    series: int
    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Group:
    """A model's values in one group.

    Attributes:
        series: Number of the model, from 0.
        middle: Median.
        upper: 90th percentile.
    """

    series: int
    middle: float
    upper: float


def picture(title: str, description: str, width: float, height: float, body: Markup, class_: str, key: str) -> Markup:
    """An SVG with a title and a description for people who cannot see it.

    Args:
        title: Title of the picture.
        description: Its contents in words and numbers.
        width: Width in the units of its coordinates.
        height: Height in the same units.
        body: Contents of the picture.
        class_: `plot` and `bars` fill the available width, `map` is `width` pixels wide.
        key: Prefix of its ids, unique on the page.

    Example:
        >>> svg = picture("Dot", "One dot.", 20, 20, marker(0, 10, 10), "plot", "dot")
        >>> 'aria-labelledby="dot-title dot-desc"' in svg
        True
    """
    size = {"width": width, "height": height} if class_ == "map" else {}
    return element(
        "svg",
        element("title", title, id=f"{key}-title"),
        element("desc", description, id=f"{key}-desc"),
        body,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
        class_=class_,
        **size,
    )


def marker(series: int, x: float, y: float, size: float = 5.0) -> Markup:
    """A model's mark, with its own colour and shape.

    Example:
        >>> marker(0, 10, 20)
        '<circle cx="10" cy="20" r="5" class="m1"></circle>'
    """
    class_ = f"m{series % SERIES + 1}"
    shape = (series + series // SERIES) % SERIES  # the seventh model has the first one's colour, not its shape
    if shape == 0:
        return element("circle", cx=x, cy=y, r=size, class_=class_)
    return element("path", d=_outline(shape, x, y, size * 1.15), class_=class_)


def scatter(
    points: Sequence[Point], reference: float | None, *, x_label: str, y_label: str, title: str, key: str
) -> Markup:
    """Shares against a quantity, each with its interval and its name.

    Args:
        points: Points, at least one.
        reference: Share of a model that has no x, drawn as a line.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis.
        title: Title of the picture.
        key: Prefix of the picture's ids.

    Example:
        >>> points = [Point("int8", 0, 2.1, 0.98, 0.97, 0.99)]
        >>> svg = scatter(points, None, x_label="MB", y_label="accuracy", title="Size", key="size")
        >>> "accuracy against MB. int8: 2.1, 98.00%." in svg
        True
    """
    shares = [share for point in points for share in (point.low, point.high)]
    y = fitted_axis(
        [*shares, *([reference] if reference is not None else [])], _BOTTOM, _TOP, has_zero=False, limits=_SHARE
    )
    x = fitted_axis([point.x for point in points], _LEFT, _RIGHT, has_zero=True, limits=_ANY)
    line = None
    if reference is not None:
        line = element("line", x1=_LEFT, x2=_RIGHT, y1=y.at(reference), y2=y.at(reference), class_="reference")
    described = "; ".join(f"{point.name}: {shown(point.x)}, {point.y:.2%}" for point in points)
    return picture(
        title,
        f"{y_label} against {x_label}. {described}.",
        _WIDTH,
        _HEIGHT,
        joined(
            [
                _y_axis(y, y_label, lambda value: f"{100 * value:.4g}"),
                _x_axis(x, x_label),
                line,
                *(_whisker(point.series, x.at(point.x), y.at(point.low), y.at(point.high)) for point in points),
                *(marker(point.series, x.at(point.x), y.at(point.y)) for point in points),
                *_names(points, x, y),
            ]
        ),
        "plot",
        key,
    )


def grouped_points(
    groups: Mapping[str, Sequence[Group]], *, x_label: str, y_label: str, title: str, key: str
) -> Markup:
    """Values of models in ordered groups: marks at the medians, whiskers up to the 90th percentiles, lines between.

    Args:
        groups: Group name -> values of the models.
        x_label: Label of the groups.
        y_label: Label of the values.
        title: Title of the picture.
        key: Prefix of the picture's ids.

    Example:
        >>> groups = {"short": [Group(0, 1.5, 2.0)], "long": [Group(0, 4.0, 4.5)]}
        >>> svg = grouped_points(groups, x_label="length", y_label="ms", title="Latency", key="latency")
        >>> "ms by length. short: 1.5; long: 4." in svg
        True
    """
    y = fitted_axis([one.upper for some in groups.values() for one in some], _BOTTOM, _TOP, has_zero=True, limits=_ANY)
    if y.is_logarithmic:
        lowest = [one.middle for some in groups.values() for one in some]
        y = fitted_axis([*lowest, y.high / 1.5], _BOTTOM, _TOP, has_zero=True, limits=_ANY)
    width = (_RIGHT - _LEFT) / len(groups)
    places: dict[int, list[tuple[float, Group]]] = {}
    names = []
    for i, (name, some) in enumerate(groups.items()):
        center = _LEFT + (i + 0.5) * width
        names.append(element("text", name, x=center, y=_BOTTOM + 18, text_anchor="middle"))
        for k, one in enumerate(some):
            shift = (k - (len(some) - 1) / 2) * min(11.0, 0.8 * width / len(some))
            places.setdefault(one.series, []).append((center + shift, one))
    described = "; ".join(f"{name}: " + ", ".join(shown(one.middle) for one in some) for name, some in groups.items())
    body = [_y_axis(y, y_label, shown), *names, _axis_name(x_label)]
    for series, values in places.items():
        line = " ".join(f"{number(place)},{number(y.at(one.middle))}" for place, one in values)
        body.append(element("polyline", points=line, class_=f"m{series % SERIES + 1} curve", style="fill: none"))
        body += [_whisker(series, place, y.at(one.middle), y.at(one.upper)) for place, one in values]
        body += [marker(series, place, y.at(one.middle), 4.0) for place, one in values]
    return picture(title, f"{y_label} by {x_label}. {described}.", _WIDTH, _HEIGHT, joined(body), "plot", key)


def stacked_bars(bars: Mapping[str, Mapping[str, float]], *, unit: str, title: str, key: str) -> Markup:
    """A bar for each name, made of parts, all on one scale.

    Args:
        bars: Name -> part -> amount; a part has the same colour in all bars.
        unit: Unit of the amounts.
        title: Title of the picture.
        key: Prefix of the picture's ids.

    Example:
        >>> svg = stacked_bars({"a.tflite": {"int8": 2.0, "float32": 0.5}}, unit="MB", title="Constants", key="bars")
        >>> "a.tflite (2.5 MB)" in svg
        True
    """
    parts = _parts(bars)
    longest = max(sum(bar.values()) for bar in bars.values()) or 1.0
    width, height = 560.0, 46.0 * len(bars) + 4
    body = []
    for row, (name, bar) in enumerate(bars.items()):
        top, left = row * 46.0, 0.0
        total = sum(bar.values())
        body.append(element("text", f"{shortened(name, 60)} ({shown(total)} {unit})", x=0, y=top + 14))
        for part, amount in bar.items():
            wide = amount / longest * width
            body.append(_bar_part(left, top + 20, wide, part, parts.index(part), f"{part}: {shown(amount)} {unit}"))
            left += wide
    described = "; ".join(
        f"{name}: " + ", ".join(f"{part} {shown(amount)}" for part, amount in bar.items()) for name, bar in bars.items()
    )
    return picture(title, f"{described} ({unit}).", width, height, joined(body), "bars", key)


def bar_legend(bars: Mapping[str, Mapping[str, float]]) -> Markup:
    """Legend of the colours of `stacked_bars`.

    Example:
        >>> bar_legend({"a.tflite": {"int8": 2.0}}).count("<li>")
        1
    """
    items = []
    for i, part in enumerate(_parts(bars)):
        swatch = element("rect", x=1, y=1, width=14, height=14, class_=f"s{_PART_STEPS[i % len(_PART_STEPS)]} outlined")
        mark = element("svg", swatch, viewBox="0 0 16 16", class_="mark", aria_hidden="true")
        items.append(element("li", element("span", mark, element("bdi", part), class_="model")))
    return element("ul", *items, class_="legend")


def _parts(bars: Mapping[str, Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(part for bar in bars.values() for part in bar))


def _bar_part(x: float, y: float, width: float, part: str, index: int, tooltip: str) -> Markup:
    step = _PART_STEPS[index % len(_PART_STEPS)]
    text = None
    if width > _TEXT_IN_BAR:
        text = element("text", part, x=x + 6, y=y + 15, class_=f"s{step}")
    bar = element("rect", x=x, y=y, width=max(width - 1, 0.5), height=20, class_=f"s{step} outlined")
    return element("g", element("title", tooltip), bar, text)


def _outline(shape: int, x: float, y: float, r: float) -> str:
    corners: dict[int, Sequence[tuple[float, float]]] = {
        1: ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        2: ((0, -1.1), (1.05, 0.8), (-1.05, 0.8)),
        3: ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
        4: ((0, 1.1), (1.05, -0.8), (-1.05, -0.8)),
        5: (
            *((-0.35, -1.1), (0.35, -1.1), (0.35, -0.35), (1.1, -0.35), (1.1, 0.35), (0.35, 0.35)),
            *((0.35, 1.1), (-0.35, 1.1), (-0.35, 0.35), (-1.1, 0.35), (-1.1, -0.35), (-0.35, -0.35)),
        ),
    }
    return "M" + "L".join(f"{number(x + a * r)} {number(y + b * r)}" for a, b in corners[shape]) + "Z"


def _whisker(series: int, x: float, y1: float, y2: float) -> Markup:
    path = f"M{number(x)} {number(y1)}V{number(y2)}M{number(x - 3)} {number(y2)}h6M{number(x - 3)} {number(y1)}h6"
    return element("path", d=path, class_=f"m{series % SERIES + 1} whisker")


def _y_axis(axis: Axis, label: str, text: Callable[[float], str]) -> Markup:
    marks = []
    for tick in axis.ticks:
        y = axis.at(tick)
        marks.append(element("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, class_="grid"))
        marks.append(element("text", text(tick), x=_LEFT - 6, y=y + 4, text_anchor="end", class_="soft"))
    middle = (_TOP + _BOTTOM) / 2
    turned: dict[str, Attribute] = {"transform": f"rotate(-90 12 {number(middle)})", "text_anchor": "middle"}
    return joined([*marks, element("text", label, x=12, y=middle, class_="soft", **turned)])


def _x_axis(axis: Axis, label: str) -> Markup:
    marks = [element("line", x1=_LEFT, x2=_RIGHT, y1=_BOTTOM, y2=_BOTTOM, class_="axis")]
    for tick in axis.ticks:
        x = axis.at(tick)
        marks.append(element("line", x1=x, x2=x, y1=_BOTTOM, y2=_BOTTOM + 4, class_="axis"))
        marks.append(element("text", shown(tick), x=x, y=_BOTTOM + 18, text_anchor="middle", class_="soft"))
    return joined([*marks, _axis_name(label + (", logarithmic" if axis.is_logarithmic else ""))])


def _axis_name(label: str) -> Markup:
    return element("text", label, x=(_LEFT + _RIGHT) / 2, y=_BOTTOM + 38, text_anchor="middle", class_="soft")


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: "_Box") -> float:
        """The area that both cover."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(wide, 0.0) * max(high, 0.0)


def _names(points: Sequence[Point], x: Axis, y: Axis) -> list[Markup]:
    """Each point's name, placed where it covers least of the points and of the names before it."""
    taken = [_Box(x.at(p.x) - 7, y.at(p.y) - 7, x.at(p.x) + 7, y.at(p.y) + 7) for p in points]
    taken += [_Box(x.at(p.x) - 3, y.at(p.high), x.at(p.x) + 3, y.at(p.low)) for p in points]
    found = []
    for point in points:
        name = shortened(point.name, _LONGEST_NAME)
        px, py, width = x.at(point.x), y.at(point.y), text_width(name)
        offers = [
            _Box(left, top, left + width, top + _LINE)
            for rise in (0.0, -1.0, 1.0, -2.0, 2.0, -3.0, 3.0, -4.0, 4.0)
            for top in (py - _LINE / 2 + rise * _LINE,)
            for left in (px + 10, px - 10 - width)
            if left >= _LEFT and left + width <= _RIGHT + 10 and _TOP - 4 <= top <= _BOTTOM - _LINE
        ]
        box = min(offers, key=lambda offer: _cost(offer, taken, py), default=None)
        box = box or _Box(px + 10, py - _LINE / 2, px + 10 + width, py + _LINE / 2)
        taken.append(box)
        if abs(box.top + _LINE / 2 - py) > _LINE / 2:
            near = box.left - 2 if box.left > px else box.right + 2
            found.append(element("line", x1=px, y1=py, x2=near, y2=box.top + _LINE / 2, class_="leader"))
        found.append(element("text", name, x=box.left, y=box.top + 11, class_="halo"))
    return found


def _cost(offer: _Box, taken: Sequence[_Box], y: float) -> float:
    """The area that a name would cover, and a little for the distance to its point."""
    return sum(offer.overlap(other) for other in taken) + abs((offer.top + offer.bottom) / 2 - y)


def text_width(text: str, letter: float = _LETTER) -> float:
    """Approximate width of a text; letters of East Asian scripts are twice as wide as others.

    Example:
        >>> text_width("言語") == text_width("abcd")
        True
    """
    return letter * sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def shortened(name: str, length: int) -> str:
    """The name, without its middle if it is too long.

    Example:
        >>> shortened("a_long_file_name", 10)
        'a_lon…name'
    """
    if len(name) <= length:
        return name
    return f"{name[: length // 2]}…{name[len(name) - length // 2 + 1 :]}"
