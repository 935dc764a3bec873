"""Stored samples as an array that reads and decodes only what is asked of it."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import google_crc32c
import numba
import numpy as np
import zarr
from zarr.abc.store import RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from ..conventions import FLOAT32_EXACT, INT_FILL
from ..errors import StoreError
from .codecs import chunk_codec
from .urls import damage

#: Shard indexes kept: a few kilobytes each, and a version never changes.
_MOST_INDEXES = 4096
_EMPTY = 2**64 - 1
#: Bytes between two chunks are read too if they are not more than so many times the second.
_GAP = 3

Range = tuple[int, int]


class Samples:
    """A Zarr array of waveforms as floats with NaN in gaps.

    Counts are float32, or float64 where any of them needs more than 24 bits.  A slice of it reads
    the byte ranges of the chunks under the slice, all at once, which Dask makes use of: it merges
    a selection with the reading of a shard.  Zarr's own pipeline gives the same; it takes several
    times as long for a short window of many channels.
    """

    def __init__(self, array: zarr.Array[Any]):
        self.array = array
        self.shape, self.ndim = array.shape, array.ndim
        self.dtype = array.dtype
        self.fill: int | None = None
        if array.dtype.kind == "i":
            actual: Any = array.attrs.get("actual_range", (0, 0))
            low, high = actual
            self.dtype = np.dtype("float32" if max(-low, high) <= FLOAT32_EXACT else "float64")
            self.fill = INT_FILL[array.dtype.name]
        self.codec = chunk_codec(array)
        self._indexes: dict[tuple[int, ...], np.ndarray | None] = {}

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
        values = np.full([high - low for low, high in region], np.nan, self.dtype)
        chunks = list(_covered(region, self.array.chunks))
        for place, content in self._fetch(chunks):
            assert self.codec is not None
            chunk = self.codec.decode(content)
            inside, outside = [], []
            for number, size, (low, high) in zip(place, self.codec.shape, region, strict=True):
                first, last = max(number * size, low), min((number + 1) * size, high)
                inside.append(slice(first - number * size, last - number * size))
                outside.append(slice(first - low, last - low))
            part, target = chunk[tuple(inside)], values[tuple(outside)]
            if self.fill is None:
                target[...] = part
            else:
                for row in np.ndindex(target.shape[:-1]):
                    _widen(part[row], target[row], self.fill)
        return values

    def _fetch(self, chunks: list[tuple[int, ...]]) -> list[tuple[tuple[int, ...], bytes]]:
        """The bytes of the chunks that exist."""
        known = self._indexes
        shape = self.array.shards or self.array.chunks
        counts = tuple(s // c for s, c in zip(shape, self.array.chunks, strict=True))
        homes = [tuple(i // n for i, n in zip(place, counts, strict=True)) for place in chunks]
        missing = list(dict.fromkeys(home for home in homes if home not in known))
        if len(known) + len(missing) > _MOST_INDEXES:
            known = self._indexes = {}  # anew, since another thread may be reading the old ones
            missing = list(dict.fromkeys(homes))
        if missing:
            size = 16 * int(np.prod(counts)) + 4
            tails = sync(self._get([(home, SuffixByteRequest(size)) for home in missing]))
            for home, tail in zip(missing, tails, strict=True):
                known[home] = None if tail is None else _index(tail, counts)
        wanted: dict[tuple[int, ...], list[tuple[int, int, tuple[int, ...]]]] = {}
        for place, home in zip(chunks, homes, strict=True):
            index = known[home]
            if index is not None:
                inside = tuple(i % n for i, n in zip(place, counts, strict=True))
                offset, length = (int(n) for n in index[inside])
                if offset != _EMPTY:
                    wanted.setdefault(home, []).append((offset, offset + length, place))
        runs = [(home, run) for home, pieces in wanted.items() for run in _together(pieces)]
        requests = [(home, RangeByteRequest(run[0][0], run[-1][1])) for home, run in runs]
        contents = sync(self._get(requests)) if requests else []
        return [
            (place, content[begin - run[0][0] : end - run[0][0]])
            for (_, run), content in zip(runs, contents, strict=True)
            for begin, end, place in run
        ]

    async def _get(self, requests: list[tuple[tuple[int, ...], Any]]) -> list[Any]:
        """Byte ranges of shards, all at once."""
        kind = default_buffer_prototype()
        path, encode = self.array.path, self.array.metadata.encode_chunk_key
        with damage(path):
            found = await asyncio.gather(
                *(
                    self.array.store.get(f"{path}/{encode(home)}", kind, byte_range)
                    for home, byte_range in requests
                )
            )
        return [None if content is None else content.to_bytes() for content in found]


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
