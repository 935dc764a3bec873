"""For tests of this package and of packages built on it."""

from __future__ import annotations

from fractions import Fraction

import dask
import numpy as np
import xarray as xr

from .conventions import VARIABLES, validate
from .timeaxis import time_coords


def synthetic_windows(
    *,
    events: int = 2,
    stations: int = 3,
    components: str = "ZNE",
    samples: int = 2000,
    sampling_rate: float = 100.0,
    quantity: str = "counts",
    dtype: str = "float64",
    seed: int = 0,
    lazy: bool = True,
) -> xr.Dataset:
    """Event windows of decaying noise that follow the conventions.

    Parameters
    ----------
    events, stations, components, samples, sampling_rate
        Size of the Dataset.
    quantity, dtype
        Waveform variable and its dtype.
    seed
        Same seed, same numbers.
    lazy
        Dask-backed, one event and one station a chunk.
    """
    random = np.random.default_rng(seed)
    interval = 1 / Fraction(sampling_rate)
    shape = (events, stations, len(components), samples)
    envelope = np.exp(-np.arange(samples) / (0.3 * samples))
    values = 1000 * random.standard_normal(shape) * envelope
    offset = -5 * interval
    channel = ("event", "station", "component")
    azimuth = [{"N": 0.0, "1": 10.0, "E": 90.0, "2": 100.0}.get(c, 0.0) for c in components]
    dip = [-90.0 if c == "Z" else 0.0 for c in components]
    origin = np.datetime64("2016-08-24T01:36:32", "ns") + np.arange(events) * np.timedelta64(1, "D")

    def full(row: list[float] | float) -> tuple[tuple[str, ...], np.ndarray]:
        return channel, np.broadcast_to(row, shape[:-1]).copy()

    ds = xr.Dataset(
        {quantity: (("event", "station", "component", "time"), values.astype(dtype))},
        coords={
            "event": [f"event{number}" for number in range(events)],
            "station": [f"XX.S{number:03d}..HH" for number in range(stations)],
            "component": list(components),
            "latitude": ("station", np.linspace(42.0, 43.0, stations)),
            "longitude": ("station", np.linspace(13.0, 14.0, stations)),
            "elevation": ("station", np.zeros(stations)),
            "azimuth": full(azimuth),
            "dip": full(dip),
            "time_offset": full(0.0),
            "data_start": full(float(offset)),
            "data_end": full(float(offset + (samples - 1) * interval)),
            "origin_time": ("event", origin),
            "event_latitude": ("event", np.full(events, 42.5)),
            "event_longitude": ("event", np.full(events, 13.2)),
            "back_azimuth": (("event", "station"), np.full((events, stations), 30.0)),
        },
    ).assign_coords(time_coords(samples=samples, interval=interval, offset=offset))
    for name in map(str, ds.variables):
        if name in VARIABLES and name not in ("origin_time", "time"):
            ds[name].attrs = dict(VARIABLES[name].attrs)
    if lazy:
        ds[quantity] = ds[quantity].variable.chunk({"event": 1, "station": 1})
    return ds


def assert_conforms(ds: xr.Dataset) -> None:
    """Fail unless ``ds`` follows the waveform conventions."""
    validate(ds)


def assert_lazy(ds: xr.Dataset) -> None:
    """Fail if any data variable of ``ds`` holds computed samples."""
    eager = [
        name for name, variable in ds.data_vars.items() if not dask.is_dask_collection(variable)
    ]
    assert not eager, f"computed already: {eager}"
