"""Batches of token ids: every text is tokenized once, and a batch is as long as its longest text.

Most texts are short. Padding all of them to the sequence length would make a step on a CPU several times slower, so
texts of similar length share a batch: the shuffled texts are cut into chunks of some batches, and each chunk is
sorted by length.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

__all__ = ["EpochNumber", "TokenizedTexts", "evaluation_batches", "tokenize", "training_batches"]

_TEXTS_PER_CALL = 1024
_BATCHES_PER_CHUNK = 100


@dataclass(frozen=True)
class TokenizedTexts:
    """Texts as integers.

    Attributes:
        token_ids: int32 [texts, sequence length], padded.
        padding_mask: int32 [texts, sequence length], 1 for a token, 0 for padding.
        lengths: int64 [texts], tokens of each text, `[CLS]` and `[SEP]` among them.
    """

    token_ids: NDArray[np.int32]
    padding_mask: NDArray[np.int32]
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, rows: NDArray[np.int64]) -> "TokenizedTexts":
        """Returns some of the texts."""
        return TokenizedTexts(self.token_ids[rows], self.padding_mask[rows], self.lengths[rows])

    def batch(self, rows: NDArray[np.int64], *, is_full_length: bool) -> dict[str, NDArray[np.int32]]:
        """The inputs of a step: the texts of `rows`, padded to the longest of them or to the full length."""
        length = self.token_ids.shape[1] if is_full_length else int(self.lengths[rows].max(initial=1))
        return {
            "token_ids": self.token_ids[rows, :length],
            "padding_mask": self.padding_mask[rows, :length],
        }


def tokenize(preprocessor: Any, texts: Sequence[str]) -> TokenizedTexts:
    """Tokenizes texts, 1024 at a time.

    Args:
        preprocessor: Preprocessor of the classifier; its `sequence_length` is what texts are cut to.
        texts: Texts, at least one.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> texts = tokenize(load_classifier("intents").preprocessor, ["lights off", "is it raining ?"])
        >>> texts.lengths.tolist(), texts.token_ids.shape
        ([4, 7], (2, 7))
    """
    parts = [
        preprocessor(tf.constant(texts[start : start + _TEXTS_PER_CALL]))
        for start in range(0, len(texts), _TEXTS_PER_CALL)
    ]
    token_ids = np.concatenate([np.asarray(part["token_ids"], "int32") for part in parts])
    padding_mask = np.concatenate([np.asarray(part["padding_mask"], "int32") for part in parts])
    lengths = padding_mask.sum(axis=1, dtype="int64")
    longest = int(lengths.max())
    return TokenizedTexts(token_ids[:, :longest], padding_mask[:, :longest], lengths)


class EpochNumber(keras.callbacks.Callback):  # type: ignore[misc]
    """The number of the epoch that is running, which decides the order of its batches.

    Attributes:
        value: Number, from 0 up.
    """

    def __init__(self) -> None:
        super().__init__()
        self.value = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Takes the number."""
        self.value = epoch


def training_batches(
    texts: TokenizedTexts,
    targets: NDArray[Any],
    *,
    batch_size: int,
    seed: int,
    weights: NDArray[np.float32] | None = None,
    epoch: EpochNumber | None = None,
    token_dropout: float = 0.0,
    unknown_id: int = 0,
    is_full_length: bool = False,
    vectors: Mapping[str, NDArray[np.float32]] | None = None,
    share: tuple[int, int] | None = None,
) -> tf.data.Dataset:
    """Batches in an order that the seed and the number of the epoch decide.

    Args:
        texts: Inputs.
        targets: Targets, one row a text.
        batch_size: Texts in a batch; the last one may be smaller.
        seed: Seed of the orders.
        weights: Weight of each text in the loss, float32[texts]; `None` is 1.
        epoch: Number of the epoch; `None` counts how often the data set is iterated.
        token_dropout: Share of the tokens to replace, drawn anew every time a text is shown.
        unknown_id: Token id that replaces them.
        is_full_length: Pad every batch to the longest text of all, so that XLA compiles once.
        vectors: Vectors of each text that inputs have too, name -> float32[texts, width].
        share: Number of this worker and of all workers. A batch then has the worker's texts of it, maybe none, and as
            a fourth element how many texts all have, int32.

    Example:
        >>> ids = np.array([[2, 7, 3, 0], [2, 7, 8, 3]], "int32")
        >>> texts = TokenizedTexts(ids, (ids > 0).astype("int32"), np.array([3, 4]))
        >>> batches = training_batches(texts, np.eye(2), batch_size=1, seed=0)
        >>> sorted(inputs["token_ids"].shape[1] for inputs, _, _ in batches)
        [3, 4]
    """
    iterations = itertools.count()
    of_text = np.ones(len(texts), "float32") if weights is None else weights

    def batches() -> Iterator[tuple[Any, ...]]:
        generator = np.random.default_rng([seed, next(iterations) if epoch is None else epoch.value])
        for rows in _grouped_rows(texts.lengths, batch_size, generator):
            inputs = texts.batch(rows, is_full_length=is_full_length)
            if token_dropout:
                _drop_tokens(inputs["token_ids"], texts.lengths[rows], token_dropout, unknown_id, generator)
            more = {name: found[rows] for name, found in (vectors or {}).items()}
            batch = ({**inputs, **more}, targets[rows], of_text[rows])
            yield batch if share is None else (*_share_of(batch, texts.lengths[rows], share), len(rows))

    signature = _signature(targets, vectors or {})
    if share is not None:
        signature = (*signature, tf.TensorSpec((), tf.int32))
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    count = -(-len(texts) // batch_size)
    return dataset.apply(tf.data.experimental.assert_cardinality(count)).prefetch(2)


def evaluation_batches(
    texts: TokenizedTexts, *, batch_size: int
) -> Iterator[tuple[NDArray[np.int64], dict[str, NDArray[np.int32]]]]:
    """Row numbers and inputs of batches, the shortest texts first.

    Example:
        >>> ids = np.array([[2, 7, 8, 3], [2, 7, 3, 0]], "int32")
        >>> texts = TokenizedTexts(ids, (ids > 0).astype("int32"), np.array([4, 3]))
        >>> [rows.tolist() for rows, _ in evaluation_batches(texts, batch_size=1)]
        [[1], [0]]
    """
    order = np.argsort(texts.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        yield rows, texts.batch(rows, is_full_length=False)


def _grouped_rows(
    lengths: NDArray[np.int64], batch_size: int, generator: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    # Sorting all texts by length would show the same texts together in every epoch; sorting 100 shuffled batches at a
    # time leaves little padding and mixes the texts.
    shuffled = generator.permutation(len(lengths))
    chunk = batch_size * _BATCHES_PER_CHUNK
    for start in range(0, len(shuffled), chunk):
        rows = shuffled[start : start + chunk]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches = [rows[first : first + batch_size] for first in range(0, len(rows), batch_size)]
        for index in generator.permutation(len(batches)):
            yield batches[index]


def _share_of(batch: tuple[Any, ...], lengths: NDArray[np.int64], share: tuple[int, int]) -> tuple[Any, ...]:
    """Every n-th text of a batch, which are sorted by length: the workers get about as many tokens each."""
    index, size = share
    inputs, targets, weights = tf.nest.map_structure(lambda values: values[index::size], batch)
    longest = int(lengths[index::size].max(initial=1))
    inputs |= {name: inputs[name][:, :longest] for name in ("token_ids", "padding_mask")}
    return inputs, targets, weights


def _drop_tokens(
    token_ids: NDArray[np.int32],
    lengths: NDArray[np.int64],
    share: float,
    unknown_id: int,
    generator: np.random.Generator,
) -> None:
    """Replaces some tokens in place, but never `[CLS]` at the start, `[SEP]` at the end or the padding after it."""
    position = np.arange(token_ids.shape[1])  # [length], against lengths[:, None], [texts, 1]
    is_word = (position > 0) & (position < lengths[:, None] - 1)
    token_ids[is_word & (generator.random(token_ids.shape) < share)] = unknown_id


def _signature(targets: NDArray[Any], vectors: Mapping[str, NDArray[np.float32]]) -> Any:
    inputs = {name: tf.TensorSpec((None, None), tf.int32) for name in ("token_ids", "padding_mask")}
    inputs |= {name: tf.TensorSpec((None, found.shape[1]), tf.float32) for name, found in vectors.items()}
    return (
        inputs,
        tf.TensorSpec((None, *targets.shape[1:]), tf.as_dtype(targets.dtype)),
        tf.TensorSpec((None,), tf.float32),
    )
