"""The workers of a training, as the environment variable `TF_CONFIG` names them.

TensorFlow's launchers, and people, set it for each process (https://www.tensorflow.org/guide/distributed_training):

    {"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}

`cluster` is the same for all processes, and `task` is the process itself. A `chief` comes before the workers. This
module imports no TensorFlow.
"""

import errno
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgedistil_runtime.errors import InputError

__all__ = ["VARIABLE", "Cluster", "local_cluster_variable", "read_cluster"]

VARIABLE = "TF_CONFIG"
_TRAINING = ("chief", "worker")  # the tasks that train, in the order of their numbers
_OTHERS = ("ps", "evaluator", "master")
_EXAMPLE = '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}'
_LAST_PORT = 65535


@dataclass(frozen=True)
class Cluster:
    """Processes that train one classifier together.

    Attributes:
        addresses: `host:port` of each, in the order of their numbers; worker 0 writes the result.
        index: Number of this process.

    Example:
        >>> Cluster(("10.0.0.1:2222", "10.0.0.2:2222"), 1).name()
        'worker 1 (10.0.0.2:2222)'
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def size(self) -> int:
        """Number of workers."""
        return len(self.addresses)

    @property
    def is_chief(self) -> bool:
        """True for worker 0, which writes the result."""
        return self.index == 0

    def name(self, index: int | None = None) -> str:
        """A worker as messages name it; without a number, this process."""
        number = self.index if index is None else index
        return f"worker {number} ({self.addresses[number]})"

    def host_and_port(self, index: int) -> tuple[str, int]:
        """A worker's host and port."""
        return _divided(self.addresses[index])

    def listen(self) -> socket.socket:
        """Returns a socket that listens at this process's address.

        Raises:
            InputError: The address is not of this machine or is in use, or its host is unknown.

        Example:
            >>> Cluster(("nowhere.invalid:2222", "192.0.2.2:2222"), 0).listen()
            Traceback (most recent call last):
            edgedistil_runtime.errors.InputError: TF_CONFIG says that this process is worker 0 (nowhere.invalid:...
        """
        host, port = self.host_and_port(self.index)
        says = f"{VARIABLE} says that this process is {self.name()}"
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            return socket.create_server(address[:2], family=family, backlog=self.size)
        except socket.gaierror as error:
            raise InputError(
                f"{says}, and the host cannot be resolved: {error.strerror}. Correct the address"
            ) from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise InputError(
                    f"{says}, and another process listens at that port. End it, or choose another port in {VARIABLE} "
                    "of all workers"
                ) from error
            raise InputError(
                f"{says}, and this machine cannot listen there: {error.strerror}. The address must be one of this "
                "machine's. Correct `index` in `task`, or the address in `cluster`"
            ) from error


def read_cluster(environment: Mapping[str, str] | None = None) -> Cluster | None:
    """Reads the workers that the environment names.

    Args:
        environment: The variables; `None` is those of this process.

    Returns:
        The workers, or `None` if the variable names at most one process that trains.

    Raises:
        InputError: The variable is malformed.

    Example:
        >>> read_cluster({"TF_CONFIG": _EXAMPLE}).addresses
        ('10.0.0.1:2222', '10.0.0.2:2222')
        >>> read_cluster({"TF_CONFIG": _EXAMPLE.replace('"index": 0', '"index": 2')})
        Traceback (most recent call last):
        edgedistil_runtime.errors.InputError: ... `index` of `task` must be from 0 to 1, for 2 processes ...
    """
    content = (os.environ if environment is None else environment).get(VARIABLE, "").strip()
    if not content:
        return None
    try:
        config = json.loads(content)
    except ValueError as error:
        raise _malformed(f"it is not JSON ({error})", content) from error
    if not isinstance(config, dict) or not isinstance(config.get("cluster") or {}, dict):
        raise _malformed("it must be a JSON object, and `cluster` in it another one", content)
    jobs: dict[str, list[str]] = {
        job: _addresses(found, content) for job, found in (config.get("cluster") or {}).items()
    }
    addresses = [address for job in _TRAINING for address in jobs.get(job, ())]
    if len(addresses) + len(jobs.get("master", ())) < 2:  # one process trains
        return None
    _check_jobs(jobs, addresses, content)
    return Cluster(tuple(addresses), _own_number(config.get("task"), jobs, content))


def local_cluster_variable(ports: list[int], index: int) -> str:
    """The variable's content for one of several processes on this machine.

    Example:
        >>> read_cluster({"TF_CONFIG": local_cluster_variable([2222, 2223], 1)}).name()
        'worker 1 (127.0.0.1:2223)'
    """
    workers = [f"127.0.0.1:{port}" for port in ports]
    return json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})


def _check_jobs(jobs: Mapping[str, list[str]], addresses: list[str], content: str) -> None:
    others = [job for job in jobs if job not in _TRAINING and jobs[job]]
    if others:
        known = "parameter servers, evaluators and masters are" if set(others) <= set(_OTHERS) else "other tasks are"
        raise _malformed(
            f"`cluster` must have `worker`, and maybe a `chief`; {known} not used here. Found: {', '.join(others)}",
            content,
        )
    if len(jobs.get("chief", ())) > 1:
        raise _malformed("there must be one `chief` at most", content)
    repeated = sorted({address for address in addresses if addresses.count(address) > 1})
    if repeated:
        raise _malformed(f"each process needs its own address, and {repeated[0]} is there twice", content)


def _own_number(task: Any, jobs: Mapping[str, list[str]], content: str) -> int:
    if not isinstance(task, dict) or "type" not in task or "index" not in task:
        raise _malformed("`task` must have the `type` and the `index` of this process", content)
    kind, index = task["type"], task["index"]
    if kind not in jobs:
        raise _malformed(
            f"`type` of `task` must be in `cluster`, which has {', '.join(jobs)}. Found: {kind!r}", content
        )
    count = len(jobs[kind])
    # Some launchers write a number as a text.
    number = int(index) if isinstance(index, str) and index.isdigit() else index
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < count:
        legal = "0" if count == 1 else f"from 0 to {count - 1}"
        processes = "one process" if count == 1 else f"{count} processes"
        raise _malformed(
            f"`index` of `task` must be {legal}, for {processes} of the type {kind}. Found: {index!r}", content
        )
    return number + (len(jobs.get("chief", ())) if kind == "worker" else 0)


def _addresses(found: Any, content: str) -> list[str]:
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise _malformed("`cluster` must have a list of addresses for each type of process", content)
    for address in found:
        host, port = _divided(address)
        if not host or not 0 < port <= _LAST_PORT:
            raise _malformed(
                f"an address is `host:port`, with a port from 1 to {_LAST_PORT}. Found: {address!r}", content
            )
    return found


def _divided(address: str) -> tuple[str, int]:
    """Host and port; port 0 if it is no number."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port) if port.isascii() and port.isdigit() else 0


def _malformed(reason: str, content: str) -> InputError:
    return InputError(
        f"The environment variable {VARIABLE} does not name the workers of a training: {reason}. Write it as in "
        f"{_EXAMPLE}, or remove it to train in one process. Received: {content:.160}"
    )
