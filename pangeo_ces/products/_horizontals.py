"""Which sensors lie level, and measures of the two together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ..errors import ParameterError
from ..process.rotate import HORIZONTAL_DIP

MEANS = ("arithmetic_mean", "geometric_mean", "quadratic_mean", "larger")


def level_sensors(ds: xr.Dataset, data: xr.DataArray) -> xr.DataArray:
    """Which sensors are horizontal, over all dimensions of ``data`` but time."""
    dims = [dim for dim in data.dims if dim != "time"]
    template = xr.DataArray(np.ones([data.sizes[d] for d in dims], bool), dims=dims)
    if "dip" in ds.variables:
        dip = ds["dip"].reset_coords(drop=True).drop_vars("component", errors="ignore")
        dip = dip.drop_vars(list(dip.coords))
        return template & (np.abs(dip) <= HORIZONTAL_DIP)
    letters = xr.DataArray([str(c) != "Z" for c in data["component"].values], dims="component")
    return template & letters


def check_means(means: Sequence[str]) -> None:
    """Refuse what is no mean of two horizontals."""
    unknown = [mean for mean in means if mean not in MEANS]
    if unknown:
        raise ParameterError(f"combination {unknown[0]!r}: use some of {', '.join(MEANS)}")


def with_means(values: np.ndarray, level: np.ndarray, means: Sequence[str]) -> np.ndarray:
    """``values`` (record, component, …) with means of the two horizontals as further components.

    NaN unless exactly two sensors that ``level`` (record, component) calls horizontal recorded.
    """
    records, components = values.shape[:2]
    result = np.full((records, components + len(means), *values.shape[2:]), np.nan)
    result[:, :components] = values
    for out, record, horizontal in zip(result, values, level, strict=True):
        recorded = ~np.isnan(record).reshape(components, -1).all(axis=-1)
        pair = np.flatnonzero(horizontal & recorded)
        if len(pair) == 2:
            for number, mean in enumerate(means, components):
                out[number] = mean_of_two(record[pair[0]], record[pair[1]], mean)
    return result


def mean_of_two(one: np.ndarray, two: np.ndarray, mean: str) -> np.ndarray:
    """One of ``MEANS``, value by value."""
    if mean == "larger":
        return np.maximum(one, two)
    if mean == "arithmetic_mean":
        return (one + two) / 2
    return np.sqrt((one**2 + two**2) / 2 if mean == "quadratic_mean" else one * two)
