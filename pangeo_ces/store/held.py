"""What a store holds already of a group, so that more can be added to it."""

from __future__ import annotations

import dataclasses
import os
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import xarray as xr
import zarr

from ..conventions import QUANTITIES, split_label
from ..sources.base import Trace
from .events import Event, from_rows
from .layout import Axes, Found
from .urls import array_of, dims_of, group_of

EVENTS = "ces_events"


@dataclasses.dataclass
class Held:
    """One waveform node of the previous version: its axes and the table of its traces."""

    path: str
    interval: Fraction
    origin: int | None
    axes: Axes
    coordinates: xr.Dataset
    table: dict[str, Any]
    spans: dict[tuple[str, str, int], list[tuple[int, int, str]]] | None = None
    dropped: set[int] = dataclasses.field(default_factory=set)

    def found(self, row: int, source: int = -1) -> Found:
        """A row of the table as a trace to be stored again."""
        column = self.table
        station = self.axes.stations[int(column["station_number"][row])]
        network, code, location, instrument = split_label(station)
        component = self.axes.components[int(column["component_number"][row])]
        quantity = str(column["quantity"][row])
        trace = Trace(
            network, code, location, instrument + component, int(column["start"][row]),
            self.interval, int(column["samples"][row]), None, quantity,
            str(column["quality"][row]), dtype=np.dtype(str(column["source_dtype"][row])),
        )  # fmt: skip
        name = str(column["source_name"][int(column["source_number"][row])])
        return Found(source, -1, trace, None, self.axes.dtypes[quantity], name, row)

    def spills(self) -> dict[int, list[tuple[int, np.ndarray]]]:
        """Samples beside the grid: by row, their first sample and values."""
        return spills_of(self.table)


def spills_of(table: dict[str, Any]) -> dict[int, list[tuple[int, np.ndarray]]]:
    """Samples beside the grid of a segment table: by row, (first sample in the trace, values)."""
    ends = np.cumsum(table["spill_samples"]).astype(int)
    found: dict[int, list[tuple[int, np.ndarray]]] = defaultdict(list)
    rows = zip(table["spill_segment"], table["spill_begin"], table["spill_samples"], ends,
               strict=True)  # fmt: skip
    for row, begin, count, end in rows:
        found[int(row)].append((int(begin), np.asarray(table["spilled"][end - int(count) : end])))
    return dict(found)


def nodes_of(root: zarr.Group | None, base: str) -> dict[str, Held]:
    """The waveform nodes below ``base`` by path."""
    if root is None or base not in root:
        return {}
    return {
        f"{base}/{name}": _held(root, f"{base}/{name}", group)
        for name, group in group_of(root, base).groups()
        if "sampling_interval" in group.attrs and "segments" in group
    }


def events_of(root: zarr.Group | None, name: str) -> list[Event]:
    """The event axis of a window set, empty where there is none yet."""
    if root is None or f"windows/{name}" not in root:
        return []
    rows: Any = root[f"windows/{name}"].attrs.get(EVENTS, [])
    return from_rows(rows)


def table_of(group: zarr.Group) -> dict[str, Any]:
    """The segment table of a node: arrays by column."""
    table: dict[str, Any] = {
        name: np.asarray(array[:]) for name, array in group_of(group, "segments").arrays()
    }
    # Stores of conventions 1.0 have neither.
    table.setdefault("source_name", table["source_url"])
    table.setdefault("duplicate_of", np.full(len(table["start"]), -1, "int32"))
    return table


def waveform_groups(group: zarr.Group) -> Iterator[zarr.Group]:
    """All waveform nodes below a group."""
    for _, child in group.groups():
        if "sampling_interval" in child.attrs:
            yield child
        else:
            yield from waveform_groups(child)


def _held(root: zarr.Group, path: str, group: zarr.Group) -> Held:
    arrays = {name: array_of(group, name) for name in QUANTITIES if name in group}
    array = next(iter(arrays.values()))
    coordinates = xr.open_zarr(
        root.store, group=os.path.join(root.path, path), chunks=None, consolidated=False,
        zarr_format=3, drop_variables=[n for n, a in group.arrays() if "time" in dims_of(a)],
    ).load()  # fmt: skip
    attrs: dict[str, Any] = dict(group.attrs)
    axes = Axes(
        tuple(map(str, coordinates["station"].values)),
        tuple(map(str, coordinates["component"].values)),
        int(attrs["first_sample"]),
        array.shape[-1],
        {name: found.dtype for name, found in arrays.items()},
        tuple(array.chunks),
        tuple(array.shards or array.chunks),
    )
    origin = attrs["time_origin"]
    return Held(
        path,
        Fraction(str(attrs["sampling_interval"])),
        None if origin is None else int(origin),
        axes,
        coordinates,
        table_of(group),
    )
