"""Writes docs/commands.md: the `--help` of every command of `edgedistil` and `edgedistil-runtime`.

    python tools/write_commands.py            # or: make commands

The page does not depend on the terminal: 80 columns, no colours.
"""

import contextlib
import importlib
import io
import os
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import click

import edgedistil_runtime.cli
from edgedistil.cli import VERBS, main

__all__ = ["PAGE", "commands_page"]

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
_WIDTH = 80
_HEAD = """# Commands

The help of each command, written by `make commands` from `--help`; a test fails if this page is stale.
The exit status is 0 on success, 1 after an error and 2 after wrong usage.
"""


def commands_page() -> str:
    """Returns the text of docs/commands.md."""
    helps = [*_helps_of_edgedistil(), *_helps_of_runtime()]
    contents = "\n".join(f"- [`{name}`](#{name.replace(' ', '-')})" for name, _ in helps)
    sections = [f"## {name}\n\n```text\n{text.strip()}\n```\n" for name, text in helps]
    return "\n".join([_HEAD, contents + "\n", *sections])


def _helps_of_edgedistil() -> Iterator[tuple[str, str]]:
    group = _context(main, "edgedistil")
    yield group.command_path, group.get_help()
    for verb in VERBS:
        command = main.get_command(group, verb)
        assert command is not None
        context = _context(command, verb, parent=group)
        yield context.command_path, context.get_help()


def _context(command: click.Command, name: str, *, parent: click.Context | None = None) -> click.Context:
    settings = {**command.context_settings, "terminal_width": _WIDTH, "color": False}
    return click.Context(command, info_name=name, parent=parent, **settings)


def _helps_of_runtime() -> Iterator[tuple[str, str]]:
    yield "edgedistil-runtime", _runtime_help()
    for command in _runtime_commands():
        yield f"edgedistil-runtime {command}", _runtime_help(command)


def _runtime_commands() -> list[str]:
    """Returns the names of the modules of the runtime's command line that add a parser: one a command."""
    package = edgedistil_runtime.cli
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return [name for name in names if hasattr(importlib.import_module(f"{package.__name__}.{name}"), "add_parser")]


def _runtime_help(*command: str) -> str:
    printed = io.StringIO()
    # argparse takes the width from COLUMNS, less 2, and colours only what goes to a terminal.
    with _environment(COLUMNS=str(_WIDTH + 2)), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        edgedistil_runtime.cli.main([*command, "--help"])
    return printed.getvalue()


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    os.environ.pop("FORCE_COLOR", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


if __name__ == "__main__":
    PAGE.write_text(commands_page(), encoding="utf-8", newline="\n")
