"""Runs Coral's compiler, if it is installed, and reads its log.

`edgetpu_compiler` is closed source, for x86-64 Linux, from Coral's own package archive, and optional. The format of its
log is taken from users' reports about version 16 (google-coral/edgetpu, issues 427 and 572).
"""

import re
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgedistil_runtime.errors import ConversionError

__all__ = ["Compilation", "CompilerLog", "LoggedOps", "parse_compiler_log", "run_edgetpu_compiler"]

_PROGRAM = "edgetpu_compiler"
_SECONDS = 300  # the compiler itself gives up after 180
MAPPED = "Mapped to Edge TPU"
_HEADER = re.compile(r"Operator\s+Count\s+Status\s*")
_ROW = re.compile(r"(\S+)\s+(\d+)\s+(\S.*\S)\s*")
_SIZE = re.compile(r"([\d.]+)\s*(B|KiB|MiB|GiB)")
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_MEMORY = {
    "on_chip_used": "On-chip memory used for caching model parameters",
    "on_chip_remaining": "On-chip memory remaining for caching model parameters",
    "off_chip_used": "Off-chip memory used for streaming uncached model parameters",
}


@dataclass(frozen=True)
class LoggedOps:
    """A row of the log's table of operators.

    Attributes:
        op: Name of the op.
        count: Number of such ops with this status.
        status: `Mapped to Edge TPU`, or why not.
    """

    op: str
    count: int
    status: str


@dataclass(frozen=True)
class CompilerLog:
    """The contents of a log. Numbers are None if the log does not contain them.

    Attributes:
        version: Version of the compiler, or empty.
        ops: The table of operators.
        subgraphs: Number of Edge TPU subgraphs.
        on_chip_used: Bytes of weights in the chip's own memory.
        on_chip_remaining: Bytes of that memory that are free.
        off_chip_used: Bytes of weights that are sent to the chip for every text.

    Example:
        >>> log = CompilerLog("16.0", (LoggedOps("ADD", 2, MAPPED), LoggedOps("EXP", 1, "Operation not supported")))
        >>> log.mapped, log.to_dict()["on_cpu"], log.to_dict()["reasons"]
        (2, 1, {'EXP: Operation not supported': 1})
    """

    version: str
    ops: tuple[LoggedOps, ...]
    subgraphs: int | None = None
    on_chip_used: int | None = None
    on_chip_remaining: int | None = None
    off_chip_used: int | None = None

    @property
    def mapped(self) -> int:
        """Number of ops that run on the Edge TPU."""
        return sum(line.count for line in self.ops if line.status == MAPPED)

    @property
    def is_whole(self) -> bool:
        """True if all ops run on the Edge TPU."""
        return bool(self.ops) and all(line.status == MAPPED for line in self.ops)

    def to_dict(self) -> dict[str, Any]:
        """Return the log as plain data for metadata: counts, the ops on the CPU by reason, and all rows."""
        left = [line for line in self.ops if line.status != MAPPED]
        return {
            "source": _PROGRAM,
            "mapped": self.mapped,
            "on_cpu": sum(line.count for line in left),
            "reasons": {f"{line.op}: {line.status}": line.count for line in left},
            **asdict(self),
            "ops": [asdict(line) for line in self.ops],
        }


@dataclass(frozen=True)
class Compilation:
    """A compiled model and its log.

    Attributes:
        flatbuffer: The compiled model.
        log: The compiler's log.
    """

    flatbuffer: bytes
    log: CompilerLog


def parse_compiler_log(text: str) -> CompilerLog:
    """Read the compiler's output with `--show_operations`, or its `.log` file.

    Args:
        text: The output or the contents of the file.

    Raises:
        ConversionError: The text has no table of operators.

    Example:
        >>> rows = ["Operator Count Status", "ADD 2 Mapped to Edge TPU", "EXP 1 Operation not supported"]
        >>> log = parse_compiler_log(chr(10).join(rows))
        >>> log.mapped, log.is_whole, log.ops[1].status
        (2, False, 'Operation not supported')
    """
    header = _HEADER.search(text)
    if header is None:
        raise ConversionError(
            "A log of edgetpu_compiler has a table `Operator Count Status`, which its option --show_operations prints. "
            f"Received: {_last_line(text)!r}."
        )
    rows = (_ROW.fullmatch(line) for line in text[header.end() :].splitlines())
    version = re.search(r"Edge TPU Compiler version (\S+)", text)
    subgraphs = re.search(r"Number of Edge TPU subgraphs: (\d+)", text)
    return CompilerLog(
        version=version.group(1) if version else "",
        ops=tuple(LoggedOps(row.group(1), int(row.group(2)), row.group(3)) for row in rows if row),
        subgraphs=int(subgraphs.group(1)) if subgraphs else None,
        **{field: _bytes_in(text, line) for field, line in _MEMORY.items()},
    )


def run_edgetpu_compiler(model: str | Path, output_folder: str | Path) -> Compilation | None:
    """Compile a model, if the compiler is on the PATH.

    Args:
        model: A .tflite file with one subgraph, all int8.
        output_folder: Folder in which the compiler writes `<stem>_edgetpu.tflite` and its log.

    Returns:
        The compiled model and the log; None if there is no compiler.

    Raises:
        ConversionError: The compiler refuses the model, or takes more than 300 seconds.
    """
    program = shutil.which(_PROGRAM)
    if program is None:
        return None
    model, folder = Path(model), Path(output_folder)
    command = [program, "--show_operations", "--out_dir", str(folder), str(model)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConversionError(f"{_PROGRAM} did not run to its end: {error}.") from error
    compiled = folder / f"{model.stem}_edgetpu.tflite"
    if done.returncode or not compiled.exists():
        reason = _last_line(done.stdout + done.stderr)
        raise ConversionError(
            f"{_PROGRAM} refused the encoder (exit code {done.returncode}): {reason}. The encoder runs on a CPU. "
            "If the message is about large activations, use a smaller `sequence_length`."
        )
    return Compilation(flatbuffer=compiled.read_bytes(), log=parse_compiler_log(done.stdout))


def _bytes_in(text: str, line: str) -> int | None:
    match = re.search(re.escape(line) + r":\s*" + _SIZE.pattern, text)
    return round(float(match.group(1)) * _UNITS[match.group(2)]) if match else None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "nothing"
