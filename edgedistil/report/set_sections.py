"""Parts of the sections on quality and on single texts, for models that give a text any number of labels."""

from collections.abc import Sequence

from edgedistil.measuring.measurements import ChangedSet, MeasuredModel, Measurements, SetMistake
from edgedistil.report.markup import Child, Markup, element, joined
from edgedistil.report.tables import cell, data_table, model_name, percent, words
from edgedistil.set_scores import SetEvaluation

__all__ = ["changed_sets", "set_mistakes", "set_pairs", "set_quality"]

_MOST_PAIRS = 20
_COLUMNS = (
    "model",
    "quantization",
    "micro F1",
    "macro F1",
    "right sets",
    "95\N{NO-BREAK SPACE}% interval",
    "sets changed",
)
_CHANGED_COLUMNS = ("model", "text", "right labels", "reference", "model", "label: reference, model")
_MISTAKE_COLUMNS = ("text", "right labels", "label", "mistake", "score", "threshold")


def set_quality(measurements: Measurements, caption: str) -> list[Child]:
    """Table of the scores of all models, with a note."""
    note = (
        "Micro F1 counts every decision about a text and a label, macro F1 is the mean over the labels. Right sets are "
        "the texts with exactly the right labels; their share on many more texts of this kind probably lies in the "
        "interval. All models were measured on the same texts, so compare two of them by the sets that changed."
    )
    rows = (_quality_row(measurements, model) for model in measurements.models)
    return [data_table(caption, _COLUMNS, rows), element("p", note, class_="note")]


def _quality_row(measurements: Measurements, model: MeasuredModel) -> list[Child]:
    found, reference = _sets(model), measurements.reference_model
    low, high = model.accuracy_interval
    badge = element("span", "reference", class_="badge") if model is reference and measurements.others else None
    return [
        joined([model_name(measurements, model), " ", badge]),
        model.scheme,
        f"{found.micro_f1:.4f}",
        f"{found.macro_f1:.4f}",
        percent(found.subset_accuracy, 2),
        f"{100 * low:.1f}–{100 * high:.1f}\N{NO-BREAK SPACE}%",
        f"{found.texts - model.changes.same:,}" if model.changes else None,
    ]


def set_pairs(measurements: Measurements) -> Markup:
    """The pairs of a missing and a wrong label that texts have most, with the count of each model."""
    counts = [{(one.right, one.given): one.texts for one in _sets(model).confusions} for model in measurements.models]
    of_reference = counts[measurements.reference]
    pairs = dict.fromkeys(pair for some in (of_reference, *counts) for pair in some)
    worst = sorted(pairs, key=lambda pair: (-of_reference.get(pair, 0), -max(some.get(pair, 0) for some in counts)))
    if not worst:
        return element("p", "No text was given a wrong label in place of a right one.")
    rows = [
        [element("bdi", right), words(given), *(f"{some.get((right, given), 0):,}" for some in counts)]
        for right, given in worst[:_MOST_PAIRS]
    ]
    names = (model_name(measurements, model, is_short=True) for model in measurements.models)
    caption = "Most confused pairs: texts that got the given label, which is wrong, and not the right one"
    return data_table(caption, ["right label", "given label", *names], rows)


def changed_sets(measurements: Measurements) -> Markup | None:
    """Table of texts with other labels than the reference's; None if no text was kept."""
    rows = [
        [model_name(measurements, model), *_changed_cells(example)]
        for model in measurements.others
        if model.changes
        for example in model.changes.examples
        if isinstance(example, ChangedSet)
    ]
    if not rows:
        return None
    caption = (
        "Some of the texts with other labels than the reference's: those that it has right first, and of these those "
        "with a label that is furthest from its threshold"
    )
    note = (
        "The last column has the probabilities of the labels that only one of the two gives, and their thresholds "
        "after the strokes."
    )
    return joined([data_table(caption, _CHANGED_COLUMNS, rows), element("p", note, class_="note")])


def _changed_cells(example: ChangedSet) -> list[Child]:
    changes = "; ".join(
        f"{one.label}: {one.reference_score:.3f} / {one.reference_threshold:.3f}, {one.score:.3f} / {one.threshold:.3f}"
        for one in example.changed
    )
    sets = (_listed(labels) for labels in (example.right, example.reference, example.given))
    return [words(example.text), *sets, words(changes)]


def set_mistakes(model: MeasuredModel) -> Markup:
    """Table of the labels that a model is surest of and wrong."""
    mistakes = [one for one in model.mistakes if isinstance(one, SetMistake)]
    rows = ([element("bdi", one.text), *_mistake_cells(one)] for one in mistakes)
    return data_table(f"{len(mistakes):,} labels: {model.name}", _MISTAKE_COLUMNS, rows)


def _mistake_cells(mistake: SetMistake) -> list[Child]:
    kind = "given" if mistake.is_given else "not given"
    scores = (cell(f"{value:.3f}") for value in (mistake.score, mistake.threshold))
    return [_listed(mistake.right), words(mistake.label), words(kind), *scores]


def _listed(labels: Sequence[str]) -> Markup:
    return words(", ".join(labels) or "–")


def _sets(model: MeasuredModel) -> SetEvaluation:
    assert isinstance(model.evaluation, SetEvaluation)
    return model.evaluation
