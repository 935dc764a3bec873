"""From a store back to traces, exactly as they were read."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
import zarr

from ..conventions import split_label
from ..errors import StoreError
from ..sources.base import Site, Trace
from .events import Event
from .held import spills_of, table_of
from .open import open_store, waveforms
from .streams import dataset_traces, obspy_trace
from .urls import array_of, damage, group_of, root_group

if TYPE_CHECKING:
    import obspy


@dataclasses.dataclass(frozen=True)
class Stored:
    """A trace in a store: what is known of it, and its samples when they are asked for.

    Parameters
    ----------
    node
        Path of its group, as in ``windows/main/observed/20Hz``.
    header
        The trace without its ``data``; its ``site`` is that of the store.
    event
        The earthquake whose window it is in; ``None`` in continuous data.
    row
        What tells it from all others of its node, whichever event it is stored for.
    """

    node: str
    header: Trace
    event: Event | None
    row: tuple[Any, ...]
    _array: zarr.Array[Any]
    _where: tuple[int, ...]
    _first: int
    _dtype: str
    _spills: tuple[tuple[int, np.ndarray], ...]

    def samples(self, begin: int = 0, end: int | None = None) -> np.ndarray:
        """Samples ``begin`` to ``end`` (exclusive), in the dtype of the file they came from."""
        end = self.header.samples if end is None else end
        span = slice(self._first + begin, self._first + end)
        with damage(self.node):
            place: tuple[Any, ...] = (*self._where, span)
            data = np.asarray(self._array[place])
        for at, values in self._spills:
            low, high = max(at, begin), min(at + len(values), end)
            if low < high:
                data[low - begin : high - begin] = values[low - at : high - at]
        return data.astype(self._dtype)

    @property
    def base(self) -> str:
        """Path of what was converted together: that of the node without its rate."""
        return self.node.rpartition("/")[0]


def stored_traces(url: str | os.PathLike[str], path: str = "") -> Iterator[Stored]:
    """Every trace of a store, without its samples; for each event that it is stored for.

    Parameters
    ----------
    url
        Path or URL of the store.
    path
        Node to read, with all below it; the whole store by default.
    """
    root = root_group(url)
    for node, ds in waveforms(open_store(url), path):
        group = group_of(root, node)
        if "segments" not in group:
            raise StoreError(
                f"{node} has no segment table, only converted records have one: use "
                "ces.to_stream(dataset) on the opened node"
            )
        yield from _node_traces(node, group, ds)


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
    given: set[tuple[Any, ...]] = set()
    for stored in stored_traces(url, path):
        if stored.event is not None:
            # A record with two origins in it is stored for both.
            if (key := (stored.node, *stored.row)) in given:
                continue
            given.add(key)
        yield dataclasses.replace(stored.header, data=stored.samples())


def to_stream(
    source: str | os.PathLike[str] | xr.Dataset | xr.DataTree, path: str = ""
) -> obspy.Stream:
    """Waveforms as an ObsPy Stream.

    Parameters
    ----------
    source
        Path or URL of a store: its traces come back exactly as they were converted, overlaps and
        dtype included.  Or an opened, possibly processed Dataset or DataTree: a trace for every
        run of samples without a gap, in the units of the Dataset.
    path
        Node of a store or DataTree to take, with all below it; everything by default.

    Returns
    -------
    obspy.Stream
        With ``stats.coordinates`` (degrees, m) and ``stats.ces`` (quantity, units).  From a
        Dataset also, in event windows, ``stats.distance`` (m), ``stats.back_azimuth`` and the
        event; ``stats.processing`` lists the operators that were applied.

    Raises
    ------
    StoreError
        When there is no store, or it holds no converted records.

    Examples
    --------
    >>> store = pangeo_ces.samples.german_events("memory://doc-stream")
    >>> len(to_stream(store))
    87
    >>> ds = pangeo_ces.open_store(store)["windows/main/observed/20Hz"].to_dataset()
    >>> stream = to_stream(pangeo_ces.detrend(ds.isel(event=[0])))
    >>> stream[0].stats.processing
    ['ces: detrend(type=linear)']
    """
    import obspy

    if isinstance(source, xr.Dataset):
        return obspy.Stream(list(dataset_traces(source)))
    if isinstance(source, xr.DataTree):
        nodes = waveforms(source, path)
        return obspy.Stream([trace for _, ds in nodes for trace in dataset_traces(ds)])
    return obspy.Stream([obspy_trace(trace) for trace in read_traces(source, path)])


def segment_table(url: str | os.PathLike[str], path: str) -> xr.Dataset:
    """The segment table of a node: one row for each stored trace."""
    root = root_group(url)
    table = xr.open_zarr(
        root.store, group=os.path.join(root.path, path, "segments"), chunks=None,
        consolidated=False, zarr_format=3,
    )  # fmt: skip
    return table.load()


def _node_traces(node: str, group: zarr.Group, ds: xr.Dataset) -> Iterator[Stored]:
    table = table_of(group)
    interval = Fraction(str(group.attrs["sampling_interval"]))
    arrays = {name: array_of(group, name) for name in set(map(str, table["quantity"]))}
    spills = spills_of(table)
    events = _events(ds)
    codes = [split_label(str(label)) for label in ds["station"].values]
    components = [str(code) for code in ds["component"].values]
    seen: Counter[Any] = Counter()
    for row in np.flatnonzero(table["duplicate_of"] < 0):
        station = int(table["station_number"][row])
        component = int(table["component_number"][row])
        quantity, dtype = str(table["quantity"][row]), str(table["source_dtype"][row])
        start, samples = int(table["start"][row]), int(table["samples"][row])
        event, where = None, [station, component]
        if events:
            number = int(table["event_number"][row])
            event, where = events[number], [number, *where]
        network, code, location, instrument = codes[station]
        header = Trace(
            network, code, location, instrument + components[component], start, interval, samples,
            None, quantity, str(table["quality"][row]), _site(ds, tuple(where)),
            event.time if event else None,
        )  # fmt: skip
        source = int(table["source_number"][row])
        key = (station, component, quantity, start, source, samples, dtype)
        # Of several that agree in all this the first is the first of every event.
        seen[key, event] += 1
        yield Stored(
            node, header, event, (*key, seen[key, event]),
            arrays[quantity], tuple(where), int(table["index"][row]), dtype,
            tuple(spills.get(int(row), ())),
        )  # fmt: skip


def _events(ds: xr.Dataset) -> list[Event]:
    """The event axis of a node; empty for continuous data."""
    if "event" not in ds.dims:
        return []
    columns = [
        "event", "origin_time", "event_latitude", "event_longitude", "event_depth", "magnitude",
        "event_name", "event_resource_id",
    ]  # fmt: skip
    values = [
        (ds[name].values.astype("int64") if name == "origin_time" else ds[name].values).tolist()
        for name in columns
    ]
    return [Event(*row) for row in zip(*values, strict=True)]


def _site(ds: xr.Dataset, where: tuple[int, ...]) -> Site:
    latitude, longitude, elevation, depth = (
        float(ds[name].values[where[-2]])
        for name in ("latitude", "longitude", "elevation", "depth")
    )
    azimuth, dip = (float(ds[name].values[where]) for name in ("azimuth", "dip"))
    return Site(latitude, longitude, elevation, depth, azimuth, dip)
