"""The coordinates of a waveform node: labels, places, orientations, responses, extents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ..conventions import VARIABLES
from . import events as event_axis
from .channels import Channel
from .held import Held
from .layout import Node, Placement

_STATION = ("latitude", "longitude", "elevation", "depth")
_CHANNEL = ("azimuth", "dip", "sensitivity", "time_offset", "data_start", "data_end")
_TEXT = ("input_quantity", "recorded")


#: Metadata of the traces of an input: by id, event and start.
Channels = Mapping[tuple[str, int, int], Channel]


def coordinates(node: Node, held: Held | None, channels: Channels) -> xr.Dataset:
    """Coordinates of a node: what the metadata given now say of the channels of the input, and
    what the previous version says of the others."""
    shape: tuple[int, ...] = (len(node.stations), len(node.components))
    dims: tuple[str, ...] = ("station", "component")
    if node.events is not None:
        shape, dims = (len(node.events), *shape), ("event", *dims)
    station = {name: np.full(shape[-2], np.nan) for name in _STATION}
    channel: dict[str, np.ndarray] = {name: np.full(shape, np.nan) for name in _CHANNEL}
    channel |= {name: np.full(shape, "", dtype=object) for name in _TEXT}
    channel["response_id"] = np.full(shape, -1, "int32")
    documents: dict[str, int] = {}
    if held is not None:
        _copy(held.coordinates, station | channel, documents)
        for name in ("data_start", "data_end"):
            channel[name][...] = np.nan
        channel["recorded"][...] = ""
    described: set[tuple[int, ...]] = set()
    for place in node.placements:
        where = _where(node, place)
        _extend(node, place, where, channel)
        if where not in described:  # a channel is as it was at its start
            described.add(where)
            if known := channels.get((place.trace.id, place.event, place.trace.start)):
                _describe(known, place.station, where, station, channel, documents)
    coords: dict[str, Any] = {
        "station": ("station", np.array(node.stations, dtype=object)),
        "component": ("component", np.array(node.components, dtype=object)),
        **{name: ("station", values, VARIABLES[name].attrs) for name, values in station.items()},
        **{name: (dims, values, VARIABLES[name].attrs) for name, values in channel.items()},
    }
    if documents:
        coords["response_document"] = ("response", np.array([*documents], dtype=object))
    ds = xr.Dataset(coords=coords)
    if node.events is not None:
        ds = ds.merge(event_axis.event_coords(node.events))
        places = station["latitude"], station["longitude"]
        ds = ds.assign_coords(event_axis.geometry(node.events, *places))
    return ds


def _where(node: Node, place: Placement) -> tuple[int, ...]:
    where = (place.station, place.component)
    return where if node.events is None else (place.event, *where)


def _copy(old: xr.Dataset, new: dict[str, np.ndarray], documents: dict[str, int]) -> None:
    """What was known of the stations and channels that keep their places."""
    for name, values in new.items():
        if name in old:
            known = old[name].values
            values[tuple(slice(0, n) for n in known.shape)] = known
    if "response_document" in old:
        for text in old["response_document"].values:
            documents.setdefault(str(text), len(documents))


def _extend(
    node: Node, place: Placement, where: tuple[int, ...], channel: dict[str, np.ndarray]
) -> None:
    """From where to where there are samples, and of which quantities."""
    first = node.first + place.index
    last = first + max(place.trace.samples, 1) - 1
    start, end = float(first * node.interval), float(last * node.interval)
    if np.isnan(channel["data_start"][where]):
        channel["time_offset"][where] = float(place.offset)
    channel["data_start"][where] = np.fmin(channel["data_start"][where], start)
    channel["data_end"][where] = np.fmax(channel["data_end"][where], end)
    known = {*str(channel["recorded"][where]).split(","), place.trace.quantity} - {""}
    channel["recorded"][where] = ",".join(sorted(known))


def _describe(
    found: Channel,
    row: int,
    where: tuple[int, ...],
    station: dict[str, np.ndarray],
    channel: dict[str, np.ndarray],
    documents: dict[str, int],
) -> None:
    """What the metadata say of a channel."""
    for name, values in station.items():
        known = getattr(found.site, name)
        if known == known:
            values[row] = known
    channel["azimuth"][where], channel["dip"][where] = found.site.azimuth, found.site.dip
    channel["sensitivity"][where] = found.sensitivity
    channel["input_quantity"][where] = found.input_quantity
    channel["response_id"][where] = (
        documents.setdefault(found.document, len(documents)) if found.document else -1
    )
