"""What is in a store, in numbers: the facts behind ``ces inspect``."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import xarray as xr

from ..conventions import QUANTITIES
from ..storage import file_system
from ..timeaxis import sampling_interval, time_index
from . import repo
from .open import conversion_reports, open_store, waveforms
from .traces import segment_table
from .urls import array_of, group_of, root_group


def inspect_store(url: str | os.PathLike[str]) -> dict[str, Any]:
    """Tree, axes, stations, gaps and bytes of a store; no samples are read.

    Returns
    -------
    dict
        ``url``, ``conventions``, ``bytes`` stored, ``nodes`` (each with path, quantities, shape,
        sampling rate, span, stations, components, events, segments, gaps, overlaps, raw bytes,
        chunk and shard shape) and ``conversions`` (counts of each).
    """
    tree = open_store(url)
    root = root_group(url)
    nodes = [_node(url, root, path, ds) for path, ds in waveforms(tree, "")]
    counts = ("files_read", "traces_read", "traces_used", "rejected", "warnings")
    return {
        "url": os.fspath(url),
        "conventions": tree.attrs.get("Conventions", ""),
        "bytes": _stored_bytes(os.fspath(url)),
        "nodes": nodes,
        "conversions": {
            name: {count: report[count] for count in counts}
            for name, report in conversion_reports(url).items()
        },
    }


def _node(url: str | os.PathLike[str], root: Any, path: str, ds: xr.Dataset) -> dict[str, Any]:
    quantities = [name for name in QUANTITIES if name in ds]
    group = group_of(root, path)
    array = array_of(group, quantities[0])
    axis = time_index(ds).transform
    first, last = (ds["time"].isel(time=n).values for n in (0, -1))
    facts = {
        "path": path or "/",
        "quantities": quantities,
        "dims": dict(zip(map(str, ds[quantities[0]].dims), array.shape, strict=True)),
        "sampling_rate": float(1 / sampling_interval(ds)),
        "start": str(first) if axis.origin is not None else float(first),
        "end": str(last) if axis.origin is not None else float(last),
        "events": ds["event"].values.tolist() if "event" in ds.coords else [],
        "stations": ds["station"].values.tolist(),
        "components": ds["component"].values.tolist(),
        "chunk": list(array.chunks),
        "shard": list(array.shards or array.chunks),
        "raw_bytes": int(sum(array_of(group, name).nbytes for name in quantities)),
    }
    if "segments" in group:
        facts |= _continuity(segment_table(url, path))
    return facts


def _continuity(table: xr.Dataset) -> dict[str, Any]:
    """Segments, gaps (with missing samples) and overlaps from the segment table."""
    names = ["quantity", "event_number", "station_number", "component_number", "index", "samples"]
    columns = {name: table[name].values for name in names}
    order = np.lexsort([columns["index"], *(columns[n] for n in reversed(names[:4]))])
    gaps, missing, overlaps = 0, 0, 0
    previous: tuple | None = None
    reached = 0
    for row in order:
        channel = tuple(columns[name][row] for name in names[:4])
        begin = int(columns["index"][row])
        end = begin + int(columns["samples"][row])
        if channel == previous:
            gaps += begin > reached
            missing += max(0, begin - reached)
            overlaps += begin < reached
            reached = max(reached, end)
        else:
            previous, reached = channel, end
    return {
        "segments": int(table.sizes["segment"]),
        "samples": int(table["samples"].sum()),
        "gaps": int(gaps),
        "missing_samples": int(missing),
        "overlaps": int(overlaps),
        "differing_overlaps": int(table.sizes["spill"]),
    }


def _stored_bytes(url: str) -> int:
    """Bytes at an address: of all versions."""
    address, _ = repo.split_version(url)
    repository = repo.find(address) if address.startswith("memory://") else None
    if repository is not None:
        return int(repository.total_chunks_storage())
    fs, path = file_system(address)
    return int(fs.du(path))
