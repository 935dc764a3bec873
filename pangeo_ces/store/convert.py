"""From files to a store: scan, lay out, write partitions, finalise."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path

import dask
import obspy
from dask.diagnostics import ProgressBar

from .. import config, conventions
from ..errors import FormatError, InputError, ParameterError, StoreError
from ..sources import expand
from ..sources.base import Problem, SourceFile, Trace
from ..sources.metadata import read_catalog, read_inventory
from ..sources.specfem import PLACES
from . import events as event_axis
from . import finalise, layout, partition
from .channels import Channels
from .reader import READER
from .report import Report
from .urls import root_group

Paths = str | Path | Sequence[str | Path]
_KIND = re.compile(r"observed|synthetic/[A-Za-z0-9][A-Za-z0-9_.-]*")


def convert(
    inputs: Paths,
    store: str | os.PathLike[str],
    *,
    stations: Paths | None = None,
    event: Paths | None = None,
    as_: str = "observed",
    name: str = "main",
    overwrite: bool = False,
    progress: bool = False,
    report: Report | None = None,
) -> Report:
    """Put waveform files, their stations and their earthquakes into one Zarr store.

    Parameters
    ----------
    inputs
        Files, folders, globs or fsspec URLs: miniSEED, SAC, K-NET, COSMOS, ESM, GSE2, SPECFEM3D …
    store
        Path or URL (``s3://bucket/prefix``, ``memory://name``) of the store; made or added to.
    stations
        StationXML, dataless SEED or STATIONS.  May be left out for formats that carry coordinates.
    event
        QuakeML or CMTSOLUTION.  With it, records become event windows; without it, continuous
        data.  SPECFEM's own CMTSOLUTION is found beside its seismograms.
    as_
        ``observed`` or ``synthetic/NAME``.
    name
        Name of the window set, below ``windows/``.
    overwrite
        Replace a group that holds something else.
    progress
        Show a progress bar.
    report
        Filled as the conversion goes, so that it can be read after an error too.

    Returns
    -------
    Report
        Counts, and one row for every file or trace that was refused or is doubtful.

    Raises
    ------
    InputError
        When an input does not exist, metadata are missing, or nothing could be used.
    StoreError
        When the group exists with other content and ``overwrite`` is not set.

    Notes
    -----
    Running it again on the same input changes nothing.  A run that was killed leaves a group
    marked incomplete, which cannot be opened; the same call makes it whole.

    Examples
    --------
    >>> report = convert(pangeo_ces.samples.path("german_events/observed"), "memory://doc",
    ...     stations=pangeo_ces.samples.path("german_events/stations.xml"),
    ...     event=pangeo_ces.samples.path("german_events/events.xml"))
    >>> report.traces_read, report.nodes
    (42, ['windows/main/observed/20Hz'])
    """
    url = os.fspath(store)
    _check(as_, name)
    report = report if report is not None else Report()
    report.store = url
    # Metadata first: an unreadable inventory should not cost a scan of all waveforms.
    inventory = read_inventory(stations) if stations is not None else None
    files, problems = expand([inputs] if isinstance(inputs, str | Path) else inputs)
    report.rows += problems
    if not files:
        raise InputError(_nothing(report))
    catalog = read_catalog(event, report.rows.append) if event is not None else None
    if catalog is None and as_ != "observed":
        catalog = read_catalog(_cmtsolutions(files), report.rows.append)
    given = event_axis.events_of(catalog) if catalog is not None else None
    found, read = _scan(files, Channels(inventory), report, progress)
    base = f"windows/{name}/{as_}"
    events = None
    if given is None:
        base, nodes = "continuous", layout.continuous(found) if found else []
        _note_epochs(found, files, report)
    else:
        events = event_axis.merge(finalise.stored_events(url, name), given)
        found, assigned = _assign(found, events, files, report, as_ != "observed")
        nodes = layout.windows(base, found, assigned, events) if found else []
    if not nodes:
        raise InputError(_nothing(report))
    fingerprint = _fingerprint(read, given, inventory, as_, name)
    if finalise.is_converted(url, base, fingerprint):
        report.unchanged = True
        report.nodes = [node.path for node in nodes]
        report.traces_used = len(found)
        return report
    root = finalise.prepare(root_group(url, "a"), base, name, events, nodes, overwrite, fingerprint)
    tasks = []
    for node in nodes:
        _, shard = node.chunks(config.get_bytes("shard-bytes"))
        tasks += [
            (node, part) for part in partition.partitions(url, node, shard, dict(enumerate(read)))
        ]
    with ProgressBar() if progress else nullcontext():
        written = dask.compute(*(dask.delayed(partition.write)(part) for _, part in tasks))
    READER.clear()
    for node in nodes:
        parts = [w for (owner, _), w in zip(tasks, written, strict=True) if owner is node]
        finalise.write_tables(root, node, parts, read, [file.url for file in files], report)
    report.nodes = [node.path for node in nodes]
    used = {(p.file, p.number) for node in nodes for p in node.placements}
    lost = {
        (node.placements[number].file, node.placements[number].number)
        for (node, _), w in zip(tasks, written, strict=True)
        for number in w.failed
    }
    report.traces_used = len(used - lost)
    if not report.traces_used:
        raise InputError(_nothing(report))
    now = event_axis.to_rows(finalise.stored_events(url, name))
    if events is not None and now != event_axis.to_rows(events):
        raise StoreError(
            f"another conversion changed the events of windows/{name} meanwhile: run this one again"
        )
    finalise.write_metadata(root, base, inventory, catalog, report)
    finalise.complete(root, base, fingerprint)
    return report


def _check(as_: str, name: str) -> None:
    if not _KIND.fullmatch(as_):
        raise ParameterError(f"as {as_!r}: use 'observed' or 'synthetic/NAME'")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ParameterError(f"window set {name!r}: use letters, digits, '.', '_' and '-'")


def _cmtsolutions(files: list[SourceFile]) -> list[str]:
    """The CMTSOLUTION of every run among the files."""
    found: dict[str, None] = {}
    folders: set[str] = set()
    for file in files:
        folder = file.url.rpartition("/")[0]
        if folder in folders:
            continue
        folders.add(folder)
        for place in PLACES:
            if document := file.sibling(place.format("CMTSOLUTION")):
                found[document.url] = None
                break
    if not found:
        raise InputError(
            "no event for these synthetics: give event=QUAKEML (--event), or put the CMTSOLUTION "
            "of the run into DATA/ beside its seismograms"
        )
    return list(found)


def _scan(
    files: list[SourceFile], channels: Channels, report: Report, progress: bool
) -> tuple[list[layout.Found], list[tuple[str, str]]]:
    """Usable traces of all files, and the url and checksum of each file."""
    found: list[layout.Found] = []
    read: list[tuple[str, str]] = []
    seen: dict[tuple, str] = {}
    for number, file in enumerate(_track(files, "reading", progress)):

        def note(trace: str, reason: str, url: str = file.url) -> None:
            status, _, said = reason.partition(": ")
            if status == "rejected":
                report.add(url, trace, "rejected", said)
            else:
                report.add(url, trace, "warning", reason)

        try:
            traces, checksum, _ = READER.read(file, note)
        except FormatError as error:
            report.add(file.url, "", "rejected", str(error))
            read.append((file.url, ""))
            continue
        report.files_read += 1
        report.traces_read += len(traces)
        read.append((file.url, checksum))
        for position, trace in enumerate(traces):
            usable = _usable(trace, channels, file.url, seen, report)
            if usable is not None:
                found.append(dataclasses.replace(usable, file=number, number=position))
    return found, read


def _usable(
    trace: Trace, channels: Channels, url: str, seen: dict[tuple, str], report: Report
) -> layout.Found | None:
    """A trace with its channel and dtype, or ``None`` and a row in the report."""
    assert trace.data is not None
    reason = layout.unplaceable(trace)
    if not reason and not trace.samples:
        reason = "no samples"
    channel = reason or channels.find(trace)
    if isinstance(channel, str):
        report.add(url, trace.id, "rejected", channel)
        return None
    try:
        dtype = partition.stored_dtype(trace.data)
    except FormatError as error:
        report.add(url, trace.id, "rejected", str(error))
        return None
    quantity = channel.quantity if trace.quantity == "counts" else trace.quantity
    # Bytes in full: traces that agree in everything are one trace, found twice.
    digest = hashlib.sha256(trace.data.tobytes()).digest()
    key = (trace.id, quantity, trace.start, trace.interval, trace.data.dtype.str, digest)
    if key in seen:
        report.add(url, trace.id, "warning", f"the same trace is in {seen[key]}: stored once")
        return None
    seen[key] = url
    for remark in channel.remarks:
        report.add(url, trace.id, "warning", remark)
    if quantity == "counts" and not channel.input_quantity and not channel.document:
        report.add(url, trace.id, "warning", "no response: counts only, no ground motion from it")
    header = dataclasses.replace(trace, data=None, quantity=quantity)
    return layout.Found(-1, -1, header, channel, dtype, trace.data.dtype.name)


def _note_epochs(found: list[layout.Found], files: list[SourceFile], report: Report) -> None:
    """A row where the metadata of a channel change: continuous data keep those of its start."""
    first: dict[str, layout.Found] = {}
    for item in sorted(found, key=lambda item: item.trace.start):
        if first.setdefault(item.trace.id, item).channel != item.channel:
            report.add(
                files[item.file].url, item.trace.id, "warning",
                "another epoch of the channel begins here: the response, orientation and "
                "sensitivity of its first record are kept for all; convert epoch by epoch",
            )  # fmt: skip


def _assign(
    found: list[layout.Found],
    events: list[event_axis.Event],
    files: list[SourceFile],
    report: Report,
    synthetic: bool,
) -> tuple[list[layout.Found], list[list[int]]]:
    """The events of every trace; a row for those that belong to none."""
    kept, assigned = [], []
    for item in found:
        start, end = item.trace.start, item.trace.end
        if synthetic:
            numbers = event_axis.simulated(events, start, end, item.trace.origin)
        else:
            numbers = event_axis.belongs(events, start, end)
        if numbers:
            kept.append(item)
            assigned.append(numbers)
        else:
            report.add(
                files[item.file].url, item.trace.id, "rejected",
                f"starts {obspy.UTCDateTime(ns=item.trace.start)}: no event in it, within "
                f"{event_axis.LONGEST_DELAY:.0f} s before it or {event_axis.LONGEST_LEAD:.0f} s "
                "after it",
            )  # fmt: skip
    return kept, assigned


def _fingerprint(
    read: list[tuple[str, str]],
    events: list[event_axis.Event] | None,
    inventory: obspy.Inventory | None,
    as_: str,
    name: str,
) -> str:
    """Checksum of everything a conversion depends on."""
    stations = finalise.stationxml(inventory).decode() if inventory is not None else ""
    described = [
        sorted(read), event_axis.to_rows(events or []), as_, name, conventions.VERSION,
        re.sub("<Created>.*?</Created>", "", stations),  # when ObsPy wrote it, not what it says
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()


def _track(files: list[SourceFile], what: str, progress: bool) -> Iterable[SourceFile]:
    if not progress:
        return files
    from rich.progress import track

    return track(files, what)


def _nothing(report: Report) -> str:
    rows: list[Problem] = [row for row in report.rows if row.status == "rejected"]
    first = f" (first of {len(rows)}: {rows[0].file}: {rows[0].reason})" if rows else ""
    return f"nothing could be used{first}: see the report, and check stations and event"
