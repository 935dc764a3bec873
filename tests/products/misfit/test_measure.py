"""Measures of misfit against their formulas, and what they do with bad pairs and windows."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import scipy.integrate
import scipy.signal
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import pangeo_ces as ces
from pangeo_ces.errors import AxisError, ParameterError, SchemaError, UnitsError
from pangeo_ces.products._pairs import STATUS
from pangeo_ces.products.misfit._block import MEASURES
from pangeo_ces.products.misfit._options import Measure
from pangeo_ces.products.misfit._windows import derivative, simpson, taper
from pangeo_ces.products.misfit.measure import waveform_misfit

CODES = {name: code for code, name in STATUS.items()}
PERIODS = {"min_period": 0.05, "max_period": 2.0}
every_measure = pytest.mark.parametrize("measure", get_args(Measure))


def simple(d, s, dt, measure):
    """The table of the docstring, with scipy, for whole records."""
    integral = lambda y: scipy.integrate.simpson(y, dx=dt)  # noqa: E731
    a, b = scipy.signal.hilbert(d), scipy.signal.hilbert(s)
    e = 0.2 * abs(a).max()
    norm = np.sqrt((d**2).sum() * (s**2).sum())
    full = scipy.signal.correlate(d, s, "full")
    ratio = np.log(np.sqrt((d**2).mean() / (s**2).mean()))
    residual = a / (abs(a) + e) - b / (abs(b) + 0.2 * abs(b).max())
    weight = abs(a) ** 2 / (abs(a) ** 2 + e**2)
    return {
        "waveform": 0.5 * integral((s - d) ** 2),
        "waveform_l1": integral(abs(s - d)),
        "waveform_normalised": 0.5 * integral((s - d) ** 2) / integral(d**2),
        "waveform_l1_normalised": integral(abs(s - d)) / integral(abs(d)),
        "zero_lag_cc": 1 - (d * s).sum() / norm,
        "cross_correlation": 1 - scipy.signal.resample(full, 64 * full.size).max() / norm,
        "cc_traveltime": 0.5 * (dt * (full.argmax() - d.size + 1)) ** 2,
        "envelope": 0.5 * dt * (np.log((abs(a) + e) / (abs(b) + e)) ** 2).sum(),
        "instantaneous_phase": 0.5 * dt * (weight * np.angle(a / b) ** 2).sum(),
        "exponentiated_phase": 0.5 * integral(abs(residual) ** 2),
        "log_amplitude": 0.5 * ratio**2,
        "sqrt_amplitude": 0.5 * (np.exp(ratio / 2) - 1) ** 2,
        "convolution": 0.5 * integral(np.convolve(s, d, "same") ** 2),
    }[measure]


@pytest.fixture
def pair(shaking) -> tuple[np.ndarray, np.ndarray]:
    """Two records that are alike: moved by 3 samples, scaled, with something else in it."""
    x, y = shaking[:2, :1801]
    return 1.2 * np.roll(x, 3) + 0.2 * y, x


@pytest.mark.parametrize("samples", [1800, 1801])
@pytest.mark.parametrize("measure", [name for name in get_args(Measure) if name != "multitaper"])
def test_formulas(record, pair, measure, samples):
    d, s = (x[:samples] for x in pair)
    found = waveform_misfit(record({"Z": d}), record({"Z": s}), measure=measure, use_cc_error=False)
    # The spectrum of cc between samples is that of the whole, so 64 points a sample miss little.
    tolerance = 1e-5 if measure == "cross_correlation" else 1e-9
    assert found["misfit"].item() == pytest.approx(simple(d, s, 0.01, measure), rel=tolerance)
    assert found["status"].item() == 0 and found["windows"].item() == 1


@every_measure
def test_measures_are_described(record, pair, measure):
    d, s = pair
    found = waveform_misfit(record({"Z": d}), record({"Z": s}), measure=measure, **PERIODS)
    assert set(found.data_vars) == {"misfit", *MEASURES[measure][1], "windows", "status"}
    for name, variable in found.data_vars.items():
        assert variable.dims == ("station", "component"), name
        assert variable.attrs["long_name"] and variable.attrs["units"]
    assert found["misfit"].item() > 0


@every_measure
def test_the_same_twice_is_no_misfit(record, pair, measure):
    one = record({"Z": pair[0]})
    found = waveform_misfit(one, one, measure=measure, **PERIODS)["misfit"].item()
    if measure == "convolution":
        assert found > 0  # it is least where the synthetic is nothing, as in pyadjoint
    else:
        assert found == pytest.approx(0, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(shift=st.floats(-40, 40), factor=st.floats(0.2, 5), samples=st.integers(1490, 1511))
def test_shift_between_samples(record, shift, factor, samples):
    """A pulse moved by its formula: the shift is found to 1e-6 of a sample."""
    t = np.arange(samples) * 0.01 - 7.0
    pulse = lambda t: np.exp(-(t**2)) * np.cos(8 * t)  # noqa: E731
    observed = record({"Z": factor * pulse(t - shift * 0.01)})
    synthetic = record({"Z": pulse(t)})
    found = waveform_misfit(
        observed, synthetic, measure="cc_traveltime", subsample=True, use_cc_error=False
    )
    assert found["time_shift"].item() == pytest.approx(0.01 * shift, abs=1e-8)
    assert found["misfit"].item() == pytest.approx(0.5 * (0.01 * shift) ** 2, abs=1e-8)
    assert found["dlna"].item() == pytest.approx(np.log(factor), abs=1e-9)
    best = waveform_misfit(observed, synthetic, measure="cross_correlation")
    assert best["time_shift"].item() == pytest.approx(0.01 * shift, abs=1e-8)
    assert best["cc"].item() == pytest.approx(1, abs=1e-12)
    near = waveform_misfit(observed, synthetic, measure="cc_traveltime")
    assert abs(near["time_shift"].item() - 0.01 * shift) <= 0.005 + 1e-9


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_lag_is_that_of_the_direct_sum(record, data):
    """Transforms of float32 only choose the candidates."""
    n = data.draw(st.integers(4, 300))
    seed = data.draw(st.integers(0, 2**32 - 1))
    scale = data.draw(st.sampled_from([1e-18, 1.0, 1e12]))
    x, y = scale * np.random.default_rng(seed).standard_normal((2, n))
    found = waveform_misfit(record({"Z": x}), record({"Z": y}), measure="cc_traveltime")
    expected = np.correlate(x, y, "full").argmax() - n + 1
    assert found["time_shift"].item() == pytest.approx(0.01 * expected, abs=1e-12)


@pytest.mark.parametrize("first, second", [(-70, 35), (20, 90)])
@pytest.mark.parametrize("excess", [1e-9, -1e-9])
def test_two_lags_that_are_almost_the_same(record, first, second, excess):
    """float32 does not tell them apart; the sums do."""
    t = np.arange(400.0)
    synthetic = np.exp(-(((t - 200) / 4) ** 2)) * np.cos(t)
    observed = np.roll(synthetic, first) + (1 + excess) * np.roll(synthetic, second)
    found = waveform_misfit(
        record({"Z": observed}), record({"Z": synthetic}), measure="cc_traveltime"
    )
    expected = second if excess > 0 else first
    assert found["time_shift"].item() == pytest.approx(0.01 * expected)


@given(st.integers(4, 60), st.floats(0, 1))
def test_building_blocks(n, percentage):
    y = np.random.default_rng(n).standard_normal(n)
    assert simpson(y, 0.3) == pytest.approx(scipy.integrate.simpson(y, dx=0.3))
    slope = np.empty(n)
    derivative(y, 0.3, slope)
    np.testing.assert_allclose(slope, np.gradient(y, 0.3))
    for kind in ("hann", "hamming", "cos", "cos_p10"):
        weights = taper(n, percentage, kind)
        assert weights.shape == (n,) and (weights >= -1e-12).all() and (weights <= 1 + 1e-12).all()
        np.testing.assert_allclose(weights, weights[::-1], atol=1e-12)


@every_measure
@pytest.mark.parametrize("with_windows", [False, True])
def test_blocks_do_not_matter(windows_of, measure, with_windows):
    one, two = (
        ces.testing.synthetic_windows(quantity="velocity", samples=601, seed=seed, lazy=False)
        for seed in (1, 2)
    )
    two["velocity"] = 0.8 * one["velocity"].shift(time=3, fill_value=0.0) + 0.3 * two["velocity"]
    windows = windows_of(one, [(20, 220), (200, 391), (420, 560)]) if with_windows else None
    if with_windows:
        windows["window_start"][0, 1, 2, 1] = np.nan
    options = {"measure": measure, "min_period": 0.05, "max_period": 1.0}
    expected = waveform_misfit(one, two, windows, **options)
    each = waveform_misfit(one, two, windows, per_window=True, **options)
    for left, right in (({"station": 1}, {"station": 1}), ({"event": 1}, {"station": 2})):
        sides = one.chunk(left), two.chunk(right)
        lazy = waveform_misfit(*sides, windows, **options)
        ces.testing.assert_lazy(lazy)
        xr.testing.assert_identical(lazy.compute(), expected)
        lazy = waveform_misfit(*sides, windows, per_window=True, **options)
        ces.testing.assert_lazy(lazy)
        xr.testing.assert_identical(lazy.compute(), each)
    if with_windows:
        lazy = waveform_misfit(one.chunk(station=1), two, windows.chunk(window=1), **options)
        xr.testing.assert_identical(lazy.compute(), expected)
        assert each["misfit"].dims == ("event", "station", "component", "window")
        assert each["status"][0, 1, 2].values.tolist() == [0, CODES["no_window"], 0]
        total = each["misfit"].sum("window")
        np.testing.assert_allclose(total, expected["misfit"], rtol=1e-12)
        assert expected["windows"].values[0, 1, 2] == 2


@every_measure
def test_what_is_not_there_does_not_matter(record, pair, windows_of, measure):
    """NaN before and after, and where the window of a whole record begins."""
    d, s = pair
    one, two = record({"Z": d}), record({"Z": s})
    padded = [np.concatenate([np.full(57, np.nan), x, np.full(31, np.nan)]) for x in (d, s)]
    padded[1][20:57] = 1.0  # the synthetic is longer
    wide = [record({"Z": x}, offset=-0.57) for x in padded]
    expected = waveform_misfit(one, two, measure=measure, **PERIODS)
    found = waveform_misfit(*wide, measure=measure, **PERIODS)
    xr.testing.assert_identical(found, expected)
    beyond = windows_of(wide[0], [(40, 57 + 1801 + 20)])
    found = waveform_misfit(*wide, beyond, measure=measure, taper_percentage=0.0, **PERIODS)
    xr.testing.assert_equal(found, expected)


@every_measure
def test_bad_pairs_have_a_status(record, pair, measure):
    d, s = pair
    gap, early, late = d.copy(), d.copy(), s.copy()
    gap[900], early[900:], late[:900] = np.nan, np.nan, np.nan
    for one, two, status in (
        (d * np.nan, s, "no_observed"),
        (d, s * np.nan, "no_synthetic"),
        (early, late, "no_time_in_common"),
        (gap, s, "gap"),
        (d * 0, s, "no_signal"),
    ):
        found = waveform_misfit(
            record({"Z": one, "N": d}), record({"Z": two, "N": s}), measure=measure, **PERIODS
        )
        assert found["status"].values.tolist() == [[CODES[status], 0]]
        for name in set(found.data_vars) - {"windows", "status"}:
            assert np.isnan(found[name].values[0, 0]) and np.isfinite(found[name].values[0, 1])


def test_windows_that_cannot_be_measured(record, pair, windows_of):
    d, s = pair
    s = s.copy()
    s[1000:1201] = 0.0
    one, two = record({"Z": d}), record({"Z": s})
    windows = windows_of(one, [(100, 400), (1000, 1200), (1700, 1702), (np.nan, np.nan)])
    each = waveform_misfit(one, two, windows, measure="cc_traveltime", per_window=True)
    failed, absent = CODES["not_measurable"], CODES["no_window"]
    assert each["status"].values.ravel().tolist() == [0, failed, failed, absent]
    summed = waveform_misfit(one, two, windows, measure="cc_traveltime")
    assert summed["misfit"].item() == each["misfit"].values.ravel()[0]
    assert (summed["windows"].item(), summed["status"].item()) == (1, 0)
    only = waveform_misfit(one, two, windows.isel(window=[1, 3]), measure="cc_traveltime")
    assert (only["windows"].item(), only["status"].item()) == (0, failed)
    none = waveform_misfit(one, two, windows.isel(window=[3]))
    assert none["status"].item() == absent and np.isnan(none["misfit"].item())
    none = waveform_misfit(one, two, windows.isel(window=slice(0)))
    assert none["status"].item() == absent


def test_edges_of_windows(record, windows_of):
    """Both labels belong to the window; a window of seven ones has an L1 of six intervals."""
    one, two = record({"Z": 1.0 + np.arange(50) % 2 * 0}), record({"Z": np.arange(50.0)})
    one["acceleration"][..., 0] = 2.0  # no flat line
    y = np.abs(two["acceleration"].values - one["acceleration"].values).ravel()
    windows = windows_of(one, [(10, 16)])
    for nudge in (0.0, 1e-12, -1e-12):
        found = waveform_misfit(
            one, two, windows + nudge, measure="waveform_l1", taper_percentage=0.0
        )
        expected = scipy.integrate.simpson(y[10:17], dx=0.01)
        assert found["misfit"].item() == pytest.approx(expected, rel=1e-12)


@every_measure
def test_float32_is_enough(record, pair, measure):
    sides = [record({"Z": x}) for x in pair]
    single = [side.astype("float32") for side in sides]
    one = waveform_misfit(*sides, measure=measure, **PERIODS)
    two = waveform_misfit(*single, measure=measure, **PERIODS)
    assert two["misfit"].dtype == "float64"
    assert two["misfit"].item() == pytest.approx(one["misfit"].item(), rel=2e-5)


@pytest.mark.parametrize(
    "quantity, units",
    [("displacement", "m2 s"), ("velocity", "m2 s-1"), ("acceleration", "m2 s-3")],
)
def test_units(record, pair, quantity, units):
    sides = [record({"Z": x}, quantity=quantity) for x in pair]
    assert waveform_misfit(*sides)["misfit"].attrs["units"] == units
    assert waveform_misfit(*sides, measure="envelope")["misfit"].attrs["units"] == "s"
    assert waveform_misfit(*sides, measure="zero_lag_cc")["misfit"].attrs["units"] == "1"


def test_misuse(record, pair, windows_of):
    one, two = (record({"Z": x}) for x in pair)
    windows = windows_of(one, [(10, 100)])
    for options, message in (
        ({"measure": "l3"}, "use one of waveform"),
        ({"taper_type": "box"}, "use one of hann"),
        ({"taper_percentage": 1.5}, "fraction from 0 to 1"),
        ({"measure": "multitaper"}, "give min_period and max_period"),
        ({"min_period": 10.0, "max_period": 5.0}, "0 < min_period < max_period"),
        ({"measure_type": "wf"}, "use one of dt, am"),
        ({"dt_sigma_min": 0.0}, "above zero"),
        ({"wtr_env": -1.0}, "zero or more"),
        ({"num_taper": 9}, "from 1 to 2 mt_nw"),
        ({"lnpt": 40}, "such as 15"),
        ({"amplitude": "mean"}, "rms, peak"),
    ):
        with pytest.raises(ParameterError, match=message):
            waveform_misfit(one, two, windows, **options)
    with pytest.raises(SchemaError, match="no window_end: give a Dataset"):
        waveform_misfit(one, two, windows.drop_vars("window_end"))
    with pytest.raises(SchemaError, match="differ in component: select windows"):
        waveform_misfit(one, two, windows.assign_coords(component=["N"]))
    with pytest.raises(SchemaError, match="differ in station"):
        waveform_misfit(one, two, windows.isel(station=0))
    with pytest.raises(SchemaError, match="windows is a DataArray"):
        waveform_misfit(one, two, windows["window_start"])
    with pytest.raises(AxisError, match=r"ces\.interpolate"):
        waveform_misfit(one, record({"Z": pair[0]}, dt=0.02), windows)
    with pytest.raises(UnitsError, match=r"ces\.integrate"):
        waveform_misfit(one, record({"Z": pair[0]}, quantity="velocity"))
