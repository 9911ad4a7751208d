"""`edgedistil report`: models side by side on one HTML page."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgedistil.cli.data_options import data_options, read_examples
from edgedistil.cli.label_set_options import label_set_options, read_any_examples
from edgedistil.cli.models import model_paths
from edgedistil.cli.output import import_quietly, print_json
from edgedistil.cli.progress import stage_line

if TYPE_CHECKING:
    from edgedistil.data import LabelledTexts, MultiLabelTexts
    from edgedistil.measuring.measurements import MeasuredModel, Measurements

__all__ = ["report"]


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", type=click.Path(path_type=Path))
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Labelled texts.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The HTML file to write.")
@data_options()
@label_set_options
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    help="Labelled texts to train TF-IDF and a linear model on, which is measured too.",
)
@click.option(
    "--examples",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Texts to show for each model: those with a changed label, and the most confident mistakes.",
)
@click.option(
    "--runs", type=click.IntRange(min=1), default=5, show_default=True, help="Runs of each model, for its speed."
)
@click.option("--num-threads", type=click.IntRange(min=1), help="Threads for one text. [chosen by the interpreter]")
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print the measurements as one JSON object on the last line.")
def report(
    models: tuple[Path, ...],
    data: Path,
    output: Path,
    baseline: Path | None,
    examples: int,
    runs: int,
    num_threads: int | None,
    force: bool,
    as_json: bool,
    label_separator: str | None,
    label_columns: tuple[str, ...],
    **columns: Any,
) -> None:
    """Compare models on one page: accuracy, size, speed, scores, mistakes, and what changed.

    Models are .tflite files, and preset directories or bundled presets, which Keras runs. The others are compared with
    the first preset, or else with the first file. A model that is not ahead of the --baseline does not earn its
    milliseconds. The page is one HTML file that loads nothing. It shows texts of --data; --examples 0 keeps them out.

    Multi-label models are compared by their sets of labels, on data with several labels for a text.

    \b
    edgedistil report my_classifier fp32.tflite int8.tflite --data test.csv -o report.html
    edgedistil report my_tagger my_tagger.tflite --data tagged.csv --label-separator "|" -o report.html
    """  # noqa: D301  # \b is for click
    from edgedistil_converters.files import check_not_an_input, check_output

    paths = tuple(model_paths(models).values())
    check_not_an_input(output, [*paths, data, *([baseline] if baseline else [])])
    check_output(output, force=force)
    labelled = read_any_examples(
        data, label_separator=label_separator, label_columns=label_columns, **columns, is_json=as_json
    )
    training = read_examples(baseline, **columns, is_json=as_json) if baseline else None
    measurements = _measure(paths, labelled, training, examples, runs, num_threads)
    from edgedistil.report import write_report

    write_report(measurements, output, force=force)
    if as_json:
        skipped = labelled.remarks.skipped.to_dict()
        print_json({"output": str(output), "skipped": skipped, **measurements.to_dict()})
        return
    for model in measurements.models:
        click.echo(f"{model.name}: {_scores(model)}, {model.size / 1e6:.2f} MB")
    click.echo(f"wrote {output}, {output.stat().st_size / 1e6:.2f} MB: open it in a browser")


def _scores(model: "MeasuredModel") -> str:
    from edgedistil.set_scores import SetEvaluation

    if isinstance(model.evaluation, SetEvaluation):
        return f"micro F1 {model.evaluation.micro_f1:.4f}, right sets {model.accuracy:.2%}"
    return f"accuracy {model.accuracy:.2%}"


def _measure(
    models: Sequence[Path],
    labelled: "LabelledTexts | MultiLabelTexts",
    training: "LabelledTexts | None",
    examples: int,
    runs: int,
    num_threads: int | None,
) -> "Measurements":
    from edgedistil.measuring.models import measure
    from edgedistil_runtime.benchmarking.speed import BenchmarkSettings

    with stage_line() as show:
        if any(model.is_dir() for model in models):
            show("starting TensorFlow")
            import_quietly("edgedistil.presets.loading", "edgedistil.training.keras_outputs")
        settings = BenchmarkSettings(runs=runs, num_threads=num_threads)
        return measure(models, labelled, settings=settings, num_examples=examples, baseline=training, on_progress=show)
