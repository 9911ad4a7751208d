"""Options of the commands that read data files, and what the commands print about the rows that were read."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgedistil.cli.flags import with_flags
from edgedistil_runtime.pieces import LONG_TEXTS

if TYPE_CHECKING:
    from edgedistil.data import LabelledTexts, MultiLabelTexts

__all__ = [
    "data_options",
    "long_texts_option",
    "print_skipped",
    "public_key_option",
    "read_examples",
    "warn_of_blanks",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_TAB = ("tab", "\\t")
_TEXT_COLUMN = click.option(
    "--text-column", default="text", show_default=True, help="Column of the texts; data.text is a nested JSON key."
)
_LABEL_COLUMN = click.option("--label-column", default="label", show_default=True, help="Column of the labels.")
_STRIP_LABELS = click.option("--strip-labels", is_flag=True, help="Remove blanks around labels.")
_DELIMITER = click.option(
    "--delimiter",
    metavar="CHARACTER",
    callback=lambda _context, _option, value: "\t" if value in _TAB else value,
    help="Separator of .csv and .tsv files, such as ';' or 'tab'. [found in the header]",
)

long_texts_option = click.option(
    "--long-texts",
    type=click.Choice(LONG_TEXTS),
    default=LONG_TEXTS[0],
    show_default=True,
    help="What is read of a text that is longer than the model's sequence length: its beginning, its first and last "
    "words, or all of it in overlapping windows, whose probabilities are averaged.",
)
"""Adds the option of what is read of long texts, `long_texts`."""

public_key_option = click.option(
    "--public-key",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Refuse a model that was not signed with the private key of this PEM file (`edgedistil sign`).",
)
"""Adds the option of the key whose signature a model must have, `public_key`."""


def data_options(*, has_labels: bool = True) -> Callable[[_Command], _Command]:
    """Adds the options of data files to a command: `text_column`, `label_column`, `delimiter` and `strip_labels`.

    Args:
        has_labels: Labels are read too.

    Example:
        >>> @click.command()
        ... @data_options(has_labels=False)
        ... def count(text_column, delimiter): ...
        >>> [parameter.name for parameter in count.params]
        ['text_column', 'delimiter']
    """
    options = (_TEXT_COLUMN, _LABEL_COLUMN, _DELIMITER, _STRIP_LABELS) if has_labels else (_TEXT_COLUMN, _DELIMITER)

    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def read_examples(
    path: Path, *, text_column: str, label_column: str, delimiter: str | None, strip_labels: bool, is_json: bool
) -> "LabelledTexts":
    """Reads labelled texts; prints the number of skipped rows, unless the output is JSON, and warns of odd labels."""
    from edgedistil.data import read_labelled_texts

    examples = read_labelled_texts(
        path, text_column=text_column, label_column=label_column, delimiter=delimiter, strip_labels=strip_labels
    )
    if not is_json:
        print_skipped(examples)
    warn_of_blanks(examples)
    return examples


def print_skipped(examples: "LabelledTexts | MultiLabelTexts") -> None:
    """Prints a line on stdout if rows were skipped."""
    if examples.remarks.skipped.count:
        click.echo(f"{examples.name}: {examples.remarks.skipped.describe()}")


def warn_of_blanks(examples: "LabelledTexts | MultiLabelTexts") -> None:
    """Prints a warning on stderr if labels have blanks around them."""
    warning = examples.remarks.warn_of_blanks()
    if warning:
        click.echo(f"Warning: {examples.name}: {with_flags(warning)}.", err=True)
