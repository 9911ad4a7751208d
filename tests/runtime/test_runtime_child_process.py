"""Python child processes run the intended module, and nothing in the current folder."""

import subprocess
import sys

import pytest

from edgedistil_runtime import child_process
from edgedistil_runtime.child_process import python_environment, python_module_command

SAFE_PATHS = [False, True] if sys.version_info >= (3, 11) else [False]
PROGRAM = """
import json, sys
print(json.dumps([__name__, sys.argv[1:], "" in sys.path]))
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Name of a module that this process finds; the current folder holds modules that end the process on import."""
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "edgedistil_reporter.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(tmp_path / "programs")
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    for name in ("json", "runpy", "edgedistil_reporter"):
        (downloads / f"{name}.py").write_text("raise SystemExit('imported from the current folder')")
    monkeypatch.chdir(downloads)
    return "edgedistil_reporter"


@pytest.mark.parametrize("has_safe_path", SAFE_PATHS)
def test_a_module_is_run_with_its_arguments(program, monkeypatch, has_safe_path):
    monkeypatch.setattr(child_process, "_HAS_SAFE_PATH", has_safe_path)
    command = python_module_command(program, "größe", "", "two words", "'\"")
    done = subprocess.run(command, env=python_environment(), capture_output=True, text=True, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == '["__main__", ["gr\\u00f6\\u00dfe", "", "two words", "\'\\""], false]\n'


def test_a_plain_command_would_import_from_the_current_folder(program):
    command = [sys.executable, "-m", program]
    done = subprocess.run(command, env=python_environment(), capture_output=True, text=True)
    assert "imported from the current folder" in done.stderr


def test_the_command_is_of_this_python():
    assert python_module_command("json.tool")[0] == sys.executable


def test_the_environment_is_that_of_the_parent(monkeypatch):
    monkeypatch.setenv("EDGEDISTIL_TEST", "kept")
    monkeypatch.setattr(sys, "path", ["", "first", "second"])
    environment = python_environment()
    assert environment["EDGEDISTIL_TEST"] == "kept"
    assert environment["PYTHONPATH"] in ("first:second", "first;second")
