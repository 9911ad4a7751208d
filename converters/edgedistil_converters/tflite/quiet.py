"""Converters print progress bars, sizes and advice; a library does not."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

__all__ = ["quiet"]

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps what converters print off the caller's stdout and stderr, and logs it as debug messages.

    litert-quantizer also warns on the root logger that a bias which signatures share is quantized once for each: ours
    have one range at a site in all signatures, so that the same numbers are written twice.
    """
    captured, root = io.StringIO(), logging.getLogger()
    root.addFilter(_is_of_interest)
    try:
        with contextlib.redirect_stdout(captured), contextlib.redirect_stderr(captured), warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*experimental_preserve_all_tensors.*")  # that calibration takes memory
            yield
    finally:
        root.removeFilter(_is_of_interest)
    for line in captured.getvalue().splitlines():
        _log.debug("%s", line)


def _is_of_interest(record: logging.LogRecord) -> bool:
    return "overriding other previously quantized data" not in record.getMessage()
