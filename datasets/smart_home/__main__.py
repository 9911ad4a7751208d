"""`python -m datasets.smart_home OUT_DIR`: writes train.csv, validation.csv and test.csv."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from datasets.smart_home.dataset import write_csv
from datasets.smart_home.grammar import SPLITS
from datasets.smart_home.intents import INTENTS
from edgedistil_runtime.errors import EdgeDistilError, OutputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the three files and a summary on stderr.

    Args:
        arguments: The command line; None takes that of the process.

    Returns:
        The exit status: 0, or 1 if a file could not be written.
    """
    parser = argparse.ArgumentParser(prog="python -m datasets.smart_home", description=__doc__)
    parser.add_argument("out_dir", type=Path, metavar="OUT_DIR", help="folder for the files; made if it is missing")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other texts (default: 0)")
    options = parser.parse_args(arguments)
    try:
        _write_splits(options.out_dir, seed=options.seed)
    except EdgeDistilError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _write_splits(folder: Path, *, seed: int) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the folder {folder}: {error.strerror}. Name another one.") from error
    for split in SPLITS:
        path = folder / f"{split}.csv"
        count = write_csv(split, path, seed=seed)
        print(f"{path}: {count:,} texts, {len(INTENTS)} labels", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
