"""trace -> store -> trace is exact: rates, gaps, overlaps, sub-sample starts, dtypes."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import obspy
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import pangeo_ces as ces
from pangeo_ces.sources.base import nominal_rate
from pangeo_ces.store.traces import read_traces

RATES = st.sampled_from([100.0, 40.0, 2.5, 30.0, 99.9996, 1 / 0.126792654, 0.1])
DTYPES = st.sampled_from(["int16", "int32", "int64", "float32", "float64", "uint8", ">i4", ">f4"])
COUNTER = itertools.count()


@st.composite
def several(draw):
    """Traces of one channel: any dtype each, gaps and overlaps, starts to the nanosecond."""
    rate = draw(RATES)
    step = round(1e9 / rate)
    start = draw(st.integers(10**18, 10**18 + 10**10))
    traces = []
    for number in range(draw(st.integers(1, 5))):
        dtype = np.dtype(draw(DTYPES))
        samples = draw(st.integers(1, 300))
        random = np.random.default_rng(draw(st.integers(0, 2**32)))
        if dtype.kind == "f":
            data = random.standard_normal(samples).astype(dtype)
            if draw(st.booleans()):
                data[random.integers(samples)] = np.nan
        else:
            limits = np.iinfo(dtype)
            low, high = max(limits.min, -(2**53)), min(limits.max, 2**53)
            data = random.integers(low, high, samples, dtype="int64", endpoint=True).astype(dtype)
        traces.append((rate, start, data, number))
        # The next one starts before, at, or after the end of this one, off the grid.
        shift = draw(st.integers(-samples, samples + 50)) * step + draw(st.integers(-step, step))
        start = max(start + samples * step + shift - samples * step // 2, 10**18)
    return traces


@pytest.mark.timeout(900)  # an example without event fills whole day shards
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(several(), st.booleans())
def test_exact(listed, make_trace, catalog_of, traces, windows):
    # At 0.1 Hz some traces start more than half an hour after the event: rightly no part of it.
    assume(not windows or traces[0][0] >= 1)
    made = [make_trace(data, start, rate) for rate, start, data, _ in traces]
    number = next(COUNTER)
    name = f"f{number}.list"
    listed.files = {name: made}
    import fsspec

    fsspec.filesystem("memory").pipe(f"/in/{name}", b"list")
    event = catalog_of("e.xml", obspy.UTCDateTime(ns=made[0].start)) if windows else None
    store = f"memory://round-{number}"
    report = ces.convert(f"memory://in/{name}", store, event=event)
    distinct = {(t.start, t.data.dtype.str, t.data.tobytes()) for t in made}
    assert report.traces_used == len(distinct)
    back = list(read_traces(store))
    assert len(back) == len(distinct)
    for trace in back:
        same = [
            t for t in made
            if t.start == trace.start and t.samples == trace.samples
            and np.array_equal(t.data, trace.data, equal_nan=t.data.dtype.kind == "f")
            and t.data.dtype.newbyteorder("=") == trace.data.dtype
        ]  # fmt: skip
        assert same, (trace, made)
        assert nominal_rate(trace.interval) == traces[0][0]
        assert trace.id == "XX.A..HHZ"


def test_stream_equals_obspy(tmp_path, record, stations, quake):
    paths = [record(s, c) for s in "AB" for c in "ZNE"]
    ces.convert([*paths], tmp_path / "s.zarr", stations=stations, event=quake)
    original = sum((obspy.read(p) for p in paths), obspy.Stream()).sort()
    back = ces.to_stream(tmp_path / "s.zarr").sort()
    assert len(back) == 6
    for one, two in zip(original, back, strict=True):
        assert one.id == two.id
        assert one.stats.starttime == two.stats.starttime
        assert one.stats.sampling_rate == two.stats.sampling_rate
        np.testing.assert_array_equal(one.data, two.data)
        assert one.data.dtype == two.data.dtype


@pytest.mark.parametrize("value", [-(2**31), 2**31 - 1, 2**24 + 1])
def test_extreme_counts(tmp_path, listed, make_trace, value):
    """The fill value itself, and counts that float32 cannot hold, come back.

    On the grid the fill value is a gap, and the report says so; its sample is kept beside it.
    """
    data = np.array([1, value, -1], "int32")
    listed.files = {"x.list": [make_trace(data, 10**18)]}
    (tmp_path / "x.list").write_text("")
    report = ces.convert(tmp_path / "x.list", tmp_path / "s.zarr")
    (back,) = read_traces(tmp_path / "s.zarr")
    np.testing.assert_array_equal(back.data, data)
    assert any("fill value" in row.reason for row in report.rows) == (value == -(2**31))
    opened = ces.open_store(tmp_path / "s.zarr")["continuous/100Hz"].to_dataset()
    start = (10**18 % (86400 * 10**9)) // 10**7
    values = opened["counts"][0, 0, start : start + 3].values
    np.testing.assert_array_equal(values, np.where(data == -(2**31), np.nan, data))


def test_continuous_days(tmp_path, listed, make_trace):
    """A trace over midnight crosses shards and comes back whole, on an absolute axis."""
    rate = Fraction(1, 1)
    data = np.arange(250_000, dtype="int32")
    start = int(obspy.UTCDateTime("2020-02-28T12:00:00").ns)
    listed.files = {"x.list": [make_trace(data, start, rate)]}
    (tmp_path / "x.list").write_text("")
    ces.convert(tmp_path / "x.list", tmp_path / "s.zarr")
    (back,) = read_traces(tmp_path / "s.zarr")
    np.testing.assert_array_equal(back.data, data)
    ds = ces.open_store(tmp_path / "s.zarr")["continuous/1Hz"].to_dataset()
    cut = ds["counts"].sel(time=slice("2020-02-29T00:00:00", "2020-02-29T00:00:09"))
    np.testing.assert_array_equal(cut.values.ravel(), np.arange(43200, 43210))
