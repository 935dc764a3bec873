"""From files to the next version of a store: plan, begin, write partitions, publish.

:func:`convert` does it all with Dask.  The same :mod:`steps`, one by one, are for a job array
without a scheduler that lives as long as the conversion.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..compute import mapped
from ..errors import InputError
from ..sources.base import SourceFile
from ..sources.specfem import PLACES
from . import repo
from .arrange import Arrangement, arrange
from .plan import Plan, check, describe
from .report import Report
from .scan import Scan, scan
from .steps import begin, name_newest, newest, nothing, publish
from .work import run_partition

Paths = str | Path | Sequence[str | Path]


def convert(
    inputs: Paths | Plan,
    store: str | os.PathLike[str],
    *,
    stations: Paths | None = None,
    event: Paths | None = None,
    as_: str = "observed",
    name: str = "main",
    profile: str = "core",
    overwrite: bool = False,
    tag: str | None = None,
    progress: bool = False,
    report: Report | None = None,
) -> Report:
    """Put waveform files, their stations and their earthquakes into the next version of a store.

    Parameters
    ----------
    inputs
        Files, folders, globs or fsspec URLs: miniSEED, SAC, ASDF, K-NET, COSMOS, ESM, GSE2,
        SPECFEM3D …; a staged archive, as ``archive@3``; or a :class:`Plan`, which has all
        parameters but ``overwrite`` and ``tag``.
    store
        Path or URL (``s3://bucket/prefix``, ``memory://name``) of the store; made or added to.
    stations
        StationXML, dataless SEED or STATIONS.  May be left out for formats that carry coordinates
        and for archives that hold station metadata.
    event
        QuakeML or CMTSOLUTION.  With it, records become event windows; without it, continuous
        data.  SPECFEM's own CMTSOLUTION is found beside its seismograms.
    as_
        ``observed`` or ``synthetic/NAME``.
    name
        Name of the window set, below ``windows/``.
    profile
        How samples are compressed where they are new: ``core`` or ``archive``.
    overwrite
        Begin the group anew instead of adding to it; earlier versions keep what it held.
    tag
        Name for the version that comes of it.
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
        When another version was published meanwhile, or the storage fails.

    Notes
    -----
    Traces that the store holds already are left as they are, and only shards with something new
    are written: the result is the same as if all had been converted at once.  Files that are
    called the same and have other bytes than before replace what came of them.  Readers see the
    new version when it is whole, or not at all.  A run that was killed goes on where it was when
    the same call is made again.

    Examples
    --------
    >>> report = convert(pangeo_ces.samples.path("german_events/observed"), "memory://doc",
    ...     stations=pangeo_ces.samples.path("german_events/stations.xml"),
    ...     event=pangeo_ces.samples.path("german_events/events.xml"))
    >>> report.traces_read, report.nodes, report.version
    (42, ['windows/main/observed/20Hz'], 1)
    """
    report = report if report is not None else Report()
    report.store = os.fspath(store)
    if not isinstance(inputs, Plan):
        inputs = _plan(inputs, stations, event, as_, name, profile, progress, report)
    job = begin(inputs, store, overwrite=overwrite, tag=tag, report=report)
    if job is None:
        if tag:
            name_newest(store, tag)
        return report
    waiting = sorted(job.waiting())
    mapped(run_partition, [(job.work, number) for number in waiting], progress=progress)
    return publish(job, report)


def plan(
    inputs: Paths,
    *,
    stations: Paths | None = None,
    event: Paths | None = None,
    as_: str = "observed",
    name: str = "main",
    profile: str = "core",
    store: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> Plan:
    """What :func:`convert` would do: files are looked through, nothing is written.

    Parameters
    ----------
    store
        Where it is to go; what it holds already is left out.
    inputs, stations, event, as_, name, profile, progress
        As for :func:`convert`.

    Returns
    -------
    Plan
        To be looked at, written as JSON (``plan.write("plan.json")``), and given to
        :func:`convert`.

    Examples
    --------
    >>> found = plan(pangeo_ces.samples.path("german_events/observed"),
    ...     stations=pangeo_ces.samples.path("german_events/stations.xml"),
    ...     event=pangeo_ces.samples.path("german_events/events.xml"))
    >>> found.totals()["partitions"], found.nodes[0]["dims"]["station"]
    (3, 5)
    """
    report = Report()
    found = _plan(inputs, stations, event, as_, name, profile, progress, report)
    root = newest(repo.split_version(store)[0])[0] if store is not None else None
    _describe(found, arrange(found, root, False, report))
    return found


def _plan(
    inputs: Paths,
    stations: Paths | None,
    event: Paths | None,
    as_: str,
    name: str,
    profile: str,
    progress: bool,
    report: Report,
) -> Plan:
    check(as_, name, profile)
    found = scan(inputs, progress=progress)
    places = [*_listed(stations), *found.stations]
    quakes = [*_listed(event)]
    if not quakes and any(origin.name.startswith("windows/") for origin in found.origins):
        quakes = found.events  # staged around these
    if not quakes and as_ != "observed":
        quakes = found.events or _cmtsolutions(found)
    if not found.traces and not found.gone:
        for problem in found.problems:
            report.add(problem.file, problem.trace, problem.status, problem.reason)
        raise InputError(nothing(report))
    return Plan(as_, name, profile, bool(quakes), places, quakes, found)


def _listed(paths: Paths | None) -> list[str]:
    if paths is None:
        return []
    return [os.fspath(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]


def _cmtsolutions(found: Scan) -> list[str]:
    """The CMTSOLUTION of every run among the files."""
    documents: dict[str, None] = {}
    folders: set[str] = set()
    for origin in found.origins:
        folder = origin.name.rpartition("/")[0]
        if folder in folders:
            continue
        folders.add(folder)
        file = SourceFile(origin.url, None, origin.name, found.beside)
        for place in PLACES:
            if document := file.sibling(place.format("CMTSOLUTION")):
                documents[document.url] = None
                break
    if not documents:
        raise InputError(
            "no event for these synthetics: give event=QUAKEML (--event), or put the CMTSOLUTION "
            "of the run into DATA/ beside its seismograms"
        )
    return list(documents)


def _describe(found: Plan, arrangement: Arrangement) -> None:
    largest = max((origin.size for origin in found.scan.origins), default=0)
    parts = arrangement.partitions()
    found.nodes = [
        describe(node, sum(part.path == node.path for part in parts), largest)
        for node in arrangement.nodes
    ]
