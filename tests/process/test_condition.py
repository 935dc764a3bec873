"""Detrend and taper against ObsPy."""

from __future__ import annotations

import numpy as np
import pytest

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError

# Means and least-squares lines are summed in another order: a few ulp of the largest sample.
ROUNDING = 1e-12


@pytest.mark.parametrize("samples", [2, 3, 10, 1000, 1001])
@pytest.mark.parametrize("kind", ["constant", "linear", "simple"])
def test_detrend(noise, by_obspy, assert_equal, kind, samples):
    ds = noise(samples)
    theirs = by_obspy(ds, lambda trace: trace.detrend(kind))
    offset = abs(ds.counts.values).max() / max(abs(theirs).max(), 1e-300)
    assert_equal(ces.detrend(ds, type=kind).counts, theirs, ROUNDING * max(offset, 1.0))


@pytest.mark.parametrize("kind", ["constant", "linear", "simple"])
def test_detrend_run_by_run(noise, by_obspy, assert_equal, kind):
    ds = noise(gaps=True)

    def change(trace):
        # ObsPy cannot detrend one or two samples linearly; what is left of them is zero.
        if len(trace) > 2:
            trace.detrend(kind)
        else:
            trace.data[:] = trace.data - trace.data.mean() if kind == "constant" else 0.0

    assert_equal(ces.detrend(ds, type=kind).counts, by_obspy(ds, change), ROUNDING)


@pytest.mark.parametrize("kind", ["constant", "linear"])
def test_detrend_of_real_records(recorded, by_obspy, assert_equal, kind):
    theirs = by_obspy(recorded, lambda trace: trace.detrend(kind))
    ours = ces.detrend(recorded.astype({"counts": "float64"}), type=kind).counts
    assert_equal(ours, theirs, 1e-10)  # the offset removed is larger than what remains


@pytest.mark.parametrize("samples", [3, 4, 7, 100, 101])
@pytest.mark.parametrize("side", ["both", "left", "right"])
@pytest.mark.parametrize("kind", ["hann", "cosine", "hamming", "blackman", "triang", "parzen"])
def test_taper(noise, by_obspy, assert_equal, kind, side, samples):
    ds = noise(samples)
    for fraction in (0.0, 0.05, 0.31, 0.5):
        theirs = by_obspy(ds, lambda trace, f=fraction: trace.taper(f, type=kind, side=side))
        ours = ces.taper(ds, max_percentage=fraction, type=kind, side=side)
        assert_equal(ours.counts, theirs, 1e-15)


@pytest.mark.filterwarnings("ignore:The requested taper is longer")
@pytest.mark.parametrize("rate", [100.0, 20.0, 3.0])
@pytest.mark.parametrize("length", [0.07, 0.29, 0.35, 1.1, 7.0, 1e4])
def test_taper_by_seconds(noise, by_obspy, assert_equal, rate, length):
    ds = noise(501, sampling_rate=rate)
    for fraction in (None, 0.2):
        theirs = by_obspy(ds, lambda trace, f=fraction: trace.taper(f, max_length=length))
        ours = ces.taper(ds, max_percentage=fraction, max_length=length)
        assert_equal(ours.counts, theirs, 1e-15)


def test_taper_run_by_run(noise, by_obspy, assert_equal):
    ds = noise(gaps=True)
    assert_equal(ces.taper(ds).counts, by_obspy(ds, lambda trace: trace.taper(0.05)), 1e-15)


@pytest.mark.parametrize(
    "call, options, fix",
    [
        (ces.detrend, {"type": "spline"}, "use one of constant, linear, simple"),
        (ces.taper, {"type": "kaiser2"}, "use hann"),
        (ces.taper, {"side": "top"}, "use both, left or right"),
        (ces.taper, {"max_percentage": 5}, "fraction from 0 to 0.5"),
        (ces.taper, {"max_length": -1.0}, "zero or more"),
        (ces.taper, {"max_length": np.nan}, "zero or more"),
    ],
)
def test_misuse(noise, call, options, fix):
    with pytest.raises(ParameterError, match=fix):
        call(noise(10), **options)
