"""Computing on whatever is connected, a task for each shard, with a bar."""

from __future__ import annotations

import contextlib
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask._task_spec import Task
from dask.base import unpack_collections
from dask.diagnostics import ProgressBar
from dask.highlevelgraph import HighLevelGraph
from dask.utils import funcname

from .connection import active_client
from .fusion import optimize, priority


def computed(*collections: Any, progress: bool = False) -> tuple[Any, ...]:
    """``dask.compute``, with a progress bar that works on every engine.

    Results come to this process as they are made, so that workers need to hold none of them until
    the last is there, and are put together here.

    Parameters
    ----------
    collections
        Datasets, Arrays, delayed values, and lists and dictionaries of them.
    progress
        Show the bar, and the address of the dashboard where there is one.
    """
    client = active_client()
    with dask.config.set(array_optimize=optimize):
        if client is None:
            with ProgressBar() if progress else contextlib.nullcontext():
                return dask.compute(*collections)
        lazy, repack = unpack_collections(*collections)
        if not lazy:
            return dask.compute(*collections)
        started = client.persist(lazy, priority=priority)
    blocks = _gathered(client, started, progress)
    return tuple(repack([_assembled(one, blocks) for one in lazy]))


def mapped(
    function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], *, progress: bool = False
) -> list[Any]:
    """A function's results for many arguments, a task for each.

    Delayed values would be a graph each, and what Dask needs to cull them grows with the square.
    """
    if not calls:
        return []
    name = f"{funcname(function)}-{uuid.uuid4().hex}"
    keys: list[Any] = [(name, number) for number in range(len(calls))]
    tasks = {k: Task(k, _called, function, *args) for k, args in zip(keys, calls, strict=True)}
    graph = HighLevelGraph.from_collections(name, tasks, ())
    (results,) = computed(da.Array(graph, name, ((1,) * len(calls),), object), progress=progress)
    return list(results)


def _called(function: Callable[..., Any], *args: Any) -> np.ndarray:
    """A block of one result, whatever it is."""
    block = np.empty(1, object)
    block[0] = function(*args)
    return block


def _gathered(client: Any, started: list[Any], progress: bool) -> dict[Any, Any]:
    """Values of all keys; the collections are emptied, as what they refer to stays on workers."""
    from distributed import as_completed, futures_of

    futures = futures_of(started)
    started.clear()
    arriving = as_completed(loop=client.loop, with_results=True)
    try:
        with _bar(client, futures) if progress else contextlib.nullcontext():
            arriving.update(futures)
            futures.clear()
            return {future.key: _finished(future, value) for future, value in arriving}
    except BaseException:
        # Else the cluster goes on with all of it, beside whatever is computed next.
        for future in (*futures, *arriving.futures):
            future.release()
        futures.clear()
        arriving.clear()
        raise


def _finished(future: Any, value: Any) -> Any:
    """The value; of a future that was lost with its scheduler it is no result but the error."""
    if future.status != "finished":
        raise CancelledError(future.key)
    return value


@contextlib.contextmanager
def _bar(client: Any, futures: list[Any]) -> Iterator[None]:
    from distributed.diagnostics.progressbar import TextProgressBar

    if client.dashboard_link:
        sys.stderr.write(f"dashboard: {client.dashboard_link}\n")
    bar = TextProgressBar(futures, start=False)
    client.loop.add_callback(bar.listen)

    def wait_until(reached: tuple[str | None, ...]) -> None:
        while getattr(bar, "status", "") not in reached and client.status == "running":
            time.sleep(0.02)

    # It counts from what the scheduler knows: nothing must be released before it has looked.
    wait_until((None, "finished", "error"))
    yield
    wait_until(("finished", "error"))


def _assembled(collection: Any, blocks: dict[Any, Any]) -> Any:
    """The collection in memory."""
    finish, extra = collection.__dask_postcompute__()

    def found(keys: Any) -> Any:
        return [found(key) for key in keys] if isinstance(keys, list) else blocks[keys]

    return finish(found(collection.__dask_keys__()), *extra)
