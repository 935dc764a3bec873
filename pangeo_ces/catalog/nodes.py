"""The waveform nodes and events of a store, as far as a catalogue describes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from fractions import Fraction

import pandas as pd
import xarray as xr
import zarr

from ..store.held import table_of
from ..store.open import open_store, waveforms
from ..store.urls import group_of
from ..timeaxis import sampling_interval
from . import area
from .continuity import spans
from .stac import Document, known, number

#: Field of an item -> coordinate.
_EVENT = {
    "seis:event_id": "event",
    "seis:event_name": "event_name",
    "seis:event_resource_id": "event_resource_id",
    "seis:magnitude": "magnitude",
    "seis:depth": "event_depth",
}


@dataclasses.dataclass
class Node:
    """A waveform node: its coordinates and its channels."""

    path: str
    group: zarr.Group
    ds: xr.Dataset
    interval: Fraction
    channels: pd.DataFrame

    @property
    def rate(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def base(self) -> str:
        return self.path.rpartition("/")[0]

    def ids(self, rows: pd.DataFrame) -> list[str]:
        """Sorted SEED ids of channels."""
        stations, components = self.ds["station"].values, self.ds["component"].values
        pairs = rows[["station", "component"]].drop_duplicates().itertuples(index=False)
        return sorted(f"{stations[s]}{components[c]}" for s, c in pairs)

    def box(self, rows: pd.DataFrame) -> area.Box | None:
        """Around the stations of channels."""
        here = rows["station"].unique()
        return area.box_of(*(self.ds[n].values[here] for n in ("longitude", "latitude")))


def nodes_of(root: zarr.Group, url: str) -> Iterator[Node]:
    """The nodes of a store with a segment table that is not empty."""
    for path, ds in waveforms(open_store(url), ""):
        parts = path.split("/")
        group = group_of(root, path)
        windows = parts[0] == "windows" and len(parts) > 3
        if "segments" in group and (windows or parts[0] == "continuous"):
            interval = sampling_interval(ds)
            channels = spans(table_of(group), interval, by_year=not windows)
            if len(channels):
                yield Node(path, group, ds, interval, channels)


@dataclasses.dataclass(frozen=True)
class Event:
    """An event of a node: fields for its item, its epicentre, its origin time (ns)."""

    facts: Document
    epicentre: area.Box | None
    origin: int


def events_of(ds: xr.Dataset) -> list[Event]:
    """The event axis of a node."""
    found = []
    columns = {name: ds[name].values for name in _EVENT.values() if name in ds.coords}
    origins = ds["origin_time"].values.astype("datetime64[ns]").astype("int64")
    for row, origin in enumerate(origins.tolist()):
        facts = {field: columns[name][row] for field, name in _EVENT.items() if name in columns}
        facts = {
            field: number(value) if isinstance(value, float) else str(value)
            for field, value in facts.items()
        }
        place = (ds[name].values[row] for name in ("event_longitude", "event_latitude"))
        found.append(Event(known(facts), area.box_of(*place), origin))
    return found
