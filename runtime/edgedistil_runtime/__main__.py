"""`python -m edgedistil_runtime`: the command line, if its console script is not on the PATH."""

from __future__ import annotations

import sys

from edgedistil_runtime.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
