"""miniSEED 2 and 3, each contiguous trace decoded from its records into one array.

A record that is cut short, or whose check value or checksum differs, is left out and reported; so
are identical copies of a record.  Rates are never mixed, however close.  Times are those of the
headers, as POSIX time: a record that starts in a leap second is kept, and starts with the second
after it.  Control headers of full SEED volumes are passed over.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from ..errors import DamageError, FormatError
from ..memory import scratch
from .archive import EARLIEST, LATEST, describe, peek, recognise, remark, unpack
from .base import SourceFile, Trace, exact_interval
from .mseed_records import ENCODING, FAULTS, YEAR, record_index
from .mseed_samples import DECODED, DTYPES, decode
from .mseed_series import distinct, series
from .salvage import Report, read_obspy

#: Files so called are miniSEED to their owner: what cannot be read is rejected, not ignored.
SUFFIXES = (".mseed", ".msd", ".miniseed", ".mseed2", ".mseed3", ".seed")

_START = re.compile(rb"[0-9 \0]{6}[DRQM][ \0]|MS\x03")
_CONTROL = re.compile(rb"[0-9]{6}[VAST][ *]")
_SID = re.compile(r"X?FDSN:([^_]*)_([^_]*)_([^_]*)_([^_]*)_([^_]*)_([^_]*)")
_LETTERS = {1: "R", 2: "D", 3: "Q", 4: "M"}  # publication versions of miniSEED 3

#: Why good records become no trace.
_REASONS = (
    "", "text (a log record), not samples", "no samples", "sampling rate is not positive",
    "no station code in the header",
)  # fmt: skip

_KINDS = [np.dtype("i4"), np.dtype("f4"), np.dtype("f8")]
_KIND = np.array([_KINDS.index(DTYPES.get(code, _KINDS[0])) for code in range(256)])
_USUAL = np.isin(np.arange(256), DECODED)
_WHOLE = _USUAL & (_KIND == 0)  # of the others it is told how many samples are not finite


@dataclasses.dataclass(frozen=True)
class Channel:
    """Codes and quality letter of a record."""

    network: str
    station: str
    location: str
    channel: str
    quality: str

    @property
    def id(self) -> str:
        return f"{self.network}.{self.station}.{self.location}.{self.channel}"


class MseedSource:
    """Reads miniSEED 2 and 3, plain or compressed, and what is left of it where it is damaged."""

    name = "mseed"

    def matches(self, file: SourceFile) -> bool:
        head = peek(file)
        if (_START.match(head) or _CONTROL.match(head)) and record_index(head).size:
            return True
        stem = file.name.lower().removesuffix(".gz").removesuffix(".bz2")
        return stem.endswith(SUFFIXES) and recognise(head) is None

    def read(self, file: SourceFile, *, samples: bool, report: Report) -> list[Trace]:
        content = unpack(file.content)
        rows = record_index(content)
        if not rows.size:
            raise FormatError(describe(content))
        channels, channel = channels_of(content, rows)
        if _is_plain(content, rows, channels):
            data: np.ndarray | Records | None = None
            if samples and file.piecewise and _WHOLE[rows["encoding"]].all():
                data = Records(content, rows)
            elif samples:
                data = _samples(content, rows, np.arange(rows.size))
            if not rows["fault"].any():
                trace = _trace(rows, channels[0], data)
                remark(trace, report)
                return [trace]
        return _sorted_out(content, rows, channels, channel, samples, report)


def _is_plain(content: bytes, rows: np.ndarray, channels: list[Channel]) -> bool:
    """Whether headers promise one trace in order and nothing else, as most files hold.

    Sorting out would find the same, but takes longer than it takes to decode ten minutes.
    """
    first, last = rows[0], rows[-1]
    return bool(
        rows["goes_on"][1:].all() and first["offset"] == 0
        and last["offset"] + last["length"] == len(content) and channels[0].station
        and not first["fault"] and not first["leap"] and first["samples"] and first["encoding"]
        and 1e-6 < first["rate"] < 1e9 and 0 <= first["start"] <= last["start"] < LATEST // 2
    )  # fmt: skip


def _sorted_out(
    content: bytes, rows: np.ndarray, channels: list[Channel], channel: np.ndarray,
    samples: bool, report: Report,
) -> list[Trace]:  # fmt: skip
    """All traces of a file, however its records lie, and a report of all that is wrong."""
    with np.errstate(all="ignore"):
        inverse = (rows["version"] == 3) & (rows["rate"] < 0)  # it is the interval
        rate = np.where(inverse, -1 / rows["rate"], rows["rate"])
        span = np.where(rate > 0, rows["samples"] / rate, 0) * 1e9
    late = (rows["start"] < EARLIEST) | (rows["start"] + span >= LATEST)
    rows["fault"][late & (rows["fault"] == 0)] = YEAR

    reason = _reason(rows, rate, channels, channel)
    first = distinct(content, rows, channel)
    members = np.flatnonzero((rows["fault"] == 0) & (reason == 0) & first)
    kind = _KIND[rows["encoding"]]
    while True:
        parts = series(rows[members], rate[members], channel[members], kind[members])
        groups = [members[part] for part in parts]
        arrays = [_samples(content, rows, group) if samples else None for group in groups]
        good = rows["fault"][members] == 0
        if good.all():
            break
        members = members[good]  # without the bad ones others may be next to each other

    for text in _damage(content, rows, first):
        report("", text)
    if rows["fault"].all():
        raise FormatError("no record of this miniSEED file can be read: copy it again")
    odd = np.flatnonzero(reason)
    for number, why in sorted(set(zip(channel[odd].tolist(), reason[odd].tolist(), strict=True))):
        report(channels[number].id, f"rejected: {_REASONS[why]}")
    traces = [
        _trace(rows[group], channels[channel[group[0]]], array)
        for group, array in zip(groups, arrays, strict=True)
    ]
    for trace in traces:
        remark(trace, report)
    return traces


def channels_of(content: bytes, rows: np.ndarray) -> tuple[list[Channel], np.ndarray]:
    """The channels of a file in the order it has them, and for each record the place of its own.

    Parameters
    ----------
    content
        Bytes of the file.
    rows : (n,) RECORD
        Its records, as :func:`~pangeo_ces.sources.mseed_records.record_index` finds them.

    Returns
    -------
    channels : list of Channel
    channel : (n,) int
    """
    numbers: dict[bytes, int] = {}
    heads = np.flatnonzero(rows["new"])
    keys = []
    for at in rows["offset"][heads].tolist():
        if content[at : at + 2] == b"MS":
            key = content[at + 32 : at + 34] + content[at + 40 : at + 40 + content[at + 33]]
        else:
            key = content[at + 6 : at + 20]
        keys.append(numbers.setdefault(key, len(numbers)))
    known: dict[Channel, int] = {}
    same = [known.setdefault(_channel(key), len(known)) for key in numbers]
    return list(known), np.array(same)[keys][np.cumsum(rows["new"]) - 1]


@functools.lru_cache(maxsize=1024)
def _channel(key: bytes) -> Channel:
    """Codes and quality: bytes 6 to 19 of a miniSEED 2 record, or a miniSEED 3 identifier."""

    def text(part: bytes) -> str:
        return part.split(b"\0")[0].decode("ascii", "ignore").strip()

    if key[0] in b"DRQM" and len(key) == 14 and key[1] in b" \0":
        codes = key[12:14], key[2:7], key[7:9], key[9:12]
        network, station, location, channel = map(text, codes)
        return Channel(network, station, location, channel, chr(key[0]))
    quality = _LETTERS.get(key[0], "")
    if not (match := _SID.fullmatch(text(key[2:]))):
        return Channel("", "", "", text(key[2:]), quality)
    network, station, location, *parts = match.groups()
    single = all(len(part) <= 1 for part in parts)
    return Channel(network, station, location, ("" if single else "_").join(parts), quality)


def _reason(
    rows: np.ndarray, rate: np.ndarray, channels: list[Channel], channel: np.ndarray
) -> np.ndarray:
    """For each record, the place in :data:`_REASONS` of why it is no part of a trace, or 0."""
    nameless = np.array([not known.station for known in channels])[channel]
    positive = np.isfinite(rate) & (rate > 0)
    reason = np.zeros(rows.size, np.int64)
    for why, test in enumerate(
        (rows["encoding"] == 0, rows["samples"] == 0, ~positive, nameless), start=1
    ):
        reason[test & (reason == 0)] = why
    reason[rows["fault"] > 0] = 0
    return reason


def _samples(content: bytes, rows: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The samples of a trace; records that cannot be decoded get a ``fault`` in ``rows``."""
    sizes, encodings = rows["samples"][group], rows["encoding"][group]
    out = np.empty(int(sizes.sum()), _KINDS[_KIND[encodings[0]]])
    bits = out.view(f"u{out.itemsize}")
    buffer = np.frombuffer(content, np.uint8)
    usual = _USUAL[encodings]
    if usual.all():
        rows["fault"][group] = decode(buffer, rows, group, bits)
        return out
    ends = np.cumsum(sizes)
    for i, known in enumerate(usual.tolist()):
        piece = slice(ends[i] - sizes[i], ends[i])
        if known:
            rows["fault"][group[i]] = decode(buffer, rows, group[i : i + 1], bits[piece])[0]
        elif (rare := _rare(content, rows[group[i]])) is not None:
            out[piece] = rare
        else:
            rows["fault"][group[i]] = ENCODING
    return out


class Records:
    """Samples of a file of one trace, decoded record by record where they are asked for."""

    def __init__(self, content: bytes, rows: np.ndarray):
        self.dtype = _KINDS[_KIND[rows["encoding"][0]]]
        self._buffer, self._rows = np.frombuffer(content, np.uint8), rows
        self._ends = np.cumsum(rows["samples"])

    @property
    def nbytes(self) -> int:
        """Memory that is held: the file and what is known of its records."""
        return self._buffer.nbytes + self._rows.nbytes + self._ends.nbytes

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, part: slice) -> np.ndarray:
        begin, end, _ = part.indices(len(self))
        if begin >= end:
            return np.empty(0, self.dtype)
        first, last = np.searchsorted(self._ends, (begin, end - 1), "right")
        start = int(self._ends[first] - self._rows["samples"][first])
        size = int(self._ends[last]) - start
        out = scratch("records", size, self.dtype)
        members = np.arange(first, last + 1)
        if decode(self._buffer, self._rows, members, out.view(f"u{out.itemsize}")).any():
            raise DamageError("a record of this miniSEED file is damaged")
        return out[begin - start : end - start]


def _rare(content: bytes, row: np.void) -> np.ndarray | None:
    """Samples of one record in an encoding left to ObsPy."""
    record = content[row["offset"] : row["offset"] + row["length"]]
    try:
        (trace,), _ = read_obspy(record, "MSEED", samples=True)
    except Exception:
        return None
    return trace.data if trace.data.shape == (row["samples"],) else None


def _trace(rows: np.ndarray, channel: Channel, data: np.ndarray | Records | None) -> Trace:
    first = rows[0]
    return Trace(
        channel.network, channel.station, channel.location, channel.channel, int(first["start"]),
        _interval(float(first["rate"]), int(first["factor"]), int(first["multiplier"])),
        int(rows["samples"].sum()), data, quality=channel.quality,
        dtype=_KINDS[_KIND[first["encoding"]]],
    )  # fmt: skip


@functools.lru_cache(maxsize=1024)
def _interval(rate: float, factor: int, multiplier: int) -> Fraction:
    """Exact sampling interval (s) from what a header has: two integers, or a rate or interval."""
    if not factor:
        return exact_interval(rate) if rate > 0 else 1 / exact_interval(-rate)
    interval = Fraction(1, factor) if factor > 0 else Fraction(-factor)
    if multiplier:
        interval *= Fraction(1, multiplier) if multiplier > 0 else -multiplier
    return interval


def _damage(content: bytes, rows: np.ndarray, first: np.ndarray) -> Iterator[str]:
    """What to say of records and other bytes that were left out, in their order."""
    ends = rows["offset"] + rows["length"]
    before = np.concatenate(([0], ends))
    after = np.concatenate((rows["offset"], [len(content)]))
    odd = (rows["fault"] > 0) | rows["leap"] | ~first
    repeated = -1
    for i in np.flatnonzero((after > before) | np.concatenate((odd, [False]))).tolist():
        begin, end = int(before[i]), int(after[i])
        if begin < end and not _CONTROL.match(content, begin):
            yield f"bytes {begin} to {end - 1} are no miniSEED record: skipped"
        if i == rows.size:
            return
        if rows["fault"][i]:
            yield f"record at byte {end}: {FAULTS[rows['fault'][i]]}: skipped"
        elif not first[i]:
            if repeated != i - 1:
                last = i + int(np.argmax(np.append(first[i:], True))) - 1
                yield f"bytes {end} to {ends[last] - 1} repeat records before them: skipped"
            repeated = i
        elif rows["leap"][i]:
            yield f"record at byte {end}: starts within a leap second: read as the second after it"


SOURCE = MseedSource()
