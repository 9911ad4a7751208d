"""Finds the files of a preset: a name, handle or path -> a local directory.

Hubs fail with errors of many kinds (requests, httpx, kagglehub, huggingface_hub, TensorFlow's file systems), which
become one `PresetError` that names the handle. KerasHub's `get_file` downloads, so its caches are shared.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from keras_hub.src.utils.preset_utils import get_file

from edgedistil.presets.packaged import INSTALL, MINILM, MINILM_HANDLE, packaged_files
from edgedistil.presets.registry import DEFAULT_ENCODER, bundled_preset_path, is_bundled, list_presets
from edgedistil_runtime.errors import PresetError

__all__ = ["PresetUnreachable", "default_preset", "locate"]

_KERAS_FILES = (
    "metadata.json",
    "task.json",
    "preprocessor.json",
    "tokenizer.json",
    "assets/tokenizer/vocabulary.txt",
    "labels.txt",
)
_KERAS_WEIGHTS = ("model.weights.h5", "task.weights.h5")
_HUGGING_FACE_FILES = (
    "tokenizer_config.json",
    "tokenizer.json",
    "vocab.txt",
    "added_tokens.json",
    "1_Pooling/config.json",
)
_HUGGING_FACE_INDEX = "model.safetensors.index.json"
_HUGGING_FACE_WEIGHTS = "model.safetensors"
_HUGGING_FACE_TIMEOUT_SECONDS = 10

KERAS_SUFFIX = ".keras"

_HANDLE_FORMS = {
    "kaggle": (
        re.compile(r"[^/\s]+/[^/\s]+/keras/[^/\s]+(/\d+)?"),
        "kaggle://ORGANISATION/MODEL/keras/VARIANT/VERSION",
    ),
    "hf": (re.compile(r"[\w.-]+(/[\w.-]+)?"), "hf://ORGANISATION/MODEL"),
}


class PresetUnreachable(PresetError):
    """The files of a preset are not here, and no hub gives them.

    Example:
        >>> issubclass(PresetUnreachable, PresetError)
        True
    """


def locate(preset: str, *, load_weights: bool = True) -> Path:
    """Finds the files of a preset, and downloads them if needed.

    Args:
        preset: A bundled name, a name of KerasHub's, a `kaggle://` or `hf://` handle, a local directory, or a `.keras`
            file.
        load_weights: Download the weights too.

    Returns:
        A local directory in KerasHub's or Hugging Face's format, or a `.keras` file.

    Raises:
        PresetError: there is no such preset, the hub did not answer, or it refused.

    Example:
        >>> locate("smart_home_tiny_en").name, locate("intents").name
        ('smart_home_tiny_en', 'intents')
    """
    if is_bundled(preset):
        return bundled_preset_path(preset)
    if preset == MINILM:
        return _locate_minilm(load_weights=load_weights)
    names = {info.name: info.source for info in list_presets()}
    handle = names.get(preset, preset)
    scheme, is_handle, rest = handle.partition("://")
    if is_handle:
        return _download(preset, handle, scheme, rest, load_weights=load_weights)
    directory = Path(preset)
    if not directory.exists():
        raise PresetError(
            f"There is no preset {preset!r}. Legal: a name that `edgedistil presets` lists "
            f"({', '.join(info.name for info in list_presets())}), kaggle://…, hf://…, or a local directory. "
            f"Received: {preset!r}, which is none of the names and no directory under {Path.cwd()}"
        )
    if directory.suffix == KERAS_SUFFIX and directory.is_file():
        return directory
    if not (directory / "config.json").is_file():
        raise PresetError(
            f"{preset} is not a preset: it has no config.json. A preset directory is what `edgedistil train`, "
            "KerasHub's save_to_preset or Hugging Face's save_pretrained writes. A .keras file can be one too"
        )
    return directory


def default_preset() -> str:
    """Returns the preset that training starts from if none is asked for, and downloads it if needed.

    It is `all_minilm_l6_v2_en` if its files are here or a hub gives them, else the small encoder that comes with
    EdgeDistil.

    Raises:
        PresetError: the files of `all_minilm_l6_v2_en` are here and damaged.

    Example:
        >>> default_preset() in ("all_minilm_l6_v2_en", "edgedistil_small_en")
        True
    """
    try:
        locate(MINILM)
    except PresetUnreachable:
        return DEFAULT_ENCODER
    return MINILM


def _locate_minilm(*, load_weights: bool) -> Path:
    """The hub's cache, the hub, or the package that has the files, in this order."""
    cached = _cached(MINILM_HANDLE)
    if cached is not None:
        return cached
    try:
        return _download(MINILM, MINILM_HANDLE, *MINILM_HANDLE.split("://"), load_weights=load_weights)
    except PresetError as error:
        installed = packaged_files()
        if installed is not None:
            return installed
        raise type(error)(
            f"{error} Or install the package that has the files of this preset; its dependencies are not needed: "
            f"{INSTALL}"
        ) from error


def _cached(handle: str) -> Path | None:
    """The directory of a Hugging Face preset in the cache, if all of it is there; no hub is asked."""
    import huggingface_hub

    repository = handle.partition("://")[2]
    names = ("config.json", "tokenizer_config.json", "tokenizer.json", _HUGGING_FACE_WEIGHTS)
    answers = [huggingface_hub.try_to_load_from_cache(repository, name) for name in names]
    found = [path for path in answers if isinstance(path, str)]
    return Path(found[0]).parent if len(found) == len(names) else None


def _download(preset: str, handle: str, scheme: str, rest: str, *, load_weights: bool) -> Path:
    if scheme not in _HANDLE_FORMS:
        raise PresetError(
            f"A hub's handle begins with {' or '.join(f'{known}://' for known in _HANDLE_FORMS)}. Received: {preset!r}"
        )
    pattern, form = _HANDLE_FORMS[scheme]
    if not pattern.fullmatch(rest):
        raise PresetError(f"A handle of this hub has the form {form}. Received: {preset!r}")
    if scheme == "hf":
        _require_hugging_face(preset, rest)
    config = _fetch(preset, handle, "config.json")
    if config is None:
        raise PresetError(f"{preset} is not a preset, or not one that you may read: the hub has no config.json for it")
    for name in _files(preset, handle, config, load_weights=load_weights):
        _fetch(preset, handle, name)
    return config.parent


def _files(preset: str, handle: str, config: Path, *, load_weights: bool) -> Iterator[str]:
    if "registered_name" in json.loads(config.read_text(encoding="utf-8")):
        yield from _KERAS_FILES
        yield from _KERAS_WEIGHTS if load_weights else ()
        return
    yield from _HUGGING_FACE_FILES
    if not load_weights:
        return
    index = _fetch(preset, handle, _HUGGING_FACE_INDEX)
    if index is None:
        yield _HUGGING_FACE_WEIGHTS
    else:
        yield from sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))


def _fetch(preset: str, handle: str, name: str) -> Path | None:
    """One file of a preset, or `None` if the hub has no such file."""
    try:
        return Path(get_file(handle, name))
    except FileNotFoundError as error:
        if type(error.__cause__).__name__ == "LocalEntryNotFoundError":
            # huggingface_hub calls "the network is down and the file is not in the cache" an entry not found.
            raise _unreachable(preset, error) from error
        return None
    except Exception as error:  # requests, httpx, kagglehub, huggingface_hub, urllib3: no common root
        raise _unreachable(preset, error) from error


def _require_hugging_face(preset: str, repository: str) -> None:
    """Fails within seconds if the hub is unreachable; huggingface_hub would retry each file for half a minute."""
    import huggingface_hub

    if isinstance(huggingface_hub.try_to_load_from_cache(repository, "config.json"), str):
        return
    try:
        huggingface_hub.get_session().head(huggingface_hub.constants.ENDPOINT, timeout=_HUGGING_FACE_TIMEOUT_SECONDS)
    except Exception as error:  # whatever HTTP library huggingface_hub is built on this year
        raise _unreachable(preset, error) from error


def _unreachable(preset: str, error: Exception) -> PresetUnreachable:
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return PresetUnreachable(
        f"The preset {preset} could not be fetched: the hub could not be reached, or it refused "
        f"({reason[0]:.200}). Check the network and the name; or download the preset elsewhere and pass the path of "
        "its directory (`preset`)."
    )
