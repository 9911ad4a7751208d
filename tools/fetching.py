"""Runs a command that fetches packages with uv: `python3 tools/fetching.py make setup-ray`.

The exit code is the command's, but 69 if it failed because the index of packages could not be reached. The reason is on
stderr in either case.
"""

import subprocess
import sys
from collections.abc import Sequence

from debian_packages import UNAVAILABLE

UNREACHABLE = (
    "error sending request for url",  # no route, no name, no connection, no answer
    "HTTP status server error",
    "Network connectivity is disabled",  # UV_OFFLINE
)


def main(command: Sequence[str]) -> int:
    """Runs a command and shows what it writes; returns an exit code."""
    lines: list[str] = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as process:
        assert process.stderr is not None
        for line in process.stderr:
            sys.stderr.write(line)
            lines.append(line)
    if process.returncode == 0:
        return 0
    reasons = [line.strip().removeprefix("cause: ") for line in lines if any(one in line for one in UNREACHABLE)]
    if not reasons:
        return process.returncode
    print(f"The index of packages cannot be reached from here: {reasons[0]}", file=sys.stderr)
    return UNAVAILABLE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
