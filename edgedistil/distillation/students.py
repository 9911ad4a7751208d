"""A smaller backbone that starts from a larger one.

Layers: some of the teacher's, evenly, the first and the last among them.
Width: the directions of the residual stream in which the teacher's hidden states vary most (PCA). All kernels are
    projected; what a dropped direction adds on average goes into biases.
Heads and feed-forward units: those that contribute most, as wide as the teacher's.
Layer norms: scale and offset are fitted, one norm after the other, so that the student's hidden states come close to
    the teacher's projected ones. A layer norm subtracts the mean of its inputs, so the basis is turned until that mean
    is the direction that varies least.
Word pieces: some of the teacher's. A word whose piece was dropped is split into shorter ones.

The result is a start and no good encoder yet: distillation follows. A student as wide and deep as its teacher is equal
to it.
"""

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil.builder import build_backbone
from edgedistil.distillation.token_network import AllPositions, TokenNetwork, mean_over_tokens
from edgedistil.sizes import BackboneSize
from edgedistil.training.batches import TokenizedTexts
from edgedistil_converters.graph.transformer import EMBEDDINGS_NORM, layer_name
from edgedistil_converters.model.folded_bert import gelu_kind
from edgedistil_converters.model.keras_hub import backbone_layers
from edgedistil_runtime.errors import PresetError

__all__ = ["chosen_layers", "principal_directions", "student_basis", "student_from"]

Floats = NDArray[np.float32]
_TEXTS, _TOKENS = 256, 16  # of a sample that is drawn


def student_from(
    teacher: Any,
    size: BackboneSize,
    pieces: NDArray[np.int64],
    *,
    texts: TokenizedTexts | None = None,
    directions: Floats | None = None,
    max_sequence_length: int | None = None,
) -> Any:
    """Builds a backbone that starts from a larger one.

    Args:
        teacher: A `keras_hub.models.DistilBertBackbone`.
        size: Size of the student, in no number larger than the teacher's, with heads as wide as the teacher's.
        pieces: Ids of the teacher's pieces that the student has, ascending; the index is the student's id.
        texts: Some hundred texts with the teacher's ids, on which its hidden states are looked at; `None` draws random
            pieces, which is worse.
        directions: `principal_directions`, to reuse them.
        max_sequence_length: Number of positions; `None` keeps the teacher's.

    Returns:
        A `keras_hub.models.DistilBertBackbone`.

    Raises:
        PresetError: a number of `size` is larger than the teacher's, or the heads have another width.

    Example:
        >>> teacher = build_backbone(BackboneSize(3, 16, 4, 32), vocabulary_size=50, max_sequence_length=20)
        >>> student = student_from(teacher, BackboneSize(2, 8, 2, 16), np.arange(0, 50, 2))
        >>> student.num_layers, student.hidden_dim, student.vocabulary_size
        (2, 8, 25)
    """
    _check(teacher, size)
    texts = _random_texts(teacher, pieces) if texts is None else texts
    if size.hidden_dim == teacher.hidden_dim:
        basis = np.eye(size.hidden_dim, dtype="float32")
    else:
        directions = principal_directions(teacher, texts) if directions is None else directions
        basis = student_basis(directions, size.hidden_dim)
    student = _empty(teacher, size, len(pieces), max_sequence_length)
    seen = _watch(teacher, texts)
    table, positions = _tables(teacher)
    _, own_positions = _tables(student)
    own_positions.assign((np.asarray(positions) @ basis)[: student.max_sequence_length])
    projected = np.asarray(table) @ basis
    student.token_embedding.embeddings.assign(projected[pieces])
    _project_layers(teacher, student, seen, basis)
    if size.hidden_dim != teacher.hidden_dim:
        _fit_norms(student, texts, projected, _targets(seen, chosen_layers(teacher.num_layers, size.num_layers), basis))
    return student


def chosen_layers(teacher_layers: int, student_layers: int) -> list[int]:
    """Returns the teacher's layer that each layer of a student starts from.

    Example:
        >>> chosen_layers(6, 4), chosen_layers(6, 2), chosen_layers(6, 1)
        ([0, 2, 3, 5], [0, 5], [5])
    """
    if student_layers == 1:
        return [teacher_layers - 1]
    return [round(place) for place in np.linspace(0, teacher_layers - 1, student_layers).tolist()]


def principal_directions(teacher: Any, texts: TokenizedTexts) -> Floats:
    """Returns orthonormal directions of the teacher's hidden states, those that vary most first.

    The covariances of the hidden states after every layer norm count equally, and that of the sentence vectors (means
    over tokens) as much as all of them together.

    Args:
        teacher: A `keras_hub.models.DistilBertBackbone`.
        texts: Some hundred texts with the teacher's ids.

    Returns:
        float32[width, width], a direction a column.
    """
    seen = _watch(teacher, texts)
    states = [outputs for site, outputs in seen.norms.items() if seen.is_output(site)]
    covariances = [_scaled_covariance(values) for values in states]
    total = sum(covariances) / len(covariances) + _scaled_covariance(seen.sentences)
    _, vectors = np.linalg.eigh(total)
    return np.ascontiguousarray(vectors[:, ::-1], dtype="float32")


def student_basis(directions: Floats, width: int) -> Floats:
    """Returns an orthonormal basis of the first directions, turned so that the last of them is the mean of all axes.

    Example:
        >>> basis = student_basis(np.eye(4, dtype="float32"), 2)
        >>> np.round(basis.T @ basis, 6).tolist(), [round(value, 3) for value in basis[1].tolist()]
        ([[1.0, 0.0], [0.0, 1.0]], [0.707, 0.707])
    """
    # The reflection that swaps the last axis and the direction (1, …, 1).
    difference = -np.full(width, 1 / math.sqrt(width))
    difference[-1] += 1
    norm = np.linalg.norm(difference)
    if norm == 0:  # width 1
        return directions[:, :1]
    unit = difference / norm
    turned = directions[:, :width] @ (np.eye(width) - 2 * np.outer(unit, unit))
    return np.asarray(turned, "float32")


class _Seen:
    """What a teacher computes for a sample of texts.

    Attributes:
        norms: Site of a layer norm -> its outputs at tokens, float32[tokens, width].
        inputs: Site of a matmul -> mean and covariance of its inputs at tokens, for outputs of attention and of GELU.
        sentences: Means over tokens, float32[texts, width].
    """

    def __init__(self) -> None:
        self.norms: dict[str, Floats] = {}
        self.inputs: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        self.sentences: Floats = np.zeros((0, 0), "float32")

    @staticmethod
    def is_output(site: str) -> bool:
        """True for a norm whose outputs a layer reads as a whole."""
        return site == EMBEDDINGS_NORM or site.endswith("/output_norm")


def _watch(teacher: Any, texts: TokenizedTexts) -> _Seen:
    seen, is_token = _Seen(), texts.padding_mask.reshape(-1).astype(bool)

    class Watching(AllPositions):
        def norm(self, site: str, x: Any) -> Any:
            y = super().norm(site, x)
            seen.norms[site] = y.numpy()[is_token]
            return y

        def dense(self, site: str, x: Any, *, activation: str | None = None) -> Any:
            if site.endswith("output"):
                values = x.numpy()[is_token].astype("float64")
                seen.inputs[site] = values.mean(0), np.atleast_2d(np.cov(values.T))
            return super().dense(site, x, activation=activation)

    network = TokenNetwork(teacher, Watching)
    hidden = network(tf.constant(texts.token_ids), tf.constant(texts.padding_mask))
    seen.sentences = mean_over_tokens(hidden, texts.padding_mask).numpy()
    return seen


def _project_layers(teacher: Any, student: Any, seen: _Seen, basis: Floats) -> None:
    """Fills the student's matmuls and layer norms from the chosen layers of the teacher."""
    sources, targets = dict(backbone_layers(teacher)), dict(backbone_layers(student))
    _project_norm(sources[EMBEDDINGS_NORM], targets[EMBEDDINGS_NORM], basis)
    for index, number in enumerate(chosen_layers(teacher.num_layers, student.num_layers)):
        source, target = layer_name(number), layer_name(index)
        before = EMBEDDINGS_NORM if number == 0 else f"{layer_name(number - 1)}/output_norm"
        outside = {part: _outside(seen.norms[before], basis) for part in ("query", "key", "value")}
        outside["intermediate"] = _outside(seen.norms[f"{source}/attention_norm"], basis)
        heads = _kept_heads(teacher, student, seen.inputs[f"{source}/attention_output"], sources, source)
        units = _kept(_importance(seen.inputs[f"{source}/output"], _kernel(sources[f"{source}/output"])), student)
        for part in ("query", "key", "value", "intermediate"):
            kernel, bias = _kernel(sources[f"{source}/{part}"]), _bias(sources[f"{source}/{part}"])
            columns = units if part == "intermediate" else heads
            bias = bias + outside[part] @ kernel
            _assign(targets[f"{target}/{part}"], basis.T @ kernel[:, columns], bias[columns])
        for part, rows in (("attention_output", heads), ("output", units)):
            kernel, bias = _kernel(sources[f"{source}/{part}"]), _bias(sources[f"{source}/{part}"])
            dropped = np.setdiff1d(np.arange(len(kernel)), rows)
            mean = seen.inputs[f"{source}/{part}"][0]
            bias = bias + np.asarray(mean[dropped] @ kernel[dropped], "float32")
            _assign(targets[f"{target}/{part}"], kernel[rows] @ basis, bias @ basis)
        for part in ("attention_norm", "output_norm"):
            _project_norm(sources[f"{source}/{part}"], targets[f"{target}/{part}"], basis)


def _project_norm(source: Any, target: Any, basis: Floats) -> None:
    """Sets a norm to the teacher's if the width is the same; else to what `_fit_norms` starts from."""
    if basis.shape[0] == basis.shape[1]:
        target.gamma.assign(source.gamma)
        target.beta.assign(source.beta)


def _outside(states: Floats, basis: Floats) -> Floats:
    """The mean of hidden states outside the basis, which the student's residual stream does not have."""
    mean = states.mean(0)
    outside: Floats = mean - basis @ (basis.T @ mean)
    return outside


def _kept_heads(
    teacher: Any, student: Any, inputs: tuple[Any, Any], sources: Mapping[str, Any], layer: str
) -> NDArray[np.int64]:
    """Numbers of the values of the heads that contribute most, int64[heads * head width]."""
    width = teacher.hidden_dim // teacher.num_heads
    importance = _importance(inputs, _kernel(sources[f"{layer}/attention_output"]), block=width)
    heads = np.sort(np.argsort(-importance, kind="stable")[: student.num_heads])
    values: NDArray[np.int64] = (heads[:, None] * width + np.arange(width)).reshape(-1)
    return values


def _kept(importance: NDArray[np.float64], student: Any) -> NDArray[np.int64]:
    """Numbers of the feed-forward units that contribute most."""
    units: NDArray[np.int64] = np.sort(np.argsort(-importance, kind="stable")[: student.intermediate_dim])
    return units


def _importance(inputs: tuple[Any, Any], kernel: Floats, block: int = 1) -> NDArray[np.float64]:
    """Variance that each block of inputs adds to the outputs of a matmul."""
    _, covariance = inputs
    gram = kernel.astype("float64") @ kernel.T
    starts = range(0, len(kernel), block)
    return np.array(
        [np.sum(covariance[i : i + block, i : i + block] * gram[i : i + block, i : i + block]) for i in starts]
    )


def _targets(seen: _Seen, numbers: list[int], basis: Floats) -> dict[str, Floats]:
    """Site of each of the student's norms -> the outputs it should have, float32[tokens, student width]."""
    found = {EMBEDDINGS_NORM: seen.norms[EMBEDDINGS_NORM] @ basis}
    for index, number in enumerate(numbers):
        for part in ("attention_norm", "output_norm"):
            found[f"{layer_name(index)}/{part}"] = seen.norms[f"{layer_name(number)}/{part}"] @ basis
    return found


def _fit_norms(student: Any, texts: TokenizedTexts, table: Floats, targets: Mapping[str, Floats]) -> None:
    """Fits scale and offset of the student's norms by least squares, from the first one to the last."""
    is_token = texts.padding_mask.reshape(-1).astype(bool)

    class Fitting(AllPositions):
        def norm(self, site: str, x: Any) -> Any:
            layer = self._layers[site]
            normal = (x - tf.reduce_mean(x, -1, keepdims=True)) / tf.math.reduce_std(x, -1, keepdims=True)
            values, wanted = normal.numpy()[is_token], targets[site]
            centred = values - values.mean(0)
            gamma = (centred * (wanted - wanted.mean(0))).mean(0) / np.maximum((centred**2).mean(0), 1e-6)
            layer.gamma.assign(gamma)
            layer.beta.assign(wanted.mean(0) - gamma * values.mean(0))
            return super().norm(site, x)

    # The texts have the teacher's ids: all of its projected embeddings are read, not the student's own.
    network = TokenNetwork(student, Fitting)
    network._table = keras.Variable(table)
    network(tf.constant(texts.token_ids), tf.constant(texts.padding_mask))


def _scaled_covariance(values: Floats) -> NDArray[np.float64]:
    covariance = np.cov(values.T.astype("float64"))
    return np.asarray(covariance / np.trace(covariance))


def _empty(teacher: Any, size: BackboneSize, pieces: int, positions: int | None) -> Any:
    [first, *_] = teacher.transformer_layers
    return build_backbone(
        size,
        vocabulary_size=pieces,
        max_sequence_length=min(positions or teacher.max_sequence_length, teacher.max_sequence_length),
        dropout=teacher.dropout,
        layer_norm_epsilon=float(teacher.embeddings_layer_norm.epsilon),
        gelu=gelu_kind(first._feedforward_intermediate_dense.activation),
    )


def _tables(backbone: Any) -> tuple[Any, Any]:
    return backbone.token_embedding.embeddings, backbone.embeddings.position_embedding.position_embeddings


def _random_texts(teacher: Any, pieces: NDArray[np.int64]) -> TokenizedTexts:
    length = min(_TOKENS, teacher.max_sequence_length)
    ids = np.random.default_rng(0).choice(pieces, (_TEXTS, length)).astype("int32")
    return TokenizedTexts(ids, np.ones_like(ids), np.full(_TEXTS, length))


def _kernel(layer: Any) -> Floats:
    """The kernel of a matmul as a matrix, float32[inputs, outputs]."""
    return np.asarray(layer.kernel).reshape(-1, math.prod(layer.bias.shape))


def _bias(layer: Any) -> Floats:
    return np.asarray(layer.bias).reshape(-1)


def _assign(layer: Any, kernel: Floats, bias: Floats) -> None:
    layer.kernel.assign(kernel.reshape(layer.kernel.shape))
    layer.bias.assign(bias.reshape(layer.bias.shape))


def _check(teacher: Any, size: BackboneSize) -> None:
    head_width = teacher.hidden_dim // teacher.num_heads
    for name in ("num_layers", "hidden_dim", "num_heads", "intermediate_dim"):
        if getattr(size, name) > getattr(teacher, name):
            raise PresetError(
                f"A student is in no number larger than its teacher. Legal: {name} up to {getattr(teacher, name)}. "
                f"Received: {name}={getattr(size, name)}"
            )
    if size.hidden_dim != size.num_heads * head_width:
        legal = f" (num_heads={size.hidden_dim // head_width})" if size.hidden_dim % head_width == 0 else ""
        raise PresetError(
            f"The heads of a student are as wide as its teacher's: hidden_dim must be {head_width} * num_heads{legal}. "
            f"Received: hidden_dim={size.hidden_dim}, num_heads={size.num_heads}"
        )
