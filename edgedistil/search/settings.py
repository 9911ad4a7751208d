"""Settings of a search for a student: a frozen value, checked when it is made.

This module imports no TensorFlow, so the command line can show the defaults in its help.
"""

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edgedistil.presets.packaged import MINILM
from edgedistil.sizes import SIZES
from edgedistil.training.settings import FINE_TUNING, TrainingSettings, from_scratch_settings
from edgedistil_converters.quantization.schemes import SCHEMES
from edgedistil_runtime.errors import DataError

__all__ = ["SearchSettings"]


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """Settings of a search.

    Attributes:
        budget_mb: Largest size of the file, in megabytes (10⁶ bytes).
        budget_ms: Largest median time of one text on this machine, in milliseconds; `None` for no limit.
        within: Percentage points of validation accuracy that the file may lie below the teacher.
        teacher: A preset with a trained head or a `.tflite` file, which is used as it is, or a preset without a head,
            which is fine-tuned.
        students: Starts of the students: presets, or names of `SIZES` for backbones from scratch.
        schemes: Quantization schemes to convert each student by.
        augmented_per_text: Numbers of new texts to make from each training text, which the teacher labels. If there are
            several, each student is trained with each, and the number with the best validation accuracy is kept, of
            equal ones the smallest. A single number may be passed as it is.
        epochs: Epochs of teacher and students, at most; `None` for the defaults of training.
        sequence_length: Number of tokens that texts are cut to.
        has_ablation: Train the chosen student also without the teacher, and without the texts that have no label.
        seed: Seed of everything random.

    Raises:
        DataError: a setting is out of its range.

    Example:
        >>> SearchSettings(budget_mb=1.5).students
        ('edgedistil_small_en', 'edgedistil_tiny_en')
        >>> SearchSettings(budget_mb=1.5, augmented_per_text=2).augmented_per_text
        (2,)
        >>> SearchSettings(budget_mb=0)
        Traceback (most recent call last):
        edgedistil_runtime.errors.DataError: `budget_mb` must be a number above 0. Received: 0.0
    """

    budget_mb: float
    budget_ms: float | None = None
    within: float = 1.0
    teacher: str = MINILM
    students: tuple[str, ...] = ("edgedistil_small_en", "edgedistil_tiny_en")
    schemes: tuple[str, ...] = ("int8",)
    augmented_per_text: tuple[int, ...] = (0,)
    epochs: int | None = None
    sequence_length: int = FINE_TUNING.sequence_length
    has_ablation: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("budget_mb", "budget_ms", "within"):  # 2 and 2.0 are one budget, also to a digest
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else float(value))
        augmented: Any = self.augmented_per_text
        numbers = (augmented,) if isinstance(augmented, int) else tuple(sorted(augmented))
        object.__setattr__(self, "augmented_per_text", numbers)
        for name in ("budget_mb", "budget_ms"):
            value = getattr(self, name)
            self._require(name, value is None or 0 < value < math.inf, "a number above 0")
        self._require("within", 0 <= self.within <= 100, "from 0 to 100 percentage points")
        legal = 0 < len(numbers) == len(set(numbers)) and min(numbers) >= 0
        self._require("augmented_per_text", legal, "one whole number from 0 up or several, all distinct")
        self._require(
            "students", 0 < len(self.students) == len(set(self.students)), "one start or several, all distinct"
        )
        legal = 0 < len(self.schemes) == len(set(self.schemes)) and set(self.schemes) <= set(SCHEMES)
        self._require("schemes", legal, f"some of {', '.join(SCHEMES)}, all distinct")
        self.training()  # checks the other numbers

    @property
    def budget_bytes(self) -> int:
        """Largest size of the file, in bytes."""
        return int(self.budget_mb * 1e6)

    def training(self, size: str | None = None) -> TrainingSettings:
        """Settings of one training: those of fine-tuning, or from scratch those of a size.

        Example:
            >>> settings = SearchSettings(budget_mb=1.5, epochs=3)
            >>> settings.training().epochs, settings.training("tiny").batch_size
            (3, 64)
        """
        base = FINE_TUNING if size is None else from_scratch_settings(SIZES[size].hidden_dim)
        epochs = base.epochs if self.epochs is None else self.epochs
        return replace(base, epochs=epochs, sequence_length=self.sequence_length, seed=self.seed)

    def without_paths(self) -> "SearchSettings":
        """A copy in which presets that are directories have only the last part of their path.

        Example:
            >>> SearchSettings(budget_mb=1, teacher="intents", students=("./intents", "tiny")).without_paths().students
            ('intents', 'tiny')
        """
        return replace(self, teacher=_shown(self.teacher), students=tuple(map(_shown, self.students)))

    def to_dict(self) -> dict[str, Any]:
        """The settings by name, for JSON."""
        return asdict(self)

    def _require(self, name: str, is_legal: bool, legal: str) -> None:
        if not is_legal:
            raise DataError(f"`{name}` must be {legal}. Received: {getattr(self, name)!r}")


def _shown(preset: str) -> str:
    return Path(preset).resolve().name if "://" not in preset and Path(preset).exists() else preset
