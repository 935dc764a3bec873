"""Misfits and windows as tables and GeoJSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pangeo_ces.errors import ParameterError
from pangeo_ces.views.documents import feature_collection, row_labels

CHANNEL = ("event", "station", "component")
_WINDOW = (*CHANNEL, "window")


def measures_of(product: xr.DataTree, kind: str = "measures") -> dict[str, xr.Dataset]:
    """The Datasets of one kind of a misfit product, by model."""
    if kind not in product.children:
        raise ParameterError(f"no {kind!r} in this product: give one of ces.run_misfit")
    return {name: node.to_dataset() for name, node in product[kind].children.items()}


def channel_variables(ds: xr.Dataset) -> list[str]:
    """Names of the variables with one value for each event, station and component."""
    return [str(name) for name in ds.data_vars if set(ds[name].dims) == set(CHANNEL)]


def status_text(ds: xr.Dataset) -> np.ndarray:
    """``status`` as words."""
    words = np.array(str(ds["status"].attrs["flag_meanings"]).split())
    return words[ds["status"].transpose(*CHANNEL).values.astype(int)]


def to_misfit_table(product: xr.DataTree) -> pd.DataFrame:
    """Misfits as a tidy table: a row for each model, event, station and component.

    Parameters
    ----------
    product : xarray.DataTree
        Of :func:`~pangeo_ces.run_misfit`, or the computed one of :func:`~pangeo_ces.misfit`.

    Returns
    -------
    pandas.DataFrame
        What identifies the row, ``status`` as a word, and a column for each variable, in SI;
        ``attrs["units"]`` holds the units.

    Examples
    --------
    >>> table = to_misfit_table(product)  # doctest: +SKIP
    >>> table.groupby("component")["em"].median()  # doctest: +SKIP
    """
    parts, units = [], {}
    for model, ds in measures_of(product).items():
        columns: dict[str, Any] = {"model": model} | row_labels(ds)
        columns["status"] = status_text(ds).ravel()
        for name in channel_variables(ds):
            if name != "status":
                columns[name] = ds[name].transpose(*CHANNEL).values.ravel()
                units[name] = str(ds[name].attrs.get("units", ""))
        parts.append(pd.DataFrame(columns))
    table = pd.concat(parts, ignore_index=True)
    table.attrs["units"] = units
    return table


def to_windows_table(product: xr.DataTree) -> pd.DataFrame:
    """Selected windows: a row for each.

    Parameters
    ----------
    product : xarray.DataTree
        As for `to_misfit_table`.

    Returns
    -------
    pandas.DataFrame
        What identifies the trace, the number of the ``window``, its ``window_start`` and
        ``window_end`` (s after the origin time), and its measurements.

    Examples
    --------
    >>> to_windows_table(product).query("cc > 0.9")  # doctest: +SKIP
    """
    parts = []
    for model, ds in measures_of(product, "windows").items():
        there = np.isfinite(ds["window_start"].transpose(*_WINDOW).values)
        count = there.shape[-1]
        labels = pd.DataFrame({"model": model} | row_labels(ds))
        table = labels.loc[np.repeat(labels.index, count)].reset_index(drop=True)
        table["window"] = np.tile(np.arange(count), len(labels))
        for name in map(str, ds.data_vars):
            if ds[name].dims and set(ds[name].dims) == set(_WINDOW):
                table[name] = ds[name].transpose(*_WINDOW).values.ravel()
        parts.append(table[there.ravel()])
    return pd.concat(parts, ignore_index=True)


def to_misfit_geojson(product: xr.DataTree) -> dict[str, Any]:
    """Misfits as a GeoJSON FeatureCollection (RFC 7946), a Feature for each station.

    Parameters
    ----------
    product : xarray.DataTree
        As for `to_misfit_table`.

    Returns
    -------
    dict
        Values under ``properties.events.<event>.<model>.<component>``, ``None`` for no value.

    Examples
    --------
    >>> collection = to_misfit_geojson(product)  # doctest: +SKIP
    """
    found = measures_of(product)
    first = next(iter(found.values()))
    names = {model: channel_variables(ds) for model, ds in found.items()}
    values = {
        model: {
            name: status_text(ds) if name == "status" else ds[name].transpose(*CHANNEL).values
            for name in names[model]
        }
        for model, ds in found.items()
    }

    def measured(i: int, s: int) -> dict[str, Any]:
        return {
            model: {
                str(component): {name: _plain(array[i, s, c]) for name, array in arrays.items()}
                for c, component in enumerate(found[model]["component"].values)
            }
            for model, arrays in values.items()
        }

    collection = feature_collection(first, measured)
    units = {name: str(ds[name].attrs.get("units", "")) for ds in found.values()
             for name in channel_variables(ds)}  # fmt: skip
    return collection | {"units": units}


def _plain(value: Any) -> Any:
    if isinstance(value, str | np.str_):
        return str(value)
    return float(value) if np.isfinite(value) else None
