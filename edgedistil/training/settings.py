"""Settings of a training run: a frozen value, checked when it is made, written into training.json unchanged.

This module imports no TensorFlow, so the command line can show the defaults in its help.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from edgedistil_runtime.errors import DataError
from edgedistil_runtime.pieces import CUT, LONG_TEXTS

__all__ = [
    "FINE_TUNING",
    "FROM_SCRATCH",
    "TrainingSettings",
    "fine_tuning_rate",
    "from_scratch_settings",
    "multi_label_settings",
]


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Settings of a training run.

    Attributes:
        epochs: Number of passes over the data, at most.
        batch_size: Texts in a step.
        accumulated_batches: Steps whose gradients are averaged before the weights change; 1 changes them every step.
        learning_rate: Peak of the learning rate, reached after the warm-up; it falls to 0 by the last step. `None` is
            `fine_tuning_rate` of the backbone's width.
        layer_decay: Factor of the learning rate from a layer to the one below it (https://arxiv.org/abs/1801.06146).
        warmup_fraction: Share of all steps in which the learning rate rises.
        weight_decay: Decay of AdamW (https://arxiv.org/abs/1711.05101), on matrices only.
        clip_norm: Global norm to which gradients are clipped.
        label_smoothing: Share of the target spread over all classes (https://arxiv.org/abs/1512.00567); `None` is 0.1,
            and 0 with fewer than 30 texts a class or with several labels for a text.
        token_dropout: Share of the tokens that training replaces by `[UNK]`, drawn anew in every epoch
            (word dropout, https://aclanthology.org/P15-1162), so that no single word decides.
        dropout: Dropout rate of the head, and of a backbone that is built from scratch.
        sequence_length: Tokens, `[CLS]` and `[SEP]` among them, that a text is cut to.
        long_texts: What is read of a text with more tokens, as in `TextClassifier`. With `windows`, each piece is an
            example with its text's label, and validation averages the probabilities of a text's pieces.
        seed: Seed of the weights, the shuffling, the dropout and the split.
        patience: Epochs without a better validation result after which training stops.
        monitor: Validation metric that chooses the best epoch: `macro_f1`, `accuracy`, or with several labels for a
            text `micro_f1` (the loss decides a tie), or `loss`.
        class_weights: `balanced` gives every class the same share of the loss, `none` every text.
        validation_fraction: Share of the training data to hold out if no validation data are given; 0 trains on all of
            them, for a fixed number of epochs; `None` is 0 with fewer than 30 texts a class, and 0.1 with more.
        pooling: What a new head of a pretrained backbone reads: the `first` token, or the `mean` over all tokens, which
            is one more layer; `auto` is `mean` for sentence encoders trained on it, and `first` for others.
        temperature: Number by which logits are divided before the teacher's and the student's probabilities are
            compared; above 1, unlikely classes count more (https://arxiv.org/abs/1503.02531, section 2). A teacher
            that was trained with label smoothing is flat enough at 1 (https://arxiv.org/abs/1906.02629). Read only
            with soft targets.
        teacher_share: Share of the teacher in the loss of a text with a label; the rest is the cross-entropy with the
            label. Read only with soft targets.
        distillation_loss: `kl`, the divergence of the probabilities times the square of the temperature, or `mse`, the
            mean square of the differences of the logits (https://arxiv.org/abs/1903.12136), without a temperature.
            Read only with soft targets.
        vector_loss: Weight, beside the loss of a text, of the difference between what the student's head reads,
            through a linear map that is learned with it, and what the teacher's head reads (as hidden states in
            https://arxiv.org/abs/1909.10351): mean square, as a share of the variance of the teacher's. It needs soft
            targets with `vectors`.
        hidden_loss: Weight, beside the loss of a text, of the differences after the inner layers: of the mean over the
            tokens after each layer of the student but the last one, whose output its head reads, through a linear map
            for each layer, and that after a layer of the teacher, evenly chosen (https://arxiv.org/abs/1909.10351,
            section 3, which compares each token). Mean square, as a share of the variance of the teacher's, averaged
            over the layers. It needs soft targets with `hidden`.
        is_backbone_frozen: Train only the head.
        is_jit_compiled: Compile with XLA; every batch then has the full sequence length.

    Example:
        >>> TrainingSettings(epochs=2).to_dict()["learning_rate"]
        5e-05
        >>> TrainingSettings(dropout=1.0)
        Traceback (most recent call last):
        edgedistil_runtime.errors.DataError: `dropout` must be from 0 up and below 1. Received: 1.0
    """

    epochs: int = 4
    batch_size: int = 32
    accumulated_batches: int = 1
    learning_rate: float | None = 5e-5
    layer_decay: float = 1.0
    warmup_fraction: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    label_smoothing: float | None = 0.0
    token_dropout: float = 0.0
    dropout: float = 0.1
    sequence_length: int = 128
    long_texts: str = CUT
    seed: int = 0
    patience: int = 2
    monitor: Literal["macro_f1", "accuracy", "loss", "micro_f1"] = "macro_f1"
    class_weights: Literal["none", "balanced"] = "none"
    validation_fraction: float | None = None
    pooling: Literal["auto", "first", "mean"] = "auto"
    temperature: float = 1.0
    teacher_share: float = 0.9
    distillation_loss: Literal["kl", "mse"] = "kl"
    vector_loss: float = 0.0
    hidden_loss: float = 0.0
    is_backbone_frozen: bool = False
    is_jit_compiled: bool = False

    def __post_init__(self) -> None:
        for name, lowest in (
            ("epochs", 1),
            ("batch_size", 1),
            ("accumulated_batches", 1),
            ("sequence_length", 3),
            ("seed", 0),
            ("patience", 1),
        ):
            self._require(name, getattr(self, name) >= lowest, f"a whole number from {lowest} up")
        for name in ("clip_norm", "temperature"):
            self._require(name, 0 < getattr(self, name) < float("inf"), "a number above 0")
        rate = self.learning_rate
        self._require("learning_rate", rate is None or 0 < rate < float("inf"), "a number above 0, or None")
        for name in ("warmup_fraction", "weight_decay", "token_dropout", "dropout"):
            self._require(name, 0 <= getattr(self, name) < 1, "from 0 up and below 1")
        smoothing, fraction = self.label_smoothing, self.validation_fraction
        self._require("label_smoothing", smoothing is None or 0 <= smoothing < 1, "from 0 up and below 1, or None")
        self._require("validation_fraction", fraction is None or 0 <= fraction < 1, "from 0 up and below 1, or None")
        self._require("long_texts", self.long_texts in LONG_TEXTS, f"one of {', '.join(LONG_TEXTS)}")
        self._require("pooling", self.pooling in ("auto", "first", "mean"), "auto, first or mean")
        self._require("teacher_share", 0 <= self.teacher_share <= 1, "from 0 to 1")
        self._require("distillation_loss", self.distillation_loss in ("kl", "mse"), "kl or mse")
        for name in ("vector_loss", "hidden_loss"):
            self._require(name, 0 <= getattr(self, name) < float("inf"), "a number from 0 up")
            compiled = getattr(self, name) > 0 and self.is_jit_compiled
            self._require(name, not compiled, "0 if the training is compiled with XLA (`is_jit_compiled`)")
        self._require("layer_decay", 0 < self.layer_decay <= 1, "above 0 and at most 1")
        monitors = ("macro_f1", "accuracy", "loss", "micro_f1")
        self._require("monitor", self.monitor in monitors, "macro_f1, accuracy, loss or micro_f1")
        self._require("class_weights", self.class_weights in ("none", "balanced"), "none or balanced")

    def to_dict(self) -> dict[str, Any]:
        """The settings by name, for JSON."""
        return asdict(self)

    def with_rate(self, hidden_dim: int) -> "TrainingSettings":
        """The settings for a backbone of a width, with a learning rate that is a number.

        Example:
            >>> FINE_TUNING.with_rate(384).learning_rate, TrainingSettings().with_rate(384).learning_rate
            (0.0001, 5e-05)
        """
        if self.learning_rate is not None:
            return self
        return replace(self, learning_rate=fine_tuning_rate(hidden_dim))

    def _require(self, name: str, is_legal: bool, legal: str) -> None:
        if not is_legal:
            raise DataError(f"`{name}` must be {legal}. Received: {getattr(self, name)!r}")


FINE_TUNING = TrainingSettings(epochs=6, learning_rate=None, label_smoothing=None, patience=6)
"""Defaults for a pretrained backbone; docs/training.md has what was measured of them."""

_RATE_OF_FINE_TUNING, _WIDTH_OF_FINE_TUNING = 1e-4, 384  # of all_minilm_l6_v2_en, on which it was chosen
_HIGHEST_RATE = 1e-3


def fine_tuning_rate(hidden_dim: int) -> float:
    """Learning rate for a pretrained backbone: it falls with the square of the width.

    At the width of a base BERT, 768, it is 2.5e-5, within the 2e-5 to 5e-5 of its authors
    (https://arxiv.org/abs/1810.04805, appendix A.3); docs/training.md has what was measured of narrower ones.

    Example:
        >>> [float(f"{fine_tuning_rate(width):.1e}") for width in (64, 128, 256, 384, 768)]
        [0.001, 0.0009, 0.00023, 0.0001, 2.5e-05]
    """
    return min(_HIGHEST_RATE, _RATE_OF_FINE_TUNING * (_WIDTH_OF_FINE_TUNING / hidden_dim) ** 2)


_RATE_OF_FROM_SCRATCH = 1e-3

FROM_SCRATCH = TrainingSettings(
    epochs=12, batch_size=64, learning_rate=_RATE_OF_FROM_SCRATCH, token_dropout=0.15, patience=4
)
"""Defaults for a backbone of width 128 with random weights, from measurements on snips and sms_spam."""

_WIDTH_OF_FROM_SCRATCH = 128


def from_scratch_settings(hidden_dim: int) -> TrainingSettings:
    """`FROM_SCRATCH` for a backbone of another width.

    The learning rate falls with the width: at width 256, 1e-3 leaves a classifier of sms_spam with the most frequent
    class (accuracy 0.88, macro-F1 0.61).

    Example:
        >>> from_scratch_settings(128).learning_rate, from_scratch_settings(512).learning_rate
        (0.001, 0.00025)
    """
    scale = min(1.0, _WIDTH_OF_FROM_SCRATCH / hidden_dim)
    return replace(FROM_SCRATCH, learning_rate=_RATE_OF_FROM_SCRATCH * scale)


def multi_label_settings(settings: TrainingSettings) -> TrainingSettings:
    """Settings for texts with several labels: the best epoch by micro-F1, and no label smoothing.

    Example:
        >>> multi_label_settings(FINE_TUNING).monitor
        'micro_f1'
    """
    return replace(settings, monitor="micro_f1", label_smoothing=0.0)
