"""Section on single texts: those with another label than the reference's, and the most confident mistakes."""

from edgedistil.measuring.measurements import ChangedText, MeasuredModel, Measurements, Mistake
from edgedistil.report.markup import Child, Markup, element, joined
from edgedistil.report.set_sections import changed_sets, set_mistakes
from edgedistil.report.tables import cell, data_table, model_name, words
from edgedistil.scores import Evaluation

__all__ = ["texts_section"]

_MISTAKE_COLUMNS = ("text", "right label", "given label", "score", "score of the right label")


def texts_section(measurements: Measurements) -> Markup | None:
    """Tables of texts; nothing if no text was kept."""
    reference = measurements.reference_model
    mistakes = [_folded(model) for model in measurements.others if model.mistakes]
    if reference.mistakes:
        mistakes = [_mistakes(reference), *mistakes]
    if mistakes:
        note = (
            "A score is the probability of the label. Texts that a model is sure of and gets wrong show wrong labels "
            "in the data, classes that overlap, and what the training texts lack."
        )
        if measurements.has_label_sets:
            note += " Labels that are given wrongly come first, the highest scores first; then those that are missing."
        mistakes = [element("h3", "Most confident mistakes"), element("p", note, class_="note"), *mistakes]
    changed = changed_sets if measurements.has_label_sets else _changed_texts
    parts = [changed(measurements), *mistakes]
    return joined(parts) if any(parts) else None


def _changed_texts(measurements: Measurements) -> Markup | None:
    rows = [
        [
            model_name(measurements, model),
            *(words(text) for text in (example.text, example.right, example.reference)),
            _score(example.reference_score),
            words(example.given),
            _score(example.score),
        ]
        for model in measurements.others
        if model.changes
        for example in model.changes.examples
        if isinstance(example, ChangedText)
    ]
    if not rows:
        return None
    caption = (
        "Some of the texts with another label than the reference's: those that it has right first, and of these those "
        "that it is surest of"
    )
    return data_table(caption, ("model", "text", "right label", "reference", "score", "model", "score"), rows)


def _folded(model: MeasuredModel) -> Markup:
    summary = element("summary", "Most confident mistakes: ", element("bdi", model.name))
    return element("details", summary, _mistakes(model))


def _mistakes(model: MeasuredModel) -> Markup:
    if not isinstance(model.evaluation, Evaluation):
        return set_mistakes(model)
    wrong = sum(sum(row) - row[i] for i, row in enumerate(model.evaluation.confusion))
    caption = f"{len(model.mistakes):,} of {wrong:,} texts with a wrong label: {model.name}"
    return data_table(caption, _MISTAKE_COLUMNS, map(_row, _one_label(model)))


def _one_label(model: MeasuredModel) -> list[Mistake]:
    return [one for one in model.mistakes if isinstance(one, Mistake)]


def _row(mistake: Mistake) -> list[Child]:
    labels = (words(mistake.right), words(mistake.given))
    return [element("bdi", mistake.text), *labels, _score(mistake.score), _score(mistake.right_score)]


def _score(score: float | None) -> Markup:
    return cell("–" if score is None else f"{score:.3f}")
