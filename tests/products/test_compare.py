"""Differences of measures and similarity of waveforms."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.errors import AxisError, ParameterError, SchemaError, UnitsError


@pytest.fixture
def products(record, shaking):
    z, n, e = shaking
    observed = ces.peak_motion(record({"Z": z, "N": n, "E": e}))
    synthetic = ces.peak_motion(record({"Z": 2 * z, "N": 0 * n, "E": e}))
    return observed, synthetic


def test_differences(products):
    observed, synthetic = products
    for name in ("pga", "pgv", "pgd", "psa"):
        one, two = observed[name], synthetic[name]
        absolute = ces.difference(observed, synthetic)[name]
        np.testing.assert_array_equal(absolute, one.values - two.values)
        assert absolute.attrs["units"] == one.attrs["units"]
        relative = ces.difference(observed, synthetic, kind="relative")[name]
        assert relative.attrs["units"] == "1"
        assert relative.sel(component="Z").values == pytest.approx(-1.0)
        assert (relative.sel(component="N") == 1.0).all()
        assert (relative.sel(component="E") == 0.0).all()
        log = ces.difference(observed, synthetic, kind="log")[name]
        assert log.sel(component="Z").values == pytest.approx(-np.log(2))
        assert np.isposinf(log.sel(component="N")).all()
        assert (log.sel(component="E") == 0.0).all()


def test_difference_refuses_other_axes(products, record, shaking):
    observed, synthetic = products
    with pytest.raises(SchemaError, match=r"differ in station: pair them with ces\.match"):
        ces.difference(observed, synthetic.assign_coords(station=["XX.TWO..HN"]))
    other = ces.peak_motion(record(dict(zip("ZNE", shaking, strict=True))), damping=0.1)
    with pytest.raises(SchemaError, match="differ in damping"):
        ces.difference(observed, other)
    with pytest.raises(SchemaError, match="differ in period"):
        ces.difference(observed, synthetic.isel(period=[0]))
    with pytest.raises(ParameterError, match="'absolute', 'relative' or 'log'"):
        ces.difference(observed, synthetic, kind="ratio")
    wrong = synthetic.copy()
    wrong["pga"] = wrong.pga.assign_attrs(units="cm s-2")
    with pytest.raises(UnitsError, match="convert one of them"):
        ces.difference(observed, wrong)


def shifted(x: np.ndarray, samples: int) -> np.ndarray:
    return np.roll(x, samples)  # the ends are quiet


@pytest.fixture
def pulse() -> np.ndarray:
    t = np.arange(2000) * 0.01 - 10
    return np.exp(-(t**2)) * np.cos(5 * t)


@pytest.mark.parametrize("lag", [-150, -7, 0, 1, 150])
def test_known_shift(record, pulse, lag):
    observed = record({"Z": shifted(pulse, lag)}, quantity="velocity")
    synthetic = record({"Z": 0.5 * pulse}, quantity="velocity")
    fit = ces.waveform_fit(observed, synthetic, max_shift=2.0).isel(station=0, component=0)
    assert float(fit.time_shift) == pytest.approx(0.01 * lag)  # positive: observed is later
    assert float(fit.cc_best) == pytest.approx(1.0, rel=1e-12)
    expected = np.corrcoef(shifted(pulse, lag), pulse)[0, 1]
    assert float(fit.cc) == pytest.approx(expected, abs=2e-3)  # the mean is not taken off
    assert float(fit.amplitude_ratio) == pytest.approx(0.5)


def test_against_numpy(record, shaking):
    one, two = shaking[:2]
    fit = ces.waveform_fit(record({"Z": one}), record({"Z": two}), max_shift=40.0)
    full = np.correlate(one, two, "full") / np.sqrt((one**2).sum() * (two**2).sum())
    best = int(full.argmax())
    assert float(fit.cc[0, 0]) == pytest.approx(full[one.size - 1], rel=1e-12)
    assert float(fit.cc_best[0, 0]) == pytest.approx(full[best], rel=1e-12)
    assert float(fit.time_shift[0, 0]) == pytest.approx(0.01 * (best - one.size + 1))
    assert float(fit.amplitude_ratio[0, 0]) == pytest.approx(abs(two).max() / abs(one).max())


def test_opposite_sign(record, pulse):
    fit = ces.waveform_fit(record({"Z": pulse}), record({"Z": -pulse}), max_shift=0.0)
    assert float(fit.cc[0, 0]) == pytest.approx(-1.0)
    assert float(fit.cc_best[0, 0]) == pytest.approx(-1.0)


def test_only_common_samples_count(record, pulse):
    cut = pulse.copy()
    cut[1200:] = np.nan
    fit = ces.waveform_fit(record({"Z": pulse}), record({"Z": cut}), max_shift=1.0)
    assert float(fit.cc[0, 0]) == pytest.approx(1.0, rel=1e-12)
    assert -1 <= float(fit.cc_best[0, 0]) <= 1 + 1e-12
    assert float(fit.time_shift[0, 0]) == 0.0


def test_nothing_in_common(record, pulse):
    early, late = pulse.copy(), pulse.copy()
    early[1000:], late[:1000] = np.nan, np.nan
    for other in (late, pulse * np.nan, pulse * 0):
        fit = ces.waveform_fit(record({"Z": early}), record({"Z": other}))
        assert all(np.isnan(fit[name]).all() for name in fit.data_vars)


def test_longest_shift_of_a_short_record(record):
    """A shift longer than the record finds nothing there, and no error."""
    x = np.array([0.0, 1.0, 0.0])
    fit = ces.waveform_fit(record({"Z": x}), record({"Z": x}), max_shift=8.0)
    assert float(fit.cc_best[0, 0]) == 1.0


def test_misuse(record, pulse):
    one = record({"Z": pulse}, quantity="velocity")
    with pytest.raises(UnitsError, match=r"ces\.integrate"):
        ces.waveform_fit(one, record({"Z": pulse}))
    with pytest.raises(AxisError, match=r"ces\.interpolate"):
        ces.waveform_fit(one, record({"Z": pulse}, quantity="velocity", dt=0.02))
    with pytest.raises(SchemaError, match="differ in component"):
        ces.waveform_fit(one, record({"N": pulse}, quantity="velocity"))
    for wrong in (-1.0, np.nan, np.inf):
        with pytest.raises(ParameterError, match="zero or more"):
            ces.waveform_fit(one, one, max_shift=wrong)


def test_blocks_do_not_matter():
    one = ces.testing.synthetic_windows(quantity="velocity", seed=1, lazy=False)
    two = ces.testing.synthetic_windows(quantity="velocity", seed=2, lazy=False)
    expected = ces.waveform_fit(one, two)
    for left, right in (({"station": 1}, {"station": 1}), ({"event": 1}, {"station": 2})):
        lazy = ces.waveform_fit(one.chunk(left), two.chunk(right))
        ces.testing.assert_lazy(lazy)
        xr.testing.assert_identical(lazy.compute(), expected)
    xr.testing.assert_identical(ces.waveform_fit(one.chunk(station=1), two).compute(), expected)
    xr.testing.assert_identical(ces.waveform_fit(one, two.chunk(station=1)).compute(), expected)
