"""Writing one shard: idempotent, whole, and independent of every other one."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np
import zarr

from ..conventions import FLOAT64_EXACT, INT_FILL
from ..errors import FormatError, StoreError
from ..sources.base import Lazy, Trace
from ..timeaxis import NANO
from .layout import Node
from .shards import Row, Shard
from .urls import array_of

Samples = np.ndarray | Lazy
#: Traces of a file, and what was wrong with it: (trace, reason).
Fetch = Callable[[int], tuple[list[Trace], list[tuple[str, str]]]]


@dataclasses.dataclass(frozen=True)
class Piece:
    """A trace, or the part of it in a partition; ``index`` counts from the node's first sample.

    It is trace ``number`` of the node, and comes from ``file``, where it is number ``trace``, or
    from ``row`` of the previous version's table.
    """

    number: int
    file: int
    trace: int
    row: int
    id: str
    start: int
    samples: int
    quantity: str
    dtype: str
    station: int
    component: int
    index: int


@dataclasses.dataclass(frozen=True)
class Partition:
    """One event (or none), block of stations and components and span of time of one node."""

    path: str
    interval: str
    event: int | None
    stations: tuple[int, int]
    components: tuple[int, int]
    first: int
    samples: int
    quantities: dict[str, str]
    #: How many samples later than in the previous version everything is.
    shift: int
    pieces: list[Piece]

    @property
    def region(self) -> tuple[slice, ...]:
        """Of the arrays of the node."""
        region = (
            slice(*self.stations),
            slice(*self.components),
            slice(self.first, self.first + self.samples),
        )
        return region if self.event is None else (slice(self.event, self.event + 1), *region)

    def place(self, array: zarr.Array) -> tuple[int, ...]:
        """Place of the shard among those of an array."""
        shape = array.shards or array.chunks
        return tuple(part.start // n for part, n in zip(self.region, shape, strict=True))

    def to_json(self) -> dict:
        """As JSON has it."""
        rows = [dataclasses.astuple(piece) for piece in self.pieces]
        return {**{f.name: getattr(self, f.name) for f in dataclasses.fields(self)}, "pieces": rows}

    @classmethod
    def from_json(cls, facts: dict) -> Partition:
        """The inverse of :meth:`to_json`."""
        pieces = [Piece(*row) for row in facts["pieces"]]
        pairs = {name: tuple(facts[name]) for name in ("stations", "components")}
        return cls(**{**facts, **pairs, "pieces": pieces})


@dataclasses.dataclass
class Written:
    """What came of a partition; traces are named by their number in the node.

    ``runs`` are what was stored of each: (trace, first sample, end), counted in the trace.
    ``spills`` are samples that the grid cannot hold, since it holds others: (trace, first sample,
    values).  ``agreeing`` are traces all of whose samples were there before them.
    """

    ranges: dict[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    runs: list[tuple[int, int, int]] = dataclasses.field(default_factory=list)
    spills: list[tuple[int, int, np.ndarray]] = dataclasses.field(default_factory=list)
    agreeing: list[int] = dataclasses.field(default_factory=list)
    problems: list[tuple[int, str, str]] = dataclasses.field(default_factory=list)


def partitions(node: Node, touched: set[tuple[int, ...]] | None) -> Iterator[Partition]:
    """The partitions of a node that are to be written: whole shards, so that no two write one
    object.  ``touched`` are the shards with a change, ``None`` all."""
    members: dict[tuple[int, ...], list[Piece]] = defaultdict(list)
    for number, placement in enumerate(node.placements):
        found, trace = placement.found, placement.trace
        piece = Piece(
            number, found.source if found.row < 0 else -1, found.number, found.row, trace.id,
            trace.start, trace.samples, trace.quantity, str(trace.dtype), placement.station,
            placement.component, placement.index,
        )  # fmt: skip
        for key in shards_of(node, placement.event, placement.station, placement.component,
                             placement.index, trace.samples):  # fmt: skip
            members[key].append(piece)
    block, column, span = node.shards[-3:]
    for key in sorted(members if touched is None else touched):
        event, station, component, piece_of_time = key
        first = piece_of_time * span
        yield Partition(
            path=node.path,
            interval=str(node.interval),
            event=None if node.events is None else event,
            stations=(station * block, min((station + 1) * block, len(node.stations))),
            components=(component * column, min((component + 1) * column, len(node.components))),
            first=first,
            samples=min(span, node.samples - first),
            quantities={name: str(dtype) for name, dtype in node.dtypes().items()},
            shift=0 if node.before.first is None else node.before.first - node.first,
            pieces=members.get(key, []),
        )


def shards_of(
    node: Node, event: int, station: int, component: int, index: int, samples: int
) -> Iterator[tuple[int, ...]]:
    """Keys of the shards that a trace lies in."""
    block, column, span = node.shards[-3:]
    for piece in range(index // span, (index + max(samples, 1) - 1) // span + 1):
        yield event, station // block, component // column, piece


def write(
    partition: Partition,
    group: zarr.Group,
    before: zarr.Group | None,
    spilled: Callable[[int], list[tuple[int, np.ndarray]]],
    fetch: Fetch,
) -> Written:
    """Put the traces of a partition on the grid and write its shards.

    Where traces of a channel overlap, the first keeps the grid; samples of a later one that
    disagree are returned as spills, so that nothing is lost.

    Parameters
    ----------
    group
        The node being written.
    before
        The node in the previous version, for what it holds already.
    spilled
        The samples beside the grid of a row of the previous version.
    fetch
        Traces of a file by its number.
    """
    result = Written()
    reported: set[int] = set()
    for quantity in partition.quantities:
        pieces = [piece for piece in partition.pieces if piece.quantity == quantity]
        array = array_of(group, quantity)
        shard = Shard(array)
        old = None
        if before is not None and any(piece.row >= 0 for piece in pieces):
            old = _held(partition, array_of(before, quantity))
        for piece in pieces:
            runs: Sequence[tuple[int, Samples]]
            if piece.row >= 0:
                assert old is not None
                runs = _stored(partition, piece, old, spilled(piece.row))
            else:
                traces, problems = fetch(piece.file)
                runs = _read(piece, Fraction(partition.interval), traces)
                if piece.file not in reported:
                    reported.add(piece.file)
                    result.problems += [(piece.file, *problem) for problem in problems]
            row = shard.row(
                piece.station - partition.stations[0], piece.component - partition.components[0]
            )
            fresh = [_place(piece, at, data, partition, row, result) for at, data in runs]
            if fresh and not any(fresh):
                result.agreeing.append(piece.number)
        if limits := shard.limits():
            result.ranges[quantity] = limits
        shard.write(partition.place(array))
    return result


def _held(partition: Partition, array: zarr.Array) -> np.ndarray:
    """What the previous version holds where this partition is, undefined where it holds nothing."""
    shape = [part.stop - part.start for part in partition.region]
    held = np.zeros(shape, array.dtype)
    there, here = [], []
    moved = (*partition.region[:-1], _moved(partition.region[-1], -partition.shift))
    for part, length in zip(moved, array.shape, strict=True):
        low, high = max(part.start, 0), min(part.stop, length)
        there.append(slice(low, max(high, low)))
        here.append(slice(low - part.start, max(high, low) - part.start))
    held[tuple(here)] = array[tuple(there)]
    return held if partition.event is None else held[0]


def _moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)


def _stored(
    partition: Partition, piece: Piece, held: np.ndarray, spills: list[tuple[int, np.ndarray]]
) -> list[tuple[int, np.ndarray]]:
    """A trace of the previous version, as far as it lies in this partition."""
    low, high = _inside(partition, piece.index, piece.samples)
    row = held[piece.station - partition.stations[0], piece.component - partition.components[0]]
    data = row[low:high].copy()
    begin = low + partition.first - piece.index
    for at, values in spills:
        first, last = max(at, begin), min(at + len(values), begin + len(data))
        if first < last:
            data[first - begin : last - begin] = values[first - at : last - at]
    return [(begin, data)] if len(data) else []


def _read(piece: Piece, interval: Fraction, traces: list[Trace]) -> list[tuple[int, Samples]]:
    """What of a trace that headers promise its file really gives: (first sample, values)."""
    near = [t for t in traces if t.id == piece.id and t.interval == interval
            and t.data is not None and t.data.dtype.newbyteorder("=") == piece.dtype]  # fmt: skip
    # Several traces of a file may agree in all but their samples: its own number comes first.
    own = [t for t in traces[piece.trace : piece.trace + 1] if any(t is n for n in near)]
    for trace in [*own, *near]:
        if trace.start == piece.start and trace.samples == piece.samples:
            assert trace.data is not None
            return [(0, trace.data)]
    runs: list[tuple[int, Samples]] = []
    for trace in near:
        begin = round(Fraction(trace.start - piece.start, NANO) / interval)
        if begin >= 0 and begin + trace.samples <= piece.samples:
            assert trace.data is not None
            runs.append((begin, trace.data))
    return runs


def _inside(partition: Partition, index: int, samples: int) -> tuple[int, int]:
    """Limits of a trace in the time of a partition."""
    low = max(index - partition.first, 0)
    return low, max(low, min(index - partition.first + samples, partition.samples))


def _place(
    piece: Piece, at: int, data: Samples, partition: Partition, row: Row, result: Written
) -> bool:
    """Put one run of samples, or the part of it in this partition, on the grid.

    Returns whether any of them was not there before.
    """
    start = piece.index + at - partition.first
    low, high = _inside(partition, piece.index + at, len(data))
    if low == high:
        return False
    fresh, differing = False, []
    for begin, end in row.cut(low, high):  # so that few samples are decoded at a time
        part = data[begin - start : end - start]
        new = part.astype(row.dtype, copy=False)
        if not np.can_cast(part.dtype, row.dtype) and not np.array_equal(new, part):
            raise StoreError(
                f"{piece.id} does not fit the {row.dtype} that the plan says: make the plan again"
            )
        taken, differs = row.put(begin, new)
        fresh |= taken
        if differs is not None:
            differing += [begin - start + number for number in differs]
    result.runs.append((piece.number, at + low - start, at + high - start))
    if differing:
        values = data[differing[0] : differing[-1]].astype(row.dtype)
        result.spills.append((piece.number, at + differing[0], values))
    return fresh or bool(differing)


def stored_dtype(dtype: np.dtype, data: np.ndarray | None) -> np.dtype:
    """The dtype in which samples are stored exactly; ``data`` may be unknown if it is a usual one.

    Raises
    ------
    FormatError
        When there is none: complex, text, or whole numbers of more than 53 bits.
    """
    if dtype.kind == "f" and dtype.itemsize <= 8:
        return np.dtype("float64" if dtype.itemsize == 8 else "float32")
    if dtype.kind in "iu":
        if dtype.itemsize < 4 or dtype == np.dtype("int32"):
            return np.dtype("int32")
        low, high = (int(data.min()), int(data.max())) if data is not None and data.size else (0, 0)
        if INT_FILL["int32"] <= low and high < 2**31:
            return np.dtype("int32")
        if max(-low, high) <= FLOAT64_EXACT:
            return np.dtype("int64")
        raise FormatError("samples of more than 53 bits")
    raise FormatError(f"samples of type {dtype}, not numbers")
