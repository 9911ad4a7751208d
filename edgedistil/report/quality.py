"""Sections on right and wrong labels: changes of each class against the reference, and confusions."""

from collections.abc import Sequence

from edgedistil.measuring.measurements import MeasuredModel, Measurements
from edgedistil.report.heat_maps import confusion_map, difference_map
from edgedistil.report.markup import Child, Markup, element, joined
from edgedistil.report.set_sections import set_pairs
from edgedistil.report.style import RAMP_STEPS
from edgedistil.report.tables import cell, data_table, model_name, scrolled, signed, words
from edgedistil.scores import ClassScores, Evaluation

__all__ = ["changes_section", "confusion_section"]

_MOST_CLASSES = 40  # in the open table; the others are folded away
_MOST_CHANGED = 20
_MOST_PAIRS = 20
_STRONG_CHANGE = 10.0  # percentage points with the strongest colour


def changes_section(measurements: Measurements) -> Markup:
    """Scores of each class for the reference, and the differences of the other models from them."""
    parts: list[Child] = [_change_counts(measurements)] if measurements.others else []
    classes = range(len(measurements.labels))
    if len(measurements.labels) <= _MOST_CLASSES:
        return joined([*parts, _class_table(measurements, classes, _class_caption(measurements))])
    if measurements.others:
        changed = sorted(classes, key=lambda i: (-_largest_change(measurements, i), i))[:_MOST_CHANGED]
        chosen = [i for i in changed if _largest_change(measurements, i)]
        caption = f"The {len(chosen)} classes that changed most. {_class_caption(measurements)}"
    else:
        chosen = sorted(classes, key=lambda i: measurements.reference_model.evaluation.classes[i].f1)[:_MOST_CHANGED]
        caption = f"The {len(chosen)} classes with the lowest F1"
    summary = element("summary", f"All {len(measurements.labels)} classes")
    whole = _class_table(measurements, classes, f"All classes. {_class_caption(measurements)}")
    few = _class_table(measurements, chosen, caption) if chosen else element("p", "No class changed.")
    return joined([*parts, few, element("details", summary, whole)])


def _class_caption(measurements: Measurements) -> str:
    if not measurements.others:
        return f"Scores of each class: {measurements.reference_model.name}"
    return (
        f"Scores of each class: those of the reference, {measurements.reference_model.name}, and by how many "
        "percentage points the others' recall and F1 differ from them"
    )


def _change_counts(measurements: Measurements) -> Markup:
    rows = [
        [
            model_name(measurements, model),
            *(f"{count:,}" for count in (changes.same, changes.broken, changes.repaired, changes.otherwise)),
        ]
        for model in measurements.others
        if (changes := model.changes)
    ]
    label = "labels" if measurements.has_label_sets else "label"
    caption = f"Texts by what became of the {label} that {measurements.reference_model.name} gives"
    columns = ("model", f"same {label}", "right → wrong", "wrong → right", "wrong → other wrong")
    return data_table(caption, columns, rows)


def _class_table(measurements: Measurements, classes: Sequence[int], caption: str) -> Markup:
    columns: list[Child] = ["class", "no.", "texts", "precision", "recall", "F1"]
    columns += ["threshold"] if measurements.reference_model.thresholds else []
    for model in measurements.others:
        name = model_name(measurements, model, is_short=True)
        columns += [joined([name, element("br"), "recall"]), joined([name, element("br"), "F1"])]
    return data_table(caption, columns, (_class_row(measurements, i) for i in classes))


def _class_row(measurements: Measurements, number: int) -> list[Child]:
    reference = measurements.reference_model.evaluation.classes[number]
    row: list[Child] = [element("bdi", reference.label), number + 1, f"{reference.support:,}"]
    row += [f"{value:.3f}" for value in (reference.precision, reference.recall, reference.f1)]
    row += [f"{threshold:.3f}" for threshold in measurements.reference_model.thresholds[number : number + 1]]
    for model in measurements.others:
        recall, f1 = _differences(model.evaluation.classes[number], reference)
        row += [_change_cell(recall), _change_cell(f1)]
    return row


def _differences(scores: ClassScores, reference: ClassScores) -> tuple[float, float]:
    """Differences of recall and of F1, in percentage points."""
    return 100 * (scores.recall - reference.recall), 100 * (scores.f1 - reference.f1)


def _change_cell(points: float) -> Markup:
    text = signed(points)
    if text == "0":
        return cell(text, "number zero")
    kind = "b" if points > 0 else "w"
    step = min(RAMP_STEPS[kind], max(1, round(abs(points) / _STRONG_CHANGE * RAMP_STEPS[kind])))
    return cell(text, f"number {kind}{step}")


def _largest_change(measurements: Measurements, number: int) -> float:
    reference = measurements.reference_model.evaluation.classes[number]
    changes = [_differences(model.evaluation.classes[number], reference) for model in measurements.others]
    return max((abs(points) for pair in changes for points in pair), default=0.0)


def confusion_section(measurements: Measurements) -> Markup:
    """Confusions of the reference, changes to them by the others, and the pairs that are confused most."""
    if measurements.has_label_sets:
        return set_pairs(measurements)
    reference = measurements.reference_model
    title = f"Confusion matrix of {reference.name}"
    parts: list[Child] = [
        _pairs(measurements),
        element("h3", title),
        element(
            "p",
            "Rows are the right labels, columns the given ones. A stronger colour is a larger share of the row, on a "
            "scale of square roots.",
            class_="note",
        ),
        scrolled(confusion_map(_confusion(reference), measurements.labels, title=title, key="matrix"), title),
    ]
    for i, model in enumerate(measurements.others):
        parts += _difference(measurements, model, f"matrix-{i + 1}")
    return joined(parts)


def _difference(measurements: Measurements, model: MeasuredModel, key: str) -> list[Child]:
    reference = measurements.reference_model
    title = f"{model.name} against {reference.name}"
    if _confusion(model) == _confusion(reference):
        return [element("h3", title), element("p", "The two matrices are the same.")]
    note = "Texts more or fewer than the reference has there: blue is better, orange worse."
    drawn = difference_map(_confusion(model), _confusion(reference), measurements.labels, title=title, key=key)
    return [element("h3", title), element("p", note, class_="note"), scrolled(drawn, title)]


def _confusion(model: MeasuredModel) -> tuple[tuple[int, ...], ...]:
    assert isinstance(model.evaluation, Evaluation)
    return model.evaluation.confusion


def _pairs(measurements: Measurements) -> Markup:
    """The pairs of labels that any model confuses most, with the count of each model."""
    matrices = [_confusion(model) for model in measurements.models]
    wrong = {
        (right, given)
        for matrix in matrices
        for right, row in enumerate(matrix)
        for given, count in enumerate(row)
        if count and right != given
    }
    counts = {pair: [matrix[pair[0]][pair[1]] for matrix in matrices] for pair in wrong}
    place = measurements.reference
    worst = sorted(wrong, key=lambda pair: (-counts[pair][place], -max(counts[pair]), pair))
    if not worst:
        return element("p", "No text was given a wrong label.")
    labels = measurements.labels
    rows = [
        [element("bdi", labels[pair[0]]), words(labels[pair[1]]), *(f"{count:,}" for count in counts[pair])]
        for pair in worst[:_MOST_PAIRS]
    ]
    columns = [
        "right label",
        "given label",
        *(model_name(measurements, model, is_short=True) for model in measurements.models),
    ]
    return data_table("Most confused pairs: texts of the right label that got the given one", columns, rows)
