"""A preset directory -> a `keras_hub.models.DistilBertTextClassifier`, with its labels if it has a trained head."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edgedistil.presets import huggingface, keras_file, keras_hub_format
from edgedistil.presets.download import KERAS_SUFFIX, locate
from edgedistil.presets.thresholds import read_thresholds, write_thresholds
from edgedistil_runtime.errors import EdgeDistilError, PresetError

__all__ = [
    "LABELS_FILE",
    "LabelledClassifier",
    "NoTrainedHead",
    "has_trained_head",
    "load_classifier",
    "load_labelled_classifier",
    "set_sequence_length",
]

LABELS_FILE: Final = "labels.txt"
_FROM_PRESET: Final = "from_preset"


class NoTrainedHead(PresetError):
    """A preset without a classification head, if a classifier is needed.

    Example:
        >>> issubclass(NoTrainedHead, PresetError)
        True
    """


@dataclass(frozen=True)
class LabelledClassifier:
    """A trained classifier with the names of its outputs.

    Attributes:
        classifier: A `keras_hub.models.DistilBertTextClassifier` with its preprocessor.
        labels: Class names, in the order of the outputs.
        name: Short name, fit for a file name.
        source: Name or handle of the preset, or the name of its directory; never a whole path.
        thresholds: Smallest probability of each label that a multi-label classifier gives a text; empty for a
            classifier that gives every text its best label.
    """

    classifier: Any
    labels: tuple[str, ...]
    name: str
    source: str
    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        outputs = self.classifier.num_classes
        if len(self.labels) != outputs:
            raise PresetError(
                f"{self.source}: the classifier has {outputs} outputs and needs as many labels. "
                f"Received: {len(self.labels)} labels: {', '.join(self.labels[:8])}"
            )
        if len(set(self.labels)) != len(self.labels):
            raise PresetError(f"{self.source}: labels must differ. Received: {', '.join(self.labels)}")

    def save(self, directory: Path) -> None:
        """Writes a preset directory: the classifier, as its `save_to_preset`, and its labels and thresholds.

        Example:
            >>> load_labelled_classifier("intents").save(Path("copy"))
            >>> load_labelled_classifier("copy").labels
            ('lights', 'music', 'weather')
        """
        self.classifier.save_to_preset(str(directory))
        lines = "".join(f"{label}\n" for label in self.labels)
        (directory / LABELS_FILE).write_text(lines, encoding="utf-8", newline="\n")
        write_thresholds(directory, self.labels, self.thresholds)


def load_classifier(
    preset: str | Path,
    *,
    num_classes: int | None = None,
    preprocessor: Any = _FROM_PRESET,
    sequence_length: int | None = None,
    activation: Any = None,
    hidden_dim: int | None = None,
    dropout: float | None = None,
    load_weights: bool = True,
) -> Any:
    """Loads a classifier with KerasHub's `from_preset`.

    Args:
        preset: A bundled name, a name of KerasHub's, a `kaggle://` or `hf://` handle, a local directory in KerasHub's
            or Hugging Face's format, or a `.keras` file.
        num_classes: Outputs of a new, random head; `None` keeps the trained head of the preset.
        preprocessor: Preprocessor to use instead of the preset's; `None` gives a classifier that takes integers.
        sequence_length: Tokens, `[CLS]` and `[SEP]` among them, that a text is cut to; `None` keeps the preset's.
        activation: Activation of the output; `None` keeps the preset's, which is linear (logits) by default.
        hidden_dim: Width of the head's pooling layer; `None` is the backbone's width.
        dropout: Dropout rate between the head's two layers; `None` keeps the preset's, which is 0.2 by default.
        load_weights: `False` gives the architecture with random weights.

    Returns:
        A `keras_hub.models.DistilBertTextClassifier`.

    Raises:
        PresetError: the preset cannot be found, reached or read, is no DistilBERT and no BERT, or lacks a trained head.

    Example:
        >>> classifier = load_classifier("intents", num_classes=4)
        >>> classifier.predict(["turn the lights on"], verbose=0).shape
        (1, 4)
    """
    name = str(preset)
    directory = locate(name, load_weights=load_weights)
    options = {"activation": activation, "hidden_dim": hidden_dim, "dropout": dropout}
    given = {key: value for key, value in options.items() if value is not None}
    has_own_preprocessor = preprocessor is not _FROM_PRESET
    with _read_errors_of(name):
        source = _Source.open(directory, name)
        if num_classes is None and load_weights and not source.has_trained_head():
            raise _no_trained_head(name)
        classifier = source.load(
            num_classes, given, load_weights=load_weights, has_preprocessor=not has_own_preprocessor
        )
        if has_own_preprocessor:
            classifier.preprocessor = preprocessor
    set_sequence_length(classifier, sequence_length, name)
    return classifier


def load_labelled_classifier(preset: str | Path, *, labels: tuple[str, ...] | None = None) -> LabelledClassifier:
    """Loads a classifier with a trained head, and its class names.

    Args:
        preset: As in `load_classifier`.
        labels: Class names in the order of the outputs; `None` reads them from `labels.txt` (KerasHub's format) or
            `id2label` (Hugging Face's), and numbers them (`class_0`) if there are none.

    The thresholds of a multi-label classifier are read from `thresholds.json`; without it, those of a Hugging Face
    checkpoint are 0.5.

    Raises:
        PresetError: as `load_classifier`, or the number of labels is not the number of outputs.

    Example:
        >>> load_labelled_classifier("intents").labels
        ('lights', 'music', 'weather')
    """
    name = str(preset)
    classifier = load_classifier(name)
    directory = locate(name)
    with _read_errors_of(name):
        found = _Source.open(directory, name)
        own = found.labels(classifier.num_classes)
        labels, thresholds = own if labels is None else labels, found.thresholds(own)
    is_path = "://" not in name and Path(name).exists()
    source = directory.resolve().name.removesuffix(KERAS_SUFFIX) if is_path else name
    return LabelledClassifier(classifier, tuple(labels), name=_short_name(source), source=source, thresholds=thresholds)


def has_trained_head(preset: str | Path) -> bool:
    """True if a preset knows classes; its weights are not read.

    Args:
        preset: As in `load_classifier`.

    Raises:
        PresetError: the preset cannot be found or reached, or is no DistilBERT and no BERT.

    Example:
        >>> has_trained_head("intents"), has_trained_head("edgedistil_tiny_en")
        (True, False)
    """
    name = str(preset)
    directory = locate(name)
    with _read_errors_of(name):
        return _Source.open(directory, name).has_trained_head()


@dataclass(frozen=True)
class _Source:
    """A preset in one of the three formats.

    Attributes:
        path: A directory, or a `.keras` file.
        preset: Name of the preset, for errors.
        config: Content of its config.json.
    """

    path: Path
    preset: str
    config: dict[str, Any]

    @classmethod
    def open(cls, path: Path, preset: str) -> "_Source":
        """Reads the config, and refuses an architecture that is no DistilBERT and no BERT."""
        if path.is_file():
            return cls(path, preset, keras_file.read_config(path))
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        architecture = config.get("class_name") or config.get("model_type")
        if architecture is None:
            raise PresetError(
                f"{preset} is not a preset: its config.json names neither KerasHub's class nor Hugging Face's "
                "model_type"
            )
        if architecture not in (*keras_hub_format.BACKBONES, *huggingface.MODEL_TYPES):
            raise PresetError(
                f"A preset must hold a DistilBERT or a BERT ({', '.join(keras_hub_format.BACKBONES)} in KerasHub's "
                f"format, {', '.join(huggingface.MODEL_TYPES)} in Hugging Face's). "
                f"Received: {preset}, which is a {architecture}"
            )
        source = cls(path, preset, dict(config))
        if source._is_hugging_face:
            huggingface.check_config(config, preset)
        return source

    @property
    def _is_hugging_face(self) -> bool:
        return "class_name" not in self.config

    def has_trained_head(self) -> bool:
        if self._is_hugging_face:
            return huggingface.has_trained_head(self.config)
        return self.path.is_file() or keras_hub_format.has_trained_head(self.path)

    def load(
        self, num_classes: int | None, options: dict[str, Any], *, load_weights: bool, has_preprocessor: bool
    ) -> Any:
        directories = huggingface if self._is_hugging_face else keras_hub_format
        load = keras_file.load if self.path.is_file() else directories.load
        return load(
            self.path,
            self.config,
            self.preset,
            num_classes=num_classes,
            options=options,
            load_weights=load_weights,
            has_preprocessor=has_preprocessor,
        )

    def thresholds(self, labels: tuple[str, ...]) -> tuple[float, ...]:
        if self.path.is_dir() and (found := read_thresholds(self.path, labels)):
            return found
        return huggingface.thresholds(self.config, len(labels)) if self._is_hugging_face else ()

    def labels(self, count: int) -> tuple[str, ...]:
        if self._is_hugging_face:
            return huggingface.labels(self.config, count)
        path = self.path / LABELS_FILE
        if path.is_file():
            # utf-8-sig: some editors begin a file with a byte order mark, which is not part of the first label.
            return tuple(path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n"))
        return tuple(f"class_{index}" for index in range(count))


def set_sequence_length(classifier: Any, sequence_length: int | None, preset: str) -> None:
    """Sets how many tokens a text is cut to; `None` keeps the preprocessor's own, within the backbone's positions.

    Raises:
        PresetError: fewer than three tokens, or more than the backbone has positions.

    Example:
        >>> classifier = load_classifier("intents")
        >>> set_sequence_length(classifier, 8, "intents")
        >>> classifier.preprocessor.sequence_length
        8
    """
    longest = classifier.backbone.max_sequence_length
    if sequence_length is not None and not 3 <= sequence_length <= longest:
        raise PresetError(
            f"{preset}: the sequence length must be from 3 ([CLS], one token, [SEP]) to {longest}, the number of "
            f"positions of the backbone. Received: {sequence_length}"
        )
    if classifier.preprocessor is not None:
        # KerasHub's default is 512, even if the backbone has fewer positions.
        own = min(classifier.preprocessor.sequence_length, longest)
        classifier.preprocessor.sequence_length = sequence_length or own


def _no_trained_head(preset: str) -> PresetError:
    return NoTrainedHead(
        f"The preset {preset} has no trained head: it does not know any classes yet. Pass labelled texts (`training`), "
        "or train it first, with `edgedistil train`."
    )


def _short_name(source: str) -> str:
    parts = [part for part in source.split("://")[-1].split("/") if not part.isdigit()]
    return parts[-1] if parts else "classifier"


@contextmanager
def _read_errors_of(preset: str) -> Iterator[None]:
    try:
        yield
    except (EdgeDistilError, MemoryError):
        raise
    except Exception as error:  # h5py, safetensors, json and Keras raise what they like on a damaged file
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise PresetError(
            f"The preset {preset} cannot be read: {reason[0]:.300}. Its files are damaged, missing, or do not fit "
            "each other; fetch or write it again"
        ) from error
