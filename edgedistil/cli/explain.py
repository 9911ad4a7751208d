"""`edgedistil explain`: the words of a text that speak for its label."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgedistil.cli.dashed_texts import TextCommand
from edgedistil.cli.data_options import long_texts_option, public_key_option
from edgedistil.cli.output import print_json, stdout_console

if TYPE_CHECKING:
    from edgedistil_runtime.explanation import Explanation

__all__ = ["explain"]

_BAR = 20  # characters of the strongest effect


@click.command(cls=TextCommand)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("text")
@click.option("--label", help="Label to explain. [the text's own]")
@long_texts_option
@click.option("--num-threads", type=click.IntRange(min=1), help="Threads for one text.")
@public_key_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line.")
def explain(
    model: Path,
    text: str,
    label: str | None,
    long_texts: str,
    num_threads: int | None,
    public_key: Path | None,
    as_json: bool,
) -> None:
    """Show which words of a text speak for its label, and which against it.

    Each word is left out in turn. Its effect is the score with it minus the score without it, and a label that the text
    gets without it is printed beside it. A word whose meaning another one repeats has little effect.

    \b
    edgedistil explain smart_home.tflite "turn the lights off in the kitchen"
    edgedistil explain smart_home.tflite "turn the lights off in the kitchen" --label light_on
    """  # noqa: D301  # \b is for click
    from edgedistil_runtime import TextClassifier
    from edgedistil_runtime.explanation import explain as explain_text
    from edgedistil_runtime.native_log import native_log_hidden

    with native_log_hidden():
        classifier = TextClassifier(model, num_threads=num_threads, long_texts=long_texts, public_key=public_key)
    with classifier:
        explanation = explain_text(classifier, text, label)
    if as_json:
        whole = explanation.classification
        print_json(
            {
                "text": text,
                "label": whole.label,
                "score": whole.score,
                "is_truncated": whole.is_truncated,
                "explained": {"label": explanation.label, "score": explanation.score},
                "words": [asdict(word) for word in explanation.words],
            }
        )
        return
    _print(explanation)


def _visible(word: str) -> str:
    """A word without characters that would control the terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in word)


def _print(explanation: "Explanation") -> None:
    from rich.table import Table
    from rich.text import Text

    console, whole = stdout_console(), explanation.classification
    console.print(Text(f"{whole.label}  {whole.score:.4f}"))
    if explanation.label != whole.label:
        console.print(Text(f"explained: {explanation.label}  {explanation.score:.4f}"))
    if whole.is_truncated:
        console.print("The model did not read all of the text; words that it did not read have no effect.")
    if not explanation.words:
        console.print("The text has no words.")
        return
    largest = max(abs(word.effect) for word in explanation.words) or 1.0
    table = Table("word", "effect", "", "label without it", box=None, header_style="bold")
    for word in explanation.words:
        bar = ("+" if word.effect > 0 else "-") * round(_BAR * abs(word.effect) / largest)
        other = "" if word.label_without == whole.label else word.label_without
        table.add_row(Text(_visible(word.word)), f"{word.effect:+.4f}", bar, Text(other))
    console.print(table)
