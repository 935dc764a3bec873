"""The lazy time axis: exact labels, selections, joins, laziness, refusals."""

from __future__ import annotations

import time
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from pangeo_ces.errors import AxisError
from pangeo_ces.timeaxis import (
    NANO,
    TimeIndex,
    TimeTransform,
    sampling_interval,
    time_coords,
    time_index,
    utc_ns,
)

YEAR = 365 * 86_400
ORIGIN = np.datetime64("2020-01-01T00:00:00", "ns")
rates = st.fractions(min_value=Fraction(1, 1000), max_value=20_000, max_denominator=1009)
offsets = st.fractions(min_value=-(10**5), max_value=10**5, max_denominator=10**6)
origins = st.integers(min_value=-(2**61), max_value=2**62)


def utc(samples: int, interval: Fraction = Fraction(1, 100), **options) -> xr.Dataset:
    coords = time_coords(samples=samples, interval=interval, origin=ORIGIN, **options)
    return xr.Dataset({"x": ("time", np.arange(samples))}, coords=coords)


def relative(samples: int, interval: Fraction = Fraction(1, 100), **options) -> xr.Dataset:
    coords = time_coords(samples=samples, interval=interval, **options)
    return xr.Dataset({"x": ("time", np.arange(samples))}, coords=coords)


def nearest_nanosecond(seconds: Fraction) -> int:
    return (2 * seconds * NANO + 1) // 2 // 1


@given(rate=rates, offset=offsets, origin=origins, data=st.data())
def test_utc_labels_are_the_nearest_nanosecond(rate, offset, origin, data):
    """Over a year, at any rational rate, in the first sample as in the last."""
    samples = int(YEAR * rate) + 1
    index = data.draw(st.lists(st.integers(0, samples - 1), min_size=1, max_size=5))
    transform = TimeTransform(samples, 1 / rate, offset, origin)
    labels = transform.forward({"time": np.array([*index, samples - 1])})["time"]
    exact = [origin + nearest_nanosecond(offset + i / rate) for i in [*index, samples - 1]]
    assert labels.dtype == "datetime64[ns]"
    assert labels.astype("int64").tolist() == exact


@given(rate=rates, offset=offsets, data=st.data())
def test_relative_labels_are_the_nearest_float(rate, offset, data):
    samples = int(3600 * rate) + 1
    index = data.draw(st.integers(0, samples - 1))
    transform = TimeTransform(samples, 1 / rate, offset)
    (label,) = transform.forward({"time": np.array([index])})["time"]
    assert label == pytest.approx(float(offset + index / rate), rel=1e-15, abs=1e-300)


@given(rate=rates, offset=offsets, index=st.integers(0, 10**9))
def test_a_label_selects_its_own_sample(rate, offset, index):
    samples = 10**9 + 1
    for origin in (None, 1_500_000_000 * NANO):
        axis = TimeIndex(TimeTransform(samples, 1 / rate, offset, origin))
        if origin is None:
            index = index % 10**6  # float64 holds labels of some days to a millionth
        label = axis.transform.forward({"time": np.array([index])})["time"][0]
        assert axis.sel({"time": label}).dim_indexers == {"time": index}
        found = axis.sel({"time": slice(label, label)}).dim_indexers["time"]
        assert (found.start, found.stop) == (index, index + 1)


slices = st.builds(
    slice,
    st.none() | st.integers(-60, 60),
    st.none() | st.integers(-60, 60),
    st.none() | st.integers(1, 7),
)


@given(rate=rates, offset=offsets, chain=st.lists(slices, max_size=4), utc=st.booleans())
def test_slices_of_slices(rate, offset, chain, utc):
    transform = TimeTransform(50, 1 / rate, offset, 10**18 if utc else None)
    numbers = np.arange(50)
    labels = transform.generate_coords()["time"]
    axis = TimeIndex(transform)
    for piece in chain:
        axis, numbers = axis.isel({"time": piece}), numbers[piece]
    assert isinstance(axis, TimeIndex)
    assert axis.transform.samples == numbers.size
    np.testing.assert_array_equal(axis.transform.generate_coords()["time"], labels[numbers])
    if numbers.size > 1:
        assert axis.interval == (numbers[1] - numbers[0]).item() / rate


def test_selection_by_label():
    ds = utc(1000)
    assert int(ds.x.sel(time="2020-01-01T00:00:01.23")) == 123
    assert int(ds.x.sel(time=np.datetime64("2020-01-01T00:00:01.230", "ms"))) == 123
    assert int(ds.x.sel(time=pd.Timestamp("2020-01-01T00:00:01.23"))) == 123
    assert int(ds.x.sel(time=datetime(2020, 1, 1, 0, 0, 1, 230_000, tzinfo=UTC))) == 123
    paris = datetime(2020, 1, 1, 1, 0, 1, 230_000, tzinfo=timezone(timedelta(hours=1)))
    assert int(ds.x.sel(time=paris)) == 123
    assert int(ds.x.sel(time="2020-01-01T01:00:01.23+01:00")) == 123
    assert int(ds.x.sel(time="2020-01-01T00:00:01.2341", method="nearest")) == 123
    assert int(ds.x.sel(time="2020-01-01T00:00:01.2359", method="nearest")) == 124
    several = ["2020-01-01T00:00:00.05", "2020-01-01T00:00:00.01"]
    assert ds.x.sel(time=several).values.tolist() == [5, 1]
    points = xr.DataArray(pd.to_datetime(several), dims="pick")
    assert ds.x.sel(time=points).dims == ("pick",)
    assert int(relative(100).x.sel(time=0.05)) == 5
    assert int(relative(100).x.sel(time=np.timedelta64(50, "ms"))) == 5


def test_slices_by_label():
    ds = utc(200_000)
    assert ds.sel(time=slice("2020-01-01T00:00:01", "2020-01-01T00:00:02")).x.values.tolist() == [
        *range(100, 201)
    ]
    assert ds.sel(time=slice("2020-01-01T00:00:00.995", "2020-01-01T00:00:01.015")).x.values.tolist() == [100, 101]  # fmt: skip  # noqa: E501
    assert ds.sel(time=slice("2020-01-01", "2020-01-01")).sizes["time"] == 200_000  # the whole day
    assert ds.sel(time=slice("2019-01-01", "2019-12-31")).sizes["time"] == 0
    assert ds.sel(time=slice("2020-01-02", None)).sizes["time"] == 0
    assert ds.sel(time=slice(None, "2020-01-01T00:00:00.02")).sizes["time"] == 3
    assert ds.sel(time=slice("2020-01-01T00:00:02", "2020-01-01T00:00:01")).sizes["time"] == 0
    event = relative(1000, offset=Fraction(-5))
    assert event.sel(time=slice(-1, 0.1)).time.values[[0, -1]].tolist() == [-1.0, 0.1]
    assert event.sel(time=slice(-100, 100)).sizes["time"] == 1000
    third = relative(1000, Fraction(1, 3))
    assert third.sel(time=slice(1 / 3, 2 / 3)).x.values.tolist() == [1, 2]


@pytest.mark.parametrize("make", [utc, relative])
def test_selection_misses(make):
    ds = make(100)
    between = "2020-01-01T00:00:00.005" if make is utc else 0.005
    beyond = "2021-01-01" if make is utc else 99.0
    for label, method in ((between, None), (beyond, None), (beyond, "nearest")):
        with pytest.raises(KeyError, match="nearest"):
            ds.sel(time=label, method=method)
    with pytest.raises(KeyError, match="s off"):
        ds.sel(time=between, method="nearest", tolerance=0.001)
    with pytest.raises(AxisError, match="use 'nearest'"):
        ds.sel(time=between, method="ffill")
    for label in ("yesterday-ish", None):
        with pytest.raises((AxisError, KeyError)):
            ds.sel(time=label)
    with pytest.raises(AxisError, match="resample instead"):
        ds.sel(time=slice(None, None, 2))


def test_isel_of_arrays():
    ds = utc(100)
    labels = ds.time.values
    even = ds.isel(time=np.arange(10, 50, 4))
    assert isinstance(even.xindexes["time"], TimeIndex)
    assert sampling_interval(even) == Fraction(4, 100)
    np.testing.assert_array_equal(even.time, labels[10:50:4])
    for chosen in ([3, 1, 2], [5, 5], [1, 2, 4]):
        some = ds.isel(time=chosen)
        np.testing.assert_array_equal(some.time, labels[chosen])
        assert not isinstance(some.xindexes.get("time"), TimeIndex)
        with pytest.raises(AxisError, match=r"ces\.open_store"):
            time_index(some)
    keep = np.zeros(100, bool)
    keep[20:30] = True
    masked = ds.isel(time=keep)
    assert isinstance(masked.xindexes["time"], TimeIndex)
    np.testing.assert_array_equal(masked.time, labels[20:30])
    np.testing.assert_array_equal(ds.isel(time=[-1, -3]).time, labels[[-1, -3]])
    assert ds.isel(time=5).time.values == labels[5]
    np.testing.assert_array_equal(ds.isel(time=slice(-3, None)).time, labels[-3:])
    np.testing.assert_array_equal(ds.isel(time=np.arange(-4, 0)).time, labels[-4:])


def test_isel_refuses_what_runs_backwards():
    with pytest.raises(AxisError, match="positive step"):
        utc(10).isel(time=slice(None, None, -1))


@given(cuts=st.lists(st.integers(0, 100), max_size=4), rate=rates)
def test_concat_of_pieces_is_the_whole(cuts, rate):
    ds = relative(100, 1 / rate, offset=Fraction(-7, 3))
    edges = [0, *sorted(cuts), 100]
    pieces = [ds.isel(time=slice(a, b)) for a, b in pairwise(edges)]
    joined = xr.concat(pieces, "time")
    assert time_index(joined).equals(time_index(ds))
    xr.testing.assert_identical(joined, ds)


def test_concat_refuses_gap_overlap_and_other_rates():
    ds = utc(100)
    for second in (slice(51, None), slice(49, None), slice(0, 50)):
        with pytest.raises(AxisError, match="do not follow each other"):
            xr.concat([ds.isel(time=slice(0, 50)), ds.isel(time=second)], "time")
    with pytest.raises(AxisError, match="do not follow each other"):
        xr.concat([ds.isel(time=slice(0, 50)), ds.isel(time=slice(50, None, 2))], "time")


def test_arithmetic_refuses_unequal_axes():
    ds = utc(100)
    assert (ds + utc(100)).x.values.tolist() == [2 * i for i in range(100)]
    same = utc(100, offset=Fraction(-1)).assign_coords(
        time_coords(samples=100, interval=Fraction(1, 100), offset=Fraction(1),
                    origin=ORIGIN - np.timedelta64(1, "s"))
    )  # fmt: skip
    assert (ds + same).sizes["time"] == 100  # the same labels, counted from another origin
    others = [utc(99), utc(100, Fraction(1, 50)), utc(100, offset=Fraction(1, 200)),
              relative(100)]  # fmt: skip
    for other in others:
        with pytest.raises((AxisError, ValueError), match=r"time|axis|index"):
            ds + other


def test_unequal_axes_name_the_fix():
    with pytest.raises(AxisError, match=r"ces\.interpolate or cut both"):
        utc(100) + utc(99)
    with pytest.raises(AxisError, match=r"ces\.interpolate"):
        xr.align(utc(100), utc(50, Fraction(1, 50)), join="outer")


def test_a_year_costs_nothing():
    """3.2 thousand million samples: selections look at a handful of numbers."""

    def visit() -> int:
        coords = time_coords(samples=YEAR * 100, interval=Fraction(1, 100), origin=ORIGIN)
        ds = xr.Dataset(coords=coords)
        day = ds.sel(time=slice("2020-03-01", "2020-03-01")).isel(time=slice(100, -100, 7))
        assert str(ds.time.isel(time=-1).values) == "2020-12-30T23:59:59.990000000"
        assert ds.sel(time="2020-06-01T12:00:00.01").time.size == 1
        repr(ds)
        return day.sizes["time"]

    assert visit() == -(-(8_640_000 - 200) // 7)
    begin = time.perf_counter()
    visit()
    spent = time.perf_counter() - begin
    tracemalloc.start()
    visit()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert spent < 0.5  # some 10 ms; a busy machine gets time
    assert peak < 300_000  # labels alone would be 25 GB


def test_tz_and_string_inputs():
    for label in ("1970-01-01T00:00:01Z", "1970-01-01T01:00:01+01:00", 1_000_000_000,
                  np.int64(1_000_000_000), np.datetime64(1, "s"), np.array(np.datetime64(1, "s")),
                  pd.Timestamp(1, unit="s", tz="UTC"), datetime(1970, 1, 1, 0, 0, 1)):  # fmt: skip
        assert utc_ns(label) == NANO
    for label in ("NaT", np.datetime64("NaT", "ns"), "tomorrow maybe"):
        with pytest.raises(ValueError):
            utc_ns(label)
    axis = time_index(utc(2))
    with pytest.raises(AxisError, match="give a UTC time"):
        axis.transform.position("tomorrow maybe")
    with pytest.raises(AxisError, match="seconds after the origin time"):
        time_index(relative(2)).transform.position("tomorrow maybe")


@pytest.mark.parametrize("interval", [Fraction(0), Fraction(-1, 100)])
def test_interval_must_be_positive(interval):
    with pytest.raises(AxisError, match="rate > 0"):
        time_coords(samples=10, interval=interval)


def test_attributes_and_repr():
    assert relative(3).time.attrs["units"] == "s"
    assert utc(3).time.dtype == "datetime64[ns]" and relative(3).time.dtype == "float64"
    assert repr(time_index(utc(3))) == "TimeIndex(3 samples at 100 Hz)"
    with pytest.raises(AxisError, match="time_coords"):
        time_index(xr.Dataset(coords={"time": [1, 2, 3]}))


def test_rename_copy_and_pickle_keep_the_index():
    import copy
    import pickle

    ds = utc(100, offset=Fraction(1, 3))
    for other in (pickle.loads(pickle.dumps(ds)), copy.deepcopy(ds), ds.copy()):
        assert time_index(other).equals(time_index(ds))
        xr.testing.assert_identical(other, ds)
