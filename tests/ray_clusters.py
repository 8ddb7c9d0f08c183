"""A Ray cluster of two nodes on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.cluster_utils import Cluster

_NODE = {"num_cpus": 2, "include_dashboard": False}
_HEAD = {"include_log_monitor": False, "no_monitor": True}  # processes that only print, or add nodes
_SYSTEM = {
    **{"health_check_initial_delay_ms": 0, "health_check_period_ms": 200},  # a loss is noticed in one second, not in 14
    "prestart_worker_first_driver": False,
}


@contextmanager
def two_nodes(**second: Any) -> Iterator[Cluster]:
    """Start two nodes of two CPUs. The second has further settings, such as `num_gpus=1`."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args={**_NODE, **_HEAD, "_system_config": _SYSTEM})
    try:
        cluster.add_node(**_NODE, **second)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def lose_second_node(cluster: Cluster) -> None:
    """End the processes of the second node at once."""
    cluster.remove_node(next(node for node in cluster.list_all_nodes() if not node.head), allow_graceful=False)
