"""`edgedistil convert`: a preset in, one verified .tflite file out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from edgedistil.cli.conversion_report import report_conversion
from edgedistil.cli.data_options import data_options
from edgedistil.cli.label_set_options import label_set_options, read_any_examples, read_verification_texts
from edgedistil.cli.output import import_quietly
from edgedistil.cli.progress import stage_line
from edgedistil_converters.interface import HOSTS, TOKENIZERS
from edgedistil_converters.quantization.plan import INT4_SCALES, OLDEST_RUNTIMES
from edgedistil_converters.quantization.schemes import SCHEMES
from edgedistil_runtime.contract import TARGETS

if TYPE_CHECKING:
    from edgedistil.conversion import ConversionRequest
    from edgedistil_converters.quantization.plan import LayerScheme

__all__ = ["convert"]

_FILE = click.Path(path_type=Path)
_INPUTS = ("train_data", "calibration_data", "verification_data", "unknown_data", "prune_vocabulary", "labels_file")
_PLAN_OPTIONS = ("quantize", "layers", "int4_scales", "target", "oldest_runtime", "metadata", "keep_failed")


@click.command()
@click.option("--preset", required=True, help="A name (`edgedistil presets`), kaggle://…, hf://… or a directory.")
@click.option("-o", "--output", type=_FILE, required=True, help="The .tflite file to write.")
@click.option(
    "--quantize", type=click.Choice(list(SCHEMES)), default="int8", show_default=True, help="How to quantize."
)
@click.option(
    "--layer",
    "layers",
    multiple=True,
    metavar="PATTERN=SCHEME",
    help="Give layers another scheme (fp32, int8, int4): 'transformer_layer_0/*=fp32'.",
)
@click.option(
    "--int4-scales",
    type=click.Choice(INT4_SCALES),
    default="block",
    show_default=True,
    help="int4 weights that share a scale: 32, or all of an output channel, which processors multiply faster and "
    "which needs --calibration-data to be accurate.",
)
@click.option(
    "--tune",
    is_flag=True,
    help="Convert by several plans and keep the file that is fastest on this machine, of those that pass verification.",
)
@click.option(
    "--target",
    type=click.Choice(TARGETS),
    default="cpu",
    show_default=True,
    help="Also include a build for this accelerator; every file runs on CPUs. npu: a float file of fixed shapes, with "
    "--tokenizer none.",
)
@click.option(
    "--fixed-lengths",
    metavar="N,N,…",
    help="Add signatures of fixed shapes for rows of so many token ids, for hosts that cannot resize an input.",
)
@click.option(
    "--oldest-runtime",
    type=click.Choice(list(filter(None, OLDEST_RUNTIMES))),
    help="Make a file that this tflite-runtime runs too.",
)
@click.option(
    "--tokenizer",
    type=click.Choice(TOKENIZERS),
    default="builtin",
    show_default=True,
    help="builtin: in the model. tftext: in the model, as ops of TensorFlow Text. none: the model takes token ids.",
)
@click.option("--text-pair", is_flag=True, help="Add signatures for two texts.")
@click.option("--metadata", type=click.Choice(HOSTS), help="Add metadata for MediaPipe Tasks; with --tokenizer none.")
@click.option(
    "--prune-vocabulary", type=_FILE, help="Keep only the pieces that these texts need, and all single characters."
)
@click.option("--vocabulary-size", type=click.IntRange(min=1), help="Pieces to keep, with --prune-vocabulary.")
@click.option(
    "--train-data",
    type=_FILE,
    help="Labelled texts for int8-qat, or to train a head if the preset has none.",
)
@click.option(
    "--calibration-data", type=_FILE, help="Texts to measure the ranges of int8-static on, or to round int4 by."
)
@click.option(
    "--verification-data",
    type=_FILE,
    help="Texts to judge the file on, with or without labels. [the preset's samples, training or calibration data]",
)
@click.option(
    "--min-agreement",
    type=float,
    help="Smallest share of texts that must keep Keras' label; a flip counts by how sure Keras was. [by scheme: 0.98]",
)
@click.option(
    "--max-accuracy-loss", type=float, help="Largest loss of accuracy, in percentage points. [by scheme: 0.5]"
)
@click.option(
    "--calibrate-scores",
    is_flag=True,
    help="Make scores probabilities of being right, by labelled --verification-data, else the preset's samples.",
)
@click.option(
    "--unknown-label",
    metavar="NAME",
    help="Recognize texts with none of the labels, by a score and a threshold that is fitted on the texts of "
    "--calibrate-scores; NAME is for them.",
)
@click.option(
    "--in-scope-kept",
    type=float,
    help="With --unknown-label: share of texts with a label to keep. [0.97; the best balance with --unknown-data]",
)
@click.option("--unknown-data", type=_FILE, help="With --unknown-label: texts with none of the labels.")
@click.option("--keep-failed", is_flag=True, help="Write a file that fails verification as OUTPUT.failed.tflite.")
@data_options()
@label_set_options
@click.option("--labels", "labels_file", type=_FILE, help="File of class names, one a line, instead of the preset's.")
@click.option("--sequence-length", type=click.IntRange(min=3), help="Tokens that a text is cut to. [the preset's]")
@click.option("--name", help="Name of the model in its metadata. [the preset's name]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of training.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on the last line.")
def convert(preset: str, output: Path, is_json: bool, **options: Any) -> None:
    """Convert a trained classifier into one .tflite file: UTF-8 text in, class probabilities out.

    The file holds the tokenizer, the labels and its own test cases, and is compared with the Keras classifier before
    it is written, on texts that `train` kept or that you give: token ids must be equal, and labels, accuracy and
    probabilities within the rules of the scheme (docs/verification.md).

    int8-qat keeps checkpoints in OUTPUT.qat until the file is written; after an interruption, the same command
    continues.

    \b
    edgedistil convert --preset smart_home_tiny_en -o smart_home.tflite
    edgedistil convert --preset ./my_classifier --quantize fp16 -o my_classifier.tflite
    edgedistil convert --preset ./my_classifier --tune --calibration-data texts.csv -o fastest.tflite
    edgedistil convert --preset distil_bert_base_en_uncased --train-data train.csv -o intents.tflite
    edgedistil convert --preset ./my_classifier --quantize int8-static --calibration-data texts.csv -o static.tflite
    edgedistil convert --preset ./my_classifier --prune-vocabulary train.csv --vocabulary-size 12000 -o small.tflite
    edgedistil convert --preset ./my_classifier --fixed-lengths 16,32,64 -o fixed.tflite
    edgedistil convert --preset ./my_classifier --target npu --tokenizer none --quantize fp16 -o for_npu.tflite
    edgedistil convert --preset ./my_classifier --tokenizer none --metadata mediapipe -o for_mediapipe.tflite
    """  # noqa: D301  # \b is for click
    from edgedistil_converters.files import check_not_an_input

    check_not_an_input(output, [preset, *(options[name] for name in _INPUTS if options[name])])
    _check_tuning(options)
    request = _request(preset, output, options, is_json=is_json)
    request.check()  # before TensorFlow is loaded
    with _report_checkpoints(output, options["quantize"]), stage_line() as show:
        show("starting TensorFlow")
        import_quietly("edgedistil.presets.loading", "edgedistil_converters.convert")
        from edgedistil.conversion import convert_preset
        from edgedistil.tuning import convert_fastest

        conversion = convert_fastest(request, on_stage=show)[0] if options["tune"] else convert_preset(request, show)
    report_conversion(conversion, output, is_json=is_json)


def _check_tuning(options: dict[str, Any]) -> None:
    """Refuses --tune beside an option that names a plan."""
    context = click.get_current_context()
    named = [name for name in _PLAN_OPTIONS if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if options["tune"] and named:
        flags = ", ".join(parameter.opts[0] for parameter in context.command.params if parameter.name in named)
        raise click.UsageError(
            f"--tune chooses how to quantize, by time on this machine. Received: {flags} too. Leave one of them out."
        )


def _request(preset: str, output: Path, options: dict[str, Any], *, is_json: bool) -> "ConversionRequest":
    """Returns the request that the options make, with their files read."""
    from edgedistil.conversion import ConversionRequest
    from edgedistil.data import read_texts
    from edgedistil_converters.interface import ModelInterface
    from edgedistil_converters.quantization.plan import QuantizationPlan
    from edgedistil_converters.quantization.schemes import Bounds

    def texts(option: str) -> tuple[str, ...]:
        path, delimiter = options[option], options["delimiter"]
        return read_texts(path, options["text_column"], delimiter=delimiter) if path else ()

    bounds = Bounds(options["min_agreement"], options["max_accuracy_loss"])
    columns = {name: options[name] for name in ("text_column", "label_column", "delimiter", "strip_labels")}
    sets = {name: options[name] for name in ("label_separator", "label_columns")}
    verification = read_verification_texts(options["verification_data"], **columns, **sets)
    path = options["train_data"]
    training = read_any_examples(path, **columns, **sets, is_json=is_json) if path else None
    return ConversionRequest(
        preset=preset,
        output=output,
        plan=QuantizationPlan(
            options["quantize"],
            tuple(map(_layer, options["layers"])),
            options["oldest_runtime"] or "",
            int4_scales=options["int4_scales"],
        ),
        interface=ModelInterface(
            options["tokenizer"], takes_text_pair=options["text_pair"], metadata=options["metadata"]
        ),
        labels=_read_labels(options["labels_file"]),
        training=training,
        calibration_texts=texts("calibration_data"),
        **verification,
        bounds=bounds,
        keep_failed=options["keep_failed"],
        calibrate_scores=options["calibrate_scores"],
        unknown_label=options["unknown_label"],
        in_scope_kept=options["in_scope_kept"],
        unknown_texts=texts("unknown_data"),
        pruning_texts=texts("prune_vocabulary"),
        vocabulary_size=options["vocabulary_size"],
        target=options["target"],
        fixed_lengths=_lengths(options["fixed_lengths"]),
        sequence_length=options["sequence_length"],
        name=options["name"],
        force=options["force"],
        seed=options["seed"],
    )


def _lengths(option: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in option.split(",")) if option else ()
    except ValueError:
        raise click.BadParameter(
            f"must be whole numbers with commas between them, such as 16,32,64. Received: {option!r}",
            param_hint="--fixed-lengths",
        ) from None


def _layer(option: str) -> "LayerScheme":
    from edgedistil_converters.quantization.plan import LayerScheme

    pattern, separator, scheme = option.rpartition("=")
    if not separator or not pattern:
        raise click.BadParameter(f"must be PATTERN=SCHEME. Received: {option!r}", param_hint="--layer")
    return LayerScheme(pattern, scheme)


def _read_labels(path: Path | None) -> tuple[str, ...] | None:
    from edgedistil_runtime.errors import DataError

    if path is None:
        return None
    try:
        return tuple(path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"--labels takes a UTF-8 file with a class name a line. Received: {path}: {error}") from error


@contextmanager
def _report_checkpoints(output: Path, scheme: str) -> Iterator[None]:
    """After an interruption, prints where the checkpoints of a training with quantization are."""
    from edgedistil.cli.border import EXIT_INTERRUPTED

    try:
        yield
    except KeyboardInterrupt:
        from edgedistil.conversion import checkpoints_folder

        folder = checkpoints_folder(output)
        if scheme != "int8-qat" or not any(folder.glob("*.npz")):
            raise
        click.echo(
            f"Interrupted: the training's checkpoints are kept in {folder}; the same command continues from them. "
            "The folder may be deleted.",
            err=True,
        )
        raise SystemExit(EXIT_INTERRUPTED) from None
