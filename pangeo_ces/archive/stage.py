"""One run of staging: what it gets is kept at once, journaled, and published as one stage."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import io
import json
import os
import posixpath
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from ..errors import InputError, StoreError
from ..sources.base import Problem
from .archive import FORMAT, MARKER, STATES, Archive, manifest_name, object_name
from .folder import Folder, without_password
from .journal import Journal

CHUNK = 1 << 20

#: Whether a file of an earlier stage, and the request that last asked for it, are within the
#: present request, so that the provider has removed it when it is not found any more.
Covers = Callable[[dict[str, Any], dict[str, Any]], bool]


@dataclasses.dataclass(frozen=True)
class Staged:
    """What a staging did, or would do.

    Parameters
    ----------
    archive
        URL.
    stage
        Number of the stage; None where nothing was published (a dry run).
    created
        When, in UTC.
    request
        What was asked for.
    counts
        Number of files ``new``, ``updated``, ``unchanged``, ``removed``.
    problems
        What could not be had, and why.
    asked
        URLs that were asked for in this run, without those an interrupted run had got already; in
        a dry run, those that would be.
    """

    archive: str
    stage: int | None
    created: str | None
    request: dict[str, Any]
    counts: dict[str, int]
    problems: tuple[Problem, ...]
    asked: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        return dataclasses.asdict(self)


class Staging:
    """A staging in progress; use it in a ``with`` statement, then :meth:`publish`.

    Parameters
    ----------
    url
        The archive; made if it is not there.
    request
        What is asked for, as JSON, without credentials.  The same request takes up what an
        interrupted run left.
    quota
        Bytes the archive may hold.
    restart
        Forget what an interrupted run left.

    Raises
    ------
    StoreError
        If the folder holds something else, or cannot be written.
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        request: dict[str, Any],
        *,
        quota: int | None = None,
        restart: bool = False,
    ) -> None:
        self.request, self.quota = request, quota
        make(Folder(url))
        self.archive = Archive(url)
        self.folder = self.archive.folder
        #: Name -> file of the newest stage, without removed ones.
        self.previous = present(self.archive)
        text = json.dumps(request, sort_keys=True)
        self.scratch = f"partial/{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        self.journal = Journal(self.folder, self.scratch)
        self._asked: list[str] = []
        self._lock = threading.Lock()
        if restart or self._finished():
            self.journal.clear()
        objects = self._objects() if self.journal.rows or quota is not None else {}
        self._used = sum(objects.values())
        for key, row in list(self.journal.rows.items()):
            file = row.get("file")
            if file and objects.get(file["sha256"]) != file["size"]:
                del self.journal.rows[key]  # lost in a power cut
        if "begin" not in self.journal.rows:
            self.journal.add({"key": "begin", "stage": self.archive.latest})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.journal.close()

    def _finished(self) -> bool:
        """Whether the journal is of a run that was published but killed before it tidied up."""
        begin = self.journal.rows.get("begin")
        if begin is None:
            return bool(self.journal.rows)
        later = (number for number in self.archive.stages() if number > begin["stage"])
        return any(self.archive.manifest(number)["request"] == self.request for number in later)

    def _objects(self) -> dict[str, int]:
        """Checksum -> bytes of all that the archive keeps."""
        with self.folder.errors():
            self.folder.fs.invalidate_cache()
            found = self.folder.fs.find(self.folder.path("objects"), detail=True)
        return {posixpath.basename(path): info["size"] for path, info in found.items()}

    def request_of(self, file: dict[str, Any]) -> dict[str, Any]:
        """The request that last asked for a file of the newest stage."""
        try:
            return self.archive.manifest(file["asked"])["request"]
        except (StoreError, KeyError):  # someone has thinned out the old stages
            return {}

    def done(self, key: str) -> bool:
        """Whether an interrupted run has settled this already."""
        return key in self.journal.rows

    def asking(self, source: str) -> None:
        """Note that the provider is asked."""
        self._asked.append(source)

    def memo[T](self, key: str, call: Callable[[], T]) -> T:
        """What a call gave in the interrupted run, or gives now; it must be JSON."""
        if key not in self.journal.rows:
            self.journal.add({"key": key, "memo": call()})
        return self.journal.rows[key]["memo"]

    def keep(
        self,
        key: str,
        name: str,
        kind: str,
        source: str,
        content: bytes | IO[bytes],
        problems: Iterable[Problem] = (),
    ) -> None:
        """Keep a file: first its bytes, then the row that speaks of them."""
        stream = io.BytesIO(content) if isinstance(content, bytes) else content
        sha256, size = self._keep(stream)
        file = {"name": name, "kind": kind, "sha256": sha256, "size": size, "source": source}
        self.journal.add({"key": key, "file": file, "problems": _rows(problems)})

    def absent(self, key: str, name: str, problems: Iterable[Problem] = ()) -> None:
        """Note that the provider says it has no such file."""
        self.journal.add({"key": key, "absent": name, "problems": _rows(problems)})

    def refuse(self, key: str, name: str, problem: Problem) -> None:
        """Note that the file was had, but is not wanted."""
        self.journal.add({"key": key, "refused": name, "problems": _rows([problem])})

    def _keep(self, stream: IO[bytes]) -> tuple[str, int]:
        """Checksum and size of what is now an object of the archive."""
        try:
            with self.folder.errors():
                return self._write(stream)
        except FileNotFoundError as error:  # never to be taken for a file the provider lacks
            raise StoreError(
                f"{self.scratch} of {self.archive.url} is gone: leave it alone while staging"
            ) from error

    def _write(self, stream: IO[bytes]) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        folder = self.folder.path(self.scratch) if self.folder.local else None
        descriptor, path = tempfile.mkstemp(dir=folder)
        temporary = Path(path)
        try:
            with open(descriptor, "wb") as out:
                while block := read_part(stream):
                    digest.update(block)
                    size += len(block)
                    out.write(block)
                if self.folder.local:
                    out.flush()
                    os.fsync(descriptor)
            name = object_name(digest.hexdigest())
            self._count(name, size)
            self.folder.adopt(temporary, name, mode=0o444)
        finally:
            temporary.unlink(missing_ok=True)
        return digest.hexdigest(), size

    def _count(self, name: str, size: int) -> None:
        if self.quota is None:
            return
        with self._lock:
            if self.folder.size(name) == size:
                return
            if self._used + size > self.quota:
                raise StoreError(
                    f"{self.archive.url} holds {self._used} bytes, and {size} more would exceed "
                    f"the quota of {self.quota}: allow more and give the same command again (it "
                    "goes on where it stopped), or ask for less"
                )
            self._used += size

    def publish(
        self,
        *,
        covers: Covers = lambda file, request: False,
        problems: Iterable[Problem] = (),
        failed: Iterable[str] = (),
    ) -> Staged:
        """Make what was got the next stage; if another staging was faster, the one after.

        Parameters
        ----------
        covers
            Which files of earlier stages are within the request.
        problems
            Rows besides those in the journal: of what could not be had.
        failed
            Names of files that could not be had, and so stay as they were.
        """
        rows = self.journal.rows.values()
        told = [*problems, *(Problem(*row) for each in rows for row in each.get("problems", ()))]
        got = {row["file"]["name"] for row in rows if row.get("file")}
        told = sorted(
            {p for p in told if p.status != "rejected" or p.file not in got},
            key=lambda p: (p.file, p.trace, p.status, p.reason),
        )
        kept = {*failed, *(row["refused"] for row in rows if "refused" in row)}
        while True:
            number = self.archive.latest + 1
            files = self._compose(number, covers, kept)
            manifest: dict[str, Any] = {
                "stage": number,
                "created": datetime.datetime.now(datetime.UTC).isoformat(),
                "request": self.request,
                "counts": {s: sum(file["state"] == s for file in files) for s in STATES},
                "files": files,
                "problems": [dataclasses.asdict(problem) for problem in told],
            }
            content = write_manifest(manifest)
            try:
                self.folder.create(manifest_name(number), content, self.scratch)
            except FileExistsError:
                if not self._is(number, content):
                    continue
            break
        self.journal.remove()
        return Staged(
            self.archive.url, number, manifest["created"], self.request, manifest["counts"],
            tuple(told), tuple(self._asked),
        )  # fmt: skip

    def _is(self, number: int, content: bytes) -> bool:
        """Whether a stage is ours: a client sends twice when the first answer is lost."""
        try:
            return self.folder.read(manifest_name(number)) == content
        except FileNotFoundError:
            return False

    def _compose(self, number: int, covers: Covers, kept: set[str]) -> list[dict[str, Any]]:
        """The whole picture of stage ``number``: what was got against the stage before."""
        rows = self.journal.rows.values()
        got = {row["file"]["name"]: row["file"] for row in rows if row.get("file")}
        absent = {row["absent"] for row in rows if "absent" in row} - got.keys() - kept
        files = []
        for name, old in present(self.archive).items():
            if name in got:
                file = {**got.pop(name), "asked": number}
                if file["sha256"] == old["sha256"]:
                    file["state"] = "unchanged"
                else:
                    file |= {"state": "updated", "previous": old["sha256"]}
            else:
                file = {key: value for key, value in old.items() if key != "previous"}
                gone = name in absent or (name not in kept and covers(old, self.request_of(old)))
                file["state"] = "removed" if gone else "unchanged"
            files.append(file)
        files += [{**file, "state": "new", "asked": number} for file in got.values()]
        order = ("name", "kind", "state", "sha256", "size", "source", "previous", "asked")
        return sorted(
            ({key: file[key] for key in order if key in file} for file in files),
            key=lambda file: file["name"],
        )


def read_part(stream: IO[bytes], size: int = CHUNK) -> bytes:
    """A part of what a provider gives; its failures are not those of the archive."""
    try:
        return stream.read(size)
    except Exception as error:
        raise InputError(f"cannot be read ({reason(error)}): try it again") from error


def reason(error: BaseException) -> str:
    """An error's own words, on one line and without credentials."""
    words = str(error).strip() or type(error).__name__
    return without_password(words.splitlines()[0])


def make(folder: Folder) -> None:
    """Make an archive of an empty or absent folder; leave one that is there alone."""
    if folder.exists(MARKER):
        return
    if others := [name for name in folder.names() if name not in ("partial", MARKER)]:
        raise StoreError(
            f"{folder.given} is no archive and holds {others[0]}: name an empty or a new folder"
        )
    try:
        with contextlib.suppress(FileExistsError):  # another staging made it just now
            folder.create(MARKER, json.dumps(FORMAT).encode(), "partial")
    except FileNotFoundError as error:
        raise StoreError(f"cannot make {folder.given}: make its bucket first") from error


def write_manifest(manifest: dict[str, Any]) -> bytes:
    """JSON with a line for each file, so that text tools can search and compare it."""
    head = {key: value for key, value in manifest.items() if key not in ("files", "problems")}
    text = json.dumps(head)[:-1]
    for key in ("files", "problems"):
        lines = ",\n".join(json.dumps(row) for row in manifest[key])
        text += f',\n"{key}": [\n{lines}\n]' if lines else f',\n"{key}": []'
    return (text + "\n}\n").encode()


def present(archive: Archive) -> dict[str, dict[str, Any]]:
    """Name -> file of the newest stage, without those removed."""
    if not archive.latest:
        return {}
    rows = archive.manifest(archive.latest)["files"]
    return {row["name"]: row for row in rows if row["state"] != "removed"}


def _rows(problems: Iterable[Problem]) -> list[tuple[str, ...]]:
    return [dataclasses.astuple(problem) for problem in problems]
