"""Stored samples as an array that reads and decodes only what is asked of it."""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import google_crc32c
import numba
import numpy as np
import zarr
from dask.system import CPU_COUNT
from zarr.abc.store import RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from ..conventions import FLOAT32_EXACT, INT_FILL
from ..errors import StoreError
from ..storage import Patience
from .chunk_files import ChunkFiles
from .codecs import chunk_codec
from .urls import damage

#: Shard indexes kept: a few kilobytes each, and a version never changes.
_MOST_INDEXES = 4096
_EMPTY = 2**64 - 1
#: Bytes between two chunks are read too if they are not more than so many times the second.
_GAP = 3

Range = tuple[int, int]
Place = tuple[int, ...]
#: A shard, and the first byte and the end; the last bytes where the first is negative.
Request = tuple[Place, int, int | None]


class Samples:
    """A Zarr array of waveforms as floats with NaN in gaps.

    Counts are float32, or float64 where any of them needs more than 24 bits.  A slice of it reads
    the byte ranges of the chunks under the slice, all at once, which Dask makes use of: it merges
    a selection with the reading of a shard.  Zarr's own pipeline gives the same; it takes several
    times as long for a short window of many channels.
    """

    def __init__(self, array: zarr.Array[Any], files: ChunkFiles | None = None):
        self.array, self.files = array, files
        self.shape, self.ndim = array.shape, array.ndim
        self.dtype = array.dtype
        self.fill: int | None = None
        if array.dtype.kind == "i":
            actual: Any = array.attrs.get("actual_range", (0, 0))
            low, high = actual
            self.dtype = np.dtype("float32" if max(-low, high) <= FLOAT32_EXACT else "float64")
            self.fill = INT_FILL[array.dtype.name]
        self.codec = chunk_codec(array)
        shape = array.shards or array.chunks
        self._counts = tuple(s // c for s, c in zip(shape, array.chunks, strict=True))
        self._indexes: dict[Place, np.ndarray | None] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_indexes": {}}

    def __getitem__(self, key: Any) -> np.ndarray:
        region = self._region(key)
        if self.codec is not None and region is not None:
            return self._read(region)[tuple(0 if isinstance(k, int) else slice(None) for k in key)]
        block = np.asarray(self.array[key])
        if self.fill is None:
            return block
        values = block.astype(self.dtype)
        values[block == self.fill] = np.nan
        return values

    def _region(self, key: Any) -> list[Range] | None:
        """Limits in every dimension, if the key is made of numbers and plain slices."""
        if not isinstance(key, tuple) or len(key) != self.ndim:
            return None
        region = []
        for part, length in zip(key, self.shape, strict=True):
            if isinstance(part, int) and 0 <= part < length:
                region.append((part, part + 1))
            elif isinstance(part, slice) and part.step in (None, 1):
                low, high, _ = part.indices(length)
                region.append((low, max(low, high)))
            else:
                return None
        return region

    def _read(self, region: list[Range]) -> np.ndarray:
        shards: dict[Place, list[Place]] = defaultdict(list)
        for place in _covered(region, self.array.chunks):
            home = tuple(i // n for i, n in zip(place, self._counts, strict=True))
            shards[home].append(place)
        values = np.full([high - low for low, high in region], np.nan, self.dtype)

        def read(some: Sequence[Place]) -> None:
            for place, content in self._fetch({home: shards[home] for home in some}):
                self._put(place, content, region, values)

        # Requests to a server are best made all at once; files are read by several threads.
        homes = [*shards]
        if self.files is None or len(homes) < 2:
            read(homes)
        else:
            list(_pool().map(read, itertools.batched(homes, 1)))
        return values

    def _put(self, place: Place, content: bytes, region: list[Range], values: np.ndarray) -> None:
        """Decode a chunk, as far as it lies in a region."""
        assert self.codec is not None
        inside, outside = [], []
        for number, size, (low, high) in zip(place, self.codec.shape, region, strict=True):
            first, last = max(number * size, low), min((number + 1) * size, high)
            inside.append(slice(first - number * size, last - number * size))
            outside.append(slice(first - low, last - low))
        if self.codec.size == self.codec.shape[-1]:  # of one row: only what is asked for
            part = self.codec.decode(content, inside[-1].start, inside[-1].stop)
            part = part.reshape([1] * (self.ndim - 1) + [part.size])
        else:
            part = self.codec.decode(content).reshape(self.codec.shape)[tuple(inside)]
        target = values[tuple(outside)]
        if self.fill is None:
            target[...] = part
        else:
            for row in np.ndindex(target.shape[:-1]):
                _widen(part[row], target[row], self.fill)

    def _fetch(self, shards: dict[Place, list[Place]]) -> Iterator[tuple[Place, bytes]]:
        """The bytes of the chunks that exist, of those in each shard."""
        known = self._indexes
        missing = [home for home in shards if home not in known]
        if len(known) + len(missing) > _MOST_INDEXES:
            known = self._indexes = {}  # anew, since another thread may be reading the old ones
            missing = list(shards)
        if missing:
            size = 16 * int(np.prod(self._counts)) + 4
            tails = self._get([(home, -size, None) for home in missing])
            for home, tail in zip(missing, tails, strict=True):
                known[home] = None if tail is None else _index(tail, self._counts)
        runs = []
        for home, places in shards.items():
            index = known[home]
            if index is not None:
                pieces = []
                for place in places:
                    inside = tuple(i % n for i, n in zip(place, self._counts, strict=True))
                    offset, length = index[inside].tolist()
                    if offset != _EMPTY:
                        pieces.append((offset, offset + length, place))
                runs += [(home, run) for run in _together(pieces)]
        contents = self._get([(home, run[0][0], run[-1][1]) for home, run in runs])
        for (_, run), content in zip(runs, contents, strict=True):
            for begin, end, place in run:
                yield place, content[begin - run[0][0] : end - run[0][0]]

    def _get(self, requests: list[Request]) -> list[Any]:
        """Byte ranges of shards: from local files, the others all at once."""
        found: list[bytes | None] = [None] * len(requests)
        if self.files is not None:
            found = [self.files.read(*request) for request in requests]
        others = [i for i, content in enumerate(found) if content is None]
        if others:
            contents = sync(self._get_all([requests[i] for i in others]))
            for i, content in zip(others, contents, strict=True):
                found[i] = content
        return found

    async def _get_all(self, requests: list[Request]) -> list[bytes | None]:
        kind = default_buffer_prototype()
        path, encode = self.array.path, self.array.metadata.encode_chunk_key
        patience = Patience()
        with damage(path):
            while True:
                try:
                    found = await asyncio.gather(
                        *(
                            self.array.store.get(
                                f"{path}/{encode(home)}",
                                kind,
                                SuffixByteRequest(-begin)
                                if end is None
                                else RangeByteRequest(begin, end),
                            )
                            for home, begin, end in requests
                        )
                    )
                    break
                except Exception as error:
                    if not (pause := patience.pause(error)):
                        raise
                    await asyncio.sleep(pause)
        return [None if content is None else content.to_bytes() for content in found]


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(CPU_COUNT, "ces-samples")


def _covered(region: list[Range], chunk: tuple[int, ...]) -> Any:
    """Places of the chunks that a region touches."""
    if any(low == high for low, high in region):
        return ()
    pairs = zip(region, chunk, strict=True)
    return itertools.product(*(range(low // n, (high - 1) // n + 1) for (low, high), n in pairs))


def _together(
    pieces: list[tuple[int, int, tuple[int, ...]]],
) -> list[list[tuple[int, int, tuple[int, ...]]]]:
    """Ranges of bytes that are better read in one go, with what lies between them."""
    runs: list[list[tuple[int, int, tuple[int, ...]]]] = []
    for piece in sorted(pieces):
        begin, end, _ = piece
        if runs and begin - runs[-1][-1][1] <= _GAP * (end - begin):
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return runs


def _index(tail: bytes, counts: tuple[int, ...]) -> np.ndarray:
    table, checksum = tail[:-4], int.from_bytes(tail[-4:], "little")
    if google_crc32c.value(table) != checksum:
        raise StoreError(
            "the index of a shard is damaged: copy the store again, or open an earlier version"
        )
    return np.frombuffer(table, "<u8").reshape(*counts, 2)


@numba.njit(nogil=True, cache=True)
def _widen(source: np.ndarray, target: np.ndarray, fill: int) -> None:  # pragma: no cover
    """Whole numbers as floats, the fill value as NaN."""
    for i in range(source.size):
        target[i] = np.nan if source[i] == fill else source[i]
