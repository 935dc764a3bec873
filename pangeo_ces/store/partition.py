"""Writing one shard: idempotent, whole, and independent of every other one."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from ..conventions import FLOAT64_EXACT, INT_FILL
from ..errors import FormatError
from .layout import Node, Placement
from .reader import READER
from .urls import array_of, group_of, root_group


@dataclasses.dataclass(frozen=True)
class Partition:
    """One event and block of stations (and, continuous, one span of days) of one node."""

    store: str
    path: str
    event: int | None
    stations: tuple[int, int]
    first: int
    samples: int
    components: int
    quantities: dict[str, str]
    placements: dict[int, Placement]
    files: dict[int, tuple[str, str]]


@dataclasses.dataclass
class Written:
    """What came of a partition; traces are named by their number among the node's placements.

    ``spills`` are samples of overlapping traces that disagree with what the grid already holds:
    trace, number of the first such sample in it, values.
    """

    ranges: dict[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    spills: list[tuple[int, int, np.ndarray]] = dataclasses.field(default_factory=list)
    failed: dict[int, str] = dataclasses.field(default_factory=dict)


def partitions(
    store: str, node: Node, shard: tuple[int, ...], files: dict[int, tuple[str, str]]
) -> Iterator[Partition]:
    """All partitions of a node: whole shards, so that no two write the same object."""
    block, span = shard[-3], shard[-1]
    members: dict[tuple[int, int, int], dict[int, Placement]] = defaultdict(dict)
    for number, placement in enumerate(node.placements):
        last = placement.index + max(placement.trace.samples, 1) - 1
        for piece in range(placement.index // span, last // span + 1):
            key = (placement.event, placement.station // block, piece)
            members[key][number] = placement
    for (event, station, piece), placements in sorted(members.items()):
        first = piece * span
        yield Partition(
            store=store,
            path=node.path,
            event=None if node.events is None else event,
            stations=(station * block, min((station + 1) * block, len(node.stations))),
            first=first,
            samples=min(span, node.samples - first),
            components=len(node.components),
            quantities={name: str(dtype) for name, dtype in node.dtypes().items()},
            placements=placements,
            files={p.file: files[p.file] for p in placements.values()},
        )


def write(partition: Partition) -> Written:
    """Read the traces of a partition, put them on the grid, write its shards.

    Where traces of a channel overlap, the first keeps the grid; samples of a later one that
    disagree are returned as spills, so that nothing is lost.
    """
    result = Written()
    group = group_of(root_group(partition.store, "r+"), partition.path)
    shape = (partition.stations[1] - partition.stations[0], partition.components, partition.samples)
    region: tuple[slice, ...] = (
        slice(*partition.stations),
        slice(None),
        slice(partition.first, partition.first + partition.samples),
    )
    if partition.event is not None:
        region = (slice(partition.event, partition.event + 1), *region)
    for quantity, dtype in partition.quantities.items():
        array = array_of(group, quantity)
        grid = np.full(shape, fill_value(np.dtype(dtype)), dtype)
        taken = np.zeros(shape, bool)
        for number, placement in partition.placements.items():
            if placement.trace.quantity == quantity:
                try:
                    data = _samples(partition, placement)
                except FormatError as error:
                    result.failed[number] = str(error)
                    continue
                _place(number, placement, data, partition, grid, taken, result)
        if not taken.any():
            continue
        array[region] = grid if partition.event is None else grid[None]
        present = grid[taken]
        present = present[np.isfinite(present)]
        if present.size:
            result.ranges[quantity] = (float(present.min()), float(present.max()))
    return result


def _samples(partition: Partition, placement: Placement) -> np.ndarray:
    traces = READER.again(*partition.files[placement.file])
    data = traces[placement.number].data
    assert data is not None
    return data


def _place(
    number: int,
    placement: Placement,
    data: np.ndarray,
    partition: Partition,
    grid: np.ndarray,
    taken: np.ndarray,
    result: Written,
) -> None:
    """Put one trace, or the part of it in this partition, on the grid."""
    start = placement.index - partition.first
    low, high = max(start, 0), min(start + len(data), partition.samples)
    row = (placement.station - partition.stations[0], placement.component)
    new = data[low - start : high - start].astype(grid.dtype)
    held, occupied = grid[row][low:high], taken[row][low:high]
    both_nan = (held != held) & (new != new)
    differs = np.flatnonzero(occupied & (held != new) & ~both_nan)
    if differs.size:
        begin, end = int(differs[0]), int(differs[-1]) + 1
        result.spills.append((number, low - start + begin, new[begin:end].copy()))
    held[~occupied] = new[~occupied]
    occupied[:] = True


def stored_dtype(data: np.ndarray) -> np.dtype:
    """The dtype in which samples are stored exactly.

    Raises
    ------
    FormatError
        When there is none: complex, text, or whole numbers of more than 53 bits.
    """
    if data.dtype.kind == "f" and data.dtype.itemsize <= 8:
        return np.dtype("float64" if data.dtype.itemsize == 8 else "float32")
    if data.dtype.kind in "iu":
        low, high = (int(data.min()), int(data.max())) if data.size else (0, 0)
        if INT_FILL["int32"] < low and high < 2**31:
            return np.dtype("int32")
        if max(-low, high) <= FLOAT64_EXACT:
            return np.dtype("int64")
        raise FormatError("samples of more than 53 bits")
    raise FormatError(f"samples of type {data.dtype}, not numbers")


def fill_value(dtype: np.dtype) -> int | float:
    """Value of samples that were never recorded."""
    return INT_FILL[dtype.name] if dtype.kind == "i" else float("nan")
