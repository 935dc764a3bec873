"""Connecting to a cluster, and leaving none of it behind."""

from __future__ import annotations

import atexit
import contextlib
import sys
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Any, Self

import dask

from .. import config
from ..errors import ClusterError, ConfigError
from .entry import Entry, Workers, find, valid_workers
from .scaling import scale, start

#: Seconds until a scheduler must have answered.
_ANSWERS_WITHIN = 30


class Connection:
    """A running cluster, or a scheduler of this process; close it, or use it in ``with``.

    Parameters
    ----------
    name
        Of the cluster.
    client, cluster
        Dask's, where there are such.
    """

    def __init__(
        self, name: str, stack: contextlib.ExitStack, client: Any = None, cluster: Any = None
    ):
        self.name = name
        self.client = client
        self.cluster = cluster
        self._stack = stack
        # Kept until it is closed, else `ces.connect("slurm")` in a notebook would end at once.
        atexit.register(self.close)

    @property
    def dashboard_link(self) -> str:
        """Address of the dashboard, empty where there is none."""
        return (self.client and self.client.dashboard_link) or ""

    def scale(self, workers: Workers) -> None:
        """Another number of workers, or the least and the most of them."""
        scale(self.cluster, self.name, workers)

    def close(self) -> None:
        """Stop what was started; once is enough, and twice does no harm."""
        atexit.unregister(self.close)
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        failure = getattr(self.cluster, "failure", None)
        self.close()
        if isinstance(error, Exception) and self.client is not None:
            told = ClusterError(failure) if failure else _explained(self.name, error)
            if told is not None:
                raise told from error

    def __repr__(self) -> str:
        parts = [f"<Connection to {self.name}"]
        parts += [str(self.client)] if self.client is not None else []
        parts += [f"dashboard {self.dashboard_link}"] if self.dashboard_link else []
        return ", ".join(parts) + ">"

    def _repr_html_(self) -> str | None:
        return None if self.client is None else self.client._repr_html_()


def connect(name: str | None = None, *, workers: Workers | str | None = None) -> Connection:
    """Run everything computed from here on on the named cluster.

    Parameters
    ----------
    name
        A key of ``ces.clusters`` in the configuration (``local``, ``threads``, ``synchronous``,
        ``slurm``, ``kubernetes``, one of your own …), or the ``tcp://`` address of a scheduler.
        Without a name: what is connected already; if nothing is, ``ces.cluster`` (``local``).
    workers
        How many: ``4``, or between ``(0, 40)`` as the work needs them.  By default what the
        configuration says.

    Returns
    -------
    Connection
        ``client``, ``cluster``, ``dashboard_link``; everything it started ends with it: at
        :meth:`~Connection.close`, at the end of the ``with`` block, or with the process.

    Raises
    ------
    ConfigError
        When there is no such cluster, or its package is not installed.
    ClusterError
        When it does not start; in a ``with`` block, when it was lost or a task cannot be run on it.

    Examples
    --------
    >>> with connect("synchronous") as connection:
    ...     connection.name
    'synchronous'
    """
    if name is None and workers is None:
        here = _connected()
        if here is not None:
            return here
    entry = find(name or config.get("cluster"))
    workers = valid_workers(workers) or entry.workers
    with contextlib.ExitStack() as stack:
        if entry.scheduler:
            stack.enter_context(_of_this_process(entry, workers))
            return Connection(entry.name, stack.pop_all())
        try:
            client, cluster = _of_others(entry, workers, stack)
        except (OSError, TimeoutError, RuntimeError, ValueError) as error:
            said = str(error).rstrip(".") or type(error).__name__
            raise ClusterError(
                f"cluster {entry.name!r} did not start: {said}; {_help(entry)}"
            ) from error
        return Connection(entry.name, stack.pop_all(), client, cluster)


def active_client() -> Any:
    """Dask's client of this process, or ``None`` if another engine was chosen inside of it."""
    chosen = dask.config.get("scheduler", None)
    if isinstance(chosen, str) and "distributed" not in chosen:
        return None
    try:
        from distributed.client import default_client

        return default_client()
    except (ImportError, ValueError):
        return None


def _connected() -> Connection | None:
    """What the session uses already; closing it is left to whoever opened it."""
    client = active_client()
    if client is not None:
        return Connection("connected already", contextlib.ExitStack(), client, client.cluster)
    chosen = dask.config.get("scheduler", None)
    return None if chosen is None else Connection(str(chosen), contextlib.ExitStack())


def _of_this_process(entry: Entry, workers: Workers | None) -> Any:
    if isinstance(workers, tuple) or (workers and entry.scheduler == "synchronous"):
        raise ConfigError(
            f"cluster {entry.name!r} cannot have {workers} workers: give one number, and that for "
            "threads or processes"
        )
    wanted = {"scheduler": entry.scheduler} | ({"num_workers": workers} if workers else {})
    return dask.config.set(wanted)


def _of_others(
    entry: Entry, workers: Workers | None, stack: contextlib.ExitStack
) -> tuple[Any, Any]:
    """Client and cluster of Dask's distributed scheduler."""
    from dask.distributed import Client

    if entry.address:
        if workers is not None:
            raise ConfigError(
                f"the workers of {entry.address} are not ours: scale it where it was started"
            )
        return stack.enter_context(Client(entry.address, timeout=_ANSWERS_WITHIN)), None
    cluster = stack.enter_context(start(entry, entry.factory(), workers))
    return stack.enter_context(Client(cluster, timeout=_ANSWERS_WITHIN)), cluster


def _help(entry: Entry) -> str:
    """What to do about a cluster that did not start."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if entry.callable == "LocalCluster" and script:  # its processes import the script
        return (
            'in a script, call this below `if __name__ == "__main__":`, or use the cluster '
            "'threads'"
        )
    return f"ces cluster check {entry.name} tells what is missing"


def _explained(name: str, error: BaseException) -> ClusterError | None:
    """What Dask says when workers or the scheduler are gone, in words that help."""
    from distributed.comm import CommClosedError
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        return ClusterError(
            f"{str(error.task)[:80]!r} was tried on {error.allowed_failures + 1} workers of "
            f"{name!r}, and each of them died: mostly a worker has too little memory; give it more "
            "under ces.clusters, or convert with a smaller ces.shard-bytes, and run this again"
        )
    if isinstance(error, CancelledError | CommClosedError):
        return ClusterError(
            f"the scheduler of {name!r} was lost ({' '.join(str(error).split())}): run this again, "
            "what was published before is intact"
        )
    return None
