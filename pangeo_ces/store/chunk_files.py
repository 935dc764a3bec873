"""Where on disk the shards of a local store lie, so that they are read without a detour.

Icechunk reads a local file in pieces of 8 KiB, each by another thread, which takes ten times as
long as the reading.  Its manifests say which file holds which chunk, and their layout is published
(https://icechunk.io/en/stable/reference/spec/): this looks there.  Whatever is not as expected is
left to Icechunk, and so is all that lies in an object store.
"""

from __future__ import annotations

import base64
import functools
import os
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import zarr
from flatbuffers import encode, number_types
from flatbuffers.table import Table
from numcodecs import zstd

from . import repo

_MAGIC = "ICE🧊CHUNK".encode()
_HEADER = 39
_SPECIFICATIONS, _MANIFEST, _ZSTD = (1, 2), 2, 1
#: Icechunk writes numbers as Crockford does, which leaves out I, L, O and U.
_CROCKFORD = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
)


class ChunkFiles:
    """The files of an array's shards in a version of a local store.

    Parameters
    ----------
    folder
        Of the store.
    manifests
        Numbers of those of the array.
    node
        Number of the array.
    """

    def __init__(self, folder: str, manifests: tuple[str, ...], node: str):
        self.folder, self.manifests, self.node = folder, manifests, node

    def read(self, place: tuple[int, ...], begin: int, end: int | None) -> bytes | None:
        """Bytes of a shard, the last ones where ``begin`` is negative; ``None`` where Icechunk
        has to be asked."""
        try:
            for manifest in self.manifests:
                if found := _refs(self.folder, manifest, self.node).find(place):
                    name, offset, length = found
                    begin, end, _ = slice(begin, end).indices(length)
                    file = os.open(f"{self.folder}/chunks/{name}", os.O_RDONLY)
                    try:
                        content = os.pread(file, end - begin, offset + begin)
                    finally:
                        os.close(file)
                    return content if len(content) == end - begin else None
        except (OSError, ValueError, RuntimeError, IndexError):
            pass  # another layout, or the store lies elsewhere for this machine
        return None


def chunk_files(address: str, array: zarr.Array[Any]) -> ChunkFiles | None:
    """The files of an array; ``None`` where it is not in a version of a local store."""
    store = array.store
    if not isinstance(store, icechunk.IcechunkStore) or not store.session.read_only:
        return None
    if "://" in address and not address.startswith("file://"):
        return None
    folder = str(Path(address.removeprefix("file://")).expanduser().absolute())
    manifests = _manifests(folder, store.session.snapshot_id).get(f"/{array.path}")
    return ChunkFiles(folder, *manifests) if manifests else None


@functools.lru_cache(16)
def _manifests(folder: str, snapshot: str) -> dict[str, tuple[tuple[str, ...], str]]:
    """Manifests and number of every array of a version, by its path."""
    repository = repo.find(folder)
    try:
        facts = {} if repository is None else repository.inspect_snapshot(snapshot)
        return {
            node["path"]: (tuple(ref["id"] for ref in node["manifest_refs"]), node["id"])
            for node in facts.get("nodes", [])
            if node["node_type"] == "array"
        }
    except (icechunk.IcechunkError, KeyError, TypeError):
        return {}


class _Refs:
    """The chunks of an array in a manifest, in the order of their places."""

    def __init__(self, content: bytes, table: Table | None):
        self._content = content
        self._start, self._count = (0, 0) if table is None else _vector(table, 6)
        self._known: dict[tuple[int, ...], tuple[str, int, int] | None] = {}

    def find(self, place: tuple[int, ...]) -> tuple[str, int, int] | None:
        """Name of the file of a chunk, and offset and length in it."""
        if place not in self._known:
            self._known[place] = self._search(place)
        return self._known[place]

    def _search(self, place: tuple[int, ...]) -> tuple[str, int, int] | None:
        low, high = 0, self._count
        while low < high:
            middle = (low + high) // 2
            ref = _element(self._content, self._start, middle)
            start, size = _vector(ref, 4)
            index = tuple(np.frombuffer(self._content, "<u4", size, start).tolist())
            if index == place:
                return self._file(ref)
            low, high = (middle + 1, high) if index < place else (low, middle)
        return None

    def _file(self, ref: Table) -> tuple[str, int, int] | None:
        number = ref.Offset(12)
        if not number:  # within the manifest itself, or in a file of others
            return None
        place = ref.Pos + number
        offset, length = (
            ref.Get(number_types.Uint64Flags, ref.Pos + at) if (at := ref.Offset(field)) else 0
            for field in (8, 10)
        )
        return _name(self._content[place : place + 12]), offset, length


@functools.lru_cache(4096)
def _refs(folder: str, manifest: str, node: str) -> _Refs:
    """Of one array; no file of a store ever changes.

    Raises
    ------
    ValueError
        When the manifest is written in another way than is known here.
    """
    content = Path(folder, "manifests", manifest).read_bytes()
    told = tuple(content[len(_MAGIC) + 24 : _HEADER])
    if not content.startswith(_MAGIC) or told not in {
        (version, _MANIFEST, _ZSTD) for version in _SPECIFICATIONS
    }:
        raise ValueError("unknown manifest")
    content = bytes(zstd.decompress(content[_HEADER:]))
    root = Table(content, encode.Get(number_types.UOffsetTFlags.packer_type, content, 0))
    start, count = _vector(root, 6)
    for i in range(count):
        array = _element(content, start, i)
        place = array.Pos + array.Offset(4)
        if _name(content[place : place + 8]) == node:
            return _Refs(content, array)
    return _Refs(content, None)


def _vector(table: Table, field: int) -> tuple[int, int]:
    """Where a vector starts, and its length."""
    offset = table.Offset(field)
    return (table.Vector(offset), table.VectorLen(offset)) if offset else (0, 0)


def _element(content: bytes, start: int, number: int) -> Table:
    """A table in a vector of tables."""
    return Table(content, Table(content, 0).Indirect(start + 4 * number))


def _name(number: bytes) -> str:
    return base64.b32encode(number).rstrip(b"=").translate(_CROCKFORD).decode()
