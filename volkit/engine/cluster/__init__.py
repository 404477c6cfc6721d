"""Clusters: where a job's blocks run, how they are started, and who may reach them."""

from volkit.engine.cluster.connect import connected_client
from volkit.engine.cluster.local import local_client
from volkit.engine.cluster.options import ClusterOptions

__all__ = ["ClusterOptions", "connected_client", "local_client"]
