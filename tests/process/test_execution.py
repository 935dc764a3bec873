"""The same numbers however the work is cut and wherever it runs."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.conventions import quantity_of
from pangeo_ces.process.decimate import decimate, resample
from pangeo_ces.process.gaps import fill_gaps
from pangeo_ces.process.shift import time_shift
from pangeo_ces.process.simulate import simulate


def late(ds: xr.Dataset) -> xr.Dataset:
    """Samples taken a quarter of an interval before their labels."""
    return ds.assign_coords(time_offset=ds.time_offset - 0.0025)


#: Every operator that keeps a waveform, on the quantity it takes.
OPERATORS = {
    "detrend": ("counts", lambda ds: ces.detrend(ds)),
    "detrend simple": ("counts", lambda ds: ces.detrend(ds, type="simple")),
    "polynomial": ("counts", lambda ds: ces.detrend(ds, type="polynomial", order=3)),
    "spline": ("counts", lambda ds: ces.detrend(ds, type="spline", order=3, dspline=100)),
    "taper": ("counts", lambda ds: ces.taper(ds, max_percentage=0.1)),
    "bandpass": ("counts", lambda ds: ces.bandpass(ds, freqmin=0.5, freqmax=8.0)),
    "lowpass zero": ("counts", lambda ds: ces.lowpass(ds, freq=8.0, zerophase=True)),
    "highpass": ("counts", lambda ds: ces.highpass(ds, freq=0.5)),
    "differentiate": ("velocity", ces.differentiate),
    "integrate": ("velocity", ces.integrate),
    "differentiate spectrum": (
        "velocity",
        lambda ds: ces.differentiate(ds, method="frequency"),
    ),
    "integrate spectrum": ("velocity", lambda ds: ces.integrate(ds, method="frequency")),
    "simulate": ("velocity", lambda ds: simulate(ds, instrument="wood-anderson")),
    "prefilter": ("velocity", lambda ds: ces.prefilter(ds, pre_filt=(0.5, 1.0, 10.0, 20.0))),
    "rotate": ("counts", ces.rotate),
    "rotate ZRT": ("counts", lambda ds: ces.rotate(ds, to="ZRT")),
    "rotate LQT": ("counts", lambda ds: ces.rotate(ds, to="LQT", incidence=20.0)),
    "interpolate": ("counts", lambda ds: ces.interpolate(ds, sampling_rate=37.0)),
    "interpolate cubic": (
        "counts",
        lambda ds: ces.interpolate(ds, sampling_rate=37.0, method="cubic"),
    ),
    "interpolate slopes": (
        "counts",
        lambda ds: ces.interpolate(ds, sampling_rate=370.0, method="weighted_average_slopes"),
    ),
    "time_shift": ("counts", lambda ds: time_shift(late(ds), method="fourier")),
    "fill_gaps": ("counts", lambda ds: fill_gaps(ds, max_length=0.1)),
    "decimate": ("counts", lambda ds: decimate(ds, factor=3)),
    "decimate unfiltered": ("counts", lambda ds: decimate(ds, factor=7, no_filter=True)),
    "resample": ("counts", lambda ds: resample(ds, sampling_rate=40.0)),
    "resample up": ("counts", lambda ds: resample(ds, sampling_rate=250.0, no_filter=False)),
    "convolve_source": ("velocity", lambda ds: ces.convolve_source(ds, half_duration=0.05)),
    "cut": ("counts", lambda ds: ces.cut(ds, start=1.0, stop=5.0)),
}
every_operator = pytest.mark.parametrize("quantity, call", OPERATORS.values(), ids=OPERATORS)


def samples(ds: xr.Dataset) -> np.ndarray:
    return ds[quantity_of(ds)].values


@every_operator
def test_lazy_and_equal_to_eager(noise, quantity, call):
    eager, lazy = noise(1001, quantity=quantity, gaps=True), None
    lazy = call(eager.chunk(station=1))
    ces.testing.assert_lazy(lazy)
    expected = call(eager)
    assert not dask.is_dask_collection(expected)
    ces.testing.assert_conforms(expected)
    np.testing.assert_array_equal(samples(lazy), samples(expected))
    xr.testing.assert_identical(lazy.compute(), expected)


@every_operator
@pytest.mark.parametrize("chunks", [{"time": 300}, {"component": 1}, {"component": 2, "time": 400}])
def test_chunked_otherwise(noise, quantity, call, chunks):
    """Cut along time and along components, which some operators need whole."""
    ds = noise(1001, quantity=quantity)
    ours = call(ds.chunk(chunks))
    ces.testing.assert_lazy(ours)
    expected = samples(call(ds))
    # The causal filters see ten periods before a chunk: longer than these, so the same runs of
    # arithmetic but from another start.  Everything else is the same bit for bit.
    tolerance = 1e-9 * np.abs(expected).max() if "time" in chunks else 0.0
    np.testing.assert_allclose(samples(ours), expected, rtol=0, atol=tolerance)


@every_operator
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept_and_declared(noise, quantity, call, dtype):
    ds = noise(501, quantity=quantity, dtype=dtype)
    for ours in (call(ds), call(ds.chunk(station=1))):
        name = quantity_of(ours)
        assert ours[name].dtype == dtype == ours[name].compute().dtype
    if dtype == "float32":
        exact = samples(call(ds.astype({quantity: "float64"})))
        # One rounding of the result (rotation rounds each of its three sums).
        np.testing.assert_allclose(
            samples(call(ds)), exact, rtol=0, atol=4 * 6e-8 * np.abs(exact).max()
        )


@every_operator
@pytest.mark.parametrize("length", [1, 2, 3])
def test_shortest_records(noise, quantity, call, length):
    ds = noise(length, quantity=quantity)
    ours = samples(call(ds))
    assert not np.isnan(ours).any()


@every_operator
@pytest.mark.parametrize("lazy", [False, True])
def test_nothing_recorded(noise, quantity, call, lazy):
    ds = noise(100, quantity=quantity)
    ds[quantity] = ds[quantity] * np.nan
    ds[quantity].attrs = noise(1, quantity=quantity)[quantity].attrs
    assert np.isnan(samples(call(ds.chunk(station=1) if lazy else ds))).all()


@every_operator
@pytest.mark.parametrize("lazy", [False, True])
def test_no_stations(noise, quantity, call, lazy):
    ds = noise(100, quantity=quantity).isel(station=slice(0, 0))
    ours = call(ds.chunk() if lazy else ds)
    assert ours.sizes["station"] == 0
    assert samples(ours).size == 0


@every_operator
def test_input_is_not_changed(noise, quantity, call):
    ds = noise(500, quantity=quantity, gaps=True)
    before = ds.copy(deep=True)
    samples(call(ds))
    xr.testing.assert_identical(ds, before)


def chain(ds: xr.Dataset) -> xr.Dataset:
    velocity = (
        ds.pipe(ces.detrend)
        .pipe(ces.taper)
        .pipe(ces.remove_response, pre_filt=(0.008, 0.015, 4.0, 8.0))
        .pipe(ces.bandpass, freqmin=0.03, freqmax=0.1, zerophase=True)
        .pipe(ces.rotate, to="ZRT")
        .pipe(ces.interpolate, sampling_rate=5.0)
    )
    return ces.peak_motion(velocity, periods=(15.0, 20.0))


def test_schedulers_agree_bit_for_bit(recorded):
    lazy = chain(recorded.chunk(event=1, station=1))
    ces.testing.assert_lazy(lazy)
    expected = chain(recorded)
    assert np.isfinite(expected.pga).sum() == 14 * 6
    for scheduler, workers in (("synchronous", 1), ("threads", 2), ("processes", 1)):
        ours = lazy.compute(scheduler=scheduler, num_workers=workers)
        xr.testing.assert_identical(ours, expected)


@pytest.mark.parametrize(  # the span of an empty axis must be given: see test_resample
    "quantity, call", [row for name, row in OPERATORS.items() if not name.startswith("interpolate")]
)
@pytest.mark.parametrize("lazy", [False, True])
def test_no_samples(noise, quantity, call, lazy):
    """What is left of a window that misses the records."""
    ds = noise(100, quantity=quantity).isel(time=slice(0, 0))
    assert samples(call(ds.chunk() if lazy else ds)).shape == (1, 2, 3, 0)
