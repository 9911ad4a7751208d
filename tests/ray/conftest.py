"""A Ray cluster of two nodes on this machine, and a classifier for it.

`make test-ray` runs these tests in an environment that has Ray, `.venv-ray`. In another one they are skipped.
"""

import os

import pytest

from ..edgedistil.conftest import artifact, model  # noqa: F401  (fixtures)

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


@pytest.fixture(scope="session")
def cluster():
    """Address of a cluster whose nodes have two processor slots each; this process is connected to it."""
    import ray
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 2, "object_store_memory": 150 << 20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=node)
    made.add_node(num_cpus=2, object_store_memory=150 << 20)
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    yield made.address
    ray.shutdown()
    made.shutdown()
