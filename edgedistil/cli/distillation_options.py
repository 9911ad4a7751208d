"""Options of `edgedistil train` about a teacher, and how they are followed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgedistil.cli.progress import text_progress
from edgedistil.data import read_texts
from edgedistil.training.settings import FINE_TUNING, TrainingSettings

if TYPE_CHECKING:
    from edgedistil.distillation.soft_targets import TeacherAnswers
    from edgedistil.training.tasks import AnyTrainingData
    from edgedistil.training.team import Team

__all__ = ["TeacherOptions", "teacher_options"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_SETTINGS = ("temperature", "teacher_share", "distillation_loss", "vector_loss", "hidden_loss")
_CACHE_FOLDER = ".teacher_answers"

_OPTIONS = (
    click.option(
        "--teacher",
        help="Trained classifier to learn from: a directory that this command wrote, or a .tflite file of it, which "
        "answers faster.",
    ),
    click.option(
        "--teacher-answers",
        type=click.Path(path_type=Path),
        multiple=True,
        help="Instead of --teacher: its answers to all training texts and to others, as `edgedistil predict --top N "
        "-o` writes them, N being the number of labels; can be repeated.",
    ),
    click.option(
        "--unlabelled",
        type=click.Path(path_type=Path),
        multiple=True,
        help="With --teacher: texts without labels, which the teacher labels; can be repeated.",
    ),
    click.option(
        "--augment",
        type=click.IntRange(min=0),
        default=0,
        help="With --teacher: new texts to make from each training text, which the teacher labels. [0]",
    ),
    click.option(
        "--temperature",
        type=float,
        help=f"With --teacher: divisor of the logits that are compared. [{FINE_TUNING.temperature}]",
    ),
    click.option(
        "--teacher-share",
        type=float,
        help=f"With --teacher: its share in the loss; the rest is the label's. [{FINE_TUNING.teacher_share}]",
    ),
    click.option(
        "--distillation-loss",
        type=click.Choice(["kl", "mse"]),
        help="With --teacher: divergence of the probabilities, or mean square of the logits' differences. "
        f"[{FINE_TUNING.distillation_loss}]",
    ),
    click.option(
        "--vector-loss",
        type=float,
        help=f"With --teacher: weight of the difference between what the two heads read. [{FINE_TUNING.vector_loss:g}]",
    ),
    click.option(
        "--hidden-loss",
        type=float,
        help="With --teacher: weight of the differences between the two encoders after their inner layers. "
        f"[{FINE_TUNING.hidden_loss:g}]",
    ),
)


def teacher_options(command: _Command) -> _Command:
    """Adds the options about a teacher to a command.

    Example:
        >>> @click.command()
        ... @teacher_options
        ... def learn(teacher, **others): ...
        >>> [parameter.name for parameter in learn.params][:3]
        ['teacher', 'teacher_answers', 'unlabelled']
    """
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class TeacherOptions:
    """A teacher and the texts that it is asked about.

    Attributes:
        teacher: Preset or file of the teacher; `None` if its answers are given.
        teacher_answers: Files of its answers.
        unlabelled: Files of texts without labels.
        augment: New texts for each training text.
    """

    teacher: str | None
    teacher_answers: tuple[Path, ...]
    unlabelled: tuple[Path, ...]
    augment: int

    @classmethod
    def take(cls, options: dict[str, Any]) -> "TeacherOptions | None":
        """Takes the options about a teacher out of `options`; settings of the training remain.

        Returns:
            The options, or None if there is no teacher.

        Raises:
            click.UsageError: an option needs a teacher, and there is none.
        """
        taken = {name: options.pop(name) for name in ("teacher", "teacher_answers", "unlabelled", "augment")}
        if taken["teacher_answers"]:
            _check_answers_alone(taken, options)
        if taken["teacher"] is not None or taken["teacher_answers"]:
            return cls(**taken)
        needing = [name for name in ("unlabelled", "augment") if taken[name]]
        needing += [name for name in _SETTINGS if options[name] is not None]
        if needing:
            flags = ", ".join("--" + name.replace("_", "-") for name in needing)
            verb = "needs" if len(needing) == 1 else "need"
            raise click.UsageError(f"There is no teacher to ask: {flags} {verb} --teacher.")
        return None

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Files and folders that are read."""
        return *([Path(self.teacher)] if self.teacher else []), *self.teacher_answers, *self.unlabelled

    def read_unlabelled(self, text_column: str, delimiter: str | None) -> dict[Path, tuple[str, ...]]:
        """Reads the texts of each file."""
        return {path: read_texts(path, text_column, delimiter=delimiter) for path in self.unlabelled}

    def ask(
        self,
        data: "AnyTrainingData",
        unlabelled: Mapping[Path, tuple[str, ...]],
        settings: TrainingSettings,
        output: Path,
        num_layers: int,
        *,
        columns: tuple[str, str | None] = ("text", None),
        team: "Team | None" = None,
    ) -> "TeacherAnswers":
        """Asks the teacher, whose answers are kept in a hidden folder beside the output; or reads its answers.

        Args:
            data: Data to train the student on.
            unlabelled: Texts of each file.
            settings: Settings of the training.
            output: Directory of the student.
            num_layers: Number of the student's layers, without that of the pooling; 0 if there is no loss of them.
            columns: Column of the text in files of answers, and the separator of such files if they are CSV files.
            team: Workers that train together: worker 0 asks, and the others get the answers.
        """
        if self.teacher_answers:
            from edgedistil.distillation.answer_files import read_teacher_answers

            return read_teacher_answers(self.teacher_answers, data, text_column=columns[0], delimiter=columns[1])
        from edgedistil.distillation.answer_cache import AnswerCache
        from edgedistil.distillation.soft_targets import ask_teacher
        from edgedistil.distillation.teacher import Teacher
        from edgedistil.training.record import file_record

        assert self.teacher is not None
        teacher = Teacher.load(self.teacher, long_texts=settings.long_texts)
        if team is not None:
            teacher.share(team)
        with text_progress(f"teacher {teacher.name}") as show:
            answers = ask_teacher(
                teacher,
                data,
                unlabelled=[text for texts in unlabelled.values() for text in texts],
                augmented_per_text=self.augment,
                has_vectors=settings.vector_loss > 0,
                hidden_layers=num_layers,
                seed=settings.seed,
                cache=AnswerCache(output.parent / _CACHE_FOLDER),
                on_progress=show,
            )
        for warning in answers.warnings():
            click.echo(f"Warning: {warning}", err=True)
        files = [{**file_record(path), "rows": len(texts)} for path, texts in unlabelled.items()]
        return replace(answers, files=files)


def _check_answers_alone(taken: dict[str, Any], options: dict[str, Any]) -> None:
    """Refuses what needs the teacher itself beside its answers."""
    given = [name for name in ("teacher", "unlabelled", "augment") if taken[name]]
    given += [name for name in ("vector_loss", "hidden_loss") if options.get(name)]
    if given:
        flags = ", ".join("--" + name.replace("_", "-") for name in given)
        raise click.UsageError(
            f"--teacher-answers has all answers: leave out {flags}, or pass --teacher to ask the teacher itself."
        )
