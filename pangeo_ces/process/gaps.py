"""What stands in a gap."""

from __future__ import annotations

import math
from typing import Literal

import numba
import numpy as np
import xarray as xr

from ..blocks import map_time
from ..conventions import QUANTITIES, quantity_of
from ..errors import ParameterError
from ..registry import operator
from ..timeaxis import sampling_interval
from ._runs import records
from ._waveform import replace

_METHODS = ("constant", "interpolate", "latest")


@operator(needs=QUANTITIES)
def fill_gaps(
    ds: xr.Dataset,
    *,
    method: Literal["constant", "interpolate", "latest"] = "interpolate",
    value: float = 0.0,
    max_length: float | None = None,
) -> xr.Dataset:
    """Fill the gaps between samples of a channel.

    What lies before the first or after the last sample of a channel is no gap, and stays NaN.

    Parameters
    ----------
    ds
        Waveforms, any quantity.
    method
        ``constant`` puts ``value``, ``interpolate`` a straight line between the samples at both
        ends, ``latest`` the sample before the gap: the ``fill_value`` of ``obspy.Stream.merge``.
    value
        Of ``constant``, in the unit of the waveform.
    max_length
        Longest gap to fill, in seconds without samples; all of them by default.  Given, only that
        much of neighbouring chunks of time is looked at.

    Raises
    ------
    ParameterError
        For an unknown method, or a value or length that is no number.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows(lazy=False)
    >>> ds["counts"][0, 0, 0, 100:120] = float("nan")
    >>> int(fill_gaps(ds, max_length=0.5)["counts"].isnull().sum())
    0
    """
    if method not in _METHODS:
        raise ParameterError(f"method {method!r}: use one of {', '.join(_METHODS)}")
    if not math.isfinite(value):
        raise ParameterError(f"value {value}: give a finite number")
    if max_length is not None and not max_length >= 0:
        raise ParameterError(f"max_length {max_length} s: give zero or more")
    name = quantity_of(ds)
    interval = float(sampling_interval(ds))
    longest, overlap = ds.sizes["time"], None
    if max_length is not None:
        longest = int(min(max_length / interval + 1e-6, longest))
        overlap = ((longest + 1) * interval,) * 2
    filled = map_time(
        _fill_block, ds[name], overlap_s=overlap, method=_METHODS.index(method),
        value=float(value), longest=longest,
    )  # fmt: skip
    return replace(ds, name, name, filled)


def _fill_block(block, method, value, longest):
    return _fill(np.ascontiguousarray(records(block)), method, value, longest).reshape(block.shape)


@numba.njit(nogil=True, cache=True)
def _fill(x, method, value, longest):
    result = x.copy()
    for row in range(x.shape[0]):
        last = -1  # sample before the gap; -1 before the first
        for i in range(x.shape[1]):
            if np.isnan(x[row, i]):
                continue
            missing = i - last - 1
            if last >= 0 and 0 < missing <= longest:
                left, right = np.float64(x[row, last]), np.float64(x[row, i])
                for j in range(last + 1, i):
                    if method == 0:
                        result[row, j] = value
                    elif method == 1:
                        result[row, j] = left + (right - left) * (j - last) / (i - last)
                    else:
                        result[row, j] = left
            last = i
    return result
