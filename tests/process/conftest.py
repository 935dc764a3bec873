"""Records to process, and ObsPy doing the same to every gap-free run of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import obspy
import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.conventions import VARIABLES, quantity_of
from pangeo_ces.timeaxis import sampling_interval


def _runs(row: np.ndarray) -> list[slice]:
    """Gap-free runs, found by a rule of the tests' own."""
    pieces = np.split(np.arange(row.size), np.flatnonzero(np.diff(np.isnan(row))) + 1)
    return [slice(p[0], p[-1] + 1) for p in pieces if p.size and not np.isnan(row[p[0]])]


@pytest.fixture(scope="session")
def by_obspy() -> Callable[..., np.ndarray]:
    """``by_obspy(ds, change)``: samples after ``change(trace)`` of every run of each channel."""

    def apply(ds: xr.Dataset, change: Callable[[obspy.Trace], object]) -> np.ndarray:
        values = np.array(ds[quantity_of(ds)].values, "float64")
        rate = float(1 / sampling_interval(ds))
        for row in values.reshape(-1, values.shape[-1]):
            for run in _runs(row):
                trace = obspy.Trace(row[run].copy(), {"sampling_rate": rate})
                change(trace)
                row[run] = trace.data
        return values

    return apply


@pytest.fixture(scope="session")
def noise() -> Callable[..., xr.Dataset]:
    """``noise(samples, gaps=…)``: one event, two stations, random, with an offset and a trend."""

    def make(
        samples: int = 1001,
        *,
        quantity: str = "counts",
        sampling_rate: float = 100.0,
        dtype: str = "float64",
        gaps: bool = False,
        lazy: bool = False,
        stations: int = 2,
    ) -> xr.Dataset:
        ds = ces.testing.synthetic_windows(
            events=1, stations=stations, samples=samples, sampling_rate=sampling_rate,
            quantity=quantity, seed=samples, lazy=False,
        )  # fmt: skip
        ds[quantity] = ds[quantity] + 300 + 2 * xr.DataArray(np.arange(samples), dims="time")
        ds[quantity].attrs = VARIABLES[quantity].attrs
        if gaps:
            values = ds[quantity].values
            # Runs of length 1, 2, odd and even; a channel that starts late; one without samples.
            for channel, missing in [
                ((0, 0, 0), [0, 2, *range(5, 12), 600]),
                ((0, 0, 1), range(400)),
                ((0, 1, 2), range(samples)),
            ]:
                values[channel][[i for i in missing if i < samples]] = np.nan
        ds[quantity] = ds[quantity].astype(dtype)
        return ds.chunk(station=1) if lazy else ds

    return make


@pytest.fixture(scope="session")
def recorded() -> xr.Dataset:
    """Real broadband records with real responses: 20 Hz counts of three events."""
    url = ces.samples.german_events("memory://process-tests")
    return ces.open_store(url)["windows/main/observed/20Hz"].to_dataset().load()


@pytest.fixture(scope="session")
def stations_xml() -> obspy.Inventory:
    return obspy.read_inventory(str(ces.samples.path("german_events/stations.xml")))


@pytest.fixture(scope="session")
def assert_equal() -> Callable[..., None]:
    """Same NaN, and the worst deviation below ``tolerance`` times the largest value."""

    def check(ours, theirs: np.ndarray, tolerance: float) -> None:
        ours = np.asarray(ours, "float64")
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
        if np.isfinite(theirs).any():
            worst = np.nanmax(np.abs(ours - theirs))
            assert worst <= tolerance * np.nanmax(np.abs(theirs)), worst

    return check
