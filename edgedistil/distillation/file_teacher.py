"""A `.tflite` file of EdgeDistil as a teacher: the runtime answers, which is faster than Keras with int8 weights.

docs/distillation.md has how much faster, and how equal the answers are.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistil.distillation.answering import AnyTeacher
from edgedistil.distillation.coverage import Coverage, count_words
from edgedistil.presets.download import KERAS_SUFFIX
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.artifact import read_artifact
from edgedistil_runtime.contract import NO_TOKENIZER
from edgedistil_runtime.errors import BackendError, DataError
from edgedistil_runtime.native_log import native_log_hidden
from edgedistil_runtime.pieces import CUT

__all__ = ["FileTeacher", "is_model_file", "logits_of", "set_logits_of"]

_SUFFIX = ".tflite"
_TEXTS_TO_COUNT = 2048
_SMALLEST = 1e-7  # about the distance of float32's numbers just below 1


def is_model_file(teacher: str | Path) -> bool:
    """Returns True for a `.tflite` file, False for a preset.

    Example:
        >>> is_model_file("intents.tflite"), is_model_file("intents"), is_model_file("hf://some/encoder")
        (True, False, False)
    """
    path = Path(teacher)
    is_file = path.suffix == _SUFFIX or (path.is_file() and path.suffix != KERAS_SUFFIX)
    return is_file and "://" not in str(teacher)


def logits_of(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns logits with the mean 0 that give these probabilities, float32[texts, classes].

    Logits are known up to a number for each text, which a softmax does not show.

    Example:
        >>> logits = logits_of(np.array([[0.8, 0.2], [1.0, 0.0]], "float32"))
        >>> logits[0].round(3).tolist(), bool(np.isfinite(logits).all())
        ([0.693..., -0.693...], True)
    """
    # A probability that was rounded to 0 has no logarithm.
    logarithms = np.log(np.maximum(probabilities, np.finfo("float32").tiny))
    return np.asarray(logarithms - logarithms.mean(axis=1, keepdims=True), "float32")


def set_logits_of(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the logits of sigmoids, float32[texts, labels], at most about 16 away from 0.

    Example:
        >>> [round(logit, 1) for logit in set_logits_of(np.array([[0.5, 0.9, 1.0]], "float32"))[0].tolist()]
        [0.0, 2.2, 16.1]
    """
    likely = np.clip(probabilities.astype("float64"), _SMALLEST, 1 - _SMALLEST)
    return np.asarray(np.log(likely) - np.log1p(-likely), "float32")


class FileTeacher(AnyTeacher):
    """A file that answers texts with logits, as the runtime runs it on one thread of the CPU.

    If the file's scores were calibrated, its logits are divided by the temperature of the calibration (`calibration`).

    Args:
        path: The file.
        long_texts: What it reads of a long text, as in `TextClassifier`. With `windows`, its answer are the logits of
            the mean of the probabilities of a text's pieces.
        name: Name of the teacher; `None` is that of the file.

    Raises:
        ArtifactError: the file is missing, damaged, or not a file of EdgeDistil.
        DataError: it takes token ids.
        BackendError: it cannot be run on this machine.

    Example:
        >>> teacher = FileTeacher(Path("intents.tflite"))
        >>> logits = teacher.logits(["play music", "is it raining ?"], ["weather", "music", "lights"])
        >>> logits.shape, logits.argmax(axis=1)
        ((2, 3), array([1, 0]))
    """

    def __init__(self, path: Path, *, long_texts: str = CUT, name: str | None = None) -> None:
        self._path, self._long_texts, self.name = path, long_texts, name or path.name
        artifact = read_artifact(path)
        metadata = artifact.metadata
        if metadata.tokenizer.kind == NO_TOKENIZER:
            raise DataError(f"A teacher (`teacher`) must take texts. Received: {self.name}, which takes token ids")
        self.labels, self.calibration, self.thresholds = metadata.labels, metadata.temperature, metadata.thresholds
        self._vocabulary = artifact.vocabulary
        with native_log_hidden():
            self._classifier = TextClassifier(path, long_texts=long_texts)

    @cached_property
    def digest(self) -> str:
        """Digest of the file and of what it reads of long texts."""
        content = hashlib.sha256(self._path.read_bytes()).hexdigest()
        return hashlib.sha256(f"file {content} {self._long_texts}".encode()).hexdigest()

    def coverage(self, texts: Sequence[str]) -> Coverage | None:
        """Counts the words of texts that its vocabulary has; `None` if the file does not return token ids.

        Example:
            >>> FileTeacher(Path("intents.tflite")).coverage(["play some music louder", "gib mir Musik"])
            Coverage(words=7, whole=3, unknown=3)
        """
        settings = self._classifier.metadata.tokenizer
        found = Coverage(0, 0, 0)
        for start in range(0, len(texts), _TEXTS_TO_COUNT):
            try:
                rows = [self._classifier.tokenize(text) for text in texts[start : start + _TEXTS_TO_COUNT]]
            except BackendError:
                return None
            ids = np.full((len(rows), max(map(len, rows))), settings.pad_id)
            for row, given in zip(ids, rows, strict=True):
                row[: len(given)] = given
            found += count_words(ids, settings, self._vocabulary)
        return found

    def _answer(self, texts: Sequence[str], kind: str) -> NDArray[np.float32]:
        answers = self._classifier.classify_batch(texts)
        probabilities = np.array([list(answer.probabilities.values()) for answer in answers], "float32")
        return set_logits_of(probabilities) if self.thresholds else logits_of(probabilities)
