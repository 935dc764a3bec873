"""From files to the next version of a store: plan, begin, write partitions, finish.

:func:`convert` does it all with Dask.  The same steps, one by one, are for a job array without a
scheduler that lives as long as the conversion.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import dask
import fsspec
import zarr
from dask.diagnostics import ProgressBar

from ..conventions import VERSION
from ..errors import InputError, ParameterError, StoreError
from ..sources.base import Problem, SourceFile
from ..sources.specfem import PLACES
from . import finalise, repo
from .arrange import Arrangement, arrange, base_of
from .codecs import PROFILES
from .plan import Plan, describe
from .reader import READER
from .report import Report
from .scan import Scan, scan
from .urls import storage_fault
from .work import Work, run_partition

Paths = str | Path | Sequence[str | Path]
_KIND = re.compile(r"observed|synthetic/[A-Za-z0-9][A-Za-z0-9_.-]*")


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
    waiting = sorted(set(range(job.partitions)) - job.work.done())
    with ProgressBar() if progress else nullcontext():
        dask.compute(*(dask.delayed(run_partition)(job.work, number) for number in waiting))
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
    root = _newest(repo.split_version(store)[0]) if store is not None else None
    _describe(found, arrange(found, root, False, report))
    return found


@dataclasses.dataclass
class Job:
    """A conversion that was begun."""

    work: Work
    plan: Plan
    arrangement: Arrangement
    draft: repo.Draft
    partitions: int
    overwrite: bool
    tag: str | None


def begin(
    found: Plan,
    store: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    tag: str | None = None,
    report: Report | None = None,
) -> Job | None:
    """Prepare the next version of a store: its axes, its arrays, the list of partitions.

    ``None`` when the store holds all of it already.  A conversion of the same plan that was begun
    before and not finished is gone on with.
    """
    report = report if report is not None else Report()
    address, version = repo.split_version(store)
    if version:
        raise ParameterError(f"{address}@{version}: versions never change, leave out @{version}")
    report.store = address
    if tag:
        repo.check_tag(repo.find(address), address, tag)
    root = _newest(address)
    arrangement = arrange(found, root, overwrite, report)
    report.nodes = [node.path for node in arrangement.nodes]
    if not report.traces_used and not arrangement.dropped:
        raise InputError(_nothing(report))
    work = Work(address, _identity(found, overwrite))
    idle = not overwrite and not arrangement.changed
    if root is not None and idle and finalise.holds_metadata(root, arrangement):
        _abandon(work)
        report.unchanged = True
        return None
    parts = arrangement.partitions()
    state = work.state()
    repository = repo.find(address)
    tip = repository.lookup_branch(repo.MAIN) if repository is not None else ""
    if state is not None and state["base"] == tip and state["partitions"] == len(parts):
        draft = repo.Draft.resume(address, work.branch, tip, state["draft"])
        if draft is not None:
            return Job(work, found, arrangement, draft, len(parts), overwrite, tag)
    work.clear()
    draft = repo.Draft.begin(address, work.branch)
    if draft.base != tip and tip:
        raise StoreError(f"another version of {address} was published meanwhile: run this again")
    with storage_fault(address):
        finalise.prepare(draft.session, arrangement, found.profile, overwrite)
        snapshot = draft.checkpoint()
    files = {
        number: (origin.url, origin.name, origin.sha256, origin.stamp)
        for number, origin in enumerate(arrangement.origins)
    }
    work.keep("plan.json", found.to_json().encode())
    work.keep("begun.json", json.dumps({"overwrite": overwrite, "tag": tag}).encode())
    work.begin(draft.base, snapshot, files, parts)
    return Job(work, found, arrangement, draft, len(parts), overwrite, tag)


def name_newest(store: str | os.PathLike[str], tag: str) -> None:
    """Give the newest version a name: it is what the conversion would have come to."""
    address, _ = repo.split_version(store)
    repository = repo.obtain(address)
    repo.make_tag(repository, address, tag, repository.lookup_branch(repo.MAIN))


def under_way(store: str | os.PathLike[str]) -> Work:
    """The conversion into a store that was begun and not finished.

    Raises
    ------
    StoreError
        When there is none, or more than one.
    """
    address, _ = repo.split_version(store)
    fs, folder = fsspec.core.url_to_fs(f"{address.rstrip('/')}.work")
    fs.invalidate_cache()
    names = [path.rstrip("/").rpartition("/")[2] for path in fs.ls(folder, detail=False)] if (
        fs.exists(folder)
    ) else []  # fmt: skip
    begun = [work for work in (Work(address, name) for name in names) if work.state() is not None]
    if len(begun) != 1:
        what = "no conversion is" if not begun else f"{len(begun)} conversions are"
        raise StoreError(f"{what} under way into {address}: begin one with ces convert-init")
    return begun[0]


def finish(store: str | os.PathLike[str], report: Report | None = None) -> Report:
    """Publish a conversion all of whose partitions are written.

    Raises
    ------
    StoreError
        When partitions are missing: their numbers are named.
    """
    report = report if report is not None else Report()
    work = under_way(store)
    found = Plan.from_json(work.document("plan.json"))
    begun = json.loads(work.document("begun.json"))
    job = begin(found, store, overwrite=begun["overwrite"], tag=begun["tag"], report=report)
    if job is None:
        return report
    missing = sorted(set(range(job.partitions)) - work.done())
    if missing or job.work != work:
        few = ", ".join(map(str, missing[:10])) + (" …" if len(missing) > 10 else "")
        raise StoreError(
            f"{len(missing)} of {job.partitions} partitions are not written ({few}): run ces "
            "convert-partition for them, then this again"
        )
    return publish(job, report)


def publish(job: Job, report: Report) -> Report:
    """Make the next version of a conversion all of whose partitions are written.

    Raises
    ------
    StoreError
        When another version was published since it was begun.
    """
    with storage_fault(job.work.address):
        results = []
        forks = []
        for number in range(job.partitions):
            written, fork = job.work.result(number)
            results.append(written)
            forks.append(fork)
        session = job.draft.session
        if forks:
            session.merge(*forks)
        READER.clear()
        finalise.write(session, job.arrangement, results, report)
    if not report.traces_used and not job.arrangement.dropped:
        job.draft.discard()
        job.work.clear()
        raise InputError(_nothing(report))
    message = f"convert {report.traces_used} traces to {job.arrangement.base}"
    facts: dict[str, Any] = {
        "group": job.arrangement.base,
        "profile": job.plan.profile,
        "files": report.files_read,
        "traces": report.traces_used,
        "rejected": report.count("rejected"),
        "partitions": job.partitions,
    }
    version = job.draft.publish(message, facts, job.tag)
    report.version = version.number
    job.work.clear()
    return report


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
    _check(as_, name, profile)
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
        raise InputError(_nothing(report))
    return Plan(as_, name, profile, bool(quakes), places, quakes, found)


def _listed(paths: Paths | None) -> list[str]:
    if paths is None:
        return []
    return [os.fspath(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]


def _check(as_: str, name: str, profile: str) -> None:
    if not _KIND.fullmatch(as_):
        raise ParameterError(f"as {as_!r}: use 'observed' or 'synthetic/NAME'")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ParameterError(f"window set {name!r}: use letters, digits, '.', '_' and '-'")
    if profile not in PROFILES:
        raise ParameterError(f"profile {profile!r}: use one of {', '.join(PROFILES)}")


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


def _newest(address: str) -> zarr.Group | None:
    """The root of the newest version, ``None`` where nothing is published."""
    repository = repo.find(address)
    if repository is None or not repo.versions(repository):
        return None
    session = repo.reading(repository, address, "")
    return zarr.open_group(session.store, mode="r", zarr_format=3)


def _describe(found: Plan, arrangement: Arrangement) -> None:
    largest = max((origin.size for origin in found.scan.origins), default=0)
    parts = arrangement.partitions()
    found.nodes = [
        describe(node, sum(part.path == node.path for part in parts), largest)
        for node in arrangement.nodes
    ]


def _identity(found: Plan, overwrite: bool) -> str:
    """The same for the same conversion, whatever the store holds."""
    described = [
        base_of(found), found.profile, overwrite, VERSION, found.stations, found.event,
        [(o.name, o.url, o.sha256) for o in found.scan.origins], found.scan.gone,
        found.shapes(),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()[:20]


def _abandon(work: Work) -> None:
    """Clean up after a run that was killed when all was published."""
    work.clear()
    repository = repo.find(work.address)
    if repository is not None and work.branch in repository.list_branches():
        repo.Draft(work.address, repository, work.branch, "").discard()


def _nothing(report: Report) -> str:
    rows: list[Problem] = [row for row in report.rows if row.status == "rejected"]
    first = f" (first of {len(rows)}: {rows[0].file}: {rows[0].reason})" if rows else ""
    return f"nothing could be used{first}: see the report, and check stations and event"
