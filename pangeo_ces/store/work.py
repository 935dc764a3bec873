"""A conversion under way: what workers need, and what they have done, on disk.

Beside the store, in ``STORE.work/ID/``, lie the partitions, in bundles, and one file for each that
is written.  A partition's file appears whole or not at all, so that a run that was killed goes on
where it was, on other machines if need be.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import json
import math
import posixpath
import re
import uuid
from collections import Counter
from typing import Any

import icechunk
import numpy as np
import zarr

from ..errors import DamageError, FormatError, StoreError
from ..sources.base import SourceFile, Trace
from ..storage import Patience, Settings, current, file_system, using
from . import partition as shards
from . import repo
from .held import spills_of, table_of
from .partition import Partition, Written
from .reader import READER
from .urls import group_of, storage_fault

_BUNDLE = 64


@dataclasses.dataclass(frozen=True)
class Work:
    """Where a conversion keeps what it needs until it is published."""

    address: str
    id: str
    #: Where buckets are and how they are read, as it was where the conversion was begun.
    settings: Settings = dataclasses.field(default_factory=current)

    @property
    def folder(self) -> str:
        return f"{self.address.rstrip('/')}.work/{self.id}"

    @property
    def branch(self) -> str:
        return f"{repo.DRAFT}{self.id}"

    def _fs(self) -> tuple[Any, str]:
        return file_system(self.folder)

    def state(self) -> dict[str, Any] | None:
        """What was begun: ``base`` and ``draft`` snapshots, number of ``partitions``."""
        content = self._get("state.json")
        return None if content is None else json.loads(content)

    def begin(
        self,
        base: str,
        draft: str,
        files: dict[int, tuple[str, str, str, str]],
        partitions: list[Partition],
    ) -> None:
        """Write down all partitions; ``files`` are (url, name, sha256, stamp) by number."""
        uses = Counter(piece.file for part in partitions for piece in part.pieces)
        for number in range(math.ceil(len(partitions) / _BUNDLE)):
            bundle = partitions[number * _BUNDLE : (number + 1) * _BUNDLE]
            read = {piece.file for part in bundle for piece in part.pieces if piece.file >= 0}
            facts = {
                "partitions": [part.to_json() for part in bundle],
                "files": {str(file): files[file] for file in sorted(read)},
                "once": [file for file in sorted(read) if uses[file] == 1],
            }
            self._put(f"partitions/{number:06d}.json", json.dumps(facts).encode())
        state = {"base": base, "draft": draft, "partitions": len(partitions),
                 "content": content_of(partitions, files)}  # fmt: skip
        self._put("state.json", json.dumps(state).encode())

    def keep(self, name: str, content: bytes) -> None:
        """Put a document into the folder."""
        self._put(name, content)

    def document(self, name: str) -> bytes:
        """A document of the folder.

        Raises
        ------
        StoreError
            When it is not there.
        """
        content = self._get(name)
        if content is None:
            raise StoreError(f"{self.folder}/{name} is missing: begin with ces convert-init")
        return content

    def partition(self, number: int, draft: str) -> tuple[Partition, dict[str, Any]]:
        """A partition of a draft, and its bundle, in which are the files it reads."""
        bundle = _read_bundle(self, number // _BUNDLE, draft)
        return Partition.from_json(bundle["partitions"][number % _BUNDLE]), bundle

    def done(self, draft: str) -> set[int]:
        """Numbers of the partitions of a draft that are written."""
        fs, folder = self._fs()
        fs.invalidate_cache()
        with storage_fault(self.address):
            try:
                names = fs.ls(f"{folder}/done-{draft}", detail=False)
            except FileNotFoundError:
                return set()
        found = (re.fullmatch(r"(\d{8})\.npz", posixpath.basename(name)) for name in names)
        return {int(match[1]) for match in found if match}

    def is_done(self, number: int, draft: str) -> bool:
        """Whether one partition is written."""
        fs, folder = self._fs()
        with storage_fault(self.address):
            return bool(fs.exists(f"{folder}/done-{draft}/{number:08d}.npz"))

    def put_result(
        self, number: int, draft: str, written: Written, fork: icechunk.ForkSession
    ) -> None:
        """Write down that a partition of a draft is written, and what came of it."""
        facts = {
            "ranges": written.ranges,
            "runs": written.runs,
            "agreeing": written.agreeing,
            "problems": written.problems,
            "spills": [(n, begin) for n, begin, _ in written.spills],
        }
        arrays = {f"spill{i}": values for i, (_, _, values) in enumerate(written.spills)}
        arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), "uint8")
        arrays["changes"] = np.frombuffer(_changes(fork), "uint8")
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, **arrays)
        self._put(f"done-{draft}/{number:08d}.npz", stream.getvalue())

    def result(self, number: int, draft: str) -> tuple[Written, icechunk.ForkSession]:
        """What came of a partition."""
        content = io.BytesIO(self.document(f"done-{draft}/{number:08d}.npz"))
        with np.load(content, allow_pickle=False) as arrays:
            facts = json.loads(arrays["facts"].tobytes())
            spills = [(n, begin, arrays[f"spill{i}"])
                      for i, (n, begin) in enumerate(facts["spills"])]  # fmt: skip
            fork = _fork_of(arrays["changes"].tobytes())
        written = Written(
            {name: tuple(pair) for name, pair in facts["ranges"].items()},
            [tuple(run) for run in facts["runs"]],
            spills,
            facts["agreeing"],
            [tuple(problem) for problem in facts["problems"]],
        )
        return written, fork

    def clear(self) -> None:
        """Remove everything, and the folder around it if nothing else is in it."""
        fs, folder = self._fs()
        fs.invalidate_cache()
        if fs.exists(folder):
            fs.rm(folder, recursive=True)
        around = posixpath.dirname(folder)
        if fs.exists(around) and not fs.ls(around):
            fs.rmdir(around)

    def _get(self, name: str) -> bytes | None:
        fs, folder = self._fs()
        with storage_fault(self.address):
            try:
                return fs.cat_file(f"{folder}/{name}")
            except FileNotFoundError:
                return None

    def _put(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all."""
        fs, folder = self._fs()
        path = f"{folder}/{name}"
        with storage_fault(self.address):
            if fs.protocol in ("file", ("file", "local")):
                fs.makedirs(posixpath.dirname(path), exist_ok=True)
                temporary = f"{path}.{uuid.uuid4().hex}"
                fs.pipe_file(temporary, content)
                fs.mv(temporary, path)
            else:  # an object store writes an object whole
                fs.pipe_file(path, content)


def content_of(partitions: list[Partition], files: dict[int, tuple[str, str, str, str]]) -> str:
    """Checksum of what is to be done: only the same may be gone on with."""
    rows = [part.to_json() for part in partitions]
    return hashlib.sha256(json.dumps([rows, sorted(files.items())]).encode()).hexdigest()


def run_partition(work: Work, number: int) -> int:
    """Write one partition, unless it is written; its number.

    Raises
    ------
    StoreError
        When the conversion was not begun, or is over.
    """
    patience = Patience()
    with using(work.settings):
        while True:
            try:
                return _run_partition(work, number)
            except StoreError as error:
                if error.__cause__ is None or not patience.wait(error.__cause__):
                    raise


def _run_partition(work: Work, number: int) -> int:
    state = work.state()
    if state is None:
        raise StoreError(
            f"no conversion is under way at {work.folder}: begin with ces convert-init"
        )
    if not 0 <= number < state["partitions"]:
        raise StoreError(f"there is no partition {number}: they go from 0 to "
                         f"{state['partitions'] - 1}")  # fmt: skip
    if work.is_done(number, state["draft"]):
        return number
    part, bundle = work.partition(number, state["draft"])
    draft, before = _sessions(work, state["base"], state["draft"])
    fork = draft.fork()
    old = _group(before, part.path)

    def spilled(row: int) -> list[tuple[int, np.ndarray]]:
        assert before is not None
        return _spills(work, state["base"], part.path).get(row, [])

    def fetch(file: int, piecewise: bool) -> tuple[list[Trace], list[tuple[str, str]]]:
        url, name, checksum, stamp = bundle["files"][str(file)]
        source = SourceFile(url, None, name, piecewise=piecewise)
        try:
            return READER.read(source, checksum, stamp, once=file in bundle["once"])
        except FormatError as error:
            return [], [("", f"rejected: {error}")]

    with storage_fault(work.address):
        group = zarr.open_group(fork.store, mode="r+", zarr_format=3, path=part.path)
        try:
            written = shards.write(part, group, old, spilled, lambda file: fetch(file, True))
        except DamageError:  # only whole files can be sorted out
            written = shards.write(part, group, old, spilled, lambda file: fetch(file, False))
    work.put_result(number, state["draft"], written, fork)
    return number


@functools.lru_cache(16)
def _read_bundle(work: Work, number: int, draft: str) -> dict[str, Any]:
    """Kept by draft, since one that is begun anew has other partitions."""
    return json.loads(work.document(f"partitions/{number:06d}.json"))


@functools.lru_cache(4)
def _sessions(
    work: Work, base: str, draft: str
) -> tuple[icechunk.Session, icechunk.Session | None]:
    repository = repo.find(work.address)
    if repository is None:
        raise StoreError(f"the store {work.address} is gone: convert again")
    try:
        session = repository.writable_session(work.branch)
    except icechunk.IcechunkError as error:
        raise StoreError(
            f"the conversion at {work.folder} is over or was begun anew: convert again"
        ) from error
    if session.snapshot_id != draft:
        raise StoreError(f"the conversion at {work.folder} was begun anew: convert again")
    return session, repository.readonly_session(snapshot_id=base)


def _group(session: icechunk.Session | None, path: str) -> zarr.Group | None:
    if session is None:
        return None
    try:
        return group_of(zarr.open_group(session.store, mode="r", zarr_format=3), path)
    except (FileNotFoundError, KeyError):
        return None


@functools.lru_cache(4)
def _spills(work: Work, base: str, path: str) -> dict[int, list[tuple[int, np.ndarray]]]:
    repository = repo.find(work.address)
    assert repository is not None
    group = _group(repository.readonly_session(snapshot_id=base), path)
    return {} if group is None else spills_of(table_of(group))


def _changes(fork: icechunk.ForkSession) -> bytes:
    """The changes of a session as Icechunk serialises them; no credentials are among them, since
    these come from the environment."""
    state: Any = fork.__getstate__()
    return state["_session"]


def _fork_of(changes: bytes) -> icechunk.ForkSession:
    fork = icechunk.ForkSession.__new__(icechunk.ForkSession)
    fork.__setstate__({"_session": changes})
    return fork
