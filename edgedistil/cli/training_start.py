"""The start of a training: options of `edgedistil train` about it, and how they are followed."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgedistil.data import TrainingData
from edgedistil.sizes import SIZES, BackboneSize
from edgedistil.training.settings import FINE_TUNING, TrainingSettings, from_scratch_settings

if TYPE_CHECKING:
    from edgedistil.distillation.soft_targets import TeacherAnswers

__all__ = ["DEFAULT_VOCABULARY_SIZE", "Start"]

DEFAULT_VOCABULARY_SIZE = 8000


@dataclass(frozen=True)
class Start:
    """The start of a training: a preset, or a backbone with random weights and its vocabulary.

    Without a preset and a size it is the default preset, which is looked for when training begins.
    """

    preset: str | None
    size: BackboneSize | None
    size_name: str | None
    vocabulary: Path | None
    vocabulary_size: int
    is_lowercase: bool
    is_accents_stripped: bool

    @property
    def defaults(self) -> TrainingSettings:
        """The settings for options that were not given."""
        return FINE_TUNING if self.size is None else from_scratch_settings(self.size.hidden_dim)

    def found(self) -> "Start":
        """The start with a preset or a size."""
        if self.preset or self.size:
            return self
        from edgedistil.presets.download import default_preset

        preset = default_preset()
        click.echo(f"starts from {preset}; --preset or --from-scratch choose another start", err=True)
        return replace(self, preset=preset)

    @classmethod
    def take(cls, options: dict[str, Any]) -> "Start":
        """Takes the options about the start out of `options`; settings of the training remain.

        Raises:
            click.UsageError: options exclude each other.
        """
        names = ("preset", "from_scratch", "vocabulary", "vocabulary_size", "is_lowercase", "is_accents_stripped")
        numbers = ("num_layers", "hidden_dim", "num_heads", "intermediate_dim")
        taken = {name: options.pop(name) for name in (*names, *numbers)}
        preset, size_name = taken["preset"], taken["from_scratch"]
        if preset and size_name:
            raise click.UsageError(
                "Pass --preset P to fine-tune or --from-scratch SIZE to train a new backbone, not both."
            )
        given = [name for name in (*names[2:], *numbers) if taken[name] not in (None, False)]
        if taken["is_lowercase"] is False:
            given.append("is_lowercase")
        if not size_name and given:
            flags = ", ".join("--" + name.removeprefix("is_").replace("_", "-") for name in given)
            raise click.UsageError(f"A preset brings its own backbone and vocabulary: {flags} need --from-scratch.")
        if taken["vocabulary"] and taken["vocabulary_size"]:
            raise click.UsageError("Pass --vocabulary to use a vocabulary or --vocabulary-size to learn one, not both.")
        return cls(
            preset=preset,
            size=SIZES[size_name].with_numbers(**{name: taken[name] for name in numbers}) if size_name else None,
            size_name=size_name,
            vocabulary=taken["vocabulary"],
            vocabulary_size=taken["vocabulary_size"] or DEFAULT_VOCABULARY_SIZE,
            is_lowercase=taken["is_lowercase"] is not False,
            is_accents_stripped=taken["is_accents_stripped"],
        )

    def classifier(
        self, data: TrainingData, settings: TrainingSettings, answers: "TeacherAnswers | None"
    ) -> tuple[Any, dict[str, Any]]:
        """The classifier to train, and its origin for training.json."""
        from edgedistil.builder import read_vocabulary
        from edgedistil.training.coverage import measure_coverage
        from edgedistil.training.start import from_preset, from_scratch

        if self.preset is not None:
            # Only the last part of a path: the others are about this machine.
            is_path = "://" not in self.preset and Path(self.preset).exists()
            name = Path(self.preset).resolve().name if is_path else self.preset
            soft = answers.soft_targets if answers else None
            classifier = from_preset(self.preset, data, settings, soft_targets=soft)
            coverage = measure_coverage(classifier.preprocessor, data.training.texts)
            if coverage.is_low:
                click.echo(
                    f"Warning: the vocabulary of {name} {coverage.describe('training')}. If they are in another "
                    "language, pass a --preset of theirs, or --from-scratch.",
                    err=True,
                )
            return classifier, {"preset": name}
        assert self.size is not None
        classifier = from_scratch(
            self.size,
            data,
            settings,
            vocabulary=read_vocabulary(self.vocabulary) if self.vocabulary else self.vocabulary_size,
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
