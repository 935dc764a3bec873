"""How many workers: the same words for every kind of cluster."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..errors import ConfigError
from .entry import Entry, Workers


def start(entry: Entry, factory: Callable[..., Any], workers: Workers | None) -> Any:
    """The cluster of an entry, with as many workers as asked for.

    A fixed number is given when the cluster is made, where that can be, so that its memory is
    shared among as many from the beginning.
    """
    args = dict(entry.args)
    at_once = isinstance(workers, int) and "n_workers" in _parameters(factory)
    if at_once:
        args["n_workers"] = workers
    try:
        cluster = factory(**args)
    except ImportError as error:
        raise entry.not_installed(error) from error
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"cluster {entry.name!r}: {error}; correct its args under ces.clusters"
        ) from error
    if workers is not None and not at_once:
        try:
            scale(cluster, entry.name, workers)
        except BaseException:
            cluster.close()
            raise
    return cluster


def scale(cluster: Any, name: str, workers: Workers) -> None:
    """So many workers, or between so many and so many."""
    if isinstance(workers, int) and hasattr(cluster, "scale"):
        cluster.scale(workers)
    elif isinstance(workers, tuple) and hasattr(cluster, "adapt"):
        cluster.adapt(minimum=workers[0], maximum=workers[1])
    else:
        raise ConfigError(
            f"cluster {name!r} has the workers of its allocation: leave out the number, or ask the "
            "scheduler of the machine for more tasks"
        )


def _parameters(factory: Callable[..., Any]) -> set[str]:
    try:
        return set(inspect.signature(factory).parameters)
    except (TypeError, ValueError):  # built in C, or hidden behind a wrapper
        return set()
