"""The labels that a model gives texts, with its size and the time that it took, for `evaluate`."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgedistil.measuring.baseline import Baseline
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.native_log import native_log_hidden

__all__ = ["ModelAnswers", "ask_baseline", "ask_file", "ask_preset"]

CheckLabels = Callable[[tuple[str, ...]], None]


@dataclass(frozen=True)
class ModelAnswers:
    """The labels that a model gives texts.

    Attributes:
        labels: All labels of the model, in its order.
        given: Label of each text.
        size: Bytes of the file, of the weights of a Keras preset, or of the pickled baseline.
        seconds: Time to label all texts in one call.
    """

    labels: tuple[str, ...]
    given: tuple[str, ...]
    size: int
    seconds: float

    @property
    def ms_per_text(self) -> float:
        """Milliseconds, divided by the number of texts."""
        return 1e3 * self.seconds / max(1, len(self.given))


def ask_file(path: Path, texts: Sequence[str], *, check: CheckLabels = lambda _: None) -> ModelAnswers:
    """The labels from a `.tflite` file.

    Args:
        path: The file.
        texts: Texts to label.
        check: Called with the model's labels before any text is labelled.

    Raises:
        ArtifactError, InputError, BackendError: as `TextClassifier`.

    Example:
        >>> ask_file(Path("intents.tflite"), ["turn the lights on", "play music"]).given
        ('lights', 'music')
    """
    with native_log_hidden():
        classifier = TextClassifier(path)
    with classifier:
        check(classifier.labels)
        given, seconds = _timed(
            lambda: tuple(answer.label for answer in classifier.classify_batch(texts)),
            warm_up=lambda: classifier.classify_batch(texts[:1]),
        )
        return ModelAnswers(classifier.labels, given, path.stat().st_size, seconds)


def ask_preset(path: Path, texts: Sequence[str], *, check: CheckLabels = lambda _: None) -> ModelAnswers:
    """The labels from a preset directory, which Keras runs.

    Args:
        path: The directory.
        texts: Texts to label.
        check: Called with the model's labels before any text is labelled.

    Raises:
        PresetError: the directory cannot be loaded.

    Example:
        >>> ask_preset(Path("intents"), ["turn the lights on", "play music"]).given
        ('lights', 'music')
    """
    from edgedistil.presets.loading import load_labelled_classifier
    from edgedistil.training.batches import tokenize
    from edgedistil.training.keras_outputs import Predictor

    trained = load_labelled_classifier(path)
    check(trained.labels)
    classifier = trained.classifier
    predictor = Predictor(classifier)

    def best(some: Sequence[str]) -> tuple[str, ...]:
        numbers = predictor.probabilities(tokenize(classifier.preprocessor, some)).argmax(axis=1)
        return tuple(trained.labels[number] for number in numbers)

    given, seconds = _timed(lambda: best(texts), warm_up=lambda: best(texts[:1]))
    size = sum(int(weight.numpy().nbytes) for weight in classifier.weights)
    return ModelAnswers(trained.labels, given, size, seconds)


def ask_baseline(baseline: Baseline, texts: Sequence[str]) -> ModelAnswers:
    """The labels from a trained baseline."""
    given, seconds = _timed(lambda: tuple(baseline.predict(texts)), warm_up=lambda: baseline.predict(texts[:1]))
    return ModelAnswers(baseline.labels, given, baseline.size, seconds)


def _timed(call: Callable[[], tuple[str, ...]], *, warm_up: Callable[[], object]) -> tuple[tuple[str, ...], float]:
    """The result and the seconds of a call, after another call: the first one allocates, and Keras traces its graph."""
    warm_up()
    started = time.perf_counter()
    given = call()
    return given, time.perf_counter() - started
