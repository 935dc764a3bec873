"""Computing on whatever is connected, with a bar."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Any

import dask
from dask.base import unpack_collections
from dask.diagnostics import ProgressBar

from .connection import active_client


def computed(*collections: Any, progress: bool = False) -> tuple[Any, ...]:
    """``dask.compute``, with a progress bar that works on every engine.

    Parameters
    ----------
    collections
        Datasets, Arrays, delayed values, and lists and dictionaries of them.
    progress
        Show the bar, and the address of the dashboard where there is one.
    """
    client = active_client()
    if client is None or not progress:
        with ProgressBar() if progress else nullcontext():
            return dask.compute(*collections)
    from distributed.diagnostics.progressbar import TextProgressBar

    lazy, repack = unpack_collections(*collections)
    futures = client.compute(lazy)
    if client.dashboard_link:
        sys.stderr.write(f"dashboard: {client.dashboard_link}\n")
    TextProgressBar(futures)
    return tuple(repack(client.gather(futures)))
