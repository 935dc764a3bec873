"""The parts of a version that one committer writes: groups, axes, tables, documents."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
from collections import Counter
from typing import Any

import icechunk
import numpy as np
import xarray as xr
import zarr
from obspy import UTCDateTime
from obspy.core.event import Catalog, ResourceIdentifier
from obspy.core.inventory import Inventory

from ..conventions import VARIABLES, VERSION
from . import events as event_axis
from .arrange import Arrangement
from .axes import Channels, coordinates
from .codecs import compressors
from .held import EVENTS, Held, waveform_groups
from .layout import Node
from .partition import Written
from .report import Report
from .shards import fill_value
from .tables import segments
from .urls import array_of, dims_of, group_of


def prepare(
    session: icechunk.Session, arrangement: Arrangement, profile: str, overwrite: bool
) -> None:
    """Make the groups and arrays of all nodes as large as they will be."""
    root = zarr.open_group(session.store, mode="a", zarr_format=3)
    root.attrs["Conventions"] = f"CES-{VERSION}"
    if overwrite and arrangement.base in root:
        del root[arrangement.base]
    base = root.require_group(arrangement.base)
    for path in set(arrangement.held) - {node.path for node in arrangement.nodes}:
        del root[path]
    for node in arrangement.nodes:
        group = base.require_group(node.path.rpartition("/")[2])
        group.attrs.update(
            {
                "Conventions": f"CES-{VERSION}",
                "sampling_interval": str(node.interval),
                "time_origin": node.origin,
                "first_sample": node.first,
            }
        )
        dtypes = node.dtypes()
        for quantity in set(node.before.dtypes) - set(dtypes):
            del group[quantity]
        for quantity, dtype in dtypes.items():
            if quantity in group and not node.is_rewritten(quantity):
                _enlarge(session, node, array_of(group, quantity))
                continue
            group.create_array(
                quantity,
                shape=node.shape,
                dtype=dtype,
                chunks=node.chunks,
                shards=node.shards,
                fill_value=fill_value(dtype),
                dimension_names=node.dims,
                attributes=dict(VARIABLES[quantity].attrs),
                overwrite=True,
                **compressors(profile, dtype),
            )


def _enlarge(session: icechunk.Session, node: Node, array: zarr.Array[Any]) -> None:
    """Make room behind what is there, and before it in whole shards; no sample is moved."""
    array.resize(node.shape)
    assert node.before.first is not None
    earlier = (node.before.first - node.first) // node.shards[-1]
    if earlier:
        session.shift_array(f"/{array.path}", (*[0] * (len(node.shape) - 1), earlier))


def write(
    session: icechunk.Session, arrangement: Arrangement, results: list[Written], report: Report
) -> int:
    """Tables, axes and documents, when all samples are written; how many traces are new."""
    root = zarr.open_group(session.store, mode="a", zarr_format=3)
    if arrangement.events is not None:
        _extend_events(root, arrangement)
    parts = iter(results)
    counts = Counter(part.path for part in arrangement.partitions())
    used: set[tuple[int, int]] = set()
    for node in arrangement.nodes:
        touched = arrangement.touched[node.path]
        mine = [next(parts) for _ in range(counts[node.path])]
        _report(arrangement, mine, report)
        held = arrangement.held.get(node.path)
        table = segments(node, held, touched, mine, arrangement.origins, report)
        for number in {n for part in mine for n, _, _ in part.runs}:
            found = node.placements[number].found
            if found.row < 0:
                used.add((found.source, found.number))
        _replace(root, f"{node.path}/segments", table)
        _write_axes(root, node, held, arrangement.channels)
        _write_ranges(root, node, mine, whole=touched is None)
    fresh = {
        (place.found.source, place.found.number)
        for node in arrangement.nodes
        for place in node.placements
        if place.found.row < 0
    }
    report.traces_used -= len(fresh - used)
    _replace(root, f"metadata/{arrangement.base}", _documents(root, arrangement, report))
    return len(used)


def holds_metadata(root: zarr.Group, arrangement: Arrangement) -> bool:
    """Whether the store has these stations and events already."""
    path = f"metadata/{arrangement.base}"
    if path not in root:
        return False
    if arrangement.events is not None:
        rows: Any = root[f"windows/{arrangement.name}"].attrs.get(EVENTS)
        if rows != event_axis.to_rows(arrangement.events):
            return False
    for node in arrangement.nodes:
        held = arrangement.held.get(node.path)
        if held is None or not _same_axes(node, held, arrangement.channels):
            return False
    known = _document(root, path, "stationxml")
    return arrangement.inventory is None or (
        known is not None
        and _lines(known) == _lines(stationxml(_merged(known, arrangement.inventory)))
    )


def _same_axes(node: Node, held: Held, channels: Channels) -> bool:
    """Whether the coordinates of a node would be what they are."""
    new = coordinates(node, held, channels)
    return all(
        name in held.coordinates
        and np.array_equal(
            variable.values, held.coordinates[name].values, equal_nan=variable.dtype.kind == "f"
        )
        for name, variable in new.variables.items()
    )


def _report(arrangement: Arrangement, parts: list[Written], report: Report) -> None:
    """What decoding found wrong with files, in the order of their names."""
    rows = {
        (arrangement.origins[file].name, trace, reason)
        for part in parts
        for file, trace, reason in part.problems
    }
    for name, trace, reason in sorted(rows):
        status, _, said = reason.partition(": ")
        if status == "rejected":
            report.add(name, trace, "rejected", said)
        else:
            report.add(name, trace, "warning", reason)


def _write_axes(root: zarr.Group, node: Node, held: Held | None, channels: Channels) -> None:
    group = group_of(root, node.path)
    for name, array in list(group.arrays()):
        if "time" not in dims_of(array):
            del group[name]
    _write(root, node.path, coordinates(node, held, channels))


def _write_ranges(root: zarr.Group, node: Node, parts: list[Written], whole: bool) -> None:
    """Least and greatest sample of every quantity."""
    group = group_of(root, node.path)
    for quantity in node.dtypes():
        ranges = [part.ranges[quantity] for part in parts if quantity in part.ranges]
        before: Any = group[quantity].attrs.get("actual_range")
        if before and not whole:
            ranges.append(tuple(before))
        if ranges:
            low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
            group[quantity].attrs["actual_range"] = [low, high]


def _documents(root: zarr.Group, arrangement: Arrangement, report: Report) -> xr.Dataset:
    """The documents, whole, beside what was drawn from them; and the report."""
    path = f"metadata/{arrangement.base}"
    documents: dict[str, bytes] = {}
    known = {name: _document(root, path, name) for name in ("stationxml", "quakeml")}
    if arrangement.inventory is not None:
        documents["stationxml"] = stationxml(_merged(known["stationxml"], arrangement.inventory))
    elif known["stationxml"] is not None:
        documents["stationxml"] = known["stationxml"]
    if arrangement.catalog is not None:
        documents["quakeml"] = quakeml(_all_events(known["quakeml"], arrangement.catalog))
    return xr.Dataset(
        {
            name: (f"{name}_byte", np.frombuffer(text, "uint8"), {"media_type": "application/xml"})
            for name, text in documents.items()
        },
        attrs={"report": json.dumps(report.stored())},
    )


def _document(root: zarr.Group, path: str, name: str) -> bytes | None:
    if f"{path}/{name}" not in root:
        return None
    return bytes(np.asarray(array_of(root, f"{path}/{name}")[:]))


def _merged(known: bytes | None, new: Inventory) -> Inventory:
    """What was known of stations, and what is known now in place of it."""
    import obspy

    merged = Inventory([], source="pangeo_ces")
    if known is not None:
        merged = obspy.read_inventory(io.BytesIO(known), format="STATIONXML")
    for network in new:
        mine = next((n for n in merged if _same(n, network)), None)
        if mine is None:
            mine = copy.copy(network)
            mine.stations = []
            merged.networks.append(mine)
        for station in network:
            old = next((s for s in mine if _same(s, station)), None)
            if old is None:
                old = copy.copy(station)
                old.channels = []
                mine.stations.append(old)
            replaced = {_epoch(channel) for channel in station}
            kept = [channel for channel in old if _epoch(channel) not in replaced]
            old.channels = kept + list(station)
    return merged


def _same(one: Any, other: Any) -> bool:
    return (one.code, one.start_date) == (other.code, other.start_date)


def _epoch(channel: Any) -> tuple[str, str, str]:
    return channel.code, channel.location_code or "", str(channel.start_date)


def _all_events(known: bytes | None, new: Catalog) -> Catalog:
    import obspy

    if known is None:
        return new
    ids = {str(event.resource_id) for event in new}
    old = obspy.read_events(io.BytesIO(known), format="QUAKEML")
    return Catalog([e for e in old if str(e.resource_id) not in ids] + list(new))


def stationxml(inventory: Inventory) -> bytes:
    """An inventory as StationXML: the same text for the same content, whenever it is written."""
    stream = io.BytesIO()
    timeless = Inventory(inventory.networks, source="pangeo_ces", created=UTCDateTime(0))
    timeless.write(stream, format="STATIONXML")
    return stream.getvalue()


def quakeml(catalog: Catalog) -> bytes:
    """A catalogue as QuakeML, likewise."""
    stream = io.BytesIO()
    ids = json.dumps([str(event.resource_id) for event in catalog])
    name = f"smi:local/{hashlib.sha256(ids.encode()).hexdigest()[:32]}"
    Catalog(list(catalog), resource_id=ResourceIdentifier(name)).write(stream, format="QUAKEML")
    return stream.getvalue()


def _lines(text: bytes) -> list[bytes]:
    """What StationXML says of the channels, whatever their order."""
    return sorted(text.splitlines())


def _extend_events(root: zarr.Group, arrangement: Arrangement) -> None:
    """Bring the event axis of a window set, and of every other group below it, up to date.

    Events are only ever appended, so no chunk moves.
    """
    assert arrangement.events is not None
    path, events = f"windows/{arrangement.name}", arrangement.events
    top = root.require_group(path)
    rows = event_axis.to_rows(events)
    if top.attrs.get(EVENTS) == rows:
        return
    table = event_axis.event_coords(events)
    mine = {node.path for node in arrangement.nodes}
    for leaf in waveform_groups(top):
        if leaf.path.removeprefix(f"{root.path}/") in mine:
            continue
        _grow(leaf, len(events))
        place = [np.asarray(array_of(leaf, name)[:]) for name in ("latitude", "longitude")]
        _assign(leaf, table.assign_coords(event_axis.geometry(events, *place)))
    if "event" in top:
        _grow(top, len(events))
        _assign(top, table)
    else:
        _write(root, path, table)
    top.attrs[EVENTS] = rows


def _grow(group: zarr.Group, length: int) -> None:
    """Lengthen the event axis of every array of a group."""
    for name, array in group.arrays():
        old = array.shape[0] if dims_of(array)[:1] == ("event",) else length
        if old < length:
            array.resize((length, *array.shape[1:]))
            if name in VARIABLES and VARIABLES[name].dims is not None:
                array[old:] = _missing(array.dtype)


def _assign(group: zarr.Group, table: xr.Dataset) -> None:
    """Values of coordinates that exist already."""
    for name, variable in table.variables.items():
        values = variable.values
        if values.dtype.kind == "M":
            values = values.astype("datetime64[ns]").astype("int64")
        array_of(group, str(name))[:] = values


def _missing(dtype: np.dtype) -> Any:
    """What stands in a coordinate where there is no channel."""
    return np.nan if dtype.kind == "f" else -1 if dtype.kind == "i" else ""


def _replace(root: zarr.Group, path: str, ds: xr.Dataset) -> None:
    """A group with just this."""
    if path in root:
        del root[path]
    _write(root, path, ds)


def _write(root: zarr.Group, path: str, ds: xr.Dataset) -> None:
    """Small variables of a group, added to what it has."""
    there = dict(root[path].attrs) if path in root else {}
    there.pop("coordinates", None)  # xarray's own, written anew
    ds = exact_encoding(ds.assign_attrs({**there, **ds.attrs}))
    ds.to_zarr(root.store, group=_inside(root, path), mode="a", consolidated=False, zarr_format=3)


def exact_encoding(ds: xr.Dataset) -> xr.Dataset:
    """Forget how variables were stored before; origin times to the nanosecond."""
    ds = ds.copy()
    for name in ds.variables:
        ds[name].encoding = {}
    if "origin_time" in ds.variables:
        ds["origin_time"].encoding = {
            "units": "nanoseconds since 1970-01-01T00:00:00", "dtype": "int64",
        }  # fmt: skip
    return ds


def _inside(root: zarr.Group, path: str) -> str:
    return os.path.join(root.path, path) if root.path else path
