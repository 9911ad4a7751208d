"""Two hosts that are joined by a cable: network namespaces and a pair of virtual interfaces.

It needs the right to make network namespaces, which `make test-workers` has in the namespace that it makes first, if
this system lets its users do so, and iproute2 and util-linux of Debian.
"""

import json
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from edgedistil_runtime.child_process import python_environment

from .cases import CASES, run
from .conftest import LIMIT_SECONDS

ADDRESSES = ("10.77.0.1", "10.77.0.2")
NAMES = ["one label", "several labels"]
TOLERANCE = 1e-5


def call(*command):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout


class Host:
    """A network namespace, which lives as long as a process in it.

    Args:
        holder: The process.
        interface: Its end of the cable.
    """

    def __init__(self, holder, interface):
        self.inside = ("nsenter", f"--target={holder.pid}", "--net")
        self._interface = interface

    def sent_bytes(self):
        lines = call(*self.inside, "cat", "/proc/net/dev").splitlines()
        (counts,) = [line.partition(":")[2] for line in lines if line.partition(":")[0].strip() == self._interface]
        return int(counts.split()[8])


@pytest.fixture
def hosts():
    missing = [tool for tool in ("ip", "unshare", "nsenter") if not shutil.which(tool)]
    if missing:
        pytest.skip(f"{', '.join(missing)} of iproute2 and util-linux are not here")
    with ExitStack() as stack:
        holders = []
        for _ in ADDRESSES:
            holder = subprocess.Popen(["unshare", "--net", "sleep", "600"], stderr=subprocess.DEVNULL)
            stack.enter_context(holder)
            stack.callback(holder.kill)  # before it is waited for
            holders.append(holder)
        if not all(is_elsewhere(holder) for holder in holders):
            pytest.skip("this system lets this user make no network namespace")
        call("ip", "link", "add", "cable0", "type", "veth", "peer", "name", "cable1")
        found = []
        for number, (holder, address) in enumerate(zip(holders, ADDRESSES, strict=True)):
            name, host = f"cable{number}", Host(holder, f"cable{number}")
            call("ip", "link", "set", name, "netns", holder.pid)
            call(*host.inside, "ip", "address", "add", f"{address}/24", "dev", name)
            for interface in (name, "lo"):
                call(*host.inside, "ip", "link", "set", interface, "up")
            found.append(host)
        yield found


def is_elsewhere(holder):
    """Waits until a process has its own network namespace; False if it has ended before."""
    namespace, end = Path("/proc/self/ns/net").readlink(), time.monotonic() + 10
    while holder.poll() is None and time.monotonic() < end:
        if Path(f"/proc/{holder.pid}/ns/net").readlink() != namespace:
            return True
        time.sleep(0.02)
    return False


def test_two_hosts_train_what_one_process_trains(hosts, tmp_path):
    workers = [f"{address}:2222" for address in ADDRESSES]
    script, results = Path(__file__).with_name("cases.py"), [tmp_path / f"{number}.json" for number in range(2)]
    started = []
    with ExitStack() as stack:
        for number, host in enumerate(hosts):
            config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": number}}
            environment = {**python_environment(), "TF_CONFIG": json.dumps(config), "TF_CPP_MIN_LOG_LEVEL": "3"}
            command = [*host.inside, sys.executable, str(script), str(results[number]), *NAMES]
            process = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            started.append(process)
        outputs = [process.communicate(timeout=LIMIT_SECONDS)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], "\n".join(outputs)
    first, second = (json.loads(path.read_text(encoding="utf-8")) for path in results)
    assert first == second
    for name in NAMES:
        np.testing.assert_allclose(first[name]["steps"], run(CASES[name])["steps"], rtol=0, atol=TOLERANCE)
    # Each host sends the gradients once in every step: 4 bytes a parameter, and there are more than 3,000.
    steps = sum(len(first[name]["steps"]) for name in NAMES)
    assert all(host.sent_bytes() > steps * 4 * 3_000 for host in hosts)
