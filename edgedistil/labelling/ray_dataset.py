"""Labels for a Ray dataset, in a Ray program of the caller's."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistil.labelling.answers import AnswerColumns, answer_columns
from edgedistil.labelling.blanks import classify_rows
from edgedistil.labelling.ray_cluster import check_slots, import_ray, portable_options
from edgedistil.labelling.sources import TextColumns
from edgedistil_runtime.artifact import read_artifact
from edgedistil_runtime.errors import DataError

if TYPE_CHECKING:
    from ray.data import Dataset

__all__ = ["label_dataset"]

_ROWS_AT_ONCE = 512  # as `label_file` gives them to the model


def label_dataset(
    dataset: "Dataset",
    model: str | Path | bytes,
    *,
    text_column: str = "text",
    text_pair_column: str | None = None,
    workers: int = 1,
    num_cpus: float = 1.0,
    top: int = 1,
    column_prefix: str = "",
    label_separator: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> "Dataset":
    """Adds labels and scores to the rows of a Ray dataset, by a pool of actors that hold the model each.

    Like every step of Ray Data it runs when the result is read or written, and its rows come in any order unless
    `DataContext.get_current().execution_options.preserve_order` was set before `dataset` was made. A row with a blank
    text gets nulls. The columns are those of `label_file`.

    Args:
        dataset: A `ray.data.Dataset`.
        model: A `.tflite` file on this machine, or its content. Each machine of the cluster gets its bytes once.
        text_column: Column of the texts.
        text_pair_column: Column of the second texts, for a model of pairs.
        workers: Actors.
        num_cpus: Processor slots of each. One slot of the cluster must be left for the stages before, or they would
            never read a row.
        top: Labels for each row; all of them if there are fewer.
        column_prefix: Prefix of the new columns.
        label_separator: What separates the labels of a multi-label model; None for lists.
        options: Further arguments of `TextClassifier`.

    Returns:
        The dataset with the new columns after its own.

    Raises:
        EdgeDistilError: Ray is not installed.
        InputError: The actors and one slot for reading do not fit into the cluster.
        ArtifactError: The model is missing or damaged.
        DataError: The labels cannot be separated; or, when the dataset is read and as the cause of Ray's own error, a
            column is missing or there already, or a value is no text.
    """
    ray = import_ray()
    content = model if isinstance(model, bytes) else Path(model).read_bytes() if Path(model).is_file() else None
    metadata = read_artifact(model if content is None else content).metadata  # an error if there is no such file
    columns = answer_columns(metadata, top=top, prefix=column_prefix, label_separator=label_separator)
    if not ray.is_initialized():
        ray.init()
    check_slots(workers, num_cpus, float(ray.cluster_resources().get("CPU", 0)), reading=1)
    texts = TextColumns(text_column, text_pair_column)
    return dataset.map_batches(
        _Actor,
        fn_constructor_args=(ray.put(content), portable_options(options or {}), texts, columns),
        batch_size=_ROWS_AT_ONCE,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=num_cpus,
    )


class _Actor:
    """Labels tables; Ray makes one for each worker, in a separate process."""

    def __init__(self, model: Any, options: Mapping[str, Any], texts: TextColumns, columns: AnswerColumns) -> None:
        from edgedistil_runtime import TextClassifier

        self._classifier = TextClassifier(import_ray().get(model), **options)
        self._texts, self._columns = texts, columns

    def __call__(self, table: Any) -> Any:
        return _labelled(self._classifier, table, self._texts, self._columns)


def _labelled(classifier: Any, table: Any, texts: TextColumns, columns: AnswerColumns) -> Any:
    """The table with the new columns."""
    import pyarrow

    taken = [name for name in columns.names if name in table.column_names]
    if taken:
        raise DataError(
            f"The dataset has a column {taken[0]!r} already. Give the new columns other names with a `column_prefix`"
        )
    first, *pairs = (_texts(table, name) for name in texts.names)
    values = columns.values(classify_rows(classifier, first, pairs[0] if pairs else None))
    for name, kind in columns.types().items():
        table = table.append_column(name, pyarrow.array(values[name], kind))
    return table


def _texts(table: Any, column: str) -> list[str | None]:
    if column not in table.column_names:
        raise DataError(
            f"There is no column {column!r} in a block of the dataset. The columns that exist: "
            f"{', '.join(map(repr, table.column_names))}. Name the right one: `text_column`, or `text_pair_column`"
        )
    values = table.column(column).to_pylist()
    wrong = next((value for value in values if not (value is None or isinstance(value, str))), None)
    if wrong is not None:
        raise DataError(f"The texts in column {column!r} must be strings. Received: {wrong!r:.60}")
    return [value if value and value.strip() else None for value in values]
