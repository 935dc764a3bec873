"""Every output format of SPECFEM3D against the ASCII files of the same run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest

import pangeo_ces as ces
from pangeo_ces.errors import FormatError
from pangeo_ces.sources import SourceFile, Trace, source_for
from pangeo_ces.sources.specfem import read_cmtsolution
from pangeo_ces.sources.specfem_run import Run

SAMPLES = "04_specfem_own/format_samples"
FILES = {
    "binary": "*.sem?", "su": "*_SU", "su_main": "*_SU", "hdf5": "*.h5",
    "onefile": "all_*", "onefile_main": "all_*",
}  # fmt: skip


def read(path: Path, samples: bool = True) -> tuple[list[Trace], list[str]]:
    reasons: list[str] = []
    file = SourceFile(str(path))
    source = source_for(file)
    assert source is not None
    return source.read(file, samples=samples, report=lambda _, why: reasons.append(why)), reasons


def read_run(folder: Path, pattern: str) -> dict[tuple[str, str], Trace]:
    found: dict[tuple[str, str], Trace] = {}
    for path in sorted(folder.glob(pattern)):
        traces, reasons = read(path)
        assert reasons == []
        for trace in traces:
            assert (trace.id, trace.quantity) not in found
            found[trace.id, trace.quantity] = trace
    return found


@pytest.mark.parametrize("form", FILES)
def test_same_traces_as_ascii(data, form):
    """Equal headers, and float32 values equal to the last bit."""
    plain = read_run(data(f"{SAMPLES}/ascii/OUTPUT_FILES"), "*.sem?")
    found = read_run(data(f"{SAMPLES}/{form}/OUTPUT_FILES"), FILES[form])
    assert len(plain) == 36 and sorted(found) == sorted(plain)
    for key, one in plain.items():
        two = found[key]
        assert (one.start, one.interval, one.samples) == (two.start, two.interval, two.samples)
        assert (one.site, one.origin) == (two.site, two.origin)
        assert two.data.dtype == np.float32 and two.data.flags.c_contiguous
        np.testing.assert_array_equal(one.data, two.data)


def test_headers_without_samples(data):
    traces, _ = read(data(f"{SAMPLES}/su/OUTPUT_FILES/0_dx_SU"), samples=False)
    assert [(t.id, t.samples, t.data) for t in traces] == [
        ("IT.NRC..BXE", 400, None), ("IV.NRCA..BXE", 400, None),
    ]  # fmt: skip


@pytest.mark.parametrize("run", ["ascii", "multi", "single_shift", "hdur0", "chunked"])
def test_start_by_rule_is_that_of_the_log_and_of_the_files(data, run):
    """Where there is no solver log, SPECFEM's rule gives the time of the first sample."""
    path = data(f"{SAMPLES}/{run}/OUTPUT_FILES/IT.AMT.BXE.semd")
    known = Run.of(SourceFile(str(path)))
    stated = Fraction(str(np.loadtxt(path)[0, 0]))
    assert known.start == stated
    assert Run(known.file, known.parameters, known.stations, known.sources, "").start == stated


@pytest.mark.parametrize(
    ("dt", "code"),
    [("1.0", "LXE"), ("0.5", "MXE"), ("0.05", "BXE"), ("0.01", "HXE"), ("0.002", "CXE"),
     ("0.0005", "FXE")],
)  # fmt: skip
def test_channel_codes(dt, code):
    assert Run(SourceFile("x"), {"DT": dt}, {}, [], "").channel("x") == code
    cartesian = Run(SourceFile("x"), {"DT": dt, "SUPPRESS_UTM_PROJECTION": ".true."}, {}, [], "")
    assert cartesian.channel("y") == code[:2] + "Y"


@pytest.fixture
def copied(data, tmp_path) -> Callable[[str], Path]:
    def copy(run: str) -> Path:
        target = tmp_path / run
        shutil.copytree(data(f"{SAMPLES}/{run}"), target)
        for path in target.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        return target / "OUTPUT_FILES"

    return copy


def test_su_needs_its_companions(copied):
    folder = copied("su")
    (folder / "output_list_stations.txt").rename(folder / "x")
    with pytest.raises(FormatError, match="put output_list_stations.txt of the run beside it"):
        read(folder / "0_dx_SU")
    (folder / "x").rename(folder / "output_list_stations.txt")
    (folder.parent / "DATA/Par_file").unlink()
    with pytest.raises(FormatError, match="put the Par_file"):
        read(folder / "0_dx_SU")


def test_su_beside_stations_of_another_run(copied):
    """Coordinates in the headers tell when a station list is not that of the run."""
    folder = copied("su")
    listed = (folder / "output_list_stations.txt").read_text().splitlines()
    (folder / "output_list_stations.txt").write_text("\n".join([*reversed(listed[:3]), listed[3]]))
    traces, reasons = read(folder / "1_dx_SU")
    assert [t.id for t in traces] == ["IT.ASP..BXE"]
    assert len(reasons) == 1 and "it is of another run" in reasons[0]
    (folder / "output_list_stations.txt").write_text(listed[0])
    traces, reasons = read(folder / "1_dx_SU")
    assert len(traces) == 1 and "station number 4" in reasons[0]


@pytest.mark.parametrize("swapped", [False, True])
def test_su_byte_order_and_damage(copied, swapped):
    path = copied("su") / "0_dx_SU"
    whole, _ = read(path)
    content = path.read_bytes()
    if swapped:
        words = []
        for at in range(0, len(content), 240 + 1600):
            head = np.frombuffer(content[at : at + 240], "<i4")
            shorts = np.frombuffer(content[at + 112 : at + 120], "<i2").astype(">i2").tobytes()
            head = head.astype(">i4").tobytes()
            samples = np.frombuffer(content[at + 240 : at + 1840], "<f4").astype(">f4").tobytes()
            words.append(head[:112] + shorts + head[120:] + samples)
        path.write_bytes(b"".join(words))
        for one, two in zip(whole, read(path)[0], strict=True):
            np.testing.assert_array_equal(one.data, two.data)
    else:
        path.write_bytes(content[:-7])
        with pytest.raises(FormatError, match="whole number of Seismic Unix traces"):
            read(path)
        path.write_bytes(b"")
        with pytest.raises(FormatError, match="empty file"):
            read(path)


def test_run_that_blew_up(copied):
    path = copied("hdf5") / "seismograms.h5"
    with h5py.File(path, "r+") as file:
        file["veloc"][0, 7, 1] = np.nan
    traces, reasons = read(path)
    assert len(traces) == 35
    assert reasons == ["rejected: NaN or infinite values: the run blew up, use a smaller DT"]


def test_run_that_did_not_end(copied):
    folder = copied("onefile")
    log = folder / "output_solver.txt"
    log.write_text(log.read_text().replace("End of the simulation", ""))
    assert "the run did not end" in read(folder / "all_seismograms_d_node_00000.ascii")[1][0]


def test_long_ascii_with_one_bad_seismogram(copied):
    path = copied("onefile_main") / "all_seismograms_d_main.ascii"
    lines = path.read_text().splitlines()
    lines[100] = "  0.9500  what"
    path.write_text("\n".join(lines) + "\n")
    traces, reasons = read(path)
    assert len(traces) == 11 and len(reasons) == 1
    assert reasons[0].startswith("rejected: not two columns")


def test_foreign_hdf5_is_not_claimed(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["velocity"] = np.zeros(5)
    assert source_for(SourceFile(str(tmp_path / "x.h5"))) is None


def test_binary_run_becomes_a_store(data, tmp_path):
    report = ces.convert(
        data(f"{SAMPLES}/su/OUTPUT_FILES"), tmp_path / "s.zarr", as_="synthetic/su"
    )
    assert report.traces_used == 36
    assert report.count("rejected") == 0, report.rows
    (source,) = read_cmtsolution(data(f"{SAMPLES}/su/DATA/CMTSOLUTION").read_bytes())
    ds = ces.open_store(tmp_path / "s.zarr")["windows/main/synthetic/su/20Hz"].to_dataset()
    assert ds.origin_time.values[0].astype("datetime64[ns]").astype(int) == source.origin
