"""What a run has computed already, so that one that was killed goes on where it was.

While a run is :func:`resumable`, every block that :func:`~pangeo_ces.blocks.consolidate` gathers is
written beside the results by the task that made it, one small file a shard of waveforms.  The next
run with the same input, parameters and program finds them, and its graph reads them instead of
computing them.  A run that ends well removes them.
"""

from __future__ import annotations

import contextlib
import contextvars
import io
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from dask._task_spec import Task, TaskRef
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from .errors import InputError, StoreError
from .storage import Settings, current, file_system, using, write_bytes

#: Below the folder of the results.
FOLDER = ".unfinished"
_CURRENT: contextvars.ContextVar[Unfinished | None] = contextvars.ContextVar("run", default=None)


class Unfinished:
    """The blocks that an earlier run left.

    Parameters
    ----------
    folder
        Where the results go, a path or URL that workers reach under the same name.
    key
        Of all that the blocks depend on.

    Attributes
    ----------
    there
        Names of the blocks that were found.
    used
        How many of them the graph reads.
    """

    def __init__(self, folder: str, key: str):
        home = folder if "://" in folder else str(Path(folder).absolute())
        self._root = f"{home.rstrip('/')}/{FOLDER}"
        self._place = f"{self._root}/{key}"
        self._settings = current()
        self._gathered = itertools.count()
        self.there = self._found()
        self.used = 0

    def _found(self) -> set[str]:
        filesystem, path = file_system(self._place)
        try:
            names = filesystem.ls(path, detail=False)
        except FileNotFoundError:
            return set()
        return {str(name).rpartition("/")[2] for name in names if str(name).endswith(".npy")}

    def blocks(self, data: da.Array) -> da.Array:
        """The same array; its blocks are written when computed, and read where they are there."""
        number = next(self._gathered)
        name = f"kept-{tokenize(self._place, number, data.name)}"
        tasks: dict[Any, Task] = {}
        for index in itertools.product(*map(range, data.numblocks)):
            file = f"{number}-{'.'.join(map(str, index))}.npy"
            address, key = f"{self._place}/{file}", (name, *index)
            if file in self.there:
                tasks[key] = Task(key, _load, address, self._settings)
                self.used += 1
            else:
                tasks[key] = Task(key, _save, TaskRef((data.name, *index)), address, self._settings)
        graph = HighLevelGraph.from_collections(name, tasks, dependencies=[data])  # type: ignore[list-item]
        return da.Array(graph, name, data.chunks, dtype=data.dtype)

    def remove(self) -> None:
        """Forget all of it, older attempts with other parameters too."""
        filesystem, path = file_system(self._root)
        with contextlib.suppress(FileNotFoundError):
            filesystem.rm(path, recursive=True)


@contextlib.contextmanager
def resumable(folder: str | os.PathLike[str], *depends: Any) -> Iterator[Unfinished]:
    """Keep what is gathered in the block until it ends well.

    Parameters
    ----------
    folder
        Of the results.
    depends
        What the results depend on beside the program itself: lazy arrays, parameters.
    """
    run = Unfinished(os.fspath(folder), tokenize(_program(), *depends))
    token = _CURRENT.set(run)
    try:
        yield run
    finally:
        _CURRENT.reset(token)
    run.remove()


def kept(data: da.Array) -> da.Array:
    """Blocks that outlive the run if it is killed; the array itself outside of a resumable run."""
    run = _CURRENT.get()
    return data if run is None else run.blocks(data)


def _program() -> str:
    """Changes with every edit of the package, since its results may."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    return tokenize([(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files])


def _save(block: np.ndarray, address: str, settings: Settings) -> np.ndarray:
    """Hand a block on, and write it beside."""
    content = io.BytesIO()
    np.save(content, block, allow_pickle=False)
    # Where a worker cannot write the results are right all the same; only a re-run starts anew.
    with contextlib.suppress(InputError), using(settings):
        write_bytes(address, content.getvalue())
    return block


def _load(address: str, settings: Settings) -> np.ndarray:
    try:
        with using(settings):
            filesystem, path = file_system(address)
            return np.load(io.BytesIO(filesystem.cat_file(path)), allow_pickle=False)
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{address}, left by a run that was killed, cannot be read ({error}): remove "
            f"{address.partition(FOLDER)[0]}{FOLDER} and run this again"
        ) from error
