"""The MODEL arguments of commands that measure presets beside files."""

from collections.abc import Iterable
from pathlib import Path

from edgedistil_runtime.errors import PresetError

__all__ = ["model_paths"]

_HANDLES = ("hf:/", "kaggle:/")  # one slash: a path has none twice


def model_paths(models: Iterable[Path]) -> dict[str, Path]:
    """Files and preset directories, by the names that were given.

    The name of a bundled preset becomes its directory; a model that was given twice, by whatever paths, is there once.

    Raises:
        PresetError: the name or handle of a preset that must be downloaded or trained first.

    Example:
        >>> model_paths([Path("a.tflite"), Path("./a.tflite")])
        {'a.tflite': PosixPath('a.tflite')}
    """
    paths: dict[Path, tuple[str, Path]] = {}
    for model in models:
        path = _path(model)
        paths.setdefault(path.resolve(), (str(model), path))
    return dict(paths.values())


def _path(model: Path) -> Path:
    from edgedistil.presets.registry import BUNDLED, bundled_preset_path, list_presets

    name = str(model)
    if model.exists():
        return model
    if name in BUNDLED:
        return bundled_preset_path(name)
    if name.startswith(_HANDLES):
        raise PresetError(
            f"A model is a .tflite file, a preset directory or a bundled preset ({', '.join(BUNDLED)}). Received: "
            f"{name.replace(':/', '://')}, a hub's handle. Download it, and pass its directory"
        )
    if name in (info.name for info in list_presets()):
        raise PresetError(
            f"The preset {name} has no trained head: it does not know any classes yet. Train one, and pass its "
            f"directory: `edgedistil train --preset {name} --train-data FILE -o DIRECTORY`"
        )
    return model
