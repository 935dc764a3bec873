"""Versions: a store is an Icechunk repository, and ``url@version`` names any state of it."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import icechunk

from ..errors import StoreError
from ..storage import file_system, is_away, is_of_client, place, reason
from ..storage.stores import icechunk_storage, opened

MAIN = "main"
#: Beginning of the names of branches on which versions are prepared.
DRAFT = "draft-"
_MEMORY: dict[str, icechunk.Storage] = {}
_SNAPSHOT = re.compile(r"[0-9A-HJKMNP-TV-Z]{20}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?")
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")

_LOCK = ".lock"
#: What Icechunk makes first; there is a repository only when there is ``repo``, made last.
_PARTS = ("chunks", "manifests", "overwritten", "snapshots", "transactions")

# It warns that commits to a local disk are not atomic; ours hold a lock.
icechunk.set_logs_filter("error")


@dataclasses.dataclass(frozen=True)
class Version:
    """One published state of a store."""

    number: int
    snapshot: str
    time: datetime.datetime
    message: str
    tags: tuple[str, ...]
    metadata: dict[str, Any]


def split_version(url: str | os.PathLike[str]) -> tuple[str, str]:
    """Address and version of ``address@version``; the version is empty where there is none.

    >>> split_version("s3://bucket/norcia@v1")
    ('s3://bucket/norcia', 'v1')
    >>> split_version("/data/me@home/norcia.zarr")
    ('/data/me@home/norcia.zarr', '')
    """
    text = os.fspath(url)
    address, sign, version = text.rpartition("@")
    if not sign or "/" in version or not address or address.endswith("/"):
        return text, ""
    if "://" not in text and Path(text).expanduser().exists():
        return text, ""
    return address, version


def storage(address: str) -> icechunk.Storage | None:
    """Icechunk's storage behind an address, or ``None`` where Icechunk cannot write.

    Where buckets are, and how they are read, is asked of :mod:`pangeo_ces.storage`.
    """
    if "://" not in address or address.startswith("file://"):
        path = Path(address.removeprefix("file://")).expanduser().absolute()
        return icechunk.local_filesystem_storage(str(path))
    scheme, _, rest = address.partition("://")
    if scheme == "memory":
        return _MEMORY.setdefault(rest.strip("/"), icechunk.in_memory_storage())
    if scheme in ("http", "https"):  # to read what somebody else wrote
        return icechunk.http_storage(address)
    return icechunk_storage(address)


def find(address: str) -> icechunk.Repository | None:
    """The repository at an address, or ``None`` where there is none."""
    where = storage(address)
    if where is None:
        return None
    try:
        return _opened(address, where)
    except icechunk.RepositoryNotFoundError:
        return None
    except icechunk.IcechunkError as error:
        raise _unreachable(address, error) from error


def _opened(address: str, where: icechunk.Storage) -> icechunk.Repository:
    return icechunk.Repository.open(where) if place(address) is None else opened(where)


def obtain(address: str) -> icechunk.Repository:
    """The repository at an address, made where there is none yet.

    Raises
    ------
    StoreError
        When something else is there already, or the place cannot be written.
    """
    repository = find(address)
    if repository is not None:
        return repository
    where = storage(address)
    if where is None or address.startswith("http"):
        raise StoreError(f"cannot write to {address}: use a path, memory://, s3://, gs:// or az://")
    try:
        _refuse_others(address)
        with exclusive(address):
            icechunk.Repository.open_or_create(where, check_clean_root=False)
            # Opened once more: the configuration it is made with would be kept in it.
            return _opened(address, where)
    except Exception as error:
        if not (isinstance(error, icechunk.IcechunkError | OSError) or is_of_client(error)):
            raise
        raise _unreachable(address, error) from error


def reading(repository: icechunk.Repository, address: str, version: str) -> icechunk.Session:
    """A read-only session of the newest state, or of the one that ``version`` names.

    Raises
    ------
    StoreError
        When there is no such version.
    """
    try:
        if not version or version == "latest":
            return repository.readonly_session(MAIN)
        if re.fullmatch("[0-9]{1,9}", version):
            chosen = next((v for v in versions(repository) if v.number == int(version)), None)
            if chosen is None:
                raise StoreError(f"{address} has no version {version}: ces history lists them")
            return repository.readonly_session(snapshot_id=chosen.snapshot)
        if _DATE.fullmatch(version):
            when = datetime.datetime.fromisoformat(version)
            when = when if when.tzinfo else when.replace(tzinfo=datetime.UTC)
            return repository.readonly_session(MAIN, as_of=when)
        if version in repository.list_tags():
            return repository.readonly_session(tag=version)
        if _SNAPSHOT.fullmatch(version):
            return repository.readonly_session(snapshot_id=version)
    except (icechunk.IcechunkError, ValueError, OverflowError) as error:
        if is_away(error):
            raise _unreachable(address, error) from error
        raise StoreError(f"{address} has no version {version}: ces history lists them") from error
    raise StoreError(f"{address} has no version {version!r}: ces history lists them")


def versions(repository: icechunk.Repository) -> list[Version]:
    """All published states, the oldest first; the empty one that every repository begins with
    is left out.  Tagged ones stay when those around them are forgotten."""
    tags: dict[str, list[str]] = {}
    for tag in sorted(repository.list_tags()):
        tags.setdefault(repository.lookup_tag(tag), []).append(tag)
    infos = {info.id: info for info in repository.ancestry(branch=MAIN)}
    infos |= {snapshot: repository.lookup_snapshot(snapshot) for snapshot in tags}
    found = [
        Version(
            int(info.metadata["number"]),
            info.id,
            info.written_at,
            info.message,
            tuple(tags.get(info.id, ())),
            {k: v for k, v in info.metadata.items() if k != "number"},
        )
        for info in infos.values()
        if "number" in info.metadata
    ]
    return sorted(found, key=lambda version: version.number)


def draft_name(of: str) -> str:
    """A name that no other draft has."""
    return f"{DRAFT}{of}-{uuid.uuid4().hex[:12]}"


class Draft:
    """The next version of a store, being written on a branch of its own.

    Readers see nothing of it until :meth:`publish` moves the main branch, at once, and only if
    that is where it was when the draft began.
    """

    def __init__(self, address: str, repository: icechunk.Repository, branch: str, base: str):
        self.address, self.repository = address, repository
        self.branch, self.base = branch, base
        self.session = repository.writable_session(branch)

    @classmethod
    def begin(cls, address: str, name: str) -> Draft:
        """Start afresh from the newest version, forgetting an abandoned draft of this name."""
        repository = obtain(address)
        base = repository.lookup_branch(MAIN)
        with exclusive(address):
            if name in repository.list_branches():
                repository.delete_branch(name)
            repository.create_branch(name, base)
        return cls(address, repository, name, base)

    @classmethod
    def resume(cls, address: str, name: str, base: str, snapshot: str) -> Draft | None:
        """Go on with a draft, if it is still as it was at the checkpoint ``snapshot``."""
        repository = find(address)
        if repository is None or name not in repository.list_branches():
            return None
        if repository.lookup_branch(name) != snapshot:
            return None
        return cls(address, repository, name, base)

    def checkpoint(self) -> str:
        """Keep what was written so far, so that it can be forked; the snapshot's id."""
        with exclusive(self.address):
            snapshot = self.session.commit("in preparation", allow_empty=True)
        self.session = self.repository.writable_session(self.branch)
        return snapshot

    def publish(self, message: str, metadata: dict[str, Any], tag: str | None = None) -> Version:
        """Make the draft the newest version.

        Raises
        ------
        StoreError
            When another version was published since the draft began; this one is given up.
        """
        number = max((v.number for v in versions(self.repository)), default=0) + 1
        metadata = {**metadata, "number": number}
        with exclusive(self.address):
            checkpointed = self.session.snapshot_id != self.base
            save = self.session.amend if checkpointed else self.session.commit
            try:
                snapshot = save(message, metadata=metadata, allow_empty=True)
                self.repository.reset_branch(MAIN, snapshot, from_snapshot_id=self.base)
            except (icechunk.ConflictError, icechunk.RefNotFoundError) as error:
                raise StoreError(
                    f"another version of {self.address} was published meanwhile: run this again, "
                    "it will be added to that one"
                ) from error
            self.repository.delete_branch(self.branch)
            if tag:
                make_tag(self.repository, self.address, tag, snapshot)
        info = self.repository.lookup_snapshot(snapshot)
        return Version(number, snapshot, info.written_at, message, (tag,) if tag else (), metadata)

    def discard(self) -> None:
        """Forget the draft."""
        with exclusive(self.address), contextlib.suppress(icechunk.IcechunkError):
            self.repository.delete_branch(self.branch)


def check_tag(repository: icechunk.Repository | None, address: str, tag: str) -> None:
    """Refuse a tag that could mean something else, or is in use."""
    if not _TAG.fullmatch(tag) or _SNAPSHOT.fullmatch(tag) or tag in ("latest", MAIN):
        raise StoreError(
            f"tag {tag!r}: begin with a letter, and use letters, digits, '.', '_', '-'"
        )
    if repository is not None and tag in repository.list_tags():
        raise StoreError(f"{address} has a tag {tag}, and tags never move: choose another")


def make_tag(repository: icechunk.Repository, address: str, tag: str, snapshot: str) -> None:
    """Give a snapshot a name for good."""
    check_tag(repository, address, tag)
    try:
        repository.create_tag(tag, snapshot)
    except icechunk.AlreadyExistsError as error:
        raise StoreError(f"{address} had a tag {tag} before: choose another") from error


@contextlib.contextmanager
def exclusive(address: str) -> Iterator[None]:
    """Alone among the processes of this machine, where the storage itself does not see to it."""
    if "://" in address and not address.startswith("file://"):
        yield
        return
    folder = Path(address.removeprefix("file://")).expanduser().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / _LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _refuse_others(address: str) -> None:
    """Raise where something is that is no store of ours."""
    fs, path = file_system(address)
    if fs.exists(f"{path}/zarr.json"):
        raise StoreError(
            f"{address} is plain Zarr, which has no versions: make a store of it with ces import"
        )
    try:
        names = {name.rstrip("/").rpartition("/")[2] for name in fs.ls(path, detail=False)}
    except (FileNotFoundError, NotADirectoryError):
        names = {"a file"} if fs.exists(path) else set()
    if names - {_LOCK, *_PARTS}:
        raise StoreError(f"{address} is something else than a store: choose another place")


def _unreachable(address: str, error: Exception) -> StoreError:
    if "No space left" in str(error):
        return StoreError(f"no space left for {address}: free some and run again, nothing is lost")
    return StoreError(f"cannot open the store {address}: {reason(address, error)}")
