"""The flag of each parameter: library code names parameters in its messages, the command line shows flags."""

import re
from collections.abc import Mapping

__all__ = ["FLAGS", "with_flags"]

FLAGS: Mapping[str, str] = {
    "accelerator": "--accelerator",
    "accumulated_batches": "--accumulate",
    "augmented_per_text": "--augment",
    "baseline": "--baseline",
    "batch_size": "--batch-size",
    "budget_mb": "--budget-mb",
    "budget_ms": "--budget-ms",
    "calibrate_scores": "--calibrate-scores",
    "calibration_texts": "--calibration-data",
    "class_weights": "--class-weights",
    "column_prefix": "--column-prefix",
    "delimiter": "--delimiter",
    "device": "--device",
    "distillation_loss": "--distillation-loss",
    "dropout": "--dropout",
    "engine": "--engine",
    "epochs": "--epochs",
    "fallback": "--fallback",
    "fixed_lengths": "--fixed-lengths",
    "force": "--force",
    "from_teacher": "--from-teacher",
    "hidden_loss": "--hidden-loss",
    "in_scope_kept": "--in-scope-kept",
    "input": "--input",
    "int4_scales": "--int4-scales",
    "interface": "--tokenizer",
    "is_jit_compiled": "--jit-compile",
    "is_resumed": "--resume",
    "keep_failed": "--keep-failed",
    "label": "--label",
    "label_column": "--label-column",
    "label_columns": "--label-columns",
    "label_separator": "--label-separator",
    "label_smoothing": "--label-smoothing",
    "labels": "--labels",
    "layer_decay": "--layer-decay",
    "layers": "--layer",
    "learning_rate": "--learning-rate",
    "long_texts": "--long-texts",
    "max_accuracy_loss": "--max-accuracy-loss",
    "metadata": "--metadata",
    "min_agreement": "--min-agreement",
    "monitor": "--monitor",
    "oldest_runtime": "--oldest-runtime",
    "output": "--output",
    "password": "--password-env",
    "patience": "--patience",
    "pooling": "--pooling",
    "preset": "--preset",
    "private_key": "--key",
    "pruning_texts": "--prune-vocabulary",
    "public_key": "--public-key",
    "scheme": "--quantize",
    "schemes": "--quantize",
    "seed": "--seed",
    "sequence_length": "--sequence-length",
    "strip_labels": "--strip-labels",
    "students": "--student",
    "takes_text_pair": "--text-pair",
    "target": "--target",
    "teacher": "--teacher",
    "teacher_answers": "--teacher-answers",
    "teacher_share": "--teacher-share",
    "temperature": "--temperature",
    "text_column": "--text-column",
    "text_pair_column": "--text-pair-column",
    "token_dropout": "--token-dropout",
    "tokenizer": "--tokenizer",
    "training": "--train-data",
    "top": "--top",
    "unknown_label": "--unknown-label",
    "unknown_texts": "--unknown-data",
    "unlabelled": "--unlabelled",
    "validation": "--validation-data",
    "validation_fraction": "--validation-fraction",
    "vector_loss": "--vector-loss",
    "verification_texts": "--verification-data",
    "vocabulary_size": "--vocabulary-size",
    "within": "--within",
    "workers": "--workers",
}
"""Parameter of a library call -> flag of the commands that pass it on."""

_PARAMETER = re.compile(r"`([a-z][a-z_]*)`")


def with_flags(message: str) -> str:
    """Replaces each parameter in backticks by its flag; words in backticks that are no parameter stay.

    Example:
        >>> with_flags("Pass `calibration_texts`, or use another `scheme`.")
        'Pass --calibration-data, or use another --quantize.'
        >>> with_flags("See `edgedistil` and `unheard_of`.")
        'See `edgedistil` and `unheard_of`.'
    """
    return _PARAMETER.sub(lambda match: FLAGS.get(match.group(1), match.group(0)), message)
