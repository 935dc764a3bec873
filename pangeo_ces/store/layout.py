"""Where every trace goes in a store.  No I/O here."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from ..conventions import rate_name
from ..sources.base import Trace
from ..timeaxis import NANO
from .channels import Channel
from .codecs import CHUNK_MULTIPLE
from .events import Event

DAY = 86_400
#: Samples of one channel in a shard of a continuous node, and chunks in it: at 100 Hz a day, and
#: ten minutes.
_CONTINUOUS_SHARD = 8_640_000
_CHUNKS_A_SHARD = 144


@dataclasses.dataclass(frozen=True)
class Found:
    """A trace to be stored: ``number`` of the file ``source``, or ``row`` of the table that the
    previous version has of what is stored (``channel`` is then ``None``: as it was).  ``origin`` is
    what the file is called."""

    source: int
    number: int
    trace: Trace
    channel: Channel | None
    dtype: np.dtype
    origin: str
    row: int = -1


@dataclasses.dataclass(frozen=True)
class Placement:
    """A trace and its place: ``index`` counts samples from the node's first one."""

    found: Found
    event: int
    station: int
    component: int
    index: int
    offset: Fraction

    @property
    def trace(self) -> Trace:
        return self.found.trace


@dataclasses.dataclass(frozen=True)
class Axes:
    """What is fixed of a node once it holds samples."""

    stations: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    first: int | None = None
    samples: int = 0
    dtypes: dict[str, np.dtype] = dataclasses.field(default_factory=dict)
    chunks: tuple[int, ...] = ()
    shards: tuple[int, ...] = ()


@dataclasses.dataclass
class Node:
    """One group of waveforms with common axes: one kind, one sampling rate."""

    path: str
    interval: Fraction
    events: list[Event] | None
    origin: int | None
    first: int
    samples: int
    stations: list[str]
    components: list[str]
    placements: list[Placement]
    chunks: tuple[int, ...]
    shards: tuple[int, ...]
    before: Axes = Axes()

    @property
    def dims(self) -> tuple[str, ...]:
        dims = ("station", "component", "time")
        return dims if self.events is None else ("event", *dims)

    @property
    def shape(self) -> tuple[int, ...]:
        shape = (len(self.stations), len(self.components), self.samples)
        return shape if self.events is None else (len(self.events), *shape)

    def dtypes(self) -> dict[str, np.dtype]:
        """The dtype of every quantity: wide enough for all its traces, exactly."""
        kinds: dict[str, set[np.dtype]] = defaultdict(set)
        for placement in self.placements:
            kinds[placement.trace.quantity].add(placement.found.dtype)
        return {name: np.result_type(*found) for name, found in sorted(kinds.items())}

    def is_rewritten(self, quantity: str) -> bool:
        """Whether what is stored of a quantity cannot stay: other samples in a shard, or a wider
        dtype.  Continuous data only ever grow by whole shards."""
        old = self.before
        return quantity in old.dtypes and (
            old.dtypes[quantity] != self.dtypes().get(quantity)
            or old.shards[-1] != self.shards[-1]
            or (self.events is not None and old.first != self.first)
        )


def windows(
    base: str,
    found: Sequence[Found],
    assigned: Sequence[Sequence[int]],
    events: list[Event],
    before: dict[str, Axes],
    shard_bytes: int,
) -> list[Node]:
    """Nodes of event windows below ``base``, one for each sampling rate.

    A chunk is a station, a shard as many as fit ``shard_bytes``, both with all of time.
    """
    nodes = []
    for interval, members in _by_interval(found).items():
        places = [
            (found[i], event, *_grid(found[i].trace, events[event].time, interval))
            for i in members
            for event in assigned[i]
        ]
        old = before.get(_path(base, interval), Axes())
        first = min(index for _, _, index, _ in places)
        stop = max(index + item.trace.samples for item, _, index, _ in places)
        if old.first is not None:  # never shorter, so that what is stored can stay
            first, stop = min(first, old.first), max(stop, old.first + old.samples)
        node = _node(base, interval, events, None, first, stop - first, places, old)
        components = len(node.components)
        samples = -(-node.samples // CHUNK_MULTIPLE) * CHUNK_MULTIPLE
        record = components * samples * 4
        block = max(1, min(len(node.stations), shard_bytes // max(record, 1)))
        node.chunks, node.shards = (1, 1, components, samples), (1, block, components, samples)
        if old.shards and old.shards[-1] == samples:
            node.chunks, node.shards = old.chunks, old.shards
        nodes.append(node)
    return nodes


def continuous(
    found: Sequence[Found], before: dict[str, Axes], origins: dict[str, int]
) -> list[Node]:
    """Nodes of continuous data, one for each sampling rate, on a grid from midnight UTC.

    A shard is one station and whole days.  What is older than a node's first sample comes before
    it in whole shards, so that no stored one changes.
    """
    nodes = []
    for interval, members in _by_interval(found).items():
        path = _path("continuous", interval)
        old = before.get(path, Axes())
        start = min(found[i].trace.start for i in members)
        origin = origins.get(path, start // (DAY * NANO) * DAY * NANO)
        places = [(found[i], 0, *_grid(found[i].trace, origin, interval)) for i in members]
        day = max(1, round(DAY / interval))
        shard = day * max(1, round(_CONTINUOUS_SHARD / day))
        chunk = math.ceil(shard / _CHUNKS_A_SHARD / CHUNK_MULTIPLE) * CHUNK_MULTIPLE
        shard = old.shards[-1] if old.shards else chunk * _CHUNKS_A_SHARD
        low = min(index for _, _, index, _ in places)
        stop = max(index + item.trace.samples for item, _, index, _ in places)
        first = 0
        if old.first is not None:
            first, stop = old.first, max(stop, old.first + old.samples)
        first -= -(-max(first - low, 0) // shard) * shard
        node = _node("continuous", interval, None, origin, first, stop - first, places, old)
        components = len(node.components)
        node.chunks = old.chunks or (1, 1, chunk)
        node.shards = old.shards or (1, components, shard)
        nodes.append(node)
    return nodes


def label(trace: Trace) -> tuple[str, str]:
    """Station label ``NET.STA.LOC.BI`` and component code of a trace."""
    station = f"{trace.network}.{trace.station}.{trace.location}.{trace.channel[:-1]}"
    return station, trace.channel[-1:]


def unplaceable(trace: Trace) -> str:
    """Why a trace has no place in a store, or an empty string."""
    if not trace.station or not trace.channel:
        return "no station or channel code"
    codes = (trace.network, trace.station, trace.location, trace.channel)
    if any(not code.isprintable() or set(code) & set("./\\ ") for code in codes):
        return f"codes {codes} hold a dot, slash, blank or control character"
    return "" if trace.samples else "no samples"


def _path(base: str, interval: Fraction) -> str:
    return f"{base}/{rate_name(float(interval))}"


def _by_interval(found: Sequence[Found]) -> dict[Fraction, list[int]]:
    groups: dict[Fraction, list[int]] = defaultdict(list)
    for number, item in enumerate(found):
        groups[item.trace.interval].append(number)
    return dict(sorted(groups.items()))


def _grid(trace: Trace, origin: int, interval: Fraction) -> tuple[int, Fraction]:
    """Nearest grid point of the first sample, and what is left (s)."""
    seconds = Fraction(trace.start - origin, NANO)
    index = round(seconds / interval)
    return index, seconds - index * interval


def _node(
    base: str,
    interval: Fraction,
    events: list[Event] | None,
    origin: int | None,
    first: int,
    samples: int,
    places: list[tuple[Found, int, int, Fraction]],
    old: Axes,
) -> Node:
    labels = [label(item.trace) for item, *_ in places]
    # What is there keeps its place; new stations and components follow.
    stations = [*old.stations, *sorted({s for s, _ in labels} - {*old.stations})]
    news = sorted({c for _, c in labels} - {*old.components}, key=_component_order)
    components = [*old.components, *news]
    row = {station: i for i, station in enumerate(stations)}
    column = {component: i for i, component in enumerate(components)}
    placements = [
        Placement(item, event, row[station], column[component], index - first, offset)
        for (item, event, index, offset), (station, component) in zip(places, labels, strict=True)
    ]
    # The order in which traces take the grid where they overlap: earlier, then longer first; and
    # then whatever does not depend on when which of them was stored.
    placements.sort(key=lambda p: (p.event, p.station, p.component, p.index, -p.trace.samples,
                                   p.trace.start, p.found.origin,
                                   max(p.found.number, p.found.row)))  # fmt: skip
    return Node(_path(base, interval), interval, events, origin, first, samples, stations,
                components, placements, (), (), old)  # fmt: skip


def _component_order(code: str) -> tuple[int, str]:
    usual = "ZNE123RTXYUVW"
    return (usual.index(code) if code in usual else len(usual), code)
