"""Several results of one pass over the pairs: a kernel gives them in a row, and here they part."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np
import xarray as xr

from ..blocks import map_blocks
from ._pairs import STATUS_ATTRS


def length(layout: Mapping[str, tuple[str, ...]], axes: Mapping[str, int]) -> int:
    """Values of a pair: its status and then the results of ``layout``, flat."""
    return 1 + sum(math.prod(axes[dim] for dim in own) for own in layout.values())


def within(
    row: np.ndarray, name: str, layout: Mapping[str, tuple[str, ...]], axes: Mapping[str, int]
) -> np.ndarray:
    """Where a result has its place in the values of a pair; one number is an axis of length 1."""
    before = {other: layout[other] for other in itertools.takewhile(lambda o: o != name, layout)}
    begin = length(before, axes)
    shape = tuple(axes[dim] for dim in layout[name]) or (1,)
    return row[begin : begin + math.prod(shape)].reshape(shape)


def parted(
    values: xr.DataArray, layout: Mapping[str, tuple[str, ...]], axes: Mapping[str, int]
) -> dict[str, xr.DataArray]:
    """``status`` and the results, each over the dimensions of ``values`` and its own.

    Parameters
    ----------
    values
        ``(..., value)``.
    layout
        Names of the results and of the axes of each.
    axes
        Lengths of the axes.
    """
    dims = tuple(str(dim) for dim in values.dims[:-1])
    status = map_blocks(_status, values, dims=dims, dtype="int8").assign_attrs(STATUS_ATTRS)
    parts, begin = {}, 1
    for name, own in layout.items():
        shape = tuple(axes[dim] for dim in own)
        parts[name] = map_blocks(
            _part, values, dims=(*dims, *own), sizes=dict(zip(own, shape, strict=True)),
            dtype="float64", begin=begin, shape=shape,
        )  # fmt: skip
        begin += math.prod(shape)
    return parts | {"status": status}


def _status(block: np.ndarray) -> np.ndarray:
    return block[..., 0].astype(np.int8)


def _part(block: np.ndarray, begin: int, shape: tuple[int, ...]) -> np.ndarray:
    return block[..., begin : begin + math.prod(shape)].reshape(*block.shape[:-1], *shape)
