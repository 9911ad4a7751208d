"""Ray: the library, a connection to a cluster or a local one, and the processor slots of a pool of actors."""

import importlib.util
import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edgedistil_runtime.errors import BackendError, EdgeDistilError, InputError
from edgedistil_runtime.native_log import native_log_hidden

__all__ = ["Cluster", "check_slots", "connected", "import_ray", "portable_options"]

_logger = logging.getLogger(__name__)

_ADDRESS = "RAY_ADDRESS"
_PATIENCE = 10.0  # seconds to wait for a connection
_OBJECT_STORE = 512 << 20  # bytes of a local cluster's shared memory; the default is 30 % of the machine's


@dataclass(frozen=True)
class Cluster:
    """A connected cluster.

    Attributes:
        workers: Actors that each hold the model.
        is_local: True if it was started for this run, on this machine.
    """

    workers: int
    is_local: bool


def import_ray() -> Any:
    """Imports Ray with Ray Data.

    Raises:
        EdgeDistilError: It is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise EdgeDistilError(
            "Labelling with several processes (`engine` ray) needs Ray, which is not installed. Install the extra: pip "
            "install edgedistil[ray], or pip install ./runtime ./converters '.[ray]' in a checkout"
        )
    # Ray would report statistics of its use to its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:  # Ray without the extra [data]
        raise EdgeDistilError(
            f"Ray is installed without what Ray Data needs: {error}. Install the extra: pip install edgedistil[ray]"
        ) from error
    return ray


def portable_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `TextClassifier` for another machine: a public key as its content.

    Example:
        >>> _ = Path("key.pub").write_bytes(b"PEM")
        >>> portable_options({"public_key": "key.pub", "num_threads": 2})
        {'public_key': b'PEM', 'num_threads': 2}
    """
    key = options.get("public_key")
    if key is None or isinstance(key, bytes) or not Path(key).is_file():  # the classifier reports that there is none
        return dict(options)
    return {**options, "public_key": Path(key).read_bytes()}


@contextmanager
def connected(workers: int | None = None) -> Iterator[Cluster]:
    """Connects to the cluster that the process uses already, to that of the variable `RAY_ADDRESS`, or starts one here.

    Args:
        workers: Actors; None is one for each processor that this process may use, or, in a cluster, for each slot but
            one.

    Yields:
        The cluster. One that was started here ends with the block.

    Raises:
        BackendError: The cluster cannot be reached, or it has other versions of Ray or Python.
        InputError: It has fewer slots than workers.
    """
    ray = import_ray()
    address = os.environ.get(_ADDRESS)
    if ray.is_initialized():
        yield _measured(ray, workers)
        return
    handler = signal.getsignal(signal.SIGTERM)
    count = workers or _processors()
    try:
        _connect(ray, address, count)
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and handler is not None and signal.getsignal(signal.SIGTERM) is not handler:
            signal.signal(signal.SIGTERM, handler)  # Ray has replaced the one of the command line
        if address:
            yield _measured(ray, workers)
        else:
            yield Cluster(count, is_local=True)
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str | None, slots: int) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address:
            _check_reachable(address)
            ray.init(address=address, **options)
        else:
            # Ray's core logs an error for every pool of actors that Ray Data makes: its arguments may go out of scope.
            os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
            with native_log_hidden():  # a line about this level
                ray.init(
                    address="local",
                    num_cpus=slots,
                    object_store_memory=_OBJECT_STORE,
                    include_dashboard=False,
                    **options,
                )
    except (ConnectionError, RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
        raise BackendError(_explained(error, address)) from error


def _check_reachable(address: str) -> None:
    """Raises OSError if nothing listens at an address; Ray would wait for it for minutes."""
    place = urlsplit(address if "://" in address else f"//{address}")
    if place.hostname and place.port:
        socket.create_connection((place.hostname, place.port), timeout=_PATIENCE).close()


def _processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _explained(error: Exception, address: str | None) -> str:
    message = " ".join(str(error).split())
    if "ersion mismatch" in message:
        return (
            f"The cluster at {address} (the variable {_ADDRESS}) has another version of Ray or Python than this "
            f"process. Install the same ones, here or there. Received: {message}"
        )
    if address:
        return (
            f"No Ray cluster can be reached at {address} (the variable {_ADDRESS}). Correct the variable, or remove it "
            "to start a cluster on this machine. If it has a token (~/.ray/auth_token of its head node), set "
            f"RAY_AUTH_MODE=token. Received: {message}"
        )
    return f"A Ray cluster cannot be started on this machine. Received: {message}"


def _measured(ray: Any, workers: int | None) -> Cluster:
    """The cluster with as many actors as asked for, if they fit."""
    total = float(ray.cluster_resources().get("CPU", 0))
    count = workers or max(1, math.floor(total) - 1)
    free = float(ray.available_resources().get("CPU", 0))
    check_slots(count, 1.0, total, reading=0)
    if free < count:
        _logger.warning("%d workers wait: %g of the cluster's %g processor slots are free", count, free, total)
    return Cluster(count, is_local=False)


def check_slots(workers: int, slots: float, total: float, *, reading: float) -> None:
    """Checks that a pool of actors fits into a cluster beside the stages that read its rows.

    Without slots for those, Ray starts the actors and waits for rows without end.

    Args:
        workers: Actors.
        slots: Slots that an actor takes (`num_cpus`).
        total: Slots of the cluster.
        reading: Slots to leave free.

    Raises:
        InputError: The actors do not fit.

    Example:
        >>> check_slots(4, 0.5, total=4, reading=1)
        >>> check_slots(4, 1.0, total=4, reading=1)
        Traceback (most recent call last):
        edgedistil_runtime.errors.InputError: 4 workers (`workers`) of 1 processor slots each (`num_cpus`) and 1 for ...
    """
    if workers < 1:
        raise InputError(f"`workers` must be at least 1. Received: {workers}")
    if workers * slots + reading > total:
        most = math.floor((total - reading) / slots)
        raise InputError(
            f"{workers} workers (`workers`) of {slots:g} processor slots each (`num_cpus`) and {reading:g} for the "
            f"stages that read do not fit into the {total:g} slots of this Ray cluster: the job would never end. Use "
            + (f"at most {most} workers" if most > 0 else "a larger cluster")
        )
