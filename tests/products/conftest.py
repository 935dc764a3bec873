"""One-station Datasets made from given samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
import xarray as xr

from pangeo_ces.conventions import VARIABLES
from pangeo_ces.timeaxis import time_coords


@pytest.fixture(scope="session")
def record() -> Callable[..., xr.Dataset]:
    """``record({"Z": z, "N": n, "E": e}, dt=…)``: one station of the given samples."""

    def make(
        components: dict[str, np.ndarray],
        *,
        dt: float = 0.01,
        quantity: str = "acceleration",
        dip: Sequence[float] | None = None,
        offset: float = 0.0,
    ) -> xr.Dataset:
        values = np.stack([np.asarray(v, float) for v in components.values()])[None]
        names = list(components)
        dips = dip or [-90.0 if name == "Z" else 0.0 for name in names]
        interval = Fraction(dt).limit_denominator(10**6)
        return xr.Dataset(
            {quantity: (("station", "component", "time"), values, VARIABLES[quantity].attrs)},
            coords={"station": ["XX.ONE..HN"], "component": names,
                    "dip": (("station", "component"), [dips])},
        ).assign_coords(
            time_coords(
                samples=values.shape[-1], interval=interval,
                offset=Fraction(offset).limit_denominator(10**6),
            )
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def shaking() -> np.ndarray:
    """Three components of band-limited random acceleration under an envelope, 100 Hz, 40 s."""
    random = np.random.default_rng(1)
    n = 4000
    spectrum = np.fft.rfft(random.standard_normal((3, n)))
    frequency = np.fft.rfftfreq(n, 0.01)
    spectrum *= np.exp(-((frequency / 15) ** 2)) * (frequency > 0.1)
    t = np.arange(n) * 0.01
    return np.fft.irfft(spectrum, n) * (t / 5 * np.exp(1 - t / 5)) ** 2
