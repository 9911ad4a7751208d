"""`edgedistil presets`: lists the names that `--preset` takes."""

from collections.abc import Sequence

import click

from edgedistil.cli.output import print_json, stdout_console
from edgedistil.presets import PresetInfo, list_presets

__all__ = ["presets"]


@click.command()
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object instead of a table.")
def presets(is_json: bool) -> None:
    """List the presets that --preset takes by name.

    --preset also takes kaggle:// and hf:// handles, and a local directory in KerasHub's or Hugging Face's format.
    """
    infos = list_presets()
    if is_json:
        print_json({"presets": [info.to_dict() for info in infos]})
    else:
        _print_table(infos)


def _print_table(infos: Sequence[PresetInfo]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("preset", "parameters", "fp32 MB", "language", "trained head", "from", "description"):
        table.add_column(heading, justify="right" if heading in ("parameters", "fp32 MB") else "left")
    for info in infos:
        table.add_row(
            info.name,
            f"{info.parameters / 1e6:.2f}M",
            f"{info.size_bytes / 1e6:.1f}",
            info.language,
            "yes" if info.has_trained_head else "no",
            info.source.partition("://")[0],
            info.description,
        )
    stdout_console().print(table)
