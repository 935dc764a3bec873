"""Formats ObsPy reads, and files it does not survive."""

from __future__ import annotations

import bz2
import gzip
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


@pytest.mark.parametrize("form", ["SAC", "GSE2", "SLIST", "TSPAIR", "AH", "SACXY"])
def test_formats_come_back(form):
    values = np.arange(100, dtype=np.int32)
    start = obspy.UTCDateTime(2020, 1, 1, 0, 0, 0, 123000)
    dtype = np.float32 if form in ("SAC", "SACXY", "AH") else np.int32
    (trace,), reports = read(written(form, data=values.astype(dtype), starttime=start))
    assert (trace.station, trace.interval, trace.samples) == ("ABC", Fraction(1, 50), 100)
    assert trace.start == start.ns and trace.quantity == "counts" and not reports
    np.testing.assert_array_equal(trace.data, values)


def test_headers_alone_agree_with_data():
    content = written("GSE2")
    (full,), _ = read(content)
    (head,), _ = read(content, samples=False)
    assert head.data is None and full.data is not None
    assert (head.id, head.start, head.samples) == (full.id, full.start, full.samples)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_compression_is_known_by_first_bytes(pack, tmp_path):
    content = written("GSE2", data=np.random.default_rng(0).integers(-9999, 9999, 60000, "i4"))
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


@given(st.integers(0, 3000), st.binary(min_size=1, max_size=40))
@settings(max_examples=80, deadline=None)
def test_damage_never_escapes(at, junk):
    content = bytearray(WALK)
    content[at : at + len(junk)] = junk
    try:
        traces, _ = read(bytes(content))
    except FormatError:
        return
    assert all(trace.data is not None and trace.data.size == trace.samples for trace in traces)


WALK = written("SAC", data=np.arange(600, dtype=np.float32))
