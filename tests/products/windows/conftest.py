"""Datasets of one pair, and the pairs that Pyflex was run on."""

from __future__ import annotations

import importlib.util
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pangeo_ces.conventions import VARIABLES
from pangeo_ces.timeaxis import time_coords


@pytest.fixture(scope="session")
def table():
    """The module with the pairs by formula."""
    path = Path(__file__).with_name("pyflex_table.py")
    spec = importlib.util.spec_from_file_location("pyflex_table", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def windows_of():
    """``windows_of(samples, dt, …)``: event windows of the given ``(rows, samples)``."""

    def make(rows, dt, *, start=0.0, event=None, station=None):
        rows = np.atleast_2d(np.asarray(rows, float))
        values = rows[None, :, None]
        interval = Fraction(dt).limit_denominator(10**6)
        ds = xr.Dataset(
            {"velocity": (("event", "station", "component", "time"), values)},
            coords={"event": ["one"], "station": [f"XX.S{k:03d}..HH" for k in range(len(rows))],
                    "component": ["Z"]},
        ).assign_coords(
            time_coords(
                samples=rows.shape[1], interval=interval,
                offset=Fraction(start).limit_denominator(10**6),
            )
        )  # fmt: skip
        ds["velocity"].attrs = VARIABLES["velocity"].attrs
        if event is not None:
            latitude, longitude, depth = event
            ds = ds.assign_coords(
                event_latitude=("event", [latitude]), event_longitude=("event", [longitude]),
                event_depth=("event", [depth]),
                latitude=("station", [station[0]] * len(rows)),
                longitude=("station", [station[1]] * len(rows)),
            )  # fmt: skip
        return ds

    return make


@pytest.fixture(scope="session")
def found():
    """``found(windows)``: left, right, shift, cc, dlna, weight of one pair, without fill."""

    def rows(windows, **where):
        one = windows.isel(dict.fromkeys(("event", "station", "component"), 0) | where)
        names = ("left", "right", "shift", "cc", "dlna", "weight")
        values = np.stack([one[name].values.astype(float) for name in names], axis=-1)
        return values[one["left"].values >= 0]

    return rows
