"""Hide the log that native libraries write to the terminal.

LiteRT and TensorFlow log from C++ to file descriptor 2, whatever the logging level in Python.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["native_log_hidden"]


@contextmanager
def native_log_hidden() -> Iterator[None]:
    """Redirect file descriptor 2 and show its output only if the block raises an exception.

    For command lines, because it affects the whole process with all threads.

    Example:
        >>> with native_log_hidden():
        ...     written = os.write(2, b"INFO: from C++")
        >>> written
        14
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as output:
        os.dup2(output.fileno(), 2)
        try:
            yield
        except BaseException as error:
            os.dup2(saved, 2)
            if not isinstance(error, KeyboardInterrupt):
                output.seek(0)
                os.write(2, output.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
