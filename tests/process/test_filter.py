"""Butterworth filters against ObsPy."""

from __future__ import annotations

import numpy as np
import pytest

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError

FILTERS = [
    (ces.bandpass, "bandpass", {"freqmin": 0.5, "freqmax": 8.0}),
    (ces.highpass, "highpass", {"freq": 1.0}),
    (ces.lowpass, "lowpass", {"freq": 5.0}),
]
# The same second-order sections in the same order, in float64 on both sides.
ROUNDING = 1e-12


@pytest.mark.parametrize("zerophase", [False, True])
@pytest.mark.parametrize("corners", [1, 2, 3, 4])
@pytest.mark.parametrize("call, name, options", FILTERS)
def test_filter(noise, by_obspy, assert_equal, call, name, options, corners, zerophase):
    ds = noise(gaps=True)
    options = options | {"corners": corners, "zerophase": zerophase}
    theirs = by_obspy(ds, lambda trace: trace.filter(name, **options))
    assert_equal(call(ds, **options).counts, theirs, ROUNDING)


def test_filter_of_real_records(recorded, by_obspy, assert_equal):
    options = {"freqmin": 0.03, "freqmax": 0.08, "corners": 3, "zerophase": True}
    ds = ces.detrend(recorded.astype({"counts": "float64"}))
    theirs = by_obspy(ds, lambda trace: trace.filter("bandpass", **options))
    assert_equal(ces.bandpass(ds, **options).counts, theirs, ROUNDING)


@pytest.mark.parametrize("zerophase", [False, True])
def test_float32_in_float64_inside(noise, zerophase):
    options = {"freqmin": 0.5, "freqmax": 8.0, "zerophase": zerophase}
    double, single = noise(3000), noise(3000, dtype="float32")
    ours = ces.bandpass(single, **options).counts
    assert ours.dtype == "float32"
    exact = ces.bandpass(double, **options).counts
    # Input and output are rounded to float32 once each; the offset of the input counts.
    assert abs(ours - exact).max() < 2 * 6e-8 * abs(double.counts).max()


@pytest.mark.parametrize("zerophase", [False, True])
@pytest.mark.parametrize("call, name, options", FILTERS)
def test_chunked_time(noise, assert_equal, call, name, options, zerophase):
    ds = ces.detrend(noise(12_001))
    whole = call(ds, **options, zerophase=zerophase).counts.values
    chunked = call(ds.chunk(time=3000), **options, zerophase=zerophase)
    ces.testing.assert_lazy(chunked)
    # A chunk sees ten periods of the lowest corner before it, and after it if zero-phase: by then
    # the response to what lies further away has fallen below a thousand-millionth.
    assert_equal(chunked.counts, whole, 1e-9)


def test_closed_form_gain(noise):
    """A sine of a corner frequency comes out at 1/sqrt(2), or at 1/2 if zero-phase."""
    ds = noise(20_001)
    sine = np.sin(2 * np.pi * 2.0 * np.arange(20_001) / 100)
    ds["counts"] = ds.counts * 0 + sine
    middle = slice(9000, 11000)
    for zerophase, gain in ((False, 0.5**0.5), (True, 0.5)):
        out = ces.lowpass(ds, freq=2.0, zerophase=zerophase).counts.isel(time=middle)
        # Over whole periods; corners are placed with the bilinear transform, prewarped.
        assert float((2 * (out**2).mean()) ** 0.5) == pytest.approx(gain, rel=1e-9)


@pytest.mark.parametrize(
    "call, options, fix",
    [
        (ces.bandpass, {"freqmin": 2.0, "freqmax": 1.0}, "swap them"),
        (ces.bandpass, {"freqmin": 1.0, "freqmax": 50.0}, "Nyquist frequency of these records, 50"),
        (ces.highpass, {"freq": 0.0}, "above 0"),
        (ces.lowpass, {"freq": np.nan}, "above 0"),
        (ces.lowpass, {"freq": 1.0, "corners": 0}, "at least 1"),
    ],
)
def test_misuse(noise, call, options, fix):
    with pytest.raises(ParameterError, match=fix):
        call(noise(10), **options)
