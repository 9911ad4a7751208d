"""`edgedistil train`: labelled texts in, a preset directory with a trained classifier out."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgedistil.cli.data_options import data_options
from edgedistil.cli.distillation_options import TeacherOptions, teacher_options
from edgedistil.cli.label_set_options import label_set_options, read_any_examples
from edgedistil.cli.local_workers import end_with_starter, train_locally
from edgedistil.cli.output import console, import_quietly, print_json
from edgedistil.cli.progress import training_progress
from edgedistil.cli.start_options import DEFAULT_VOCABULARY_SIZE, Start
from edgedistil.cli.team_options import ARGUMENTS, CommandWithArguments, cluster_of, join_team, workers_option
from edgedistil.data import MultiLabelTexts, MultiLabelTrainingData, TrainingData
from edgedistil.presets.packaged import MINILM
from edgedistil.presets.registry import DEFAULT_ENCODER
from edgedistil.sizes import SIZES
from edgedistil.training.settings import FINE_TUNING, FROM_SCRATCH, TrainingSettings, multi_label_settings
from edgedistil_runtime.pieces import LONG_TEXTS

if TYPE_CHECKING:
    from rich.console import Console

    from edgedistil.distillation.soft_targets import TeacherAnswers
    from edgedistil.training.loop import TrainingResult
    from edgedistil.training.tasks import AnyTrainingData
    from edgedistil.training.team import Team

__all__ = ["train"]

_FILE = click.Path(path_type=Path)
_METRICS = {
    "accuracy": "accuracy",
    "micro_f1": "micro-F1",
    "macro_f1": "macro-F1",
    "subset_accuracy": "equal label sets",
    "loss": "loss",
}


def _default(field: str) -> str:
    scratch, fine = getattr(FROM_SCRATCH, field), getattr(FINE_TUNING, field)
    return f"[{scratch}]" if scratch == fine else f"[{fine}; from scratch {scratch}]"


def _setting(flag: str, field: str, kind: type, text: str) -> Callable[[Any], Any]:
    return click.option(flag, field, type=kind, default=None, help=f"{text} {_default(field)}")


@dataclass(frozen=True)
class _Logs:
    """Files that a training writes while it runs."""

    csv: Path | None
    tensorboard: Path | None
    is_resumed: bool

    def callbacks(self) -> list[Any]:
        import keras

        found: list[Any] = []
        if self.csv:
            self.csv.parent.mkdir(parents=True, exist_ok=True)
            found.append(keras.callbacks.CSVLogger(str(self.csv), append=self.is_resumed))
        if self.tensorboard:
            found.append(keras.callbacks.TensorBoard(str(self.tensorboard), write_graph=False))
        return found


@click.command(cls=CommandWithArguments)
@click.option(
    "--preset",
    help="Preset to fine-tune: a name of `edgedistil presets`, kaggle://…, hf://… or a directory. "
    f"[without another start: {MINILM} if it is here or on a hub in reach, else {DEFAULT_ENCODER}]",
)
@click.option("--from-scratch", type=click.Choice(list(SIZES)), help="Size of a new backbone to train.")
@click.option(
    "--from-teacher",
    metavar="LAYERSxWIDTH",
    help="With --teacher: size of a backbone that starts from the teacher's, such as 4x256, with the word pieces that "
    "the texts need; trained like one from scratch.",
)
@click.option(
    "--train-data", type=_FILE, required=True, help="Labelled texts: a file or a directory, as in docs/data.md."
)
@click.option("--validation-data", type=_FILE, help="Labelled texts that choose the best epoch.")
@click.option("--test-data", type=_FILE, help="Labelled texts to measure at the end, once.")
@teacher_options
@data_options()
@label_set_options
@click.option("-o", "--output", type=_FILE, required=True, help="Directory to write.")
@click.option("--force", is_flag=True, help="Replace a directory that this command wrote.")
@click.option("--vocabulary", type=_FILE, help="From scratch: file of word pieces to use instead of learning them.")
@click.option(
    "--vocabulary-size",
    type=int,
    help=f"From scratch: word pieces to learn, at most [{DEFAULT_VOCABULARY_SIZE}]; from the teacher: pieces to keep.",
)
@click.option("--lowercase/--no-lowercase", "is_lowercase", default=None, help="From scratch: fold case. [yes]")
@click.option("--strip-accents", "is_accents_stripped", is_flag=True, help="From scratch: remove accents.")
@click.option("--num-layers", type=int, help="From scratch: layers, instead of the size's.")
@click.option("--hidden-dim", type=int, help="From scratch: width, instead of the size's.")
@click.option("--num-heads", type=int, help="From scratch: attention heads, instead of the size's.")
@click.option("--intermediate-dim", type=int, help="From scratch: inner width, instead of the size's.")
@_setting("--epochs", "epochs", int, "Epochs, at most.")
@_setting("--batch-size", "batch_size", int, "Texts in a step.")
@_setting("--accumulate", "accumulated_batches", int, "Batches whose gradients are averaged for one step.")
@click.option(
    "--learning-rate",
    type=float,
    help="Peak learning rate. [0.0001 * (384 / width)², at most 0.001; from scratch 0.001, times 128 / width if wider]",
)
@_setting("--layer-decay", "layer_decay", float, "Factor of the learning rate from a layer to the one below.")
@click.option(
    "--label-smoothing",
    type=float,
    help="Share of the target spread over all classes. [0.1; 0 from scratch or with fewer than 30 texts a class]",
)
@_setting("--token-dropout", "token_dropout", float, "Share of the tokens that training replaces by [UNK].")
@_setting("--dropout", "dropout", float, "Dropout rate of the head, and of a new backbone.")
@_setting("--sequence-length", "sequence_length", int, "Tokens that a text is cut to.")
@click.option(
    "--long-texts",
    type=click.Choice(LONG_TEXTS),
    help="What is read of a text with more tokens: its beginning, its first and last words, or all of it in "
    f"overlapping windows, each an example. [{LONG_TEXTS[0]}]",
)
@_setting("--seed", "seed", int, "Seed of everything random.")
@_setting("--patience", "patience", int, "Epochs without improvement before training stops.")
@click.option(
    "--validation-fraction",
    type=float,
    help="Share of --train-data to hold out without --validation-data. [0.1; 0 with fewer than 30 texts a class]",
)
@click.option(
    "--monitor",
    type=click.Choice(["macro_f1", "accuracy", "loss", "micro_f1"]),
    help=f"Validation metric that chooses the best epoch. [{FINE_TUNING.monitor}; with several labels micro_f1]",
)
@click.option(
    "--class-weights",
    type=click.Choice(["none", "balanced"]),
    help=f"balanced: every class has the same share of the loss. [{FINE_TUNING.class_weights}]",
)
@click.option(
    "--pooling",
    type=click.Choice(["auto", "first", "mean"]),
    help="What a new head of a preset reads: the first token or the mean. [auto: as the preset was trained]",
)
@click.option("--freeze-backbone", "is_backbone_frozen", is_flag=True, default=None, help="Train only the head.")
@click.option("--jit-compile", "is_jit_compiled", is_flag=True, default=None, help="Compile with XLA.")
@click.option(
    "--samples/--no-samples",
    "keeps_samples",
    default=True,
    help="Keep some validation texts in the directory; `convert` judges files on them. [yes]",
)
@workers_option
@click.option("--resume", "is_resumed", is_flag=True, help="Go on with the same training, which was interrupted.")
@click.option("--csv-log", type=_FILE, help="File for the metrics of every epoch.")
@click.option("--tensorboard", type=_FILE, help="Directory for the metrics of every epoch, as TensorBoard reads them.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on the last line.")
def train(
    train_data: Path,
    validation_data: Path | None,
    test_data: Path | None,
    text_column: str,
    label_column: str,
    delimiter: str | None,
    strip_labels: bool,
    label_separator: str | None,
    label_columns: tuple[str, ...],
    output: Path,
    force: bool,
    keeps_samples: bool,
    is_resumed: bool,
    csv_log: Path | None,
    tensorboard: Path | None,
    is_json: bool,
    workers: int | None,
    **options: Any,
) -> None:
    """Train a classifier on labelled texts.

    Training starts from --preset, --from-scratch or --from-teacher, else from a pretrained English encoder; with
    --teacher the classifier also learns the answers of a larger one. It writes a preset directory with the weights, the
    vocabulary, labels.txt, samples.jsonl, README.md, training.json and training.png, which `edgedistil convert
    --preset` takes. The state after every epoch is kept beside the directory until it is written, for --resume.

    With --workers, or TF_CONFIG in the environment of each process, several processes train together: the result is
    that of one process, up to rounding. If one of them is lost, the exit code is 75.

    A text may have several labels, or none: lists in JSON or Parquet, --label-separator, or --label-columns. The
    directory then has thresholds.json, with the smallest probability of each label, fitted to the validation data.

    \b
    edgedistil train --train-data train.csv -o my_classifier
    edgedistil train --train-data tagged.csv --label-separator "|" -o my_tagger
    edgedistil train --from-scratch tiny --train-data train.csv -o my_classifier
    edgedistil train --preset distil_bert_base_en_uncased --train-data train.csv -o my_classifier
    edgedistil train --from-scratch tiny --teacher my_classifier --train-data train.csv -o my_student
    edgedistil train --from-teacher 4x256 --teacher my_classifier --train-data train.csv -o my_student
    edgedistil train --from-scratch tiny --train-data train.csv --workers 2 -o my_classifier
    """  # noqa: D301 (click reads the backspace itself)
    from edgedistil_converters.files import check_directory, check_not_an_input

    end_with_starter()
    cluster = cluster_of(workers)
    start, teaching = Start.take(options), TeacherOptions.take(options)
    # The preset is no input in this sense: a classifier trained from it may replace it.
    files = (train_data, validation_data, test_data, start.vocabulary, *(teaching.inputs if teaching else ()))
    check_not_an_input(output, [path for path in files if path])
    check_directory(output, force=force)
    if cluster is None and workers and workers > 1:
        state = _state_before(output, is_resumed=is_resumed)
        train_locally(click.get_current_context().meta[ARGUMENTS], workers, state)
        return

    paths = {"training": train_data, "validation": validation_data, "test": test_data}
    read = partial(
        read_any_examples,
        text_column=text_column,
        label_column=label_column,
        delimiter=delimiter,
        strip_labels=strip_labels,
        label_separator=label_separator,
        label_columns=label_columns,
        is_json=is_json,
    )
    training = read(train_data)
    has_sets = isinstance(training, MultiLabelTexts)
    others = {part: read(path, has_sets=has_sets) for part, path in paths.items() if path and part != "training"}
    examples = {"training": training, **others}
    settings = multi_label_settings(start.defaults) if has_sets else start.defaults
    settings = replace(settings, **{name: value for name, value in options.items() if value is not None})
    data = _prepared(examples, settings)
    unlabelled = teaching.read_unlabelled(text_column, delimiter) if teaching else {}
    logs = _Logs(csv_log, tensorboard, is_resumed)
    start = start.found()
    team = join_team(cluster, settings, start.facts, data, unlabelled.values()) if cluster else None
    columns = (text_column, delimiter)
    ask = partial(teaching.ask, data, unlabelled, settings, output, columns=columns, team=team) if teaching else None
    result, answers = _run(
        start, data, settings, output, logs, ask=ask, keeps_samples=keeps_samples, force=force, team=team
    )
    if team and not team.is_chief:
        click.echo(f"{team.cluster.name()} has trained; worker 0 wrote {output}", err=True)
        return
    skipped = {part: one.remarks.skipped.to_dict() for part, one in examples.items()}
    _report(result, answers, output, skipped, is_json=is_json)


def _prepared(examples: dict[str, Any], settings: TrainingSettings) -> "AnyTrainingData":
    kind = MultiLabelTrainingData if isinstance(examples["training"], MultiLabelTexts) else TrainingData
    return kind.prepare(
        examples["training"],
        validation=examples.get("validation"),
        test=examples.get("test"),
        validation_fraction=settings.validation_fraction,
        seed=settings.seed,
    )


def _run(
    start: Start,
    data: "AnyTrainingData",
    settings: TrainingSettings,
    output: Path,
    logs: _Logs,
    *,
    ask: "Callable[[int], TeacherAnswers] | None",
    keeps_samples: bool,
    force: bool,
    team: "Team | None",
) -> "tuple[TrainingResult, TeacherAnswers | None]":
    screen = console()
    _start_tensorflow(screen)
    from edgedistil.presets.attribution import read_attribution
    from edgedistil.training.callbacks import ProgressReporter
    from edgedistil.training.loop import steps_per_epoch
    from edgedistil.training.loop import train as fit
    from edgedistil.training.record import write_training

    is_writing = team is None or team.is_chief
    state = _state_before(output, is_resumed=logs.is_resumed, is_writing=is_writing)
    answers = ask(start.num_encoder_layers() if settings.hidden_loss else 0) if ask else None
    soft = answers.soft_targets if answers else None
    classifier, origin = start.build(data, settings, answers)
    steps = steps_per_epoch(data, settings, classifier.preprocessor, soft)
    with training_progress(screen, settings.epochs, steps) as show:
        callbacks = [*logs.callbacks(), *([ProgressReporter(show)] if screen.is_terminal else [])] if is_writing else []
        try:
            result = fit(
                classifier,
                data,
                settings,
                name=output.name,
                callbacks=callbacks,
                checkpoint=state,
                soft_targets=soft,
                team=team,
            )
        except KeyboardInterrupt:
            if state.exists():
                click.echo("The same command with --resume goes on after the last whole epoch.", err=True)
            raise
    if is_writing:
        write_training(
            result,
            data,
            output,
            origin=origin,
            teacher=answers.to_dict() if answers else None,
            attribution=read_attribution(start.source) if start.source else "",
            keeps_samples=keeps_samples,
            force=force,
        )
        state.unlink(missing_ok=True)
    if team:
        team.wait()  # so that no worker ends well where nothing was written
    return result, answers


def _state_before(output: Path, *, is_resumed: bool, is_writing: bool = True) -> Path:
    """The file of the state: that of an interrupted training, or none; only its path in another worker than 0."""
    state = output.with_name(f".{output.name}.training.npz")
    if is_writing and not is_resumed:
        state.unlink(missing_ok=True)
    elif is_writing and not state.exists():
        raise click.UsageError(f"There is no interrupted training of {output}. Train without --resume.")
    return state


def _start_tensorflow(screen: "Console") -> None:
    with screen.status("starting TensorFlow") if screen.is_terminal else nullcontext():
        import_quietly("edgedistil.builder", "edgedistil.training.record", "edgedistil.training.start")


def _report(
    result: "TrainingResult",
    answers: "TeacherAnswers | None",
    output: Path,
    skipped: dict[str, Any],
    *,
    is_json: bool,
) -> None:
    parameters = int(result.trained.classifier.count_params())
    if is_json:
        print_json(
            {
                "output": str(output),
                "skipped": skipped,
                "labels": list(result.trained.labels),
                "parameters": parameters,
                "epochs": len(result.history),
                "best_epoch": result.best_epoch,
                "metrics": result.metrics,
                "never_predicted": list(result.never_predicted),
                **_thresholds(result),
                "truncation": result.truncation.to_dict(),
                **({"teacher": answers.to_dict()} if answers else {}),
            }
        )
        return
    several = ", any number of them for a text" if result.trained.thresholds else ""
    click.echo(f"{output}: {len(result.trained.labels)} classes{several}, {parameters / 1e6:.2f}M parameters")
    if result.truncation.truncated or result.truncation.divided:
        click.echo(f"training data: {result.truncation}")
    if answers:
        click.echo(str(answers))
    click.echo(f"best epoch {result.best_epoch} of {len(result.history)}")
    for part, metrics in result.metrics.items():
        shown = "  ".join(f"{title} {metrics[key]:.4f}" for key, title in _METRICS.items() if key in metrics)
        click.echo(f"{part:<10} {shown}  ({metrics['rows']} texts)")
    if result.never_predicted and result.trained.thresholds:
        click.echo(
            f"warning: no validation text is given {', '.join(result.never_predicted)}. More examples may help",
            err=True,
        )
    elif result.never_predicted:
        click.echo(
            f"warning: the classifier never predicts {', '.join(result.never_predicted)} on the validation data. "
            "--class-weights balanced or more examples of these classes may help",
            err=True,
        )
    click.echo(f"next: edgedistil convert --preset {output} -o {output.name}.tflite")


def _thresholds(result: "TrainingResult") -> dict[str, Any]:
    trained = result.trained
    return {"thresholds": dict(zip(trained.labels, trained.thresholds, strict=True))} if trained.thresholds else {}
