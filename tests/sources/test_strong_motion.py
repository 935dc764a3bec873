"""Strong-motion text formats against the peaks their own headers state."""

from __future__ import annotations

import gzip
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import obspy
import pytest

from pangeo_ces.errors import FormatError
from pangeo_ces.sources import SourceFile, Trace, source_for
from pangeo_ces.sources.strong_motion import SOURCE

ROOT = "01_strong_motion"
V2 = [
    f"{ROOT}/cisn_ci15481673_lahabra/CIWLT.V2.gz",
    f"{ROOT}/usgs_nc72282711_southnapa/cisn_v2/CE58667.V2.gz",
]


def read(content: bytes | Path, name: str = "x") -> tuple[list[Trace], list[str]]:
    reasons: list[str] = []
    file = SourceFile(str(content)) if isinstance(content, Path) else SourceFile(name, content)
    assert source_for(file) is SOURCE
    traces = SOURCE.read(file, samples=True, report=lambda trace, reason: reasons.append(reason))
    return traces, reasons


def peak(trace: Trace) -> float:
    """Signed peak in cm units, as headers state it."""
    return 100 * trace.data[np.argmax(np.abs(trace.data))]


def table(rows: list[tuple[str, str, float, float]]) -> None:
    print(f"\n{'trace':16} {'quantity':13} {'header':>12} {'data':>12} {'deviation':>10}")
    for name, quantity, header, found in rows:
        print(f"{name:16} {quantity:13} {header:12.6f} {found:12.6f} {found / header - 1:10.1e}")


def test_esm_pga(data):
    rows = []
    for path in sorted(data(f"{ROOT}/esm_us60004wsq_greece").glob("*.ASC")):
        (trace,), reasons = read(path)
        header = dict(re.findall(r"^([A-Z_/^2]+): (.*)$", path.read_text(), re.MULTILINE))
        rows.append((trace.id, trace.quantity, float(header["PGA_CM/S^2"]), abs(peak(trace))))
        assert trace.start == obspy.UTCDateTime("2019-07-28T16:09:19.870").ns
        assert (trace.interval, trace.samples, reasons) == (Fraction(1, 200), 19128, [])
        assert (trace.site.latitude, trace.site.elevation) == (37.6349, 34.0)
    table(rows)
    assert [row[0] for row in rows] == [f"HI.ARS1..HN{c}" for c in "ENZ"]
    for _, _, header, found in rows:
        assert found == pytest.approx(header, rel=1e-12)


@pytest.mark.parametrize("name", V2)
def test_csmip_v2_peaks(data, name):
    path = data(name)
    text = gzip.decompress(path.read_bytes()).decode()
    stated = [float(p) for p in re.findall(r"^Peak\s+\w+\s*=\s*([-.\d]+)", text, re.MULTILINE)]
    traces, reasons = read(path)
    kinds = ["acceleration", "velocity", "displacement"] * 3
    assert [trace.quantity for trace in traces] == kinds and not reasons
    rows = [(t.id, t.quantity, header, peak(t)) for t, header in zip(traces, stated, strict=True)]
    table(rows)
    for _, _, header, found in rows:
        assert found == pytest.approx(header, abs=0.00051)  # three decimals are printed


def test_csmip_codes_and_sites(data):
    traces, _ = read(data(V2[0]))
    assert [t.id for t in traces[::3]] == ["CI.WLT..HNE", "CI.WLT..HNN", "CI.WLT..HNZ"]
    assert [(t.site.azimuth, t.site.dip) for t in traces[::3]] == [(90, 0), (0, 0), (0, -90)]
    assert (traces[0].site.latitude, traces[0].site.longitude) == (34.009, -117.951)
    assert traces[0].start == obspy.UTCDateTime(2014, 3, 29, 4, 9, 34).ns
    traces, _ = read(data(V2[1]))
    assert [t.id for t in traces[::3]] == ["CE.58667..HN1", "CE.58667..HNZ", "CE.58667..HN2"]
    assert np.isnan(traces[0].site.azimuth)


def test_csmip_v1_is_in_g_and_v3_is_refused(data):
    folder = data(f"{ROOT}/cisn_ci15481673_lahabra")
    traces, _ = read(folder / "CIWLT.RAW.gz")
    peaks = [abs(peak(trace)) / 980.665 for trace in traces]
    assert peaks == pytest.approx([0.0861213, 0.119109, 0.074963], rel=1e-4)
    assert [trace.samples for trace in traces] == [30130, 30058, 30312]
    with pytest.raises(FormatError, match="spectra"):
        read(folder / "CIWLT.V3.gz")


def test_csmip_cut_short(data):
    text = gzip.decompress(data(V2[1]).read_bytes())
    with pytest.raises(FormatError, match="cut short"):
        read(text[: len(text) // 9])


def test_bbp(data):
    traces, reasons = read(data(f"{ROOT}/scec_bbp_northridge_gp") / "1096499.2028-FIG.acc.bbp")
    assert [trace.id for trace in traces] == [f"BB.2028-FIG..HX{c}" for c in "NEZ"]
    assert peak(traces[0]) == pytest.approx(-160.289)
    assert traces[0].site.latitude == 34.111  # from the .stl beside it
    assert (traces[0].start, traces[0].interval) == (0, Fraction(1, 100))
    assert "no absolute time" in reasons[0]


def cosmos(azimuth: int, units: str, values: np.ndarray, form: str = "8F10.5") -> str:
    """One channel as the COSMOS format v1.20 describes it."""
    integers, reals = np.full(100, -999), np.full(100, -999.0)
    integers[53] = azimuth
    reals[:3] = 38.2667, -122.6576, 20.0
    reals[[29, 61]] = 47.695, 5.0  # s of the minute; ms between samples
    head = [
        "Corrected acceleration    (Format v01.20 with 13 text lines) Src: test",
        "Record of",
        "Hypocenter: 38.215   -122.312   H= 11km(NCSN) M=6.0",
        "Origin: 08/24/2014, 10:20:44.0 UTC (NCSN)",
        "Statn No: 02-    0  Code:NP-1743   USGS CA:Petaluma;FS 2",
        "Coords: 38.2667 -122.6576  Site geology:Unknown",
        "Recorder:        s/n:     (  3 Chns of  3 at Sta) Sensor:K2 Epise   s/n",
        "Rcrd start time:08/24/2014, 10:20:47.695 UTC (Q=0) RcrdId:NP.1743.HNE.",
        f"Sta Chan   1: {azimuth} deg (Rcrdr Chan  1) Location:",
        *["Raw record length", "Processed:", "Record filtered below  0.01 Hz"],
        "Values used when parameter or data value is unknown/unspecified:   -999 -999.0",
    ]
    per_line, width, decimals = map(int, re.match(r"(\d+)F(\d+)\.(\d+)", form).groups())

    def block(numbers, per_line, template):
        rows = range(0, len(numbers), per_line)
        return ["".join(template.format(v) for v in numbers[i : i + per_line]) for i in rows]

    return "\n".join(
        [
            *head,
            " 100 Integer-header values follow on  10 lines, Format= (10I8)",
            *block(integers, 10, "{:8d}"),
            " 100 Real-header values follow on  17 lines, Format= (6F13.6)",
            *block(reals, 6, "{:13.6f}"),
            '   1 Comment line(s) follow, each starting with a "|":',
            "| a comment",
            f"{len(values):6d} acceleration pts, approx  1 secs, units={units},Format=({form})",
            *block(values, per_line, f"{{:{width}.{decimals}f}}"),
            "End-of-data for Chan  1 acceleration",
            "",
        ]
    )


def test_cosmos():
    values = np.random.default_rng(0).normal(0, 100, 203).round(5)
    values[0] = -123.45678  # fills its ten columns and touches its neighbour
    values[1] = -999.99999
    text = "".join(cosmos(azimuth, "cm/sec2", values) for azimuth in (90, 360, 400, 700))
    traces, reasons = read(text.encode())
    assert [t.id for t in traces] == [f"NP.1743..HN{c}" for c in "ENZ1"] and not reasons
    assert [t.site.dip for t in traces] == [0, 0, -90, 0]
    assert traces[0].site.latitude == 38.2667 and traces[0].site.elevation == 20.0
    assert traces[0].start == obspy.UTCDateTime("2014-08-24T10:20:47.695").ns
    assert traces[0].interval == Fraction(1, 200)
    for trace in traces:
        np.testing.assert_allclose(trace.data, values / 100, rtol=1e-12)


def test_cosmos_unknown_unit():
    with pytest.raises(FormatError, match="unknown unit 'in/s'"):
        read(cosmos(90, "in/s", np.zeros(8)).encode())
