"""From a store back to traces, exactly as they were read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
import zarr

from ..conventions import split_label
from ..errors import StoreError
from ..sources.base import Trace, nominal_rate
from .open import open_store, waveforms
from .urls import array_of, group_of, root_group

if TYPE_CHECKING:
    import obspy


def read_traces(url: str | os.PathLike[str], path: str = "") -> Iterator[Trace]:
    """The traces that were converted into a store, sample for sample.

    Overlaps come back with the samples that each trace had, sub-sample starts to the nanosecond,
    and the dtype of the file.  A trace that belongs to several events comes once.

    Parameters
    ----------
    url
        Path or URL of the store.
    path
        Node to read, with all below it; the whole store by default.
    """
    root = root_group(url, "r")
    tree = open_store(url)
    for node, ds in waveforms(tree, path):
        group = group_of(root, node)
        if "segments" not in group:
            raise StoreError(f"{node} has no segment table: only converted records have one")
        yield from _node_traces(group, ds)


def to_stream(url: str | os.PathLike[str], path: str = "") -> obspy.Stream:
    """The traces of a store as an ObsPy Stream; see :func:`read_traces`.

    Examples
    --------
    >>> stream = to_stream(pangeo_ces.samples.german_events("memory://doc-stream"))
    >>> len(stream)
    87
    """
    import obspy

    stream = obspy.Stream()
    for trace in read_traces(url, path):
        header = {
            "network": trace.network,
            "station": trace.station,
            "location": trace.location,
            "channel": trace.channel,
            "starttime": obspy.UTCDateTime(ns=trace.start),
            "sampling_rate": nominal_rate(trace.interval),
        }
        stream.append(obspy.Trace(trace.data, header))
    return stream


def segment_table(url: str | os.PathLike[str], path: str) -> xr.Dataset:
    """The segment table of a node: one row for each stored trace."""
    root = root_group(url, "r")
    table = xr.open_zarr(
        root.store, group=os.path.join(root.path, path, "segments"), chunks=None,
        consolidated=False, zarr_format=3,
    )  # fmt: skip
    return table.load()


def _node_traces(group: zarr.Group, ds: xr.Dataset) -> Iterator[Trace]:
    table: Any = {name: array[:] for name, array in group_of(group, "segments").arrays()}
    interval = Fraction(str(group.attrs["sampling_interval"]))
    arrays = {name: array_of(group, name) for name in set(map(str, table["quantity"]))}
    spills: dict[int, list[int]] = {}
    for spill, segment in enumerate(table["spill_segment"]):
        spills.setdefault(int(segment), []).append(spill)
    offsets = np.concatenate([[0], np.cumsum(table["spill_samples"])]).astype(int)
    given: set[tuple] = set()
    for row in range(len(table["start"])):
        station = int(table["station_number"][row])
        component = int(table["component_number"][row])
        quantity, dtype = str(table["quantity"][row]), str(table["source_dtype"][row])
        start, samples = int(table["start"][row]), int(table["samples"][row])
        if "event" in ds.dims:
            # A record with two origins in it is stored for both.
            key = (station, component, quantity, start, int(table["source_number"][row]),
                   samples, dtype)  # fmt: skip
            if key in given:
                continue
            given.add(key)
        where: tuple[Any, ...] = (station, component)
        if "event" in ds.dims:
            where = (int(table["event_number"][row]), *where)
        first = int(table["index"][row])
        data = np.asarray(arrays[quantity][(*where, slice(first, first + samples))])
        for spill in spills.get(row, []):
            begin, count = int(table["spill_begin"][spill]), int(table["spill_samples"][spill])
            data[begin : begin + count] = table["spilled"][offsets[spill] : offsets[spill] + count]
        network, code, location, instrument = split_label(str(ds["station"].values[station]))
        yield Trace(
            network, code, location, instrument + str(ds["component"].values[component]), start,
            interval, samples, data.astype(dtype), quantity, str(table["quality"][row]),
        )  # fmt: skip
