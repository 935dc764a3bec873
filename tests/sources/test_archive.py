"""Formats ObsPy reads, and files it does not survive."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import pickle
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import obspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangeo_ces.errors import FormatError
from pangeo_ces.sources import SourceFile, Trace, source_for
from pangeo_ces.sources.archive import FORMATS, SOURCE, peek, sac_interval

HOSTILE = "06_hostile"


def read(content: bytes | Path, samples: bool = True) -> tuple[list[Trace], list[tuple[str, str]]]:
    reports: list[tuple[str, str]] = []
    file = SourceFile(str(content)) if isinstance(content, Path) else SourceFile("x", content)
    traces = SOURCE.read(file, samples=samples, report=lambda *row: reports.append(row))
    return traces, reports


def written(form: str, **header) -> bytes:
    samples = header.pop("data", np.arange(100, dtype=np.int32))
    stats = {"network": "XX", "station": "ABC", "channel": "HHZ", "sampling_rate": 50.0} | header
    with tempfile.TemporaryDirectory() as folder:  # some of ObsPy's writers take paths only
        path = Path(folder) / "x"
        obspy.Stream([obspy.Trace(samples, stats)]).write(str(path), format=form)
        (path,) = Path(folder).iterdir()
        return path.read_bytes()


#: Where we do not return what ObsPy returns: total samples, and a word of the report or error.
DIFFERENT = {
    "bizarre/log.V04C.mseed": (86180, "log record"),
    "crafted/bitflips_in_data_frames.mseed": (8359, "record at byte 10240"),
    "crafted/garbage_between_records.mseed": (8573, "bytes 10240 to 10376"),
    "crafted/gzipped_named_mseed.mseed": (8573, None),
    "crafted/leap_second_23_59_60.mseed": (None, "leap second"),
    "crafted/text_named_mseed.mseed": (None, "HTML page"),
    "crafted/truncated_mid_record.mseed": (8362, "cut short"),
    "crafted/zero_length.mseed": (None, "empty file"),
    "libmseed/testdata-3channel-signal.mseed3": (None, "miniSEED 3"),
    "libmseed/testdata-oneseries-mixedlengths-mixedorder.mseed3": (None, "miniSEED 3"),
    "obspy/fullASCII_bigEndian.mseed": (0, "log record"),
    "obspy/infinite-loop.mseed": (None, "skipped"),
    "obspy/nan_float32.mseed": (0, "no station code"),
    "obspy/rt130_sr0_cropped.mseed": (0, "log record"),
    **{f"obspy/not{n}.mseed": (None, "dataless") for n in ("", "2", "3", "4")},
}


def test_hostile_files(data):
    folder = data(HOSTILE)
    expected = json.loads((folder / "EXPECT.json").read_text())["files"]
    wrong = []
    for name, entry in expected.items():
        total = entry["obspy_1_5_1"]["auto"].get("total_samples")
        total, word = DIFFERENT.get(name, (total, None))
        reports: list[str] = []
        try:
            traces = SOURCE.read(
                SourceFile(str(folder / name)),
                samples=True,
                report=lambda trace, reason, to=reports: to.append(reason),
            )
            found = sum(trace.samples for trace in traces)
            assert all(t.data is not None and t.data.size == t.samples for t in traces), name
            assert all(t.data.dtype.isnative and t.data.dtype.kind in "iuf" for t in traces), name
        except FormatError as error:
            found = None
            reports.append(str(error))
            assert "\n" not in str(error), name
        if found != total or (word and not any(word in reason for reason in reports)):
            wrong.append((name, found, total, reports))
    assert not wrong


def test_every_hostile_file_is_claimed(data):
    folder = data(HOSTILE)
    names = json.loads((folder / "EXPECT.json").read_text())["files"]
    assert all(source_for(SourceFile(str(folder / name))) is SOURCE for name in names)


@pytest.mark.parametrize("name", ["year_1900", "far_future_2099"])
def test_doubtful_clock_is_reported(data, name):
    traces, reports = read(data(f"{HOSTILE}/crafted/{name}.mseed"))
    assert len(traces) == 1
    assert "was the clock right" in reports[0][1]


def test_nan_is_kept_and_counted(data):
    (trace,), reports = read(data(f"{HOSTILE}/crafted/nan_inf_float32.mseed"))
    assert np.count_nonzero(~np.isfinite(trace.data)) == 3
    assert reports == [(trace.id, "3 of 1000 samples are NaN or infinite: kept")]


@pytest.mark.parametrize("form", ["MSEED", "SAC", "GSE2", "SLIST", "TSPAIR", "AH", "SACXY"])
def test_formats_come_back(form):
    values = np.arange(100, dtype=np.int32)
    start = obspy.UTCDateTime(2020, 1, 1, 0, 0, 0, 123000)
    dtype = np.float32 if form in ("SAC", "SACXY", "AH") else np.int32
    (trace,), reports = read(written(form, data=values.astype(dtype), starttime=start))
    assert (trace.station, trace.interval, trace.samples) == ("ABC", Fraction(1, 50), 100)
    assert trace.start == start.ns and trace.quantity == "counts" and not reports
    np.testing.assert_array_equal(trace.data, values)


def test_headers_alone_agree_with_data():
    content = written("MSEED")
    (full,), _ = read(content)
    (head,), _ = read(content, samples=False)
    assert head.data is None and full.data is not None
    assert (head.id, head.start, head.samples, head.quality) == (
        full.id, full.start, full.samples, "D",
    )  # fmt: skip


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_compression_is_known_by_first_bytes(pack, tmp_path):
    content = written("MSEED", data=np.random.default_rng(0).integers(-9999, 9999, 60000, "i4"))
    path = tmp_path / "no_suffix"
    path.write_bytes(pack(content))
    assert peek(SourceFile(str(path))) == content[: len(peek(SourceFile(str(path))))]
    assert source_for(SourceFile(str(path))) is SOURCE
    assert read(path)[0][0].samples == 60000
    with pytest.raises(FormatError, match="damaged or end too early"):
        read(pack(content)[:-2000])


def test_sac_site_and_interval():
    sac = {"stla": 42.0, "stlo": 13.0, "stel": 700.0, "stdp": 5.0, "cmpaz": 90.0, "cmpinc": 90.0}
    (trace,), _ = read(written("SAC", sac=sac, delta=1 / 30, data=np.zeros(5, "f4")))
    site = trace.site
    assert (site.latitude, site.longitude, site.elevation, site.depth) == (42, 13, 700, 5)
    assert (site.azimuth, site.dip) == (90.0, 0.0)
    assert trace.interval == Fraction(1, 30)


@pytest.mark.parametrize(
    ("delta", "interval"),
    [(0.01, "1/100"), (0.126792654, "0.12679265"), (1 / 64, "1/64"), (0.1425, "0.1425"),
     (2.5, "2.5"), (60.0, "60"), (0.040000003, "1/25")],
)  # fmt: skip
def test_sac_interval(delta, interval):
    assert sac_interval(np.float32(delta)) == Fraction(interval)


KNET = """\
Origin Time       1996/08/11 03:12:00
Lat.              38.9
Long.             140.6
Depth. (km)       10
Mag.              5.9
Station Code      AKT001
Station Lat.      39.17
Station Long.     140.51
Station Height(m) 120
Record Time       1996/08/11 03:12:25
Sampling Freq(Hz) 100Hz
Duration Time(s)  1
Dir.              E-W
Scale Factor      2000(gal)/8388608
Max. Acc. (gal)   2.0
Last Correction   1996/08/11 03:12:10
Memo.
"""


def test_knet_becomes_acceleration():
    values = np.arange(100)
    rows = (" ".join(f"{v:8d}" for v in row) for row in values.reshape(-1, 10))
    (trace,), _ = read((KNET + "\n".join(rows) + "\n").encode())
    assert trace.quantity == "acceleration"
    np.testing.assert_allclose(trace.data, values * 2000 / 8388608 / 100, rtol=1e-14)
    assert trace.start == obspy.UTCDateTime(1996, 8, 10, 18, 12, 10).ns  # JST, and 15 s of delay
    assert (trace.site.azimuth, trace.site.dip, trace.site.elevation) == (90.0, 0.0, 120.0)


@pytest.mark.parametrize(
    "text",
    [b"<html><body>404</body></html>", b"# README\nsome words\n", b"RIFF\x24\0\0\0WAVEfmt ",
     b" PDE 2016  8 24  1 36 32.00 42.7 13.23 8.0 6.2 6.2 X\nevent name: X\n",
     b"AMT IT 42.63 13.28 0.0 0.0\n", b"NPROC = 4\nDT = 0.02\n", b"\x89HDF\r\n\x1a\n" + bytes(99)],
)  # fmt: skip
def test_other_files_are_not_claimed(text):
    assert source_for(SourceFile("x", text)) is None


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_pickles_are_unreachable():
    assert "PICKLE" not in FORMATS
    harmless = pickle.dumps(obspy.read())
    for content in (pickle.dumps(Bomb()), harmless):
        assert source_for(SourceFile("x", content)) is None
        with pytest.raises(FormatError, match="unknown format"):
            read(content)


@pytest.mark.parametrize("form", ["SAC", "SACXY"])
def test_absurd_longitude_does_not_hang(form):
    sac = {"stla": 42.0, "stlo": 1e30, "evla": 40.0, "evlo": 13.0, "lcalda": 0}
    content = bytearray(written(form, sac=sac, data=np.zeros(5, "f4")))
    if form == "SAC":
        content[432:436] = (1).to_bytes(4, "little")
    else:
        lines = content.split(b"\n")
        lines[21] = lines[21][:30] + b"         1" + lines[21][40:]
        content = b"\n".join(lines)
    (trace,), _ = read(bytes(content))
    assert trace.site.longitude > 1e29


@pytest.mark.parametrize("junk", [b"\xf9", b"A" * 90])
def test_damage_on_which_the_gse_decoder_would_crash(junk):
    values = np.cumsum(np.random.default_rng(0).integers(-99, 99, 2000, "i4")).astype("i4")
    content = written("GSE2", data=values)
    assert read(content)[0][0].samples == 2000
    with pytest.raises(FormatError, match="stray characters or too long"):
        read(content[:900] + junk + content[900 + len(junk) % 90 :])


@given(st.integers(0, 9), st.integers(0, 511), st.binary(min_size=1, max_size=40))
@settings(max_examples=80, deadline=None)
def test_damage_never_escapes(record, offset, junk):
    content = bytearray(RECORDS)
    at = record * 512 + offset
    content[at : at + len(junk)] = junk
    try:
        traces, _ = read(bytes(content))
    except FormatError:
        return
    assert all(trace.data is not None and trace.data.size == trace.samples for trace in traces)


def _records() -> bytes:
    walk = np.cumsum(np.random.default_rng(1).integers(-50, 50, 9000, "i4")).astype("i4")
    buffer = io.BytesIO()
    header = {"network": "XX", "station": "ABC", "channel": "HHZ", "sampling_rate": 50.0}
    obspy.Stream([obspy.Trace(walk, header)]).write(buffer, format="MSEED", reclen=512)
    return buffer.getvalue()


RECORDS = _records()
