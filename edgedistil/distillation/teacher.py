"""A teacher: a trained classifier that is asked for its logits, which a student learns.

Its network is read as training reads it (`edgedistil.training.network`), so a teacher in any format that
`load_labelled_classifier` takes can be asked, whatever its last activation is. `edgedistil.distillation.file_teacher`
asks a `.tflite` file.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil.distillation.answering import HIDDEN, AnyTeacher
from edgedistil.distillation.coverage import Coverage, measure_coverage
from edgedistil.distillation.file_teacher import FileTeacher, is_model_file
from edgedistil.distillation.token_network import TokenNetwork
from edgedistil.presets.loading import LabelledClassifier, NoTrainedHead, load_labelled_classifier
from edgedistil.training.batches import TokenizedTexts, tokenize
from edgedistil.training.forward import mean_over_tokens
from edgedistil.training.long_texts import divide_texts, mean_by_text
from edgedistil.training.network import Evaluator, TrainingNetwork, outputs_of
from edgedistil.training.pooling import num_encoder_layers
from edgedistil_converters.model.keras_hub import read_architecture, read_output_activation
from edgedistil_converters.tokenizer.settings import read_tokenizer
from edgedistil_runtime.errors import PresetError
from edgedistil_runtime.pieces import CUT

__all__ = ["Teacher"]

_Run = Callable[[TokenizedTexts], NDArray[np.float32]]


class Teacher(AnyTeacher):
    """A trained Keras classifier that answers texts with logits.

    Args:
        trained: The classifier and its labels.
        long_texts: What it reads of a long text, as in `TextClassifier`. With `windows`, its answer is the mean of the
            logits of a text's pieces.

    Raises:
        PresetError: its outputs are sigmoids and it has no thresholds, or it has no preprocessor.

    Example:
        >>> teacher = Teacher.load("intents")
        >>> logits = teacher.logits(["play music", "is it raining ?"], ["weather", "music", "lights"])
        >>> logits.shape, logits.argmax(axis=1)
        ((2, 3), array([1, 0]))
    """

    def __init__(self, trained: LabelledClassifier, *, long_texts: str = CUT) -> None:
        self.name, self.labels, self.thresholds = trained.source, trained.labels, trained.thresholds
        has_sigmoids = read_output_activation(trained.classifier) == "sigmoid"
        if (has_sigmoids and not self.thresholds) or trained.classifier.preprocessor is None:
            raise PresetError(
                "A teacher (`teacher`) must take texts, and choose one class of several or have thresholds for several "
                f"labels. Received: {self.name}, which has sigmoid outputs without thresholds or no preprocessor"
            )
        self._preprocessor, self._long_texts = trained.classifier.preprocessor, long_texts
        self._classifier, self.width = trained.classifier, int(trained.classifier.backbone.hidden_dim)
        self.num_layers = num_encoder_layers(trained.classifier.backbone)
        # With all pieces: the table is then the same for all texts, and the network is traced once.
        pieces = np.arange(int(trained.classifier.backbone.vocabulary_size), dtype="int64")
        evaluator = Evaluator(TrainingNetwork(trained.classifier, pieces))
        self._runs: dict[str, _Run] = {"logits": evaluator.logits, "features": evaluator.features}

    @classmethod
    def load(cls, preset: str | Path, *, long_texts: str = CUT) -> AnyTeacher:
        """Loads a teacher.

        Args:
            preset: A directory that `edgedistil train` wrote, another preset with a trained head, or a `.tflite` file
                that `edgedistil convert` wrote, which gives a `FileTeacher`.
            long_texts: As for the class.

        Raises:
            PresetError: the preset cannot be found or read, or has no trained head.
            ArtifactError, DataError: as `FileTeacher`.
        """
        if is_model_file(preset):
            return FileTeacher(Path(preset), long_texts=long_texts)
        try:
            return cls(load_labelled_classifier(preset), long_texts=long_texts)
        except NoTrainedHead as error:
            raise PresetError(
                "A teacher (`teacher`) must know the classes: a directory that `edgedistil train` wrote, or a file of "
                f"`edgedistil convert`. Received: {preset}, which has no trained head. Train it first, with "
                "`edgedistil train`"
            ) from error

    @cached_property
    def digest(self) -> str:
        """Digest of its weights, its tokenizer and what it reads of long texts: equal digests give equal answers."""
        settings, vocabulary = read_tokenizer(self._preprocessor)
        shape = asdict(read_architecture(self._classifier))
        epsilon = float(self._classifier.backbone.embeddings_layer_norm.epsilon)
        digest = hashlib.sha256(json.dumps([self._long_texts, asdict(settings), vocabulary, shape, epsilon]).encode())
        for weight in self._classifier.weights:  # without their paths, which number the models of a process
            digest.update(str(tuple(weight.shape)).encode())
            digest.update(np.ascontiguousarray(weight).data)
        return digest.hexdigest()

    def coverage(self, texts: Sequence[str]) -> Coverage:
        """Counts the words of texts that its vocabulary has.

        Example:
            >>> Teacher.load("intents").coverage(["play some music louder", "gib mir Musik"])
            Coverage(words=7, whole=3, unknown=3)
        """
        return measure_coverage(self._preprocessor, texts)

    def _answer(self, texts: Sequence[str], kind: str) -> NDArray[np.float32]:
        divided = divide_texts(self._preprocessor, texts, self._long_texts)
        return mean_by_text(self._run(kind)(tokenize(self._preprocessor, divided.texts)), divided)

    def _run(self, kind: str) -> _Run:
        if kind not in self._runs:
            layers = tuple(map(int, kind.removeprefix(HIDDEN).split(",")))
            self._runs[kind] = _layer_means(self._classifier.backbone, layers)
        return self._runs[kind]


def _layer_means(backbone: Any, layers: Sequence[int]) -> _Run:
    """Means over the tokens after some layers, from 1 up, side by side: float32[texts, layers * width]."""
    network, inputs = TokenNetwork(backbone), tf.TensorSpec((None, None), tf.int32)

    def means(batch: dict[str, Any]) -> Any:
        outputs = network.layers_of(batch["token_ids"], batch["padding_mask"])
        return tf.concat([mean_over_tokens(outputs[layer - 1], batch["padding_mask"]) for layer in layers], axis=-1)

    run = tf.function(means, input_signature=[{"token_ids": inputs, "padding_mask": inputs}])
    return lambda texts: outputs_of(run, texts)
