"""Keeps the output of converters (progress bars, sizes, advice) off the terminal."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

__all__ = ["quiet"]

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Redirect stdout and stderr to debug messages of this module's logger for the time of a `with` block.

    Also filters a warning of litert-quantizer, on the root logger, that it overwrites a bias that several signatures
    share. Here a site has one range in all signatures, so the same numbers are written again.

    Example:
        >>> with quiet():
        ...     print("this is not shown")
    """
    captured, root = io.StringIO(), logging.getLogger()
    root.addFilter(_is_of_interest)
    try:
        with contextlib.redirect_stdout(captured), contextlib.redirect_stderr(captured), warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*experimental_preserve_all_tensors.*")  # that it needs memory
            yield
    finally:
        root.removeFilter(_is_of_interest)
    for line in captured.getvalue().splitlines():
        _log.debug("%s", line)


def _is_of_interest(record: logging.LogRecord) -> bool:
    return "overriding other previously quantized data" not in record.getMessage()
