"""`edgedistil predict`: labels and scores of texts."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from edgedistil.cli.output import print_json, stdout_console


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("--input", "input_file", metavar="FILE", help="A data file with a text column, or - for lines of stdin.")
@click.option("--text-column", default="text", show_default=True, help="Column that holds the text.")
@click.option("--text-pair", "text_pairs", multiple=True, help="A second text for each TEXT, in their order.")
@click.option("--text-pair-column", help="Column that holds the second text.")
@click.option("--accelerator", default="cpu", show_default=True, help="What runs the model.")
@click.option("--num-threads", type=click.IntRange(min=1), help="Threads for one text.")
@click.option("--top", type=click.IntRange(min=1), default=1, show_default=True, help="How many labels a text.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line.")
def predict(
    model: Path,
    texts: tuple[str, ...],
    input_file: str | None,
    text_column: str,
    text_pairs: tuple[str, ...],
    text_pair_column: str | None,
    accelerator: str,
    num_threads: int | None,
    top: int,
    as_json: bool,
) -> None:
    """Label texts with a .tflite file that `edgedistil convert` wrote.

    \b
    edgedistil predict smart_home.tflite "turn the lights off" "is it going to rain"
    edgedistil predict smart_home.tflite --input commands.csv --json
    edgedistil predict entailment.tflite "It rains." --text-pair "The street is wet."
    """  # noqa: D301  # \b is for click
    from edgedistil_runtime import TextClassifier
    from edgedistil_runtime.native_log import native_log_hidden

    if bool(texts) == bool(input_file):
        raise click.UsageError("Give texts as arguments, or a file with --input; one of the two.")
    if (text_pairs and input_file) or (text_pair_column and input_file in (None, "-")):
        raise click.UsageError("--text-pair goes with texts as arguments, --text-pair-column with a data file.")
    batch = texts or _read(str(input_file), text_column)
    seconds = _read(str(input_file), text_pair_column) if text_pair_column else text_pairs or None
    with native_log_hidden():
        classifier = TextClassifier(model, accelerator=accelerator, num_threads=num_threads)
    with classifier:
        answers = classifier.classify_batch(batch, seconds)
    if as_json:
        results = [
            {
                "text": answer.text,
                **({"text_pair": answer.text_pair} if seconds is not None else {}),
                "label": answer.label,
                "score": answer.score,
                "top": [list(pair) for pair in answer.top(top)],
            }
            for answer in answers
        ]
        print_json({"model": model.name, "results": results})
        return
    table = Table("label", "score", "text", box=None, header_style="bold")
    for answer in answers:
        for rank, (label, score) in enumerate(answer.top(top)):
            shown = " | ".join(filter(None, (answer.text, answer.text_pair))) if rank == 0 else ""
            table.add_row(Text(label), f"{score:.3f}", Text(shown))
    stdout_console().print(table)


def _read(input_file: str, text_column: str) -> tuple[str, ...]:
    from edgedistil.data import read_texts

    return tuple(_stdin_lines()) if input_file == "-" else read_texts(input_file, text_column)


def _stdin_lines() -> Iterator[str]:
    from edgedistil_runtime.errors import DataError

    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            yield line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise DataError(
                f"stdin, line {number}: texts must be UTF-8. Received: {line[:40]!r}. Convert them first, for instance "
                "with: iconv -f latin1 -t utf-8"
            ) from error
