"""The flag of each parameter: library code names parameters in its messages, the command line shows flags."""

import re
from collections.abc import Mapping

__all__ = ["FLAGS", "with_flags"]

FLAGS: Mapping[str, str] = {
    "accelerator": "--accelerator",
    "augmented_per_text": "--augment",
    "baseline": "--baseline",
    "budget_mb": "--budget-mb",
    "budget_ms": "--budget-ms",
    "calibrate_scores": "--calibrate-scores",
    "calibration_texts": "--calibration-data",
    "column_prefix": "--column-prefix",
    "delimiter": "--delimiter",
    "device": "--device",
    "engine": "--engine",
    "fallback": "--fallback",
    "force": "--force",
    "from_teacher": "--from-teacher",
    "hidden_loss": "--hidden-loss",
    "in_scope_kept": "--in-scope-kept",
    "input": "--input",
    "interface": "--tokenizer",
    "is_resumed": "--resume",
    "class_weights": "--class-weights",
    "label_column": "--label-column",
    "label_columns": "--label-columns",
    "label_separator": "--label-separator",
    "label_smoothing": "--label-smoothing",
    "monitor": "--monitor",
    "keep_failed": "--keep-failed",
    "labels": "--labels",
    "layers": "--layer",
    "learning_rate": "--learning-rate",
    "long_texts": "--long-texts",
    "max_accuracy_loss": "--max-accuracy-loss",
    "metadata": "--metadata",
    "min_agreement": "--min-agreement",
    "oldest_runtime": "--oldest-runtime",
    "output": "--output",
    "password": "--password-env",
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
    "text_column": "--text-column",
    "text_pair_column": "--text-pair-column",
    "tokenizer": "--tokenizer",
    "training": "--train-data",
    "unknown_label": "--unknown-label",
    "workers": "--workers",
    "unknown_texts": "--unknown-data",
    "unlabelled": "--unlabelled",
    "validation": "--validation-data",
    "vector_loss": "--vector-loss",
    "verification_texts": "--verification-data",
    "vocabulary_size": "--vocabulary-size",
    "within": "--within",
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
