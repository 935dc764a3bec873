"""All that is served, as it was when it was opened: waveforms, stations and earthquakes."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from obspy.core.event import Catalog

from ..archive.archive import Archive, is_archive
from ..errors import InputError, StoreError
from ..sources.metadata import read_catalog, read_inventory
from ..store.held import EVENTS
from ..store.urls import array_of, group_of, root_group
from .archive_waveforms import ArchiveWaveforms
from .events import Events
from .stations import Stations
from .store_waveforms import StoreWaveforms, complete_groups
from .timeline import Codes, Waveforms

Progress = Callable[[list[str]], Iterable[str]]


@dataclasses.dataclass(frozen=True)
class Holdings:
    """One version of a store or an archive.

    Attributes
    ----------
    version
        Differs when the content does.
    closed
        Channels that the station metadata restrict.
    notes
        What is not served, and why.
    """

    version: Any
    waveforms: Waveforms
    stations: Stations
    events: Events
    closed: frozenset[Codes]
    notes: tuple[str, ...]

    def recorded(self, codes: Codes, start: int, end: int) -> bool:
        """Whether there are samples of a channel between two times (ns)."""
        timeline = self.waveforms.timeline
        return any(
            True
            for channel in timeline.match([(code,) for code in codes])
            for _ in timeline.overlapping(channel, start, end)
        )


def open_holdings(
    target: str | os.PathLike[str], pool: Executor, cache: Path, progress: Progress = iter
) -> Holdings:
    """Open a store or an archive, ``url`` or ``url@version``.

    Parameters
    ----------
    pool
        Threads that read and encode.
    cache
        Folder for the index of an archive's records.
    progress
        Called with the objects of an archive that must be read once for it.

    Raises
    ------
    StoreError
        If there is neither, or it cannot be opened.
    """
    if is_archive(target):
        return _from_archive(*Archive.parse(target), cache, progress)
    return _from_store(root_group(target), target, pool)


def current_version(target: str | os.PathLike[str]) -> Any:
    """What :attr:`Holdings.version` would be now."""
    if is_archive(target):
        return Archive.parse(target)[1]
    return _store_version(root_group(target))


def cache_folder() -> Path:
    """Where the indices of archives are kept: ``$XDG_CACHE_HOME/pangeo_ces``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pangeo_ces"


def _from_archive(archive: Archive, stage: int, cache: Path, progress: Progress) -> Holdings:
    entries = archive.files(stage)
    notes: list[str] = []
    objects = {e.sha256: e.url for e in entries if e.kind == "waveform"}
    names = {e.sha256: e.name for e in entries}
    waveforms = ArchiveWaveforms(objects, cache / "records.sqlite", progress)
    notes += [f"{names[sha256]}: no miniSEED in it" for sha256 in waveforms.left_out]

    stations = {e.url: e.name for e in entries if e.kind == "stations"}
    events = {e.url: e.name for e in entries if e.kind == "events"}
    return _holdings(
        stage,
        waveforms,
        Stations(_documents(stations, read_inventory, notes)),
        Events(_documents(events, _read_catalog, notes)),
        notes,
    )


def _from_store(root: zarr.Group, target: str | os.PathLike[str], pool: Executor) -> Holdings:
    if str(root.attrs.get("Conventions", "")).partition(".")[0] != "CES-1":
        raise StoreError(
            f"{os.fspath(target)} is no CES store of version 1: make one with ces convert, or an "
            "archive with ces stage"
        )
    version = _store_version(root)
    waveforms = StoreWaveforms(root, pool)
    notes = [f"{name}: its codes do not fit into miniSEED 2" for name in waveforms.left_out]
    with tempfile.TemporaryDirectory(prefix="ces-serve-") as folder:
        inventories, catalogs = _copy_documents(root, Path(folder))
        stations = Stations(_documents(inventories, read_inventory, notes))
        events = Events(_documents(catalogs, _read_catalog, notes))
    # Two catalogues may name one earthquake twice: the event axes have each once.
    if axis := _on_axes(root):
        events.events = {name: event for name, event in events.events.items() if name in axis}
    return _holdings(version, waveforms, stations, events, notes)


def _copy_documents(root: zarr.Group, folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Files with the StationXML and QuakeML of a store, and what to call them."""
    inventories: dict[str, str] = {}
    catalogs: dict[str, str] = {}
    for number, base in enumerate(complete_groups(root)):
        for name, found in (("stationxml", inventories), ("quakeml", catalogs)):
            path = f"metadata/{base}/{name}"
            if path in root and not (name == "stationxml" and "/synthetic/" in base):
                file = folder / f"{number}.{name}.xml"
                file.write_bytes(np.asarray(array_of(root, path)[:]).tobytes())
                found[str(file)] = path
    return inventories, catalogs


def _documents[Document](
    urls: dict[str, str], read: Callable[[str], Document], notes: list[str]
) -> Iterator[Document]:
    """The documents that can be read; the others are noted."""
    for url, name in urls.items():
        try:
            yield read(url)
        except InputError as error:
            notes.append(f"{name}: {error}")


def _read_catalog(url: str) -> Catalog:
    """Events that cannot be used were reported when they were converted or staged."""
    return read_catalog(url, lambda problem: None)


def _holdings(
    version: Any, waveforms: Waveforms, stations: Stations, events: Events, notes: list[str]
) -> Holdings:
    closed = frozenset(filter(stations.restricted, waveforms.timeline.channels))
    return Holdings(version, waveforms, stations, events, closed, tuple(notes))


def _store_version(root: zarr.Group) -> str:
    """The snapshot that is read; plain Zarr has no versions."""
    session = getattr(root.store, "session", None)
    return "" if session is None else str(session.snapshot_id)


def _on_axes(root: zarr.Group) -> set[str]:
    """Ids of the earthquakes on the event axes."""
    if "windows" not in root:
        return set()
    axes: Any = [windows.attrs.get(EVENTS, []) for _, windows in group_of(root, "windows").groups()]
    return {str(row["resource_id"]) for axis in axes for row in axis}
