"""Options of the commands that read texts with several labels, and the choice between one label and several."""

import csv
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgedistil.cli.data_options import print_skipped, read_examples, warn_of_blanks

if TYPE_CHECKING:
    from edgedistil.data import LabelledTexts, MultiLabelTexts

__all__ = ["label_set_options", "read_any_examples", "read_verification_texts"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_SEPARATOR = click.option(
    "--label-separator",
    metavar="TEXT",
    help="Texts have several labels, or none: what separates them in a cell, such as '|'. Lists in JSON and Parquet "
    "need no option.",
)
_COLUMNS = click.option(
    "--label-columns",
    metavar="A,B,...",
    callback=lambda _context, _option, value: _columns(value),
    help="Texts have several labels, or none: a column for each label, with 1 for the texts that have it and else 0.",
)


def label_set_options(command: _Command) -> _Command:
    """Adds the options of texts with several labels to a command: `label_separator` and `label_columns`.

    Example:
        >>> @click.command()
        ... @label_set_options
        ... def count(label_separator, label_columns): ...
        >>> [parameter.name for parameter in count.params]
        ['label_separator', 'label_columns']
    """
    return _SEPARATOR(_COLUMNS(command))


def _columns(value: str | None) -> tuple[str, ...]:
    """Names of columns; one with a comma is in quotes, as in a CSV file."""
    return tuple(next(csv.reader([value], skipinitialspace=True))) if value else ()


def read_any_examples(
    path: Path,
    *,
    label_separator: str | None,
    label_columns: tuple[str, ...],
    is_json: bool,
    has_sets: bool | None = None,
    **columns: Any,
) -> "LabelledTexts | MultiLabelTexts":
    """Reads texts with several labels if the options or the file's lists say so, else with one label each.

    Prints the number of skipped rows, unless the output is JSON, and warns of odd labels.

    Args:
        path: A data file.
        label_separator: As in `read_label_sets`.
        label_columns: As in `read_label_sets`.
        is_json: The output of the command is JSON.
        has_sets: True to expect lists, False to expect one label; None finds out.
        columns: The options of `data_options`.
    """
    from edgedistil.data.label_sets import has_label_lists, read_label_sets

    if has_sets is None:
        is_asked = label_separator is not None or bool(label_columns)
        has_sets = is_asked or has_label_lists(path, label_column=columns["label_column"])
    if not has_sets:
        examples = read_examples(path, **columns, is_json=is_json)
        _warn_of_separator(examples.name, examples.labels, "every text gets one class")
        return examples
    sets = read_label_sets(path, label_separator=label_separator, label_columns=label_columns, **columns)
    if not is_json:
        print_skipped(sets)
    warn_of_blanks(sets)
    if label_separator is not None:
        labels = tuple(chain.from_iterable(sets.label_sets))
        _warn_of_separator(sets.name, labels, f"they are divided at {label_separator!r} only")
    return sets


def _warn_of_separator(name: str, labels: Sequence[str], consequence: str) -> None:
    from edgedistil.data.label_sets import guess_label_separator

    separator = guess_label_separator(labels)
    if separator:
        count = sum(separator in label for label in labels)
        click.echo(
            f"Warning: {name}: the classes of {count:,} rows contain {separator!r}, and {consequence}. If these are "
            f"several labels, pass --label-separator {separator!r}.",
            err=True,
        )


def read_verification_texts(
    path: Path | None,
    *,
    label_separator: str | None,
    label_columns: tuple[str, ...],
    text_column: str,
    label_column: str,
    **columns: Any,
) -> dict[str, Any]:
    """Reads texts, and their labels if the file has some: one for each text, or sets as in `read_any_examples`.

    Args:
        path: A data file; None for none.
        label_separator: As in `read_label_sets`.
        label_columns: As in `read_label_sets`.
        text_column: Column of the text.
        label_column: Column of the label.
        columns: The other options of `data_options`.

    Returns:
        Arguments of `ConversionRequest`.
    """
    from edgedistil.data import read_texts_and_labels
    from edgedistil.data.label_sets import has_label_lists, read_label_sets
    from edgedistil.data.reading import read_rows
    from edgedistil.data.rows import has_value

    if path is None:
        return {}
    names: dict[str, Any] = {"text_column": text_column, "label_column": label_column}
    is_asked = label_separator is not None or bool(label_columns)
    if is_asked:  # for training data, while these may have no labels
        first = next(read_rows(path, (text_column,), delimiter=columns["delimiter"]), None)
        is_asked = first is not None and all(has_value(first.values, one) for one in label_columns or (label_column,))
    if is_asked or has_label_lists(path, label_column=label_column):
        sets = read_label_sets(path, label_separator=label_separator, label_columns=label_columns, **names, **columns)
        return {"verification_texts": sets.texts, "verification_label_sets": sets.label_sets}
    texts, labels = read_texts_and_labels(path, **names, **columns)
    return {"verification_texts": texts, "verification_labels": labels}
