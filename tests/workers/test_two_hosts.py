"""Two hosts that are joined by a cable train together; see `tests/two_hosts.py`."""

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from edgedistil_runtime.child_process import python_environment

from ..two_hosts import ADDRESSES, hosts  # noqa: F401  (a fixture)
from .cases import CASES, run
from .conftest import LIMIT_SECONDS

NAMES = ["one label", "several labels"]
TOLERANCE = 1e-5


def test_two_hosts_train_what_one_process_trains(hosts, tmp_path):  # noqa: F811
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
