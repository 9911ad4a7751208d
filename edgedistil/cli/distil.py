"""`edgedistil distil`: labelled texts in, the smallest .tflite file out that is almost as good as its teacher."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgedistil.cli.data_options import data_options, read_examples
from edgedistil.cli.output import import_quietly, print_json
from edgedistil.cli.progress import stage_line
from edgedistil.search.settings import SearchSettings
from edgedistil.sizes import SIZES
from edgedistil_converters.quantization.schemes import SCHEMES

if TYPE_CHECKING:
    from edgedistil.data import TrainingData
    from edgedistil.search.record import Distillation

__all__ = ["distil"]

_FILE = click.Path(path_type=Path)
_DEFAULTS = SearchSettings(budget_mb=1)


@click.command()
@click.option(
    "--train-data", type=_FILE, required=True, help="Labelled texts: a file or a directory, as in docs/data.md."
)
@click.option(
    "--validation-data",
    type=_FILE,
    help="Labelled texts that the student is chosen on. [a tenth of --train-data; a fifth with fewer than 30 texts a "
    "class]",
)
@click.option("--test-data", type=_FILE, help="Labelled texts to measure teacher and choice on, at the end.")
@click.option(
    "--unlabelled",
    type=_FILE,
    multiple=True,
    help="Texts without labels, which the teacher labels; can be repeated.",
)
@data_options()
@click.option("--budget-mb", type=float, required=True, help="Largest size of the file, in megabytes (10^6 bytes).")
@click.option("--budget-ms", type=float, help="Largest median time of one text on this machine. [no limit]")
@click.option(
    "--within",
    type=float,
    default=_DEFAULTS.within,
    show_default=True,
    help="Percentage points of validation accuracy that the file may lie below the teacher.",
)
@click.option(
    "--teacher",
    default=_DEFAULTS.teacher,
    show_default=True,
    help="A trained classifier, such as a directory that `edgedistil train` wrote or a .tflite file of it, or a preset "
    "to fine-tune.",
)
@click.option(
    "--student",
    "students",
    multiple=True,
    metavar="START",
    help=f"Preset that a student starts from, or a size to train from scratch ({', '.join(SIZES)}); can be repeated. "
    f"[{', '.join(_DEFAULTS.students)}]",
)
@click.option(
    "--quantize",
    "schemes",
    multiple=True,
    type=click.Choice(list(SCHEMES)),
    help=f"How to quantize the students; can be repeated. [{', '.join(_DEFAULTS.schemes)}]",
)
@click.option(
    "--augment",
    "augmented_per_text",
    type=click.IntRange(min=0),
    multiple=True,
    help="New texts to make from each training text, which the teacher labels; can be repeated, and each student is "
    "trained with each number and keeps the one with the best validation accuracy. "
    f"[{', '.join(map(str, _DEFAULTS.augmented_per_text))}]",
)
@click.option(
    "--ablation",
    "has_ablation",
    is_flag=True,
    help="Train the chosen student also without the teacher and without texts that have no label, for the report.",
)
@click.option("--epochs", type=int, help="Epochs of teacher and students, at most. [those of `edgedistil train`]")
@click.option(
    "--sequence-length",
    type=int,
    default=_DEFAULTS.sequence_length,
    show_default=True,
    help="Tokens that a text is cut to.",
)
@click.option("--seed", type=int, default=_DEFAULTS.seed, show_default=True, help="Seed of everything random.")
@click.option("-o", "--output", type=_FILE, required=True, help="Directory to write, or one to go on with.")
@click.option("--json", "is_json", is_flag=True, help="Print distillation.json as one JSON object on the last line.")
def distil(
    train_data: Path,
    validation_data: Path | None,
    test_data: Path | None,
    unlabelled: tuple[Path, ...],
    text_column: str,
    label_column: str,
    delimiter: str | None,
    strip_labels: bool,
    output: Path,
    is_json: bool,
    **options: Any,
) -> None:
    """Make the smallest .tflite file that is almost as accurate as its teacher.

    The teacher is fine-tuned, unless it is trained already. It labels all texts, students learn its answers, and each
    is converted and measured as the runtime runs it. The smallest file in the budget and --within the teacher's
    accuracy becomes model.tflite, beside its preset, distillation.json and report.html.

    The same command goes on after an interruption. Another budget chooses again among the students that are there.

    \b
    edgedistil distil --train-data train.csv --budget-mb 1.5 -o small
    edgedistil distil --train-data train.csv --unlabelled texts.csv --budget-mb 3 --budget-ms 1 -o small
    edgedistil distil --train-data train.csv --teacher my_classifier --student tiny --budget-mb 2 -o small
    """  # noqa: D301  # \b is for click
    from edgedistil.data import TrainingData, read_texts
    from edgedistil.training.workers import check_one_worker
    from edgedistil_converters.files import check_not_an_input

    check_one_worker("Use `edgedistil train` on several workers")
    given = {name: value for name, value in options.items() if value not in (None, ())}
    settings = SearchSettings(**given)
    paths = {"training": train_data, "validation": validation_data, "test": test_data}
    presets = (settings.teacher, *settings.students)
    check_not_an_input(output, [*(path for path in paths.values() if path), *unlabelled, *presets])
    columns = {"text_column": text_column, "label_column": label_column}
    _require_one_label(train_data, label_column)
    examples = {
        part: read_examples(path, **columns, delimiter=delimiter, strip_labels=strip_labels, is_json=is_json)
        for part, path in paths.items()
        if path
    }
    texts = [text for path in unlabelled for text in read_texts(path, text_column, delimiter=delimiter)]
    record = _find(TrainingData(**examples), settings, output, texts)
    _report(record, output, is_json=is_json)


def _require_one_label(path: Path, label_column: str) -> None:
    from edgedistil.data.label_sets import has_label_lists
    from edgedistil_runtime.errors import DataError

    if has_label_lists(path, label_column=label_column):
        raise DataError(
            "This command is for texts with one label each. Received: "
            f"{path.name}, with lists of labels. For several labels, train a large classifier with `edgedistil train`, "
            "and a student of it with `edgedistil train --teacher`."
        )


def _find(data: "TrainingData", settings: SearchSettings, output: Path, unlabelled: list[str]) -> "Distillation":
    from edgedistil.search.stages import opened_stages

    with opened_stages(output), stage_line() as show:  # before TensorFlow is loaded
        show("starting TensorFlow")
        import_quietly("edgedistil.search.run")
        from edgedistil.search.run import find_student

        try:
            return find_student(data, settings, output, unlabelled=unlabelled, on_stage=show, on_warning=_warn)
        except KeyboardInterrupt:
            click.echo("The same command goes on with what has been made.", err=True)
            raise


def _warn(sentence: str) -> None:
    click.echo(f"Warning: {sentence}", err=True)


def _report(record: "Distillation", output: Path, *, is_json: bool) -> None:
    if is_json:
        print_json({"output": str(output), **record.to_dict()})
        return
    teacher, texts = record.teacher, record.texts
    click.echo(f"teacher {teacher.name}: accuracy {teacher.accuracy:.2%} on {texts['validation']:,} texts")
    if texts["left_out"]:
        left_out = f"{texts['left_out']:,} left out, which are in the data or repeated"
        click.echo(f"unlabelled texts: {texts['unlabelled']:,}; {left_out}")
    _report_numbers(record)
    _report_files(record)
    if teacher.test_accuracy is not None and record.test_accuracy is not None:
        click.echo(f"test data: teacher {teacher.test_accuracy:.2%}, chosen file {record.test_accuracy:.2%}")
    click.echo(f"wrote {output / 'model.tflite'}, and {output / 'report.html'}: open it in a browser")
    click.echo(f'next: edgedistil predict {output / "model.tflite"} "some text"')


def _report_numbers(record: "Distillation") -> None:
    for student in record.students:
        if len(student.tried) > 1:
            tried = ", ".join(f"{one.accuracy:.2%} with {one.augmented_per_text}" for one in student.tried)
            click.echo(f"{student.name}: {student.augmented_per_text} new texts for each training text: {tried}")


def _report_files(record: "Distillation") -> None:
    for file in record.files:
        mark = "  <- chosen" if file.name == record.chosen else ""
        click.echo(
            f"{file.name}: {file.size / 1e6:.2f} MB, {file.ms:.3g} ms, accuracy {file.accuracy:.2%}, "
            f"{record.limits.gap(file.candidate):.2f} points below the teacher{mark}"
        )
    for one in record.skipped:
        click.echo(f"{one.name}: not trained, its layers need {one.least_bytes / 1e6:.2f} MB")
    for refused in record.refused:
        click.echo(f"{refused.name}: refused. {refused.reason}")
