"""Sections on quality against cost: the summary, accuracy against size and time, and latency by length."""

from collections.abc import Callable

from edgedistil.measuring.measurements import MeasuredModel, Measurements
from edgedistil.report.axes import shown
from edgedistil.report.markup import Child, Markup, element, joined
from edgedistil.report.plots import Group, Point, grouped_points, scatter
from edgedistil.report.set_sections import set_quality
from edgedistil.report.tables import data_table, megabytes, model_name, percent, signed
from edgedistil_runtime.benchmarking.speed import LengthLatency

__all__ = ["latency_section", "summary_section", "tradeoff_section"]

_QUALITY = (
    "model",
    "quantization",
    "accuracy",
    "95\N{NO-BREAK SPACE}% interval",
    "macro F1",
    "against reference",
    "labels changed",
)
_COST = ("model", "size MB", "p50 ms", "p90 ms", "p99 ms", "texts/s", "in batches/s", "load ms", "peak MB")


def summary_section(measurements: Measurements) -> Markup:
    """Tables of quality, and of size and speed, of all models."""
    models = measurements.models
    caption = f"Quality on the {measurements.data.texts:,} texts of {measurements.data.name}"
    quality = set_quality(measurements, caption) if measurements.has_label_sets else _quality(measurements, caption)
    costs = f"Size and speed on {measurements.machine.cpu}" if measurements.timed else "Size"
    cost_columns = _COST if measurements.timed else _COST[:2]
    return joined(
        [
            *quality,
            data_table(costs, cost_columns, (_cost_row(measurements, model)[: len(cost_columns)] for model in models)),
            element("p", "The size of a Keras preset is that of its weights in memory.", class_="note")
            if any(model.is_keras for model in models)
            else None,
            _baseline_note(measurements),
        ]
    )


def _quality(measurements: Measurements, caption: str) -> list[Child]:
    note = (
        "The accuracy on many more texts of this kind probably lies in the interval. All models were measured on the "
        "same texts, so compare two of them by the labels that changed. Against reference: percentage points of "
        "accuracy."
    )
    rows = (_quality_row(measurements, model) for model in measurements.models)
    return [data_table(caption, _QUALITY, rows), element("p", note, class_="note")]


def _baseline_note(measurements: Measurements) -> Markup | None:
    baselines = [(model, model.baseline) for model in measurements.models if model.baseline]
    if not baselines:
        return None
    [(model, facts)] = baselines
    return element(
        "p",
        f"{model.name} is the baseline: {facts.features:,} n-grams of words and characters and a linear model, trained "
        f"by scikit-learn on the {facts.texts:,} texts of ",
        element("bdi", facts.data),
        ". Its size is that of the pickled model, and it was timed in Python. A model that is not ahead of it does not "
        "earn its milliseconds.",
        class_="note",
    )


def _quality_row(measurements: Measurements, model: MeasuredModel) -> list[Child]:
    evaluation, reference = model.evaluation, measurements.reference_model
    low, high = model.accuracy_interval
    badge = element("span", "reference", class_="badge") if model is reference and measurements.others else None
    difference = signed(100 * (model.accuracy - reference.accuracy), 2)
    return [
        joined([model_name(measurements, model), " ", badge]),
        model.scheme,
        percent(model.accuracy, 2),
        f"{100 * low:.1f}–{100 * high:.1f}\N{NO-BREAK SPACE}%",
        f"{evaluation.macro_f1:.4f}",
        None if model is reference else difference,
        f"{evaluation.texts - model.changes.same:,}" if model.changes else None,
    ]


def _cost_row(measurements: Measurements, model: MeasuredModel) -> list[Child]:
    name, speed = model_name(measurements, model), model.latency
    if speed is None:
        return [name, megabytes(model.size), *[None] * 7]
    load = model.speed.load if model.speed else None
    return [
        name,
        megabytes(model.size),
        *map(shown, (speed.p50_ms, speed.p90_ms, speed.p99_ms)),
        *(f"{value:,.0f}" for value in (speed.texts_per_second, speed.batch_texts_per_second)),
        shown(load.load_ms) if load else None,
        f"{load.peak_bytes / 1e6:.0f}" if load and load.peak_bytes else None,
    ]


def tradeoff_section(measurements: Measurements) -> Markup | None:
    """Accuracy against size and against milliseconds; `None` if no file was measured."""
    if not any(model.speed for model in measurements.models):
        return None
    timed = [model for model in measurements.models if model.latency]
    keras = [model for model in measurements.models if model.is_keras]
    reference = keras[0].accuracy if keras else None

    share = "right sets" if measurements.has_label_sets else "accuracy"

    def plot(x: Callable[[MeasuredModel], float], x_label: str, key: str) -> Markup:
        points = [_point(measurements, model, x(model)) for model in timed]
        title = f"{share.capitalize()} against {x_label}"
        figure = scatter(points, reference, x_label=x_label, y_label=f"{share}, %", title=title, key=key)
        return element("figure", element("figcaption", title), figure)

    line = f" The dashed line is {keras[0].name} in Keras." if keras else ""
    return joined(
        [
            element(
                "div",
                plot(lambda model: model.size / 1e6, "file size, MB", "size"),
                plot(lambda model: model.latency.p50_ms if model.latency else 0.0, "time of one text, ms", "time"),
                class_="pair",
            ),
            element(
                "p",
                "Up and to the left is better. Whiskers are the 95\N{NO-BREAK SPACE}% intervals of {share}; time is "
                f"the p50.{line}",
                class_="note",
            ),
        ]
    )


def _point(measurements: Measurements, model: MeasuredModel, x: float) -> Point:
    series = measurements.models.index(model)
    return Point(model.short_name, series, x, model.accuracy, *model.accuracy_interval)


def latency_section(measurements: Measurements) -> Markup | None:
    """Latency by length of text, as a plot and a table; `None` if no file was measured."""
    timed = [(i, model, model.speed) for i, model in enumerate(measurements.models) if model.speed]
    if not timed:
        return None
    lengths = timed[0][2].lengths  # the texts are the same for all
    groups = {
        one.name: [Group(i, speed.lengths[k].p50_ms, speed.lengths[k].p90_ms) for i, _, speed in timed]
        for k, one in enumerate(lengths)
    }
    legend = element("ul", *(element("li", model_name(measurements, model)) for _, model, _ in timed), class_="legend")
    title = "Time of one text by its length"
    figure = grouped_points(groups, x_label="characters", y_label="ms", title=title, key="latency")
    rows = [
        [one.name, f"{one.texts:,}", *(_both(speed.lengths[k]) for _, _, speed in timed)]
        for k, one in enumerate(lengths)
    ]
    columns = ["characters", "texts", *(model_name(measurements, model, is_short=True) for _, model, _ in timed)]
    note = element("p", "Marks are p50, whiskers reach up to p90.", class_="note")
    drawn = element("div", element("figure", element("figcaption", title), legend, figure), note)
    return element(
        "div",
        drawn,
        data_table("Milliseconds of one text, p50 / p90, by length", columns, rows, class_="narrow"),
        class_="side",
    )


def _both(latency: LengthLatency) -> str:
    return f"{shown(latency.p50_ms)} / {shown(latency.p90_ms)}"
