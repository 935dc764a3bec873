"""Event windows of continuous data against ObsPy's trim, and the shift onto true times."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import obspy
import pytest
import xarray as xr
from obspy.geodetics import gps2dist_azimuth
from obspy.taup import TauPyModel

import pangeo_ces as ces
from pangeo_ces.conventions import VARIABLES
from pangeo_ces.errors import ParameterError, SchemaError
from pangeo_ces.process.events import event_windows
from pangeo_ces.process.shift import time_shift
from pangeo_ces.timeaxis import time_coords

START = np.datetime64("2020-01-01T00:00:00", "ns")
RATE, SAMPLES = 20, 40_000  # 2000 s
ORIGINS = ["2020-01-01T00:05:00.000", "2020-01-01T00:13:20.017", "2020-01-01T00:33:00.040"]
CHANNEL = ("station", "component")


def wave(seconds: np.ndarray) -> np.ndarray:
    """What every channel measures at a time after ``START``."""
    return np.sin(2 * np.pi * 0.7 * seconds) + 0.5 * np.cos(2 * np.pi * 0.31 * seconds)


@pytest.fixture
def continuous() -> xr.Dataset:
    """Two stations and three components; their clocks tick at ``time_offset`` after the labels."""
    offsets = np.array([[0.0, 0.011, -0.02], [0.004, 0.0, 0.0]])
    t = np.arange(SAMPLES) / RATE
    values = wave(t + offsets[..., None])
    values[0, 0, 6100:6110] = np.nan
    values[1, 2] = np.nan
    last = t[-1]
    nothing = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, np.nan]])
    ds = xr.Dataset(
        {"counts": (("station", "component", "time"), values)},
        coords={
            "station": ["XX.A..HH", "XX.B..HH"],
            "component": ["Z", "N", "E"],
            "latitude": ("station", [42.0, 43.0]),
            "longitude": ("station", [13.0, 14.0]),
            "azimuth": (CHANNEL, np.tile([0.0, 0.0, 90.0], (2, 1))),
            "dip": (CHANNEL, np.tile([-90.0, 0.0, 0.0], (2, 1))),
            "response_id": (CHANNEL, np.arange(6).reshape(2, 3)),
            "time_offset": (CHANNEL, offsets),
            "data_start": (CHANNEL, 0 * nothing),
            "data_end": (CHANNEL, last * nothing),
        },
    ).assign_coords(time_coords(samples=SAMPLES, interval=Fraction(1, RATE), origin=START))
    ds.counts.attrs = VARIABLES["counts"].attrs
    ces.testing.assert_conforms(ds)
    return ds


@pytest.fixture
def events() -> xr.Dataset:
    return xr.Dataset(
        coords={
            "event": ["first", "second", "third"],
            "origin_time": ("event", np.array(ORIGINS, "datetime64[ns]")),
            "event_latitude": ("event", [42.5, 41.0, 44.0]),
            "event_longitude": ("event", [13.2, 12.0, 15.0]),
            "event_depth": ("event", [10_000.0, 0.0, 35_000.0]),
            "event_name": ("event", ["a", "b", "c"]),
        }
    )


def trimmed(ds: xr.Dataset, station: int, component: int, origin, start, stop) -> np.ndarray:
    trace = obspy.Trace(
        ds.counts.values[station, component].copy(),
        {"sampling_rate": RATE, "starttime": obspy.UTCDateTime(str(START))},
    )
    when = obspy.UTCDateTime(str(origin))
    trace.trim(when + start, when + stop, pad=True, fill_value=np.nan, nearest_sample=True)
    return trace.data


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("start, stop", [(-10.0, 20.0), (-600.0, 300.0), (0.0, 0.05)])
def test_against_obspy(continuous, events, start, stop, lazy):
    ds = continuous.chunk(station=1, component=1, time=7000) if lazy else continuous
    ours = event_windows(ds, events, start=start, stop=stop)
    if lazy:
        ces.testing.assert_lazy(ours)
        assert (
            len(ours.counts.chunksizes["time"]) == 1 and len(ours.counts.chunksizes["event"]) == 3
        )
    ces.testing.assert_conforms(ours)
    assert ours.counts.dims == ("event", "station", "component", "time")
    assert float(ours.time[0]) == start and float(ours.time[-1]) == stop
    for place in np.ndindex(3, 2, 3):
        e, s, c = place
        theirs = trimmed(continuous, s, c, events.origin_time.values[e], start, stop)
        np.testing.assert_array_equal(ours.counts.values[place], theirs)


def test_true_times(continuous, events):
    """Label and ``time_offset`` name the time at which a sample was taken."""
    ours = event_windows(continuous, events, start=-10.0, stop=5.0)
    after = (events.origin_time.values - START) / np.timedelta64(1, "s")
    true = after[:, None, None, None] + ours.time.values + ours.time_offset.values[..., None]
    expected = np.where(np.isnan(ours.counts), np.nan, wave(true))
    np.testing.assert_allclose(ours.counts, expected, atol=1e-9)
    assert abs(ours.time_offset - continuous.time_offset).max() <= 0.5 / RATE


def test_coordinates(continuous, events):
    ours = event_windows(continuous, events, start=-10.0, stop=30.0)
    assert ours.azimuth.dims == ("event", "station", "component") == ours.response_id.dims
    np.testing.assert_array_equal(ours.response_id[1], continuous.response_id)
    assert ours.event_name.values.tolist() == ["a", "b", "c"]
    distance, _, back = gps2dist_azimuth(42.5, 13.2, 43.0, 14.0)
    assert float(ours.epicentral_distance[0, 1]) == distance
    assert float(ours.back_azimuth[0, 1]) == back
    assert ours.data_start.values[0, 0].tolist() == [-10.0] * 3
    assert float(ours.data_end[2, 0, 0]) == pytest.approx(1999.95 - 1980.05 + 0.0)
    assert np.isnan(ours.data_start[:, 1, 2]).all() and np.isnan(ours.data_end[:, 1, 2]).all()
    assert (ours.reference_time == 0).all()


def test_windows_at_a_velocity(continuous, events):
    ours = event_windows(continuous, events, start=-2.0, stop=3.0, reference=3.5)
    arrival = ours.epicentral_distance / 3500
    np.testing.assert_allclose(ours.reference_time, arrival)
    origin = event_windows(continuous, events, start=-10.0, stop=200.0)
    for e, s in np.ndindex(2, 2):
        span = slice(float(arrival[e, s]) - 2, float(arrival[e, s]) + 3)
        row, whole = ours.counts[e, s, 1], origin.counts[e, s, 1]
        kept = row[row.notnull()]
        assert kept.size in (100, 101)
        np.testing.assert_array_equal(kept, whole.sel(time=span))
        assert float(ours.data_start[e, s, 1]) == pytest.approx(float(kept.time[0]))
        assert float(ours.data_end[e, s, 1]) == pytest.approx(float(kept.time[-1]))


@pytest.mark.parametrize("phases", ["S", ["P", "p", "Pn", "Pg"]])
def test_windows_at_a_phase(continuous, events, phases):
    ours = event_windows(continuous, events, start=-1.0, stop=2.0, reference=phases, model="ak135")
    earth = TauPyModel("ak135")
    for e, s in np.ndindex(3, 2):
        arrivals = earth.get_travel_times_geo(
            float(events.event_depth[e]) / 1000, float(events.event_latitude[e]),
            float(events.event_longitude[e]), float(continuous.latitude[s]),
            float(continuous.longitude[s]), [phases] if isinstance(phases, str) else phases,
        )  # fmt: skip
        first = min((a.time for a in arrivals), default=np.nan)
        assert float(ours.reference_time[e, s]) == pytest.approx(first, nan_ok=True)
        found = np.isfinite(ours.counts[e, s, 1]).any()
        assert found == (np.isfinite(first) and (e < 2 or first - 1 < 19.9))


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("method, tolerance", [("lanczos", 3e-4), ("fourier", 2e-3)])
def test_shift_onto_true_times(continuous, events, method, tolerance, lazy):
    """A sum of two sines, away from the ends, where the kernel and the period are cut."""
    ours = event_windows(continuous, events.isel(event=[1]), start=-100.0, stop=200.0)
    ours = ours.isel(station=[0], component=[0, 1, 2])
    if lazy:
        ours = ours.chunk(time=1000)
    if method == "fourier":
        ours = ces.taper(ours, max_percentage=0.2)
    shifted = time_shift(ours, method=method)
    if lazy:
        ces.testing.assert_lazy(shifted)
    after = float((events.origin_time.values[1] - START) / np.timedelta64(1, "s"))
    inside = shifted.counts.sel(time=slice(-20, 120))
    exact = wave(after + inside.time.values)
    assert np.abs(inside - exact).max() < tolerance
    before = ours.counts.sel(time=slice(-20, 120))
    assert np.abs(before[0, 0, 1] - exact).max() > 10 * tolerance
    assert (shifted.time_offset == 0).all()


def test_fourier_shift_is_exact_for_a_period(noise):
    ds = noise(1000)
    t = np.arange(1000) / 100
    ds["time_offset"] = ds.time_offset + np.array([0.0, 0.0042, -0.0031])
    true = t + ds.time_offset.values[..., None]
    ds["counts"] = (ds.counts * 0 + np.sin(2 * np.pi * 3 * true)).transpose(*ds.counts.dims)
    ours = time_shift(ds, method="fourier").counts
    expected = np.broadcast_to(np.sin(2 * np.pi * 3 * t), ours.shape)
    np.testing.assert_allclose(ours, expected, atol=1e-12)
    np.testing.assert_array_equal(ours[..., 0, :], ds.counts[..., 0, :])


def test_lanczos_shift_is_interpolation(noise):
    ds = noise(gaps=True)
    ds["time_offset"] = ds.time_offset + np.array([0.0, 0.0042, -0.0031])
    ours = time_shift(ds)
    theirs = ces.interpolate(ds, sampling_rate=100.0)
    np.testing.assert_allclose(ours.counts, theirs.counts, rtol=1e-9)
    late = ours.data_start - ds.data_start
    np.testing.assert_allclose(late[0, 0], [0.0, 0.01, 0.0], atol=1e-12)
    np.testing.assert_allclose((ours.data_end - ds.data_end)[0, 0], [0, 0, -0.01], atol=1e-12)
    for chunks in ({"time": 100}, {"component": 1}, {"component": 2, "time": 400}):
        chunked = time_shift(ds.chunk(chunks))
        ces.testing.assert_lazy(chunked)
        np.testing.assert_allclose(chunked.counts, ours.counts, rtol=1e-9)


def test_no_events(continuous, events):
    with pytest.raises(SchemaError, match="at least one"):
        event_windows(continuous, events.isel(event=[]), start=0.0, stop=1.0)


@pytest.mark.parametrize(
    "options, fix",
    [
        ({"start": 2.0, "stop": 1.0}, "in order"),
        ({"start": 0.0, "stop": np.inf}, "finite"),
        ({"start": 0.001, "stop": 0.002}, "widen the span"),
        ({"start": 0.0, "stop": 1.0, "reference": -3.0}, "positive number"),
        ({"start": 0.0, "stop": 1.0, "reference": "nonsense"}, "TauPy's names"),
        ({"start": 0.0, "stop": 1.0, "reference": "P", "model": "mars"}, "one that TauPy has"),
    ],
)
def test_misuse(continuous, events, options, fix):
    with pytest.raises(ParameterError, match=fix):
        event_windows(continuous, events, **options)


def test_missing_coordinates(continuous, events, noise):
    span = {"start": 0.0, "stop": 1.0}
    with pytest.raises(SchemaError, match="continuous data"):
        event_windows(noise(100), events, **span)
    with pytest.raises(SchemaError, match="waveforms have no latitude"):
        event_windows(continuous.drop_vars("latitude"), events, **span)
    with pytest.raises(SchemaError, match="events have no origin_time"):
        event_windows(continuous, events.drop_vars("origin_time"), **span)
    with pytest.raises(SchemaError, match="event_depth"):
        event_windows(continuous, events.drop_vars("event_depth"), **span, reference="P")
    with pytest.raises(ParameterError, match="'lanczos' or 'fourier'"):
        time_shift(noise(100), method="spline")
    with pytest.raises(ParameterError, match="at least 1"):
        time_shift(noise(100), a=0)


def test_windows_of_a_store(recorded, tmp_path):
    """The records of three earthquakes, stored as continuous data: a grid of 2.4 years at 20 Hz."""
    folder = ces.samples.path("german_events")
    ces.convert(folder / "observed", tmp_path / "s", stations=folder / "stations.xml")
    years = ces.open_store(tmp_path / "s")["continuous/20Hz"].to_dataset()
    assert years.sizes["time"] > 1e9
    ours = event_windows(years, recorded, start=-10.0, stop=220.0)
    ces.testing.assert_lazy(ours)
    ces.testing.assert_conforms(ours)
    ours = ours.load().sel(station=recorded.station, component=recorded.component)
    np.testing.assert_array_equal(ours.counts, recorded.counts)
    for name in ("data_start", "data_end", "epicentral_distance", "back_azimuth"):
        np.testing.assert_allclose(ours[name], recorded[name], rtol=1e-12, err_msg=name)
    there = recorded.data_start.notnull()
    for name in ("azimuth", "dip", "sensitivity"):  # known here without a record, too
        np.testing.assert_array_equal(ours[name].where(there), recorded[name].where(there))
    # A channel of continuous data has the time_offset of its first trace, so of the first event.
    first = recorded.data_start.notnull().values[0]
    offsets = (x.time_offset.values[0][first] for x in (ours, recorded))
    np.testing.assert_allclose(*offsets, atol=1e-6)
