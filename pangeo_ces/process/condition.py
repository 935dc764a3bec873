"""Offsets, trends and tapers, run by run as ObsPy does them trace by trace."""

from __future__ import annotations

from typing import Literal

import numba
import numpy as np
import xarray as xr
from scipy.signal import windows

from ..blocks import map_time
from ..conventions import QUANTITIES, quantity_of
from ..errors import ParameterError
from ..registry import operator
from ..timeaxis import sampling_interval
from ._runs import over_runs
from ._waveform import replace


@operator(needs=QUANTITIES)
def detrend(
    ds: xr.Dataset, *, type: Literal["constant", "linear", "simple"] = "linear"
) -> xr.Dataset:
    """Remove an offset or a trend from every gap-free run.

    Parameters
    ----------
    ds
        Waveforms, any quantity.
    type
        ``constant`` subtracts the mean (ObsPy's ``demean``), ``linear`` a least-squares line,
        ``simple`` the line through the first and the last sample.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows()
    >>> abs(float(detrend(ds, type="constant")["counts"].mean())) < 1e-3
    True
    """
    kernels = {"constant": _demean, "linear": _delinear, "simple": _desimple}
    if type not in kernels:
        raise ParameterError(f"detrend type {type!r}: use one of {', '.join(kernels)}")
    name = quantity_of(ds)
    return replace(ds, name, name, map_time(_runwise, ds[name], rule=kernels[type]))


@operator(needs=QUANTITIES)
def taper(
    ds: xr.Dataset,
    *,
    max_percentage: float | None = 0.05,
    type: Literal["hann", "cosine", "hamming", "blackman", "triang", "parzen"] = "hann",
    max_length: float | None = None,
    side: Literal["both", "left", "right"] = "both",
) -> xr.Dataset:
    """Taper the ends of every gap-free run to zero, with ObsPy's window lengths.

    Parameters
    ----------
    ds
        Waveforms, any quantity.
    max_percentage
        Longest taper on one side, as a fraction of the run (0 to 0.5).
    type
        Shape; ``cosine`` is ObsPy's, the others are SciPy's windows of that name.
    max_length
        Longest taper on one side in seconds.
    side
        Which ends.
    """
    if type != "cosine" and not hasattr(windows, type):
        raise ParameterError(f"taper type {type!r}: use hann, cosine, hamming, blackman, …")
    if side not in ("both", "left", "right"):
        raise ParameterError(f"taper side {side!r}: use both, left or right")
    if max_percentage is not None and not 0 <= max_percentage <= 0.5:
        raise ParameterError(f"max_percentage {max_percentage}: give a fraction from 0 to 0.5")
    if max_length is not None and not max_length >= 0:
        raise ParameterError(f"max_length {max_length} s: give zero or more")
    name = quantity_of(ds)
    rate = float(1 / sampling_interval(ds))  # times the rate, as ObsPy: 0.35 s * 20 Hz is 7
    longest = None if max_length is None else int(min(max_length * rate, ds.sizes["time"]))
    tapered = map_time(
        _runwise, ds[name], rule=_taper, fraction=max_percentage, shape=type, longest=longest,
        side=side,
    )  # fmt: skip
    return replace(ds, name, name, tapered)


def _runwise(block, rule, **options):
    return over_runs(rule, block, **options)


@numba.njit(nogil=True, cache=True)
def _demean(x):
    result = np.empty_like(x)
    for row in range(x.shape[0]):
        total = 0.0
        for i in range(x.shape[1]):
            total += x[row, i]
        mean = total / x.shape[1]
        for i in range(x.shape[1]):
            result[row, i] = x[row, i] - mean
    return result


@numba.njit(nogil=True, cache=True)
def _delinear(x):
    n = x.shape[1]
    if n < 2:
        return _demean(x)
    result = np.empty_like(x)
    centre = (n - 1) / 2
    norm = n * (n * n - 1.0) / 12  # sum of (i - centre)^2
    for row in range(x.shape[0]):
        total, moment = 0.0, 0.0
        for i in range(n):
            total += x[row, i]
            moment += x[row, i] * (i - centre)
        mean, slope = total / n, moment / norm
        for i in range(n):
            result[row, i] = x[row, i] - (mean + slope * (i - centre))
    return result


@numba.njit(nogil=True, cache=True)
def _desimple(x):
    n = x.shape[1]
    result = np.empty_like(x)
    for row in range(x.shape[0]):
        first, last = np.float64(x[row, 0]), np.float64(x[row, n - 1])
        slope = (last - first) / max(n - 1, 1)
        for i in range(n):
            result[row, i] = x[row, i] - (first + slope * i)
    return result


def _taper(x, fraction, shape, longest, side):
    n = x.shape[1]
    limits = [n // 2]
    if fraction is not None:
        limits.append(int(fraction * n))
    if longest is not None:
        limits.append(longest)
    length = min(limits)
    window = _window(shape, 2 * length if 2 * length == n else 2 * length + 1)
    weights = np.ones(n)
    if side in ("both", "left"):
        weights[:length] = window[:length]
    if side in ("both", "right"):
        weights[n - length :] = window[len(window) - length :]
    return (x * weights).astype(x.dtype)


def _window(shape, size):
    if shape != "cosine":
        return getattr(windows, shape)(size)
    half = size // 2
    rise = 0.5 * (1 - np.cos(np.pi * np.arange(half) / max(half - 1, 1)))
    return np.concatenate([rise, np.ones(size - 2 * half), rise[::-1]])
