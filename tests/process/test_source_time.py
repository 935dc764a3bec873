"""Convolution with source time functions, against closed forms and sums."""

from __future__ import annotations

import numpy as np
import pytest

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError
from pangeo_ces.testing import assert_lazy, synthetic_windows


def with_pulse(pulse, samples=4001, rate=50.0, **options):
    ds = synthetic_windows(quantity="velocity", samples=samples, sampling_rate=rate, **options)
    values = np.broadcast_to(pulse(ds["time"].values), ds["velocity"].shape)
    return ds.assign(velocity=ds["velocity"].copy(data=values.copy()).chunk(station=1))


def test_a_gaussian_of_a_gaussian():
    """Variances add: of exp(-a² t²) it is 1/2a²."""
    width, h = 0.8, 1.5
    ds = with_pulse(lambda t: np.exp(-(((t - 40) / width) ** 2)))
    ours = ces.convolve_source(ds, half_duration=h)
    assert_lazy(ours)
    total = np.hypot(width, h / 1.628)
    t = ds["time"].values
    expected = width / total * np.exp(-(((t - 40) / total) ** 2))
    np.testing.assert_allclose(ours["velocity"].values[1, 2, 0], expected, atol=1e-14)


@pytest.mark.parametrize("shape, area", [("triangle", 1.0), ("boxcar", 1.0), ("gaussian", 1.0)])
def test_area_and_centre_stay(shape, area):
    ds = with_pulse(lambda t: np.exp(-((t - 40) ** 2)))
    before, after = ds["velocity"], ces.convolve_source(ds, half_duration=2.0, shape=shape)
    after, t = after["velocity"].values[0, 0, 0], ds["time"].values
    assert after.sum() == pytest.approx(area * float(before[0, 0, 0].sum()), rel=1e-12)
    assert (after * t).sum() / after.sum() == pytest.approx(40.0, abs=1e-10)
    variance = (after * (t - 40) ** 2).sum() / after.sum()
    # 1/2 of the pulse, and h²/6, h²/3 or (h/1.628)²/2 of the source.
    added = {"triangle": 4 / 6, "boxcar": 4 / 3, "gaussian": (2 / 1.628) ** 2 / 2}[shape]
    assert variance == pytest.approx(0.5 + added, rel=1e-10)


@pytest.mark.parametrize("first", [-12, 0, 7])
def test_samples_are_a_sum(first):
    ds = synthetic_windows(quantity="velocity", samples=300, sampling_rate=20.0)
    source = np.array([0.5, 2.0, -1.0, 0.25])
    ours = ces.convolve_source(ds, samples=source.tolist(), start=first / 20)["velocity"].values
    x = ds["velocity"].values[1, 1, 1]
    whole = np.convolve(x, source) / 20
    expected = np.zeros(300)
    for k in range(300):
        if 0 <= k - first < whole.size:
            expected[k] = whole[k - first]
    np.testing.assert_allclose(ours[1, 1, 1], expected, atol=1e-10)


def test_gaps_chunks_and_single_precision():
    ds = synthetic_windows(quantity="velocity", samples=3000, sampling_rate=50.0).compute()
    ds["velocity"][0, 0, 0, 1000:1100] = np.nan
    whole = ces.convolve_source(ds, half_duration=0.4)["velocity"].values
    alone = ces.convolve_source(ds.isel(time=slice(1100, None)), half_duration=0.4)
    np.testing.assert_allclose(whole[0, 0, 0, 1100:], alone["velocity"].values[0, 0, 0], atol=1e-9)
    assert np.isnan(whole[0, 0, 0, 1000:1100]).all()
    cut = ces.convolve_source(ds.chunk(time=700), half_duration=0.4)
    np.testing.assert_allclose(cut["velocity"].values, whole, atol=1e-8)
    single = ces.convolve_source(ds.astype("float32"), half_duration=0.4)["velocity"]
    assert single.dtype == "float32"
    np.testing.assert_allclose(single, whole, atol=2.5e-7 * np.nanmax(abs(ds["velocity"])))


def test_misuse():
    ds = synthetic_windows(quantity="velocity")
    for wrong in ({}, {"half_duration": 1.0, "samples": [1.0]}, {"half_duration": -1.0},
                  {"half_duration": 1.0, "shape": "ramp"}, {"samples": []}):  # fmt: skip
        with pytest.raises(ParameterError):
            ces.convolve_source(ds, **wrong)
