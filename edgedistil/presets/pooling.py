"""How the outputs of a pretrained encoder represent a text: by their mean, or by the first token."""

import json
from pathlib import Path
from typing import Final

from edgedistil.presets.download import locate
from edgedistil.presets.registry import is_mean_pooled

__all__ = ["POOLING_FILE", "pools_by_mean"]

POOLING_FILE: Final = "1_Pooling/config.json"


def pools_by_mean(preset: str | Path) -> bool:
    """Returns True for a sentence encoder that was trained on the mean of its outputs over all tokens.

    A directory or a repository of sentence-transformers has that in a file. KerasHub's presets have no such file; the
    sentence encoders among them are known by their names.

    Raises:
        PresetError: the preset cannot be found or reached.

    Example:
        >>> pools_by_mean("intents")
        False
        >>> Path("intents/1_Pooling").mkdir()
        >>> _ = Path("intents", POOLING_FILE).write_text('{"pooling_mode_mean_tokens": true}')
        >>> pools_by_mean("intents")
        True
    """
    if is_mean_pooled(str(preset)):
        return True
    directory = locate(str(preset))
    file = directory / POOLING_FILE
    if not directory.is_dir() or not file.is_file():
        return False
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return bool(isinstance(config, dict) and config.get("pooling_mode_mean_tokens"))
