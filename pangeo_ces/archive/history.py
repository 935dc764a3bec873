"""What changed at the providers from stage to stage, and past stages as trees of files."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import InputError, StoreError
from .archive import Archive, Entry


@dataclasses.dataclass(frozen=True, slots=True)
class StageRow:
    """One stage of an archive, in short."""

    stage: int
    created: str
    counts: dict[str, int]
    problems: int
    request: str


@dataclasses.dataclass(frozen=True, slots=True)
class DiffRow:
    """One file that differs between two stages; checksums are empty where it is not there."""

    name: str
    state: str
    before: str
    after: str
    source: str


def history(archive: str | os.PathLike[str]) -> list[StageRow]:
    """The stages of an archive, oldest first.

    Parameters
    ----------
    archive
        Path or URL; with ``@3``, the stages up to the third.

    Returns
    -------
    list of StageRow
        Number, time, counts of files by state, number of problems, and what was asked for.
    """
    found, last = Archive.parse(archive)
    rows = []
    for number in found.stages():
        if number <= last:
            manifest = found.manifest(number)
            rows.append(
                StageRow(
                    number, manifest["created"], manifest["counts"], len(manifest["problems"]),
                    summary(manifest["request"]),
                )
            )  # fmt: skip
    return rows


def diff(before: str | os.PathLike[str], after: str | os.PathLike[str]) -> list[DiffRow]:
    """Files that differ between two stages, of one archive or of two.

    Parameters
    ----------
    before, after
        ``archive@1``, ``archive@latest``, ``archive@2026-01-01`` …

    Returns
    -------
    list of DiffRow
        Sorted by name; ``state`` is ``new``, ``updated`` or ``removed``.
    """
    old, new = _files(before), _files(after)
    rows = []
    for name in sorted(old.keys() | new.keys()):
        a, b = old.get(name), new.get(name)
        if a is None or b is None or a.sha256 != b.sha256:
            state = "new" if a is None else "removed" if b is None else "updated"
            there = b or a
            assert there is not None
            rows.append(
                DiffRow(name, state, a.sha256 if a else "", b.sha256 if b else "", there.source)
            )
    return rows


def _files(target: str | os.PathLike[str]) -> dict[str, Entry]:
    archive, number = Archive.parse(target)
    return {entry.name: entry for entry in archive.files(number)}


def checkout(target: str | os.PathLike[str], folder: str | os.PathLike[str]) -> Path:
    """Lay out a stage as a tree of read-only files, for tools that read folders.

    Files of an archive on the same disk are hard links, which take no space; others are copies.

    Parameters
    ----------
    target
        ``archive``, ``archive@3`` …
    folder
        New or empty local folder; or one of an interrupted checkout, which is completed.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If the folder holds other files, or a name would lead out of it.
    """
    archive, number = Archive.parse(target)
    root = Path(folder)
    entries = archive.files(number)
    wanted = {safe_name(entry.name): entry for entry in entries}
    there = {p.relative_to(root).as_posix() for p in root.rglob("*") if not p.is_dir()}
    if others := sorted(there - wanted.keys() - {f"{name}.part" for name in wanted}):
        raise InputError(f"{root} holds {others[0]} already: name a new or an empty folder")
    for name, entry in wanted.items():
        path = root / name
        try:
            if not (name in there and path.stat().st_size == entry.size):
                _place(archive, entry, path)
        except OSError as error:
            raise StoreError(
                f"cannot write {path} ({error.strerror}): check its folder and disk"
            ) from error
    return root


def _place(archive: Archive, entry: Entry, path: Path) -> None:
    """A link to the bytes of a file, or a copy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if archive.folder.local:
        try:
            os.link(entry.url, path)
            return
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                raise
    part = path.with_name(f"{path.name}.part")
    fs = archive.folder.fs
    with archive.folder.errors(), fs.open(fs._strip_protocol(entry.url), "rb") as source:
        part.unlink(missing_ok=True)
        with part.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
    part.chmod(0o444)
    part.replace(path)


def safe_name(name: str) -> str:
    """A name that stays below its folder.

    Raises
    ------
    InputError
        If it is absolute, leads upwards or is none.
    """
    path = PurePosixPath(name)
    odd = path.is_absolute() or ".." in path.parts or str(path) != name or name in (".", "")
    if odd or "\0" in name or "\\" in name:
        raise InputError(f"the archive names a file {name!r}, no path within it: do not trust it")
    return name


def summary(request: dict[str, Any]) -> str:
    """A request in a few words.

    >>> summary({"from": "sds", "root": "/data", "network": "IV", "station": "*"})
    'sds root=/data network=IV'
    """
    words = [str(request.get("from", "?"))]
    for key, value in request.items():
        if key == "from" or value in (None, "*", "", [], {}, False, 0.0):
            continue
        if isinstance(value, list):
            text = ",".join(map(str, value[:3])) + (" …" if len(value) > 3 else "")
        elif isinstance(value, dict):
            text = ",".join(f"{k}={v}" for k, v in value.items() if k != "sha256")
        else:
            text = str(value).removesuffix(".000000").removesuffix("T00:00:00")
        words.append(f"{key}={text}")
    return " ".join(words)
