"""The type of machine that was measured on: its processor, but neither its name nor its owner's."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Machine", "read_machine"]

_BOARD = Path("/proc/device-tree/model")  # boards such as the Raspberry Pi put their model here
_PROCESSORS = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Machine:
    """A type of machine.

    Attributes:
        cpu: Model of the processor or of the board, as the system names it.
        architecture: `x86_64`, `aarch64`, ...
        cores: Logical cores that this process may use.
        system: `Linux`, `Darwin` or `Windows`.

    Example:
        >>> str(Machine("Cortex-A76", "aarch64", 4, "Linux"))
        'Cortex-A76, aarch64, 4 cores, Linux'
    """

    cpu: str
    architecture: str
    cores: int
    system: str

    def __str__(self) -> str:
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        return f"{self.cpu}, {self.architecture}, {cores}, {self.system}"


def read_machine() -> Machine:
    """The machine that this process runs on.

    Example:
        >>> read_machine().cores >= 1
        True
    """
    return Machine(
        cpu=_board() or _linux_processor() or _mac_processor() or platform.processor() or platform.machine(),
        architecture=platform.machine(),
        cores=_usable_cores(),
        system=platform.system(),
    )


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _board() -> str:
    try:
        return _BOARD.read_text("utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return ""


def _linux_processor() -> str:
    try:
        lines = _PROCESSORS.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _mac_processor() -> str:
    if platform.system() != "Darwin":
        return ""
    command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
