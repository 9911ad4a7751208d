"""Messages: library code names parameters, the command line shows flags."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from edgedistil.cli import VERBS
from edgedistil.cli.flags import FLAGS, with_flags

ROOT = Path(__file__).parents[2]
FLAG = re.compile(r"--[a-z]")
EXCEPTIONS = {
    "edgedistil/report/style.py": "names of CSS properties",
    "edgedistil/presets/packaged.py": "options of pip",
    "edgedistil/training/card.py": "a command in the model card, which is a document",
    "edgedistil_converters/targets/edgetpu_compiler.py": "options of Coral's compiler",
    "edgedistil_converters/targets/parts.py": "arrows of a diagram",
    "edgedistil_converters/targets/coralboard.py": "options of Synaptics' compiler",
    "edgedistil_converters/targets/torq_report.py": "an option of Synaptics' compiler",
    "edgedistil_converters/targets/torq_tools.py": "options of Synaptics' simulator",
}


def library_modules():
    """Path below its source folder -> file, of every module outside a `cli` folder."""
    for folder, package in ((ROOT, "edgedistil"), (ROOT / "converters", "edgedistil_converters")):
        for path in sorted((folder / package).rglob("*.py")):
            if "cli" not in path.relative_to(folder).parts:
                yield path.relative_to(folder).as_posix(), path


def strings(path):
    """All string literals of a module, docstrings and the fixed parts of f-strings among them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def naming_flags():
    """Path -> lines of strings that look like a flag."""
    found = {}
    for name, path in library_modules():
        lines = [number for number, text in strings(path) if FLAG.search(text)]
        if lines and name not in EXCEPTIONS:
            found[name] = lines
    return found


def options_of_commands():
    options = set()
    for target, _ in VERBS.values():
        module, _, attribute = target.partition(":")
        for parameter in getattr(importlib.import_module(module), attribute).params:
            options.update(parameter.opts)
    return options


def test_library_code_names_no_flags():
    assert naming_flags() == {}


def test_flags_in_the_model_card_exist():
    texts = [text for _, text in strings(ROOT / "edgedistil" / "training" / "card.py")]
    flags = {flag for text in texts for flag in re.findall(r"--[a-z][a-z-]*", text)}
    assert flags and flags <= options_of_commands()


def test_exceptions_are_still_needed():
    needed = {name for name, path in library_modules() if any(FLAG.search(text) for _, text in strings(path))}
    assert EXCEPTIONS.keys() <= needed


def test_every_flag_is_an_option_of_a_command():
    assert {"--output", "--quantize"} <= options_of_commands()  # the comparison has something to compare with
    assert set(FLAGS.values()) <= options_of_commands()


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Pass `force` to replace it, or choose another `output`.", "Pass --force to replace it"),
        ("Give it with `is_resumed`.", "Give it with --resume."),
        ("`no_such_parameter` and `edgedistil train`", "`no_such_parameter` and `edgedistil train`"),
    ],
)
def test_parameters_become_flags(message, shown):
    assert shown in with_flags(message)
