"""Where graphs run: a cluster is a name in the configuration, never code of ours."""

from __future__ import annotations

import contextlib
import importlib
from types import TracebackType
from typing import Any, Self

import dask

from . import config
from .errors import ConfigError


class Connection:
    """A running cluster, or a scheduler of this process; close it, or use it in ``with``."""

    def __init__(self, name: str, stack: contextlib.ExitStack, client: Any = None):
        self.name = name
        self.client = client
        self._stack = stack

    def close(self) -> None:
        """Stop what was started."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Connection to {self.name}{'' if self.client is None else f': {self.client}'}>"


def connect(name: str | None = None) -> Connection:
    """Run everything computed from here on on the named cluster.

    Parameters
    ----------
    name
        A key of ``ces.clusters`` in the configuration: ``threads``, ``processes``,
        ``synchronous``, ``local``, or one of your own; ``ces.cluster`` by default.

    Raises
    ------
    ConfigError
        When there is no such cluster, or its package is not installed.

    Examples
    --------
    >>> with connect("synchronous") as connection:
    ...     connection.name
    'synchronous'
    """
    name = name or config.get("cluster")
    clusters = config.get("clusters")
    if name not in clusters:
        raise ConfigError(
            f"no cluster {name!r}: use one of {', '.join(sorted(clusters))}, or describe it under "
            "ces.clusters in ~/.config/dask/ces.yaml"
        )
    entry = clusters[name]
    stack = contextlib.ExitStack()
    if "scheduler" in entry:
        stack.enter_context(dask.config.set(scheduler=entry["scheduler"]))
        return Connection(name, stack)
    try:
        factory = getattr(importlib.import_module(entry["module"]), entry["class"])
        from dask.distributed import Client
    except (ImportError, AttributeError, KeyError) as error:
        raise ConfigError(
            f"cluster {name!r}: {error}; install its package or correct it"
        ) from error
    cluster = stack.enter_context(factory(**entry.get("args", {})))
    if "scale" in entry:
        cluster.scale(**entry["scale"])
    if "adapt" in entry:
        cluster.adapt(**entry["adapt"])
    return Connection(name, stack, stack.enter_context(Client(cluster)))
