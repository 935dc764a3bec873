"""Waveforms of an archive: its miniSEED records as they were staged, found by an index."""

from __future__ import annotations

import dataclasses
import itertools
import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..errors import StoreError
from ..storage import file_system, open_url
from .miniseed import Record, read_header, scan
from .timeline import HALF_MICROSECOND, Clip, Codes, Timeline

#: Records of one channel and length without a gap are one entry, up to this many bytes.
_SPAN_BYTES = 1 << 20
_SCHEMA = """
CREATE TABLE IF NOT EXISTS object (sha256 TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS span (
    sha256 TEXT, network TEXT, station TEXT, location TEXT, channel TEXT, quality TEXT,
    start INTEGER, end INTEGER, step REAL, offset INTEGER, length INTEGER, record INTEGER
);
CREATE INDEX IF NOT EXISTS of_object ON span (sha256);
"""


@dataclasses.dataclass
class _Span:
    """Neighbouring records of one channel and of ``record`` bytes, without gap in between."""

    codes: Codes
    quality: str
    start: int
    end: int
    step: float
    offset: int
    length: int
    record: int


class ArchiveWaveforms:
    """The miniSEED objects of one version of an archive.

    Parameters
    ----------
    objects
        Checksum and URL of each waveform object.
    cache
        File of the index; made and added to.  An object is read once, ever.
    progress
        Called with the list of what must be read, gives it back one by one.

    Attributes
    ----------
    timeline
        One run for each span of records.
    left_out
        Checksums of objects without a miniSEED record in them.
    """

    def __init__(
        self,
        objects: dict[str, str],
        cache: Path,
        progress: Callable[[list[str]], Iterable[str]] = iter,
    ):
        self._urls = list(objects.values())
        channels: dict[Codes, int] = {}
        rows: list[tuple[int, ...]] = []
        steps: list[float] = []
        qualities: list[str] = []
        self.left_out: list[str] = []
        with _Index(cache) as index:
            for sha256 in progress([sha for sha in objects if sha not in index]):
                index.add(sha256, _spans(objects[sha256]))
            for number, sha256 in enumerate(objects):
                spans = index.spans(sha256)
                if not spans:
                    self.left_out.append(sha256)
                for span in spans:
                    channel = channels.setdefault(span.codes, len(channels))
                    rows.append((channel, span.start, span.end, number, span.offset, span.length,
                                 span.record))  # fmt: skip
                    steps.append(span.step)
                    qualities.append(span.quality)
        numbers, start, end, *place = np.array(rows, "int64").reshape(-1, 7).T
        self.timeline = Timeline(
            list(channels), numbers, start, end, np.array(steps), np.array(qualities, "U1")
        )
        self._object, self._offset, self._length, self._record = (
            column[self.timeline.order] for column in place
        )

    def size(self, clip: Clip) -> int:
        """Bytes of the records: the clip's share of the span, and a record more."""
        start, end = int(self.timeline.start[clip.run]), int(self.timeline.end[clip.run])
        wanted = min(clip.end, end) - max(clip.start, start)
        if wanted < -2 * HALF_MICROSECOND:
            return 0
        length = int(self._length[clip.run])
        return min(length, int(length * max(wanted, 0) / max(end - start, 1)) + 4096)

    def blocks(self, clips: Sequence[Clip]) -> Iterator[bytes]:
        """Whole records, each once, that have a sample in one of the clips."""
        for run, members in itertools.groupby(clips, key=lambda clip: clip.run):
            content, sent = self._read(run), 0
            for clip in members:
                first, stop = self._records(content, clip)
                if first < stop and sent < stop:
                    yield content[max(first, sent) : stop]
                    sent = stop

    def _records(self, content: bytes, clip: Clip) -> tuple[int, int]:
        """Bytes of a span that a clip needs: its records are in order of time."""
        length = int(self._record[clip.run])
        places = range(0, len(content), length)
        start, end = clip.start - HALF_MICROSECOND, clip.end + HALF_MICROSECOND
        first = bisect_left(places, start, key=lambda at: read_header(content, at, length).end)
        stop = bisect_right(places, end, key=lambda at: read_header(content, at, length).start)
        return first * length, stop * length

    def _read(self, run: int) -> bytes:
        offset, length = int(self._offset[run]), int(self._length[run])
        url = self._urls[self._object[run]]
        fs, path = file_system(url)
        try:
            content: bytes = fs.cat_file(path, start=offset, end=offset + length)
        except OSError as error:
            raise StoreError(f"cannot read {url} ({error}): check the archive") from error
        if len(content) != length:
            raise StoreError(f"{url} is shorter than it was: check the archive")
        return content


def _spans(url: str) -> Iterator[_Span]:
    with open_url(url, "rb") as stream:
        content = stream.read()
    span: _Span | None = None
    for record in scan(content):
        if span is not None and _continues(span, record):
            span.end, span.length = record.end, span.length + record.length
            continue
        if span is not None:
            yield span
        span = _Span(record.codes, record.quality, record.start, record.end, record.step,
                     record.offset, record.length, record.length)  # fmt: skip
    if span is not None:
        yield span


def _continues(span: _Span, record: Record) -> bool:
    return (
        (record.codes, record.quality, record.step) == (span.codes, span.quality, span.step)
        and (record.offset, record.length) == (span.offset + span.length, span.record)
        and abs(record.start - span.end - span.step) <= span.step / 2
        and span.length + record.length <= _SPAN_BYTES
    )


class _Index:
    """Spans by checksum of their object, in a file."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._base = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._base.executescript(_SCHEMA)

    def __enter__(self) -> _Index:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def __contains__(self, sha256: str) -> bool:
        found = self._base.execute("SELECT 1 FROM object WHERE sha256 = ?", (sha256,))
        return found.fetchone() is not None

    def add(self, sha256: str, spans: Iterator[_Span]) -> None:
        """All spans of an object, or (when this is interrupted) none."""
        rows = [(sha256, *s.codes, s.quality, s.start, s.end, s.step, s.offset, s.length, s.record)
                for s in spans]  # fmt: skip
        self._base.execute("BEGIN IMMEDIATE")
        with self._base:
            self._base.execute("DELETE FROM span WHERE sha256 = ?", (sha256,))
            self._base.executemany(f"INSERT INTO span VALUES ({','.join('?' * 12)})", rows)  # noqa: S608
            self._base.execute("INSERT OR REPLACE INTO object VALUES (?)", (sha256,))

    def spans(self, sha256: str) -> list[_Span]:
        rows = self._base.execute(
            "SELECT network, station, location, channel, quality, start, end, step, offset, "
            "length, record FROM span WHERE sha256 = ?", (sha256,),
        )  # fmt: skip
        return [_Span(tuple(row[:4]), *row[4:]) for row in rows]
