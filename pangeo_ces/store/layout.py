"""Where every trace goes in a store.  No I/O here."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from fractions import Fraction

import numpy as np

from ..conventions import rate_name
from ..sources.base import Trace
from ..timeaxis import NANO
from .channels import Channel
from .events import Event

DAY = 86_400
#: Samples of one channel in a shard of a continuous node, and in a chunk of it.
_CONTINUOUS_SHARD = 8_640_000
_CHUNKS_A_SHARD = 24


@dataclasses.dataclass(frozen=True)
class Placement:
    """One trace and its place: ``index`` counts samples from the node's first one."""

    file: int
    number: int
    trace: Trace
    channel: Channel
    dtype: np.dtype
    source_dtype: str
    event: int
    station: int
    component: int
    index: int
    offset: Fraction


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
            kinds[placement.trace.quantity].add(placement.dtype)
        return {name: np.result_type(*found) for name, found in sorted(kinds.items())}

    def chunks(self, shard_bytes: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Chunk and shard shapes.

        Event windows: a chunk is a station, a shard as many as fit ``shard_bytes``, both with all
        of time.  Continuous: a shard is one station and whole days, a chunk an hour of each day.
        """
        stations, components, samples = self.shape[-3:]
        if self.events is not None:
            record = components * samples * 4
            block = max(1, min(stations, shard_bytes // max(record, 1)))
            return (1, 1, components, samples), (1, block, components, samples)
        day = max(1, round(DAY / self.interval))
        shard = day * max(1, round(_CONTINUOUS_SHARD / day))
        chunk = math.ceil(shard / _CHUNKS_A_SHARD)
        return (1, components, chunk), (1, components, chunk * _CHUNKS_A_SHARD)


@dataclasses.dataclass(frozen=True)
class Found:
    """A trace that a scan found usable."""

    file: int
    number: int
    trace: Trace
    channel: Channel
    dtype: np.dtype
    source_dtype: str


def windows(
    base: str, found: list[Found], assigned: list[list[int]], events: list[Event]
) -> list[Node]:
    """Nodes of event windows below ``base``, one for each sampling rate."""
    nodes = []
    for interval, members in _by_interval(found).items():
        places = [
            (found[i], event, *_grid(found[i].trace, events[event].time, interval))
            for i in members
            for event in assigned[i]
        ]
        first = min(index for _, _, index, _ in places)
        stop = max(index + item.trace.samples for item, _, index, _ in places)
        nodes.append(_node(base, interval, events, None, first, stop - first, places))
    return nodes


def continuous(found: list[Found]) -> list[Node]:
    """Nodes of continuous data, one for each sampling rate, starting at midnight UTC."""
    nodes = []
    for interval, members in _by_interval(found).items():
        start = min(found[i].trace.start for i in members)
        origin = start // (DAY * NANO) * DAY * NANO
        places = [(found[i], 0, *_grid(found[i].trace, origin, interval)) for i in members]
        stop = max(index + item.trace.samples for item, _, index, _ in places)
        nodes.append(_node("continuous", interval, None, origin, 0, stop, places))
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
    return ""


def _by_interval(found: list[Found]) -> dict[Fraction, list[int]]:
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
) -> Node:
    labels = [label(item.trace) for item, *_ in places]
    stations = sorted({station for station, _ in labels})
    components = sorted({component for _, component in labels}, key=_component_order)
    row = {station: i for i, station in enumerate(stations)}
    column = {component: i for i, component in enumerate(components)}
    placements = [
        Placement(
            item.file,
            item.number,
            item.trace,
            item.channel,
            item.dtype,
            item.source_dtype,
            event,
            row[station],
            column[component],
            index - first,
            offset,
        )
        for (item, event, index, offset), (station, component) in zip(places, labels, strict=True)
    ]
    # The order in which traces take the grid where they overlap: earlier, then longer first.
    placements.sort(key=lambda p: (p.event, p.station, p.component, p.index, -p.trace.samples,
                                   p.file, p.number))  # fmt: skip
    path = f"{base}/{rate_name(float(interval))}"
    return Node(path, interval, events, origin, first, samples, stations, components, placements)


def _component_order(code: str) -> tuple[int, str]:
    usual = "ZNE123RTXYUVW"
    return (usual.index(code) if code in usual else len(usual), code)
