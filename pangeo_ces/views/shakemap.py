"""The product as ShakeMap's station list, to be put into the folder of its event."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import xarray as xr

from pangeo_ces.views import contents
from pangeo_ces.views.documents import write_geojson
from pangeo_ces.views.units import PERCENT_G

#: Of the measures that ShakeMap takes: its units, and what SI values are multiplied by.
_UNITS = {"pga": ("%g", PERCENT_G), "pgv": ("cm/s", 100.0), "psa": ("%g", PERCENT_G)}


def to_station_list(
    tree: xr.DataTree, *, event: str | int = 0, source: str = "observed"
) -> dict[str, Any]:
    """One event of the product as ShakeMap's JSON station list.

    Parameters
    ----------
    tree : xarray.DataTree
        The rapid-assessment product.
    event : str or int, default 0
        Id or position.
    source : str, default "observed"
        ``observed`` or ``synthetic/<model>``.

    Returns
    -------
    dict
        A GeoJSON FeatureCollection with a Feature for each ``NET.STA``.  ``channels`` are the
        recorded components of all its instruments (``00.HNZ``, ``--.HHZ`` without a location),
        each with ``pga`` and ``sa(<period>)`` in %g and ``pgv`` in cm/s; in ``properties`` are also
        ``pga`` and ``pgv`` as the largest of the horizontals, and the epicentral distance in km.
        ShakeMap takes 5 % damping; another one is no station list of it.

    Examples
    --------
    >>> stations = to_station_list(tree)  # doctest: +SKIP
    >>> stations["features"][0]["properties"]["channels"][0]["amplitudes"][0]  # doctest: +SKIP
    {'name': 'pga', 'value': 0.0319, 'units': '%g', 'flag': '0', 'ln_sigma': 0}
    """
    ds = contents.source(tree, source)
    if "damping" in ds.coords and not np.isclose(float(ds["damping"]), 0.05):
        ds = ds.drop_vars("psa", errors="ignore")
    index = contents.event_index(ds, event)
    ds = ds.isel(event=index)
    features: dict[str, dict[str, Any]] = {}
    for number, label in enumerate(ds["station"].values):
        station = ds.isel(station=number)
        channels = _channels(str(label), station)
        if not channels or not np.isfinite(float(station["longitude"])):
            continue
        network, code, *_ = contents.station_codes(str(label))
        name = f"{network}.{code}" if network else code
        if name not in features:
            features[name] = _feature(name, network, code, station)
        features[name]["properties"]["channels"] += channels
    for feature in features.values():
        _summarise(feature["properties"])
    return {
        "type": "FeatureCollection",
        "metadata": {"eventid": str(ds["event"].values)},
        "features": list(features.values()),
    }


def write_station_list(stations: dict[str, Any], path_or_url: str | os.PathLike[str]) -> None:
    """Write what `to_station_list` returns; ShakeMap reads it as ``current/*_dat.json``.

    Examples
    --------
    >>> write_station_list(to_station_list(tree), "ces_dat.json")  # doctest: +SKIP
    """
    write_geojson(stations, path_or_url)


def _channels(label: str, station: xr.Dataset) -> list[dict[str, Any]]:
    """The recorded components of one instrument, with their amplitudes."""
    _, _, location, band = contents.station_codes(label)
    channels = []
    for component in station["component"].values:
        if len(str(component)) > 1:  # a combination
            continue
        amplitudes = _amplitudes(station.sel(component=component))
        if amplitudes:
            name = f"{location or '--'}.{band}{component}"
            channels.append({"name": name, "amplitudes": amplitudes})
    return channels


def _amplitudes(channel: xr.Dataset) -> list[dict[str, Any]]:
    found = []
    for name in contents.measure_names(channel):
        kind = name.partition("_")[0]
        value = float(contents.measure(channel, name))
        if kind not in _UNITS or not (np.isfinite(value) and value > 0):
            continue
        units, factor = _UNITS[kind]
        called = f"sa({_period(name[4:-1])})" if kind == "psa" else kind
        found.append(
            {"name": called, "value": float(f"{value * factor:.6g}"), "units": units,
             "flag": "0", "ln_sigma": 0}
        )  # fmt: skip
    return found


def _period(text: str) -> str:
    """``1`` as ShakeMap writes it: ``1.0``."""
    return text if "." in text else f"{text}.0"


def _feature(name: str, network: str, code: str, station: xr.Dataset) -> dict[str, Any]:
    place = [round(float(station[axis]), 6) for axis in ("longitude", "latitude")]
    distance = station["epicentral_distance"] if "epicentral_distance" in station.coords else np.nan
    elevation = float(station["elevation"]) if "elevation" in station.coords else np.nan
    return {
        "type": "Feature",
        "id": name,
        "geometry": {"type": "Point", "coordinates": place},
        "properties": {
            "code": code,
            "name": name,
            "network": network,
            "source": network,
            "instrumentType": "UNK",
            "commType": "UNK",
            "elev": elevation if np.isfinite(elevation) else None,
            "distance": float(f"{float(distance) / 1e3:.6g}") if np.isfinite(distance) else None,
            "intensity": None,
            "intensity_flag": "",
            "channels": [],
        },
    }


def _summarise(properties: dict[str, Any]) -> None:
    """The largest of the horizontals, as ShakeMap shows a station."""
    for name in ("pga", "pgv"):
        values = [
            amplitude["value"]
            for channel in properties["channels"]
            for amplitude in channel["amplitudes"]
            if amplitude["name"] == name and not channel["name"].endswith("Z")
        ]
        properties[name] = max(values, default=None)
