"""One shard in memory, and as the bytes that Zarr's sharding codec defines."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import google_crc32c
import numpy as np
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from ..conventions import INT_FILL
from ..memory import scratch
from .codecs import chunk_codec

_EMPTY = np.uint64(2**64 - 1)


class Row:
    """Samples of one station and component of a shard, chunk by chunk along time.

    A chunk is compressed as soon as it is full; where a later trace overlaps it, it is compared
    with what that decodes to.  So there is never more than a few chunks of a row in memory.

    Parameters
    ----------
    length
        Samples of a chunk.
    dtype
        Of the array.
    encode, decode
        From samples to what is kept of a full chunk, and back.
    """

    def __init__(
        self,
        length: int,
        dtype: np.dtype,
        encode: Callable[[np.ndarray], Any],
        decode: Callable[[Any], np.ndarray],
    ):
        self.length, self.dtype = length, dtype
        self.fill = fill_value(dtype)
        self.limits = (np.inf, -np.inf)
        self._encode, self._decode = encode, decode
        self._full: dict[int, Any] = {}
        self._open: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def cut(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """The part of a span in each chunk."""
        while begin < end:
            border = min((begin // self.length + 1) * self.length, end)
            yield begin, border
            begin = border

    def put(self, at: int, values: np.ndarray) -> tuple[bool, tuple[int, int] | None]:
        """Put values of one chunk where nothing is yet.

        Returns
        -------
        fresh : bool
            Whether any of them has its place now.
        differs : (int, int) or None
            From the first to the last that has not, since another value is there, or since it is
            the one that means a gap.
        """
        number, values = at // self.length, np.ascontiguousarray(values)
        limits, fresh, differs = _limits(values), True, np.empty(0, int)
        whole = len(values) == self.length and limits[0] != self.fill
        if whole and number not in self._full and number not in self._open:
            self._full[number] = self._encode(values)
        else:
            fresh, differs, limits = self._merge(number, at % self.length, values)
        self.limits = min(self.limits[0], limits[0]), max(self.limits[1], limits[1])
        return fresh, (int(differs[0]), int(differs[-1]) + 1) if differs.size else None

    def chunks(self) -> dict[int, Any]:
        """What is kept of every chunk with samples, by its number."""
        for number, (samples, taken) in self._open.items():
            samples[~taken] = self.fill
            self._full[number] = self._encode(samples)
        self._open = {}
        return self._full

    def _merge(
        self, number: int, at: int, values: np.ndarray
    ) -> tuple[bool, np.ndarray, tuple[float, float]]:
        """Put values into a chunk that holds some already, or that they do not fill.

        Returns whether any is new, which have no place, and the limits of what is there now.
        """
        if number in self._full:
            samples, taken = self._decode(self._full[number]), np.ones(self.length, bool)
        else:
            if number not in self._open:
                self._open[number] = np.empty(self.length, self.dtype), np.zeros(self.length, bool)
            samples, taken = self._open[number]
        held, there = samples[at : at + len(values)], taken[at : at + len(values)]
        bits = f"u{self.dtype.itemsize}"  # so that -0.0 is not 0.0, and NaN is NaN
        wrong = there & (held.view(bits) != values.view(bits)) | (values == self.fill)
        fresh = not there.all()
        if fresh:
            np.copyto(held, values, where=~there)
            there[:] = True
        limits = _limits(held[held != self.fill])
        if fresh and taken.all():
            self._full[number] = self._encode(self._open.pop(number)[0])
        return fresh, np.flatnonzero(wrong), limits


class Shard:
    """The rows of one shard of an array, and its bytes as far as chunks are full."""

    def __init__(self, array: zarr.Array[Any]):
        self.array, self.codec = array, chunk_codec(array)
        self.shape = (array.shards or array.chunks)[-3:]
        self.chunk = array.chunks[-3:]
        self.counts = tuple(n // c for n, c in zip(self.shape, self.chunk, strict=True))
        self._rows: dict[tuple[int, int], Row] = {}
        self._content, self._end = np.empty(0, "uint8"), 0

    def row(self, station: int, component: int) -> Row:
        """The samples of a station and component, by their places in the shard."""
        if (station, component) not in self._rows:
            alone = self.codec is not None and self.codec.size == self.chunk[-1]
            codec = (self._encode, self._decode) if alone else (np.copy, np.asarray)
            self._rows[station, component] = Row(self.chunk[-1], self.array.dtype, *codec)
        return self._rows[station, component]

    def limits(self) -> tuple[float, float] | None:
        """Least and greatest sample, if there is any."""
        low = min((row.limits[0] for row in self._rows.values()), default=np.inf)
        high = max((row.limits[1] for row in self._rows.values()), default=-np.inf)
        return (low, high) if low <= high else None

    def write(self, place: tuple[int, ...]) -> None:
        """Write it as the shard of the array that has this place; nothing is left here."""
        kept = {
            (*row, number): content
            for row, held in self._rows.items()
            for number, content in held.chunks().items()
        }
        self._rows.clear()  # they hold this shard, which would hold its memory
        array = self.array
        if self.codec is None:  # codecs of others: Zarr knows them
            region = tuple(
                slice(i * n, min((i + 1) * n, length))
                for i, n, length in zip(
                    place, array.shards or array.chunks, array.shape, strict=True
                )
            )
            inside = tuple(slice(0, part.stop - part.start) for part in region)
            whole = self._blocks(kept, self.shape)[0, 0, 0]
            array[region] = whole.reshape([1] * (array.ndim - 3) + list(self.shape))[inside]
            return
        if self.codec.size > self.chunk[-1]:
            blocks = self._blocks(kept, self.chunk)
            kept = {number: self._encode(block) for number, block in blocks.items()}
        path = f"{array.path}/{array.metadata.encode_chunk_key(place)}"
        if kept:
            content = default_buffer_prototype().buffer.from_array_like(self._joined(kept))
            sync(array.store.set(path, content))
        else:
            sync(array.store.delete(path))

    def _encode(self, chunk: np.ndarray) -> np.ndarray:
        assert self.codec is not None
        most = self.codec.most
        if self._end + most > self._content.size:  # mostly all of a shard fits into the first
            wanted = math.prod(self.counts) * most
            self._content, self._end = scratch("chunks", wanted, np.dtype("u1")), 0
        begin = self._end
        self._end += self.codec.encode(chunk, self._content[begin:])
        return self._content[begin : self._end]

    def _decode(self, content: np.ndarray) -> np.ndarray:
        assert self.codec is not None
        return self.codec.decode(content.tobytes())

    def _blocks(
        self, kept: dict[tuple[int, int, int], np.ndarray], shape: tuple[int, ...]
    ) -> dict[tuple[int, int, int], np.ndarray]:
        """Chunks of single rows put together to blocks of several."""
        fill, length = fill_value(self.array.dtype), self.chunk[-1]
        blocks: dict[tuple[int, int, int], np.ndarray] = defaultdict(
            lambda: np.full(shape, fill, self.array.dtype)
        )
        for (station, component, number), samples in kept.items():
            at = number * length
            home = station // shape[0], component // shape[1], at // shape[2]
            row = blocks[home][station % shape[0], component % shape[1]]
            row[at % shape[2] : at % shape[2] + length] = samples
        return blocks

    def _joined(self, chunks: dict[tuple[int, int, int], np.ndarray]) -> np.ndarray:
        """Chunks one after the other, then their offsets and sizes, then a checksum of these.

        All components of a time lie together, so that a window of them is one range of bytes.
        """
        index = np.full((*self.counts, 2), _EMPTY, "<u8")
        end = 0
        order = sorted(chunks, key=lambda place: (place[2], *place[:2]))
        for place in order:
            index[place] = end, len(chunks[place])
            end += len(chunks[place])
        table = index.tobytes()
        tail = table + google_crc32c.value(table).to_bytes(4, "little")
        out = scratch("shard", end + len(tail), np.dtype("u1"))
        np.concatenate([*(chunks[place] for place in order), np.frombuffer(tail, "u1")], out=out)
        return out


def fill_value(dtype: np.dtype) -> int | float:
    """Value of samples that were never recorded."""
    return INT_FILL[dtype.name] if dtype.kind == "i" else float("nan")


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Least and greatest finite value; the first exceeds the second where there is none."""
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return (values.min().item(), values.max().item()) if values.size else (np.inf, -np.inf)
