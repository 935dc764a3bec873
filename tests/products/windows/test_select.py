"""The operator: laziness, pairs that cannot be measured, noise, arrivals, misuse."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from obspy.taup import TauPyModel

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError, SchemaError
from pangeo_ces.products._pairs import (
    FAILED,
    GAP,
    NO_OBSERVED,
    NO_OVERLAP,
    NO_SYNTHETIC,
    NO_WINDOW,
    OK,
    SILENT,
)
from pangeo_ces.products.windows.arrivals import arrivals
from pangeo_ces.products.windows.rules import PRESETS, REASONS
from pangeo_ces.products.windows.select import select_windows

BAND = {"min_period": 5.0, "max_period": 40.0}
PLACE = {"event": (10.0, 20.0, 33_000.0), "station": (10.0, 21.5)}


@pytest.fixture
def one(table):
    """Observed and synthetic, 1,200 samples at 4 Hz."""
    return table.pair(3, samples=1200, dt=0.25, cycles=20)[:2]


def same_windows(one, two, lag=0.0):
    for name in ("window_start", "window_end"):
        np.testing.assert_allclose(one[name], two[name] + lag, atol=1e-9)
    for name in ("cc", "shift", "dlna"):
        np.testing.assert_allclose(one[name], two[name], atol=1e-12)


def test_labels_units_and_order(one, windows_of):
    sides = [windows_of(x, 0.25, start=-30.0) for x in one]
    windows = select_windows(*sides, **BAND)
    assert windows["windows"].item() == windows["window_start"].notnull().sum() > 1
    assert windows["window_start"].dims == ("event", "station", "component", "window")
    assert all({"units", "long_name"} <= set(v.attrs) for v in windows.values())
    here = windows.isel(event=0, station=0, component=0)
    labels = sides[0]["time"].values
    count = here["windows"].item()
    for k in range(windows.sizes["window"]):
        left, right = here["left"].values[k], here["right"].values[k]
        if k >= count:
            assert (left, right) == (-1, -1)
            assert np.isnan(here["cc"].values[k])
            continue
        assert here["window_start"].values[k] == pytest.approx(labels[left], abs=1e-9)
        assert here["window_end"].values[k] == pytest.approx(labels[right], abs=1e-9)
    starts = here["window_start"].values[:count]
    assert (np.diff(starts) > 0).all()


def test_rejected_candidates(one, windows_of):
    sides = [windows_of(x, 0.25) for x in one]
    windows = select_windows(*sides, **BAND, max_candidates=5000)
    assert windows["reason"].values.tolist() == list(REASONS.values())
    reasons = windows["candidate_reason"].values.ravel()
    counts = windows["rejected"].values.ravel()
    assert counts.sum() < 5000
    np.testing.assert_array_equal(np.bincount(reasons, minlength=12)[1:], counts)
    kept = reasons > 0
    np.testing.assert_array_equal(windows["candidate_start"].notnull().values.ravel(), kept)
    assert (np.diff(reasons[kept]) <= 0).all()
    edges = np.stack([windows[f"candidate_{n}"].values.ravel()[kept] for n in ("start", "end")])
    assert (edges[1] > edges[0]).all()
    short = select_windows(*sides, **BAND, max_candidates=3)
    assert short.sizes["candidate"] == 3
    xr.testing.assert_identical(short["rejected"], windows["rejected"])
    assert "candidate_start" not in select_windows(*sides, **BAND, max_candidates=0)


def test_status_of_bad_pairs(one, windows_of):
    observed, synthetic = one
    missing = np.full(observed.shape, np.nan)
    gap, early, late = observed.copy(), observed.copy(), synthetic.copy()
    gap[500:510] = np.nan
    early[600:], late[:600] = np.nan, np.nan
    rows = [
        (observed, synthetic, OK), (missing, synthetic, NO_OBSERVED),
        (observed, missing, NO_SYNTHETIC), (early, late, NO_OVERLAP), (gap, synthetic, GAP),
        (observed * 0, synthetic, SILENT), (1e3 * observed, synthetic, NO_WINDOW),
    ]  # fmt: skip
    sides = [windows_of([row[k] for row in rows], 0.25) for k in (0, 1)]
    windows = select_windows(*sides, **BAND, cc_acceptance_level=0.8)
    assert windows["status"].values.ravel().tolist() == [row[2] for row in rows]
    alone = select_windows(*(ds.isel(station=[0]) for ds in sides), **BAND, cc_acceptance_level=0.8)
    xr.testing.assert_identical(windows.isel(station=[0]), alone)
    assert windows["window_start"].isel(station=slice(1, None)).isnull().all()


def test_missing_ends_are_no_part_of_the_record(one, windows_of):
    """The common span alone counts: the same samples, numbered from its start."""
    sides = [windows_of(x, 0.25) for x in one]
    expected = select_windows(*sides, **BAND, noise_end_index=100)
    padded = []
    for x, before, after in zip(one, (40, 17), (3, 60), strict=True):
        row = np.pad(x, (100, 100), constant_values=0.1)
        row[: 100 - before] = np.nan
        row[len(row) - 100 + after :] = np.nan
        padded.append(row)
    for row in padded:  # a common span of exactly the record
        row[:100][np.isfinite(row[:100])] = np.nan
        row[-100:][np.isfinite(row[-100:])] = np.nan
    found = select_windows(
        *(windows_of(x, 0.25, start=-25.0) for x in padded), **BAND, noise_end_index=100
    )
    same_windows(found, expected)
    np.testing.assert_array_equal(found["left"], expected["left"])


def test_units_do_not_matter(one, windows_of):
    sides = [windows_of(x, 0.25) for x in one]
    tiny = [windows_of(1e-12 * x, 0.25) for x in one]
    same_windows(select_windows(*tiny, **BAND), select_windows(*sides, **BAND))
    floored = select_windows(*tiny, **BAND, emulate_pyflex=True)
    assert floored["windows"].item() == 0  # below the floor of 1e-9


def test_sign_of_the_shift(one, windows_of):
    later = windows_of(np.roll(one[1], 8), 0.25)
    windows = select_windows(later, windows_of(one[1], 0.25), **BAND)
    assert windows["windows"] > 0
    shift = windows["shift"].values[windows["left"].values >= 0]
    np.testing.assert_allclose(shift, 2.0, atol=0.25)  # a sample, as a window cuts the ends off


def test_noise(one, windows_of):
    sides = [windows_of(x, 0.25, start=-200.0, **PLACE) for x in one]
    ds = sides[0]
    onset = arrivals(ds, "ak135")["first_arrival"].item()
    # The noise ends a shortest period before the first arrival: that sample, whatever dt.
    by_number = select_windows(
        *sides, **BAND, s2n_limit=5.0, noise_end_index=int((onset - 5.0 + 200.0) / 0.25)
    )
    xr.testing.assert_identical(
        select_windows(*sides, **BAND, s2n_limit=5.0).drop_attrs(), by_number.drop_attrs()
    )
    check = {"check_global_data_quality": True, "noise_end_index": 100}
    good = select_windows(*sides, **BAND, **check)
    assert good["status"].item() == OK
    bad = select_windows(*sides, **BAND, **check, snr_max_base=1e9)
    assert bad["status"].item() == FAILED
    assert bad["windows"].item() == 0
    none = select_windows(*sides, **BAND, check_global_data_quality=True, noise_end_index=0)
    assert none["status"].item() == FAILED
    with pytest.raises(ParameterError, match="give noise_end_index"):
        select_windows(*(windows_of(x, 0.25) for x in one), **BAND, check_global_data_quality=True)


def test_arrivals_bound_the_windows(one, windows_of):
    sides = [windows_of(x, 0.25, start=0.0, **PLACE) for x in one]
    known = arrivals(sides[0], "ak135")
    options = {"max_time_before_first_arrival": 0.0, "min_surface_wave_velocity": 2.0}
    bound = select_windows(*sides, **BAND, **options)
    free = select_windows(*sides, **BAND, **options, arrivals=False)
    first = known["first_arrival"].item()
    last = known["distance"].item() / 2.0
    assert float(free["window_start"].min()) < first
    assert float(bound["window_start"].min()) >= first - 0.25
    assert float(bound["window_start"].max()) <= last
    assert float(bound["window_end"].max()) <= last + BAND["max_period"]
    unplaced = select_windows(*(windows_of(x, 0.25) for x in one), **BAND, **options)
    same_windows(unplaced, free)
    lost = [ds.assign_coords(latitude=("station", [np.nan])) for ds in sides]
    same_windows(select_windows(*lost, **BAND, **options), free)


@pytest.mark.parametrize("depth", [0.0, 12.0, 300.0])
def test_arrivals_against_taup(depth, windows_of):
    """TauPy shoots rays where the table is a cubic between neighbouring ones: 2 ms apart."""
    degrees = [0.02, 0.3, 1.7, 9.0, 14.5, 18.3, 23.1, 61.0, 98.0, 120.0, 142.0, 160.0]
    ds = windows_of(np.zeros((len(degrees), 10)), 1.0, event=(0.0, 0.0, 1000 * depth),
                    station=(0.0, 0.0))  # fmt: skip
    ds = ds.assign_coords(longitude=("station", degrees))
    ours = arrivals(ds, "ak135")
    earth = TauPyModel("ak135")
    for angle, seconds in zip(degrees, ours["first_arrival"].values[0], strict=True):
        times = [a.time for a in earth.get_travel_times(depth, angle, ["ttbasic"])]
        assert seconds == pytest.approx(min(times), abs=2e-3)
    np.testing.assert_allclose(ours["distance"][0], 111.319 * np.array(degrees), rtol=1e-3)


def test_distance_alone_is_enough(one, windows_of):
    sides = [windows_of(x, 0.25, **PLACE) for x in one]
    away = arrivals(sides[0], "ak135")
    known = [
        windows_of(x, 0.25).assign_coords(
            event_depth=("event", [33_000.0]),
            epicentral_distance=(("event", "station"), 1000 * away["distance"].values),
        )
        for x in one
    ]
    near = arrivals(known[0], "ak135")
    np.testing.assert_allclose(near["first_arrival"], away["first_arrival"], rtol=2e-3)
    assert select_windows(*known, **BAND)["windows"].item() > 0


def test_blocks_do_not_matter(table):
    rows = [table.pair(k, samples=800, dt=0.25, cycles=20)[:2] for k in range(6)]
    one = ces.testing.synthetic_windows(
        quantity="velocity", samples=800, sampling_rate=4.0, components="Z", lazy=False
    )
    two = one.copy(deep=True)
    for ds, side in ((one, 0), (two, 1)):
        ds["velocity"][:] = np.stack([row[side] for row in rows]).reshape(2, 3, 1, 800)
        ds["velocity"][0, 1, 0, :50] = np.nan
    one, two = (ds.assign_coords(event_depth=("event", [1e4, 3e4])) for ds in (one, two))
    options = BAND | {"max_time_before_first_arrival": 200.0, "min_surface_wave_velocity": 0.3}
    expected = select_windows(one, two, **options)
    assert int(expected["windows"].sum()) > 5
    for left, right in (({"station": 1}, {"station": 1}), ({"event": 1, "time": 100}, {})):
        lazy = select_windows(one.chunk(left), two.chunk(right), **options)
        ces.testing.assert_lazy(lazy)
        xr.testing.assert_identical(lazy.compute(), expected)


def test_presets_are_parameters(one, windows_of):
    sides = [windows_of(x, 0.25) for x in one]
    for preset in PRESETS.values():
        assert "status" in select_windows(*sides, **BAND, **preset | {"noise_end_index": 50})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"min_period": 50.0}, "swap them"),
        ({"min_period": 0.0}, "positive, finite"),
        ({"stalta_waterlevel": np.nan}, "positive, finite"),
        ({"c_3b": 0.0}, "positive, finite"),
        ({"c_1": -1.0}, "zero or more"),
        ({"window_signal_to_noise_type": "power"}, "'amplitude' or 'energy'"),
        ({"resolution_strategy": "best"}, "'interval_scheduling' or 'merge'"),
        ({"max_windows": 0}, "at least one window"),
        ({"earth_model": "mars"}, "one that TauPy has"),
    ],
)
def test_misuse(one, windows_of, options, message):
    sides = [windows_of(x, 0.25, **PLACE) for x in one]
    with pytest.raises(ParameterError, match=message):
        select_windows(*sides, **BAND | options)


def test_other_stations_are_refused(one, windows_of):
    sides = [windows_of(x, 0.25) for x in one]
    with pytest.raises(SchemaError, match=r"ces\.match"):
        select_windows(sides[0], sides[1].assign_coords(station=["XX.OTHER..HH"]), **BAND)
