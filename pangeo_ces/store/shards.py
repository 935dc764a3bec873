"""One shard in memory, and as the bytes that Zarr's sharding codec defines."""

from __future__ import annotations

import itertools
from typing import Any

import google_crc32c
import numba
import numpy as np
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from ..conventions import INT_FILL
from .codecs import ChunkCodec, chunk_codec
from .memory import scratch

_EMPTY = np.uint64(2**64 - 1)


class Grid:
    """Samples of a shard by station, component and time, and which of them are there.

    The memory is that of the last grid of this thread: to be touched first is what costs most.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype):
        self.shape, self.dtype = shape[-3:], dtype
        self.fill = fill_value(dtype)
        size = int(np.prod(self.shape, dtype="int64"))
        self.samples = scratch("grid", size, dtype).reshape(self.shape)
        self.taken = scratch("taken", size, np.dtype(bool)).reshape(self.shape)
        self.taken[...] = False
        self._low, self._high = np.inf, -np.inf

    def put(
        self, row: tuple[int, int], at: int, values: np.ndarray
    ) -> tuple[bool, tuple[int, int] | None]:
        """Put values where nothing is yet.

        Returns
        -------
        fresh : bool
            Whether any of them has its place now.
        differs : (int, int) or None
            From the first to the last that has not, since another value is there, or since it is
            the one that means a gap.
        """
        end = at + len(values)
        held, taken = self.samples[row][at:end], self.taken[row][at:end]
        new = not taken.any()
        low, high = _copy(values, held) if new else _limits(values)
        wrong = values == self.fill if low == self.fill else None
        fresh = new
        if not new:
            there = taken.copy()
            bits = f"u{held.dtype.itemsize}"  # so that -0.0 is not 0.0, and NaN is NaN
            unlike = there & (held.view(bits) != np.ascontiguousarray(values).view(bits))
            wrong = unlike if wrong is None else unlike | wrong
            held[~there] = values[~there]
            fresh = not there.all()
        if wrong is not None:
            low, high = _limits(held[held != self.fill])
        self._low, self._high = min(self._low, low), max(self._high, high)
        taken[:] = True
        if wrong is None or not wrong.any():
            return fresh, None
        where = np.flatnonzero(wrong)
        return fresh, (int(where[0]), int(where[-1]) + 1)

    def finish(self) -> tuple[float, float] | None:
        """Mark what is not there as gaps; least and greatest sample, if there is any."""
        for row in np.ndindex(self.shape[:2]):
            taken = self.taken[row]
            if not taken.any():
                self.samples[row] = self.fill
            elif not taken.all():
                self.samples[row][~taken] = self.fill
        return (self._low, self._high) if self._low <= self._high else None


def put_shard(array: zarr.Array[Any], place: tuple[int, ...], grid: Grid) -> None:
    """Write a grid as the shard of an array that has this place."""
    codec = chunk_codec(array)
    if codec is None:  # codecs of others: Zarr knows them
        shape = array.shards or array.chunks
        region = tuple(
            slice(i * n, min((i + 1) * n, length))
            for i, n, length in zip(place, shape, array.shape, strict=True)
        )
        inside = tuple(slice(0, part.stop - part.start) for part in region)
        array[region] = grid.samples.reshape(shape)[inside]
        return
    path = f"{array.path}/{array.metadata.encode_chunk_key(place)}"
    content = _encoded(grid, codec)
    if content is None:
        sync(array.store.delete(path))
    else:
        # Of its own, since Icechunk keeps small objects, and all in memory, without a copy.
        own = default_buffer_prototype().buffer.from_bytes(content.tobytes())
        sync(array.store.set(path, own))


def _encoded(grid: Grid, codec: ChunkCodec) -> np.ndarray | None:
    """Chunks one after the other, then their offsets and sizes, then a checksum of these.

    All components of a time lie together, so that a window of them is one range of bytes.
    """
    chunk = codec.shape[-3:]
    counts = tuple(n // c for n, c in zip(grid.shape, chunk, strict=True))
    index = np.full((*counts, 2), _EMPTY, "<u8")
    # A codec adds a few bytes at most to what it cannot compress.
    content = scratch("shard", 2 * grid.samples.nbytes + 4096, np.dtype("uint8"))
    end = 0
    for time, station, component in itertools.product(*map(range, (counts[-1], *counts[:-1]))):
        place = station, component, time
        region = tuple(slice(i * c, (i + 1) * c) for i, c in zip(place, chunk, strict=True))
        if grid.taken[region].any():
            part = codec.encode(np.ascontiguousarray(grid.samples[region]))
            content[end : end + len(part)] = np.frombuffer(part, "uint8")
            index[place] = end, len(part)
            end += len(part)
    if not end:
        return None
    table = index.tobytes()
    tail = table + google_crc32c.value(table).to_bytes(4, "little")
    content[end : end + len(tail)] = np.frombuffer(tail, "uint8")
    return content[: end + len(tail)]


def fill_value(dtype: np.dtype) -> int | float:
    """Value of samples that were never recorded."""
    return INT_FILL[dtype.name] if dtype.kind == "i" else float("nan")


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Least and greatest finite value; the first exceeds the second where there is none."""
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return (values.min().item(), values.max().item()) if values.size else (np.inf, -np.inf)


def _copy(values: np.ndarray, held: np.ndarray) -> tuple[float, float]:
    """Copy, and least and greatest finite value."""
    if values.dtype.kind == "f":
        held[:] = values
        return _limits(values)
    return _copy_whole(values, held)


@numba.njit(nogil=True, cache=True)
def _copy_whole(values: np.ndarray, held: np.ndarray) -> tuple:  # pragma: no cover
    """The same for whole numbers, in one pass over memory."""
    low = high = values[0]
    for i in range(values.size):
        value = values[i]
        held[i] = value
        low = min(low, value)
        high = max(high, value)
    return low, high
