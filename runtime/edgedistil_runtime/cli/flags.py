"""Flags of the command line for the parameters that error messages of the library name in backticks."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from edgedistil_runtime.serving.limits import ServingLimits

__all__ = ["FLAGS", "with_flags"]

_LIMITS = [field.name for field in dataclasses.fields(ServingLimits)]
FLAGS: Mapping[str, str] = {
    "accelerator": "--accelerator",
    "allowed_hosts": "--allowed-host",
    "device": "--device",
    "fallback": "--fallback",
    "host": "--host",
    "long_texts": "--long-texts",
    "num_threads": "--num-threads",
    "port": "--port",
    "public_key": "--public-key",
    **{name: f"--{name.replace('_', '-')}" for name in _LIMITS},
    # Of `edgedistil convert`, after "Convert again with".
    "fixed_lengths": "--fixed-lengths",
    "takes_text_pair": "--text-pair",
    "target": "--target",
    "tokenizer": "--tokenizer",
}
_PARAMETER = re.compile("`([a-z_]+)`")


def with_flags(message: str) -> str:
    """Replace every parameter in backticks by its flag; other words in backticks stay.

    Example:
        >>> with_flags("`max_texts` must be greater than 0. See `edgedistil inspect`.")
        '--max-texts must be greater than 0. See `edgedistil inspect`.'
        >>> with_flags("Use `accelerator`='cpu', or allow `fallback`.")
        "Use --accelerator='cpu', or allow --fallback."
    """
    return _PARAMETER.sub(lambda match: FLAGS.get(match.group(1), match.group(0)), message)
