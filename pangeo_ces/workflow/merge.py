"""Products of several sampling rates and models on the events and stations of all."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr

from ..conventions import VARIABLES
from ..products._pairs import NO_OBSERVED, NO_SYNTHETIC, OK, STATUS_ATTRS

_AXES = ("event", "station", "component")
_PLACES = (("event",), ("station",), ("event", "station"))


def on_one_axis(products: dict[str, list[xr.Dataset]]) -> dict[str, xr.Dataset]:
    """All products on the union of their events, stations and components, rates merged.

    Of a channel that several Datasets of one product hold, the one with a value counts, or the
    best ``status`` where there is one.  Coordinates come from whoever knows them.
    """
    parts = [ds for several in products.values() for ds in several]
    labels = {axis: _union(ds[axis].values.tolist() for ds in parts if axis in ds.dims)
              for axis in ("event", "station")}  # fmt: skip
    result = {}
    for path, several in products.items():
        own = labels | {"component": _union(ds["component"].values.tolist() for ds in several)}
        first, *others = (_reindexed(ds, own) for ds in several)
        for other in others:
            first = _merged(first, other)
        result[path] = first
    known = _coordinates(result.values())
    return {path: _whole_status(ds.assign_coords(known)) for path, ds in result.items()}


def _union(many: Iterable[list[str]]) -> list[str]:
    """All labels: in the order they have where all have the same, else sorted."""
    found = list(dict.fromkeys(map(tuple, many)))
    return list(found[0]) if len(found) == 1 else sorted({label for one in found for label in one})


def _reindexed(ds: xr.Dataset, labels: dict[str, list[str]]) -> xr.Dataset:
    wanted = {axis: names for axis, names in labels.items()
              if axis in ds.dims and ds[axis].values.tolist() != names}  # fmt: skip
    if not wanted:
        return ds
    grown = ds.reindex(wanted)
    for name, coord in ds.coords.items():  # an unknown text is none, not a number
        if coord.dtype.kind in "OUT" and name not in wanted:
            filled = grown[name].where(grown[name].notnull(), "")
            grown = grown.assign_coords({name: filled.astype(coord.dtype)})
    return grown


def _merged(first: xr.Dataset, other: xr.Dataset) -> xr.Dataset:
    bare = other.drop_vars(list(other.coords))
    better = _rank(bare["status"]) < _rank(first["status"]) if "status" in first else None
    for name in map(str, first.data_vars):
        mine, theirs = first[name], bare[name]
        if better is None:
            value = mine.fillna(theirs)
        else:
            value = xr.where(better.drop_vars(list(better.coords)), theirs, mine)
            value = value.transpose(*mine.dims)
        first = first.assign({name: value.assign_attrs(mine.attrs)})
    return first


def _rank(status: xr.DataArray) -> xr.DataArray:
    """Good pairs first, then those with a fault, then those that are none."""
    absent = status.isin([NO_OBSERVED, NO_SYNTHETIC])
    return xr.where(status == OK, 0, xr.where(status.isnull(), 3, xr.where(absent, 2, 1)))


def _whole_status(ds: xr.Dataset) -> xr.Dataset:
    """``status`` as whole numbers again, of channels that only others have too."""
    if "status" not in ds or np.issubdtype(ds["status"].dtype, np.integer):
        return ds
    status = ds["status"].fillna(NO_SYNTHETIC).astype("int8").assign_attrs(STATUS_ATTRS)
    return ds.assign(status=status)


def _coordinates(parts: Iterable[xr.Dataset]) -> dict[str, xr.DataArray]:
    """What is known of events and stations, all on the same axes."""
    found: dict[str, xr.DataArray] = {}
    for ds in parts:
        for name, row in VARIABLES.items():
            if row.dims not in _PLACES or name not in ds.coords:
                continue
            values = ds[name].drop_vars([n for n in ds[name].coords if n not in _AXES])
            if name not in found:
                found[name] = values
                continue
            blank = found[name].isnull() if values.dtype.kind != "U" else found[name] == ""
            found[name] = xr.where(blank, values, found[name]).assign_attrs(row.attrs)
    return found


def reindexed(ds: xr.Dataset, **labels: list[str]) -> xr.Dataset:
    """Waveforms on other stations or components; what is new is NaN."""
    # Alignment looks at every index; the lazy time axis takes no part in it.
    axis = xr.Coordinates.from_xindex(ds.xindexes["time"])
    attrs = dict(ds["time"].attrs)
    ds = ds.drop_vars("time").reindex(labels).assign_coords(axis)
    ds["time"].attrs.update(attrs)
    return ds
