"""The workers of a training: read from TF_CONFIG, met before TensorFlow connects them, explained when they end."""

import errno
import io
import json
import socket
import threading
from contextlib import ExitStack

import pytest

from edgedistil.cli.border import EXIT_WORKER
from edgedistil.cli.local_workers import Worker, explain
from edgedistil.training.cluster import Cluster, local_cluster_variable, read_cluster
from edgedistil.training.meeting import meet
from edgedistil_runtime.errors import InputError, WorkerError

TASK = {"type": "worker", "index": 0}


def read(config):
    return read_cluster({"TF_CONFIG": config if isinstance(config, str) else json.dumps(config)})


@pytest.mark.parametrize(
    "config",
    [
        "",
        " ",
        "{}",
        '{"cluster": {}}',
        '{"cluster": null}',
        '{"cluster": {"worker": ["a:1"], "evaluator": ["b:1"]}}',
        '{"cluster": {"master": ["a:1"]}}',
        '{"cluster": {"chief": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
    ],
)
def test_one_process_is_no_cluster(config):
    assert read(config) is None


def test_a_chief_comes_first():
    cluster = {"chief": ["a:1"], "worker": ["b:2", "[::1]:3"]}
    found = [
        read({"cluster": cluster, "task": {"type": kind, "index": n}}) for kind, n in (("chief", 0), ("worker", 1))
    ]
    assert found[0] == Cluster(("a:1", "b:2", "[::1]:3"), 0)
    assert found[1].index == 2
    assert found[1].host_and_port(2) == ("::1", 3)
    assert (found[0].is_chief, found[1].is_chief, found[1].name()) == (True, False, "worker 2 ([::1]:3)")


def test_an_index_as_text():
    assert read({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": "1"}}).index == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("worker", r"it is not JSON \(.*Received: worker"),
        ("[]", "must be a JSON object"),
        ('{"cluster": 5}', "`cluster` in it another one"),
        ({"cluster": {"worker": "a:1"}}, "a list of addresses for each type"),
        ({"cluster": {"worker": ["a:1", 7]}}, "a list of addresses for each type"),
        ({"cluster": {"worker": ["a:1", "b"]}}, "an address is `host:port`.* Found: 'b'"),
        ({"cluster": {"worker": ["a:1", "b:70000"]}}, "a port from 1 to 65535. Found: 'b:70000'"),
        ({"cluster": {"worker": ["a:1", "b:-1"]}}, "Found: 'b:-1'"),
        ({"cluster": {"worker": ["a:1", ":2"]}}, "Found: ':2'"),
        ({"cluster": {"worker": ["a:1", "a:1"]}, "task": TASK}, "its own address, and a:1 is there twice"),
        ({"cluster": {"worker": ["a:1", "b:1"]}}, "`task` must have the `type` and the `index`"),
        ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker"}}, "`task` must have"),
        ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}, "has worker. Found: 'chief'"),
        ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}, "from 0 to 1, .* Found: 2"),
        ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": -1}}, "from 0 to 1, .* Found: -1"),
        ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": True}}, "Found: True"),
        ({"cluster": {"worker": ["a:1", "b:1"], "ps": ["c:1"]}, "task": TASK}, "not used here. Found: ps"),
        ({"cluster": {"worker": ["a:1", "b:1"], "gpu": ["c:1"]}, "task": TASK}, "other tasks are not used.*: gpu"),
        ({"cluster": {"chief": ["a:1", "b:1"]}, "task": TASK}, "one `chief` at most"),
    ],
)
def test_malformed(config, message):
    with pytest.raises(InputError, match=message) as refused:
        read(config)
    assert "Write it as in {" in str(refused.value)


def test_an_address_of_another_machine(monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    monkeypatch.setattr(socket, "create_server", refuse)  # some systems let a process listen anywhere
    with pytest.raises(InputError, match=r"worker 1 \(192.0.2.2:2222\), and this machine cannot listen there"):
        Cluster(("192.0.2.1:2222", "192.0.2.2:2222"), 1).listen()


def test_an_unknown_host():
    with pytest.raises(InputError, match=r"worker 0 \(nowhere.invalid:2222\), and the host cannot be resolved"):
        Cluster(("nowhere.invalid:2222", "192.0.2.2:2222"), 0).listen()


def test_a_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(InputError, match="another process listens at that port"):
            Cluster((address, "127.0.0.1:1"), 0).listen()


def free_addresses(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return tuple(f"127.0.0.1:{one.getsockname()[1]}" for one in sockets)


def meet_all(clusters, seconds=60):
    """Errors of workers that meet at the same time; None for each that met all."""
    errors = [None] * len(clusters)

    def run(number):
        try:
            meet(clusters[number], seconds=seconds)
        except WorkerError as error:
            errors[number] = str(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(clusters))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_all_meet():
    addresses = free_addresses(3)
    assert meet_all([Cluster(addresses, number) for number in range(3)]) == [None] * 3


def test_a_missing_worker_is_named():
    addresses = free_addresses(3)
    errors = meet_all([Cluster(addresses, number) for number in (0, 2)], seconds=1)
    for number, error in zip((0, 2), errors, strict=True):
        assert error.startswith(f"worker {number} ({addresses[number]}) waited 1 s for worker 1 ({addresses[1]}). ")
    assert errors[0].endswith("start this one again")


def test_another_list_of_workers():
    addresses = free_addresses(2)
    errors = meet_all([Cluster(addresses, 0), Cluster((*addresses, "127.0.0.1:1"), 1)])
    assert any("must have the same `cluster` in TF_CONFIG" in (error or "") for error in errors)


def test_a_stranger_at_the_port_is_no_worker():
    addresses = free_addresses(2)
    ended = threading.Event()

    def knock():
        while not ended.is_set():
            try:
                with socket.create_connection(Cluster(addresses, 1).host_and_port(0), timeout=1) as connection:
                    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    connection.recv(1)
            except OSError:
                pass

    stranger = threading.Thread(target=knock)
    stranger.start()
    try:
        assert meet_all([Cluster(addresses, number) for number in range(2)]) == [None, None]
    finally:
        ended.set()
        stranger.join()


class Ended:
    """A process that has ended."""

    def __init__(self, code):
        self._code = code

    def poll(self):
        return self._code


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([0, 0], ""),
        ([EXIT_WORKER, -9], "worker 1 of 2 was ended by the signal SIGKILL: the last words"),
        ([-11, EXIT_WORKER], "worker 0 of 2 was ended by the signal SIGSEGV"),
        ([EXIT_WORKER, 1], "worker 1 of 2 ended with the exit code 1: the last words"),
        ([EXIT_WORKER, 0], f"worker 0 of 2 ended with the exit code {EXIT_WORKER}"),
    ],
)
def test_the_reason_is_the_worker_that_ended_first(codes, message):
    logs = [None, io.BytesIO(b"many\nwords\n\nthe last words\n")]
    workers = [Worker(Ended(code), log) for code, log in zip(codes, logs, strict=True)]
    assert explain(workers).replace("many\nwords\n\n", "") == message


def test_a_worker_that_had_to_be_ended():
    workers = [Worker(Ended(EXIT_WORKER)), Worker(Ended(-9), io.BytesIO(), is_ended=True)]
    assert explain(workers) == "worker 1 of 2 did not answer and was ended"


def test_the_variable_of_local_workers():
    assert read(local_cluster_variable([2222, 2223], 1)) == Cluster(("127.0.0.1:2222", "127.0.0.1:2223"), 1)
