"""What is chosen of a store, and how it is cut for files."""

from __future__ import annotations

import dataclasses
import datetime
import fnmatch
import math
from collections.abc import Iterator
from typing import Any

from ..sources.base import Trace
from ..timeaxis import NANO
from .traces import Stored

_DAY = 86_400 * NANO


@dataclasses.dataclass(frozen=True)
class Piece:
    """Samples ``begin`` to ``end`` (exclusive) of a stored trace."""

    stored: Stored
    begin: int
    end: int

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for pieces of one trace, whichever window it is in."""
        return (self.stored.node, *self.stored.row)

    @property
    def header(self) -> Trace:
        """As the trace's own, with the start and length of the piece."""
        whole = self.stored.header
        start = whole.start + round(self.begin * whole.interval * NANO)
        return dataclasses.replace(whole, start=start, samples=self.end - self.begin)

    def samples(self) -> Any:
        """The samples, in the dtype of the file they came from."""
        return self.stored.samples(self.begin, self.end)

    def between(self, start: int | None, end: int | None) -> Piece | None:
        """The samples from ``start`` to before ``end`` (ns), if there are any."""
        begin = self.begin if start is None else max(self._index(start), self.begin)
        stop = self.end if end is None else min(self._index(end), self.end)
        return dataclasses.replace(self, begin=begin, end=stop) if begin < stop else None

    def _index(self, time: int) -> int:
        """Number of the first sample at or after a time."""
        whole = self.stored.header
        return math.ceil((time - whole.start) / (whole.interval * NANO))

    def daily(self) -> Iterator[Piece]:
        """The pieces of each UTC day."""
        first = self.header
        for day in range(first.start // _DAY, first.end // _DAY + 1):
            if piece := self.between(day * _DAY, (day + 1) * _DAY):
                yield piece


@dataclasses.dataclass(frozen=True)
class Selection:
    """Codes with ``*`` and ``?``, and times in nanoseconds."""

    network: str = "*"
    station: str = "*"
    location: str = "*"
    channel: str = "*"
    start: int | None = None
    end: int | None = None

    def cut(self, stored: Stored) -> Piece | None:
        """What of a trace is selected, if anything is."""
        trace = stored.header
        codes = (
            (trace.network, self.network),
            (trace.station, self.station),
            (trace.location or "--", self.location or "--"),
            (trace.channel, self.channel),
        )
        if not all(fnmatch.fnmatchcase(code, pattern) for code, pattern in codes):
            return None
        return Piece(stored, 0, trace.samples).between(self.start, self.end)


def moment(time: int, form: str) -> str:
    """A time (ns) in ``strftime``'s format, cut to the second.

    >>> moment(1_000_000_000_999_999_999, "%Y.%j.%H%M%S")
    '2001.252.014640'
    """
    epoch = datetime.datetime(1970, 1, 1)
    return (epoch + datetime.timedelta(seconds=time // NANO)).strftime(form)


def folder(piece: Piece, path: str) -> str:
    """Where a piece belongs: as its node lies below ``path``; event or SDS folders below that."""
    header, above = piece.header, path.strip("/")
    base = piece.stored.base
    inside = base.removeprefix(above).strip("/") if f"{base}/".startswith(f"{above}/") else ""
    parts = [inside if above and piece.stored.node != above else "" if above else base]
    if header.quantity != "counts":
        parts.append(header.quantity)
    if piece.stored.event is not None:
        parts.append(piece.stored.event.id)
    else:
        year = moment(header.start, "%Y")
        parts += [year, header.network or "--", header.station, f"{header.channel}.D"]
    return "/".join(part for part in parts if part)
