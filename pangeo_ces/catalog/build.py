"""Building a catalogue: every file written whole, ``catalog.json`` last."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..archive.archive import is_archive
from ..archive.folder import Folder
from ..errors import ParameterError, StoreError
from ..store.repo import split_version
from . import of_archive, of_store, stac
from .collection import Collection
from .hrefs import absolute
from .stac import safe

ROOT = "catalog.json"
#: What a catalogue keeps in its folder besides ``catalog.json``; all else there is left alone.
_FOLDERS = ("collections", "metadata")
_INDEX = re.compile(r"items-[0-9a-f]{16}\.ndjson")
#: What a build that was killed leaves of files that it had not finished.
_LEFT = re.compile(r"(items-[0-9a-f]{16}\.ndjson|catalog\.json)(\.[0-9a-f]{32})?")
_THREADS = 8


@dataclasses.dataclass(frozen=True)
class Built:
    """What came of building a catalogue: ids of collections, numbers of items and of files."""

    url: str
    collections: tuple[str, ...]
    items: int
    written: int
    unchanged: int
    removed: int


def build_catalog(
    targets: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    *,
    title: str = "",
    description: str = "",
    license: str = "other",
    progress: bool = False,
) -> Built:
    """Write a static, self-contained STAC catalogue of stores and archives.

    Parameters
    ----------
    targets
        Stores and archives, with ``@version`` or without.  A store is referred to by the tag that
        was given, else by the snapshot that is there now.  Of an archive, all stages up to the
        one given are listed.
    folder
        Where to write: a path, ``s3://``, ``memory://`` or another fsspec URL that can be written.
        Stores in it or beside it are referred to by relative paths, so that they move together.
    title, description
        Of the catalogue.
    license
        SPDX identifier of the data's licence, or ``other``.
    progress
        Show a progress bar.

    Returns
    -------
    Built
        The same content gives the same bytes; what is the same already is not written.

    Raises
    ------
    StoreError
        When a target is no store or archive, or the folder holds another catalogue.

    Examples
    --------
    >>> store = pangeo_ces.samples.german_events("memory://doc-catalog/quakes")
    >>> built = build_catalog(store, "memory://doc-catalog/stac")
    >>> built.collections, built.items
    (('quakes-windows-main', 'quakes-synthetic-main-specfem'), 6)
    """
    place = Folder(folder)
    url = absolute(folder)
    given = [targets] if isinstance(targets, str | os.PathLike) else list(targets)
    collections = _collections(given, url)
    _refuse_others(place)
    files: dict[str, bytes] = {}
    lines = []
    for collection in collections:
        files |= collection.documents
        for item in collection.items:
            files[f"collections/{collection.id}/{item['id']}.json"] = stac.encode(item)
            lines.append(stac.line(item))
        files[f"collections/{collection.id}/collection.json"] = stac.encode(
            collection.document(license)
        )
    index = b"".join(lines)
    name = f"items-{hashlib.sha256(index).hexdigest()[:16]}.ndjson"
    files[name] = index
    root = _root(collections, name, title, description)
    written = _write(place, files, progress)
    written += _put(place, ROOT, stac.encode(root))
    removed = _remove_stale(place, files)
    ids = tuple(collection.id for collection in collections)
    return Built(url, ids, len(lines), written, len(files) + 1 - written, removed)


def _collections(targets: list[str | os.PathLike[str]], url: str) -> list[Collection]:
    """The collections of all targets, under names that differ."""
    if not targets:
        raise ParameterError("nothing to catalogue: give stores or archives")
    found: list[Collection] = []
    used: set[str] = set()
    for target in targets:
        if absolute(split_version(target)[0]) == url:
            raise ParameterError(f"{url} is what is catalogued: choose a folder of its own")
        base = safe(posixpath.basename(split_version(target)[0].rstrip("/"))).removesuffix(".zarr")
        name, count = base, 1
        while name in used:
            count += 1
            name = f"{base}-{count}"
        used.add(name)
        maker = of_archive if is_archive(target) else of_store
        found += maker.describe(target, name, url)
    ids = [collection.id for collection in found]
    for collection in found:
        names = [item["id"] for item in collection.items]
        if ids.count(collection.id) > 1 or len(set(names)) < len(names):
            raise StoreError(
                f"two things in the catalogue would be called {collection.id}: rename a store, or "
                "build two catalogues"
            )
    return found


def _root(collections: list[Collection], index: str, title: str, description: str) -> stac.Document:
    items = sum(len(collection.items) for collection in collections)
    return {
        "type": "Catalog",
        "stac_version": stac.VERSION,
        "id": "pangeo-ces",
        "title": title or "Seismic waveforms",
        "description": description
        or f"{items} items in {len(collections)} collections: records, simulations, raw files",
        "links": [
            stac.link("root", "./catalog.json"),
            stac.link("items", f"./{index}", stac.NDJSON, title="All items, one on a line"),
            *(
                stac.link("child", f"./collections/{c.id}/collection.json", title=c.title)
                for c in collections
            ),
        ],
    }


def index_of(root: stac.Document) -> str | None:
    """The file with all items, if a catalogue has one."""
    for link in root.get("links", ()):
        if isinstance(link, dict) and link.get("rel") == "items":
            name = str(link.get("href", "")).removeprefix("./")
            return name if _INDEX.fullmatch(name) else None
    return None


def _refuse_others(place: Folder) -> None:
    """Raise where a catalogue is that this package did not write."""
    try:
        root = json.loads(place.read(ROOT))
    except FileNotFoundError:
        return
    except ValueError:
        root = {}
    if not isinstance(root, dict) or index_of(root) is None:
        raise StoreError(
            f"{place.given}/{ROOT} is of something else than ces catalog: choose another folder"
        )


def _write(place: Folder, files: dict[str, bytes], progress: bool) -> int:
    """Write what differs; the number of files written."""
    with ThreadPoolExecutor(_THREADS) as pool:
        done: Iterator[bool] = pool.map(lambda name: _put(place, name, files[name]), sorted(files))
        if progress:
            from rich.progress import track

            done = iter(track(done, "writing", total=len(files)))
        return sum(done)


def _put(place: Folder, name: str, content: bytes) -> bool:
    """Write a file, unless it is there as it should be; whether it was written."""
    with contextlib.suppress(FileNotFoundError):
        if place.read(name) == content:
            return False
    place.write(name, content)
    return True


def _remove_stale(place: Folder, files: dict[str, Any]) -> int:
    """Remove what earlier catalogues, and builds that were killed, left; the number of files."""
    removed = 0
    with place.errors():
        place.fs.invalidate_cache()
        start = len(place.root) + 1
        there = [path[start:] for folder in _FOLDERS for path in place.fs.find(place.path(folder))]
        there += [name for name in place.names() if _LEFT.fullmatch(name)]
        for name in sorted(set(there) - {*files, ROOT}):
            with contextlib.suppress(FileNotFoundError):
                place.fs.rm_file(place.path(name))
                removed += 1
        if place.local:
            _remove_empty(place)
    return removed


def _remove_empty(place: Folder) -> None:
    for top in _FOLDERS:
        for folder, _, _ in os.walk(place.path(top), topdown=False):
            if not os.listdir(folder):
                os.rmdir(folder)
