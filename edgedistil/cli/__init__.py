"""The command line: one module for each command, imported only when the command is called.

`edgedistil --help` must be instant, so the group has a line of help for every command and imports none of them, and
no command's module imports TensorFlow, Keras, NumPy or rich at its top.
"""

import importlib
from typing import Any

import click

from edgedistil import __version__
from edgedistil.cli.border import guarded

__all__ = ["VERBS", "main"]

VERBS: dict[str, tuple[str, str]] = {
    "presets": ("edgedistil.cli.presets:presets", "List the presets that --preset takes by name."),
    "train": ("edgedistil.cli.train:train", "Train a classifier on labelled texts."),
    "convert": ("edgedistil.cli.convert:convert", "Convert a classifier into one verified .tflite file."),
    "distil": ("edgedistil.cli.distil:distil", "Make the smallest file that is almost as good as its teacher."),
    "predict": ("edgedistil.cli.predict:predict", "Label texts with a .tflite file."),
    "explain": ("edgedistil.cli.explain:explain", "Show which words of a text speak for its label."),
    "evaluate": ("edgedistil.cli.evaluate:evaluate", "Measure .tflite files on labelled texts."),
    "benchmark": ("edgedistil.cli.benchmark:benchmark", "Measure latency, throughput, start-up and memory."),
    "inspect": ("edgedistil.cli.inspect:inspect", "Show what is inside a .tflite file."),
    "sign": ("edgedistil.cli.sign:sign", "Sign a .tflite file, or make keys for it."),
    "report": ("edgedistil.cli.report:report", "Compare models on one page with plots."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, context: click.Context) -> list[str]:
        """The commands, in the order in which one uses them."""
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Imports and returns a command."""
        if name not in VERBS:
            return None
        target, _ = VERBS[name]
        module, _, attribute = target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, summary) for verb, (_, summary) in VERBS.items()])

    def invoke(self, context: click.Context) -> Any:
        """Runs a command; errors become messages and exit codes."""
        return guarded(lambda: super(LazyGroup, self).invoke(context), is_debug=lambda: context.params["debug"])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, prog_name="edgedistil")
def main(debug: bool) -> None:
    """Labelled texts in, one self-contained .tflite text classifier out.

    \b
    edgedistil train --from-scratch mini --train-data train.csv -o my_classifier
    edgedistil convert --preset my_classifier -o my_classifier.tflite
    edgedistil predict my_classifier.tflite "turn the lights off"
    """  # noqa: D301 (click reads the backspace itself)
