"""The Keras model that is trained: the variables of a classifier, but only the embeddings of pieces that occur.

A vocabulary has tens of thousands of pieces, and a data set a few thousand of them. The gradient of all other
embeddings is 0, so training without them gives the same weights, and an optimizer does not read and write millions of
zeros in every step. Weight decay is the only difference: pieces that do not occur keep their pretrained embeddings.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil.training.batches import TokenizedTexts, evaluation_batches
from edgedistil.training.forward import TrainingOps, attention_bias
from edgedistil_converters.graph.transformer import EMBEDDINGS_NORM, classify_normalized, encode_normalized
from edgedistil_converters.model.keras_hub import backbone_layers, head_layers, read_architecture

__all__ = ["Evaluator", "TrainingNetwork", "pieces_that_occur", "with_rows"]

_BATCH_SIZE = 64


class TrainingNetwork(keras.Model):  # type: ignore[misc]
    """A classifier as a model of batches of rows of a small embedding table; its outputs are logits.

    Except for the table, its variables are those of the classifier: training changes them in place. `write_embeddings`
    copies the table back.

    Args:
        classifier: A `keras_hub.models.DistilBertTextClassifier`.
        pieces: Ids of the pieces in the table, int64[rows].
        seed: Seed of dropout.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> classifier = load_classifier("intents")
        >>> network = TrainingNetwork(classifier, np.arange(10), seed=0)
        >>> inputs = {"token_ids": np.array([[2, 7, 3]]), "padding_mask": np.ones((1, 3), "int32")}
        >>> bool(np.allclose(network(inputs), classifier(inputs), atol=1e-5))
        True
    """

    def __init__(self, classifier: Any, pieces: NDArray[np.int64], *, seed: int = 0) -> None:
        super().__init__(name="training_network")
        backbone = classifier.backbone
        source = backbone.token_embedding.embeddings
        self._architecture = read_architecture(classifier)
        self._num_heads = int(backbone.num_heads)
        self._dropout, self._head_dropout = float(backbone.dropout), float(classifier.dropout)
        self._seed = seed
        self._sites = dict([*backbone_layers(backbone), *head_layers(classifier)])
        self._positions = backbone.embeddings.position_embedding
        table = self._table = self.add_weight(
            shape=(len(pieces), source.shape[1]),
            name="embeddings",
            trainable=bool(backbone.trainable and backbone.token_embedding.trainable),
        )
        table.assign(tf.gather(source.value, pieces))
        # In a function: as an attribute, Keras would train the whole embedding table too.
        self.write_embeddings = lambda: source.value.scatter_nd_update(pieces[:, None], table.value)
        self.num_classes = int(classifier.num_classes)
        self.built = True

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Returns logits, float32[batch, num_classes], of `token_ids` (rows of the table) and `padding_mask`."""
        ops, x = self._embed(inputs, training=training)
        return classify_normalized(x, self._architecture, ops)

    def encode(self, inputs: dict[str, Any]) -> Any:
        """Returns what the head reads, float32[batch, width]."""
        ops, x = self._embed(inputs, training=False)
        return encode_normalized(x, self._architecture, ops)

    def _embed(self, inputs: dict[str, Any], *, training: bool) -> tuple[TrainingOps, Any]:
        """The steps of a batch, and its embeddings after their layer norm, [batch * length, width]."""
        token_ids, mask = inputs["token_ids"], inputs["padding_mask"]
        batch, length = tf.shape(token_ids)[0], tf.shape(token_ids)[1]
        ops = TrainingOps(
            self._sites,
            self._num_heads,
            (batch, length),
            attention_bias(mask),
            dropout=self._dropout if training else 0.0,
            head_dropout=self._head_dropout if training else 0.0,
            # The number of the call: with gradient accumulation, `iterations` counts updates.
            step=self.optimizer._iterations.value if training else 0,
            seed=self._seed,
        )
        positions = tf.convert_to_tensor(self._positions.position_embeddings)[:length]
        # Keras' `Variable` has no gradient of tf.gather in rows; its value has: one row for each token of the batch.
        embeddings = tf.gather(self._table.value, tf.reshape(token_ids, [-1])) + tf.tile(positions, [batch, 1])
        return ops, ops.drop(ops.norm(EMBEDDINGS_NORM, embeddings))


class Evaluator:
    """Outputs of a network for many texts; it is traced once and called again while the weights change.

    Args:
        network: The network.
    """

    def __init__(self, network: TrainingNetwork) -> None:
        inputs = tf.TensorSpec((None, None), tf.int32)
        signature = [{"token_ids": inputs, "padding_mask": inputs}]
        self._num_classes = network.num_classes
        self._logits = tf.function(lambda batch: network(batch, training=False), input_signature=signature)
        self._features = tf.function(network.encode, input_signature=signature)

    def logits(self, texts: TokenizedTexts) -> NDArray[np.float32]:
        """Logits, float32[texts, num_classes]."""
        return _collect(self._logits, texts)

    def features(self, texts: TokenizedTexts) -> NDArray[np.float32]:
        """What the head reads, float32[texts, width]."""
        return _collect(self._features, texts)


def _collect(run: Any, texts: TokenizedTexts) -> NDArray[np.float32]:
    found: NDArray[np.float32] | None = None
    for rows, batch in evaluation_batches(texts, batch_size=_BATCH_SIZE):
        values = run(batch).numpy()
        if found is None:
            found = np.zeros((len(texts), values.shape[1]), "float32")
        found[rows] = values
    assert found is not None
    return found


def pieces_that_occur(parts: Iterable[TokenizedTexts], *more: int) -> NDArray[np.int64]:
    """Ids of the pieces that occur in any of the texts, padding included, and of some more: ascending, int64[rows].

    Example:
        >>> ids = np.array([[2, 7, 3, 0]], "int32")
        >>> pieces_that_occur([TokenizedTexts(ids, (ids > 0).astype("int32"), np.array([3]))], 1).tolist()
        [0, 1, 2, 3, 7]
    """
    found = [np.unique(texts.token_ids) for texts in parts]
    return np.unique(np.concatenate([*found, np.array(more, "int64")])).astype("int64")


def with_rows(texts: TokenizedTexts, pieces: NDArray[np.int64]) -> TokenizedTexts:
    """The same texts with the row of each piece in `pieces` instead of its id.

    Example:
        >>> ids = np.array([[2, 7, 3, 0]], "int32")
        >>> texts = TokenizedTexts(ids, (ids > 0).astype("int32"), np.array([3]))
        >>> with_rows(texts, np.array([0, 1, 2, 3, 7])).token_ids.tolist()
        [[2, 4, 3, 0]]
    """
    return replace(texts, token_ids=np.searchsorted(pieces, texts.token_ids).astype("int32"))
