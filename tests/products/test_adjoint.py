"""Adjoint sources are derivatives of the misfits; values against pyadjoint are in misfit/."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError, SchemaError
from pangeo_ces.products.adjoint import adjoint_source
from pangeo_ces.products.misfit._options import Measure
from pangeo_ces.products.misfit.double_difference import (
    double_difference,
    double_difference_source,
)
from pangeo_ces.products.misfit.measure import waveform_misfit

DT, SAMPLES = 0.1, 1501
T = np.arange(SAMPLES) * DT
WINDOWS = [(200, 651), (600, 1000), (1020, 1300)]  # odd and even lengths, two overlap
every_measure = pytest.mark.parametrize("measure", get_args(Measure))


def wave(*pulses):
    return sum(
        a * np.exp(-(((T - at) / width) ** 2)) * np.cos(2 * np.pi * (T - at) / period)
        for at, width, period, a in pulses
    )


SYNTHETIC = wave((40, 9, 9, 1.0), (75, 14, 14, 0.7), (110, 10, 7, 0.5))
OBSERVED = wave((40.9, 9, 9, 0.8), (74.2, 14, 14, 0.9), (110.6, 10, 7, 0.4))
CHANGE = 0.3 * np.exp(-(((T - 70) / 35) ** 2)) * np.cos(2 * np.pi * T / 11 + 1)


@pytest.fixture
def windows():
    def make(ds, samples):
        edge = np.array(samples, float).T[:, None, None] * DT + np.zeros(
            (2, ds.sizes["station"], 1, 1)
        )
        dims = ("station", "component", "window")
        return xr.Dataset(
            {"window_start": (dims, edge[0]), "window_end": (dims, edge[1])},
            coords={name: ds[name] for name in dims[:2]},
        )  # fmt: skip

    return make


def slopes(record, observed, synthetic, cut, **options):
    """Of the misfit along CHANGE: by the adjoint source, and by central differences."""
    one = record({"Z": observed}, dt=DT)
    edges = cut(one)
    source = adjoint_source(one, record({"Z": synthetic}, dt=DT), edges, **options)
    misfits = [
        waveform_misfit(one, record({"Z": synthetic + step * CHANGE}, dt=DT), edges, **options)
        for step in (1e-4, -1e-4)
    ]
    by_source = (source["adjoint_source"].values.ravel() * CHANGE).sum() * DT
    return by_source, np.subtract(*(m["misfit"].item() for m in misfits)) / 2e-4


@pytest.mark.parametrize(
    "measure, options, tolerance",
    [
        # Sampled misfits and integrals differ by what Simpson's rule has over sums.
        ("waveform", {}, 1e-6),
        ("waveform_normalised", {}, 1e-5),
        ("zero_lag_cc", {}, 1e-6),
        ("cross_correlation", {}, 1e-6),
        ("cc_traveltime", {"measure_type": "am"}, 1e-6),
        ("log_amplitude", {}, 1e-6),
        ("sqrt_amplitude", {}, 1e-6),
        ("envelope", {}, 1e-6),
        ("instantaneous_phase", {}, 1e-5),
        # Simpson's weights alternate under a product of another phase.
        ("convolution", {}, 1e-3),
        # |s - d| has corners: where they fall between samples is not seen.
        ("waveform_l1", {}, 5e-3),
        ("waveform_l1_normalised", {}, 5e-2),
    ],
)
def test_derivative_of_any_pair(record, windows, measure, options, tolerance):
    found, expected = slopes(
        record, OBSERVED, SYNTHETIC, lambda ds: windows(ds, WINDOWS), measure=measure, **options
    )
    assert found == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("delay", [3, 6, 10])
@pytest.mark.parametrize(
    "measure, options, tolerance",
    [
        # Differences of second order for ds/dt: (2 pi dt / T)² / 6, for 7 s 0.13 %.
        ("cc_traveltime", {"subsample": True}, 2e-3),
        ("multitaper", {"min_period": 5.0, "max_period": 40.0}, 1e-3),
        ("multitaper", {"min_period": 5.0, "max_period": 40.0, "measure_type": "am"}, 1e-6),
    ],
)
def test_derivative_of_a_delay(record, windows, delay, measure, options, tolerance):
    """Formulas of traveltimes are for a synthetic of the observed's shape."""
    options = {"measure": measure, **options}
    found, expected = slopes(
        record, 0.9 * np.roll(SYNTHETIC, delay), SYNTHETIC,
        lambda ds: windows(ds, [(100, 1400)]), **options,
    )  # fmt: skip
    assert found == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize(
    "measure, options, worst",
    [
        ("cc_traveltime", {"subsample": True}, 0.15),
        ("multitaper", {"min_period": 5.0, "max_period": 40.0}, 0.25),
        ("multitaper", {"min_period": 5.0, "max_period": 40.0, "measure_type": "am"}, 0.05),
        ("exponentiated_phase", {}, 1.0),
    ],
)
def test_how_far_conventions_are_from_derivatives(record, windows, measure, options, worst):
    """Of observed and synthetic of different shape: what the field takes for good enough."""
    found, expected = slopes(
        record, OBSERVED, SYNTHETIC, lambda ds: windows(ds, WINDOWS), measure=measure, **options
    )
    assert found * expected > 0 and abs(found / expected - 1) < worst


def test_derivative_of_exponentiated_phase(record):
    """Where the envelope is large everywhere, and the water level small.

    Simpson's weights of the first and last sample are not those of the sum.
    """
    phase = 2 * np.pi * 15 * T / T[-1]
    found, expected = slopes(
        record, 1.1 * np.cos(phase - 0.5), np.cos(phase), lambda ds: None,
        measure="exponentiated_phase", wtr_env=1e-6,
    )  # fmt: skip
    assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("measure, tolerance", [("waveform", 1e-6), ("cc_traveltime", 5e-3)])
def test_derivative_of_double_differences(record, windows, measure, tolerance):
    """Three stations; the observed differ by other delays than the synthetics, the shape does not.

    pyadjoint moves the synthetics by another shift where the observed differ, which is none.
    """

    def stations(x):
        parts = [record({"Z": row}, dt=DT).assign_coords(station=[f"XX.S{n}"])
                 for n, row in enumerate(x)]  # fmt: skip
        joined = xr.concat([part.drop_vars("time") for part in parts], "station")
        return joined.assign_coords(xr.Coordinates.from_xindex(parts[0].xindexes["time"]))

    observed = stations([np.roll(SYNTHETIC, n) for n in (0, 12, -9)])
    synthetics = np.array([np.roll(SYNTHETIC, n) * a for n, a in ((0, 1), (5, 1.2), (14, 0.7))])
    changes = np.array([CHANGE, np.roll(CHANGE, 40), -0.4 * CHANGE])
    cut = windows(observed, [(100, 1400)])
    options = {"measure": measure, "subsample": True}
    source = double_difference_source(observed, stations(synthetics), cut, **options)
    misfits = [
        double_difference(observed, stations(synthetics + e * changes), cut, **options)
        for e in (1e-4, -1e-4)
    ]
    found = (source["adjoint_source"].values[:, 0] * changes).sum() * DT
    expected = np.subtract(*(m["misfit"].sum().item() for m in misfits)) / 2e-4
    assert found == pytest.approx(expected, rel=tolerance)
    total = double_difference(observed, stations(synthetics), cut, **options)
    assert total.sizes["pair"] == 3 and total["first"].values.tolist() == [
        "XX.S0",
        "XX.S0",
        "XX.S1",
    ]
    assert source["misfit"].sum().item() == pytest.approx(total["misfit"].sum().item())
    if measure == "cc_traveltime":  # the tapers of the windows are not moved
        for name, shifts in (("synthetic_shift", [-0.5, -1.4, -0.9]),
                             ("observed_shift", [-1.2, 0.9, 2.1]),
                             ("time_shift", [0.7, -2.3, -3.0])):  # fmt: skip
            assert total[name].values.ravel() == pytest.approx(shifts, rel=1e-3)


@every_measure
def test_blocks_do_not_matter(measure):
    one, two = (
        ces.testing.synthetic_windows(quantity="velocity", samples=601, seed=seed, lazy=False)
        for seed in (1, 2)
    )
    two["velocity"] = 0.8 * one["velocity"].shift(time=3, fill_value=0.0) + 0.3 * two["velocity"]
    one["velocity"][0, 1, 2] = np.nan
    options = {"measure": measure, "min_period": 0.05, "max_period": 1.0}
    expected = adjoint_source(one, two, **options)
    for left, right in (({"station": 1}, {"station": 1}), ({"event": 1}, {"station": 2})):
        lazy = adjoint_source(one.chunk(left), two.chunk(right), **options)
        ces.testing.assert_lazy(lazy)
        xr.testing.assert_identical(lazy.compute(), expected)
    assert expected["adjoint_source"].dims == one["velocity"].dims
    assert np.isnan(expected["adjoint_source"][0, 1, 2]).all()
    assert np.isfinite(expected["adjoint_source"].values).sum() == (6 * 3 - 1) * 601
    fits = waveform_misfit(one, two, **options)
    xr.testing.assert_equal(fits["misfit"], expected["misfit"])
    xr.testing.assert_equal(fits["status"], expected["status"])


@pytest.mark.parametrize("measure", ["waveform", "cc_traveltime"])
def test_blocks_do_not_matter_for_double_differences(measure):
    one, two = (
        ces.testing.synthetic_windows(quantity="velocity", samples=301, seed=seed, lazy=False)
        for seed in (1, 2)
    )
    one["velocity"][0, 1, 2] = np.nan
    for operator in (double_difference, double_difference_source):
        expected = operator(one, two, measure=measure)
        lazy = operator(one.chunk(station=1), two.chunk(event=1), measure=measure)
        ces.testing.assert_lazy(lazy)
        xr.testing.assert_identical(lazy.compute(), expected)
    pairs = double_difference(one, two, measure=measure)
    assert pairs["misfit"].dims == ("event", "pair", "component")
    assert (pairs["status"][0, :, 2] == 1).values.tolist() == [True, False, True]


def test_where_there_is_no_record(record, windows):
    """Zero outside of the windows, also where one side ends early."""
    observed = OBSERVED.copy()
    observed[1400:] = np.nan
    one, two = record({"Z": observed}, dt=DT), record({"Z": SYNTHETIC}, dt=DT)
    source = adjoint_source(one, two, windows(one, [(200, 600)]))["adjoint_source"].values[0, 0]
    assert (source[:200] == 0).all() and (source[601:] == 0).all() and source[300:500].any()


def test_what_it_is(record):
    one, two = (record({"Z": x}, dt=DT, quantity="velocity") for x in (OBSERVED, SYNTHETIC))
    found = adjoint_source(one, two, min_period=5.0, max_period=50.0)
    attrs = found["adjoint_source"].attrs
    assert attrs["units"] == "m s-1" and attrs["comment"] == "in forward time"
    assert (attrs["measure"], attrs["quantity"]) == ("waveform", "velocity")
    assert (attrs["min_period"], attrs["max_period"]) == (5.0, 50.0)
    assert found["misfit"].attrs["units"] == "m2 s-1"
    assert found.xindexes["time"].equals(one.xindexes["time"])
    assert (
        adjoint_source(one, two, measure="cc_traveltime")["adjoint_source"].attrs["units"] == "m-1"
    )


def test_misuse(record):
    one, two = (record({"Z": x}, dt=DT) for x in (OBSERVED, SYNTHETIC))
    with pytest.raises(ParameterError, match="give min_period and max_period"):
        adjoint_source(one, two, measure="multitaper")
    with pytest.raises(SchemaError, match="windows has no window_start and no window_end"):
        adjoint_source(one, two, one)
    with pytest.raises(ParameterError, match="no pair of stations is left"):
        double_difference(one, two)
    with pytest.raises(ParameterError, match="two different station labels"):
        double_difference(one, two, pairs=[["XX.ONE..HN", "XX.ONE..HN"]])
    with pytest.raises(ParameterError, match=r"no station XX\.TWO"):
        double_difference(one, two, pairs=[["XX.ONE..HN", "XX.TWO"]])
    with pytest.raises(SchemaError, match="needs latitude and longitude"):
        double_difference(one, two, max_distance=1e5)
    pair = ces.testing.synthetic_windows(quantity="velocity")
    assert double_difference(pair, pair, max_distance=8e4).sizes["pair"] == 2  # of 70 and 140 km
    with pytest.raises(ParameterError, match="above zero"):
        double_difference(pair, pair, max_distance=-1.0)
    with pytest.raises(ParameterError, match="'cc_traveltime' or 'waveform'"):
        double_difference(pair, pair, measure="envelope")
