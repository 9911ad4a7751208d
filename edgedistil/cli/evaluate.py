"""`edgedistil evaluate`: scores of models on labelled texts, side by side."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgedistil.cli.data_options import data_options, long_texts_option, read_examples
from edgedistil.cli.label_set_options import label_set_options, read_any_examples
from edgedistil.cli.models import model_paths
from edgedistil.cli.output import import_quietly, print_json, stdout_console
from edgedistil.cli.set_evaluation import calibration_line, evaluate_sets, per_class_table

if TYPE_CHECKING:
    from rich.table import Table

    from edgedistil.data import LabelledTexts
    from edgedistil.measuring.answers import ModelAnswers
    from edgedistil.measuring.baseline import Baseline
    from edgedistil.measuring.reliability import ScoreQuality
    from edgedistil.measuring.unknown_texts import UnknownQuality
    from edgedistil.scores import Evaluation

__all__ = ["evaluate"]

_BAR = 40  # characters


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", type=click.Path(path_type=Path))
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Labelled texts.")
@data_options()
@label_set_options
@long_texts_option
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    help="Labelled texts to train TF-IDF and a linear model on, which is measured too.",
)
@click.option(
    "--confusions", type=click.IntRange(min=0), default=5, show_default=True, help="Most frequent confusions to list."
)
@click.option(
    "--unknown-data",
    type=click.Path(path_type=Path),
    help="Texts with none of the labels: how well unknown_score tells them from the others.",
)
@click.option("--reliability", is_flag=True, help="Print the accuracy at each score: a reliability diagram.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line.")
def evaluate(
    models: tuple[Path, ...],
    data: Path,
    long_texts: str,
    baseline: Path | None,
    confusions: int,
    unknown_data: Path | None,
    reliability: bool,
    as_json: bool,
    label_separator: str | None,
    label_columns: tuple[str, ...],
    **columns: Any,
) -> None:
    """Measure models on labelled texts: accuracy, scores, F1 of each class, and confusions.

    Models are .tflite files, and preset directories or bundled presets, which Keras runs. The size of a preset is that
    of its weights in memory; ms/text is the time of all texts in one call, divided by their number. A model that is
    not ahead of the --baseline does not earn its milliseconds.

    A score should be the probability of being right. ECE, the expected calibration error, is the mean difference
    between the two in 15 bins of equal width; Brier is the mean squared error of all probabilities, 0 to 2. For a file
    of `convert --calibrate-scores`, both are also given as they would be without it.

    A multi-label model is scored by its sets of labels, on data with several labels: micro and macro F1, the share of
    texts with exactly the right labels, F1 of each label, and the texts with the same labels as from the first preset,
    or else the first model. Its ECE is that of pairs of a text and a label with a probability above 1/15.

    With --unknown-data, the texts of --data count as known. AUROC is the probability that an unknown text has a greater
    unknown_score than a known one; recall is the share of unknown texts found if 95 % of the known ones are kept. Texts
    of --data that are labelled with a file's --unknown-label count as unknown too.
    A preset has the score of `convert --unknown-label` without its threshold.

    \b
    edgedistil evaluate my_classifier my_classifier.tflite --data test.csv
    edgedistil evaluate my_classifier.tflite --data test.csv --baseline train.csv
    edgedistil evaluate my_tagger my_tagger.tflite --data tagged.csv --label-separator "|"
    """  # noqa: D301  # \b is for click
    from edgedistil.data import MultiLabelTexts, read_texts
    from edgedistil.scores import evaluate_labels

    paths = model_paths(models)
    examples = read_any_examples(
        data, label_separator=label_separator, label_columns=label_columns, **columns, is_json=as_json
    )
    if isinstance(examples, MultiLabelTexts):
        if baseline or reliability or unknown_data:
            flags = "--baseline, --reliability and --unknown-data"
            raise click.UsageError(f"{flags} are for data with one label for each text.")
        evaluate_sets(paths, examples, data.name, long_texts, as_json=as_json)
        return
    from edgedistil.measuring.unknown_texts import ask_unknown, divide_unknown

    examples, unknown_rows = divide_unknown(examples, paths.values())
    if unknown_rows and not as_json:
        click.echo(f"{data.name}: {len(unknown_rows):,} texts are labelled as those with none of the labels")
    training = None if baseline is None else read_examples(baseline, **columns, is_json=as_json)
    answers, trained = _ask(paths, examples, training, long_texts)
    evaluations = {
        name: evaluate_labels(examples.spelled_as(asked.labels).labels, asked.given, asked.labels)
        for name, asked in answers.items()
    }
    scores = {name: _scores(examples, asked) for name, asked in answers.items()}
    unknown_texts = unknown_rows
    if unknown_data:
        more = read_texts(unknown_data, columns["text_column"], delimiter=columns["delimiter"])
        unknown_texts = (*unknown_rows, *more)
    unknown = {
        name: ask_unknown(path, examples.texts, unknown_texts, long_texts=long_texts)
        for name, path in paths.items()
        if unknown_texts
    }
    if as_json:
        results = [
            {
                "model": name,
                **evaluation.to_dict(),
                "scores": _as_dict(scores[name]),
                **_unknown_facts(unknown, name),
                **_cost(answers[name]),
            }
            for name, evaluation in evaluations.items()
        ]
        skipped = examples.remarks.skipped.to_dict()
        rows = {"unknown_rows": len(unknown_rows)} if unknown_rows else {}
        print_json({"data": data.name, "skipped": skipped, **rows, "models": results, **_baseline_facts(trained)})
        return
    _print(evaluations, answers, scores, confusions, unknown=unknown, has_diagrams=reliability)


def _ask(
    paths: dict[str, Path], examples: "LabelledTexts", training: "LabelledTexts | None", long_texts: str
) -> tuple[dict[str, "ModelAnswers"], "Baseline | None"]:
    """The answers of the models and, last, of the baseline; and the baseline."""
    from edgedistil.cli.progress import stage_line
    from edgedistil.measuring.answers import ask_baseline, ask_file, ask_preset
    from edgedistil.measuring.baseline import BASELINE_NAME, check_baseline_data, require_baseline, train_baseline

    if training is not None:
        require_baseline()
    if any(path.is_dir() for path in paths.values()):
        import_quietly("edgedistil.presets.loading", "edgedistil.training.keras_outputs")
    answers = {}
    for name, path in paths.items():

        def check(labels: tuple[str, ...], name: str = name) -> None:
            if training is not None:
                check_baseline_data(training.spelled_as(labels), examples, labels, name)

        ask = ask_preset if path.is_dir() else ask_file
        answers[name] = ask(path, examples.texts, long_texts=long_texts, check=check)
    if training is None:
        return answers, None
    with stage_line() as show:
        show(f"training {BASELINE_NAME} on {len(training):,} texts")
        trained = train_baseline(training.spelled_as(next(iter(answers.values())).labels))
    return {**answers, BASELINE_NAME: ask_baseline(trained, examples.texts)}, trained


def _scores(examples: "LabelledTexts", asked: "ModelAnswers") -> "ScoreQuality | None":
    from edgedistil.measuring.reliability import measure_scores

    if asked.probabilities is None:
        return None
    expected = examples.spelled_as(asked.labels).labels
    return measure_scores(asked.probabilities, expected, asked.labels, temperature=asked.temperature)


def _unknown_facts(unknown: "Mapping[str, UnknownQuality | None]", name: str) -> dict[str, Any]:
    if name not in unknown:
        return {}
    found = unknown[name]
    return {"unknown": None if found is None else asdict(found)}


def _unknown_line(name: str, found: "UnknownQuality | None") -> str:
    if found is None:
        return f"{name}: no unknown_score; convert it with --unknown-label"
    line = f"{name}: of {found.unknown_texts:,} unknown texts, {found.recall_at_95:.1%} are found if 95 % of the known "
    line += f"ones are kept; AUROC {found.auroc:.4f}, AUPR {found.aupr:.4f}"
    if found.in_scope_kept is None:
        return line
    return f"{line}; the file keeps {found.in_scope_kept:.1%} and finds {found.unknown_found:.1%}"


def _as_dict(scores: "ScoreQuality | None") -> dict[str, Any] | None:
    return None if scores is None else asdict(scores)


def _cost(asked: "ModelAnswers") -> dict[str, Any]:
    truncation = asked.truncation and asked.truncation.to_dict()
    return {"size": asked.size, "ms_per_text": round(asked.ms_per_text, 4), "truncation": truncation}


def _baseline_facts(trained: "Baseline | None") -> dict[str, Any]:
    if trained is None:
        return {}
    facts = {"data": trained.data, "texts": trained.texts, "features": trained.features}
    return {"baseline": {**facts, "scikit_learn": trained.version}}


def _print(
    evaluations: dict[str, "Evaluation"],
    answers: dict[str, "ModelAnswers"],
    scores: dict[str, "ScoreQuality | None"],
    confusions: int,
    *,
    unknown: "Mapping[str, UnknownQuality | None]",
    has_diagrams: bool,
) -> None:
    from rich.text import Text

    console = stdout_console()
    console.print(_summary(evaluations, answers, scores))
    for name, quality in scores.items():
        if quality and quality.uncalibrated:
            console.print(Text(calibration_line(name, quality)))
    for name, found in unknown.items():
        console.print(Text(_unknown_line(name, found)))
    for name, asked in answers.items():
        if asked.truncation and (asked.truncation.truncated or asked.truncation.divided):
            console.print(Text(f"{name}: {asked.truncation}"))
    for name, evaluation in evaluations.items():
        console.print(Text(f"\n{name}", style="bold"))
        quality = scores[name]
        if has_diagrams and quality:
            console.print(_diagram(quality))
        console.print(per_class_table(evaluation.classes))
        for line in _worst_confusions(evaluation, confusions):
            console.print(Text(line))


def _summary(
    evaluations: dict[str, "Evaluation"],
    answers: dict[str, "ModelAnswers"],
    scores: dict[str, "ScoreQuality | None"],
) -> "Table":
    from rich.table import Table
    from rich.text import Text

    columns = ("model", "texts", "accuracy", "macro F1", "ECE", "Brier", "MB", "ms/text")
    table = Table(*columns, box=None, header_style="bold")
    for name, evaluation in evaluations.items():
        right = (f"{evaluation.texts:,}", f"{evaluation.accuracy:.2%}", f"{evaluation.macro_f1:.4f}")
        given = quality.given if (quality := scores[name]) else None
        sure = (f"{given.calibration_error:.4f}", f"{given.brier_score:.4f}") if given else ("–", "–")
        cost = (f"{answers[name].size / 1e6:.2f}", f"{answers[name].ms_per_text:.2f}")
        table.add_row(Text(name), *right, *sure, *cost)
    return table


def _diagram(quality: "ScoreQuality") -> "Table":
    """The accuracy at each score; a bar of `=`, and a `|` where it would end if the score were the accuracy."""
    from rich.table import Table
    from rich.text import Text

    table = Table("score", "texts", "mean score", "accuracy", "", box=None, header_style="bold")
    for one in quality.given.bins:
        if one.texts:
            bar = list(("=" * round(one.accuracy * _BAR)).ljust(_BAR + 1))
            bar[round(one.mean_score * _BAR)] = "|"
            numbers = (f"{one.texts:,}", f"{one.mean_score:.3f}", f"{one.accuracy:.3f}", Text("".join(bar)))
            table.add_row(f"{one.low:.2f} - {one.high:.2f}", *numbers)
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
