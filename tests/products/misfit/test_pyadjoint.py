"""Misfits and adjoint sources against pyadjoint 0.2.3, and against a file of pyatoa."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import obspy
import pytest
import xarray as xr

from pangeo_ces.products.adjoint import adjoint_source
from pangeo_ces.products.misfit.double_difference import (
    double_difference,
    double_difference_source,
)
from pangeo_ces.products.misfit.measure import waveform_misfit

TABLE = json.loads(Path(__file__).with_name("pyadjoint_0_2_3.json").read_text())
RUNS = [(case, run) for case in ("surface", "body") for run in TABLE[case]]
every_run = pytest.mark.parametrize("case, run", RUNS)
#: pyadjoint gives no derivative of convolution: test_adjoint.py has one by differences.
every_source = pytest.mark.parametrize(
    "case, run", [(c, r) for c, r in RUNS if TABLE[c][r]["measure"] != "convolution"]
)
#: Its Slepian tapers are iterated to 1e-8; all else is rounding.
CLOSE = 1e-9


@every_run
def test_misfits_and_measurements(formula, pyadjoint, case, run):
    observed, synthetic, windows, periods = formula(case)
    theirs = pyadjoint[case][run]
    options = {"measure": theirs["measure"], **periods, **theirs["options"]}
    ours = waveform_misfit(observed, synthetic, windows, **options)
    assert ours["misfit"].item() == pytest.approx(theirs["misfit"], rel=CLOSE)
    assert ours["status"].item() == 0 and ours["windows"].item() == windows.sizes["window"]
    if "stats" in theirs:
        each = waveform_misfit(observed, synthetic, windows, per_window=True, **options)
        assert each["misfit"].sum().item() == pytest.approx(theirs["misfit"], rel=CLOSE)
        names = ("time_shift", "dlna", "time_shift_error", "dlna_error")
        found = np.stack([each[name].values.ravel() for name in names], axis=-1)
        wanted = np.array(theirs["stats"])
        if not options.get("use_cc_error", True):
            found, wanted = found[:, :2], wanted[:, :2]
        np.testing.assert_allclose(found, wanted, rtol=CLOSE, atol=1e-10)
    if "multitaper" in theirs:  # or by cross-correlation, for each of the reasons
        assert each["multitaper_windows"].values.ravel().tolist() == theirs["multitaper"]


@every_source
def test_adjoint_sources(formula, pyadjoint, case, run):
    theirs = pyadjoint[case][run]
    observed, synthetic, windows, periods = formula(case)
    ours = adjoint_source(
        observed, synthetic, windows, measure=theirs["measure"], **periods, **theirs["options"]
    )
    source = ours["adjoint_source"].values.ravel()
    assert np.abs(source).max() == pytest.approx(theirs["peak"], rel=CLOSE)
    np.testing.assert_allclose(source[::47] / theirs["peak"], theirs["source"], atol=2e-9)
    assert ours["misfit"].item() == pytest.approx(theirs["misfit"], rel=CLOSE)


def test_overlapping_windows_add_up(formula):
    """pyadjoint keeps the last one; the derivative of the sum of the misfits is the sum."""
    both = [(300, 1200), (1010, 1801)]
    found = []
    for windows in (both, both[:1], both[1:]):
        observed, synthetic, edges, _ = formula("surface", windows)
        found.append(adjoint_source(observed, synthetic, edges)["adjoint_source"].values)
    np.testing.assert_allclose(found[0], found[1] + found[2], rtol=1e-12, atol=1e-15)


def test_double_differences(formula, pyadjoint, record, windows_of):
    """The second station is the first moved, by 17 samples (observed) and 23 (synthetic)."""
    observed, synthetic, _, _ = formula("surface")
    d, s = (x["displacement"].values[0, 0] for x in (observed, synthetic))
    edges = np.array([(300, 1200), (1250, 1801), (1850, 2450)])
    theirs = pyadjoint["double"]

    def both(x, y):
        return stations(record, np.stack([x, y]))

    windows = windows_of(both(d, d), edges)
    moved = windows.copy(deep=True)
    for name in moved.data_vars:
        moved[name][1] -= 20 * 0.1
    for run, measure, second, cut in (
        ("waveform", "waveform", 0.9 * np.roll(d, -17), moved),
        ("cc", "cc_traveltime", 0.9 * np.roll(d, -17), moved),
        ("cc_no_observed_shift", "cc_traveltime", 0.9 * d, windows),
    ):
        one, two = both(d, second), both(s, 1.1 * np.roll(s, -23))
        found = double_difference(one, two, cut, measure=measure)
        assert found["misfit"].item() == pytest.approx(theirs[run]["misfit"], rel=CLOSE)
        if measure == "cc_traveltime":
            shifts, errors = zip(*(stats.values() for stats in theirs[run]["stats"]), strict=True)
            assert found["time_shift"].item() == pytest.approx(np.mean(shifts))
            assert found["time_shift_error"].item() == pytest.approx(np.mean(errors))
        if run == "cc":  # pyadjoint moves the synthetics by another shift: see test_adjoint.py
            continue
        found = double_difference_source(one, two, cut, measure=measure)
        source = found["adjoint_source"].values[:, 0, ::47] / theirs[run]["peak"]
        # N has ṡ₁ moved here, ṡ₂ there: what a shift takes out of the window is in one of them.
        close = 2e-5 if measure == "cc_traveltime" else 2e-9
        np.testing.assert_allclose(source[0], theirs[run]["source"], atol=close)
        np.testing.assert_allclose(source[1], theirs[run]["source_2"], atol=close)
        assert found["misfit"].sum().item() == pytest.approx(theirs[run]["misfit"])


def stations(record, x):
    """A Dataset of several stations, one component."""
    parts = [
        record({"Z": row}, dt=0.1, quantity="displacement", offset=-20.0).assign_coords(
            station=[f"XX.S{number}..HX"]
        )
        for number, row in enumerate(x)
    ]
    joined = xr.concat([part.drop_vars("time") for part in parts], "station")
    return joined.assign_coords(xr.Coordinates.from_xindex(parts[0].xindexes["time"]))


@pytest.mark.parametrize("component", "RTZ")
def test_example_of_pyadjoint(data, pyadjoint, record, windows_of, component):
    """Its own records, of a teleseism, 30 to 75 s."""
    folder = data("02_misfit/pyadjoint_example")
    sides = []
    for side in ("observed", "synthetic"):
        (trace,) = obspy.read(folder / f"{side}_processed.mseed").select(component=component)
        sides.append(record({component: trace.data}, dt=1.0, quantity="displacement"))
    windows = windows_of(sides[0], [(800, 900), (1500, 1600)])
    for run, (misfit, peak, *samples) in pyadjoint["example"][component].items():
        measure, *kind = run.split()
        options = {"measure_type": kind[0]} if kind else {}
        ours = adjoint_source(
            *sides, windows, measure=measure, min_period=30.0, max_period=75.0, **options
        )
        assert ours["misfit"].item() == pytest.approx(misfit, rel=CLOSE), run
        source = ours["adjoint_source"].values.ravel()
        assert np.abs(source).max() == pytest.approx(peak, rel=CLOSE)
        np.testing.assert_allclose(source[[840, 870, 1530, 1570]], samples, atol=2e-9 * peak)


def test_source_that_went_into_specfem(data, record, windows_of):
    """pyatoa's adjoint source of NZ.BFZ runs forward in time, as ours does.

    Its shape is that of the synthetic (10-30 s) in the window alone; pyatoa's taper before the
    filter is not known to the last digit, which leaves 0.02 % of the energy.
    """
    folder = data("02_misfit/pyatoa_nz_bfz_2018p130600")
    with gzip.open(folder / "test_adjoint_source_NZ_BFZ_N_2018p130600.adj.gz") as file:
        times, theirs = np.loadtxt(file).T
    window = json.loads((folder / "test_window_NZ_BFZ_N_0_2018p130600.json").read_text())
    (window,) = window["windows"]
    samples = np.loadtxt(folder / "synthetics" / "NZ.BFZ.BXN.semd")[:, 1]
    trace = obspy.Trace(samples, {"delta": 0.03}).detrend("simple").taper(0.05)
    trace.filter("bandpass", freqmin=1 / 30, freqmax=1 / 10, corners=4, zerophase=True)
    shifted = np.roll(trace.data, window["cc_shift_in_samples"]) * np.exp(window["dlnA"])
    observed, synthetic = (
        record({"N": x}, dt=0.03, quantity="displacement", offset=-20.0)
        for x in (shifted, trace.data)
    )
    edges = windows_of(observed, [(window["left_index"], window["right_index"])])
    ours = adjoint_source(observed, synthetic, edges, measure="cc_traveltime")
    source = ours["adjoint_source"]
    np.testing.assert_allclose(source["time"], times, atol=1e-9)
    source = source.values.ravel()
    assert np.dot(source, theirs) / np.linalg.norm(source) / np.linalg.norm(theirs) > 0.9997
    assert np.linalg.norm(source) == pytest.approx(np.linalg.norm(theirs), rel=0.02)
    assert ours["misfit"].item() == pytest.approx(window["cc_shift_in_seconds"] ** 2 / 2)
