"""Stored samples as an array that decodes only what is asked of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import zarr

from ..conventions import FLOAT32_EXACT, INT_FILL


class Samples:
    """A Zarr array of waveforms as floats with NaN in gaps.

    Counts are float32, or float64 where any of them needs more than 24 bits.  A slice of it reads
    and decodes the chunks under the slice only, which Dask makes use of: it merges a selection
    with the reading of a shard.
    """

    def __init__(self, array: zarr.Array[Any]):
        self.array = array
        self.shape, self.ndim = array.shape, array.ndim
        self.dtype = array.dtype
        self.fill: int | None = None
        if array.dtype.kind == "i":
            actual: Any = array.attrs.get("actual_range", (0, 0))
            low, high = actual
            self.dtype = np.dtype("float32" if max(-low, high) <= FLOAT32_EXACT else "float64")
            self.fill = INT_FILL[array.dtype.name]

    def __getitem__(self, key: Any) -> np.ndarray:
        block = np.asarray(self.array[key])
        if self.fill is None:
            return block
        values = block.astype(self.dtype)
        values[block == self.fill] = np.nan
        return values
