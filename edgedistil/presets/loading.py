"""A preset directory -> a `keras_hub.models.DistilBertTextClassifier`, with its labels if it has a trained head."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras_hub

from edgedistil.presets import huggingface
from edgedistil.presets.download import locate
from edgedistil_converters.model import hugging_face_tokenizer  # noqa: F401  # KerasHub then knows its classes
from edgedistil_runtime.errors import EdgeDistilError, PresetError

__all__ = [
    "LABELS_FILE",
    "LabelledClassifier",
    "NoTrainedHead",
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
    """

    classifier: Any
    labels: tuple[str, ...]
    name: str
    source: str

    def __post_init__(self) -> None:
        outputs = self.classifier.num_classes
        if len(self.labels) != outputs:
            raise PresetError(
                f"{self.source}: the classifier has {outputs} outputs and needs as many labels. "
                f"Received: {len(self.labels)} labels: {', '.join(self.labels[:8])}"
            )
        if len(set(self.labels)) != len(self.labels):
            raise PresetError(f"{self.source}: labels must differ. Received: {', '.join(self.labels)}")


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
        preset: A bundled name, a name of KerasHub's, a `kaggle://` or `hf://` handle, or a local directory in
            KerasHub's or Hugging Face's format.
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
        PresetError: the preset cannot be found, reached or read, is no DistilBERT, or lacks a trained head.

    Example:
        >>> classifier = load_classifier("intents", num_classes=4)
        >>> classifier.predict(["turn the lights on"], verbose=0).shape
        (1, 4)
    """
    name = str(preset)
    directory = locate(name, load_weights=load_weights)
    config = _read_config(directory, name)
    if num_classes is None and load_weights and not _has_trained_head(directory, config):
        raise _no_trained_head(name)
    options = {"activation": activation, "hidden_dim": hidden_dim, "dropout": dropout}
    given = {key: value for key, value in options.items() if value is not None}
    if preprocessor is not _FROM_PRESET:
        # The preset's vocabulary would be loaded over that of a preprocessor handed to from_preset.
        given["preprocessor"] = None
    with _read_errors_of(name):
        classifier = _from_preset(directory, config, num_classes, load_weights, given)
        if preprocessor is not _FROM_PRESET:
            classifier.preprocessor = preprocessor
    set_sequence_length(classifier, sequence_length, name)
    return classifier


def load_labelled_classifier(preset: str | Path, *, labels: tuple[str, ...] | None = None) -> LabelledClassifier:
    """Loads a classifier with a trained head, and its class names.

    Args:
        preset: As in `load_classifier`.
        labels: Class names in the order of the outputs; `None` reads them from `labels.txt` (KerasHub's format) or
            `id2label` (Hugging Face's), and numbers them (`class_0`) if there are none.

    Raises:
        PresetError: as `load_classifier`, or the number of labels is not the number of outputs.

    Example:
        >>> load_labelled_classifier("intents").labels
        ('lights', 'music', 'weather')
    """
    name = str(preset)
    classifier = load_classifier(name)
    directory = locate(name)
    if labels is None:
        with _read_errors_of(name):
            labels = _labels(directory, _read_config(directory, name), classifier.num_classes)
    is_path = "://" not in name and Path(name).exists()
    source = directory.resolve().name if is_path else name
    return LabelledClassifier(classifier, tuple(labels), name=_short_name(source), source=source)


def _from_preset(
    directory: Path, config: dict[str, Any], num_classes: int | None, load_weights: bool, given: dict[str, Any]
) -> Any:
    is_trained_hugging_face = "model_type" in config and num_classes is None
    if is_trained_hugging_face:
        num_classes = huggingface.num_classes(directory)
        given = {"dropout": config.get("seq_classif_dropout", 0.2), **given}
    if num_classes is not None:
        given = {**given, "num_classes": num_classes}
    classifier = keras_hub.models.DistilBertTextClassifier.from_preset(
        str(directory), load_weights=load_weights, **given
    )
    if is_trained_hugging_face and load_weights:
        huggingface.load_head(classifier, directory)
    return classifier


def _read_config(directory: Path, preset: str) -> dict[str, Any]:
    with _read_errors_of(preset):
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        architecture = config.get("class_name") or config.get("model_type")
    if architecture is None:
        raise PresetError(
            f"{preset} is not a preset: its config.json names neither KerasHub's class nor Hugging Face's model_type"
        )
    if architecture not in ("DistilBertBackbone", "distilbert"):
        raise PresetError(
            f"A preset must hold a DistilBERT (DistilBertBackbone in KerasHub's format, distilbert in Hugging "
            f"Face's). Received: {preset}, which is a {architecture}"
        )
    if architecture == "distilbert":
        huggingface.check_config(config, preset)
    return dict(config)


def _has_trained_head(directory: Path, config: dict[str, Any]) -> bool:
    if "model_type" in config:
        return huggingface.has_trained_head(config)
    # KerasHub silently makes a random head if task.weights.h5 is missing.
    if not (directory / "task.json").is_file() or not (directory / "task.weights.h5").is_file():
        return False
    with _read_errors_of(directory.name):
        task = json.loads((directory / "task.json").read_text(encoding="utf-8"))
    return bool(task.get("class_name") in ("DistilBertTextClassifier", "DistilBertClassifier"))


def _labels(directory: Path, config: dict[str, Any], count: int) -> tuple[str, ...]:
    if "model_type" in config:
        return huggingface.labels(config, count)
    path = directory / LABELS_FILE
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
