"""Filling of gaps against ``obspy.Stream.merge``."""

from __future__ import annotations

import numpy as np
import obspy
import pytest

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError
from pangeo_ces.process.gaps import fill_gaps

FILLS = {"constant": 7.0, "interpolate": "interpolate", "latest": "latest"}


def merged(row: np.ndarray, fill) -> np.ndarray:
    """ObsPy's merge of the gap-free runs of a channel, NaN around them."""
    there = np.flatnonzero(~np.isnan(row))
    if not there.size:
        return row
    whole = obspy.Trace(np.ma.masked_invalid(row[there[0] : there[-1] + 1]))
    result = row.copy()
    result[there[0] : there[-1] + 1] = whole.split().merge(fill_value=fill)[0].data
    return result


@pytest.mark.parametrize("method", FILLS)
def test_against_obspy(noise, assert_equal, method):
    ds = noise(gaps=True)
    theirs = np.apply_along_axis(merged, -1, ds.counts.values, FILLS[method])
    ours = fill_gaps(ds, method=method, value=7.0).counts
    assert_equal(ours, theirs, 1e-15)
    assert np.isnan(ours[0, 0, 1]).sum() == 400  # before its first sample


@pytest.mark.parametrize("method", FILLS)
@pytest.mark.parametrize("length, filled", [(0.0, 0), (0.01, 2), (0.06, 2), (0.07, 9), (9.0, 9)])
def test_longest(noise, method, length, filled):
    """Gaps of 1, 7 and 1 samples, and what lies before the first."""
    ds = noise(gaps=True)
    ours = fill_gaps(ds, method=method, max_length=length).counts
    before, after = np.isnan(ds.counts[0, 0, 0]), np.isnan(ours[0, 0, 0])
    assert int(before.sum() - after.sum()) == filled
    assert np.isnan(ours[0, 0, 0, 0])


@pytest.mark.parametrize("method", FILLS)
@pytest.mark.parametrize("chunk", [50, 7, 3, 1])
def test_gaps_over_chunks(noise, method, chunk):
    """Any place of a gap against the cuts, and gaps longer than a chunk, bit for bit."""
    ds = noise(200, stations=1)
    random = np.random.default_rng(1)
    ds["counts"] = ds.counts.where(random.random(ds.counts.shape) > 0.4)
    ds["counts"][..., 90:103] = np.nan
    for length in (0.02, 0.05, 0.13, None):
        lazy = fill_gaps(ds.chunk(time=chunk), method=method, max_length=length)
        ces.testing.assert_lazy(lazy)
        eager = fill_gaps(ds, method=method, max_length=length)
        np.testing.assert_array_equal(lazy.counts, eager.counts)


def test_float32_is_rounded_once(noise):
    ds = noise(gaps=True, dtype="float32")
    exact = fill_gaps(ds.astype({"counts": "float64"})).counts.astype("float32")
    np.testing.assert_array_equal(fill_gaps(ds).counts, exact)


@pytest.mark.parametrize(
    "options, fix",
    [
        ({"method": "spline"}, "use one of constant"),
        ({"value": np.nan}, "finite number"),
        ({"max_length": -1.0}, "zero or more"),
        ({"max_length": np.nan}, "zero or more"),
    ],
)
def test_misuse(noise, options, fix):
    with pytest.raises(ParameterError, match=fix):
        fill_gaps(noise(10), **options)
