"""The segment table of a node: the exact inventory of what is stored of which file."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import Any

import numpy as np
import xarray as xr

from ..timeaxis import NANO
from .arrange import Key, untouched
from .held import Held
from .layout import Node, Placement
from .partition import Written
from .report import Report
from .scan import Origin


@dataclasses.dataclass
class _Row:
    """A run of samples of a trace that is stored: ``begin`` to ``end``, counted in the trace."""

    placement: int
    begin: int
    end: int
    duplicate_of: int = -1
    spills: list[tuple[int, np.ndarray]] = dataclasses.field(default_factory=list)


def segments(
    node: Node,
    held: Held | None,
    touched: set[Key] | None,
    parts: list[Written],
    origins: list[Origin],
    report: Report,
) -> xr.Dataset:
    """The table of a node from what its partitions did, and from the previous one for shards that
    stay as they are."""
    runs: dict[int, list[tuple[int, int]]] = defaultdict(list)
    spills: dict[int, list[tuple[int, np.ndarray]]] = defaultdict(list)
    agreeing: dict[int, int] = defaultdict(int)
    written: dict[int, int] = defaultdict(int)
    for part in parts:
        for number, begin, end in part.runs:
            runs[number].append((begin, end))
        for number, begin, values in part.spills:
            spills[number].append((begin, values))
        for number in part.agreeing:
            agreeing[number] += 1
        for number in {number for number, _, _ in part.runs}:
            written[number] += 1
    old_spills = held.spills() if held is not None else {}
    rows: list[_Row] = []
    first_row: dict[tuple, int] = {}
    for number, place in enumerate(node.placements):
        begins_with = len(rows)
        rows += _rows(number, place, runs[number], report, origins)
        known = list(spills[number])
        if place.found.row >= 0:
            known += _stay(node, place, touched, old_spills.get(place.found.row, []))
        for begin, values in sorted(known, key=lambda spill: spill[0]):
            row = next(r for r in rows[begins_with:] if r.begin <= begin < r.end)
            row.spills.append((begin - row.begin, values))
        if place.found.row < 0:
            _note_spills(place, known, origins, report)
        if len(rows) != begins_with + 1 or rows[-1].spills:
            continue
        key = _key(place)
        twin = first_row.setdefault(key, begins_with)
        if twin != begins_with and _all_agree(node, held, touched, place,
                                              agreeing[number] == written[number]):  # fmt: skip
            rows[-1].duplicate_of = twin
            if place.found.row < 0:
                other = origins[node.placements[rows[twin].placement].found.source].name
                report.add(
                    origins[place.found.source].name, place.trace.id, "warning",
                    f"the same trace is in {other}: stored once",
                )  # fmt: skip
    return _dataset(node, rows, origins)


def _rows(
    number: int,
    place: Placement,
    runs: list[tuple[int, int]],
    report: Report,
    origins: list[Origin],
) -> list[_Row]:
    """The rows of a trace: one, unless the file does not give all that its headers promise."""
    if place.found.row >= 0:
        return [_Row(number, 0, place.trace.samples)]
    rows: list[_Row] = []
    for begin, end in sorted(runs):
        if rows and rows[-1].end == begin:
            rows[-1].end = end
        else:
            rows.append(_Row(number, begin, end))
    if not rows:
        report.add(
            origins[place.found.source].name, place.trace.id, "rejected",
            "its samples cannot be decoded",
        )  # fmt: skip
    return rows


def _stay(
    node: Node,
    place: Placement,
    touched: set[Key] | None,
    spills: list[tuple[int, np.ndarray]],
) -> list[tuple[int, np.ndarray]]:
    """Samples beside the grid in shards that are not written anew."""
    kept = []
    for begin, values in spills:
        trace = dataclasses.replace(place.trace, samples=len(values))
        found = dataclasses.replace(place.found, trace=trace)
        span = dataclasses.replace(place, found=found, index=place.index + begin)
        if untouched(node, touched, span):
            kept.append((begin, values))
    return kept


def _all_agree(
    node: Node, held: Held | None, touched: set[Key] | None, place: Placement, agrees: bool
) -> bool:
    """Whether every sample of a trace was there before it."""
    if place.found.row < 0 or held is None:
        return agrees
    before = int(held.table["duplicate_of"][place.found.row]) >= 0
    if untouched(node, touched, place):
        return before
    return agrees and (before or touched is None)


def _key(place: Placement) -> tuple:
    """What two files that hold one trace agree in."""
    trace = place.trace
    return (place.event, place.station, place.component, trace.quantity, trace.start,
            trace.samples, str(trace.dtype))  # fmt: skip


def _note_spills(
    place: Placement,
    spills: list[tuple[int, np.ndarray]],
    origins: list[Origin],
    report: Report,
) -> None:
    if spills:
        count = sum(len(values) for _, values in spills)
        report.add(
            origins[place.found.source].name, place.trace.id, "warning",
            f"overlaps an earlier trace with different samples, or has the fill value ({count} "
            "kept beside the grid)",
        )  # fmt: skip


def _dataset(node: Node, rows: list[_Row], origins: list[Origin]) -> xr.Dataset:
    places = [node.placements[row.placement] for row in rows]
    used = sorted({place.found.source for place in places})
    order = {file: i for i, file in enumerate(used)}
    step = node.interval * NANO
    columns: dict[str, tuple[str, list]] = {
        "event_number": ("int32", [p.event for p in places]),
        "station_number": ("int32", [p.station for p in places]),
        "component_number": ("int32", [p.component for p in places]),
        "start": (
            "int64",
            [p.trace.start + round(r.begin * step) for p, r in zip(places, rows, strict=True)],
        ),
        "samples": ("int64", [row.end - row.begin for row in rows]),
        "index": ("int64", [p.index + r.begin for p, r in zip(places, rows, strict=True)]),
        "segment_time_offset": ("float64", [float(p.offset) for p in places]),
        "source_number": ("int32", [order[p.found.source] for p in places]),
        "quantity": ("object", [p.trace.quantity for p in places]),
        "source_dtype": ("object", [str(p.trace.dtype) for p in places]),
        "quality": ("object", [p.trace.quality for p in places]),
        "duplicate_of": ("int32", [row.duplicate_of for row in rows]),
    }
    table: dict[str, Any] = {
        name: ("segment", np.array(values, dtype=dtype))
        for name, (dtype, values) in columns.items()
    }
    for name in ("name", "source", "sha256"):
        column = {"name": "source_name", "source": "source_url"}.get(name, "source_sha256")
        values = [getattr(origins[file], name) for file in used]
        table[column] = ("source", np.array(values, dtype=object))
    spills = [(i, begin, v) for i, row in enumerate(rows) for begin, v in row.spills]
    table["spill_segment"] = ("spill", np.array([i for i, _, _ in spills], "int64"))
    table["spill_begin"] = ("spill", np.array([begin for _, begin, _ in spills], "int64"))
    table["spill_samples"] = ("spill", np.array([len(v) for _, _, v in spills], "int64"))
    loose = np.concatenate([v for _, _, v in spills]) if spills else np.empty(0, "int32")
    table["spilled"] = ("spilled_sample", loose)
    return xr.Dataset(table)
