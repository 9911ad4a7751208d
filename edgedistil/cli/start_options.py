"""The start of `edgedistil train`: a preset, a backbone from scratch, or one that starts from the teacher's."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgedistil.sizes import SIZES, BackboneSize, parse_size
from edgedistil.training.settings import FINE_TUNING, TrainingSettings, from_scratch_settings

if TYPE_CHECKING:
    from edgedistil.distillation.soft_targets import TeacherAnswers
    from edgedistil.training.tasks import AnyTrainingData

__all__ = ["DEFAULT_VOCABULARY_SIZE", "Start"]

DEFAULT_VOCABULARY_SIZE = 8000
_STARTS = ("preset", "from_scratch", "from_teacher")
_VOCABULARY = ("vocabulary", "vocabulary_size", "is_lowercase", "is_accents_stripped")
_NUMBERS = ("num_layers", "hidden_dim", "num_heads", "intermediate_dim")


@dataclass(frozen=True)
class Start:
    """The start of a training.

    Attributes:
        preset: Preset to fine-tune; `None` for another start, or for the default preset if there is no other one.
        size: Size of a backbone with random weights; `None` for another start.
        size_name: Name of that size.
        from_teacher: Layers and width of a backbone that starts from the teacher's, such as `4x256`; `None` for another
            start.
        vocabulary: File of word pieces, from scratch.
        vocabulary_size: Word pieces to learn from scratch, or to keep of the teacher's; `None` for the default.
        is_lowercase, is_accents_stripped: How texts are folded, from scratch.
        teacher: Preset of the teacher, if the start is from the teacher; `None` for another start.

    Example:
        >>> options = dict.fromkeys((*_STARTS, *_VOCABULARY, *_NUMBERS)) | {"from_scratch": "tiny", "epochs": 3}
        >>> start = Start.take(options)
        >>> start.size.hidden_dim, options
        (128, {'epochs': 3})
    """

    preset: str | None
    size: BackboneSize | None
    size_name: str | None
    from_teacher: str | None
    vocabulary: Path | None
    vocabulary_size: int | None
    is_lowercase: bool
    is_accents_stripped: bool
    teacher: str | None

    @classmethod
    def take(cls, options: dict[str, Any]) -> "Start":
        """Takes the options about the start out of `options`; settings, and the options about a teacher, remain.

        Raises:
            click.UsageError: several starts, or an option that needs another start.
        """
        teacher = options.get("teacher")
        taken = {name: options.pop(name) for name in (*_STARTS, *_VOCABULARY, *_NUMBERS)}
        if sum(taken[name] is not None for name in _STARTS) > 1:
            raise click.UsageError(
                "Pass one of --preset P to fine-tune, --from-scratch SIZE to train a new backbone, or, with --teacher, "
                "--from-teacher LAYERSxWIDTH to start from the teacher's. Received: several of them."
            )
        if taken["from_teacher"] and teacher is None:
            raise click.UsageError("There is no teacher to start from: --from-teacher needs --teacher.")
        _check_needs(taken)
        if taken["from_teacher"] and Path(str(teacher)).suffix == ".tflite":
            raise click.UsageError(
                "A student starts from the weights of a Keras classifier: --from-teacher needs the directory that the "
                f"file was converted from as --teacher. Received: {teacher}"
            )
        size_name = taken["from_scratch"]
        numbers = {name: taken[name] for name in _NUMBERS}
        return cls(
            preset=taken["preset"],
            size=SIZES[size_name].with_numbers(**numbers) if size_name else None,
            size_name=size_name,
            from_teacher=taken["from_teacher"],
            vocabulary=taken["vocabulary"],
            vocabulary_size=taken["vocabulary_size"],
            is_lowercase=taken["is_lowercase"] is not False,
            is_accents_stripped=bool(taken["is_accents_stripped"]),
            teacher=teacher if taken["from_teacher"] else None,
        )

    @property
    def defaults(self) -> TrainingSettings:
        """The settings for options that were not given."""
        if self.from_teacher:
            return from_scratch_settings(parse_size(self.from_teacher)[1])
        return FINE_TUNING if self.size is None else from_scratch_settings(self.size.hidden_dim)

    def found(self) -> "Start":
        """The start itself, or the default preset, which is downloaded if needed."""
        if any((self.preset, self.size, self.from_teacher)):
            return self
        from edgedistil.presets.download import default_preset

        preset = default_preset()
        click.echo(f"starts from {preset}; --preset or --from-scratch choose another start", err=True)
        return replace(self, preset=preset)

    @property
    def facts(self) -> tuple[Any, ...]:
        """What all workers must have alike, without folders."""
        names = [path and _shown(str(path)) for path in (self.preset, self.vocabulary, self.teacher)]
        return (*names, self.size, self.from_teacher, self.vocabulary_size, self.is_lowercase, self.is_accents_stripped)

    @property
    def source(self) -> str | None:
        """Preset whose weights are at the start; `None` from scratch."""
        return self.preset or self.teacher

    def num_encoder_layers(self) -> int:
        """Number of layers of the backbone, without that of the pooling; a preset is loaded."""
        if self.from_teacher is not None:
            return parse_size(self.from_teacher)[0]
        if self.size is not None:
            return self.size.num_layers
        from edgedistil.presets.loading import load_classifier
        from edgedistil.training.pooling import num_encoder_layers

        return num_encoder_layers(load_classifier(str(self.preset), num_classes=2).backbone)

    def build(
        self, data: "AnyTrainingData", settings: TrainingSettings, answers: "TeacherAnswers | None"
    ) -> tuple[Any, dict[str, Any]]:
        """Builds the classifier to train; also returns its origin, for training.json."""
        if self.preset is not None:
            return self._from_preset(self.preset, data, settings, answers)
        if self.from_teacher is not None:
            assert answers
            return self._from_teacher(data, settings, answers)
        return self._from_scratch(data, settings, answers)

    def _from_preset(
        self, preset: str, data: "AnyTrainingData", settings: TrainingSettings, answers: "TeacherAnswers | None"
    ) -> tuple[Any, dict[str, Any]]:
        from edgedistil.distillation.coverage import measure_coverage
        from edgedistil.training.start import from_preset

        name = _shown(preset)
        classifier = from_preset(preset, data, settings, soft_targets=answers.soft_targets if answers else None)
        coverage = measure_coverage(classifier.preprocessor, data.training.texts)
        if coverage.is_low:
            next_step = "If so, pass a --preset of theirs, or --from-scratch."
            click.echo(f"Warning: {coverage.warning(f'preset {name}', 'training')} {next_step}", err=True)
        return classifier, {"preset": name}

    def _from_teacher(
        self, data: "AnyTrainingData", settings: TrainingSettings, answers: "TeacherAnswers"
    ) -> tuple[Any, dict[str, Any]]:
        from edgedistil.distillation.from_teacher import from_teacher
        from edgedistil.presets.loading import load_classifier

        assert self.teacher is not None
        assert self.from_teacher is not None
        size = parse_size(self.from_teacher)
        teacher = load_classifier(self.teacher)
        classifier = from_teacher(teacher, size, data, settings, answers, vocabulary_size=self.vocabulary_size)
        origin = {"from_teacher": self.from_teacher, "preset": _shown(self.teacher)}
        return classifier, {**origin, "vocabulary_size": classifier.backbone.vocabulary_size}

    def _from_scratch(
        self, data: "AnyTrainingData", settings: TrainingSettings, answers: "TeacherAnswers | None"
    ) -> tuple[Any, dict[str, Any]]:
        from edgedistil.builder import read_vocabulary
        from edgedistil.training.start import from_scratch

        assert self.size is not None
        size = self.vocabulary_size or DEFAULT_VOCABULARY_SIZE
        classifier = from_scratch(
            self.size,
            data,
            settings,
            vocabulary=read_vocabulary(self.vocabulary) if self.vocabulary else size,
            lowercase=self.is_lowercase,
            strip_accents=self.is_accents_stripped,
            more_texts=answers.unlabelled if answers else (),
        )
        origin = {
            "from_scratch": self.size_name,
            **asdict(self.size),
            "vocabulary_size": classifier.backbone.vocabulary_size,
            "lowercase": self.is_lowercase,
            "strip_accents": self.is_accents_stripped,
        }
        return classifier, origin


def _check_needs(taken: dict[str, Any]) -> None:
    """Refuses options that need a backbone from scratch, or a vocabulary that is not there."""
    given = [name for name in (*_VOCABULARY, *_NUMBERS) if taken[name] not in (None, False)]
    if taken["is_lowercase"] is False:
        given.append("is_lowercase")
    if taken["from_teacher"]:
        given = [name for name in given if name != "vocabulary_size"]
    if given and not taken["from_scratch"]:
        flags = ", ".join("--" + name.removeprefix("is_").replace("_", "-") for name in given)
        whose = "A teacher" if taken["from_teacher"] else "A preset"
        raise click.UsageError(f"{whose} brings its own backbone and vocabulary: {flags} need --from-scratch.")
    if taken["vocabulary"] and taken["vocabulary_size"]:
        raise click.UsageError("Pass --vocabulary to use a vocabulary or --vocabulary-size to learn one, not both.")


def _shown(preset: str) -> str:
    """Only the last part of a path: the others are about this machine."""
    return Path(preset).resolve().name if "://" not in preset and Path(preset).exists() else preset
