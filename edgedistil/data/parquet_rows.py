"""Rows of Parquet files, with the names of a `ClassLabel` in the place of its numbers.

Hugging Face's `datasets` stores a label as a whole number, and the names of the classes in the metadata of the schema,
under the key `huggingface`: {"info": {"features": {"label": {"_type": "ClassLabel", "names": [...]}}}}. The number -1
is a missing label there (https://huggingface.co/docs/datasets/package_reference/main_classes#datasets.ClassLabel).
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgedistil.data.rows import BadRow, Row, missing_columns, not_utf8, value_at
from edgedistil_runtime.errors import DataError

__all__ = ["class_label_names", "column_of", "open_parquet", "parquet_batches", "parquet_rows"]

_ROWS_AT_ONCE = 1024
_BUFFER = 1 << 20  # bytes read ahead in a column; without it, a whole row group is read at once


def parquet_rows(path: Path, columns: tuple[str, ...], *, is_whole: bool = False) -> Iterator[Row | BadRow]:
    """Reads a Parquet file.

    Args:
        path: File to read.
        columns: Columns that the file must have; `data.text` is also the field `text` of the column `data`.
        is_whole: Read all columns, not only these.

    Yields:
        Each row, or an error in its place. The value of a `ClassLabel` is the name of its class, or None.

    Raises:
        DataError: The file cannot be read or lacks a column.

    Example:
        >>> import pyarrow.parquet
        >>> pyarrow.parquet.write_table(pyarrow.table({"text": ["hi", "bye"], "n": [1, 2]}), "rows.parquet")
        >>> [row.values["n"] for row in parquet_rows(Path("rows.parquet"), ("n",))]
        [1, 2]
    """
    number = 0
    with open_parquet(path, columns) as file:
        schema, size = file.schema_arrow, max(1, file.metadata.num_rows)
        read = None if is_whole else list(dict.fromkeys(_top_column(schema, column) or column for column in columns))
        names = class_label_names(schema)
        for batch in parquet_batches(path, file, _ROWS_AT_ONCE, read):
            arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
            for index in range(batch.num_rows):
                number += 1
                try:
                    values = {column: array[index].as_py() for column, array in arrays.items()}
                    values = values if is_whole else {column: value_at(values, column) for column in columns}
                    yield Row(number, _named(path, number, values, names), fraction=number / size)
                except UnicodeDecodeError:
                    yield not_utf8(path, f"row {number}")
                except BadRow as error:
                    yield error


def class_label_names(schema: Any) -> dict[str, list[str]]:
    """Returns the class names of each `ClassLabel` of a `pyarrow.Schema`; the name of a nested one has dots.

    Example:
        >>> import pyarrow
        >>> features = {"label": {"_type": "ClassLabel", "names": ["ham", "spam"]}, "text": {"_type": "Value"}}
        >>> metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        >>> class_label_names(pyarrow.schema([("label", pyarrow.int64())], metadata))
        {'label': ['ham', 'spam']}
    """
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):  # no such metadata, or another program's of the same name
        return {}
    return dict(_class_labels(features, "")) if isinstance(features, Mapping) else {}


def _class_labels(features: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, list[str]]]:
    for name, feature in features.items():
        if not isinstance(feature, Mapping):
            continue
        names = feature.get("names")
        if feature.get("_type") == "ClassLabel" and isinstance(names, list):
            yield prefix + name, list(map(str, names))
        elif "_type" not in feature or isinstance(feature["_type"], Mapping):  # an object with fields
            yield from _class_labels(feature, f"{prefix}{name}.")


def _named(path: Path, number: int, values: dict[str, Any], names: Mapping[str, list[str]]) -> dict[str, Any]:
    """The values with class names instead of their numbers."""
    for column, classes in names.items():
        index = values.get(column)
        if not isinstance(index, int) or isinstance(index, bool):
            continue
        if not -1 <= index < len(classes):
            raise BadRow(
                path,
                f"row {number}",
                f"the class number in column {column!r} must be one of the file's {len(classes)} classes, 0 to "
                f"{len(classes) - 1}, or -1 for none",
                "Correct the number, or the names in the file's metadata",
                str(index),
            )
        values[column] = classes[index] if index >= 0 else None
    return values


def open_parquet(path: Path, columns: tuple[str, ...]) -> Any:
    """Opens a Parquet file, which must have the columns; close it after use.

    Returns:
        A `pyarrow.parquet.ParquetFile` that reads about a megabyte ahead in each column.

    Raises:
        DataError: The file cannot be read or lacks a column.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error
    schema = file.schema_arrow
    missing = [column for column in columns if _top_column(schema, column) is None]
    if missing:
        file.close()
        raise DataError(f"{path}: {missing_columns(schema.names, missing)}")
    return file


def parquet_batches(path: Path, file: Any, rows: int, columns: list[str] | None = None) -> Iterator[Any]:
    """The `pyarrow.RecordBatch`es of an open Parquet file, with at most `rows` rows each."""
    import pyarrow

    try:
        yield from file.iter_batches(batch_size=rows, columns=columns)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error


def column_of(table: Any, column: str) -> Any:
    """Returns a column of a table, or the field of a column: `data.text` is the field `text` of `data`.

    Example:
        >>> import pyarrow
        >>> column_of(pyarrow.table({"data": [{"text": "hi"}, None]}), "data.text").to_pylist()
        ['hi', None]
    """
    import pyarrow.compute

    top = _top_column(table.schema, column) or column
    found = table.column(top)
    return found if top == column else pyarrow.compute.struct_field(found, column[len(top) + 1 :].split("."))


def _top_column(schema: Any, column: str) -> str | None:
    """The column of the file that holds a column: itself, or the one whose field it is."""
    if column in schema.names:
        return column
    parts = column.split(".")
    for end in range(len(parts) - 1, 0, -1):
        top = ".".join(parts[:end])
        if top in schema.names and _has_field(schema.field(top).type, parts[end:]):
            return top
    return None


def _has_field(kind: Any, names: list[str]) -> bool:
    import pyarrow

    for name in names:
        if not pyarrow.types.is_struct(kind) or kind.get_field_index(name) < 0:
            return False
        kind = kind.field(name).type
    return True
