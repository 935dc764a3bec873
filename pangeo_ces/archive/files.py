"""Staging from disks, buckets and web servers: files, folders, globs and lists of URLs."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import json
import os
import posixpath
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from fsspec.implementations.local import LocalFileSystem

from .. import storage
from ..errors import InputError
from ..sources import SourceFile, source_for
from ..sources.base import Problem
from .folder import without_password
from .selection import parse_sds_name
from .stage import Covers, Staged, Staging, read_part, reason
from .web import NoAnswerError, Web

#: Seconds before a file is read again, doubled each time; and how often it is tried.
FIRST_WAIT, ATTEMPTS = 0.5, 4
#: First bytes, which tell what a file is.
_HEAD = 1 << 15
_GLOB = re.compile(r"[*?\[]")
_SECRET = re.compile(
    r"([?&][\w-]*(?:token|signature|credential|password|secret|api-?_?key)[\w-]*=)[^&]*",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """A file to be staged.

    Parameters
    ----------
    name
        In the archive.
    url
        Where it is, without credentials: for the manifest.
    path, fs
        What to read it by: a path on a file system, or a web address.
    """

    name: str
    url: str
    path: str
    fs: Any = dataclasses.field(default=None, compare=False)


def stage_files(
    archive: str | os.PathLike[str],
    inputs: str | Path | Sequence[str | Path] = (),
    *,
    urls: str | Path | None = None,
    anon: bool = False,
    endpoint: str | None = None,
    threads: int = 4,
    quota: int | None = None,
    restart: bool = False,
    dry_run: bool = False,
    progress: bool = False,
) -> Staged:
    """Stage files of any kind, as they are.

    Parameters
    ----------
    archive
        Path or URL of the archive; made if it is not there.
    inputs
        Files, folders (with all below them), globs, and URLs: ``s3://``, ``https://``,
        ``webdavs://`` and whatever else fsspec opens.  A file of a folder is called after the
        folder and its path in it, one of a web server after the server and its address.
    urls
        A JSON file with an array of URLs, or of objects with ``url`` or ``href``, as a discovery
        service gives it.
    anon
        Ask buckets without credentials: for open data.
    endpoint
        URL of an S3 server that is not Amazon's.
    threads, quota, restart, dry_run, progress
        As in :func:`~pangeo_ces.stage_fdsn`.

    Returns
    -------
    Staged

    Raises
    ------
    InputError
        If an input matches nothing or cannot be reached.
    StoreError
        If the archive cannot be written, or would exceed its quota.
    """
    given = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    listed = [] if urls is None else read_urls(urls)
    if not given and not listed:
        raise InputError("nothing to stage: give files, folders, URLs, or a list of URLs")
    texts = [_absolute(str(item)) for item in [*given, *listed]]
    options = options_of(anon, endpoint)
    request = {"from": "files", "inputs": [public(text) for text in texts], **options}
    items = [item for text in texts for item in expand(text, options)]
    return stage_items(
        archive, request, items, options,
        covers=lambda file, made_by: made_by == request,
        threads=threads, quota=quota, restart=restart, dry_run=dry_run, progress=progress,
    )  # fmt: skip


def stage_items(
    archive: str | os.PathLike[str],
    request: dict[str, Any],
    items: Iterable[Item],
    options: Mapping[str, Any],
    *,
    covers: Covers,
    threads: int,
    quota: int | None,
    restart: bool,
    dry_run: bool,
    progress: bool,
) -> Staged:
    """Stage files that were found; of several with one name the first."""
    chosen: dict[str, Item] = {}
    problems = []
    for item in items:
        first = chosen.setdefault(item.name, item)
        if first.url != item.url:
            told = f"called {item.name}, as {first.url} is: stage it into another archive"
            problems.append(Problem(item.url, "", "rejected", told))
    if dry_run:
        asked = tuple(item.url for item in chosen.values())
        return Staged(os.fspath(archive), None, None, request, {}, tuple(problems), asked)
    with Staging(archive, request, quota=quota, restart=restart) as staging:
        for name, file in staging.previous.items():  # what was not found: is it really gone?
            if name not in chosen and covers(file, staging.request_of(file)):
                chosen[name] = _item_of(file, options)
        web, failed = Web(), set()
        left = [item for item in chosen.values() if not staging.done(item.url)]
        pool = concurrent.futures.ThreadPoolExecutor(threads)
        try:
            futures = {pool.submit(_copy, staging, web, item): item for item in left}
            done = concurrent.futures.as_completed(futures)
            for future in _track(done, len(left), progress):
                if problem := future.result():
                    problems.append(problem)
                    failed.add(futures[future].name)
        finally:
            pool.shutdown(cancel_futures=True)
        return staging.publish(problems=problems, failed=failed)


def _item_of(file: dict[str, Any], options: Mapping[str, Any]) -> Item:
    """A file of an earlier stage, where it was then."""
    url = file["source"]
    if url.startswith(("http://", "https://")):
        return Item(file["name"], url, url)
    fs, path = file_system(url, options)
    return Item(file["name"], url, path, fs)


def _copy(staging: Staging, web: Web, item: Item) -> Problem | None:
    """Keep one file; what is wrong with it otherwise."""
    staging.asking(item.url)
    told = ""
    for attempt in range(ATTEMPTS):
        time.sleep(FIRST_WAIT * 2**attempt if attempt else 0)
        try:
            with _open(web, item) as stream:
                head = read_part(stream, _HEAD)
                if not head:
                    told = f"{item.url} is empty: copy it again"
                    break
                stream.seek(0)
                kind = kind_of(item.url, head)
                staging.keep(item.url, item.name, kind, item.url, stream)
                return None
        except FileNotFoundError:
            staging.absent(item.url, item.name)
            return None
        except NoAnswerError as error:  # after attempts of its own
            told = public(str(error))
            break
        except InputError as error:
            told = str(error)
    return Problem(item.name, "", "rejected", told)


@contextlib.contextmanager
def _open(web: Web, item: Item) -> Iterator[IO[bytes]]:
    """A file of a provider.

    Raises
    ------
    FileNotFoundError
        If the provider has no such file.
    InputError
        If it cannot be read.
    """
    try:
        if item.fs is not None:
            found = item.fs.open(item.path, "rb")
        else:
            found = web.ask(item.path, lambda content: content).value
    except NoAnswerError as error:
        found = None
        if error.status not in (404, 410):
            raise
    except FileNotFoundError:
        found = None
    except Exception as error:
        raise InputError(f"cannot be read ({reason(error)}): try it again") from error
    if found is None:
        raise FileNotFoundError(item.url)
    with found:
        yield found


def kind_of(url: str, head: bytes) -> str:
    """What a file is, from its name and first bytes."""
    if b"FDSNStationXML" in head[:4096] or re.match(rb"\d{6}[VAS][ *]", head):
        return "stations"
    if b"quakeml" in head[:4096].lower() and head.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"<":
        return "events"
    if parse_sds_name(posixpath.basename(url)):
        return "waveform"
    try:
        return "waveform" if source_for(SourceFile(url, head)) else "other"
    except (OSError, ValueError):
        return "other"


def expand(text: str, options: Mapping[str, Any]) -> Iterator[Item]:
    """The files behind a path, folder, glob or URL.

    Raises
    ------
    InputError
        If there is none, or it cannot be reached.
    """
    web = text.startswith(("http://", "https://"))
    shown = public(text)
    if web and not text.endswith("/") and ("?" in text or not _GLOB.search(text)):
        yield Item(web_name(shown), shown, text)
        return
    try:
        fs, path = file_system(text, options)
        root, paths = _find(fs, path)
    except Exception as error:
        raise InputError(
            f"cannot reach {shown} ({reason(error)}): check the address and credentials"
        ) from error
    above = posixpath.dirname(root)
    found = [(file, file[len(above) :].strip("/")) for file in sorted(paths)]
    found = [(file, name) for file, name in found if "/." not in f"/{name}"]
    if not found:
        raise InputError(f"no files at {shown}: check the path or pattern")
    for file, name in found:
        if web:
            yield Item(web_name(file), public(file), file)
        else:
            yield Item(name, url_of(fs, file), file, fs)


def _find(fs: Any, path: str) -> tuple[str, list[str]]:
    """The folder after which files are called, and the files."""
    pattern = _GLOB.search(path)
    if pattern and not fs.exists(path):
        hits = fs.glob(path)
        paths = [file for hit in hits for file in (fs.find(hit) if fs.isdir(hit) else [hit])]
        return path[: pattern.start()].rpartition("/")[0], paths
    if fs.isdir(path):
        return path.rstrip("/"), fs.find(path)
    return path, [path] if fs.exists(path) else []


def read_urls(path: str | Path) -> list[str]:
    """The URLs of a JSON array.

    Raises
    ------
    InputError
        If it is no such array.
    """
    try:
        with storage.open_url(str(path)) as stream:
            rows = json.load(stream)
        if not isinstance(rows, list):
            raise TypeError
        found = [row if isinstance(row, str) else row.get("url") or row["href"] for row in rows]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is no list of URLs ({type(error).__name__}): give a JSON array of strings, "
            'or of objects with "url" or "href"'
        ) from error
    if not all(isinstance(url, str) and "://" in url for url in found):
        raise InputError(f"{path} holds something that is no URL: give absolute URLs only")
    return list(dict.fromkeys(found))


def options_of(anon: bool, endpoint: str | None) -> dict[str, Any]:
    """What a request says of its buckets: open to all, or on another server than Amazon's."""
    return {"anonymous": anon or None, "endpoint": endpoint}


def file_system(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    """fsspec's file system and path of a URL; the options are for object stores."""
    return storage.file_system(url, **options)


def web_name(url: str) -> str:
    """An address as a name of a file: server, path and query.

    >>> web_name("https://host/a/b.mseed")
    'host/a/b.mseed'
    >>> web_name("https://me:pw@host:80/q/1/query?net=IV&sta=ARRO")
    'host_80/q/1/query_net=IV_sta=ARRO'
    """
    parts = urlsplit(url)
    text = f"{parts.netloc.rpartition('@')[2]}{parts.path}"
    text += f"_{parts.query}" if parts.query else ""
    pieces = (re.sub(r"[^\w.,=+-]+", "_", piece) for piece in text.split("/"))
    return "/".join(_short(piece) for piece in pieces if piece.strip("."))


def _short(piece: str) -> str:
    """A part of a path that every disk takes."""
    if len(piece) <= 200:
        return piece
    return f"{piece[:180]}_{hashlib.sha256(piece.encode()).hexdigest()[:12]}"


def public(url: str) -> str:
    """A URL without what gives access: password, token, signature.

    >>> public("https://me:pw@host/a?net=IV&X-Amz-Signature=12ab&sta=ARRO")
    'https://host/a?net=IV&X-Amz-Signature=...&sta=ARRO'
    """
    return _SECRET.sub(r"\1...", without_password(url))


def _absolute(text: str) -> str:
    """A local path in full."""
    if "://" in text:
        return text
    return os.path.abspath(os.path.expanduser(text))


def url_of(fs: Any, path: str) -> str:
    """A path of a file system for any reader."""
    return path if isinstance(fs, LocalFileSystem) else fs.unstrip_protocol(path)


def _track[T](items: Iterable[T], total: int, progress: bool) -> Iterable[T]:
    if not progress:
        return items
    from rich.progress import track

    return track(items, "staging", total=total)
