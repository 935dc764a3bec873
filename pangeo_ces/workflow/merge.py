"""Products of several sampling rates and models on the stations of all."""

from __future__ import annotations

import functools

import numpy as np
import xarray as xr

from ..conventions import VARIABLES


def on_one_axis(products: dict[str, list[xr.Dataset]]) -> dict[str, xr.Dataset]:
    """All products on the union of their stations, sampling rates merged.

    Coordinates come from whoever knows them.
    """
    parts = [ds for several in products.values() for ds in several]
    labels = sorted({s for ds in parts for s in ds["station"].values.tolist()})
    wide = {path: [ds.reindex(station=labels) for ds in many] for path, many in products.items()}
    coords = {}
    for name, row in VARIABLES.items():
        if row.dims not in (("station",), ("event", "station")):
            continue
        known = [ds[name] for many in wide.values() for ds in many if name in ds.coords]
        if known:
            values = functools.reduce(
                lambda a, b: np.where(np.isnan(a), b, a), [x.values for x in known]
            )
            coords[name] = (known[0].dims, values, row.attrs)
    result = {}
    for path, (first, *others) in wide.items():
        for other in others:
            for name in map(str, first.data_vars):
                filled = first[name].fillna(other[name].drop_vars(list(other[name].coords)))
                first = first.assign({name: filled.assign_attrs(first[name].attrs)})
        result[path] = first.assign_coords(coords)
    return result


def reindexed(ds: xr.Dataset, **labels: list[str]) -> xr.Dataset:
    """Waveforms on other stations or components; what is new is NaN."""
    # Alignment looks at every index; the lazy time axis takes no part in it.
    axis = xr.Coordinates.from_xindex(ds.xindexes["time"])
    attrs = dict(ds["time"].attrs)
    ds = ds.drop_vars("time").reindex(labels).assign_coords(axis)
    ds["time"].attrs.update(attrs)
    return ds
