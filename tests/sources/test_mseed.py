"""miniSEED 2 and 3: exactly what was written, and all that damage leaves."""

from __future__ import annotations

import bz2
import contextlib
import dataclasses
import gzip
import io
import itertools
import struct
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import obspy
import pymseed
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangeo_ces.errors import DamageError, FormatError
from pangeo_ces.sources import SourceFile, Trace, source_for
from pangeo_ces.sources.mseed import SOURCE
from pangeo_ces.sources.mseed_checksum import checksum
from pangeo_ces.sources.mseed_records import record_index
from pangeo_ces.sources.mseed_series import series

START = obspy.UTCDateTime(2021, 3, 4, 5, 6, 7, 123400)
RATE = 50.0
#: Channel code, encoding, format version, record length.
KINDS = (
    ("HH1", "STEIM1", 2, 512), ("HH2", "STEIM2", 2, 512), ("HH3", "INT16", 2, 256),
    ("HH4", "INT32", 2, 512), ("HH5", "FLOAT32", 2, 512), ("HH6", "FLOAT64", 2, 1024),
    ("HN1", "STEIM1", 3, 512), ("HN2", "STEIM2", 3, 400), ("HN4", "INT32", 3, 512),
    ("HN5", "FLOAT32", 3, 512),
)  # fmt: skip


def read(content: bytes, samples: bool = True) -> tuple[list[Trace], list[tuple[str, str]]]:
    reports: list[tuple[str, str]] = []
    file = SourceFile("x", content)
    return SOURCE.read(file, samples=samples, report=lambda *row: reports.append(row)), reports


def heads(traces: list[Trace]) -> list[tuple]:
    return [(t.id, t.start, t.samples, t.interval, t.dtype, t.quality) for t in traces]


def second(data: np.ndarray, encoding: str, reclen: int = 512, order: str = ">", **header) -> bytes:
    """miniSEED 2, written by ObsPy."""
    stats = {"network": "XX", "station": "ABC", "channel": "HHZ", "sampling_rate": RATE}
    trace = obspy.Trace(data, stats | {"starttime": START} | header)
    buffer = io.BytesIO()
    trace.write(buffer, format="MSEED", encoding=encoding, reclen=reclen, byteorder=order)
    return buffer.getvalue()


def third(
    data: np.ndarray, encoding: str, reclen: int = 512, sid: str = "FDSN:XX_ABC__H_H_Z",
    start: int = START.ns, rate: float = RATE, version: int = 1,
) -> list[bytes]:  # fmt: skip
    """Records of miniSEED 3, written by libmseed."""
    record = pymseed.MS3Record()
    record.sourceid, record.starttime, record.samprate = sid, start, rate
    record.formatversion, record.pubversion, record.reclen = 3, version, reclen
    record.encoding = pymseed.DataEncoding[encoding]
    letter = {"i4": "i", "f4": "f", "f8": "d"}[data.dtype.str[1:]]
    return list(record.generate(data, letter))


def pieces(content: bytes, reclen: int = 512) -> list[bytes]:
    return [content[at : at + reclen] for at in range(0, len(content), reclen)]


def walk(encoding: str, size: int, seed: int = 0) -> np.ndarray:
    """A random walk in the dtype that an encoding takes."""
    dtype = {"INT16": "i2", "FLOAT32": "f4", "FLOAT64": "f8"}.get(encoding, "i4")
    return np.cumsum(np.random.default_rng(seed).integers(-60, 60, size)).astype(dtype)


INTEGERS = st.one_of(
    *(st.integers(-(2**bits), 2**bits - 1) for bits in (3, 4, 5, 7, 9, 14, 15, 28))
)


@given(
    st.lists(INTEGERS, min_size=1, max_size=300), st.sampled_from(["STEIM1", "STEIM2", "INT32"]),
    st.sampled_from("<>"), st.sampled_from([256, 512, 4096]),
)  # fmt: skip
@settings(deadline=None)
def test_integers_come_back(numbers, encoding, order, reclen):
    data = np.array(numbers, "i4")
    content = second(data, encoding, reclen, order)
    (trace,), reports = read(content)
    assert not reports and trace.id == "XX.ABC..HHZ" and trace.quality == "D"
    assert (trace.start, trace.interval) == (START.ns, Fraction(1, 50))
    np.testing.assert_array_equal(trace.data, data)
    assert heads(read(content, samples=False)[0]) == heads([trace])


@given(st.lists(INTEGERS, min_size=1, max_size=300), st.sampled_from(["STEIM1", "STEIM2", "INT32"]))
@settings(deadline=None)
def test_integers_come_back_from_miniseed_3(numbers, encoding):
    data = np.array(numbers, "i4")
    (trace,), reports = read(b"".join(third(data, encoding, version=2)))
    assert not reports and heads([trace]) == [
        ("XX.ABC..HHZ", START.ns, data.size, Fraction(1, 50), np.dtype("i4"), "D")
    ]
    np.testing.assert_array_equal(trace.data, data)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("encoding", "dtype"), [("FLOAT32", "f4"), ("FLOAT64", "f8")])
def test_floats_come_back_bit_for_bit(encoding, dtype, order):
    bits = np.random.default_rng(0).integers(0, 2**63, 1000, "u8").astype(f"u{dtype[1]}")
    for content in (
        second(bits.view(dtype), encoding, order=order),
        b"".join(third(bits.view(dtype), encoding)),
    ):
        (trace,), _ = read(content)
        assert trace.data.dtype == dtype
        np.testing.assert_array_equal(trace.data.view(bits.dtype), bits)


@pytest.mark.parametrize(
    ("factor", "multiplier", "interval"),
    [(100, 1, "1/100"), (-10, 1, "10"), (1, -60, "60"), (-7, -3, "21"), (25, -7, "7/25"),
     (30000, -1001, "1001/30000"), (1000, -10, "1/100"), (25, 0, "1/25")],
)  # fmt: skip
def test_exact_interval(factor, multiplier, interval):
    content = bytearray(second(np.arange(50, dtype="i4"), "INT32"))
    content[32:36] = struct.pack(">hh", factor, multiplier)
    (trace,), _ = read(bytes(content))
    assert trace.interval == Fraction(interval)
    theirs = obspy.read(io.BytesIO(content))[0].stats.sampling_rate
    assert float(1 / trace.interval) == pytest.approx(theirs, rel=1e-15)


@given(st.floats(1e-4, 1e4))
@settings(deadline=None)
def test_rates_of_miniseed_3(rate):
    data = np.arange(9, dtype="i4")
    (trace,), _ = read(b"".join(third(data, "INT32", rate=rate)))
    # Below 1 Hz the header holds the period, as its shortest decimal: the last bit may differ.
    assert float(1 / trace.interval) == pytest.approx(rate, rel=3e-16)
    (trace,), _ = read(b"".join(third(data, "INT32", rate=-rate)))
    assert float(trace.interval) == pytest.approx(rate, rel=3e-16)


def test_rate_of_blockette_100_is_never_mixed():
    """100 Hz and the single-precision number next to it."""
    data = np.arange(300, dtype="i4")
    near = float(np.float32(100.0004))
    one = second(data, "STEIM2", sampling_rate=100.0)
    two = second(data, "STEIM2", sampling_rate=near, starttime=START + 3)
    traces, reports = read(one + two)
    assert [t.interval for t in traces] == [Fraction(1, 100), 1 / Fraction(near)]
    assert not reports


@given(st.integers(0, 10**9 - 1), st.integers(-(10**9), 7 * 10**9))
@settings(deadline=None)
def test_start_to_the_nanosecond(nanosecond, second_):
    start = second_ * 10**9 + nanosecond
    (trace,), _ = read(b"".join(third(np.arange(5, dtype="i4"), "INT32", start=start)))
    assert trace.start == start


@given(
    st.integers(-(2**31), 2**31 - 1), st.booleans(), st.integers(-128, 127), st.sampled_from("<>")
)
@settings(deadline=None)
def test_time_correction_and_microseconds(correction, applied, microseconds, order):
    content = bytearray(second(np.arange(50, dtype="i4"), "INT32", order=order))
    content[36] |= 2 * applied
    content[40:44] = struct.pack(f"{order}i", correction)
    content[48 + 8 : 48 + 16] = struct.pack(f"{order}HHBbBB", 1001, 0, 0, microseconds, 0, 0)
    content[48 + 2 : 48 + 4] = struct.pack(f"{order}H", 56)
    content[39] = 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = obspy.read(io.BytesIO(content))[0].stats.starttime.ns
    (trace,), _ = read(bytes(content))
    assert trace.start == theirs


@given(
    st.lists(st.integers(-700_000, 700_000), min_size=2, max_size=6),
    st.sampled_from([1.0, 20.0, 100.0]),
)
@settings(deadline=None)
def test_gaps_and_overlaps_split_as_in_obspy(offsets, rate):
    """Records in order of time, each off its due time by some share (millionths) of a sample."""
    content, at = b"", START
    for number, offset in enumerate(offsets):
        content += second(
            np.full(50, number, "i4"),
            "STEIM2",
            sampling_rate=rate,
            starttime=at + offset / 1e6 / rate,
        )
        at += 50 / rate
    theirs = obspy.read(io.BytesIO(content))
    ours, _ = read(content)
    if all(abs(abs(b - a) - 500_000) > 1000 for a, b in itertools.pairwise(offsets)):
        assert [t.samples for t in ours] == [t.stats.npts for t in theirs]
        assert [t.start for t in ours] == [t.stats.starttime.ns for t in theirs]


@given(st.permutations(range(8)))
@settings(deadline=None)
def test_order_of_records_does_not_matter(order):
    data = walk("STEIM2", 8 * 400)
    records = pieces(second(data, "STEIM2"))[:8]
    (sorted_,), _ = read(b"".join(records))
    (trace,), reports = read(b"".join(records[i] for i in order))
    assert not reports and heads([trace]) == heads([sorted_])
    np.testing.assert_array_equal(trace.data, data[: trace.samples])


def test_copies_are_kept_once_and_conflicts_twice():
    records = pieces(second(walk("INT32", 2000), "INT32"))
    renumbered = b"000099" + records[3][6:]
    (trace,), reports = read(b"".join([*records[:5], renumbered, records[1], *records[5:]]))
    assert trace.samples == 2000
    assert reports == [("", "bytes 2560 to 3583 repeat records before them: skipped")]
    other = records[3][:-4] + bytes(4)
    traces, reports = read(b"".join([*records, other]))
    assert [t.samples for t in traces] == [2000, 114 if len(other) == 512 else 0]
    assert not reports


def test_nearest_end_is_continued():
    """Two series that overlap, records alternating: none is torn."""
    one = pieces(second(walk("STEIM2", 3000), "STEIM2"))
    two = pieces(second(walk("STEIM2", 3000, 1), "STEIM2", starttime=START + 1.23))
    mixed = [record for pair in zip(one, two, strict=False) for record in pair]
    traces, _ = read(b"".join(mixed))
    assert len(traces) == 2 and sum(t.samples for t in traces) > 5000


def test_series_without_records():
    none = np.zeros(0)
    assert series(record_index(b""), none, none, none) == []


def test_source_identifiers():
    def channel(sid):
        traces, reports = read(b"".join(third(np.arange(5, dtype="i4"), "INT32", sid=sid)))
        return traces[0].id if traces else reports

    assert channel("FDSN:XX_STATION1_00_H_H_Z") == "XX.STATION1.00.HHZ"
    assert channel("FDSN:XX_S__BB_SRC_X") == "XX.S..BB_SRC_X"
    assert "rejected: no station code" in channel("MYSID")[0][1]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
@pytest.mark.parametrize("name", ["record", "day.mseed", "x.sac"])
def test_known_by_its_bytes(pack, name):
    for content in (second(walk("STEIM2", 5000), "STEIM2"), third(walk("INT32", 99), "INT32")[0]):
        file = SourceFile(name, pack(content))
        assert source_for(file) is SOURCE
        (trace,) = SOURCE.read(file, samples=True, report=lambda *row: None)
        assert trace.station == "ABC"


def test_junk_in_front_needs_a_name():
    content = bytes(1000) + second(walk("STEIM2", 5000), "STEIM2")
    assert source_for(SourceFile("record", content)) is None
    assert source_for(SourceFile("day.mseed", content)) is SOURCE
    (trace,), reports = read(content)
    assert trace.samples == 5000
    assert reports == [("", "bytes 0 to 999 are no miniSEED record: skipped")]


def test_other_files_of_that_name_go_elsewhere():
    buffer = io.BytesIO()
    obspy.Trace(np.zeros(9, "f4"), {"station": "A"}).write(buffer, format="SAC")
    assert source_for(SourceFile("wrong.mseed", buffer.getvalue())).name == "archive"
    for content in (b"", b"<html>", b"words", b"000001V 0100"):
        file = SourceFile("x.mseed", content)
        with pytest.raises(FormatError):
            source_for(file).read(file, samples=True, report=lambda *row: None)


def test_unknown_encoding_and_absurd_length():
    good, bad, absurd = map(bytearray, pieces(second(walk("INT32", 340), "INT32"))[:3])
    bad[52] = 77
    absurd[54] = 60
    traces, reports = read(bytes(good + bad + absurd))
    assert [t.samples for t in traces] == [114, 112]  # without a length: until the end
    assert reports == [("", "record at byte 512: unknown encoding: skipped")]


def test_check_value_and_checksum():
    data = walk("STEIM2", 3000)
    for records, word in (
        (pieces(second(data, "STEIM2")), "check value"),
        (third(data, "STEIM2"), "checksum"),
    ):
        records[2] = records[2][:100] + bytes([records[2][100] ^ 8]) + records[2][101:]
        before = len(b"".join(records[:2]))
        traces, reports = read(b"".join(records))
        assert len(traces) == 2
        (row,) = reports
        assert row[1].startswith(f"record at byte {before}: ")
        assert word in row[1] or "samples" in row[1] or "frame" in row[1]
        after = traces[1].samples
        np.testing.assert_array_equal(traces[0].data, data[: traces[0].samples])
        np.testing.assert_array_equal(traces[1].data, data[-after:])


def test_zeros_at_the_end_belong_to_the_record():
    """With the next record's first bytes lost, they could pass for its sequence number."""
    records = pieces(second(np.zeros(340, "i4"), "INT32"))
    traces, reports = read(records[0] + records[1][2:])
    assert [t.samples for t in traces] == [114] and "bytes 512" in reports[0][1]
    traces, _ = read(records[0][:-2] + records[1])
    assert [(t.start - START.ns) * 50 // 10**9 for t in traces] == [114]


def test_checksum_of_the_standard():
    """Castagnoli's CRC of nine digits is 0xE3069283."""
    content = np.frombuffer(b"123456789", np.uint8)
    assert checksum(content, 0, 9) == 0xE3069283


def test_threads_give_the_same():
    contents = [second(walk("STEIM2", 20_000, seed), "STEIM2") for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda content: read(content)[0][0].data, contents * 3))
    for content, data in zip(contents * 3, together, strict=True):
        np.testing.assert_array_equal(data, read(content)[0][0].data)


def test_real_files_are_as_obspy_reads_them(data):
    """All miniSEED of the reference data that is not hostile."""
    for folder in ("01_strong_motion", "02_misfit", "03_noise", "05_quality", "07_metadata"):
        for path in sorted(data(folder).rglob("*")):
            file = SourceFile(str(path))
            if not path.is_file() or source_for(file) is not SOURCE:
                continue
            reports: list[tuple[str, str]] = []
            ours = SOURCE.read(file, samples=True, report=lambda *row, to=reports: to.append(row))
            theirs = obspy.read(str(path), format="MSEED")
            assert not reports, path
            assert [(t.id, t.start, float(1 / t.interval), t.quality) for t in ours] == [
                (t.id, t.stats.starttime.ns, t.stats.sampling_rate, t.stats.mseed.dataquality)
                for t in theirs
            ], path
            for one, two in zip(ours, theirs, strict=True):
                assert one.data.dtype == two.data.dtype
                np.testing.assert_array_equal(one.data, two.data)
            headers = SOURCE.read(file, samples=False, report=lambda *row: None)
            assert heads(headers) == heads(ours) and headers[0].data is None


@dataclasses.dataclass(frozen=True)
class Record:
    """One record as it was written."""

    content: bytes
    channel: str
    start: int
    samples: np.ndarray


def _records(count: int = 4) -> list[Record]:
    """Some records of every kind, in an order that interleaves the kinds."""
    found = []
    for seed, (channel, encoding, version, reclen) in enumerate(KINDS):
        data, order = walk(encoding, 4000, seed), "<" if seed % 2 else ">"
        if version == 2:
            parts = pieces(second(data, encoding, reclen, order, channel=channel), reclen)
        else:
            parts = third(data, encoding, reclen, f"FDSN:XX_ABC__{'_'.join(channel)}")
        at = 0
        for number, part in enumerate(parts[:count]):
            size = pymseed.MS3Record.parse(part).samplecnt
            start = START.ns + round(at * 1e9 / RATE)
            found.append((number, seed, Record(part, channel, start, data[at : at + size])))
            at += size
    return [record for *_, record in sorted(found, key=lambda row: (row[0], row[1] % 3))]


RECORDS = _records()
WHOLE = b"".join(record.content for record in RECORDS)
PLACE = st.integers(0, len(WHOLE) - 1)
SIZE = st.sampled_from([1, 2, 7, 48, 64, 128, 256, 512, 1000])
DAMAGE = st.one_of(
    st.tuples(st.just("flip"), PLACE, st.integers(0, 7)),
    st.tuples(st.just("cut"), PLACE, SIZE),
    st.tuples(st.just("insert"), PLACE, st.binary(min_size=1, max_size=80)),
    st.tuples(st.just("copy"), PLACE, st.sampled_from(RECORDS), SIZE),
    st.tuples(st.just("swap"), PLACE, PLACE, SIZE),
    st.tuples(st.just("length"), st.sampled_from(RECORDS), st.integers(0, 30)),
)


def damaged(content: bytes, kind: str, at, *what) -> bytes:
    match kind:
        case "flip":
            return content[:at] + bytes([content[at] ^ 1 << what[0]]) + content[at + 1 :]
        case "cut":
            return content[:at] + content[at + what[0] :]
        case "insert":
            return content[:at] + what[0] + content[at:]
        case "copy":
            return content[:at] + what[0].content[: what[1]] + content[at:]
        case "swap":
            one, two = sorted((at, what[0]))
            size = min(what[1], two - one)
            return (
                content[:one] + content[two : two + size] + content[one + size : two]
                + content[one : one + size] + content[two + size :]
            )  # fmt: skip
        case _:  # the length in blockette 1000
            place = content.find(at.content) + 54
            return content[:place] + bytes([what[0]]) + content[place + 1 :]


def holds(trace: Trace, record: Record) -> bool:
    first = round((record.start - trace.start) * RATE / 1e9)
    return trace.channel == record.channel and any(
        at >= 0 and np.array_equal(trace.data[at : at + record.samples.size], record.samples)
        for at in (first - 1, first, first + 1)
    )


read(WHOLE)  # compiled before a clock runs


def check(content: bytes) -> None:
    """Nothing but FormatError, soon, and each record that is still whole with its samples."""
    begin = time.perf_counter()
    traces: list[Trace] = []
    for samples in (False, True):
        try:
            traces, _ = read(content, samples)
        except FormatError:
            traces = []
    assert time.perf_counter() - begin < 2
    assert all(t.data.size == t.samples and t.data.dtype == t.dtype for t in traces)
    lost = [
        (record.channel, content.find(record.content))
        for record in RECORDS
        if record.content in content and not any(holds(trace, record) for trace in traces)
    ]
    assert not lost


def test_undamaged():
    check(WHOLE)
    traces, reports = read(WHOLE)
    assert len(traces) == len(KINDS) and not reports


@given(st.lists(DAMAGE, min_size=1, max_size=6))
@settings(deadline=None, max_examples=200)
def test_damage_costs_only_what_it_touches(steps):
    content = WHOLE
    for kind, at, *what in steps:
        if isinstance(at, int):
            at %= len(content)
            what = [
                w % len(content) if kind == "swap" and i == 0 else w for i, w in enumerate(what)
            ]
        content = damaged(content, kind, at, *what)
    check(content)


@given(st.binary(max_size=3000))
@settings(deadline=None)
def test_junk_among_records(junk):
    check(b"." + junk + WHOLE[:20_000] + junk + WHOLE[20_000:])  # the first bytes may say bzip2


STEIM, FIRST3 = RECORDS[0].content, next(r.content for r in RECORDS if r.content[:2] == b"MS")
HUGE = FIRST3[:36] + struct.pack("<I", 500_000) + FIRST3[40:60]


@pytest.mark.parametrize(
    "junk",
    [bytes(1), b" ", b"0", STEIM[:48], STEIM[:64], STEIM[:54] + b"\x14" + STEIM[55:128], HUGE,
     FIRST3[:40], b"MS\x03", STEIM],
)  # fmt: skip
def test_a_megabyte_of_anything_takes_no_time(junk):
    content = junk * (1_000_000 // len(junk))
    read(STEIM * 2)  # compiled before the clock runs
    begin = time.perf_counter()
    for samples in (False, True):
        with contextlib.suppress(FormatError):
            read(content, samples)
    assert time.perf_counter() - begin < 2


def _lazy(content):
    """The only trace of a file, whole, and as samples that are decoded when asked for."""
    whole, pieces = SourceFile("", content, "a.mseed"), SourceFile("", content, "a.mseed")
    pieces.piecewise = True
    (trace,) = SOURCE.read(whole, samples=True, report=print)
    (other,) = SOURCE.read(pieces, samples=True, report=print)
    return trace.data, other.data


@pytest.mark.parametrize("encoding", ["STEIM1", "STEIM2", "INT32", "INT16"])
@given(st.tuples(*[st.integers(0, 5000)] * 2).map(sorted))
@settings(max_examples=25, deadline=None)
def test_samples_decoded_in_parts_are_those_of_the_whole(encoding, limits):
    first, last = limits
    values = np.random.default_rng(1).integers(-3000, 3000, 5000).astype("i4")
    stream = io.BytesIO()
    header = {"station": "A", "channel": "HHZ"}
    dtype = "i2" if encoding == "INT16" else "i4"
    trace = obspy.Trace(values.astype(dtype), header)
    trace.write(stream, format="MSEED", encoding=encoding, reclen=512)
    whole, pieces = _lazy(stream.getvalue())
    assert not isinstance(pieces, np.ndarray)
    assert (len(pieces), pieces.dtype) == (len(whole), whole.dtype)
    np.testing.assert_array_equal(pieces[first:last], whole[first:last])


def test_a_damaged_record_is_told_when_its_samples_are_asked_for():
    values = np.random.default_rng(1).integers(-3000, 3000, 5000).astype("i4")
    stream = io.BytesIO()
    obspy.Trace(values, {"station": "A", "channel": "HHZ"}).write(
        stream, format="MSEED", encoding="STEIM1", reclen=512
    )
    content = bytearray(stream.getvalue())
    content[5 * 512 + 300] ^= 64
    pieces = SourceFile("", bytes(content), "a.mseed")
    pieces.piecewise = True
    (trace,) = SOURCE.read(pieces, samples=True, report=print)
    assert len(trace.data) == 5000
    np.testing.assert_array_equal(trace.data[:1000], values[:1000])
    with pytest.raises(DamageError, match="record"):
        trace.data[:]


def test_floats_are_decoded_at_once_since_those_that_are_no_number_are_told():
    stream = io.BytesIO()
    obspy.Trace(np.array([1, np.nan, 3], "f4"), {"station": "A", "channel": "HHZ"}).write(
        stream, format="MSEED"
    )
    _, pieces = _lazy(stream.getvalue())
    assert isinstance(pieces, np.ndarray)
