"""`edgedistil evaluate`: scores of models on labelled texts, side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgedistil.cli.data_options import data_options, read_examples
from edgedistil.cli.models import model_paths
from edgedistil.cli.output import import_quietly, print_json, stdout_console

if TYPE_CHECKING:
    from rich.table import Table

    from edgedistil.scores import Evaluation

__all__ = ["evaluate"]


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", type=click.Path(path_type=Path))
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Labelled texts.")
@data_options()
@click.option(
    "--confusions", type=click.IntRange(min=0), default=5, show_default=True, help="Most frequent confusions to list."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line.")
def evaluate(models: tuple[Path, ...], data: Path, confusions: int, as_json: bool, **columns: Any) -> None:
    """Measure models on labelled texts: accuracy, F1 of each class, and confusions.

    Models are .tflite files, and preset directories or bundled presets, which Keras runs.

    \b
    edgedistil evaluate my_classifier my_classifier.tflite --data test.csv
    """  # noqa: D301  # \b is for click
    from edgedistil.scores import evaluate_labels

    paths = model_paths(models)
    examples = read_examples(data, **columns, is_json=as_json)
    evaluations = {}
    for name, path in paths.items():
        labels, predicted = _predict(path, examples.texts)
        evaluations[name] = evaluate_labels(examples.spelled_as(labels).labels, predicted, labels)
    if as_json:
        results = [{"model": name, **evaluation.to_dict()} for name, evaluation in evaluations.items()]
        print_json({"data": data.name, "skipped": examples.remarks.skipped.to_dict(), "models": results})
        return
    _print(evaluations, confusions)


def _print(evaluations: dict[str, "Evaluation"], confusions: int) -> None:
    from rich.text import Text

    console = stdout_console()
    console.print(_summary(evaluations))
    for name, evaluation in evaluations.items():
        console.print(Text(f"\n{name}", style="bold"))
        console.print(_per_class(evaluation))
        for line in _worst_confusions(evaluation, confusions):
            console.print(Text(line))


def _predict(model: Path, texts: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """The labels that a model knows, and its label for each text."""
    if model.is_dir():
        import_quietly("edgedistil.presets.loading", "edgedistil.training.keras_outputs")
        from edgedistil.presets.loading import load_labelled_classifier
        from edgedistil.training.keras_outputs import predict_probabilities

        trained = load_labelled_classifier(model)
        best = predict_probabilities(trained.classifier, texts).argmax(axis=1)
        return trained.labels, [trained.labels[i] for i in best]
    from edgedistil_runtime import TextClassifier
    from edgedistil_runtime.native_log import native_log_hidden

    with native_log_hidden():
        classifier = TextClassifier(model)
    with classifier:
        return tuple(classifier.labels), [answer.label for answer in classifier.classify_batch(texts)]


def _summary(evaluations: dict[str, "Evaluation"]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table("model", "texts", "accuracy", "macro F1", box=None, header_style="bold")
    for name, evaluation in evaluations.items():
        table.add_row(Text(name), f"{evaluation.texts:,}", f"{evaluation.accuracy:.2%}", f"{evaluation.macro_f1:.4f}")
    return table


def _per_class(evaluation: "Evaluation") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table("class", "precision", "recall", "F1", "texts", box=None, header_style="bold")
    for scores in evaluation.classes:
        numbers = (f"{value:.3f}" for value in (scores.precision, scores.recall, scores.f1))
        table.add_row(Text(scores.label), *numbers, str(scores.support))
    return table


def _worst_confusions(evaluation: "Evaluation", count: int) -> list[str]:
    labels = [scores.label for scores in evaluation.classes]
    wrong = [
        (times, labels[right], labels[given])
        for right, row in enumerate(evaluation.confusion)
        for given, times in enumerate(row)
        if right != given and times
    ]
    return [f"{times} x {right} taken for {given}" for times, right, given in sorted(wrong, reverse=True)[:count]]
