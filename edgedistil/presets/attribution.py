"""The page that names whose work an encoder was made from; it is passed on to what is trained from the encoder."""

from pathlib import Path
from typing import Final

from edgedistil.presets.download import locate

__all__ = ["ATTRIBUTION_FILE", "read_attribution"]

ATTRIBUTION_FILE: Final = "ATTRIBUTION.md"


def read_attribution(preset: str | Path) -> str:
    """Returns the attribution in a preset's directory, or nothing if it has none.

    Raises:
        PresetError: the preset cannot be found or reached.

    Example:
        >>> _ = Path("intents", ATTRIBUTION_FILE).write_text("Made of texts by their authors.")
        >>> read_attribution("intents")
        'Made of texts by their authors.'
    """
    file = locate(str(preset)) / ATTRIBUTION_FILE
    return file.read_text(encoding="utf-8") if file.is_file() else ""
