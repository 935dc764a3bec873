"""Pairs by formula, whose misfits pyadjoint 0.2.3 computed (pyadjoint_0_2_3.json)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import xarray as xr

#: Pulses: time, width, period, amplitude of the synthetic; delay and factor of the observed.
#: Windows: first and last sample.
CASES = {
    "surface": {
        "samples": 3001, "dt": 0.1, "start": -20.0, "periods": (5.0, 60.0),
        "pulses": [(60.0, 12.0, 15.0, 1.0, 1.3, 0.8), (110.0, 25.0, 30.0, 2.0, 2.1, 1.3),
                   (190.0, 15.0, 10.0, 1.5, -0.9, 1.1)],
        "windows": [(300, 1200), (1250, 1801), (1850, 2450)],
    },
    "body": {
        "samples": 2400, "dt": 0.05, "start": 0.0, "periods": (1.0, 15.0),
        "pulses": [(7.0, 2.5, 3.0, 2e-4, -0.4, 1.2), (112.0, 3.0, 4.0, 2e-4, 0.0, 1.1),
                   (30.0, 3.0, 3.0, 3e-4, 0.2, 0.7), (55.0, 6.0, 6.0, 5e-4, -0.6, 1.5),
                   (85.0, 8.0, 9.0, 4e-4, 0.75, 0.9)],
        "windows": [(3, 280), (400, 799), (850, 1330), (1400, 2001), (2120, 2375)],
    },
}  # fmt: skip


class Case(NamedTuple):
    """A pair, its windows, and the periods as options."""

    observed: xr.Dataset
    synthetic: xr.Dataset
    windows: xr.Dataset
    periods: dict[str, float]


def pulses(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Samples of observed and synthetic."""
    case = CASES[name]
    t = np.arange(case["samples"]) * case["dt"]
    observed, synthetic = np.zeros((2, t.size))
    for at, width, period, amplitude, delay, factor in case["pulses"]:
        for side, later, size in ((observed, delay, factor), (synthetic, 0.0, 1.0)):
            x = t - at - later
            side += size * amplitude * np.exp(-((x / width) ** 2)) * np.cos(2 * np.pi * x / period)
    return observed, synthetic


@pytest.fixture(scope="session")
def windows_of() -> Callable[..., xr.Dataset]:
    """``windows_of(ds, [(first, last), …])``: the same windows, in samples, for all channels."""

    def make(ds: xr.Dataset, samples: list[tuple[float, float]]) -> xr.Dataset:
        data = next(iter(ds.data_vars.values()))
        dims = [dim for dim in data.dims if dim != "time"]
        first, dt = float(ds["time"][0]), float(ds["time"][1] - ds["time"][0])
        edge = first + np.array(samples, float).reshape(-1, 2) * dt
        shape = (*(ds.sizes[dim] for dim in dims), len(edge))
        return xr.Dataset(
            {
                name: ((*dims, "window"), np.broadcast_to(values, shape).copy())
                for name, values in zip(("window_start", "window_end"), edge.T, strict=True)
            },
            coords={dim: ds[dim] for dim in dims},
        )

    return make


@pytest.fixture(scope="session")
def formula(record, windows_of) -> Callable[..., Case]:
    """``formula("surface")``: a case as Datasets."""

    def make(name: str, windows: list[tuple[int, int]] | None = None) -> Case:
        case = CASES[name]
        sides = [
            record({"Z": x}, dt=case["dt"], quantity="displacement", offset=case["start"])
            for x in pulses(name)
        ]
        periods = dict(zip(("min_period", "max_period"), case["periods"], strict=True))
        return Case(*sides, windows_of(sides[0], windows or case["windows"]), periods)

    return make


@pytest.fixture(scope="session")
def pyadjoint() -> dict:
    """What pyadjoint 0.2.3 gives."""
    return json.loads(Path(__file__).with_name("pyadjoint_0_2_3.json").read_text())
