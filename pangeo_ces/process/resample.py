"""Bringing records onto another time axis."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal

import numpy as np
import xarray as xr

from ..blocks import map_blocks
from ..conventions import QUANTITIES, quantity_of
from ..errors import ParameterError
from ..registry import operator
from ..timeaxis import NANO, time_coords, time_index
from ._interpolation import METHODS, at_positions
from ._runs import records, runs
from ._waveform import replace


@operator(needs=QUANTITIES)
def interpolate(
    ds: xr.Dataset,
    *,
    sampling_rate: float,
    start: float | None = None,
    stop: float | None = None,
    method: Literal[
        "lanczos",
        "weighted_average_slopes",
        "linear",
        "nearest",
        "zero",
        "slinear",
        "quadratic",
        "cubic",
    ] = "lanczos",
    a: int = 20,
) -> xr.Dataset:
    """Interpolation onto an even axis, band-limited or otherwise, sub-sample starts included.

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
    method
        ``lanczos`` is band-limited; ``weighted_average_slopes`` (Wiggins 1976, as in SAC) has no
        extrema between samples; ``linear``, ``nearest`` and ``zero`` (the sample before) look at
        the neighbours, ``slinear``, ``quadratic`` and ``cubic`` are interpolating splines.  All
        as in ``obspy.Trace.interpolate``.
    a
        Half width of the Lanczos kernel in samples of the old axis.

    Returns
    -------
    xr.Dataset
        With ``time_offset`` zero; NaN outside a channel's samples, and nothing interpolated over
        a gap.

    Raises
    ------
    ParameterError
        For a rate, a label, a method or a width that cannot be.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows(sampling_rate=100.0)
    >>> interpolate(ds, sampling_rate=50.0, method="linear", start=0.0, stop=1.0).sizes["time"]
    51
    """  # fmt: skip
    if not (math.isfinite(sampling_rate) and sampling_rate > 0):
        raise ParameterError(f"sampling rate {sampling_rate} Hz: give a positive number")
    if not all(label is None or math.isfinite(label) for label in (start, stop)):
        raise ParameterError(f"start {start} s, stop {stop} s: give finite numbers")
    if method not in METHODS:
        raise ParameterError(f"method {method!r}: use one of {', '.join(METHODS)}")
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
        _runs_at,
        data,
        offset,
        dims=tuple(map(str, data.transpose(..., "time").dims)),
        sizes={"time": samples},
        dtype=data.dtype,
        first=float((first - base) / old),
        step=float(new / old),
        samples=samples,
        dt=float(old),
        method=method,
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


def _runs_at(block, offset, first, step, samples, dt, method, half_width):
    flat = records(block)
    result = np.full((len(flat), samples), np.nan, block.dtype)
    for row, shift in enumerate(offset.reshape(-1)):
        # A sample labelled t was taken at t + time_offset.
        zero = first - shift / dt
        for start, stop in runs(np.isnan(flat[row])):
            reach = _reached(zero, step, samples, start, stop)
            result[row, reach] = at_positions(
                flat[row, start:stop], zero + step * reach.start - start, step,
                reach.stop - reach.start, method, half_width,
            )  # fmt: skip
    return result.reshape(*block.shape[:-1], samples)


def _reached(zero, step, samples, start, stop):
    """The new samples within a run, ``start - 1/1000`` to ``stop - 1 + 1/1000``."""
    first = max(math.ceil((start - 1e-3 - zero) / step), 0)
    last = min(math.floor((stop - 1 + 1e-3 - zero) / step), samples - 1)
    return slice(first, max(last + 1, first))
