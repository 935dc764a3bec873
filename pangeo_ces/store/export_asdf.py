"""Traces, stations and events as one ASDF file, which pyasdf reads."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

import h5py
import numpy as np
from obspy.core.event import Catalog
from obspy.core.inventory import Inventory

from ..conventions import VARIABLES
from ..sources.base import nominal_rate
from .documents import quakeml
from .finalise import stationxml
from .pieces import Piece, moment

_FILTERS = {"compression": "gzip", "compression_opts": 3, "shuffle": True, "fletcher32": True}
_DTYPES = ("int16", "int32", "int64", "float32", "float64")
_BLOCK = 1 << 22  # samples held in memory


def write(
    path: str | os.PathLike[str],
    pieces: Iterable[Piece],
    inventory: Inventory,
    catalog: Catalog,
) -> list[Piece]:
    """Write an ASDF 1.0.3 file; the pieces that are in it, each once.

    A record that is in the windows of two events is written once and refers to both.
    """
    events: dict[tuple, list[str]] = {}
    distinct: dict[tuple, Piece] = {}
    for piece in pieces:
        distinct.setdefault((piece.key, piece.begin, piece.end), piece)
        references = events.setdefault(piece.key, [])
        if piece.stored.event is not None:
            references.append(piece.stored.event.resource_id)
    with h5py.File(path, "w", libver=("earliest", "v110")) as file:
        file.attrs["file_format"] = np.bytes_("ASDF")
        file.attrs["file_format_version"] = np.bytes_("1.0.3")
        for group in ("AuxiliaryData", "Provenance", "Waveforms"):
            file.create_group(group)
        _document(file, "QuakeML", quakeml(catalog))
        for piece in distinct.values():
            _waveform(file["Waveforms"], piece, events[piece.key])
        for station in file["Waveforms"]:
            own = _only(inventory, *station.split(".", 1))
            if own.networks:
                _document(file["Waveforms"][station], "StationXML", stationxml(own))
    return list(distinct.values())


def tag(piece: Piece) -> str:
    """``raw_recording`` for counts, else as in ``synthetic_specfem_velocity``."""
    kind = re.sub(r"^(windows/[^/]*/|continuous$)", "", piece.stored.base) or "observed"
    if kind == "observed" and piece.header.quantity == "counts":
        return "raw_recording"
    return re.sub(r"[^a-z0-9_]", "_", f"{kind}_{piece.header.quantity}".lower())


def _waveform(group: h5py.Group, piece: Piece, events: list[str]) -> None:
    trace = piece.header
    begin, end = (moment(time, "%Y-%m-%dT%H:%M:%S") for time in (trace.start, trace.end))
    inside = group.require_group(f"{trace.network}.{trace.station}")
    name = f"{trace.id}__{begin}__{end}__{tag(piece)}"
    if name in inside:  # as pyasdf does for traces that begin and end within the same seconds
        begin, end = (f"{text}.{time % 10**9:09d}"
                      for text, time in ((begin, trace.start), (end, trace.end)))  # fmt: skip
        name = f"{trace.id}__{begin}__{end}__{tag(piece)}"
    first = piece.stored.samples(piece.begin, piece.begin + 1)
    dtype = first.dtype.name if first.dtype.name in _DTYPES else _wider(first.dtype)
    dataset = inside.create_dataset(name, (trace.samples,), dtype, maxshape=(None,), **_FILTERS)
    for at in range(0, trace.samples, _BLOCK):
        stop = min(at + _BLOCK, trace.samples)
        dataset[at:stop] = piece.stored.samples(piece.begin + at, piece.begin + stop)
    dataset.attrs["starttime"] = np.int64(trace.start)
    dataset.attrs["sampling_rate"] = np.float64(nominal_rate(trace.interval))
    if trace.quantity != "counts":
        dataset.attrs["units"] = VARIABLES[trace.quantity].units
    if references := [event for event in events if event]:
        dataset.attrs["event_id"] = np.bytes_(",".join(dict.fromkeys(references)))


def _wider(dtype: np.dtype) -> str:
    return "float32" if dtype.kind == "f" else "int16" if dtype.itemsize == 1 else "int64"


def _document(group: h5py.Group, name: str, content: bytes) -> None:
    data = np.frombuffer(content, "int8")
    group.create_dataset(name, data=data, maxshape=(None,), **_FILTERS)


def _only(inventory: Inventory, network: str, station: str) -> Inventory:
    """The part of an inventory about one station, under one network."""
    found = inventory.select(network=network or None, station=station)
    own = Inventory(networks=[], source=inventory.source, created=inventory.created)
    for part in found:
        if own.networks:
            own.networks[0].stations.extend(part.stations)
        else:
            own.networks.append(part)
    return own
