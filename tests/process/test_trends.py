"""Polynomial and spline trends, and every taper shape, against ObsPy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from obspy.signal.detrend import polynomial, spline

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError

#: ObsPy solves for powers of the sample number, which is worse conditioned than what we do.
CONDITION = 1e-11
#: Two ways to solve the same banded system.
SPLINE = 1e-12
SHAPES = {
    "barthann": {}, "bartlett": {}, "blackmanharris": {}, "bohman": {}, "boxcar": {},
    "flattop": {}, "nuttall": {}, "chebwin": {"at": 100.0}, "gaussian": {"std": 7.0},
    "general_gaussian": {"p": 1.5, "sig": 7.0}, "kaiser": {"beta": 14.0},
}  # fmt: skip


def bigger(ds, theirs) -> float:
    """What was taken off, in units of what is left: both subtract two numbers of that size."""
    return max(np.nanmax(abs(ds.counts.values)) / np.nanmax(abs(theirs)), 1.0)


@pytest.mark.parametrize("samples", [10, 1000, 1001])
@pytest.mark.parametrize("order", [0, 1, 2, 3, 5])
def test_polynomial(noise, by_obspy, assert_equal, order, samples):
    ds = noise(samples)
    theirs = by_obspy(ds, lambda trace: polynomial(trace.data, order))
    ours = ces.detrend(ds, type="polynomial", order=order).counts
    assert_equal(ours, theirs, CONDITION * bigger(ds, theirs))


@pytest.mark.parametrize("samples", [300, 1001])
@pytest.mark.parametrize("order, dspline", [(1, 100), (2, 101), (3, 50), (3, 1000), (5, 333)])
def test_spline(noise, by_obspy, assert_equal, order, dspline, samples):
    ds = noise(samples)
    if dspline > samples:  # ObsPy refuses a knot beyond the record: there is none left
        theirs = by_obspy(ds, lambda trace: polynomial(trace.data, order))
    else:
        theirs = by_obspy(ds, lambda trace: spline(trace.data, order, dspline))
    ours = ces.detrend(ds, type="spline", order=order, dspline=dspline).counts
    assert_equal(ours, theirs, max(SPLINE, CONDITION * (dspline > samples)) * bigger(ds, theirs))


@pytest.mark.parametrize(
    "options, change",
    [
        ({"type": "polynomial", "order": 2}, lambda data: polynomial(data, 2)),
        ({"type": "spline", "order": 2, "dspline": 60}, lambda data: spline(data, 2, 60)),
    ],
)
def test_run_by_run(noise, by_obspy, assert_equal, options, change):
    """Of one or two samples nothing is left."""
    ds = noise(gaps=True)

    def change_trace(trace):
        trace.data[:] = change(trace.data) if len(trace) > 2 else 0.0

    theirs = by_obspy(ds, change_trace)
    ours = ces.detrend(ds, **options).counts
    assert_equal(ours, theirs, CONDITION * bigger(ds, theirs))
    alone = ces.detrend(ds.isel(time=slice(601, None)), **options).counts[0, 0, 0]
    np.testing.assert_array_equal(ours[0, 0, 0, 601:], alone)


@pytest.mark.parametrize("kind", ["polynomial", "spline"])
def test_a_cubic_vanishes(noise, kind):
    """To rounding of the samples, over a record as long as they get."""
    ds = noise(100_001, stations=1)
    t = np.linspace(-1, 1, 100_001)
    ds["counts"] = ds.counts * 0 + (3 + t - 2 * t**2 + 5 * t**3)
    dspline = 20_000.0 if kind == "spline" else None
    left = ces.detrend(ds, type=kind, order=3, dspline=dspline).counts
    assert float(abs(left).max()) < 2e-14 * 11


def test_demean_is_constant(noise):
    ds = noise(gaps=True)
    np.testing.assert_array_equal(
        ces.detrend(ds, type="demean").counts, ces.detrend(ds, type="constant").counts
    )


@pytest.mark.parametrize("samples", [3, 4, 7, 100, 101])
@pytest.mark.parametrize("shape", SHAPES)
def test_taper(noise, by_obspy, assert_equal, shape, samples):
    ds, options = noise(samples), SHAPES[shape]
    for side in ("both", "left", "right"):
        for fraction in (0.0, 0.05, 0.31, 0.5):
            theirs = by_obspy(
                ds, lambda trace, f=fraction, s=side: trace.taper(f, shape, side=s, **options)
            )
            ours = ces.taper(ds, max_percentage=fraction, type=shape, side=side, **options)
            assert_equal(ours.counts, theirs, 1e-15)


@pytest.mark.parametrize("shape", SHAPES)
def test_taper_by_seconds_run_by_run(noise, by_obspy, assert_equal, shape):
    ds, options = noise(gaps=True, sampling_rate=20.0), SHAPES[shape]
    with pytest.warns(UserWarning, match="longer than the trace"):
        theirs = by_obspy(ds, lambda trace: trace.taper(None, shape, max_length=2.35, **options))
    ours = ces.taper(ds, max_percentage=None, type=shape, max_length=2.35, **options)
    assert_equal(ours.counts, theirs, 1e-15)


@pytest.mark.parametrize("chunk", [300, 97, 10])
@pytest.mark.parametrize("length", [0.03, 0.5, 2.0])
def test_taper_by_seconds_over_chunks(noise, length, chunk):
    """Run ends anywhere against the cuts, runs shorter than two tapers: bit for bit."""
    ds = noise(gaps=True)
    ds["counts"][0, 1, 0, [300, 301, 390, 395, 485]] = np.nan
    options = {"max_percentage": None, "max_length": length}
    ours = ces.taper(ds.chunk(time=chunk), **options).counts
    np.testing.assert_array_equal(ours, ces.taper(ds, **options).counts)
    if 2 * length * 100 < chunk:
        assert len(ours.chunksizes["time"]) > 1


@pytest.mark.parametrize(
    "call, options, fix",
    [
        (ces.detrend, {"type": "polynomial"}, "needs order: give it, or use one of constant"),
        (ces.detrend, {"type": "spline"}, "needs order and dspline"),
        (ces.detrend, {"type": "linear", "order": 2}, "has no order: leave it away"),
        (ces.detrend, {"type": "polynomial", "order": -1}, "whole number from 0 up"),
        (ces.detrend, {"type": "polynomial", "order": 1.5}, "whole number from 0 up"),
        (ces.detrend, {"type": "spline", "order": 6, "dspline": 50}, "give 1 to 5"),
        (ces.detrend, {"type": "spline", "order": 3, "dspline": 3}, "more than the order"),
        (ces.detrend, {"type": "spline", "order": 3, "dspline": np.nan}, "more than the order"),
        (ces.taper, {"type": "kaiser"}, "needs beta"),
        (ces.taper, {"type": "hann", "beta": 1.0}, "has no beta"),
        (ces.taper, {"type": "gaussian", "std": np.inf}, "finite numbers"),
    ],
)
def test_misuse(noise, call, options, fix):
    with pytest.raises(ParameterError, match=fix):
        call(noise(10), **options)
