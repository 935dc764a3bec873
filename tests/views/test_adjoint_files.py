"""Adjoint sources in the files of SPECFEM."""

from __future__ import annotations

import warnings
from fractions import Fraction

import numpy as np
import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.errors import InputError, ParameterError, SchemaError
from pangeo_ces.products.adjoint import adjoint_source
from pangeo_ces.products.misfit.measure import waveform_misfit
from pangeo_ces.sources.metadata import read_inventory
from pangeo_ces.timeaxis import time_coords
from pangeo_ces.views.adjoint_files import write_adjoint_sources

DT, SAMPLES, START = 0.05, 801, -5.0


def pair(components="ZNE", quantity="displacement", events=1, lazy=False):
    """Windows of one event with a smooth wave; the third station has no observed."""
    made = [
        ces.testing.synthetic_windows(
            quantity=quantity, samples=SAMPLES, sampling_rate=1 / DT, components=components,
            events=events, seed=seed, lazy=False,
        )
        for seed in (1, 2)
    ]  # fmt: skip
    axis = time_coords(samples=SAMPLES, interval=Fraction(1, 20), offset=Fraction(-5))
    t = START + np.arange(SAMPLES) * DT
    random = np.random.default_rng(3)
    for ds in made:
        size = ds[quantity].shape[:-1]
        at, phase = random.uniform(12, 18, (*size, 1)), random.uniform(0, 6, (*size, 1))
        ds[quantity].values[:] = np.exp(-(((t - at) / 4) ** 2)) * np.cos(2 * t + phase)
    made = [ds.drop_vars("time").assign_coords(axis) for ds in made]
    made[0][quantity].values[:, 2] = np.nan
    return [ds.chunk(station=1) if lazy else ds for ds in made]


def read(path):
    return np.loadtxt(path).T


def test_specfem_files(tmp_path):
    sources = adjoint_source(*pair(lazy=True))
    files = write_adjoint_sources(sources, tmp_path / "SEM")
    names = [f"XX.S00{n}.BX{c}.adj" for n in (0, 1) for c in "ZNE"] + ["STATIONS_ADJOINT"]
    assert files == [str(tmp_path / "SEM" / name) for name in names]
    assert sorted(path.name for path in (tmp_path / "SEM").iterdir()) == sorted(names)
    for n, letter in ((0, "Z"), (1, "E")):
        times, values = read(tmp_path / "SEM" / f"XX.S00{n}.BX{letter}.adj")
        np.testing.assert_allclose(times, sources["time"].values, atol=1e-9)
        expected = sources["adjoint_source"].sel(component=letter)[0, n].values
        np.testing.assert_allclose(values, expected, rtol=1e-12)  # forward in time
    inventory = read_inventory([tmp_path / "SEM" / "STATIONS_ADJOINT"])
    found = [(network.code, s.code, s.latitude, s.longitude)
             for network in inventory for s in network]  # fmt: skip
    assert found == [("XX", "S000", 42.0, 13.0), ("XX", "S001", 42.5, 13.5)]


def test_missing_components_are_zero(tmp_path):
    sources = adjoint_source(*pair(components="N"))
    write_adjoint_sources(sources, tmp_path)
    assert read(tmp_path / "XX.S000.BXN.adj")[1].any()
    for letter in "ZE":
        assert not read(tmp_path / f"XX.S000.BX{letter}.adj")[1].any()


@pytest.mark.parametrize("how", ["azimuths", "back-azimuth"])
def test_radial_and_transverse_become_north_and_east(tmp_path, how):
    """The derivative by N and E is the same whether the misfit is measured on them or on R, T."""
    observed, synthetic = pair()
    write_adjoint_sources(adjoint_source(observed, synthetic), tmp_path / "ZNE")
    turned = adjoint_source(*(ces.rotate(ds, to="ZRT") for ds in (observed, synthetic)))
    if how == "back-azimuth":
        turned = turned.drop_vars(["azimuth", "dip"])
    write_adjoint_sources(turned, tmp_path / "ZRT")
    for path in (tmp_path / "ZNE").glob("*.adj"):
        np.testing.assert_allclose(read(path), read(tmp_path / "ZRT" / path.name), atol=1e-12)


@pytest.mark.parametrize("quantity, order", [("velocity", 1), ("acceleration", 2)])
def test_sources_act_on_displacement(tmp_path, quantity, order):
    """∫ f δv dt of the misfit in velocity is ∫ g δu dt of what is written."""
    t = START + np.arange(SAMPLES) * DT
    change = np.exp(-(((t - 14) / 5) ** 2)) * np.cos(1.5 * t)
    derived = change
    for _ in range(order):
        derived = np.gradient(derived, DT)
    observed, synthetic = pair(quantity=quantity)
    write_adjoint_sources(adjoint_source(observed, synthetic), tmp_path)
    misfits = []
    for step in (1e-4, -1e-4):
        moved = synthetic.copy(deep=True)
        moved[quantity].values[0, 0, 0] += step * derived
        misfits.append(waveform_misfit(observed, moved)["misfit"].values[0, 0, 0])
    written = read(tmp_path / "XX.S000.BXZ.adj")[1]
    slope = (misfits[0] - misfits[1]) / 2e-4
    assert (written * change).sum() * DT == pytest.approx(slope, rel=1e-6)


def test_axis_of_the_run(tmp_path):
    """Between the samples by Lanczos, zero outside; 20 samples on each side give 2e-4."""
    sources = adjoint_source(*pair())
    write_adjoint_sources(sources, tmp_path, dt=0.008, nstep=7000, t0=-8.0)
    times, values = read(tmp_path / "XX.S000.HXZ.adj")  # 0.008 s: band code H
    np.testing.assert_allclose(times, -8.0 + 0.008 * np.arange(7000), atol=1e-7)
    own = sources["adjoint_source"].values[0, 0, 0]
    assert not values[times < START - 1e-9].any()
    assert not values[times > START + (SAMPLES - 1) * DT + 1e-9].any()
    spline = xr.DataArray(own, dims="t", coords={"t": sources["time"].values})
    inside = (times > 0) & (times < 30)
    expected = spline.interp(t=times[inside], method="cubic").values
    np.testing.assert_allclose(values[inside], expected, atol=2e-4 * np.abs(own).max())
    # Whole samples later: the same numbers, not interpolated.
    write_adjoint_sources(sources, tmp_path / "moved", t0=-4.0, nstep=900)
    values = read(tmp_path / "moved" / "XX.S000.BXZ.adj")[1]
    np.testing.assert_allclose(values[:781], own[20:], rtol=1e-12)
    assert values.size == 900 and not values[781:].any()


@pytest.mark.parametrize(
    "dt, code", [(1.0, "L"), (0.5, "M"), (0.1, "B"), (0.0125, "H"), (0.004, "C"), (0.001, "F")]
)
def test_band_codes(tmp_path, dt, code):
    """As SPECFEM names its seismograms: limits belong to the faster band, but for 1 s."""
    write_adjoint_sources(adjoint_source(*pair()), tmp_path, dt=dt, nstep=20)
    assert (tmp_path / f"XX.S000.{code}XZ.adj").exists()


def test_cartesian_names(tmp_path):
    sources = adjoint_source(*pair())
    write_adjoint_sources(sources, tmp_path, cartesian=True)
    east = sources["adjoint_source"].sel(component="E")[0, 0]
    np.testing.assert_allclose(read(tmp_path / "XX.S000.BXX.adj")[1], east, rtol=1e-12)
    assert (tmp_path / "XX.S000.BXY.adj").exists()


def test_several_events(tmp_path):
    sources = adjoint_source(*pair(events=2))
    write_adjoint_sources(sources, tmp_path)
    for n in (0, 1):
        values = read(tmp_path / f"event{n}" / "XX.S001.BXN.adj")[1]
        np.testing.assert_allclose(values, sources["adjoint_source"][n, 1, 1], rtol=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_asdf_file(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyasdf = pytest.importorskip("pyasdf")
    sources = adjoint_source(*pair(), min_period=2.0, max_period=20.0)
    path = tmp_path / "adjoint.h5"
    assert write_adjoint_sources(sources, path, format="asdf") == [str(path)]
    with pyasdf.ASDFDataSet(str(path), mode="r", mpi=False) as file:
        group = file.auxiliary_data.AdjointSources
        names = [f"XX_S00{n}_BX{c}" for n in (0, 1) for c in "ENZ"]
        assert sorted(group.list()) == sorted(names)
        item = group["XX_S001_BXE"]
        np.testing.assert_array_equal(item.data[:], sources["adjoint_source"][0, 1, 2])
        about = item.parameters
    assert (about["dt"], about["time_offset"]) == (DT, START)
    assert about["misfit"] == sources["misfit"].values[0, 1, 2]
    assert (about["station_id"], about["component"]) == ("XX.S001", "BXE")
    assert (about["adj_src_type"], about["min_period"]) == ("waveform", 2.0)
    assert (about["latitude"], about["longitude"], about["elevation_in_m"]) == (42.5, 13.5, 0.0)
    assert about["starttime"] == "2016-08-24T01:36:27.000000Z"


def test_misuse(tmp_path):
    sources = adjoint_source(*pair())
    with pytest.raises(ParameterError, match="'specfem' or 'asdf'"):
        write_adjoint_sources(sources, tmp_path, format="sac")
    with pytest.raises(ParameterError, match="give DT"):
        write_adjoint_sources(sources, tmp_path, dt=0.0)
    with pytest.raises(ParameterError, match="give NSTEP"):
        write_adjoint_sources(sources, tmp_path, t0=1e4)
    two = adjoint_source(*pair(events=2))
    with pytest.raises(ParameterError, match=r"ds\.isel\(event=\[0\]\)"):
        write_adjoint_sources(two, tmp_path / "a.h5", format="asdf")
    with pytest.raises(SchemaError, match=r"no adjoint_source here: give"):
        write_adjoint_sources(pair()[0], tmp_path)
    with pytest.raises(SchemaError, match="no latitude here"):
        write_adjoint_sources(sources.drop_vars("latitude"), tmp_path)
    twice = sources.assign_coords(station=["XX.A.00.HH", "XX.A.10.HH", "XX.C..HH"])
    with pytest.raises(SchemaError, match=r"two sensors of XX\.A"):
        write_adjoint_sources(twice, tmp_path)
    blind = adjoint_source(*(ces.rotate(ds, to="ZRT") for ds in pair()))
    with pytest.raises(SchemaError, match=r"ces\.rotate before measuring"):
        write_adjoint_sources(blind.drop_vars(["azimuth", "dip", "back_azimuth"]), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose a folder"):
        write_adjoint_sources(sources, tmp_path / "file")
