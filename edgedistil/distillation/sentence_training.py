"""Trains a student of a sentence encoder on its teacher's vectors: one step, and the state between steps.

The loss has three parts, each near 1 for a student that knows nothing:

* sentences: 1 - cosine between the student's sentence vector (mean over tokens) and the teacher's, projected to the
  student's width (Reimers and Gurevych 2020, arXiv 2004.09813; the projection is fixed, so that the student's own
  vectors have the teacher's geometry);
* relations: squared differences between the cosines of the texts of a batch, which need no projection (Park et al.
  2019, arXiv 1904.05068), divided by the variance of the teacher's;
* words: squared distance between the student's hidden states and the teacher's projected ones (TinyBERT, arXiv
  1909.10351), averaged over the pieces of a word, divided by the variance of the teacher's.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil.distillation.token_network import AllPositions, Bfloat16Positions, TokenNetwork, mean_over_tokens
from edgedistil.training.batches import TokenizedTexts, evaluation_batches
from edgedistil.training.optimization import LayerwiseAdamW
from edgedistil_converters.files import atomic_path

__all__ = ["SentenceTrainer", "TeacherVectors", "sentence_vectors", "similarity_scores"]

_RELATIONS, _WORDS = 0.5, 0.5  # weights beside the sentences' 1
_CLIP_NORM = 1.0
_WARMUP = 0.04  # share of the training


@dataclass(frozen=True)
class TeacherVectors:
    """Texts of a student, and its teacher's vectors for them.

    Attributes:
        texts: Texts with the student's ids.
        sentences: Sentence vectors of length 1, float16[texts, teacher's width].
        words: Projected hidden states, averaged by word, float16[words, directions].
        word_rows: Row of `words` for each token, int32[texts, length]; -1 for none.
    """

    texts: TokenizedTexts
    sentences: NDArray[np.float16]
    words: NDArray[np.float16]
    word_rows: NDArray[np.int32]

    def save(self, path: Path) -> None:
        """Writes a file that `load` reads."""
        arrays = {"ids": self.texts.token_ids.astype("uint16"), "lengths": self.texts.lengths}
        arrays |= {"sentences": self.sentences, "words": self.words, "word_rows": self.word_rows}
        with atomic_path(path, force=True) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> "TeacherVectors":
        """Reads a file that `save` wrote."""
        with np.load(path) as found:
            ids, lengths = found["ids"].astype("int32"), found["lengths"]
            mask = (np.arange(ids.shape[1]) < lengths[:, None]).astype("int32")
            texts = TokenizedTexts(ids, mask, lengths)
            return cls(texts, found["sentences"], found["words"], found["word_rows"])


class SentenceTrainer:
    """Trains a student, chunk of texts by chunk.

    Args:
        student: A `keras_hub.models.DistilBertBackbone`, which is changed in place.
        basis: Orthonormal basis of the student's space in the teacher's, float32[teacher's width, width].
        turn: The same in the directions of `TeacherVectors.words`, float32[directions, width].
        word_variance: Variance of the teacher's projected hidden states, summed over the student's axes.
        peak: Highest learning rate.
        batch_size: Texts in a step.
        is_bfloat16: Compute matmuls in bfloat16; the weights are float32.
    """

    def __init__(
        self,
        student: Any,
        *,
        basis: NDArray[np.float32],
        turn: NDArray[np.float32],
        word_variance: float,
        peak: float,
        batch_size: int = 64,
        is_bfloat16: bool = False,
    ) -> None:
        self.student = student
        self._network = TokenNetwork(student, Bfloat16Positions if is_bfloat16 else AllPositions)
        self._basis, self._turn = tf.constant(basis), tf.constant(turn)
        self._word_variance, self._peak, self._batch_size = word_variance, peak, batch_size
        self._variables = list(student.trainable_variables)
        self._optimizer = LayerwiseAdamW(peak, rate_of=lambda path: 1.0, weight_decay=0.0, global_clipnorm=_CLIP_NORM)
        self._optimizer.build(self._variables)
        self.epoch = self.chunk = 0  # where the training goes on
        self.texts, self.seconds = 0, 0.0
        integers, floats = tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None, None), tf.float16)
        self._step = tf.function(self._update, input_signature=[integers, integers, floats, floats, integers])

    def train(self, vectors: TeacherVectors, generator: np.random.Generator, progress: Any) -> dict[str, float]:
        """Trains on the texts of a chunk once.

        Args:
            vectors: The chunk.
            generator: Decides the order.
            progress: Returns the share of the training that is done, from the trainer; it decides the learning rate.

        Returns:
            The mean of each part of the loss.
        """
        started, losses = time.monotonic(), []
        before = self.seconds
        for rows in _batches(vectors.texts.lengths, self._batch_size, generator):
            self.seconds = before + time.monotonic() - started
            self._optimizer.learning_rate.assign(self._peak * _rise_and_fall(progress(self)))
            inputs = vectors.texts.batch(rows, is_full_length=False)
            ids, mask = inputs["token_ids"], inputs["padding_mask"]
            word_rows = vectors.word_rows[rows, : ids.shape[1]]
            used, places = np.unique(word_rows, return_inverse=True)
            # -1, if there are tokens without a word, is the first of the rows and masked in the loss.
            targets = vectors.words[np.maximum(used, 0)]
            places = np.where(word_rows < 0, -1, places.reshape(word_rows.shape)).astype("int32")
            losses.append(self._step(ids, mask, vectors.sentences[rows], targets, places))
            self.texts += len(rows)
        self.seconds = before + time.monotonic() - started
        means = np.array([[float(part) for part in parts] for parts in losses]).mean(0)
        return dict(zip(("sentences", "relations", "words"), means.tolist(), strict=True))

    def _update(self, ids: Any, mask: Any, sentences: Any, words: Any, places: Any) -> tuple[Any, Any, Any]:
        with tf.GradientTape() as tape:
            parts = self._losses(ids, mask, tf.cast(sentences, tf.float32), tf.cast(words, tf.float32), places)
            loss = parts[0] + _RELATIONS * parts[1] + _WORDS * parts[2]
        gradients = tape.gradient(loss, [variable.value for variable in self._variables])
        self._optimizer.apply(gradients, self._variables)
        return parts

    def _losses(self, ids: Any, mask: Any, sentences: Any, words: Any, places: Any) -> tuple[Any, Any, Any]:
        hidden = self._network(ids, mask)
        own = tf.math.l2_normalize(mean_over_tokens(hidden, mask), -1)
        wanted = tf.math.l2_normalize(sentences @ self._basis, -1)
        of_sentences = 1.0 - tf.reduce_mean(tf.reduce_sum(own * wanted, -1))
        of_teacher = tf.matmul(sentences, sentences, transpose_b=True)
        differences = tf.matmul(own, own, transpose_b=True) - of_teacher
        # At least 0.001: the last batch of a chunk may be one text.
        variance = tf.maximum(tf.math.reduce_variance(of_teacher), 1e-3)
        of_relations = tf.reduce_mean(tf.square(differences)) / variance
        targets = tf.gather(words @ self._turn, tf.maximum(places, 0))  # [batch, length, width]
        weights = tf.cast(places >= 0, tf.float32)
        distances = tf.reduce_sum(tf.square(hidden - targets), -1) * weights
        of_words = tf.reduce_sum(distances) / tf.reduce_sum(weights) / self._word_variance
        return of_sentences, of_relations, of_words

    def save(self, path: Path) -> None:
        """Writes the state."""
        header = {name: getattr(self, name) for name in ("epoch", "chunk", "texts", "seconds")}
        arrays = {f"variable_{index}": np.asarray(value) for index, value in enumerate(self._state())}
        with atomic_path(path, force=True) as temporary, temporary.open("wb") as file:
            np.savez(file, header=np.array(json.dumps(header)), **arrays)  # type: ignore[arg-type]

    def restore(self, path: Path) -> None:
        """Reads the state, if there is one."""
        if not path.exists():
            return
        with np.load(path) as found:
            for name, value in json.loads(str(found["header"])).items():
                setattr(self, name, value)
            for index, variable in enumerate(self._state()):
                variable.assign(found[f"variable_{index}"])

    def _state(self) -> list[Any]:
        return [*self._variables, *self._optimizer.variables]


def sentence_vectors(backbone: Any, texts: TokenizedTexts) -> NDArray[np.float32]:
    """Returns the mean of a backbone's outputs over the tokens of each text, scaled to length 1, float32[texts, width].

    Example:
        >>> from edgedistil.builder import build_backbone
        >>> ids = np.array([[2, 7, 3]], "int32")
        >>> texts = TokenizedTexts(ids, np.ones_like(ids), np.array([3]))
        >>> vectors = sentence_vectors(build_backbone("tiny", vocabulary_size=9), texts)
        >>> round(float((vectors**2).sum()), 4)
        1.0
    """
    network = TokenNetwork(backbone)
    integers = tf.TensorSpec((None, None), tf.int32)
    run = tf.function(
        lambda ids, mask: tf.math.l2_normalize(mean_over_tokens(network(ids, mask), mask), -1),
        input_signature=[integers, integers],
    )
    found = np.zeros((len(texts), network.width), "float32")
    for rows, batch in evaluation_batches(texts, batch_size=64):
        found[rows] = run(batch["token_ids"], batch["padding_mask"]).numpy()
    return found


def similarity_scores(
    own: NDArray[np.float32], teacher: NDArray[np.floating[Any]], basis: NDArray[np.float32]
) -> dict[str, float]:
    """Compares sentence vectors of length 1 with the teacher's.

    Args:
        own: The student's, float32[texts, width].
        teacher: The teacher's, [texts, teacher's width].
        basis: The student's basis, float32[teacher's width, width].

    Returns:
        `cosine`, the mean cosine with the teacher's projected vectors, and `spearman`, the rank correlation between the
        cosines of all pairs of texts.

    Example:
        >>> vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], "float32")
        >>> similarity_scores(vectors, vectors, np.eye(2, dtype="float32"))
        {'cosine': 1.0, 'spearman': 1.0}
    """
    teacher = teacher.astype("float32")
    projected = teacher @ basis
    cosines = (own * projected).sum(1) / np.linalg.norm(projected, axis=1)
    pairs = np.triu_indices(len(own), 1)
    ranks = np.array([np.argsort(np.argsort((vectors @ vectors.T)[pairs])) for vectors in (own, teacher)], "float64")
    return {"cosine": round(float(cosines.mean()), 5), "spearman": round(float(np.corrcoef(ranks)[0, 1]), 5)}


def _rise_and_fall(progress: float) -> float:
    """Factor of the learning rate: up in the warm-up, then down to 0."""
    return max(0.0, min(progress / _WARMUP + 0.01, (1 - progress) / (1 - _WARMUP)))


def _batches(lengths: NDArray[np.int64], batch_size: int, generator: np.random.Generator) -> list[NDArray[np.int64]]:
    """Rows of batches of texts of similar length, in a random order."""
    shuffled = generator.permutation(len(lengths))
    rows = shuffled[np.argsort(lengths[shuffled], kind="stable")]
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return [batches[index] for index in generator.permutation(len(batches))]
