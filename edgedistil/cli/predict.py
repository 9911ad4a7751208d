"""`edgedistil predict`: prints labels and scores of texts, or writes those of a file of any size beside its rows."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgedistil.cli.dashed_texts import TextCommand
from edgedistil.cli.data_options import data_options, long_texts_option, public_key_option
from edgedistil.cli.output import print_json, stdout_console

if TYPE_CHECKING:
    from rich.table import Table

    from edgedistil.labelling import LabellingRequest, LabellingResult
    from edgedistil.truncation import Truncation
    from edgedistil_runtime import Classification, TextClassifier

__all__ = ["predict"]

_FILE = click.Path(path_type=Path)


@click.command(cls=TextCommand)
@click.argument("model", type=_FILE)
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("--input", "input_file", metavar="FILE", help="Data file with a text column, or - for lines of stdin.")
@click.option(
    "-o", "--output", type=_FILE, help="File for the rows of --input with labels: .csv, .tsv, .jsonl, .parquet."
)
@click.option("--resume", is_flag=True, help="Continue an interrupted run, which is in OUTPUT.partial.")
@click.option("--force", is_flag=True, help="Replace the output; without --resume, start over.")
@click.option(
    "--engine",
    type=click.Choice(("local", "ray")),
    default="local",
    show_default=True,
    help="local: this process. ray: several, here or in the cluster of RAY_ADDRESS (pip install edgedistil[ray]); "
    "--input may then be a folder of data files, a glob, or an address as s3://bucket/folder.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Interpreters that label a file at the same time. [1] With --engine ray: processes. [one for each processor "
    "here, or slot of a cluster but one]",
)
@click.option("--column-prefix", default="", metavar="PREFIX", help="Prefix of the new columns.")
@click.option(
    "--label-separator", metavar="TEXT", help="What separates the labels of a multi-label model in the output. [lists]"
)
@data_options(has_labels=False)
@click.option("--text-pair", "text_pairs", multiple=True, help="Second text of each TEXT, in their order.")
@click.option("--text-pair-column", help="Column of the second texts.")
@long_texts_option
@click.option("--accelerator", default="cpu", show_default=True, help="Device that runs the model.")
@click.option("--device", help="Edge TPU to use: usb, pci, or one of several, as in :0 or usb:1.")
@click.option("--fallback", is_flag=True, help="Use the CPU if the accelerator is unavailable or fails.")
@click.option("--num-threads", type=click.IntRange(min=1), help="Threads for one text.")
@public_key_option
@click.option("--top", type=click.IntRange(min=1), default=1, show_default=True, help="Labels for each text.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line.")
def predict(model: Path, as_json: bool, **options: Any) -> None:
    """Label texts with a .tflite file that `edgedistil convert` wrote.

    With -o, a file of any size is labelled in bounded memory: its rows are written in their order, with all their
    columns and then label and score (with --top also label_2, score_2 and so on) and is_truncated, which is true if
    the model did not read all of the text. The output appears when it is complete; after an interruption, the same
    command with --resume continues. A row with a blank text stays, and its new columns are empty.

    A multi-label model gives a text all labels that reach their thresholds, maybe none: `labels` in the output and with
    --json, a JSON list in .csv and .tsv files; --label-separator "|" joins them, as train and evaluate read them
    with the same option. `label` and `score` are the best label's all the same.

    With a file of `convert --unknown-label`, the output and --json also have unknown_score and is_unknown: true if the
    text has none of the labels. `label` is the best one all the same.

    With --engine ray, the output is the same file. Starting Ray takes many seconds, which pay for inputs that take
    minutes.

    A text that begins with - and looks like an option goes after --.

    \b
    edgedistil predict smart_home.tflite "turn the lights off" "-5 degrees outside"
    edgedistil predict smart_home.tflite -- --lights-off
    edgedistil predict smart_home.tflite --input commands.csv --json
    edgedistil predict smart_home.tflite --input big.csv -o labels.parquet --column-prefix predicted_ --workers 2
    edgedistil predict smart_home.tflite --input "logs/*.jsonl" -o labels.jsonl --engine ray --workers 8
    edgedistil predict entailment.tflite "It rains." --text-pair "The street is wet."
    """  # noqa: D301  # \b is for click
    _check_usage(options)
    if options["output"]:
        _write(model, options, as_json=as_json)
    else:
        _print(model, options, as_json=as_json)


def _check_usage(options: dict[str, Any]) -> None:
    input_file = options["input_file"]
    if bool(options["texts"]) == bool(input_file):
        raise click.UsageError("Give either texts as arguments or a file with --input, one of the two.")
    if (options["text_pairs"] and input_file) or (options["text_pair_column"] and input_file in (None, "-")):
        raise click.UsageError("Use --text-pair with texts as arguments, --text-pair-column with a data file.")
    if options["output"] and not input_file:
        raise click.UsageError(
            "-o needs --input, because its rows are written. A text that begins with -o goes after --."
        )
    if options["engine"] == "ray" and (not options["output"] or input_file == "-"):
        raise click.UsageError("--engine ray labels files: it needs -o, and --input that is not -.")
    if options["workers"] and not options["output"]:
        raise click.UsageError("--workers label a file: they need -o.")
    needing = ("resume", "force", "column_prefix", "label_separator")
    if not options["output"] and any(options[name] for name in needing):
        raise click.UsageError("--resume, --force, --column-prefix and --label-separator need -o.")


def _classifier(model: Path, options: dict[str, Any], **more: Any) -> "TextClassifier":
    from edgedistil_runtime import TextClassifier
    from edgedistil_runtime.native_log import native_log_hidden

    with native_log_hidden():
        return TextClassifier(model, **_classifier_options(options), **more)


def _classifier_options(options: dict[str, Any]) -> dict[str, Any]:
    names = ("accelerator", "num_threads", "device", "fallback", "long_texts", "public_key")
    return {name: options[name] for name in names}


# Printed


def _print(model: Path, options: dict[str, Any], *, as_json: bool) -> None:
    from edgedistil.labelling.blanks import classify_rows
    from edgedistil.truncation import TruncationCounter

    texts, pairs = _read(options) if options["input_file"] else (None, None)
    answers: Sequence[Classification | None]
    with _classifier(model, options) as classifier:
        if texts is None:  # a text on the command line is classified even if it is blank
            answers = classifier.classify_batch(options["texts"], options["text_pairs"] or None)
        else:
            answers = classify_rows(classifier, texts, pairs)
        counter = TruncationCounter(classifier)
        counter.add(answer for answer in answers if answer)
    truncation = counter.result()
    if as_json:
        results = [_result(answer, options["top"]) for answer in answers]
        print_json({"model": model.name, "results": results, "truncation": truncation.to_dict()})
        return
    stdout_console().print(_table(answers, options["top"]))
    _print_truncation(truncation)


def _print_truncation(truncation: "Truncation") -> None:
    if truncation.truncated or truncation.divided:
        click.echo(str(truncation) + (" (see --long-texts)" if truncation.truncated else ""), err=True)


def _read(options: dict[str, Any]) -> tuple[tuple[str | None, ...], tuple[str | None, ...] | None]:
    """The texts of --input, and the second ones if there are any; None for a blank one."""
    from edgedistil.data.reading import read_text_rows
    from edgedistil.labelling.sources import line_rows

    column, pair_column = options["text_column"], options["text_pair_column"]
    if options["input_file"] == "-":
        lines = (row.values[column] for row in line_rows(sys.stdin.buffer, column))
        return tuple(line if line.strip() else None for line in lines), None
    columns = (column, pair_column) if pair_column else (column,)
    texts, *pairs = zip(*read_text_rows(options["input_file"], columns, delimiter=options["delimiter"]), strict=True)
    return texts, pairs[0] if pairs else None


def _result(answer: "Classification | None", top: int) -> dict[str, Any]:
    if answer is None:  # a blank row
        return {"text": "", "label": None, "score": None, "top": [], "is_truncated": None}
    return {
        "text": answer.text,
        **({} if answer.text_pair is None else {"text_pair": answer.text_pair}),
        "label": answer.label,
        "score": answer.score,
        **({} if answer.labels is None else {"labels": list(answer.labels)}),
        **(
            {}
            if answer.is_unknown is None
            else {"unknown_score": answer.unknown_score, "is_unknown": answer.is_unknown}
        ),
        "top": [list(pair) for pair in answer.top(top)],
        "is_truncated": answer.is_truncated,
    }


def _table(answers: Sequence["Classification | None"], top: int) -> "Table":
    from rich.table import Table
    from rich.text import Text

    has_unknown = any(answer and answer.is_unknown is not None for answer in answers)
    table = Table("label", "score", *(("unknown",) if has_unknown else ()), "text", box=None, header_style="bold")
    for answer in answers:
        if answer is None:  # a blank row
            table.add_row("", "", *(("",) if has_unknown else ()), "")
            continue
        for rank, (label, score) in enumerate(_shown(answer, top)):
            shown = " | ".join(filter(None, (answer.text, answer.text_pair))) if rank == 0 else ""
            unknown = "yes" if answer.is_unknown and rank == 0 else ""
            table.add_row(Text(label), score, *((unknown,) if has_unknown else ()), Text(shown))
    return table


def _shown(answer: "Classification", top: int) -> list[tuple[str, str]]:
    """Labels and their scores as text: the best ones; without --top, all that a multi-label model gives, or a dash."""
    if answer.labels is None or top > 1:
        return [(label, f"{score:.3f}") for label, score in answer.top(top)]
    return [(label, f"{answer.probabilities[label]:.3f}") for label in answer.labels] or [("–", "")]


# Written


def _write(model: Path, options: dict[str, Any], *, as_json: bool) -> None:
    from edgedistil.cli.progress import row_progress
    from edgedistil.labelling import label_file, label_files

    request = _request(model, options)
    with _explain_resume(request), row_progress() as show:
        if options["engine"] == "ray":
            done = label_files(request, _classifier_options(options), workers=options["workers"], on_progress=show)
        else:
            workers = options["workers"] or 1
            # Large files run on LiteRT's CompiledModel, which holds Python's lock; an interpreter does not.
            more = {"weight_cache": False} if workers > 1 else {}
            done = label_file(
                request, lambda path: _classifier(path, options, **more), workers=workers, on_progress=show
            )
    if as_json:
        print_json(_summary(model, done))
        return
    earlier = f", {done.resumed_rows:,} of them by an earlier run" if done.resumed_rows else ""
    blank = f", {done.blank_rows:,} without a text" if done.blank_rows else ""
    click.echo(f"{done.output}: {done.rows:,} rows{earlier}{blank}; {done.rows_per_second:,.0f} rows/s")
    _print_truncation(done.truncation)


def _request(model: Path, options: dict[str, Any]) -> "LabellingRequest":
    from edgedistil.labelling import LabellingRequest, TextColumns
    from edgedistil.labelling.sources import line_rows

    is_stream = options["input_file"] == "-"
    text_column = options["text_column"]
    given = options["input_file"] if options["engine"] == "ray" else Path(options["input_file"])
    return LabellingRequest(
        model=model,
        source=line_rows(sys.stdin.buffer, text_column) if is_stream else given,
        output=options["output"],
        columns=TextColumns(text_column, options["text_pair_column"]),
        delimiter=options["delimiter"],
        top=options["top"],
        column_prefix=options["column_prefix"],
        is_resumed=options["resume"],
        force=options["force"],
        label_separator=options["label_separator"],
    )


@contextmanager
def _explain_resume(request: "LabellingRequest") -> Iterator[None]:
    """After an interruption or an error, prints which rows are kept and how to continue."""
    from edgedistil.cli.border import EXIT_INTERRUPTED
    from edgedistil.labelling.partial import partial_path
    from edgedistil_runtime.errors import BackendError, DataError

    folder = partial_path(request.output)
    try:
        yield
    except KeyboardInterrupt:
        if not folder.exists():
            raise
        click.echo(
            f"Interrupted: the rows done so far are in {folder}; the same command with --resume continues.", err=True
        )
        raise SystemExit(EXIT_INTERRUPTED) from None
    except (DataError, BackendError, OSError):
        if folder.exists():
            click.echo(
                f"The rows done so far are in {folder}. Correct this error, then continue with --resume:", err=True
            )
        raise


def _summary(model: Path, done: "LabellingResult") -> dict[str, Any]:
    info = done.runtime_info
    return {
        "model": model.name,
        "output": str(done.output),
        "rows": done.rows,
        "resumed_rows": done.resumed_rows,
        "blank_rows": done.blank_rows,
        "seconds": round(done.seconds, 3),
        "rows_per_second": round(done.rows_per_second, 1),
        "truncation": done.truncation.to_dict(),
        "accelerator": info.accelerator,
        **({"fallback_reason": info.fallback_reason} if info.fallback_reason else {}),
    }
