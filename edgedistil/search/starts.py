"""What a student starts from, and the least size of a file that it can become."""

import re
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from edgedistil.data import TrainingData
from edgedistil.distillation.soft_targets import TeacherAnswers
from edgedistil.presets.attribution import read_attribution
from edgedistil.presets.loading import load_classifier
from edgedistil.search.digests import preset_digest
from edgedistil.search.settings import SearchSettings
from edgedistil.sizes import SIZES, BackboneSize
from edgedistil.training.start import from_preset, from_scratch

__all__ = ["StudentStart", "read_starts"]

_OTHER_STAGES = ("stages", "teacher", "teacher_answers")  # names in the folder that has a product of each student
_BYTES_OF_WEIGHT = {"int4": 0.5, "fp16": 2.0, "fp32": 4.0}  # the other schemes store a byte


@dataclass(frozen=True)
class StudentStart:
    """The start of a student.

    Attributes:
        preset: A preset, or a name of `SIZES` for a backbone from scratch.
        name: Name of the student, fit for a file and unique in a search.

    Example:
        >>> StudentStart("tiny", "tiny").is_from_scratch, StudentStart("edgedistil_tiny_en", "a").size.hidden_dim
        (True, 128)
    """

    preset: str
    name: str

    @property
    def is_from_scratch(self) -> bool:
        """True if its weights are random and its vocabulary is learned."""
        return self.preset in SIZES

    @property
    def size(self) -> BackboneSize:
        """Size of its backbone."""
        if self.is_from_scratch:
            return SIZES[self.preset]
        backbone = load_classifier(self.preset, num_classes=2, load_weights=False).backbone
        return BackboneSize(backbone.num_layers, backbone.hidden_dim, backbone.num_heads, backbone.intermediate_dim)

    @property
    def digest(self) -> str:
        """Digest of its weights and vocabulary."""
        return preset_digest(self.preset)

    def least_bytes(self, schemes: tuple[str, ...]) -> int:
        """Bytes of the matrices of its layers by the smallest of some schemes: no file is smaller.

        Example:
            >>> StudentStart("tiny", "tiny").least_bytes(("int8", "fp16"))
            393216
        """
        size, width = self.size, self.size.hidden_dim
        weights = size.num_layers * (4 * width * width + 2 * width * size.intermediate_dim)
        return int(weights * min(_BYTES_OF_WEIGHT.get(scheme, 1.0) for scheme in schemes))

    def build(self, data: TrainingData, settings: SearchSettings, answers: TeacherAnswers | None) -> Any:
        """Builds the classifier to train.

        Args:
            data: Data to train on.
            settings: Settings of the search.
            answers: Answers of the teacher; `None` to train without one.
        """
        soft = answers.soft_targets if answers else None
        if self.is_from_scratch:
            more = answers.unlabelled if answers else ()
            return from_scratch(self.preset, data, settings.training(self.preset), more_texts=more)
        return from_preset(self.preset, data, settings.training(), soft_targets=soft)

    def origin(self) -> dict[str, Any]:
        """Facts about the start, for training.json."""
        if self.is_from_scratch:
            return {"from_scratch": self.preset}
        return {"preset": SearchSettings(budget_mb=1, teacher=self.preset).without_paths().teacher}

    def attribution(self) -> str:
        """Page that the licences of the preset ask for; empty if there is none."""
        return "" if self.is_from_scratch else read_attribution(self.preset)


def read_starts(presets: tuple[str, ...]) -> tuple[StudentStart, ...]:
    """Returns the starts of students, with a name for each.

    Args:
        presets: Presets, or names of `SIZES`.

    Example:
        >>> [start.name for start in read_starts(("tiny", "a/intents", "b/intents", "hf://some/encoder"))]
        ['tiny', 'intents', 'intents_2', 'some_encoder']
        >>> [start.name for start in read_starts(("a/teacher", "a/intents_2", "a/intents", "b/intents"))]
        ['student_teacher', 'intents_2', 'intents', 'intents_3']
    """
    found: dict[str, StudentStart] = {}
    for preset in presets:
        _, is_handle, rest = preset.partition("://")
        name = re.sub(r"[^\w-]+", "_", rest if is_handle else Path(preset).name) or "student"
        if name in _OTHER_STAGES:
            name = f"student_{name}"
        name = next(one for one in chain([name], (f"{name}_{number}" for number in count(2))) if one not in found)
        found[name] = StudentStart(preset, name)
    return tuple(found.values())
