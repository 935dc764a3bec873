"""Waveforms of a store as miniSEED: just the samples asked for, chunk by chunk."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import zarr

from ..conventions import INT_FILL, split_label
from ..errors import StoreError
from ..sources.base import nominal_rate
from ..sources.mseed_write import records
from ..store.open import COMPLETE
from ..store.urls import array_of, group_of
from .chunks import Chunks, ahead
from .miniseed import speakable
from .timeline import HALF_MICROSECOND, Clip, Codes, Timeline

NANO = 10**9
#: The components of a station share their chunks: keep those just read.
_CACHE_BYTES = 128 << 20
#: Pieces read and encoded before they are sent; what bounds the memory of a request.
_AHEAD = 8


@dataclasses.dataclass
class _Node:
    """A waveform node: its grid, arrays and segment table."""

    interval: Fraction
    windows: bool
    arrays: dict[str, zarr.Array[Any]]
    table: dict[str, np.ndarray]
    spilled: zarr.Array[Any]
    spill_offsets: np.ndarray
    spills: dict[int, list[int]]
    labels: list[Codes]
    components: list[str]


class _Piece(NamedTuple):
    """Samples ``first`` to ``stop`` of a run: no more than a chunk has."""

    run: int
    first: int
    stop: int


class StoreWaveforms:
    """The observed waveforms of a store, continuous and in event windows.

    Parameters
    ----------
    root
        Root group of the store, opened for reading.
    pool
        Threads that read and encode.

    Attributes
    ----------
    timeline
        One run for each stored trace; one that was stored more than once is there once.
    left_out
        Channels whose codes have no room in miniSEED 2, and which are not served.
    """

    def __init__(self, root: zarr.Group, pool: Executor):
        self._pool = pool
        self._nodes = [_open(group) for group in _observed(root)]
        self._chunks = Chunks(_CACHE_BYTES)
        runs = _Runs()
        for number, node in enumerate(self._nodes):
            runs.add(number, node)
        self.left_out = sorted(".".join(codes) for codes in runs.left_out)
        channel, start, end, nodes, rows = np.array(runs.rows, "int64").reshape(-1, 5).T
        self.timeline = Timeline(
            list(runs.channels), channel, start, end, np.array(runs.steps),
            np.array(runs.qualities, "U1"),
        )  # fmt: skip
        self._node, self._row = nodes[self.timeline.order], rows[self.timeline.order]

    def size(self, clip: Clip) -> int:
        """Bytes of the samples at four each; Steim makes about half of it."""
        first, stop = self._samples(clip)
        return 4 * max(0, stop - first)

    def blocks(self, clips: Sequence[Clip]) -> Iterator[bytes]:
        """The samples of the clips as whole records, at most a chunk of samples at a time."""
        return ahead(self._pool, self._encode, self._pieces(clips), _AHEAD)

    def _pieces(self, clips: Sequence[Clip]) -> Iterator[_Piece]:
        for clip in clips:
            node, row = self._nodes[self._node[clip.run]], self._row[clip.run]
            length = node.arrays[str(node.table["quantity"][row])].chunks[-1]
            index = int(node.table["index"][row])
            first, stop = self._samples(clip)
            while first < stop:
                end = min(stop, ((index + first) // length + 1) * length - index)
                yield _Piece(clip.run, first, end)
                first = end

    def _samples(self, clip: Clip) -> tuple[int, int]:
        """First sample of the run that is wanted, and the one after the last."""
        node, row = self._nodes[self._node[clip.run]], self._row[clip.run]
        start, step = int(node.table["start"][row]), node.interval * NANO
        first = math.ceil((clip.start - HALF_MICROSECOND - start) / step)
        last = math.floor((clip.end + HALF_MICROSECOND - start) / step)
        return max(0, first), min(int(node.table["samples"][row]), last + 1)

    def _encode(self, piece: _Piece) -> bytes:
        node, row = self._nodes[self._node[piece.run]], int(self._row[piece.run])
        start = int(node.table["start"][row]) + round(piece.first * node.interval * NANO)
        codes = self.timeline.channels[self.timeline.channel[piece.run]]
        quality = str(node.table["quality"][row])
        data = self._read(node, row, piece.first, piece.stop)
        return b"".join(records(codes, start, nominal_rate(node.interval), quality, data))

    def _read(self, node: _Node, row: int, first: int, stop: int) -> np.ndarray:
        """Samples of a trace as its file had them."""
        table = node.table
        place = tuple(
            int(table[f"{axis}_number"][row])
            for axis in (("event",) if node.windows else ()) + ("station", "component")
        )
        array = node.arrays[str(table["quantity"][row])]
        line = self._chunks.line(array, (*place, int(table["index"][row]) + first))
        data = line[: stop - first].copy()
        for spill in node.spills.get(row, ()):
            begin, count = int(table["spill_begin"][spill]), int(table["spill_samples"][spill])
            low, high = max(begin, first), min(begin + count, stop)
            if low < high:
                at = int(node.spill_offsets[spill]) + low - begin
                data[low - first : high - first] = node.spilled[at : at + high - low]
        wanted = np.dtype(str(table["source_dtype"][row]))
        missing = data == INT_FILL[data.dtype.name] if data.dtype.kind == "i" else np.isnan(data)
        if wanted.kind in "iu" and missing.any():
            raise StoreError("samples are missing: was the store changed since it was opened?")
        if data.dtype == np.int32 or (wanted.kind in "iu" and wanted.itemsize < 4):
            return data.astype(np.int32)
        return data.astype(wanted)


class _Runs:
    """Rows of all segment tables, each trace once."""

    def __init__(self) -> None:
        self.channels: dict[Codes, int] = {}
        #: Channel, start, end, node, row.
        self.rows: list[tuple[int, int, int, int, int]] = []
        self.steps: list[float] = []
        self.qualities: list[str] = []
        self.left_out: set[Codes] = set()
        self._seen: set[tuple[Any, ...]] = set()

    def add(self, number: int, node: _Node) -> None:
        step = node.interval * NANO
        names = ("station_number", "component_number", "start", "samples", "quantity",
                 "source_dtype", "quality", "source_number")  # fmt: skip
        columns = zip(*(node.table[name].tolist() for name in names), strict=True)
        checksums = node.table["source_sha256"].tolist()
        twins = set(np.flatnonzero(node.table.get("duplicate_of", np.empty(0)) >= 0).tolist())
        for row, (
            station,
            component,
            start,
            samples,
            quantity,
            dtype,
            quality,
            source,
        ) in enumerate(columns):
            network, name, location, instrument = node.labels[station]
            codes = (network, name, location, instrument + node.components[component])
            key = (codes, start, samples, step, quantity, dtype, checksums[source])
            if samples < 1 or row in twins or key in self._seen:
                continue
            self._seen.add(key)
            if not speakable(codes):
                self.left_out.add(codes)
                continue
            channel = self.channels.setdefault(codes, len(self.channels))
            self.rows.append((channel, start, start + round((samples - 1) * step), number, row))
            self.steps.append(float(step))
            self.qualities.append(quality)


def complete_groups(root: zarr.Group) -> list[str]:
    """Paths of the groups whose conversion is complete: continuous, observed, synthetic."""
    found = ["continuous"]
    if "windows" in root:
        for name, windows in sorted(group_of(root, "windows").groups()):
            found.append(f"windows/{name}/observed")
            if "synthetic" in windows:
                models = sorted(model for model, _ in group_of(windows, "synthetic").groups())
                found += [f"windows/{name}/synthetic/{model}" for model in models]
    return [p for p in found if p in root and root[p].attrs.get(COMPLETE) is not False]


def _observed(root: zarr.Group) -> Iterator[zarr.Group]:
    """The waveform nodes of observed data that have a segment table."""
    for base in complete_groups(root):
        if "/synthetic/" not in base:
            for _, node in sorted(group_of(root, base).groups()):
                if "sampling_interval" in node.attrs and "segments" in node:
                    yield node


def _open(group: zarr.Group) -> _Node:
    segments = group_of(group, "segments")
    table = {
        name: np.asarray(array[:])
        for name, array in segments.arrays()
        if name not in ("spilled", "source_url")
    }
    spills: dict[int, list[int]] = {}
    for spill, row in enumerate(table["spill_segment"].tolist()):
        spills.setdefault(row, []).append(spill)
    return _Node(
        interval=Fraction(str(group.attrs["sampling_interval"])),
        windows=group.attrs["time_origin"] is None,
        arrays={name: array_of(group, name) for name in set(table["quantity"].tolist())},
        table=table,
        spilled=array_of(segments, "spilled"),
        spill_offsets=np.concatenate([[0], np.cumsum(table["spill_samples"])]),
        spills=spills,
        labels=[split_label(label) for label in _texts(group, "station")],
        components=_texts(group, "component"),
    )


def _texts(group: zarr.Group, name: str) -> list[str]:
    return [str(text) for text in np.asarray(array_of(group, name)[:]).tolist()]
