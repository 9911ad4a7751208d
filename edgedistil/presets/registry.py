"""The presets that have a name: KerasHub's built-in DistilBERTs and those bundled with EdgeDistil.

They are kept as data, so that `edgedistil presets` works without TensorFlow; a test compares them with
`keras_hub.models.DistilBertBackbone.presets`.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgedistil_runtime.errors import PresetError

__all__ = ["BUNDLED", "PresetInfo", "bundled_preset_path", "list_presets"]

_BYTES_PER_PARAMETER = 4
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class PresetInfo:
    """One line of `edgedistil presets`.

    Attributes:
        name: Name that `preset` parameters take.
        parameters: Number of weights of the backbone, without a classification head.
        language: Language of the texts that it was trained on.
        size_bytes: Bytes of those weights in float32.
        source: `bundled`, or the handle that it is downloaded from.
        description: One sentence.
        has_trained_head: True if it can be converted without training.
    """

    name: str
    parameters: int
    language: str
    size_bytes: int
    source: str
    description: str
    has_trained_head: bool

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, for JSON."""
        return asdict(self)


def _keras_hub(name: str, parameters: int, language: str, description: str) -> PresetInfo:
    return PresetInfo(
        name=name,
        parameters=parameters,
        language=language,
        size_bytes=parameters * _BYTES_PER_PARAMETER,
        source=f"kaggle://keras/distil_bert/keras/{name}/3",
        description=description,
        has_trained_head=False,
    )


# keras_hub 0.32, models/distil_bert/distil_bert_presets.py
_KERAS_HUB = (
    _keras_hub("distil_bert_base_en_uncased", 66_362_880, "English", "6 layers; lowercased; Wikipedia and BooksCorpus"),
    _keras_hub("distil_bert_base_en", 65_190_912, "English", "6 layers; case kept; Wikipedia and BooksCorpus"),
    _keras_hub("distil_bert_base_multi", 134_734_080, "104 languages", "6 layers; case kept; Wikipedias"),
)

BUNDLED = {
    "smart_home_tiny_en": ("English", "2 layers; smart-home commands; ready to convert without a network"),
}


def list_presets() -> tuple[PresetInfo, ...]:
    """All presets that have a name, the bundled ones first.

    Example:
        >>> {preset.name: preset.has_trained_head for preset in list_presets()}["distil_bert_base_en"]
        False
    """
    bundled = (_bundled(name) for name in BUNDLED if (_HERE / name / "config.json").is_file())
    return (*bundled, *_KERAS_HUB)


def bundled_preset_path(name: str) -> Path:
    """The directory of a bundled preset, in KerasHub's format.

    Raises:
        PresetError: no preset of that name is bundled, or this installation lacks its files.

    Example:
        >>> (bundled_preset_path("smart_home_tiny_en") / "labels.txt").read_text().splitlines()[0]
        'alarm_set'
    """
    directory = _HERE / name
    if name not in BUNDLED:
        raise PresetError(f"A bundled preset is one of {', '.join(BUNDLED)}. Received: {name!r}")
    if not (directory / "config.json").is_file():
        raise PresetError(
            f"The files of the bundled preset {name} are missing from {directory}. Install edgedistil again"
        )
    return directory


def _bundled(name: str) -> PresetInfo:
    language, description = BUNDLED[name]
    metadata = json.loads((_HERE / name / "metadata.json").read_text(encoding="utf-8"))
    parameters = int(metadata["parameter_count"])
    return PresetInfo(
        name=name,
        parameters=parameters,
        language=language,
        size_bytes=parameters * _BYTES_PER_PARAMETER,
        source="bundled",
        description=description,
        has_trained_head=True,
    )
