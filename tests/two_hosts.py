"""Two hosts that are joined by a cable: network namespaces and a pair of virtual interfaces.

It needs the right to make network namespaces, which `tools/loopback_only.sh` gives in the namespace that it makes, if
this system lets its users do so, and iproute2 and util-linux of Debian.
"""

import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

ADDRESSES = ("10.77.0.1", "10.77.0.2")


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
            stack.callback(holder.wait)
            stack.callback(holder.kill)  # the last callback comes first
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
