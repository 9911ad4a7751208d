"""`edgedistil convert`: a preset in, one verified .tflite file out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgedistil.cli.output import console, import_quietly, print_json

if TYPE_CHECKING:
    from edgedistil.presets.loading import LabelledClassifier
    from edgedistil_converters import Conversion

__all__ = ["convert"]

_FILE = click.Path(path_type=Path)
# A test compares these with the converter's own, which are not imported here: `--help` is to answer at once.
_SCHEMES = ("fp32", "fp16", "int8")
_TOKENIZERS = ("builtin", "tftext", "none")
_HOSTS = ("mediapipe",)
_MOST_TEXTS_SHOWN = 10


@click.command()
@click.option("--preset", required=True, help="A name (`edgedistil presets`), kaggle://…, hf://… or a directory.")
@click.option("-o", "--output", type=_FILE, required=True, help="The .tflite file to write.")
@click.option("--quantize", type=click.Choice(_SCHEMES), default="int8", show_default=True, help="How to quantize.")
@click.option(
    "--tokenizer",
    type=click.Choice(_TOKENIZERS),
    default="builtin",
    show_default=True,
    help="In the file as builtin ops, as TensorFlow Text's ops, or not at all: token ids in.",
)
@click.option("--text-pair", is_flag=True, help="Add signatures for pairs of texts, cut as the preprocessor cuts them.")
@click.option("--metadata", type=click.Choice(_HOSTS), help="Add what a host reads; with --tokenizer none.")
@click.option("--train-data", type=_FILE, help="Labelled texts: train a head for a preset that has none first.")
@click.option("--verification-data", type=_FILE, help="Texts to verify the file with, beside the built-in ones.")
@click.option("--text-column", default="text", show_default=True, help="Column of the texts.")
@click.option("--label-column", default="label", show_default=True, help="Column of the labels.")
@click.option("--labels", "labels_file", type=_FILE, help="Class names, one a line, instead of the preset's.")
@click.option("--sequence-length", type=click.IntRange(min=3), help="Tokens that a text is cut to. [the preset's]")
@click.option("--name", help="What the model is called in its metadata. [the preset's name]")
@click.option("--force", is_flag=True, help="Replace a file that stands there.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on the last line.")
def convert(
    preset: str,
    output: Path,
    quantize: str,
    tokenizer: str,
    text_pair: bool,
    metadata: str | None,
    train_data: Path | None,
    verification_data: Path | None,
    text_column: str,
    label_column: str,
    labels_file: Path | None,
    sequence_length: int | None,
    name: str | None,
    force: bool,
    is_json: bool,
) -> None:
    """Convert a trained classifier into one .tflite file: UTF-8 text in, class probabilities out.

    The file holds the tokenizer, the labels and its own test cases, and is compared with the Keras classifier before
    it is written: token ids equal, labels and probabilities within the plan's tolerance.

    \b
    edgedistil convert --preset smart_home_tiny_en -o smart_home.tflite
    edgedistil convert --preset ./my_classifier --quantize fp16 -o my_classifier.tflite
    edgedistil convert --preset distil_bert_base_en_uncased --train-data train.csv -o intents.tflite
    edgedistil convert --preset ./my_classifier --tokenizer none --metadata mediapipe -o for_mediapipe.tflite
    """  # noqa: D301  # \b is for click
    from edgedistil.data import read_texts
    from edgedistil_converters.interface import ModelInterface
    from edgedistil_converters.output import check_output

    interface = ModelInterface(tokenizer, takes_text_pair=text_pair, metadata=metadata)
    check_output(output, force=force)
    texts = read_texts(verification_data, text_column) if verification_data else ()
    with _stages() as show:
        show("starting TensorFlow")
        import_quietly("edgedistil.presets.loading", "edgedistil_converters.convert")
        trained = _classifier(preset, train_data, (text_column, label_column), labels_file, sequence_length, show)
        from edgedistil_converters import QuantizationPlan, convert_classifier

        conversion = convert_classifier(
            trained.classifier,
            trained.labels,
            output,
            plan=QuantizationPlan(quantize),
            interface=interface,
            name=name or trained.name,
            verification_texts=texts,
            force=force,
            on_stage=show,
        )
    _report(conversion, output, is_json=is_json)


def _classifier(
    preset: str,
    train_data: Path | None,
    columns: tuple[str, str],
    labels_file: Path | None,
    sequence_length: int | None,
    show: Any,
) -> "LabelledClassifier":
    """The preset's own classifier, or one with a head trained on labelled texts."""
    from edgedistil.presets.loading import load_labelled_classifier, set_sequence_length

    if train_data is not None:
        return _train(preset, train_data, columns, sequence_length, show)
    show(f"loading {preset}")
    trained = load_labelled_classifier(preset, labels=_read_labels(labels_file))
    set_sequence_length(trained.classifier, sequence_length, preset)
    return trained


def _train(
    preset: str, train_data: Path, columns: tuple[str, str], sequence_length: int | None, show: Any
) -> "LabelledClassifier":
    """Fine-tunes with the defaults; `edgedistil train` is where one chooses."""
    from dataclasses import replace

    from edgedistil.data import TrainingData, read_labelled_texts
    from edgedistil.training import FINE_TUNING

    settings = FINE_TUNING if sequence_length is None else replace(FINE_TUNING, sequence_length=sequence_length)
    data = TrainingData.prepare(
        read_labelled_texts(train_data, text_column=columns[0], label_column=columns[1]),
        validation_fraction=settings.validation_fraction,
        seed=settings.seed,
    )
    show(f"loading {preset}")
    import_quietly("edgedistil.training.start")
    from edgedistil.training.loop import train
    from edgedistil.training.start import from_preset

    classifier = from_preset(preset, data, settings)
    show(f"training on {len(data.training):,} texts")
    return train(classifier, data, settings, name=Path(preset).name).trained


def _read_labels(path: Path | None) -> tuple[str, ...] | None:
    from edgedistil_runtime.errors import DataError

    if path is None:
        return None
    try:
        return tuple(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"--labels takes a UTF-8 file with a class name a line. Received: {path}: {error}") from error


@contextmanager
def _stages() -> Iterator[Any]:
    """A function that shows what is being done, on a terminal only."""
    screen = console()
    if not screen.is_terminal:
        yield lambda _: None
        return
    with screen.status("") as status:
        yield lambda stage: status.update(stage)


def _report(conversion: "Conversion", output: Path, *, is_json: bool) -> None:
    artifact, parity = conversion.artifact, conversion.parity
    if is_json:
        print_json(
            {
                "output": str(output),
                "bytes": artifact.size,
                "labels": list(artifact.metadata.labels),
                "quantization": dict(artifact.metadata.quantization),
                "tokenizer": artifact.metadata.tokenizer.kind,
                "oldest_runtime": artifact.metadata.oldest_runtime,
                "parity": parity.to_dict(),
            }
        )
        return
    click.echo(f"{output}: {artifact.size / 1e6:.2f} MB, {len(artifact.metadata.labels)} classes")
    kind, different = artifact.metadata.tokenizer.kind, len(parity.differing_texts)
    ids = {"none": "token ids in", "builtin": "token ids equal"}.get(kind, f"token ids equal on all but {different}")
    click.echo(
        f"verified on {parity.texts} texts: {ids}, labels agree on {parity.label_agreement:.1%}, "
        f"largest difference of a probability {parity.largest_difference:.2g}"
    )
    if different:
        click.echo("token ids differ from KerasHub's on:")
        for text in parity.differing_texts[:_MOST_TEXTS_SHOWN]:
            click.echo(f"  {text[:100]!r}")
        if different > _MOST_TEXTS_SHOWN:
            click.echo(f"  and {different - _MOST_TEXTS_SHOWN} more; --json lists them all")
    if kind != "none":
        click.echo(f'next: edgedistil predict {output} "some text"')
