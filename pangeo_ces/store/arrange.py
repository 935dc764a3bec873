"""What a plan comes to in a store: which traces are new, where they go, what is replaced."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import obspy
import zarr
from obspy.core.event import Catalog
from obspy.core.inventory import Inventory

from .. import config
from ..conventions import rate_name
from ..errors import StoreError
from ..sources.metadata import read_catalog, read_inventory
from ..timeaxis import NANO
from . import events as event_axis
from . import held as stored
from . import layout, partition
from .channels import Channel, Channels
from .held import Held
from .layout import Found, Node
from .plan import Plan
from .report import Report
from .scan import Origin

Key = tuple[int, ...]


@dataclasses.dataclass
class Arrangement:
    """The nodes of the next version of a group, and which of their shards change.

    Attributes
    ----------
    base
        Path of the group: ``continuous``, ``windows/NAME/observed`` …
    origins
        Files, old and new; placements name them by number.
    touched
        Shards to be written by node; ``None``: all.
    channels
        Metadata of the traces of the input, by id, event and start.
    changed
        Whether there is anything to do.
    """

    base: str
    name: str
    events: list[event_axis.Event] | None
    inventory: Inventory | None
    catalog: Catalog | None
    origins: list[Origin]
    nodes: list[Node]
    held: dict[str, Held]
    touched: dict[str, set[Key] | None]
    channels: dict[tuple[str, int, int], Channel]
    changed: bool
    dropped: int

    def partitions(self) -> list[partition.Partition]:
        """All partitions that are to be written."""
        return [
            part
            for node in self.nodes
            for part in partition.partitions(node, self.touched[node.path])
        ]


def base_of(plan: Plan) -> str:
    """Path of the group that a plan is for."""
    return f"windows/{plan.name}/{plan.as_}" if plan.windows else "continuous"


def arrange(plan: Plan, root: zarr.Group | None, overwrite: bool, report: Report) -> Arrangement:
    """Place the traces of a plan among those that the store holds.

    Parameters
    ----------
    root
        The newest version, ``None`` where there is none.
    overwrite
        Forget what the group holds.
    report
        Rows for everything refused or doubtful are added to it.
    """
    base = base_of(plan)
    inventory = read_inventory(plan.stations) if plan.stations else None
    catalog = read_catalog(plan.event, report.rows.append) if plan.event else None
    known = {} if overwrite else stored.nodes_of(root, base)
    events = None
    if plan.windows:
        assert catalog is not None
        events = event_axis.merge(
            stored.events_of(root, plan.name), event_axis.events_of(catalog)
        )  # fmt: skip
    for problem in plan.scan.problems:
        report.add(problem.file, problem.trace, problem.status, problem.reason)
    report.files_read, report.traces_read = plan.scan.read, len(plan.scan.traces)
    found = list(_usable(plan, Channels(inventory), report))
    if events is None:
        _note_epochs(found, plan.scan.origins, report)
    assigned: list[list[int]] = [[0]] * len(found)
    if events is not None:
        found, assigned = _assign(found, events, plan.scan.origins, report, plan.as_ != "observed")
    found, assigned = _one_interval(found, assigned, known, plan.scan.origins, report)
    report.traces_used = len(found)
    described = {
        (item.trace.id, event, item.trace.start): item.channel
        for item, numbers in zip(found, assigned, strict=True)
        for event in numbers
        if item.channel is not None
    }
    origins = list(plan.scan.origins)
    old, dropped = _kept(plan, known, origins, found)
    for path, items in dropped.items():
        known[path].dropped = {item.row for item in items}
    fresh = [
        (item, [event for event in numbers if not _is_known(item, event, known, origins)])
        for item, numbers in zip(found, assigned, strict=True)
    ]
    fresh = [(item, numbers) for item, numbers in fresh if numbers]
    if plan.as_ != "observed":
        _refuse_mixture(fresh, old, base)
    everything = [item for item, _ in old] + [item for item, _ in fresh]
    numbers = [[event] for _, event in old] + [numbers for _, numbers in fresh]
    before = {path: node.axes for path, node in known.items()}
    if not everything:
        nodes = []
    elif events is None:
        grids = {path: node.origin for path, node in known.items() if node.origin is not None}
        nodes = layout.continuous(everything, before, grids)
    else:
        shard_bytes = config.get_bytes("shard-bytes")
        nodes = layout.windows(base, everything, numbers, events, before, shard_bytes)
    shapes = plan.shapes()
    for node in nodes:
        if not node.before.shards and node.path in shapes:
            node.chunks, node.shards = _checked(node, *shapes[node.path])
    touched = {
        node.path: _touched(node, known.get(node.path), dropped.get(node.path, []))
        for node in nodes
    }  # fmt: skip
    lost = set(known) - {node.path for node in nodes}
    return Arrangement(
        base, plan.name, events, inventory, catalog, origins, nodes, known, touched, described,
        bool(lost) or any(keys is None or keys for keys in touched.values()),
        sum(map(len, dropped.values())),
    )  # fmt: skip


def _usable(plan: Plan, channels: Channels, report: Report) -> Iterable[Found]:
    """The traces that have a place and metadata; rows for the others."""
    seen: dict[tuple, str] = {}
    for file, number, trace, dtype in plan.scan.traces:
        name = plan.scan.origins[file].name
        # Some formats have the codes in the names of files only: equal bytes are not enough.
        key = (plan.scan.origins[file].sha256, number, trace.id, trace.start, trace.samples)
        if seen.setdefault(key, name) != name:
            report.add(name, trace.id, "warning", f"the same trace is in {seen[key]}: stored once")
            continue
        channel = layout.unplaceable(trace) or channels.find(trace)
        if isinstance(channel, str):
            report.add(name, trace.id, "rejected", channel)
            continue
        quantity = channel.quantity if trace.quantity == "counts" else trace.quantity
        for remark in channel.remarks:
            report.add(name, trace.id, "warning", remark)
        if quantity == "counts" and not channel.input_quantity and not channel.document:
            report.add(
                name, trace.id, "warning", "no response: counts only, no ground motion from it"
            )  # fmt: skip
        header = dataclasses.replace(trace, quantity=quantity)
        yield Found(file, number, header, channel, np.dtype(dtype), name)


def _note_epochs(found: list[Found], origins: list[Origin], report: Report) -> None:
    """A row where the metadata of a channel change: it keeps those of its start."""
    first: dict[str, Found] = {}
    for item in sorted(found, key=lambda item: item.trace.start):
        if first.setdefault(item.trace.id, item).channel != item.channel:
            report.add(
                origins[item.source].name, item.trace.id, "warning",
                "another epoch of the channel begins here: the response, orientation and "
                "sensitivity of its first record are kept for all; convert epoch by epoch",
            )  # fmt: skip


def _assign(
    found: list[Found],
    events: list[event_axis.Event],
    origins: list[Origin],
    report: Report,
    synthetic: bool,
) -> tuple[list[Found], list[list[int]]]:
    """The events of every trace; a row for those that belong to none."""
    kept, assigned = [], []
    for item in found:
        start, end = item.trace.start, item.trace.end
        if synthetic:
            numbers = event_axis.simulated(events, start, end, item.trace.origin)
        else:
            numbers = event_axis.belongs(events, start, end)
        if numbers:
            kept.append(item)
            assigned.append(numbers)
        else:
            report.add(
                origins[item.source].name, item.trace.id, "rejected",
                f"starts {obspy.UTCDateTime(ns=item.trace.start)}: no event in it, within "
                f"{event_axis.LONGEST_DELAY:.0f} s before it or {event_axis.LONGEST_LEAD:.0f} s "
                "after it",
            )  # fmt: skip
    return kept, assigned


def _one_interval(
    found: list[Found],
    assigned: list[list[int]],
    known: dict[str, Held],
    origins: list[Origin],
    report: Report,
) -> tuple[list[Found], list[list[int]]]:
    """Traces without those whose sampling interval differs from that of their group by less than
    the name of the group tells; a row for each of these."""
    taken = {rate_name(float(node.interval)): node.interval for node in known.values()}
    kept, numbers = [], []
    for item, events in zip(found, assigned, strict=True):
        name = rate_name(float(item.trace.interval))
        interval = taken.setdefault(name, item.trace.interval)
        if interval == item.trace.interval:
            kept.append(item)
            numbers.append(events)
        else:
            report.add(
                origins[item.source].name, item.trace.id, "rejected",
                f"its sampling interval {item.trace.interval} s is not that of {name} here, "
                f"{interval} s: convert it into another store",
            )  # fmt: skip
    return kept, numbers


def _kept(
    plan: Plan, known: dict[str, Held], origins: list[Origin], found: list[Found]
) -> tuple[list[tuple[Found, int]], dict[str, list[Found]]]:
    """What the store holds and goes on holding, with its event; and what it holds no more:
    traces of files that have other bytes now, or are gone, or that are another quantity by the
    metadata given now.  A file of which nothing can be used replaces nothing."""
    scanned = plan.scan.origins
    now = {scanned[item.source].name: scanned[item.source].sha256 for item in found}
    gone = set(plan.scan.gone)
    quantities: dict[tuple[str, str, int], set[str]] = defaultdict(set)
    for item in found:
        key = (scanned[item.source].sha256, item.trace.id, item.trace.start)
        quantities[key].add(item.trace.quantity)
    kept: list[tuple[Found, int]] = []
    dropped: dict[str, list[Found]] = defaultdict(list)
    for path, node in known.items():
        sources = []
        for name, url, checksum in zip(
            node.table["source_name"], node.table["source_url"], node.table["source_sha256"],
            strict=True,
        ):  # fmt: skip
            sources.append(len(origins))
            origins.append(Origin(str(name), "", str(url), str(checksum), 0))
        for row, source in enumerate(node.table["source_number"]):
            origin = origins[sources[source]]
            item = node.found(row, sources[source])
            meant = quantities.get((origin.sha256, item.trace.id, item.trace.start))
            changed = now.get(origin.name, origin.sha256) != origin.sha256
            if origin.name in gone or changed or (meant and item.trace.quantity not in meant):
                dropped[path].append(item)
            else:
                kept.append((item, int(node.table["event_number"][row])))
    return kept, dropped


def _is_known(item: Found, event: int, known: dict[str, Held], origins: list[Origin]) -> bool:
    """Whether the store holds a trace already, whole or what could be read of it."""
    checksum = origins[item.source].sha256
    for node in known.values():
        if node.interval != item.trace.interval:
            continue
        half = item.trace.interval * NANO / 2
        for start, end, quantity in _spans(node).get((checksum, item.trace.id, event), ()):
            if (
                item.trace.start - half <= start
                and end <= item.trace.end + half
                and quantity == item.trace.quantity
            ):
                return True
    return False


def _spans(node: Held) -> dict[tuple[str, str, int], list[tuple[int, int, str]]]:
    """Start, end and quantity of the stored traces by checksum of their file, id and event."""
    if node.spans is None:
        node.spans = defaultdict(list)
        for row, source in enumerate(node.table["source_number"]):
            if row in node.dropped:
                continue
            trace = node.found(row).trace
            event = int(node.table["event_number"][row])
            key = (str(node.table["source_sha256"][source]), trace.id, event)
            node.spans[key].append((trace.start, trace.end, trace.quantity))
    return node.spans


def _refuse_mixture(
    fresh: list[tuple[Found, list[int]]], old: list[tuple[Found, int]], base: str
) -> None:
    """A model computes a channel once: two runs under one name are a mistake."""
    have = {(item.trace.id, item.trace.quantity, event) for item, event in old}
    for item, numbers in fresh:
        for event in numbers:
            if (item.trace.id, item.trace.quantity, event) in have:
                raise StoreError(
                    f"{base} is in this store already, from other files ({item.trace.id}): choose "
                    "another name, or replace it with overwrite=True (--overwrite)"
                )


def _touched(node: Node, held: Held | None, dropped: list[Found]) -> set[Key] | None:
    """Shards with a new trace, or with one that goes; ``None`` for all."""
    if any(node.is_rewritten(quantity) for quantity in node.dtypes()):
        return None
    keys: set[Key] = set()
    for place in node.placements:
        if place.found.row < 0:
            keys.update(
                partition.shards_of(node, place.event, place.station, place.component,
                                    place.index, place.trace.samples)
            )  # fmt: skip
    if held is None:
        return keys
    shift = (node.before.first or 0) - node.first
    for item in dropped:
        row = item.row
        table = held.table
        keys.update(
            partition.shards_of(
                node, int(table["event_number"][row]), int(table["station_number"][row]),
                int(table["component_number"][row]), int(table["index"][row]) + shift,
                item.trace.samples,
            )
        )  # fmt: skip
    return keys


def _checked(
    node: Node, chunks: tuple[int, ...], shards: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes from a plan that a person may have edited."""
    wrong = (
        len(chunks) != len(node.shape)
        or len(shards) != len(node.shape)
        or any(not isinstance(n, int) or n < 1 for n in (*chunks, *shards))
        or any(s % c for c, s in zip(chunks, shards, strict=False))
    )
    if not wrong and node.events is not None:
        wrong = shards[0] != 1 or shards[-1] < node.samples
    if wrong:
        raise StoreError(
            f"the plan's chunks {list(chunks)} and shards {list(shards)} do not fit {node.path}: "
            "a shard is a whole number of chunks, of event windows one event with all of time"
        )
    return chunks, shards


def untouched(node: Node, touched: set[Key] | None, place: layout.Placement) -> bool:
    """Whether all shards of a trace stay as they are."""
    return touched is not None and touched.isdisjoint(
        partition.shards_of(node, place.event, place.station, place.component, place.index,
                            place.trace.samples)
    )  # fmt: skip
