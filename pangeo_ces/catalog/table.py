"""The items of a catalogue as columns, so that thousands are searched at once."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import ParameterError, StoreError
from ..timeaxis import utc_ns
from .area import Box, meets
from .interval import Interval
from .read import parse
from .stac import KINDS, Document

Patterns = str | Sequence[str] | None


@dataclasses.dataclass
class Table:
    """Columns of ``n`` items; ``lines`` are their documents, ``names`` where these lie.

    Attributes
    ----------
    box
        ``(n, 4)`` degrees, NaN where there is no place.
    first, last
        ns; for events the origin time is within.
    channel, begin
        Numbers of the channels of all items, one item after the other, and where each begins.
    channels
        The SEED ids that the numbers mean.
    """

    lines: list[bytes]
    names: list[str]
    kind: np.ndarray
    box: np.ndarray
    first: np.ndarray
    last: np.ndarray
    magnitude: np.ndarray
    events: list[tuple[str, str, str]]
    channels: list[str]
    channel: np.ndarray
    begin: np.ndarray

    @classmethod
    def of(cls, items: Iterable[tuple[str, bytes]]) -> Table:
        """Read the columns out of documents."""
        names, lines, kinds, boxes, times, magnitudes, events = [], [], [], [], [], [], []
        numbers: dict[str, int] = {}
        channel: list[int] = []
        begin = [0]
        for name, line in items:
            try:
                item = parse(line, name)
                fields = item["properties"]
                kinds.append(str(fields.get("seis:kind", "")))
                boxes.append(_box(item))
                times.append(_times(fields))
                magnitudes.append(float(fields.get("seis:magnitude", np.nan)))
                keys = ("seis:event_id", "seis:event_resource_id", "seis:event_name")
                id_, resource, text = (str(fields.get(key, "")) for key in keys)
                events.append((id_, resource, text.casefold()))
                for code in fields.get("seis:channels", ()):
                    channel.append(numbers.setdefault(str(code), len(numbers)))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise StoreError(
                    f"{name} is no item of ours ({type(error).__name__}: {error}): build the "
                    "catalogue again"
                ) from error
            begin.append(len(channel))
            names.append(name)
            lines.append(line)
        spans = np.array(times, dtype="int64").reshape(-1, 2)
        return cls(
            lines, names, np.array(kinds, dtype=object), np.array(boxes, float).reshape(-1, 4),
            spans[:, 0], spans[:, 1], np.array(magnitudes, float), events, list(numbers),
            np.array(channel, "int64"), np.array(begin, "int64"),
        )  # fmt: skip

    def of_kind(self, kind: Patterns) -> np.ndarray:
        """Which items are of one of the kinds."""
        wanted = [kind] if isinstance(kind, str) else list(kind or ())
        if unknown := set(wanted) - set(KINDS):
            raise ParameterError(f"kind {sorted(unknown)}: use {', '.join(KINDS)}")
        return np.isin(self.kind, wanted)

    def within(self, interval: Interval) -> np.ndarray:
        """Which items have a moment in common with an interval."""
        return (self.first <= interval[1]) & (self.last >= interval[0])

    def at(self, box: Box) -> np.ndarray:
        """Which items have a place in common with a box."""
        return meets(self.box, box)

    def strong(self, magnitude: Any) -> np.ndarray:
        """Which events have a magnitude from ``low`` to ``high``."""
        try:
            low, high = (
                edge if end is None else float(end)
                for end, edge in zip(magnitude, (-np.inf, np.inf), strict=True)
            )
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"magnitude {magnitude!r}: give (lowest, highest), None for an open end"
            ) from error
        return (self.magnitude >= low) & (self.magnitude <= high)

    def of_event(self, event: Patterns) -> np.ndarray:
        """Which items are of an event: by its id, resource id, or a part of its name."""
        wanted = [event] if isinstance(event, str) else list(event or ())
        exact, parts = set(wanted), [text.casefold() for text in wanted if text]
        return np.array(
            [
                id_ in exact or resource in exact or any(part in name for part in parts)
                for id_, resource, name in self.events
            ],
            dtype=bool,
        )

    def with_channel(self, matches: Callable[[str], bool]) -> np.ndarray:
        """Which items have a channel that matches."""
        if not len(self.channel):
            return np.zeros(len(self.names), dtype=bool)
        chosen = np.fromiter(map(matches, self.channels), bool, len(self.channels))
        count = np.concatenate([[0], np.cumsum(chosen[self.channel])])
        return count[self.begin[1:]] > count[self.begin[:-1]]

    def item(self, row: int) -> Document:
        """One item."""
        return parse(self.lines[row], self.names[row])


def channel_filter(
    network: Patterns, station: Patterns, channel: Patterns
) -> Callable[[str], bool] | None:
    """Whether a SEED id is one of those asked for; ``None`` when nothing is asked.

    Examples
    --------
    >>> channel_filter("GR", ["BFO", "GR.CLZ"], "BH?")("GR.CLZ..BHZ")
    True
    """
    wanted = [_patterns(each) for each in (network, station, channel)]
    if not any(wanted):
        return None

    def matches(id_: str) -> bool:
        parts = id_.split(".")
        if len(parts) != 4:
            return False
        network, station, location, channel = parts
        label = f"{network}.{station}"
        texts = ((network,), (station, label, f"{label}.{location}.{channel[:-1]}"),
                 (channel, id_))  # fmt: skip
        return all(
            not patterns or any(fnmatch.fnmatchcase(t, p) for t in each for p in patterns)
            for each, patterns in zip(texts, wanted, strict=True)
        )

    return matches


def _patterns(given: Patterns) -> list[str]:
    texts = [given] if isinstance(given, str) else list(given or ())
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _box(item: Document) -> Sequence[float]:
    box = item.get("bbox")
    if box is None:
        return (np.nan,) * 4
    if len(box) not in (4, 6):
        raise ValueError("bbox")
    return box if len(box) == 4 else (*box[:2], *box[3:5])


def _times(fields: Document) -> tuple[int, int]:
    """The first and last nanosecond of an item; its moment is within."""
    names = ("datetime", "start_datetime", "end_datetime")
    times = [utc_ns(fields[name]) for name in names if fields.get(name)]
    return min(times), max(times)
