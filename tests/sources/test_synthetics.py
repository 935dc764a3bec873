"""SPECFEM3D seismograms: exact times, places, axes, and runs that went wrong."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import obspy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obspy.geodetics import gps2dist_azimuth

from pangeo_ces.errors import FormatError
from pangeo_ces.sources import SourceFile, Trace
from pangeo_ces.sources.specfem import number, read_cmtsolution, read_stations
from pangeo_ces.sources.specfem_run import shortest_decimal, time_axis
from pangeo_ces.sources.synthetics import SOURCE

SAMPLES = "04_specfem_own/format_samples"
PDE = obspy.UTCDateTime(2016, 8, 24, 1, 36, 32)


def read(path: Path, samples: bool = True) -> tuple[Trace, list[str]]:
    reasons: list[str] = []
    file = SourceFile(str(path))
    assert SOURCE.matches(file)
    (trace,) = SOURCE.read(
        file, samples=samples, report=lambda trace, reason: reasons.append(reason)
    )
    return trace, reasons


@pytest.mark.parametrize(
    ("run", "start", "interval", "samples"),
    [
        ("ascii", -4.0, "0.05", 400),
        ("chunked", -4.0, "0.15", 134),
        ("multi", -4.0 + 1.5, "0.05", 400),  # the smaller of the shifts 1.5 and 4 s
        ("single_shift", -4.0 + 3.7, "0.05", 400),
        ("hdur0", -0.5, "0.05", 400),
    ],
)
def test_time(data, run, start, interval, samples):
    trace, reasons = read(data(f"{SAMPLES}/{run}/OUTPUT_FILES/IT.AMT.BXE.semv"))
    assert trace.start == PDE.ns + round(Fraction(str(start)) * 10**9)
    assert (trace.interval, trace.samples) == (Fraction(interval), samples)
    assert (trace.quantity, trace.id, reasons) == ("velocity", "IT.AMT..BXE", [])


def test_values_and_rebuilt_times_are_those_of_the_file(data):
    folder = data("04_specfem_own/german_events_small/20020722/OUTPUT_FILES")
    paths = sorted(folder.glob("*.semv"))
    assert len(paths) == 15
    for path in paths:
        trace, reasons = read(path)
        table = np.loadtxt(path)
        assert reasons == [] and trace.interval == Fraction(2, 5)
        assert trace.start == obspy.UTCDateTime(2002, 7, 22, 5, 44, 44, 600000).ns
        rebuilt = np.array([float(-20 + i * trace.interval) for i in range(trace.samples)])
        np.testing.assert_allclose(rebuilt.astype("f4"), table[:, 0].astype("f4"), 0, 1e-15)
        assert trace.data.dtype == np.float32
        printed = [f"{value:.8e}" for value in trace.data.tolist()]
        assert printed == [f"{value:.8e}" for value in table[:, 1]]


def test_utm_axes_point_where_the_grid_points(data):
    folder = data("04_specfem_own/amatrice/OUTPUT_FILES")
    east, north, up = (read(folder / f"IT.AMT.BX{c}.semd")[0].site for c in "ENZ")
    convergence = -1.161  # degrees at 13.286 E in zone 33, of which 15 E is the middle
    assert east.azimuth == pytest.approx(90 + convergence, abs=1e-3)
    assert north.azimuth == pytest.approx(360 + convergence, abs=1e-3)
    assert (up.dip, up.latitude, up.longitude) == (-90.0, 42.63246, 13.286176)


def test_grid_convergence_against_positions_of_specfem(data):
    """True azimuth between two stations less the one on SPECFEM's own grid is the convergence."""
    folder = data("04_specfem_own/amatrice/OUTPUT_FILES")
    rows = [line.split() for line in (folder / "output_list_stations.txt").open()]
    grid = {row[0]: complex(float(row[3]), float(row[2])) for row in rows}  # north + i east
    north = {name: read(folder / f"IT.{name}.BXN.semd")[0].site for name in ("AMT", "TRE", "BZZ")}
    for one, two in (("AMT", "TRE"), ("TRE", "BZZ"), ("BZZ", "AMT")):
        a, b = north[one], north[two]
        true = gps2dist_azimuth(a.latitude, a.longitude, b.latitude, b.longitude)[1:]
        mean_true = np.exp(1j * np.radians([true[0], true[1] + 180.0])).mean()
        between = np.degrees(np.angle(mean_true / (grid[two] - grid[one])))
        assert between == pytest.approx((a.azimuth + b.azimuth) / 2 - 360.0, abs=0.01)


def test_cartesian_run_has_no_coordinates(data):
    trace, reasons = read(data(f"{SAMPLES}/cart/OUTPUT_FILES/XX.S01.BXX.semd"))
    assert np.isnan(trace.site.latitude) and trace.site.azimuth == 90.0
    assert "Cartesian metres" in reasons[0]


def test_globe_ascii_and_sac_agree(data):
    folder = data("04_specfem_own/globe_italy/OUTPUT_FILES")
    ascii_, _ = read(folder / "IV.NRCA.MXE.sem.ascii")
    sac, _ = read(folder / "IV.NRCA.MXE.sem.sac")
    np.testing.assert_allclose(ascii_.data, sac.data, rtol=1e-6, atol=1e-12)
    assert ascii_.start == sac.start == (PDE - 7.5).ns
    assert ascii_.interval == sac.interval == Fraction("0.12679265")
    assert (ascii_.id, sac.id) == ("IV.NRCA..MXE",) * 2
    assert ascii_.site.azimuth == 90.0  # GLOBE's axes are true


def test_sac_without_station_or_time(data):
    folder = data("04_specfem/dare_abruzzo_20130216")
    sac, _ = read(folder / "synth_semv_sac/IV.ARRO.HXE.semv.sac")
    text, _ = read(folder / "synth_ascii/IV.ARRO.HXE.semv.gz")
    assert sac.id == text.id == "IV.ARRO..HXE"
    assert sac.start == text.start == obspy.UTCDateTime(2013, 2, 16, 21, 16, 7, 289375).ns
    np.testing.assert_allclose(sac.data, text.data, rtol=1e-6)
    assert sac.site.latitude == 42.57917


def test_killed_run_is_reported(data):
    trace, reasons = read(data(f"{SAMPLES}/killed/OUTPUT_FILES/IT.AMT.BXE.semd"))
    assert trace.samples == 1000
    assert reasons == ["1000 of 20000 samples: the run was stopped early"]


@pytest.mark.parametrize(
    ("run", "name", "reason"),
    [
        ("strain", "IT.AMT.SEN.semd", "strain EN"),
        ("force", "IT.AMT.BXE.semd", "FORCESOLUTION has no origin time"),
    ],
)
def test_refused(data, run, name, reason):
    with pytest.raises(FormatError, match=reason):
        read(data(f"{SAMPLES}/{run}/OUTPUT_FILES/{name}"))


def test_binary_without_its_par_file_is_refused(data, tmp_path):
    path = tmp_path / "IT.AMT.BXE.semd"
    shutil.copyfile(data(f"{SAMPLES}/binary/OUTPUT_FILES/{path.name}"), path)
    with pytest.raises(FormatError, match="binary needs the Par_file of the run"):
        read(path)


@pytest.fixture
def run(data, tmp_path):
    """A small run that may be damaged."""
    (tmp_path / "OUTPUT_FILES").mkdir()
    source = data(f"{SAMPLES}/ascii")
    for name in ("CMTSOLUTION", "STATIONS", "Par_file"):
        (tmp_path / "DATA").mkdir(exist_ok=True)
        shutil.copy(source / "DATA" / name, tmp_path / "DATA" / name)
    path = tmp_path / "OUTPUT_FILES" / "IT.AMT.BXE.semd"
    shutil.copyfile(source / "OUTPUT_FILES" / path.name, path)
    return path


def test_without_cmtsolution_the_fix_is_told(run):
    (run.parents[1] / "DATA/CMTSOLUTION").unlink()
    with pytest.raises(FormatError, match="put the CMTSOLUTION of the run into DATA/"):
        read(run)


def test_changed_cmtsolution_is_read_again(run):
    first = read(run)[0].start
    cmt = run.parents[1] / "DATA/CMTSOLUTION"
    cmt.write_text(cmt.read_text().replace("1 36 32.00", "1 36 33.500"))
    assert read(run)[0].start - first == 1_500_000_000


def test_par_file_of_another_run(run):
    par = run.parents[1] / "DATA/Par_file"
    par.write_text("DT = 0.04d0\nUTM_PROJECTION_ZONE = 33\n")
    trace, reasons = read(run)
    assert trace.interval == Fraction(1, 20)
    assert "not 0.04 s as in Par_file" in reasons[0]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda text: "", "empty file"),
        (lambda text: text.replace(text.splitlines()[9], "  0.5"), "not two columns"),
        (lambda text: "\n".join(text.splitlines()[:20] + text.splitlines()[21:]), "line 21"),
        (lambda text: text[:-16] + "       NaN\n", "NaN or infinite from line 400"),
        (lambda text: text.replace(text.split()[1], "********", 1), "not two columns"),
    ],
)
def test_damaged_seismogram(run, damage, reason):
    run.write_text(damage(run.read_text()))
    with pytest.raises(FormatError, match=reason):
        read(run)


def test_last_line_cut_short_is_left_out(run):
    text = run.read_text()
    run.write_text(text[:-9])
    trace, reasons = read(run)
    assert trace.samples == 399
    assert "line 400 is cut short: left out" in reasons


def test_duplicate_station_names():
    stations = read_stations(b"AMT IT 42.0 13.0 0. 0.\nAMT IT 43.0 13.5 0.d0 5.\n")
    assert stations["IT", "AMT_02"].latitude == 43.0
    with pytest.raises(FormatError, match="line 1 of STATIONS"):
        read_stations(b"AMT IT 42.0 13.0\n")


def test_cmtsolution_variants(data):
    (own,) = read_cmtsolution(data(f"{SAMPLES}/ascii/DATA/CMTSOLUTION").read_bytes())
    assert own.origin == PDE.ns and own.time_shift == 0 and own.region == "AMATRICE"
    text = data(f"{SAMPLES}/ascii/DATA/CMTSOLUTION").read_text()
    bare = text.replace(" PDE 2016", "PDEW2016").replace(" 6.2 6.2 AMATRICE", "")
    (same,) = read_cmtsolution(bare.encode())
    assert (same.origin, same.catalog, same.region) == (PDE.ns, "PDEW", "")
    with pytest.raises(FormatError, match="12 lines"):
        read_cmtsolution("\n".join(text.splitlines()[:12]).encode())
    with pytest.raises(FormatError, match="line 7"):
        read_cmtsolution(text.replace("depth:             8.0000", "depth: deep").encode())


@pytest.mark.parametrize(
    ("text", "value"), [("1.d23", 1e23), ("0.05", 0.05), ("-2", -2.0), ("8.", 8.0)]
)
def test_fortran_numbers(text, value):
    assert number(text) == value


@given(
    st.integers(-300_000, 300_000), st.integers(1, 50_000), st.integers(0, 3),
    st.integers(2, 4000),
)  # fmt: skip
def test_time_axis_survives_single_precision(milliseconds, steps, digits, size):
    """Any short t0 and dt come back as the decimals that fit the float32 column."""
    start, interval = Fraction(milliseconds, 1000), Fraction(steps, 1000 * 10**digits)
    exact = np.array([float(start + i * interval) for i in range(size)])
    column = exact.astype(np.float32).astype(float)
    if np.any(np.diff(column) <= 0):
        return  # no clock can be read off a column whose times coincide
    found_start, found, kept = time_axis(column, interval)
    assert (found_start, found, kept) == (start, interval, True)
    if float(interval) <= 2 * np.spacing(np.abs(column).max().astype("f4")):
        return  # nor off one whose steps drown in rounding, without a Par_file
    derived = time_axis(column, None)[1]
    drift = abs(float(derived - interval)) * (size - 1)
    assert drift <= 2 * np.spacing(np.abs(column).max().astype("f4"))


@given(st.floats(0.0001, 100), st.floats(1e-9, 1))
def test_shortest_decimal_lies_inside(low, width):
    assert low <= shortest_decimal(low, low + width) <= low + width
