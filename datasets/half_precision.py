"""Stores the weights of a preset as float16, which halves its size: `python -m datasets.half_precision DIRECTORY`.

Keras reads them into float32 variables. A float16 has 11 significant bits, so a weight changes by at most 1 in 2048.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from edgedistil_converters.files import atomic_path

__all__ = ["store_half_precision"]

_FILES = ("model.weights.h5", "task.weights.h5")


def store_half_precision(directory: Path) -> None:
    """Rewrites the weight files of a KerasHub preset directory with every float32 array as float16."""
    for name in _FILES:
        with atomic_path(directory / name, force=True) as temporary:
            _copy(directory / name, temporary)


def _copy(source: Path, target: Path) -> None:
    # The newest layout of HDF5 takes less space for many small arrays.
    with h5py.File(source) as read, h5py.File(target, "w", libver="latest") as written:

        def copy(path: str, item: Any) -> None:
            if isinstance(item, h5py.Group):
                written.require_group(path)
            else:
                values = item[()]
                written.create_dataset(path, data=values.astype(np.float16) if values.dtype == np.float32 else values)
            written[path].attrs.update(item.attrs)

        written.attrs.update(read.attrs)
        read.visititems(copy)


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m datasets.half_precision", description=__doc__)
    parser.add_argument("directory", type=Path, help="a KerasHub preset directory")
    store_half_precision(parser.parse_args().directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
