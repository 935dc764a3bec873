"""The steps of a conversion: begin, partitions (in :mod:`work`), finish."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from typing import Any

import zarr

from ..conventions import VERSION
from ..errors import InputError, ParameterError, StoreError
from ..sources.base import Problem
from ..storage import file_system
from . import finalise, repo
from .arrange import Arrangement, arrange, base_of
from .plan import Plan
from .reader import READER
from .report import Report
from .urls import storage_fault
from .work import Work, content_of


@dataclasses.dataclass
class Job:
    """A conversion that was begun."""

    work: Work
    plan: Plan
    arrangement: Arrangement
    draft: repo.Draft
    snapshot: str
    partitions: int
    overwrite: bool
    tag: str | None

    def waiting(self) -> set[int]:
        """Numbers of the partitions that are not written."""
        return set(range(self.partitions)) - self.work.done(self.snapshot)


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
    with storage_fault(os.fspath(store), disk=False):
        return _begin(found, store, overwrite, tag, report)


def _begin(
    found: Plan,
    store: str | os.PathLike[str],
    overwrite: bool,
    tag: str | None,
    report: Report | None,
) -> Job | None:
    report = report if report is not None else Report()
    address, version = repo.split_version(store)
    if version:
        raise ParameterError(f"{address}@{version}: versions never change, leave out @{version}")
    report.store = address
    if tag:
        repo.check_tag(repo.find(address), address, tag)
    root, tip = newest(address)
    arrangement = arrange(found, root, overwrite, report)
    report.nodes = [node.path for node in arrangement.nodes]
    if not report.traces_used and not arrangement.dropped:
        raise InputError(nothing(report))
    work = Work(address, _identity(found, overwrite))
    idle = not overwrite and not arrangement.changed
    if root is not None and idle and finalise.holds_metadata(root, arrangement):
        _abandon(work)
        report.unchanged = True
        return None
    parts = arrangement.partitions()
    files = {
        number: (origin.url, origin.name, origin.sha256, origin.stamp)
        for number, origin in enumerate(arrangement.origins)
    }
    state = work.state()
    same = state is not None and state["content"] == content_of(parts, files)
    if state is not None and state["base"] == tip and same:
        draft = repo.Draft.resume(address, work.branch, tip, state["draft"])
        if draft is not None:
            return Job(work, found, arrangement, draft, state["draft"], len(parts), overwrite, tag)
    work.clear()
    draft = repo.Draft.begin(address, work.branch)
    first = draft.repository.lookup_snapshot(draft.base).parent_id is None
    if draft.base != tip and not (first and not tip):  # all of the above is about another state
        draft.discard()
        raise StoreError(f"another version of {address} was published meanwhile: run this again")
    with storage_fault(address):
        finalise.prepare(draft.session, arrangement, found.profile, overwrite)
        snapshot = draft.checkpoint()
    work.keep("plan.json", found.to_json().encode())
    work.keep("begun.json", json.dumps({"overwrite": overwrite, "tag": tag}).encode())
    work.begin(draft.base, snapshot, files, parts)
    return Job(work, found, arrangement, draft, snapshot, len(parts), overwrite, tag)


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
    fs, folder = file_system(f"{address.rstrip('/')}.work")
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
    missing = sorted(job.waiting())
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
        return _publish(job, report)


def _publish(job: Job, report: Report) -> Report:
    results = []
    forks = []
    for number in range(job.partitions):
        written, fork = job.work.result(number, job.snapshot)
        results.append(written)
        forks.append(fork)
    session = job.draft.session
    if forks:
        session.merge(*forks)
    READER.clear()
    fresh = finalise.write(session, job.arrangement, results, report)
    root, _ = newest(job.work.address)
    idle = not (fresh or job.arrangement.dropped or job.overwrite)  # what was new is unreadable
    if root is not None and idle and finalise.holds_metadata(root, job.arrangement):
        job.draft.discard()
        job.work.clear()
        report.unchanged = True
        return report
    if not report.traces_used and not job.arrangement.dropped:
        job.draft.discard()
        job.work.clear()
        raise InputError(nothing(report))
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


def newest(address: str) -> tuple[zarr.Group | None, str]:
    """The root of the newest version, ``None`` where nothing is published, and its snapshot."""
    repository = repo.find(address)
    if repository is None:
        return None, ""
    tip = repository.lookup_branch(repo.MAIN)
    if repository.lookup_snapshot(tip).parent_id is None:
        return None, tip
    session = repository.readonly_session(snapshot_id=tip)
    return zarr.open_group(session.store, mode="r", zarr_format=3), tip


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


def nothing(report: Report) -> str:
    """Why a conversion comes to nothing."""
    rows: list[Problem] = [row for row in report.rows if row.status == "rejected"]
    first = f" (first of {len(rows)}: {rows[0].file}: {rows[0].reason})" if rows else ""
    return f"nothing could be used{first}: see the report, and check stations and event"
