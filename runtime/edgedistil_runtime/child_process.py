"""The command and the environment of a Python child process, which imports what this process imports.

By default Python puts the current folder first on the path of a child started by `-m` or `-c`; a `json.py` in a folder
of downloads would then be executed. Option `-P` of Python 3.11 prevents that; older versions remove the entry in code.
"""

from __future__ import annotations

import os
import sys

__all__ = ["python_environment", "python_module_command"]

_HAS_SAFE_PATH = sys.version_info >= (3, 11)
# `sys` is built in, so that nothing is imported before the empty entry, the current folder, is gone.
_RUN_MODULE = (
    "import sys; sys.path[:] = filter(None, sys.path); "
    "import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
)


def python_module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module as a program in a new Python of the same version.

    Start it with `python_environment()`, or the child may not find the module.

    Args:
        module: Dotted name of the module, whose `__name__` is `__main__` in the child.
        arguments: Arguments of the program, its `sys.argv[1:]`.

    Example:
        >>> import platform, subprocess
        >>> command = python_module_command("platform", "terse")
        >>> done = subprocess.run(command, env=python_environment(), capture_output=True, text=True)
        >>> done.stdout.strip() == platform.platform(terse=True)
        True
    """
    if _HAS_SAFE_PATH:
        return [sys.executable, "-P", "-m", module, *arguments]
    return [sys.executable, "-c", _RUN_MODULE.format(module=module), *arguments]


def python_environment() -> dict[str, str]:
    """Return the environment variables of this process with `PYTHONPATH` set to where it finds its modules.

    An empty entry of `sys.path` is left out: the child may run in another current folder.

    Example:
        >>> "" in python_environment()["PYTHONPATH"].split(os.pathsep)
        False
    """
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
