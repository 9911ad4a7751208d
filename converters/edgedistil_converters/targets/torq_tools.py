"""The programs for the Coralboard's NPU, each in a child process: Arm's converter, Synaptics' compiler and simulator.

They are of the Python packages tosa-converter-for-tflite, torq-compiler and torq-runtime. The last two are for Python
3.12 and a newer C library than many systems have, so that they are programs here and not modules: a folder of an
environment made for them is enough (`make setup-torq`).
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_runtime.errors import ConversionError

__all__ = ["TORQ_TOOLS", "TorqTools", "find_torq_tools", "run_torq_tool", "simulate"]

TORQ_TOOLS = "TORQ_TOOLS"  # environment variable: folder with the programs, if they are not on the PATH
_PROGRAMS = {"converter": "tosa-converter-for-tflite", "compiler": "torq-compile", "simulator": "torq-run-module"}
_INSTALL = (
    "`make setup-torq` makes build/torq with all of them (x86-64 Linux); set the environment variable "
    f"{TORQ_TOOLS}=build/torq/bin. On a system with glibc 2.39 or newer and Python 3.12: "
    "pip install 'torq-compiler[tflite]==2.3.0' torq-runtime==2.3.0"
)
_SECONDS = 1800  # two layers of width 128 compile in 10 s on a quiet core
_OLD_LIBRARY = ("GLIBC_", "GLIBCXX_", "name 'iree_rt' is not defined")


@dataclass(frozen=True)
class TorqTools:
    """Paths of the programs.

    Attributes:
        converter: Arm's tosa-converter-for-tflite.
        compiler: Synaptics' torq-compile.
        simulator: Synaptics' torq-run-module.

    Example:
        >>> TorqTools("bin/tosa-converter-for-tflite", "bin/torq-compile", "bin/torq-run-module").compiler
        'bin/torq-compile'
    """

    converter: str
    compiler: str
    simulator: str

    def versions(self) -> dict[str, str]:
        """Return the versions of the packages, if a Python is beside the programs; empty if not."""
        python = shutil.which("python", path=str(Path(self.compiler).parent))
        packages = ("torq-compiler", "torq-runtime", "tosa-converter-for-tflite")
        code = f"import importlib.metadata as m; print(*map(m.version, {packages!r}))"
        if python is None:
            return {}
        done = subprocess.run([python, "-c", code], env=_environment(), capture_output=True, text=True, check=False)
        return dict(zip(packages, done.stdout.split(), strict=True)) if done.returncode == 0 else {}


def find_torq_tools() -> TorqTools:
    """Find the programs in the folder that the environment variable `TORQ_TOOLS` names, or else on the PATH.

    Raises:
        ConversionError: One of them is missing.
    """
    folder = os.environ.get(TORQ_TOOLS)
    found = {field.name: shutil.which(_PROGRAMS[field.name], path=folder or None) for field in fields(TorqTools)}
    missing = [_PROGRAMS[name] for name, path in found.items() if path is None]
    if missing:
        where = f"in {TORQ_TOOLS}={folder!r}" if folder else "on the PATH"
        raise ConversionError(
            f"An encoder for a Coralboard is compiled and simulated by {', '.join(_PROGRAMS.values())}. Received: no "
            f"{', '.join(missing)} {where}. {_INSTALL}. Every device runs a file with the target cpu (`target`)."
        )
    return TorqTools(**{name: str(Path(path).absolute()) for name, path in found.items() if path})


def run_torq_tool(command: Sequence[str], work: str) -> None:
    """Run one of the programs.

    Args:
        command: The program and its arguments.
        work: What it does, for the error: `compile the encoder`.

    Raises:
        ConversionError: It does not start, takes more than 30 minutes, or fails.
    """
    program = Path(command[0]).name
    try:
        done = subprocess.run(
            command, env=_environment(), capture_output=True, text=True, timeout=_SECONDS, errors="replace", check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConversionError(f"{program} did not run to its end: {error}. {_INSTALL}.") from error
    if done.returncode == 0:
        return
    said = done.stdout + done.stderr
    if any(sign in said for sign in _OLD_LIBRARY):
        raise ConversionError(
            f"{program} needs a newer C library than this system has. Received: {_reason(said)}. {_INSTALL}."
        )
    raise ConversionError(
        f"{program} could not {work} (exit code {done.returncode}): {_reason(said)}. The file for the target cpu "
        "(`target`) needs none of this; a shorter `sequence_length` makes the tensors smaller."
    )


def simulate(tools: TorqTools, module: Path, inputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return what an NPU answers, from the vendor's simulator.

    Args:
        tools: The programs.
        module: A VMFB with one function, `main`.
        inputs: Arguments of the function.

    Raises:
        ConversionError: The simulator refuses the module or the inputs, for instance a VMFB for other hardware.
    """
    with TemporaryDirectory(prefix="edgedistil-") as name:
        folder = Path(name)
        output = folder / "output.npy"
        command = [tools.simulator, f"--module={module}", "--function=main", "--device=torq"]
        for number, values in enumerate(inputs):
            np.save(folder / f"{number}.npy", values)
            command.append(f"--input=@{folder / f'{number}.npy'}")
        run_torq_tool([*command, f"--output=@{output}"], "simulate the encoder")
        return np.asarray(np.load(output))


def _environment() -> dict[str, str]:
    """The variables of this process without those of its Python: the programs are scripts of another one."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


def _reason(said: str) -> str:
    """The line that says why: the first error or failed assertion, or else the last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for sign in ("GLIBC", "Assertion", "error:", "INCOMPATIBLE", "INVALID_ARGUMENT"):
        for line in lines:
            if sign in line:
                return line[:500]
    return lines[-1][:500] if lines else "nothing"
