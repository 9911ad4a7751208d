"""The labels that a model gives texts, with its size and the time that it took, for `evaluate`."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgedistil.measuring.baseline import Baseline
from edgedistil.truncation import Truncation, TruncationCounter
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.decision import Decision
from edgedistil_runtime.errors import DataError
from edgedistil_runtime.native_log import native_log_hidden
from edgedistil_runtime.pieces import CUT

__all__ = ["ModelAnswers", "ask_baseline", "ask_file", "ask_preset", "require_label_sets", "require_one_label"]

CheckLabels = Callable[[tuple[str, ...]], None]
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class ModelAnswers:
    """The labels that a model gives texts.

    Attributes:
        labels: All labels of the model, in its order.
        given: Label of each text.
        size: Bytes of the file, of the weights of a Keras preset, or of the pickled baseline.
        seconds: Time to label all texts in one call.
        truncation: Texts that are longer than the model's sequence length; `None` for the baseline, which has none.
        probabilities: Probability of every label for every text, float32 [texts, labels]; `None` for the baseline.
        temperature: What the logits of a calibrated file are divided by; 1 if they are not, or if probabilities are
            means over the pieces of a text.
        thresholds: Smallest probability of each label that a multi-label model gives; empty for other models.
    """

    labels: tuple[str, ...]
    given: tuple[str, ...]
    size: int
    seconds: float
    truncation: Truncation | None = None
    probabilities: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    temperature: float = 1.0
    thresholds: tuple[float, ...] = ()

    @property
    def label_sets(self) -> list[tuple[str, ...]]:
        """Labels of each text from a multi-label model, the best first; of another model, its one label."""
        if not self.thresholds or self.probabilities is None:
            return [(label,) for label in self.given]
        decision = Decision(self.thresholds)
        return [tuple(self.labels[n] for n in decision.chosen(row)) for row in self.probabilities.tolist()]

    @property
    def ms_per_text(self) -> float:
        """Milliseconds, divided by the number of texts."""
        return 1e3 * self.seconds / max(1, len(self.given))


def ask_file(
    path: Path,
    texts: Sequence[str],
    *,
    long_texts: str = CUT,
    check: CheckLabels = lambda _: None,
    has_sets: bool = False,
) -> ModelAnswers:
    """The labels from a `.tflite` file.

    Args:
        path: The file.
        texts: Texts to label.
        long_texts: What is read of long texts, as in `TextClassifier`.
        check: Called with the model's labels before any text is labelled.
        has_sets: True for a multi-label model, False for one that gives every text one label; the other is refused.

    Raises:
        DataError: The model is of the other kind.
        ArtifactError, InputError, BackendError: as `TextClassifier`.

    Example:
        >>> ask_file(Path("intents.tflite"), ["turn the lights on", "play music"]).given
        ('lights', 'music')
    """
    with native_log_hidden():
        classifier = TextClassifier(path, long_texts=long_texts)
    with classifier:
        thresholds = classifier.metadata.thresholds
        _require_kind(path, thresholds, has_sets=has_sets)
        check(classifier.labels)
        answers, seconds = _timed(
            lambda: classifier.classify_batch(texts), warm_up=lambda: classifier.classify_batch(texts[:1])
        )
        counter = TruncationCounter(classifier)
        counter.add(answers)
        given = tuple(answer.label for answer in answers)
        probabilities = np.array([list(answer.probabilities.values()) for answer in answers], np.float32)
        temperature = classifier.metadata.temperature if long_texts == CUT else 1.0
        size, truncation = path.stat().st_size, counter.result()
        return ModelAnswers(
            classifier.labels, given, size, seconds, truncation, probabilities, temperature, thresholds=thresholds
        )


def ask_preset(
    path: Path,
    texts: Sequence[str],
    *,
    long_texts: str = CUT,
    check: CheckLabels = lambda _: None,
    has_sets: bool = False,
) -> ModelAnswers:
    """The labels from a preset directory, which Keras runs.

    Args:
        path: The directory.
        texts: Texts to label.
        long_texts: What is read of long texts, as in `TextClassifier`.
        check: Called with the model's labels before any text is labelled.
        has_sets: As in `ask_file`.

    Raises:
        DataError: The model is of the other kind.
        PresetError: the directory cannot be loaded.

    Example:
        >>> ask_preset(Path("intents"), ["turn the lights on", "play music"]).given
        ('lights', 'music')
    """
    from edgedistil.presets.loading import load_labelled_classifier
    from edgedistil.training.batches import tokenize
    from edgedistil.training.keras_outputs import Predictor
    from edgedistil.training.long_texts import divide_texts, mean_by_text, measure_truncation

    trained = load_labelled_classifier(path)
    _require_kind(path, trained.thresholds, has_sets=has_sets)
    check(trained.labels)
    classifier = trained.classifier
    preprocessor, predictor = classifier.preprocessor, Predictor(classifier)

    def ask(some: Sequence[str]) -> NDArray[np.float32]:
        pieces = divide_texts(preprocessor, some, long_texts)
        return mean_by_text(predictor.probabilities(tokenize(preprocessor, pieces.texts)), pieces)

    probabilities, seconds = _timed(lambda: ask(texts), warm_up=lambda: ask(texts[:1]))
    given = tuple(trained.labels[number] for number in probabilities.argmax(axis=1))
    size = sum(int(weight.numpy().nbytes) for weight in classifier.weights)
    truncation = measure_truncation(preprocessor, texts, long_texts)
    return ModelAnswers(trained.labels, given, size, seconds, truncation, probabilities, thresholds=trained.thresholds)


def require_one_label(path: Path, thresholds: Sequence[float]) -> None:
    """Refuses a multi-label model, if the data have one label for each text.

    Raises:
        DataError: The model has thresholds.

    Example:
        >>> require_one_label(Path("intents"), ())
        >>> require_one_label(Path("tags"), (0.5, 0.5))
        Traceback (most recent call last):
        edgedistil_runtime.errors.DataError: A model is scored by the one label that it gives every text. Received: ...
    """
    if thresholds:
        raise DataError(
            f"A model is scored by the one label that it gives every text. Received: {path.name}, a multi-label model. "
            "Measure it on data with several labels: lists in JSON or Parquet, `label_separator`, or `label_columns`."
        )


def require_label_sets(path: Path, thresholds: Sequence[float]) -> None:
    """Refuses a model that gives every text one label, if the data have several.

    Raises:
        DataError: The model has no thresholds.

    Example:
        >>> require_label_sets(Path("tags"), (0.5, 0.5))
        >>> require_label_sets(Path("intents"), ())
        Traceback (most recent call last):
        edgedistil_runtime.errors.DataError: The data have several labels for a text, and ... Received: intents, ...
    """
    if not thresholds:
        raise DataError(
            "The data have several labels for a text, and a multi-label model is scored on them. Received: "
            f"{path.name}, which gives every text one label. Evaluate it on data with one label for each text."
        )


def _require_kind(path: Path, thresholds: Sequence[float], *, has_sets: bool) -> None:
    (require_label_sets if has_sets else require_one_label)(path, thresholds)


def ask_baseline(baseline: Baseline, texts: Sequence[str]) -> ModelAnswers:
    """The labels from a trained baseline."""
    given, seconds = _timed(lambda: tuple(baseline.predict(texts)), warm_up=lambda: baseline.predict(texts[:1]))
    return ModelAnswers(baseline.labels, given, baseline.size, seconds)


def _timed(call: Callable[[], _Result], *, warm_up: Callable[[], object]) -> tuple[_Result, float]:
    """The result and the seconds of a call, after another call: the first one allocates, and Keras traces its graph."""
    warm_up()
    started = time.perf_counter()
    result = call()
    return result, time.perf_counter() - started
