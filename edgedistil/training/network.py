"""The Keras model that is trained: the variables of a classifier, but only the embeddings of pieces that occur.

A vocabulary has tens of thousands of pieces, and a data set a few thousand of them. The gradient of all other
embeddings is 0, so training without them gives the same weights, and an optimizer does not read and write millions of
zeros in every step. Weight decay is the only difference: pieces that do not occur keep their pretrained embeddings.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil.training.batches import TokenizedTexts, evaluation_batches
from edgedistil.training.forward import TrainingOps, attention_bias, mean_over_tokens
from edgedistil.training.vectors import VectorMap
from edgedistil_converters.graph.transformer import (
    EMBEDDINGS_NORM,
    classify_encoded,
    classify_normalized,
    encode_normalized,
)
from edgedistil_converters.model.keras_hub import backbone_layers, head_layers, read_architecture

if TYPE_CHECKING:
    from edgedistil.training.team import Team

__all__ = ["Evaluator", "TrainingNetwork", "outputs_of", "pieces_that_occur", "with_rows"]

_BATCH_SIZE = 64
# Rows of a part of a training batch. MiniLM keeps about 0.3 MB a row for the backward pass.
_TOKENS_PER_PART = 1024


class TrainingNetwork(keras.Model):  # type: ignore[misc]
    """A classifier as a model of batches of rows of a small embedding table; its outputs are logits.

    Except for the table, its variables are those of the classifier: training changes them in place. `write_embeddings`
    copies the table back. A batch of long texts is trained in parts whose gradients are added up, so that memory
    depends on neither the batch size nor the length of its texts.

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
        self._vector_map: VectorMap | None = None
        self._hidden_maps: list[VectorMap] = []
        # The head reads the output of the last layer: of the pooling, or of the first position only.
        self.num_inner_layers = max(0, int(backbone.num_layers) - 1)
        self.built = True

    def learn_vectors(self, vector_map: VectorMap) -> None:
        """Adds the loss of a map to that of every step; inputs then have `vectors`, float32[batch, teacher's width]."""
        self._vector_map = vector_map

    def learn_hidden(self, maps: Sequence[VectorMap]) -> None:
        """Adds the losses of a map for each inner layer; inputs then have `hidden`, float32[batch, widths]."""
        self._hidden_maps = list(maps)

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Returns logits, float32[batch, num_classes], of `token_ids` (rows of the table) and `padding_mask`."""
        ops, x = self._embed(inputs, training=training)
        return classify_normalized(x, self._architecture, ops)

    def train_step(self, data: Any) -> Any:
        """Changes the weights once, by the gradient of a batch: `(inputs, targets, weights)`."""
        if self.jit_compile:  # XLA has no slices of varying length; its batches have one length, and go as a whole
            return super().train_step(data)
        gradients = self.gradients(data, tf.shape(data[2])[0])
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        return self.get_metrics_result()

    def gradients(self, data: Any, total: Any, *, draw: int = 0) -> list[Any]:
        """Returns the gradients of some texts' share of the loss of a batch, and adds their metrics.

        Args:
            data: Inputs, targets and weights of at least one text.
            total: Texts of the whole batch, an integer tensor.
            draw: Number of the first text, from which its dropout is drawn.
        """
        texts, length = tf.unstack(tf.shape(data[0]["token_ids"]))
        size = tf.maximum(1, _TOKENS_PER_PART // length)
        of_part = partial(self._gradients_of_part, data, size=size, total=total, draw=draw)
        _, gradients = tf.while_loop(
            lambda start, _: start < texts,
            lambda start, added: (start + size, [old + new for old, new in zip(added, of_part(start), strict=True)]),
            (size, of_part(0)),
            parallel_iterations=1,
        )
        return list(gradients)

    def _gradients_of_part(self, data: Any, start: Any, *, size: Any, total: Any, draw: int) -> list[Any]:
        """Gradients of some texts' share of the loss of a batch."""
        inputs, targets, weights = tf.nest.map_structure(lambda values: values[start : start + size], data)
        length = tf.reduce_max(tf.reduce_sum(inputs["padding_mask"], 1))
        vectors, hidden = inputs.get("vectors"), inputs.get("hidden")
        inputs = {name: inputs[name][:, :length] for name in ("token_ids", "padding_mask")}
        count = tf.shape(weights)[0]
        with tf.GradientTape() as tape:
            ops, x = self._embed(inputs, training=True, start=start + draw)
            encoded = encode_normalized(x, self._architecture, ops)
            logits = classify_encoded(encoded, self._architecture, ops)
            loss = self._compute_loss(inputs, targets, logits, weights, training=True)
            if self._vector_map is not None:
                loss += self._vector_map.loss(encoded, vectors)
            if self._hidden_maps:
                loss += self._hidden_loss(ops, inputs["padding_mask"], hidden)
            of_batch = loss * (tf.cast(count, loss.dtype) / tf.cast(total, loss.dtype))
        self._loss_tracker.update_state(loss, sample_weight=count)
        self.compute_metrics(inputs, targets, logits, sample_weight=weights)
        return [tf.convert_to_tensor(gradient) for gradient in tape.gradient(of_batch, self.trainable_weights)]

    def encode(self, inputs: dict[str, Any]) -> Any:
        """Returns what the head reads, float32[batch, width]."""
        ops, x = self._embed(inputs, training=False)
        return encode_normalized(x, self._architecture, ops)

    def hidden_means(self, inputs: dict[str, Any]) -> Any:
        """Returns the means over the tokens after each inner layer, side by side: float32[batch, layers * width]."""
        ops, x = self._embed(inputs, training=False)
        encode_normalized(x, self._architecture, ops)
        return tf.concat(self._inner_means(ops, inputs["padding_mask"]), axis=-1)

    def _inner_means(self, ops: TrainingOps, padding_mask: Any) -> list[Any]:
        batch, length = tf.unstack(tf.shape(padding_mask))
        return [
            mean_over_tokens(tf.reshape(x, [batch, length, x.shape[-1]]), padding_mask)
            for x in ops.layer_outputs[: self.num_inner_layers]
        ]

    def _hidden_loss(self, ops: TrainingOps, padding_mask: Any, teacher: Any) -> Any:
        targets = tf.split(teacher, len(self._hidden_maps), axis=-1)
        means = self._inner_means(ops, padding_mask)
        return tf.add_n(
            [one.loss(mean, target) for one, mean, target in zip(self._hidden_maps, means, targets, strict=True)]
        )

    def _embed(self, inputs: dict[str, Any], *, training: bool, start: Any = 0) -> tuple[TrainingOps, Any]:
        """The steps of a batch, or of a part from its text `start` on, and its embeddings, [batch * length, width]."""
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
            step=self.optimizer._iterations.value + _draw_of_part(start) if training else 0,
            seed=self._seed,
        )
        positions = tf.convert_to_tensor(self._positions.position_embeddings)[:length]
        # Keras' `Variable` has no gradient of tf.gather in rows; its value has: one row for each token of the batch.
        embeddings = tf.gather(self._table.value, tf.reshape(token_ids, [-1])) + tf.tile(positions, [batch, 1])
        return ops, ops.drop(ops.norm(EMBEDDINGS_NORM, embeddings))


def _draw_of_part(start: Any) -> Any:
    """Far from the numbers of other steps, so that no two parts and steps drop the same values."""
    return tf.cast(start, tf.int64) * 10_000_019


class Evaluator:
    """Outputs of a network for many texts; it is traced once and called again while the weights change.

    Args:
        network: The network.
        team: Workers that divide the texts for `logits` between them; `None` is only this process.
    """

    def __init__(self, network: TrainingNetwork, team: "Team | None" = None) -> None:
        inputs = tf.TensorSpec((None, None), tf.int32)
        signature = [{"token_ids": inputs, "padding_mask": inputs}]
        self._team = team
        self._logits = tf.function(lambda batch: network(batch, training=False), input_signature=signature)
        self._features = tf.function(network.encode, input_signature=signature)
        self._hidden = tf.function(network.hidden_means, input_signature=signature)

    def logits(self, texts: TokenizedTexts) -> NDArray[np.float32]:
        """Logits, float32[texts, num_classes]; the same on all workers."""
        if self._team is None:
            return outputs_of(self._logits, texts)
        return self._team.sum(outputs_of(self._logits, texts, share=(self._team.index, self._team.size)))

    def features(self, texts: TokenizedTexts) -> NDArray[np.float32]:
        """What the head reads, float32[texts, width]."""
        return outputs_of(self._features, texts)

    def hidden(self, texts: TokenizedTexts) -> NDArray[np.float32]:
        """Means over the tokens after each inner layer, float32[texts, layers * width]."""
        return outputs_of(self._hidden, texts)


def outputs_of(
    run: Callable[[Any], Any], texts: TokenizedTexts, *, share: tuple[int, int] = (0, 1)
) -> NDArray[np.float32]:
    """Runs a function of batches on texts, and returns its outputs in their order, float32[texts, width].

    Args:
        run: Function of `token_ids` and `padding_mask` that returns a tensor, float32[batch, width].
        texts: Texts, at least one.
        share: Number of this worker and of all workers: it computes its share of the batches, and the rows of the
            others are 0.

    Example:
        >>> ids = np.array([[2, 7, 3, 0], [2, 7, 8, 3]], "int32")
        >>> texts = TokenizedTexts(ids, (ids > 0).astype("int32"), np.array([3, 4]))
        >>> outputs_of(lambda batch: tf.reduce_sum(batch["token_ids"], 1, keepdims=True), texts).tolist()
        [[12.0], [20.0]]
    """
    found: NDArray[np.float32] | None = None
    index, size = share
    for number, (rows, batch) in enumerate(evaluation_batches(texts, batch_size=_BATCH_SIZE)):
        is_own = number % size == index
        if not is_own and found is not None:
            continue
        values = run(batch).numpy()  # of the first batch in any case, for the width
        if found is None:
            found = np.zeros((len(texts), values.shape[1]), "float32")
        if is_own:
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
