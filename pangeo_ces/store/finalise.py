"""The parts of a store that one committer writes: groups, axes, tables, documents, the marker.

A group is marked incomplete before its first sample is written and complete after its last table,
so a reader never takes half a conversion for a whole one.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
import zarr
from obspy.core.event import Catalog
from obspy.core.inventory import Inventory
from zarr.codecs import BloscCodec

from .. import config
from ..conventions import VARIABLES, VERSION
from ..errors import StoreError
from . import events as event_axis
from .layout import Node, Placement
from .partition import Written, fill_value
from .report import Report
from .urls import array_of, dims_of, group_of, root_group

COMPLETE, FINGERPRINT, EVENTS = "ces_complete", "ces_fingerprint", "ces_events"
_CODEC = BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle")


def stored_events(url: str, name: str) -> list[event_axis.Event]:
    """The event axis of a window set, empty where there is none yet."""
    try:
        attrs: Any = root_group(url, "r")[f"windows/{name}"].attrs
    except (StoreError, KeyError):
        return []
    return event_axis.from_rows(attrs.get(EVENTS, []))


def is_converted(url: str, base: str, fingerprint: str) -> bool:
    """Whether the group already holds just this."""
    try:
        attrs = root_group(url, "r")[base].attrs
    except (StoreError, KeyError):
        return False
    return bool(attrs.get(COMPLETE)) and attrs.get(FINGERPRINT) == fingerprint


def prepare(
    root: zarr.Group,
    base: str,
    name: str,
    events: list[event_axis.Event] | None,
    nodes: list[Node],
    overwrite: bool,
    fingerprint: str,
) -> zarr.Group:
    """Make the groups, axes and empty arrays of all nodes."""
    if base in root:
        if root[base].attrs.get(COMPLETE) and not overwrite:
            raise StoreError(
                f"{base} is in this store already, from other files: choose another name, or "
                "replace it with overwrite=True (--overwrite)"
            )
        del root[base]
    root.attrs.update({"Conventions": f"CES-{VERSION}"})
    group = root.require_group(base)
    group.attrs.update({COMPLETE: False})
    if events is not None:
        _extend_events(root, f"windows/{name}", events)
    for node in nodes:
        _write(root, node.path, _axes(node))
        target = group_of(root, node.path)
        target.attrs.update(
            {
                "Conventions": f"CES-{VERSION}",
                "sampling_interval": str(node.interval),
                "time_origin": node.origin,
                "first_sample": node.first,
            }
        )
        chunks, shards = node.chunks(config.get_bytes("shard-bytes"))
        for quantity, dtype in node.dtypes().items():
            target.create_array(
                quantity,
                shape=node.shape,
                dtype=dtype,
                chunks=chunks,
                shards=shards,
                fill_value=fill_value(dtype),
                compressors=_CODEC,
                dimension_names=node.dims,
                attributes=dict(VARIABLES[quantity].attrs),
                overwrite=True,
            )
    return root


def write_tables(
    root: zarr.Group,
    node: Node,
    parts: list[Written],
    read: list[tuple[str, str]],
    urls: list[str],
    report: Report,
) -> None:
    """The segment table, the samples that had no place on the grid, ranges, problems."""
    failed = {number: why for part in parts for number, why in part.failed.items()}
    for number, why in failed.items():
        placement = node.placements[number]
        report.add(urls[placement.file], placement.trace.id, "rejected", why)
    stored = [n for n in range(len(node.placements)) if n not in failed]
    row = {number: i for i, number in enumerate(stored)}
    spills = sorted(
        ((row[n], begin, values) for part in parts for n, begin, values in part.spills),
        key=lambda spill: spill[:2],
    )
    for number, _, values in spills:
        placement = node.placements[stored[number]]
        report.add(
            urls[placement.file], placement.trace.id, "warning",
            f"overlaps an earlier trace with different samples ({len(values)} kept beside the "
            "grid)",
        )  # fmt: skip
    used = sorted({node.placements[n].file for n in stored})
    order = {file: i for i, file in enumerate(used)}
    table = _segments([node.placements[n] for n in stored], order)
    table["source_url"] = ("source", np.array([read[file][0] for file in used], dtype=object))
    table["source_sha256"] = ("source", np.array([read[file][1] for file in used], dtype=object))
    columns = {
        "spill_segment": [segment for segment, _, _ in spills],
        "spill_begin": [begin for _, begin, _ in spills],
        "spill_samples": [len(values) for _, _, values in spills],
    }
    for name, column in columns.items():
        table[name] = ("spill", np.array(column, dtype="int64"))
    loose = np.concatenate([v for _, _, v in spills]) if spills else np.empty(0, "int32")
    table["spilled"] = ("spilled_sample", loose)
    _write(root, f"{node.path}/segments", table)
    group = group_of(root, node.path)
    for quantity in node.dtypes():
        ranges = [part.ranges[quantity] for part in parts if quantity in part.ranges]
        if ranges:
            low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
            group[quantity].attrs["actual_range"] = [low, high]


def write_metadata(
    root: zarr.Group,
    base: str,
    inventory: Inventory | None,
    catalog: Catalog | None,
    report: Report,
) -> None:
    """The documents, whole, beside what was drawn from them; and the report."""
    documents = {}
    if inventory is not None:
        documents["stationxml"] = stationxml(inventory)
    if catalog is not None:
        stream = io.BytesIO()
        catalog.write(stream, format="QUAKEML")
        documents["quakeml"] = stream.getvalue()
    path = f"metadata/{base}"
    if path in root:
        del root[path]
    ds = xr.Dataset(
        {
            name: (f"{name}_byte", np.frombuffer(text, "uint8"), {"media_type": "application/xml"})
            for name, text in documents.items()
        },
        attrs={"report": json.dumps(report.to_dict())},
    )
    _write(root, path, ds)


def complete(root: zarr.Group, base: str, fingerprint: str) -> None:
    """Mark a group as whole: the last write of a conversion."""
    root[base].attrs.update({COMPLETE: True, FINGERPRINT: fingerprint})


def stationxml(inventory: Inventory) -> bytes:
    """An inventory as StationXML."""
    stream = io.BytesIO()
    inventory.write(stream, format="STATIONXML")
    return stream.getvalue()


def _axes(node: Node) -> xr.Dataset:
    """Coordinates of a node: labels, places, orientations, responses, extents."""
    stations, components = len(node.stations), len(node.components)
    shape: tuple[int, ...] = (stations, components)
    dims: tuple[str, ...] = ("station", "component")
    if node.events is not None:
        shape, dims = (len(node.events), *shape), ("event", *dims)
    station = {
        n: np.full(stations, np.nan) for n in ("latitude", "longitude", "elevation", "depth")
    }
    names = ("azimuth", "dip", "sensitivity", "time_offset", "data_start", "data_end")
    channel = {name: np.full(shape, np.nan) for name in names}
    response_id = np.full(shape, -1, "int32")
    input_quantity = np.full(shape, "", dtype=object)
    recorded = np.full(shape, "", dtype=object)
    documents: dict[str, int] = {}
    for p in node.placements:
        place: tuple[int, ...] = (p.station, p.component)
        if node.events is not None:
            place = (p.event, *place)
        site = p.channel.site
        for name, values in station.items():
            if np.isnan(values[p.station]):
                values[p.station] = getattr(site, name)
        start = float((node.first + p.index) * node.interval)
        end = float((node.first + p.index + max(p.trace.samples, 1) - 1) * node.interval)
        if np.isnan(channel["data_start"][place]):
            channel["azimuth"][place], channel["dip"][place] = site.azimuth, site.dip
            channel["sensitivity"][place] = p.channel.sensitivity
            channel["time_offset"][place] = float(p.offset)
            channel["data_start"][place], channel["data_end"][place] = start, end
            input_quantity[place] = p.channel.input_quantity
            if p.channel.document:
                response_id[place] = documents.setdefault(p.channel.document, len(documents))
        names_here = {*str(recorded[place]).split(","), p.trace.quantity} - {""}
        recorded[place] = ",".join(sorted(names_here))
        channel["data_start"][place] = min(channel["data_start"][place], start)
        channel["data_end"][place] = max(channel["data_end"][place], end)

    def attrs(name: str) -> dict[str, str]:
        return VARIABLES[name].attrs

    coords: dict[str, Any] = {
        "station": ("station", np.array(node.stations, dtype=object)),
        "component": ("component", np.array(node.components, dtype=object)),
        **{name: ("station", values, attrs(name)) for name, values in station.items()},
        **{name: (dims, values, attrs(name)) for name, values in channel.items()},
        "response_id": (dims, response_id, attrs("response_id")),
        "input_quantity": (dims, input_quantity, attrs("input_quantity")),
        "recorded": (dims, recorded, attrs("recorded")),
    }
    if documents:
        coords["response_document"] = ("response", np.array([*documents], dtype=object))
    ds = xr.Dataset(coords=coords)
    if node.events is not None:
        ds = ds.merge(event_axis.event_coords(node.events))
        ds = ds.assign_coords(
            event_axis.geometry(node.events, station["latitude"], station["longitude"])
        )
    return ds


def _segments(placements: list[Placement], order: dict[int, int]) -> xr.Dataset:
    rows: dict[str, tuple[str, list]] = {
        "event_number": ("int32", [p.event for p in placements]),
        "station_number": ("int32", [p.station for p in placements]),
        "component_number": ("int32", [p.component for p in placements]),
        "start": ("int64", [p.trace.start for p in placements]),
        "samples": ("int64", [p.trace.samples for p in placements]),
        "index": ("int64", [p.index for p in placements]),
        "segment_time_offset": ("float64", [float(p.offset) for p in placements]),
        "source_number": ("int32", [order[p.file] for p in placements]),
        "quantity": ("object", [p.trace.quantity for p in placements]),
        "source_dtype": ("object", [p.source_dtype for p in placements]),
        "quality": ("object", [p.trace.quality for p in placements]),
    }
    return xr.Dataset({n: ("segment", np.array(v, dtype=d)) for n, (d, v) in rows.items()})


def _extend_events(root: zarr.Group, path: str, events: list[event_axis.Event]) -> None:
    """Bring the event axis of a window set, and of every group below it, to ``events``.

    Events are only ever appended, so no chunk moves.  The list in the attributes of the window
    set is written last and at once: a run killed before that does the same again.
    """
    top = root.require_group(path)
    rows = event_axis.to_rows(events)
    if top.attrs.get(EVENTS) == rows:
        return
    table = event_axis.event_coords(events)
    for leaf in _waveform_groups(top):
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


def _waveform_groups(group: zarr.Group) -> Iterator[zarr.Group]:
    for _, child in group.groups():
        if "sampling_interval" in child.attrs:
            yield child
        else:
            yield from _waveform_groups(child)


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
