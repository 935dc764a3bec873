"""Bringing records onto another time axis."""

from __future__ import annotations

import math
from fractions import Fraction

import numba
import numpy as np
import xarray as xr

from ..blocks import map_blocks
from ..conventions import QUANTITIES, quantity_of
from ..errors import ParameterError
from ..registry import operator
from ..timeaxis import NANO, time_coords, time_index
from ._runs import records, runs
from ._waveform import replace


@operator(needs=QUANTITIES)
def interpolate(
    ds: xr.Dataset,
    *,
    sampling_rate: float,
    start: float | None = None,
    stop: float | None = None,
    a: int = 20,
) -> xr.Dataset:
    """Band-limited (Lanczos) interpolation onto an even axis, sub-sample starts included.

    Going to a lower rate, low-pass below its Nyquist frequency before; nothing is filtered here.

    Parameters
    ----------
    ds
        Waveforms, any quantity.
    sampling_rate
        Of the new axis in Hz.
    start, stop
        First and last label wanted, in seconds after the origin time (event windows) or after the
        first sample (continuous data); the whole axis by default.
    a
        Half width of the Lanczos kernel in samples of the old axis.

    Returns
    -------
    xr.Dataset
        With ``time_offset`` zero; NaN outside a channel's samples.
    """
    if not (math.isfinite(sampling_rate) and sampling_rate > 0):
        raise ParameterError(f"sampling rate {sampling_rate} Hz: give a positive number")
    if not all(label is None or math.isfinite(label) for label in (start, stop)):
        raise ParameterError(f"start {start} s, stop {stop} s: give finite numbers")
    if a < 1:
        raise ParameterError(f"a Lanczos half width of {a} samples: give at least 1")
    name = quantity_of(ds)
    axis = time_index(ds).transform
    base = axis.offset if axis.origin is None else Fraction(0)
    old, new = axis.interval, 1 / Fraction(sampling_rate).limit_denominator(10**6)
    first = base if start is None else Fraction(start).limit_denominator(NANO)
    last = (
        base + (axis.samples - 1) * old if stop is None else Fraction(stop).limit_denominator(NANO)
    )
    samples = int((last - first) / new) + 1
    if samples < 1:
        raise ParameterError(f"start {start} s is after stop {stop} s: swap them")
    data = ds[name]
    offset = ds.get("time_offset", xr.DataArray(0.0)).fillna(0.0)
    channel = [dim for dim in data.dims if dim != "time"]
    offset = offset.reset_coords(drop=True) + xr.zeros_like(
        xr.DataArray(np.empty([data.sizes[d] for d in channel]), dims=channel)
    )
    values = map_blocks(
        _lanczos_runs,
        data,
        offset,
        dims=tuple(map(str, data.transpose(..., "time").dims)),
        sizes={"time": samples},
        dtype=data.dtype,
        first=float((first - base) / old),
        step=float(new / old),
        samples=samples,
        dt=float(old),
        half_width=a,
    )
    if axis.origin is None:
        coords = time_coords(samples=samples, interval=new, offset=first)
    else:
        coords = time_coords(
            samples=samples, interval=new, offset=axis.offset + first, origin=axis.origin
        )
    result = replace(ds.drop_vars("time"), name, name, values.assign_coords(coords))
    if "time_offset" in result.coords:
        result = result.assign_coords(time_offset=xr.zeros_like(result["time_offset"]))
    return result


def _lanczos_runs(block, offset, first, step, samples, dt, half_width):
    flat = records(block)
    result = np.full((len(flat), samples), np.nan, block.dtype)
    for row, shift in enumerate(offset.reshape(-1)):
        for start, stop in runs(np.isnan(flat[row])):
            # A sample labelled t was taken at t + time_offset.
            _lanczos(flat[row], start, stop, first - shift / dt, step, half_width, result[row])
    return result.reshape(*block.shape[:-1], samples)


@numba.njit(nogil=True, cache=True)
def _lanczos(x, start, stop, first, step, a, result):
    """Sum of x[i] sinc(p - i) sinc((p - i)/a) over |p - i| < a, at p = first + k step."""
    tolerance = 1e-6
    for k in range(result.shape[0]):
        position = first + k * step
        if position < start - tolerance or position > stop - 1 + tolerance:
            continue
        nearest = int(np.round(position))
        if abs(position - nearest) < tolerance:
            result[k] = x[nearest]
            continue
        total, weights = 0.0, 0.0
        below = int(np.floor(position))
        sine = np.sin(np.pi * (position - below))
        for i in range(max(start, below - a + 1), min(stop, below + a + 1)):
            d = position - i
            sign = 1.0 if (i - below) % 2 == 0 else -1.0
            weight = sign * sine * a * np.sin(np.pi * d / a) / (np.pi * d) ** 2
            total += weight * x[i]
            weights += weight
        # The truncated kernel does not quite sum to one; make a constant stay a constant.
        result[k] = total / weights
