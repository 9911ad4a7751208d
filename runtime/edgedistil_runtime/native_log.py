"""Keeps what native libraries write to the terminal away from people who did not ask for it.

LiteRT and TensorFlow log from C++ to file descriptor 2, past every logging level of Python.
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
    """Diverts file descriptor 2, and shows what was written only if something is raised.

    For command lines: it acts on the whole process, other threads included.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as chatter:
        os.dup2(chatter.fileno(), 2)
        try:
            yield
        except BaseException as error:
            os.dup2(saved, 2)
            if not isinstance(error, KeyboardInterrupt):
                chatter.seek(0)
                os.write(2, chatter.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
