"""Where graphs run: a cluster is a name in the configuration, never code of ours."""

from .check import missing
from .connection import Connection, connect
from .entry import cluster_names, find
from .gather import computed, mapped

__all__ = ["Connection", "cluster_names", "computed", "connect", "find", "mapped", "missing"]
