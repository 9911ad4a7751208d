"""Locks of what runs one text at a time, which no fork finds taken.

A child of `os.fork` inherits a lock as it is, and not the thread that would give it back: it would wait for ever. So a
fork waits until no run is in progress, as Python's own `logging` does, and the child goes on with a model at rest.
"""

from __future__ import annotations

import os
import threading
import weakref

__all__ = ["run_lock"]

_locks: weakref.WeakSet[threading.Lock] = weakref.WeakSet()
_taken: list[threading.Lock] = []  # by the fork in progress


def run_lock() -> threading.Lock:
    """A lock that a fork takes and gives back on both sides."""
    lock = threading.Lock()
    _locks.add(lock)
    return lock


def _take_all() -> None:
    for lock in list(_locks):
        lock.acquire()
        _taken.append(lock)


def _give_back() -> None:
    while _taken:
        _taken.pop().release()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(before=_take_all, after_in_parent=_give_back, after_in_child=_give_back)
