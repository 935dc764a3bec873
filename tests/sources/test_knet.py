"""K-NET and KiK-net, by the rules of the format, ObsPy, and the peak in the header."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import obspy
import pytest

import pangeo_ces as ces
from pangeo_ces.errors import FormatError
from pangeo_ces.sources import SourceFile, Trace, source_for
from pangeo_ces.sources.strong_motion import SOURCE

SAMPLE = Path(obspy.__file__).parent / "io/nied/tests/data/test.knet"
HEADER = """\
Origin Time       1996/08/11 03:12:00
Lat.              38.9
Long.             140.6
Depth. (km)       10
Mag.              5.9
Station Code      AKTH04
Station Lat.      39.17
Station Long.     140.51
Station Height(m) 120
Record Time       1996/08/11 03:12:25
Sampling Freq(Hz) 200Hz
Duration Time(s)  1
Dir.              {direction}
Scale Factor      2000(gal)/8388608
Max. Acc. (gal)   2.0
Last Correction   1996/08/11 03:12:10
Memo.
"""


def text(direction: str = "N-S", values: np.ndarray | None = None) -> str:
    values = np.arange(200) if values is None else values
    rows = (" ".join(f"{v:8d}" for v in row) for row in values.reshape(-1, 8))
    return HEADER.format(direction=direction) + "\n".join(rows) + "\n"


def read(content: bytes | str, name: str = "x") -> tuple[Trace, list[str]]:
    reasons: list[str] = []
    file = SourceFile(name, content.encode() if isinstance(content, str) else content)
    assert source_for(file) is SOURCE
    (trace,) = SOURCE.read(file, samples=True, report=lambda _, why: reasons.append(why))
    return trace, reasons


@pytest.mark.skipif(not SAMPLE.exists(), reason="this ObsPy comes without its test data")
def test_against_obspy_and_the_peak_of_the_header():
    trace, reasons = read(SAMPLE.read_bytes())
    other = obspy.read(str(SAMPLE))[0]
    assert trace.start == other.stats.starttime.ns
    assert float(1 / trace.interval) == other.stats.sampling_rate
    np.testing.assert_allclose(trace.data, other.data * other.stats.calib, rtol=1e-14)
    assert (trace.site.latitude, trace.site.elevation) == (39.6069, 34.0)
    assert (trace.id, trace.site.azimuth) == ("BO.AKT013..HNE", 90.0)
    # The peak in the header is that of the whole record less its mean; this one is shortened.
    assert 100 * np.abs(trace.data - trace.data.mean()).max() <= other.stats.knet.accmax + 1
    assert len(reasons) == (trace.samples < 5900)


@pytest.mark.parametrize(
    ("direction", "channel", "location", "azimuth", "dip"),
    [
        ("N-S", "HNN", "", 0.0, 0.0), ("E-W", "HNE", "", 90.0, 0.0), ("U-D", "HNZ", "", 0.0, -90.0),
        ("1", "HNN", "01", 0.0, 0.0), ("2", "HNE", "01", 90.0, 0.0), ("3", "HNZ", "01", 0.0, -90.0),
        ("4", "HNN", "02", 0.0, 0.0), ("5", "HNE", "02", 90.0, 0.0), ("6", "HNZ", "02", 0.0, -90.0),
    ],
)  # fmt: skip
def test_components(direction, channel, location, azimuth, dip):
    """Borehole and surface of KiK-net are two sensors with three components each."""
    trace, reasons = read(text(direction))
    assert (trace.channel, trace.location, trace.network) == (channel, location, "BO")
    assert (trace.site.azimuth, trace.site.dip) == (azimuth, dip)
    assert reasons == []
    # Japanese time is nine hours ahead; the recorder's clock is 15 s late.
    assert trace.start == obspy.UTCDateTime(1996, 8, 10, 18, 12, 10).ns
    np.testing.assert_allclose(trace.data, np.arange(200) * 2000 / 8388608 / 100, rtol=1e-14)
    assert trace.quantity == "acceleration"


def test_a_pair_of_kiknet_becomes_two_stations(tmp_path):
    for number in range(1, 7):
        ending = ("NS", "EW", "UD")[(number - 1) % 3] + str((number - 1) // 3 + 1)
        (tmp_path / f"AKTH049608110312.{ending}").write_text(text(str(number)))
    report = ces.convert(tmp_path, "memory://kiknet")
    assert report.traces_used == 6 and report.count("rejected") == 0
    ds = ces.open_store("memory://kiknet")["continuous/200Hz"].to_dataset()
    assert ds.station.values.tolist() == ["BO.AKTH04.01.HN", "BO.AKTH04.02.HN"]
    assert ds.component.values.tolist() == ["Z", "N", "E"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (("Sampling Freq(Hz) 200Hz", "Sampling Freq(Hz) fast"), "rate or scale factor"),
        (("2000(gal)/8388608", "2000"), "rate or scale factor"),
        (("Dir.              N-S", "Dir.              7"), "direction '7'"),
        (("Record Time ", "Recorded    "), "damaged KNET file"),
        (("     150", "     1x0"), "damaged KNET file"),
    ],
)
def test_damaged(damage, reason):
    with pytest.raises(FormatError, match=reason):
        read(text().replace(*damage))


def test_cut_short():
    trace, reasons = read("\n".join(text().splitlines()[:-5]))
    assert trace.samples == 160
    assert reasons == ["160 samples, not the 200 announced: the file is cut short"]
