"""The history of a store: what was published when, what differs, what may be forgotten."""

from __future__ import annotations

import dataclasses
import datetime
import os
from typing import Any

import icechunk

from ..archive import history as stages
from ..archive.archive import is_archive
from ..archive.history import DiffRow
from ..errors import ParameterError, StoreError
from . import repo
from .held import table_of
from .open import open_store, waveforms
from .urls import group_of, root_group
from .work import Work

#: An object younger than this may belong to a conversion that is under way.
_GRACE = datetime.timedelta(days=7)


def history(url: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The versions of a store, or the stages of an archive, the oldest first.

    Returns
    -------
    list of dict
        Of a store: ``version`` (number), ``snapshot``, ``time`` (ISO, UTC), ``message``, ``tags``,
        and what was written: ``group``, ``files``, ``traces``, ``rejected``, ``profile``.  Of an
        archive: ``stage``, ``created``, ``counts``, ``problems``, ``request``.

    Raises
    ------
    StoreError
        When there is no store, or it is plain Zarr.

    Examples
    --------
    >>> store = pangeo_ces.samples.german_events("memory://doc-history")
    >>> [row["message"] for row in history(store)][:1]
    ['convert 42 traces to windows/main/observed']
    """
    if is_archive(url):
        return [dataclasses.asdict(row) for row in stages.history(url)]
    _, repository = _repository(url)
    return [
        {
            "version": version.number,
            "snapshot": version.snapshot,
            "time": version.time.isoformat(),
            "message": version.message,
            "tags": list(version.tags),
            **version.metadata,
        }
        for version in repo.versions(repository)
    ]


def diff(before: str | os.PathLike[str], after: str | os.PathLike[str]) -> list[DiffRow]:
    """Files that differ between two versions of a store, or two stages of an archive.

    Parameters
    ----------
    before, after
        ``store@version`` each, or ``archive@stage``; they may be different stores.

    Returns
    -------
    list of DiffRow
        ``name``, ``state`` (``new``, ``updated`` or ``removed``), checksums ``before`` and
        ``after``, and ``source``: for every file that traces were stored of.
    """
    if is_archive(before) and is_archive(after):
        return stages.diff(before, after)
    old, new = _files(before), _files(after)
    rows = []
    for name in sorted({*old, *new}):
        one, two = old.get(name), new.get(name)
        if one is None or two is None:
            state = "removed" if two is None else "new"
        elif one[0] != two[0]:
            state = "updated"
        else:
            continue
        source = (two or one or ("", ""))[1]
        rows.append(DiffRow(name, state, one[0] if one else "", two[0] if two else "", source))
    return rows


def tag(url: str | os.PathLike[str], name: str) -> None:
    """Give a version a name that stays: ``tag("store@3", "paper")``, or the newest one.

    Raises
    ------
    StoreError
        When there is no such version, or the name is or was in use.
    """
    address, version = repo.split_version(url)
    _, repository = _repository(url)
    snapshot = repo.reading(repository, address, version).snapshot_id
    repo.make_tag(repository, address, name, snapshot)


def collect_garbage(
    url: str | os.PathLike[str], *, expire: datetime.datetime | None = None, dry_run: bool = False
) -> dict[str, int]:
    """Delete what no version needs: remains of conversions that were killed, and, if asked for,
    old versions without a tag.

    Tagged versions and the newest one always stay.  Objects of the last week stay as well, since a
    conversion that is under way may need them.

    Parameters
    ----------
    expire
        Forget versions without a tag that are older than this (UTC).
    dry_run
        Only count.

    Returns
    -------
    dict
        ``drafts`` and ``versions`` forgotten, and ``chunks``, ``manifests``, ``snapshots`` and
        ``bytes`` deleted.
    """
    address, version = repo.split_version(url)
    if version:
        raise ParameterError(f"{url}: give the store alone, without @{version}")
    _, repository = _repository(url)
    now = datetime.datetime.now(datetime.UTC)
    abandoned = _abandoned(repository, now - _GRACE)
    if not dry_run:
        with repo.exclusive(address):
            for branch in abandoned:
                repository.delete_branch(branch)
                Work(address, branch.removeprefix(repo.DRAFT)).clear()
    forgotten: set[str] = set()
    tagged = {repository.lookup_tag(name) for name in repository.list_tags()}
    if expire is not None:
        when = expire if expire.tzinfo else expire.replace(tzinfo=datetime.UTC)
        known = repo.versions(repository)
        forgotten = {
            v.snapshot for v in known[:-1] if v.time < when and v.snapshot not in tagged
        }  # fmt: skip
        if not dry_run and forgotten:
            with repo.exclusive(address):
                repository.expire_snapshots(when)
    with repo.exclusive(address):
        summary: icechunk.GCSummary = repository.garbage_collect(now - _GRACE, dry_run=dry_run)
    return {
        "drafts": len(abandoned),
        "versions": len(forgotten),
        "chunks": summary.chunks_deleted,
        "manifests": summary.manifests_deleted,
        "snapshots": summary.snapshots_deleted,
        "bytes": summary.bytes_deleted,
    }


def _abandoned(repository: icechunk.Repository, before: datetime.datetime) -> list[str]:
    """Branches of conversions that were begun and not gone on with."""
    branches = [name for name in repository.list_branches() if name.startswith(repo.DRAFT)]
    begun = {
        name: repository.lookup_snapshot(repository.lookup_branch(name)).written_at
        for name in branches
    }
    return sorted(name for name, when in begun.items() if when < before)


def _repository(url: str | os.PathLike[str]) -> tuple[str, icechunk.Repository]:
    address, _ = repo.split_version(url)
    repository = repo.find(address)
    if repository is None:
        raise StoreError(f"{address} is no store with versions: check the path")
    return address, repository


def _files(url: str | os.PathLike[str]) -> dict[str, tuple[str, str]]:
    """Checksum and source of every file that traces were stored of, by name."""
    root = root_group(url)
    found: dict[str, tuple[str, str]] = {}
    for path, _ in waveforms(open_store(url), ""):
        group = group_of(root, path)
        if "segments" in group:
            table = table_of(group)
            columns = (table[name] for name in ("source_name", "source_sha256", "source_url"))
            found |= {str(n): (str(c), str(s)) for n, c, s in zip(*columns, strict=True)}
    return found
