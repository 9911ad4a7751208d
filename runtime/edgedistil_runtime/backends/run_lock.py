"""Locks for what runs one text at a time; after a fork, none of them is held.

A child of `os.fork` inherits a lock in its state, but not the thread that would release it, so that the child would
wait forever. A fork therefore waits until no run is in progress, as Python's `logging` does.
"""

from __future__ import annotations

import os
import threading
import weakref

__all__ = ["run_lock"]

_locks: weakref.WeakSet[threading.Lock] = weakref.WeakSet()
_taken: list[threading.Lock] = []  # locks held by the fork in progress


def run_lock() -> threading.Lock:
    """Return a lock that a fork acquires before and releases after, in the parent and in the child.

    Example:
        >>> with run_lock() as is_held:
        ...     is_held
        True
    """
    lock = threading.Lock()
    _locks.add(lock)
    return lock


def _acquire_all() -> None:
    for lock in list(_locks):
        lock.acquire()
        _taken.append(lock)


def _release_all() -> None:
    while _taken:
        _taken.pop().release()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(before=_acquire_all, after_in_parent=_release_all, after_in_child=_release_all)
