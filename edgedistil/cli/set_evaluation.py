"""`edgedistil evaluate` for multi-label models: scores of their sets of labels, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistil.cli.output import import_quietly, print_json, stdout_console

if TYPE_CHECKING:
    from rich.table import Table

    from edgedistil.data import MultiLabelTexts
    from edgedistil.measuring.answers import ModelAnswers
    from edgedistil.measuring.reliability import ScoreQuality
    from edgedistil.scores import ClassScores
    from edgedistil.set_scores import SetEvaluation

__all__ = ["calibration_line", "evaluate_sets", "per_class_table"]


def evaluate_sets(
    paths: Mapping[str, Path], examples: "MultiLabelTexts", data: str, long_texts: str, *, as_json: bool
) -> None:
    """Measures models on texts with several labels, and prints the scores.

    Args:
        paths: Name of each model -> a file, or the directory of a preset.
        examples: Texts and the labels of each.
        data: Name of the data file.
        long_texts: What is read of long texts, as in `TextClassifier`.
        as_json: Print one JSON object.
    """
    from edgedistil.measuring.answers import ask_file, ask_preset
    from edgedistil.measuring.reliability import measure_set_scores
    from edgedistil.set_scores import evaluate_label_sets

    if any(path.is_dir() for path in paths.values()):
        import_quietly("edgedistil.presets.loading", "edgedistil.training.keras_outputs")
    answers = {
        name: (ask_preset if path.is_dir() else ask_file)(path, examples.texts, long_texts=long_texts, has_sets=True)
        for name, path in paths.items()
    }
    evaluations = {
        name: evaluate_label_sets(examples.spelled_as(asked.labels).label_sets, asked.label_sets, asked.labels)
        for name, asked in answers.items()
    }
    reference = next((name for name, path in paths.items() if path.is_dir()), next(iter(paths)))
    scores = {
        name: measure_set_scores(
            asked.probabilities,
            examples.spelled_as(asked.labels).label_sets,
            asked.labels,
            temperature=asked.temperature,
        )
        for name, asked in answers.items()
        if asked.probabilities is not None
    }
    same = {name: _same_sets(answers[reference], asked) for name, asked in answers.items()}
    if as_json:
        models = [
            {
                "model": name,
                **evaluation.to_dict(),
                "same_sets": same[name],
                "scores": asdict(scores[name]),
                "size": answers[name].size,
                "ms_per_text": round(answers[name].ms_per_text, 4),
                "truncation": (found := answers[name].truncation) and found.to_dict(),
            }
            for name, evaluation in evaluations.items()
        ]
        skipped = examples.remarks.skipped.to_dict()
        print_json({"data": data, "skipped": skipped, "reference": reference, "models": models})
        return
    _print(evaluations, answers, scores, same, reference)


def _same_sets(reference: "ModelAnswers", asked: "ModelAnswers") -> float:
    pairs = zip(reference.label_sets, asked.label_sets, strict=True)
    return sum(set(one) == set(other) for one, other in pairs) / len(asked.given)


def _print(
    evaluations: Mapping[str, "SetEvaluation"],
    answers: Mapping[str, "ModelAnswers"],
    scores: Mapping[str, "ScoreQuality"],
    same: Mapping[str, float],
    reference: str,
) -> None:
    from rich.table import Table
    from rich.text import Text

    console = stdout_console()
    columns = ("model", "texts", "micro F1", "macro F1", "right sets", f"sets as {reference}")
    table = Table(*columns, "ECE", "Brier", "MB", "ms/text", box=None, header_style="bold")
    for name, found in evaluations.items():
        shares = (f"{found.subset_accuracy:.2%}", f"{same[name]:.2%}")
        given = scores[name].given
        sure = (f"{given.calibration_error:.4f}", f"{given.brier_score:.4f}")
        cost = (f"{answers[name].size / 1e6:.2f}", f"{answers[name].ms_per_text:.2f}")
        table.add_row(
            Text(name), f"{found.texts:,}", f"{found.micro_f1:.4f}", f"{found.macro_f1:.4f}", *shares, *sure, *cost
        )
    console.print(table)
    for name, quality in scores.items():
        if quality.uncalibrated:
            console.print(Text(calibration_line(name, quality)))
    for name, asked in answers.items():
        if asked.truncation and (asked.truncation.truncated or asked.truncation.divided):
            console.print(Text(f"{name}: {asked.truncation}"))
    for name, found in evaluations.items():
        console.print(Text(f"\n{name}", style="bold"))
        console.print(per_class_table(found.classes))


def calibration_line(name: str, quality: "ScoreQuality") -> str:
    """A line about the scores of a calibrated file as they would be without the calibration."""
    before = quality.uncalibrated
    assert before is not None
    return (
        f"{name}: scores are calibrated, temperature {quality.temperature:.3g}; without it, ECE "
        f"{before.calibration_error:.4f}, Brier {before.brier_score:.4f}"
    )


def per_class_table(classes: "Sequence[ClassScores]") -> "Table":
    """The scores of each class."""
    from rich.table import Table
    from rich.text import Text

    table = Table("class", "precision", "recall", "F1", "texts", box=None, header_style="bold")
    for scores in classes:
        numbers = (f"{value:.3f}" for value in (scores.precision, scores.recall, scores.f1))
        table.add_row(Text(scores.label), *numbers, str(scores.support))
    return table
