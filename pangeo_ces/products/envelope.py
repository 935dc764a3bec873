"""Small pictures of long records."""

from __future__ import annotations

import math
from fractions import Fraction

import numba
import numpy as np
import xarray as xr

from ..blocks import consolidate, map_blocks
from ..conventions import QUANTITIES, quantity_of
from ..errors import ParameterError
from ..lineage import product_attrs
from ..process._runs import records
from ..registry import operator
from ..timeaxis import NANO, time_coords, time_index


@operator(needs=QUANTITIES, gives=("minimum", "maximum"))
def minmax(
    ds: xr.Dataset, *, bins: int = 400, start: float | None = None, stop: float | None = None
) -> xr.Dataset:
    """Smallest and largest sample in each of ``bins`` time bins: enough to draw a record.

    Parameters
    ----------
    ds
        Event windows, any quantity.
    bins
        Number of bins; a bin without samples is NaN.
    start, stop
        Ends of the first and the last bin, in seconds after the origin time; those of the axis by
        default.

    Returns
    -------
    xr.Dataset
        ``minimum`` and ``maximum`` with the units of the waveform; ``time`` labels the start of a
        bin; the quantity is named in ``attrs["quantity"]``.
    """
    if bins < 1:
        raise ParameterError(f"{bins} bins: give at least 1")
    if not all(label is None or math.isfinite(label) for label in (start, stop)):
        raise ParameterError(f"start {start} s, stop {stop} s: give finite numbers")
    name = quantity_of(ds)
    data = ds[name].transpose(..., "time")
    axis = time_index(ds).transform
    first = axis.offset if start is None else Fraction(start).limit_denominator(NANO)
    last = axis.offset + axis.samples * axis.interval
    last = last if stop is None else Fraction(stop).limit_denominator(NANO)
    if not first < last:
        raise ParameterError(f"start {start} s is not before stop {stop} s: swap them")
    width = (last - first) / bins
    both = map_blocks(
        _extremes,
        data,
        dims=(*map(str, data.dims), "extreme"),
        sizes={"time": bins, "extreme": 2},
        dtype="float32",
        first=float((axis.offset - first) / width),
        step=float(axis.interval / width),
        bins=bins,
    )
    both = consolidate(both).assign_coords(
        time_coords(samples=bins, interval=width, offset=first, origin=axis.origin)
    )
    kept = {n: c for n, c in ds.coords.items() if not {"time", "response"} & set(c.dims)}
    result = xr.Dataset(coords=kept, attrs=product_attrs(ds) | {"quantity": name})
    for number, extreme in enumerate(("minimum", "maximum")):
        result[extreme] = both.isel(extreme=number).assign_attrs(ds[name].attrs)
    return result


def _extremes(block, first, step, bins):
    flat = records(np.ascontiguousarray(block))
    result = np.empty((len(flat), bins, 2), "float32")
    _extreme_rows(flat, first, step, result)
    return result.reshape(*block.shape[:-1], bins, 2)


@numba.njit(nogil=True, cache=True)
def _extreme_rows(x, first, step, out):
    out[:] = np.nan
    for row in range(x.shape[0]):
        for i in range(x.shape[1]):
            number = int(np.floor(first + i * step + 1e-9))
            value = x[row, i]
            if 0 <= number < out.shape[1] and not np.isnan(value):
                if not out[row, number, 0] <= value:
                    out[row, number, 0] = value
                if not out[row, number, 1] >= value:
                    out[row, number, 1] = value
