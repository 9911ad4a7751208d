"""A Ray cluster of two hosts that are joined by a cable; see `tests/two_hosts.py`."""

import contextlib
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from edgedistil.labelling import LabellingRequest, label_file
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.child_process import python_environment

from ..edgedistil.labelling_files import TEXTS, write_rows
from ..two_hosts import ADDRESSES, hosts  # noqa: F401  (a fixture)

pytest.importorskip("ray", reason="Ray is not installed here; run `make test-ray`")

RAY = str(Path(sys.executable).with_name("ray"))
PREDICT = (sys.executable, "-m", "edgedistil", "predict", "--engine", "ray")
HEAD = f"{ADDRESSES[0]}:6400"
LIMIT_SECONDS = 240
ROWS = [{"id": str(number), "text": f"{TEXTS[number % len(TEXTS)]} {number}"} for number in range(9000)]


def run(host, *command, **variables):
    """Runs a command on a host, as a user who has a home there."""
    environment = {**python_environment(), "RAY_USAGE_STATS_ENABLED": "0", **variables}
    command = [*host.inside, *map(str, command)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)


@pytest.fixture
def cluster(hosts, tmp_path_factory):  # noqa: F811
    """Starts Ray on both hosts with a token, as its command line does; variables that know the token."""
    folder = tmp_path_factory.mktemp("r")  # short, because sockets are below it
    token = folder / "token"
    token.write_text("5" * 64)
    variables = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    size = ("--num-cpus=2", "--object-store-memory=100000000", "--disable-usage-stats")
    starts = [("--head", "--port=6400", "--include-dashboard=false"), (f"--address={HEAD}",)]
    try:
        for host, address, options in zip(hosts, ADDRESSES, starts, strict=True):
            place = (f"--node-ip-address={address}", f"--temp-dir={folder / address[-1]}")
            done = run(host, RAY, "start", *options, *place, *size, **variables)
            assert done.returncode == 0, done.stdout + done.stderr
        yield variables
    finally:
        # `ray stop` would end the cluster of the other tests too, and this process with it.
        for process in psutil.process_iter(["cmdline"]):
            if str(folder) in " ".join(process.info["cmdline"] or []):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()


def test_two_hosts_label_what_one_process_labels(hosts, cluster, model, tmp_path):  # noqa: F811
    source, output, local = tmp_path / "in.csv", tmp_path / "out.csv", tmp_path / "local.csv"
    write_rows(source, ROWS)
    label_file(LabellingRequest(model, source, local), TextClassifier)
    before = [host.sent_bytes() for host in hosts]
    arguments = (model, "--input", source, "-o", output, "--workers", 3)
    done = run(hosts[0], *PREDICT, *arguments, RAY_ADDRESS=HEAD, **cluster)
    assert done.returncode == 0, done.stdout + done.stderr
    assert output.read_bytes() == local.read_bytes()
    # The model and a third of the blocks, at least, go from the first host to the second; labelled blocks come back.
    sent = [host.sent_bytes() - bytes_before for host, bytes_before in zip(hosts, before, strict=True)]
    assert sent[0] > model.stat().st_size
    assert sent[1] > local.stat().st_size / 10


def test_a_cluster_with_a_token_is_refused_without_it(hosts, cluster, model, tmp_path):  # noqa: F811
    source = tmp_path / "in.csv"
    write_rows(source, ROWS[:10])
    arguments = (model, "--input", source, "-o", tmp_path / "out.csv")
    done = run(hosts[0], *PREDICT, *arguments, RAY_ADDRESS=HEAD, RAY_AUTH_MODE="disabled")
    assert done.returncode == 1
    assert "If it has a token (~/.ray/auth_token of its head node), set RAY_AUTH_MODE=token" in done.stderr
    assert not list(tmp_path.glob("out*"))
