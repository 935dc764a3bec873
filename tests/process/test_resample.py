"""Interpolation against ObsPy's Lanczos and closed forms."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from obspy.signal.interpolation import lanczos_interpolation

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError
from pangeo_ces.timeaxis import time_coords, time_index


def sine(t: np.ndarray, frequency: float) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * t + 0.3)


def sampled(ds, frequency: float):
    """``ds`` with a sine in place of its samples, taken ``time_offset`` after their labels."""
    ds["counts"] = (ds.counts * 0 + sine(ds.time + ds.time_offset, frequency)).transpose(
        *ds.counts.dims
    )
    return ds


@pytest.mark.parametrize("start, rate", [(1.0, 100.0), (1.0034, 100.0), (2.0, 33.0), (2.001, 250)])
def test_against_obspy(noise, start, rate):
    ds = noise(2000)
    ds["counts"] = ds.counts - ds.counts.mean("time")
    ours = ces.interpolate(ds, sampling_rate=rate, start=start, stop=10.0).counts
    n = ours.sizes["time"]
    row = np.ascontiguousarray(ds.counts.values[0, 0, 0])
    theirs = lanczos_interpolation(row, -0.05, 0.01, start, 1 / rate, n, a=20)
    # The truncated kernel does not sum to one, by some 1e-5; we divide it out, ObsPy does not.
    assert np.abs(ours[0, 0, 0] - theirs).max() < 5e-5 * np.abs(row).max()


@pytest.mark.parametrize("frequency", [0.5, 5.0, 20.0])
@pytest.mark.parametrize("rate", [100.0, 40.5, 1000 / 3])
def test_sine(noise, frequency, rate):
    ds = sampled(noise(2000), frequency)
    ours = ces.interpolate(ds, sampling_rate=rate, start=1.0031, stop=15.0).counts
    exact = sine(1.0031 + np.arange(ours.sizes["time"]) / rate, frequency)
    # What a kernel of 20 samples to each side misses, up to 0.4 of the Nyquist frequency.
    assert np.abs(ours - exact).max() < 1e-4


def test_wider_kernel_is_more_exact(noise):
    ds = sampled(noise(4000), 5.0)
    worst = []
    for a in (5, 20, 80):
        ours = ces.interpolate(ds, sampling_rate=77.0, start=5.0, stop=30.0, a=a).counts
        exact = sine(5.0 + np.arange(ours.sizes["time"]) / 77, 5.0)
        worst.append(float(np.abs(ours - exact).max()))
    assert worst[0] > 10 * worst[1] > 50 * worst[2]


def test_constant_stays_constant_to_the_ends(noise):
    ds = noise(100)
    ds["counts"] = ds.counts * 0 + 7.0
    ours = ces.interpolate(ds, sampling_rate=317.0).counts
    np.testing.assert_allclose(ours, 7.0, rtol=1e-13)


def test_time_offset_is_taken_off(noise):
    ds = noise(2000)
    ds["time_offset"] = ds.time_offset + np.array([0.0, 0.0042, -0.0031])
    ds = sampled(ds, 5.0)
    ours = ces.interpolate(ds, sampling_rate=100.0, start=1.0, stop=15.0)
    assert np.abs(ours.counts - sine(ours.time.values, 5.0)).max() < 1e-3
    assert not np.abs(ds.counts.sel(time=slice(1, 15)) - sine(ours.time.values, 5.0)).max() < 1e-2
    assert (ours.time_offset == 0).all()


def test_same_axis_changes_nothing(noise):
    ds = noise(gaps=True)
    ours = ces.interpolate(ds, sampling_rate=100.0)
    np.testing.assert_array_equal(ours.counts, ds.counts)
    assert time_index(ours).equals(time_index(ds))


def test_gaps_stay_gaps(noise):
    """No sample outside a run, and none of a run that its neighbours beyond the gap changed."""
    ds = noise(gaps=True)
    ours = ces.interpolate(ds, sampling_rate=200.0)
    row, missing = ours.counts.values[0, 0, 0], np.isnan(ds.counts.values[0, 0, 0])
    assert np.isnan(row[::2]).tolist() == missing.tolist()
    between = missing[:-1] | missing[1:]
    assert np.isnan(row[1::2]).tolist() == between.tolist()
    tail = ces.interpolate(ds.isel(time=slice(601, None)), sampling_rate=200.0).counts[0, 0, 0]
    np.testing.assert_allclose(row[1202:], tail, rtol=1e-12)


def test_outside_is_nan(noise):
    ours = ces.interpolate(noise(100), sampling_rate=100.0, start=-1.0, stop=2.0)
    assert np.isfinite(ours.counts[0, 0, 0]).sum() == 100
    assert ours.sizes["time"] == 301
    assert float(ours.time[0]) == -1.0 and float(ours.time[-1]) == 2.0


def test_empty_axis(noise):
    ds = noise(100).isel(time=slice(0, 0))
    ours = ces.interpolate(ds, sampling_rate=10.0, start=0.0, stop=1.0)
    assert ours.counts.shape == (1, 2, 3, 11) and np.isnan(ours.counts).all()


def test_utc_axis(noise):
    ds = noise(1000).isel(event=0).drop_vars(["origin_time"])
    ds = ds.drop_vars("time").assign_coords(
        time_coords(samples=1000, interval=Fraction(1, 100), origin=np.datetime64("2020-01-01"))
    )
    ours = ces.interpolate(ds, sampling_rate=50.0, start=1.0, stop=2.0)
    assert str(ours.time.values[0]) == "2020-01-01T00:00:01.000000000"
    np.testing.assert_array_equal(ours.counts, ds.counts.isel(time=slice(100, 201, 2)))


def test_long_axis_ends_exactly(noise):
    """Ten thousand seconds at an interval that no float holds: the last label has not drifted."""
    ds = noise(300_001, sampling_rate=30.0, stations=1)
    ours = ces.interpolate(ds, sampling_rate=10.0, start=0.0, stop=9_999.0)
    assert ours.sizes["time"] == 99_991
    np.testing.assert_array_equal(ours.counts[..., -1], ds.counts.sel(time=9999.0))


@pytest.mark.parametrize(
    "options, fix",
    [
        ({"sampling_rate": 0.0}, "positive number"),
        ({"sampling_rate": np.nan}, "positive number"),
        ({"sampling_rate": 10.0, "start": 3.0, "stop": 2.0}, "swap them"),
        ({"sampling_rate": 10.0, "a": 0}, "at least 1"),
        ({"sampling_rate": 10.0, "start": np.nan}, "finite"),
    ],
)
def test_misuse(noise, options, fix):
    with pytest.raises(ParameterError, match=fix):
        ces.interpolate(noise(100), **options)
