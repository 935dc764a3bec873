"""Small pictures of long records."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from ..blocks import map_blocks
from ..conventions import QUANTITIES, quantity_of
from ..errors import ParameterError
from ..registry import operator
from ..timeaxis import time_coords, time_index


@operator(needs=QUANTITIES, gives=("minimum", "maximum"))
def minmax(ds: xr.Dataset, *, bins: int = 400) -> xr.Dataset:
    """Smallest and largest sample in each of at most ``bins`` time bins: enough to draw a record.

    Parameters
    ----------
    ds
        Waveforms, any quantity.
    bins
        Most bins wanted; a record shorter than that keeps every sample.

    Returns
    -------
    xr.Dataset
        ``minimum`` and ``maximum`` with the units of the waveform; ``time`` labels the start of a
        bin; the quantity is named in ``attrs["quantity"]``.
    """
    if bins < 1:
        raise ParameterError(f"{bins} bins: give at least 1")
    name = quantity_of(ds)
    data = ds[name].transpose(..., "time")
    width = max(1, math.ceil(data.sizes["time"] / bins))
    count = math.ceil(data.sizes["time"] / width)
    both = map_blocks(
        _extremes,
        data,
        dims=(*map(str, data.dims), "extreme"),
        sizes={"time": count, "extreme": 2},
        dtype="float32",
        width=width,
        count=count,
    )
    axis = time_index(ds).transform
    both = both.assign_coords(
        time_coords(
            samples=count, interval=axis.interval * width, offset=axis.offset, origin=axis.origin
        )
    )
    kept = {n: c for n, c in ds.coords.items() if "time" not in c.dims and "response" not in c.dims}
    result = xr.Dataset(coords=kept, attrs=ds.attrs | {"quantity": name})
    for number, extreme in enumerate(("minimum", "maximum")):
        result[extreme] = both.isel(extreme=number).assign_attrs(ds[name].attrs)
    return result


def _extremes(block, width, count):
    padded = np.full((*block.shape[:-1], count * width), np.nan, block.dtype)
    padded[..., : block.shape[-1]] = block
    binned = padded.reshape(*block.shape[:-1], count, width)
    # fmin and fmax ignore NaN, and give NaN where there is nothing else.
    low, high = np.fmin.reduce(binned, axis=-1), np.fmax.reduce(binned, axis=-1)
    return np.stack([low, high], axis=-1).astype("float32")
