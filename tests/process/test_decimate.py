"""Decimation, resampling and the further interpolations against ObsPy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import obspy
import pytest

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError
from pangeo_ces.process.decimate import decimate, resample
from pangeo_ces.timeaxis import time_coords, time_index

ROUNDING = 1e-12
METHODS = ["weighted_average_slopes", "linear", "nearest", "zero", "slinear", "quadratic", "cubic"]


def changed(row: np.ndarray, rate: float, verb: str, *args, **options) -> np.ndarray:
    """ObsPy's trace method ``verb`` on one record."""
    trace = obspy.Trace(row.copy(), {"sampling_rate": rate})
    getattr(trace, verb)(*args, **options)
    return trace.data


def by_channel(ds, verb: str, *args, **options) -> np.ndarray:
    rate = float(1 / time_index(ds).interval)
    return np.apply_along_axis(
        lambda row: changed(row, rate, verb, *args, **options), -1, ds.counts.values
    )


@pytest.mark.parametrize("samples", [1000, 1001])
@pytest.mark.parametrize("factor", [1, 2, 3, 5, 16])
@pytest.mark.parametrize("no_filter", [False, True])
def test_decimate(noise, assert_equal, samples, factor, no_filter):
    ds = noise(samples)
    # A factor of one passes unchanged; ObsPy's filter is not defined at the Nyquist frequency.
    theirs = by_channel(ds, "decimate", factor, no_filter=no_filter or factor == 1)
    ours = decimate(ds, factor=factor, no_filter=no_filter)
    assert_equal(ours.counts, theirs, ROUNDING)
    assert time_index(ours).interval == factor * time_index(ds).interval
    assert float(ours.time[0]) == float(ds.time[0])


def test_decimate_over_gaps(noise, assert_equal):
    """Runs are filtered one by one, and stay on the grid of the whole axis."""
    ds = noise(gaps=True)
    ours = decimate(ds, factor=4).counts.values
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(ds.counts.values[..., ::4]))
    run = ds.counts.values[0, 0, 0, 601:]  # starts three samples before the grid
    filtered = changed(run, 100.0, "filter", "lowpass_cheby_2", freq=12.5, maxorder=12)
    assert_equal(ours[0, 0, 0, 151:], filtered[3::4], ROUNDING)


def test_decimate_keeps_alias_out(noise):
    """A sine above the new Nyquist frequency is 96 dB down; one well below it passes."""
    ds = noise(10_000, stations=1)
    t = np.arange(10_000) / 100
    for frequency, low, high in ((20.0, 0.0, 10 ** (-96 / 20)), (2.0, 0.88, 1.001)):
        ds["counts"] = ds.counts * 0 + np.sin(2 * np.pi * frequency * t)
        peak = float(abs(decimate(ds, factor=5).counts[..., 1000:]).max())
        assert low <= peak <= high * 1.01, (frequency, peak)


def test_decimate_chunked(noise):
    ds = noise(20_000)
    whole = decimate(ds, factor=4)
    ours = decimate(ds.chunk(time=4000), factor=4)
    assert len(ours.counts.chunksizes["time"]) == 5  # time was not gathered
    scale = float(abs(whole.counts).max())
    assert float(abs(ours.counts - whole.counts).max()) < 1e-9 * scale


def test_data_span_is_on_the_new_axis(noise):
    ds = noise(1000)
    ds["data_start"].values[0, 0, 0] = 0.01  # sample 6
    ds["data_end"].values[0, 0, 1] = ds["data_start"].values[0, 0, 1] = np.nan
    ours = decimate(ds, factor=4, no_filter=True)
    assert float(ours.data_start[0, 0, 0]) == pytest.approx(0.03)
    assert float(ours.data_end[0, 0, 0]) == pytest.approx(float(ours.time[-1]))
    assert np.isnan(ours.data_start[0, 0, 1]) and np.isnan(ours.data_end[0, 0, 1])
    ces.testing.assert_conforms(ours)


@pytest.mark.parametrize("samples", [1000, 1001, 997])
@pytest.mark.parametrize("rate", [100.0, 50.0, 40.0, 33.0, 7.0, 150.0, 200.0])
@pytest.mark.parametrize("window", ["hann", None, "blackman"])
def test_resample(noise, assert_equal, samples, rate, window):
    ds = noise(samples)
    theirs = by_channel(ds, "resample", rate, window=window)
    ours = resample(ds, sampling_rate=rate, window=window)
    assert_equal(ours.counts, theirs, ROUNDING)
    assert float(1 / time_index(ours).interval) == rate


@pytest.mark.parametrize("rate", [50.0, 33.0, 7.0])
def test_resample_filtered(noise, assert_equal, rate):
    ds = noise(1001)
    ours = resample(ds, sampling_rate=rate, no_filter=False)
    assert_equal(ours.counts, by_channel(ds, "resample", rate, no_filter=False), ROUNDING)


def test_resample_a_run_off_the_grid(noise):
    """A periodic run that starts between new samples: the sine it holds, at the new labels."""
    ds = noise(801, stations=1)
    t = ds.time.values
    wave = np.sin(2 * np.pi * 5.0 * t + 0.3)
    wave[0] = np.nan  # the run of 800 samples starts at sample 1: half way to a new label
    ds["counts"] = (ds.counts * 0).fillna(0) + wave
    row = resample(ds, sampling_rate=50.0, window=None).counts.values[0, 0, 0]
    assert np.isnan(row[0])
    exact = np.sin(2 * np.pi * 5.0 * t[::2] + 0.3)
    np.testing.assert_allclose(row[1:], exact[1:-1], atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rate", [100.0, 33.0, 250.0])
@pytest.mark.parametrize("samples", [1000, 1001])
def test_interpolate(noise, assert_equal, method, rate, samples):
    ds = noise(samples)
    theirs = by_channel(ds, "interpolate", rate, method=method)
    ours = ces.interpolate(ds, sampling_rate=rate, method=method).counts
    assert ours.sizes["time"] - theirs.shape[-1] in (0, 1)  # ObsPy may lose the last to a rounding
    ours = ours.values[..., : theirs.shape[-1]]
    if method not in ("nearest", "zero"):
        # ObsPy counts in seconds: its positions are good to some 1e-13 of the record.
        assert_equal(ours, theirs, 1e-11)
        return
    twice = np.arange(theirs.shape[-1]) * 200 / rate
    sure = ~np.isclose(twice, np.round(twice))  # on samples and half way its rounding decides
    np.testing.assert_array_equal(ours[..., sure], theirs[..., sure])


@pytest.mark.parametrize("method", METHODS)
def test_interpolate_between_gaps(noise, method):
    ds = noise(gaps=True)
    ours = ces.interpolate(ds, sampling_rate=200.0, method=method).counts.values[0, 0, 0]
    missing = np.isnan(ds.counts.values[0, 0, 0])
    np.testing.assert_array_equal(np.isnan(ours[::2]), missing)
    np.testing.assert_array_equal(np.isnan(ours[1::2]), missing[:-1] | missing[1:])


def test_cubic_is_exact_of_cubics(noise):
    ds = noise(101)
    t = ds.time.values
    ds["counts"] = ds.counts * 0 + (1 + t - t**2 + t**3)
    ours = ces.interpolate(ds, sampling_rate=370.0, method="cubic")
    new = ours.time.values
    assert np.abs(ours.counts - (1 + new - new**2 + new**3)).max() < 1e-12


def test_slopes_make_no_new_extremum(noise):
    ds = noise(500)
    ours = ces.interpolate(ds, sampling_rate=1700.0, method="weighted_average_slopes").counts
    assert float(ours.max()) <= float(ds.counts.max()) + 1e-9


def test_utc_axis(noise):
    ds = noise(1000).isel(event=0).drop_vars("origin_time").drop_vars("time")
    ds = ds.assign_coords(
        time_coords(samples=1000, interval=Fraction(1, 100), origin=np.datetime64("2020-01-01"))
    )
    for ours in (decimate(ds, factor=10), resample(ds, sampling_rate=10.0)):
        assert str(ours.time.values[-1]) == "2020-01-01T00:00:09.900000000"


@pytest.mark.parametrize(
    "call, options, fix",
    [
        (decimate, {"factor": 0}, "whole number from 1 up"),
        (decimate, {"factor": 2.5}, "whole number from 1 up"),
        (decimate, {"factor": 17}, "several steps"),
        (resample, {"sampling_rate": 0.0}, "positive number"),
        (resample, {"sampling_rate": np.inf}, "positive number"),
        (resample, {"sampling_rate": 5.0, "no_filter": False}, "several steps"),
        (resample, {"sampling_rate": 50.0, "window": "wide"}, "by name"),
        (ces.interpolate, {"sampling_rate": 50.0, "method": "sinc"}, "use one of lanczos"),
    ],
)
def test_misuse(noise, call, options, fix):
    with pytest.raises(ParameterError, match=fix):
        call(noise(100), **options)
