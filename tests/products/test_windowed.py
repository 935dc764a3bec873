"""Waveforms within windows against ObsPy's trim and taper."""

from __future__ import annotations

import numpy as np
import obspy
import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.errors import AxisError, ParameterError, SchemaError
from pangeo_ces.products.time_frequency import time_frequency_misfit
from pangeo_ces.products.windowed import window_waveforms

SHAPE = ("event", "station", "component", "window")


@pytest.fixture
def waveforms():
    return ces.testing.synthetic_windows(quantity="velocity", samples=1001, lazy=False)


def windows_of(ds, rows):
    """The same windows, ``[(start, end), …]``, for every channel; one more is missing."""
    rows = [*rows, (np.nan, np.nan)]
    full = np.broadcast_to(rows, (*ds.velocity.shape[:-1], len(rows), 2))
    return xr.Dataset(
        {"window_start": (SHAPE, full[..., 0].copy()), "window_end": (SHAPE, full[..., 1].copy())},
        coords={dim: ds[dim] for dim in SHAPE[:3]},
    )


def by_obspy(x, rows, fraction):
    """First sample at -0.05 s, 100 Hz: trimmed, tapered, summed."""
    result = np.zeros(x.size)
    for start, end in rows[:-1]:
        trace = obspy.Trace(x.copy(), {"sampling_rate": 100.0})
        begin = trace.stats.starttime
        trace.trim(begin + start + 0.05, begin + end + 0.05)
        trace.taper(fraction, type="hann")
        first = max(round((start + 0.05) * 100), 0)
        result[first : first + trace.stats.npts] += trace.data
    return result


@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.5])
def test_against_obspy(waveforms, fraction):
    """One over the start, two that overlap, one of a single sample, one beyond the end."""
    rows = [(-0.7, 0.4), (1.0, 3.23), (2.5, 4.51), (9.0, 9.0), (12.0, 13.0)]
    found = window_waveforms(waveforms, windows_of(waveforms, rows), max_percentage=fraction)
    for index in np.ndindex(found.velocity.shape[:-1]):
        expected = by_obspy(waveforms.velocity.values[index], rows, fraction)
        np.testing.assert_allclose(found.velocity.values[index], expected, rtol=1e-12, atol=1e-9)
    assert found.velocity.attrs == waveforms.velocity.attrs
    xr.testing.assert_identical(found["time"], waveforms["time"])


def test_channels_have_windows_of_their_own(waveforms):
    windows = windows_of(waveforms, [(0.0, 1.0)])
    windows.window_start[0, 1, 2] = 2.0
    windows.window_end[0, 1, 2] = 3.0
    windows.window_start[1, 0, 0] = np.nan
    found = window_waveforms(waveforms, windows).velocity
    assert (found[0, 1, 2].sel(time=slice(0.0, 1.0)) == 0).all()
    assert (found[0, 1, 2].sel(time=slice(2.2, 2.8)) != 0).all()
    assert (found[1, 0, 0] == 0).all()
    assert (found[1, 1, 1].sel(time=slice(0.2, 0.8)) != 0).all()


def test_what_is_missing_stays_missing(waveforms):
    waveforms.velocity[..., :300] = np.nan
    waveforms.velocity[0, 0, 0] = np.nan
    found = window_waveforms(waveforms, windows_of(waveforms, [(1.0, 2.0), (4.0, 5.0)])).velocity
    np.testing.assert_array_equal(np.isnan(found), np.isnan(waveforms.velocity))
    assert (abs(found[1].sel(time=slice(4.2, 4.8))) > 0).all()


def test_a_misfit_of_the_windows_alone(waveforms):
    """What lies outside of the windows does not count."""
    other = waveforms.copy(deep=True)
    other.velocity[..., 800:] += 1e6
    windows = windows_of(waveforms, [(0.0, 2.5)])
    one, two = (window_waveforms(ds, windows) for ds in (waveforms, other))
    found = time_frequency_misfit(one, two, fmin=1.0, fmax=10.0, nf=5)
    assert float(found.em.max()) == 0.0


def test_blocks_do_not_matter(waveforms):
    waveforms = waveforms.astype("float32")
    windows = windows_of(waveforms, [(-0.7, 0.4), (0.5, 2.5)])
    expected = window_waveforms(waveforms, windows)
    assert expected.velocity.dtype == "float32"
    for chunks in ({"event": 1, "station": 2}, {"component": 1}, {"time": 100}):
        lazy = window_waveforms(waveforms.chunk(chunks), windows.chunk(station=1))
        ces.testing.assert_lazy(lazy[["velocity"]])
        xr.testing.assert_identical(lazy.compute(), expected)


def test_misuse(waveforms):
    windows = windows_of(waveforms, [(0.0, 1.0)])
    with pytest.raises(ParameterError, match="give a fraction from 0 to 0.5"):
        window_waveforms(waveforms, windows, max_percentage=0.6)
    with pytest.raises(SchemaError, match="no window_end: give a Dataset with both"):
        window_waveforms(waveforms, windows.drop_vars("window_end"))
    with pytest.raises(SchemaError, match="differ in station"):
        window_waveforms(waveforms, windows.isel(station=[0, 1]))
    continuous = waveforms.isel(event=0, drop=True)
    utc = ces.timeaxis.time_coords(
        samples=1001, interval=ces.timeaxis.sampling_interval(waveforms), origin=0
    )
    with pytest.raises(AxisError, match=r"ces\.event_windows"):
        window_waveforms(continuous.drop_vars("time").assign_coords(utc), windows)
