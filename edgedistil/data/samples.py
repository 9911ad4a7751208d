"""Held-out texts that a preset directory keeps, so that a conversion can be judged on texts of the right kind.

`samples.jsonl` holds a few hundred of the validation texts with their labels, one JSON object a line.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, overload

from edgedistil.data.label_sets import MultiLabelTexts, has_label_lists, read_label_sets
from edgedistil.data.reading import LabelledTexts, read_labelled_texts

__all__ = ["SAMPLES_FILE", "are_held_out", "choose_samples", "read_samples", "renamed", "write_samples"]

SAMPLES_FILE: Final = "samples.jsonl"
_SAMPLES = 300
_OF_CLASS = 4  # more samples are kept if these are fewer than so many a class ...
_MOST_SAMPLES = 1000  # ... but no more than these


@overload
def choose_samples(data: LabelledTexts, *, seed: int = 0) -> LabelledTexts: ...
@overload
def choose_samples(data: MultiLabelTexts, *, seed: int = 0) -> MultiLabelTexts: ...
@overload
def choose_samples(data: LabelledTexts | MultiLabelTexts, *, seed: int = 0) -> LabelledTexts | MultiLabelTexts: ...
def choose_samples(data: LabelledTexts | MultiLabelTexts, *, seed: int = 0) -> LabelledTexts | MultiLabelTexts:
    """Choose 300 texts, or 4 for each class if these are more, but at most 1,000.

    Every class gets its share of the data, and at least one text as long as there is room. Texts with any number of
    labels are chosen at random.

    Args:
        data: Labelled texts.
        seed: Seed of the choice.

    Returns:
        The chosen texts in the order of `data`; all of them if there are no more.

    Example:
        >>> texts = LabelledTexts(tuple(map(str, range(900))), ("often",) * 898 + ("rare",) * 2)
        >>> samples = choose_samples(texts)
        >>> len(samples), samples.labels.count("rare")
        (300, 1)
    """
    generator = random.Random(seed)
    if isinstance(data, MultiLabelTexts):
        return data.rows(sorted(generator.sample(range(len(data)), _size(len(data), len(data.counts())))))
    rows_of: dict[str, list[int]] = {}
    for row, label in enumerate(data.labels):
        rows_of.setdefault(label, []).append(row)
    size = _size(len(data), len(rows_of))
    # (position within its class as a share, row): the smallest shares are taken, the first of every class before all.
    order = []
    for label in sorted(rows_of):
        rows = generator.sample(rows_of[label], len(rows_of[label]))
        order += [(place / len(rows), row) for place, row in enumerate(rows)]
    chosen = sorted(row for _, row in sorted(order)[:size])
    return LabelledTexts(tuple(data.texts[row] for row in chosen), tuple(data.labels[row] for row in chosen), data.path)


def _size(texts: int, labels: int) -> int:
    return min(texts, _MOST_SAMPLES, max(_SAMPLES, _OF_CLASS * labels))


def write_samples(samples: LabelledTexts | MultiLabelTexts, directory: Path) -> None:
    """Write samples into a preset directory; the label of a text is a list if it may have several."""
    labels: Sequence[Any] = samples.label_sets if isinstance(samples, MultiLabelTexts) else samples.labels
    lines = [
        json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n"
        for text, label in zip(samples.texts, labels, strict=True)
    ]
    (directory / SAMPLES_FILE).write_text("".join(lines), encoding="utf-8", newline="\n")


def read_samples(directory: Path) -> LabelledTexts | MultiLabelTexts | None:
    """Read the samples of a preset directory; None if it has none.

    Raises:
        DataError: The file cannot be used.

    Example:
        >>> write_samples(LabelledTexts(("turn it on",), ("lights",)), Path("intents"))
        >>> read_samples(Path("intents")).labels
        ('lights',)
        >>> (Path("intents") / SAMPLES_FILE).unlink()
        >>> read_samples(Path("intents")) is None
        True
    """
    path = directory / SAMPLES_FILE
    if not path.is_file():
        return None
    return read_label_sets(path) if has_label_lists(path) else read_labelled_texts(path)


def renamed(samples: LabelledTexts | MultiLabelTexts, names: Mapping[str, str]) -> LabelledTexts | MultiLabelTexts:
    """Returns the texts with other names for some labels.

    Args:
        samples: Labelled texts.
        names: Old name -> new name.

    Example:
        >>> renamed(MultiLabelTexts(("a",), (("on", "off"),)), {"on": "ON"}).label_sets
        (('ON', 'off'),)
    """
    if isinstance(samples, MultiLabelTexts):
        return replace(
            samples, label_sets=tuple(tuple(names.get(one, one) for one in few) for few in samples.label_sets)
        )
    return replace(samples, labels=tuple(names.get(label, label) for label in samples.labels))


def are_held_out(directory: Path) -> bool:
    """Return False if the samples of a preset directory are training texts, because nothing was held out.

    Example:
        >>> _ = Path("training.json").write_text('{"data": {"training": {"rows": 20}}}')
        >>> are_held_out(Path()), are_held_out(Path("intents"))
        (False, True)
    """
    try:
        record = json.loads((directory / "training.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no record: the preset was not written by `train`
        return True
    data = record.get("data") if isinstance(record, dict) else None
    return not isinstance(data, dict) or "validation" in data
