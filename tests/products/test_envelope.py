"""Minimum and maximum per bin."""

from __future__ import annotations

import numpy as np
import pytest

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError


@pytest.mark.parametrize(
    "samples, bins", [(100, 10), (101, 7), (100, 58), (1000, 333), (10, 40), (1, 1)]
)
def test_every_sample_is_in_one_bin(record, samples, bins):
    """Against bins found with exact fractions."""
    x = np.random.default_rng(samples).standard_normal(samples)
    ours = ces.minmax(record({"Z": x}), bins=bins).isel(station=0, component=0)
    member = [i * bins // samples for i in range(samples)]
    for number in range(bins):
        inside = x[[i for i in range(samples) if member[i] == number]].astype("float32")
        low, high = float(ours.minimum[number]), float(ours.maximum[number])
        if inside.size:
            assert (low, high) == (inside.min(), inside.max())
        else:
            assert np.isnan([low, high]).all()


def test_window(record):
    ds = record({"Z": np.arange(1000.0)})
    ours = ces.minmax(ds, bins=10, start=2.0, stop=3.0).isel(station=0, component=0)
    assert ours.minimum.values.tolist() == [200.0 + 10 * i for i in range(10)]
    assert ours.maximum.values.tolist() == [209.0 + 10 * i for i in range(10)]
    np.testing.assert_allclose(ours.time, 2.0 + np.arange(10) / 10)
    wide = ces.minmax(ds, bins=4, start=-10.0, stop=30.0).isel(station=0, component=0)
    assert np.isnan(wide.minimum[[0, 2, 3]]).all()
    assert (float(wide.minimum[1]), float(wide.maximum[1])) == (0.0, 999.0)


def test_gaps_and_attributes(record):
    x = np.arange(100.0)
    x[20:40], x[55] = np.nan, np.nan
    ours = ces.minmax(record({"Z": x}, quantity="velocity"), bins=10)
    assert np.isnan(ours.minimum[0, 0]).values.tolist() == [i in (2, 3) for i in range(10)]
    assert float(ours.maximum[0, 0, 5]) == 59.0
    assert ours.minimum.attrs["units"] == "m s-1" and ours.attrs["quantity"] == "velocity"


def test_lazy_and_empty():
    ds = ces.testing.synthetic_windows()
    lazy = ces.minmax(ds, bins=50)
    ces.testing.assert_lazy(lazy)
    expected = ces.minmax(ds.compute(), bins=50)
    for chunks in ({"station": 1}, {"time": 300}):
        ours = ces.minmax(ds.chunk(chunks), bins=50)
        np.testing.assert_array_equal(ours.minimum, expected.minimum)
        np.testing.assert_array_equal(ours.maximum, expected.maximum)
    assert ces.minmax(ds.isel(station=slice(0, 0)), bins=50).minimum.shape == (2, 0, 3, 50)
    nothing = ces.minmax(ds.isel(time=slice(0, 0)), bins=5, start=0.0, stop=1.0)
    assert np.isnan(nothing.minimum).all()


def test_misuse(record):
    ds = record({"Z": np.ones(10)})
    with pytest.raises(ParameterError, match="at least 1"):
        ces.minmax(ds, bins=0)
    with pytest.raises(ParameterError, match="swap them"):
        ces.minmax(ds, start=3.0, stop=2.0)
    with pytest.raises(ParameterError, match="finite"):
        ces.minmax(ds, start=np.nan)
