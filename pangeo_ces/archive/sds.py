"""Staging from SDS trees and their relatives."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem
from obspy import UTCDateTime

from ..errors import InputError, ParameterError
from . import files, services
from .folder import without_password
from .selection import DAY, Codes, matches, moment, parse_sds_name, sds_name
from .stage import Staged, reason


def stage_sds(
    archive: str | os.PathLike[str],
    root: str | Path,
    *,
    network: str = "*",
    station: str = "*",
    location: str = "*",
    channel: str = "*",
    starttime: Any = None,
    endtime: Any = None,
    anon: bool = False,
    endpoint: str | None = None,
    threads: int = 4,
    quota: int | None = None,
    restart: bool = False,
    dry_run: bool = False,
    progress: bool = False,
) -> Staged:
    """Stage day files called ``NET.STA.LOC.CHA.D.YEAR.DAY``, wherever they are below a root.

    So it takes SDS trees (``YEAR/NET/STA/CHA.D/``) and those sorted by network first or in another
    way.  In the archive they lie as in an SDS tree.

    Parameters
    ----------
    archive
        Path or URL of the archive; made if it is not there.
    root
        Path or fsspec URL.
    network, station, location, channel
        SEED codes; ``*``, ``?`` and commas as usual, ``--`` for the empty location.
    starttime, endtime
        Days that have a part in this time.
    anon, endpoint
        As in :func:`~pangeo_ces.stage_files`.
    threads, quota, restart, dry_run, progress
        As in :func:`~pangeo_ces.stage_fdsn`.

    Returns
    -------
    Staged

    Raises
    ------
    InputError
        If there is no such file, or the root cannot be reached.
    StoreError
        If the archive cannot be written, or would exceed its quota.
    """
    start, end = (None if t is None else moment(t, "time") for t in (starttime, endtime))
    if start is not None and end is not None and not start < end:
        raise ParameterError(f"endtime {endtime} is not after starttime {starttime}")
    options = files.options_of(anon, endpoint)
    fs, path = files.file_system(str(root), options)
    codes = {"network": network, "station": station, "location": location, "channel": channel}
    request: dict[str, Any] = {
        "from": "sds",
        "root": files.url_of(fs, path.rstrip("/")),
        **codes,
        "starttime": None if start is None else services.stamp(start),
        "endtime": None if end is None else services.stamp(end),
        **options,
    }

    def wanted(found: Codes, day: UTCDateTime) -> bool:
        return (
            all(matches(c, pattern) for c, pattern in zip(found, codes.values(), strict=True))
            and (start is None or day + DAY > start)
            and (end is None or day < end)
        )

    def covers(file: dict[str, Any], made_by: dict[str, Any]) -> bool:
        parsed = parse_sds_name(posixpath.basename(file["name"]))
        return (
            made_by.get("from") == "sds"
            and made_by["root"] == request["root"]
            and parsed is not None
            and wanted(*parsed)
        )

    years = (0 if start is None else start.year, 9999 if end is None else end.year)
    items = []
    try:
        for name in _walk(fs, path, years):
            parsed = parse_sds_name(posixpath.basename(name))
            if parsed and wanted(*parsed):
                items.append(files.Item(sds_name(*parsed), files.url_of(fs, name), name, fs))
    except Exception as error:
        raise InputError(
            f"cannot reach {without_password(str(root))} ({reason(error)}): check the path"
        ) from error
    if not items:
        raise InputError(
            f"no file NET.STA.LOC.CHA.D.YEAR.DAY below {without_password(str(root))} fits: check "
            "the folder, the codes and the time"
        )
    return files.stage_items(
        archive, request, sorted(items, key=lambda item: (item.name, item.url)), options,
        covers=covers, threads=threads, quota=quota, restart=restart, dry_run=dry_run,
        progress=progress,
    )  # fmt: skip


def _walk(fs: Any, root: str, years: tuple[int, int]) -> Iterator[str]:
    """Paths of all files below a root, without the folders of other years."""
    if not fs.isdir(root):
        raise FileNotFoundError("no such folder")
    local = isinstance(fs, LocalFileSystem)
    seen = set()
    for folder, folders, names in os.walk(root, followlinks=True) if local else fs.walk(root):
        for name in list(folders):
            other_year = len(name) == 4 and name.isdecimal() and not (
                years[0] <= int(name) <= years[1]
            )  # fmt: skip
            real = os.path.realpath(os.path.join(folder, name)) if local else f"{folder}/{name}"
            if other_year or real in seen:  # a link may lead back up
                folders.remove(name) if isinstance(folders, list) else folders.pop(name)
            seen.add(real)
        for name in names:
            yield f"{folder}/{name}"
