"""The new low and high noise models of Peterson (1993, USGS Open-File Report 93-322)."""

from __future__ import annotations

from typing import Literal

import numpy as np

#: From a period (s) on, the acceleration PSD is A + B log10(period) dB rel. 1 (m/s²)²/Hz.
_LOW = [
    (0.10, -162.36, 5.64), (0.17, -166.70, 0.00), (0.40, -170.00, -8.30), (0.80, -166.40, 28.90),
    (1.24, -168.60, 52.48), (2.40, -159.98, 29.81), (4.30, -141.10, 0.00), (5.00, -71.36, -99.77),
    (6.00, -97.26, -66.49), (10.0, -132.18, -31.57), (12.0, -205.27, 36.16),
    (15.6, -37.65, -104.33), (21.9, -114.37, -47.10), (31.6, -160.58, -16.28), (45.0, -187.50, 0.0),
    (70.0, -216.47, 15.70), (101.0, -185.00, 0.00), (154.0, -168.34, -7.61), (328.0, -217.43, 11.9),
    (600.0, -258.28, 26.60), (10_000.0, -346.88, 48.75),
]  # fmt: skip
_HIGH = [
    (0.10, -108.73, -17.23), (0.22, -150.34, -80.50), (0.32, -122.31, -23.87),
    (0.80, -116.85, 32.51), (3.80, -108.48, 18.08), (4.60, -74.66, -32.95), (6.30, 0.66, -127.18),
    (7.90, -93.37, -22.42), (15.4, 73.54, -162.98), (20.0, -151.52, 10.01), (354.8, -206.66, 31.63),
]  # fmt: skip
_LONGEST = 100_000.0


def noise_model(periods: np.ndarray, which: Literal["low", "high"]) -> np.ndarray:
    """Acceleration PSD of Peterson's model in dB rel. 1 (m/s²)²/Hz; NaN outside 0.1-100,000 s.

    Examples
    --------
    >>> noise_model(np.array([0.05, 5.5, 50.0]), "low").round(1)
    array([   nan, -145.2, -187.5])
    """
    table = np.array(_LOW if which == "low" else _HIGH)
    periods = np.asarray(periods, float)
    row = np.searchsorted(table[:, 0], periods, side="right") - 1
    known = (row >= 0) & (periods <= _LONGEST)
    start, slope = table[np.where(known, row, 0), 1:].T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(known, start + slope * np.log10(periods), np.nan)
