"""Section on scores: how far they are probabilities of being right, as numbers and as reliability diagrams."""

from edgedistil.measuring.measurements import MeasuredModel, Measurements
from edgedistil.report.markup import Child, Markup, element, joined, number
from edgedistil.report.plots import marker, picture
from edgedistil.report.tables import data_table, model_name, percent
from edgedistil_converters.verification.reliability import NUM_BINS, Reliability

__all__ = ["reliability_diagram", "scores_section"]

_WIDTH, _HEIGHT = 400.0, 290.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 54.0, 388.0, 14.0, 242.0
_LARGEST_MARK = 9.0
_COLUMNS = (
    "model",
    "calibration error",
    "Brier score",
    "mean score",
    "temperature",
    "calibration error without it",
    "Brier score without it",
)
_OF_ONE_LABEL = (
    "A score is the probability of the label. Calibration error: mean difference between score and accuracy in "
    f"{NUM_BINS} bins of equal width; 0 is best. Brier score: mean squared error of all probabilities, 0 (best) to 2."
)
_OF_SETS = (
    "A score is the probability that a text has a label. Calibration error: mean difference between score and the "
    f"share of right ones among pairs of a text and a label, in {NUM_BINS} bins of equal width but the first, which "
    "has most pairs; 0 is best. Brier score: sum of the squared errors of a text's probabilities; 0 is best."
)


def scores_section(measurements: Measurements) -> Markup | None:
    """A table and a diagram of each model's scores; nothing if no model has scores."""
    models = [model for model in measurements.models if model.scores]
    if not models:
        return None
    kind = _OF_SETS if measurements.has_label_sets else _OF_ONE_LABEL
    note = (
        f"{kind} Files that were converted with calibrated scores divide their logits by a temperature; the last two "
        "columns are what their scores would be without it."
    )
    pictures = [_figure(model, measurements.models.index(model)) for model in models]
    return joined(
        [
            data_table("Scores of each model", _COLUMNS, (_row(measurements, model) for model in models)),
            element("p", note, class_="note"),
            element("div", *pictures, class_="pair"),
        ]
    )


def _row(measurements: Measurements, model: MeasuredModel) -> list[Child]:
    scores = model.scores
    assert scores is not None
    given, before = scores.given, scores.uncalibrated
    mean = sum(one.texts * one.mean_score for one in given.bins) / max(given.texts, 1)
    return [
        model_name(measurements, model),
        f"{given.calibration_error:.4f}",
        f"{given.brier_score:.4f}",
        f"{mean:.4f}",
        None if scores.temperature == 1 else f"{scores.temperature:.3g}",
        f"{before.calibration_error:.4f}" if before else None,
        f"{before.brier_score:.4f}" if before else None,
    ]


def _figure(model: MeasuredModel, series: int) -> Markup:
    assert model.scores is not None
    drawn = reliability_diagram(
        model.scores.given,
        model.scores.uncalibrated,
        series=series,
        title=f"Accuracy by score: {model.name}",
        key=f"scores-{series + 1}",
    )
    caption: list[Child] = ["Accuracy by score: ", element("bdi", model.name)]
    if model.scores.uncalibrated:
        caption.append("; the thin line is without calibration")
    return element("figure", drawn, element("figcaption", *caption))


def reliability_diagram(given: Reliability, before: Reliability | None, *, series: int, title: str, key: str) -> Markup:
    """Accuracy of the texts of each bin against their mean score; on the dashed line both are the same.

    Args:
        given: Measures of the scores; the area of a mark is the share of the texts.
        before: Measures to show as a thin line, without marks.
        series: Number of the model, from 0.
        title: Title of the picture.
        key: Prefix of the picture's ids.

    Example:
        >>> import numpy as np
        >>> from edgedistil_converters.verification.reliability import measure_reliability
        >>> scores = measure_reliability(np.array([[0.75, 0.25], [0.75, 0.25]]), [0, 1])
        >>> svg = reliability_diagram(scores, None, series=0, title="Scores", key="scores")
        >>> "score 0.75: 50.0 % of 2 texts" in " ".join(svg.split())
        True
    """
    filled = [one for one in given.bins if one.texts]
    described = "; ".join(
        f"score {one.mean_score:.2f}: {percent(one.accuracy)} of {one.texts:,} texts" for one in filled
    )
    body: list[Child] = [
        _axes(),
        element("line", x1=_x(0), x2=_x(1), y1=_y(0), y2=_y(1), class_="axis", stroke_dasharray="5 4"),
    ]
    if before:
        body.append(_line(before, "leader"))
    body.append(_line(given, f"m{series % 6 + 1} curve"))
    for one in filled:
        size = max(2.0, _LARGEST_MARK * (one.texts / given.texts) ** 0.5)
        body.append(marker(series, _x(one.mean_score), _y(one.accuracy), size))
    description = f"Accuracy by score. {described}."
    return picture(title, description, _WIDTH, _HEIGHT, joined(body), "plot", key)


def _line(scores: Reliability, class_: str) -> Markup:
    points = " ".join(f"{number(_x(one.mean_score))},{number(_y(one.accuracy))}" for one in scores.bins if one.texts)
    return element("polyline", points=points, class_=class_, style="fill: none")


def _axes() -> Markup:
    marks: list[Child] = [element("line", x1=_LEFT, x2=_RIGHT, y1=_BOTTOM, y2=_BOTTOM, class_="axis")]
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        x, y = _x(share), _y(share)
        marks.append(element("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, class_="grid"))
        marks.append(element("text", f"{100 * share:.0f}", x=_LEFT - 6, y=y + 4, text_anchor="end", class_="soft"))
        marks.append(element("text", f"{share:.1f}", x=x, y=_BOTTOM + 18, text_anchor="middle", class_="soft"))
    middle = (_TOP + _BOTTOM) / 2
    marks.append(element("text", "score", x=(_LEFT + _RIGHT) / 2, y=_BOTTOM + 38, text_anchor="middle", class_="soft"))
    marks.append(
        element(
            "text",
            "accuracy, %",
            x=12,
            y=middle,
            class_="soft",
            transform=f"rotate(-90 12 {number(middle)})",
            text_anchor="middle",
        )
    )
    return joined(marks)


def _x(score: float) -> float:
    return _LEFT + score * (_RIGHT - _LEFT)


def _y(accuracy: float) -> float:
    return _BOTTOM - accuracy * (_BOTTOM - _TOP)
