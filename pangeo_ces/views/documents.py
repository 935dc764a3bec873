"""The product as documents for other programs: GeoJSON for maps, tables for statistics."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pangeo_ces.storage import write_bytes
from pangeo_ces.views import contents
from pangeo_ces.views.files import file_suffix
from pangeo_ces.views.geography import longitude_span

_DIGITS = 6
TABLE_FORMATS = (".csv", ".parquet")


def to_geojson(tree: xr.DataTree) -> dict[str, Any]:
    """The product as a GeoJSON FeatureCollection (RFC 7946), a Feature for each station.

    Parameters
    ----------
    tree : xarray.DataTree
        The rapid-assessment product.

    Returns
    -------
    dict
        Points [longitude, latitude] in degrees of WGS 84; the values of each station under
        ``properties.events.<event>.<kind>[.<model>].<component>``, SI, ``None`` for no value;
        foreign members ``events``, ``units`` and ``damping``.

    Examples
    --------
    >>> collection = to_geojson(tree)  # doctest: +SKIP
    >>> collection["features"][0]["geometry"]["coordinates"]  # doctest: +SKIP
    [8.33, 48.33]
    """
    found = contents.sources(tree)
    first = next(iter(found.values()))
    values = {path: _values(ds) for path, ds in found.items()}
    names = {path: contents.measure_names(ds) for path, ds in found.items()}

    def measured(i: int, s: int) -> dict[str, Any]:
        return _by_source({path: _nested(first, names[path], values[path][i, s]) for path in found})

    collection = feature_collection(first, measured)
    features = collection.pop("features")
    return collection | {
        "units": {name: str(first[name].attrs.get("units", "")) for name in first.data_vars},
        "damping": _number(first["damping"].values) if "damping" in first.coords else None,
        "features": features,
    }


def feature_collection(
    ds: xr.Dataset, measured: Callable[[int, int], dict[str, Any]]
) -> dict[str, Any]:
    """A Feature for each station, with what ``measured(event, station)`` says of each event.

    Parameters
    ----------
    ds : xarray.Dataset
        Axes and coordinates ``event`` and ``station``.
    measured : callable
        Properties of the event and the station with these numbers.
    """
    events = [_event(ds, i) for i in range(ds.sizes["event"])]
    features = []
    for s, label in enumerate(ds["station"].values):
        properties = _station(str(label), ds, s)
        properties["events"] = {
            event["id"]: _at_station(ds, i, s) | measured(i, s) for i, event in enumerate(events)
        }
        features.append(
            {
                "type": "Feature",
                "id": str(label),
                "geometry": _point(ds["longitude"].values[s], ds["latitude"].values[s]),
                "properties": properties,
            }
        )
    collection: dict[str, Any] = {"type": "FeatureCollection"}
    if any(feature["geometry"] for feature in features):
        collection["bbox"] = _bbox(ds)
    return collection | {"events": events, "features": features}


def write_geojson(collection: dict[str, Any], path_or_url: str | os.PathLike[str]) -> None:
    """Write what `to_geojson` returns, as UTF-8 (RFC 8259: no NaN).

    Examples
    --------
    >>> write_geojson(to_geojson(tree), "assessment.geojson")  # doctest: +SKIP
    """
    text = json.dumps(collection, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    write_bytes(path_or_url, text.encode() + b"\n")


def to_table(tree: xr.DataTree) -> pd.DataFrame:
    """The product as a tidy table: a row for each event, station and component.

    Parameters
    ----------
    tree : xarray.DataTree
        The rapid-assessment product.

    Returns
    -------
    pandas.DataFrame
        What identifies the row, then ``pga_observed``, ``psa_0.3s_observed``,
        ``pga_synthetic_<model>``, ``pga_difference_<model>``, …; SI except where the name of the
        column says otherwise; ``attrs["units"]`` holds the unit of each column of values.

    Examples
    --------
    >>> table = to_table(tree)  # doctest: +SKIP
    >>> table.query("component == 'larger'")["pgv_observed"].max()  # doctest: +SKIP
    """
    found = contents.sources(tree)
    first = next(iter(found.values()))
    columns = row_labels(first)
    units = {}
    for path, ds in found.items():
        for name in contents.measure_names(ds):
            column = f"{name}_{path.replace('/', '_')}"
            array = contents.measure(ds, name).transpose("event", "station", "component")
            columns[column] = array.values.ravel()
            units[column] = str(array.attrs.get("units", ""))
    table = pd.DataFrame(columns)
    table.attrs["units"] = units
    return table


def row_labels(ds: xr.Dataset) -> dict[str, Any]:
    """The columns that say what a row is, a row for each event, station and component."""
    shape = tuple(ds.sizes[dim] for dim in ("event", "station", "component"))
    rows = np.indices(shape).reshape(3, -1)
    codes = np.array([contents.station_codes(str(label)) for label in ds["station"].values])
    codes = codes.reshape(-1, 4)[rows[1]]

    def along(name: str, *axes: int, scale: float = 1.0) -> Any:
        if name not in ds.coords:
            return np.full(rows.shape[1], np.nan)
        values = ds[name].values[tuple(rows[axis] for axis in axes)]
        return values * scale if scale != 1 else values

    return {
        "event": along("event", 0).astype(str),
        "origin_time": along("origin_time", 0),
        "magnitude": along("magnitude", 0),
        "network": codes[:, 0],
        "station": codes[:, 1],
        "location": codes[:, 2],
        "channel": codes[:, 3],
        "component": along("component", 2).astype(str),
        "latitude": along("latitude", 1),
        "longitude": along("longitude", 1),
        "elevation_m": along("elevation", 1),
        "epicentral_distance_km": along("epicentral_distance", 0, 1, scale=1e-3),
        "back_azimuth_deg": along("back_azimuth", 0, 1),
    }


def write_table(table: pd.DataFrame, path_or_url: str | os.PathLike[str]) -> None:
    """Write what `to_table` returns as ``.csv`` or ``.parquet``.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns and rows are written in their order.
    path_or_url : str or path
        Local path or fsspec URL.  CSV: UTF-8, a header row, shortest text of each number that
        reads back as the same number, an empty field for no value.

    Examples
    --------
    >>> write_table(to_table(tree), "assessment.parquet")  # doctest: +SKIP
    """
    if file_suffix(path_or_url, TABLE_FORMATS) == ".csv":
        text = table.to_csv(index=False, lineterminator="\n", date_format="%Y-%m-%dT%H:%M:%S.%fZ")
        write_bytes(path_or_url, text.encode())
        return
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    write_bytes(path_or_url, buffer.getvalue())


def _number(value: Any, scale: float = 1.0) -> float | None:
    return float(value) * scale if np.isfinite(value) else None


def _rounded(value: Any, scale: float = 1.0, digits: int = _DIGITS) -> float | None:
    number = _number(value, scale)
    return None if number is None else round(number, digits)


def _coordinate(ds: xr.Dataset, name: str, *index: int) -> Any:
    return ds[name].values[index] if name in ds.coords else np.nan


def _event(ds: xr.Dataset, i: int) -> dict[str, Any]:
    time = _coordinate(ds, "origin_time", i)
    return {
        "id": str(ds["event"].values[i]),
        "name": str(ds["event_name"].values[i]) if "event_name" in ds.coords else None,
        "time": None if pd.isna(time) else pd.Timestamp(time).isoformat() + "Z",
        "latitude": _rounded(_coordinate(ds, "event_latitude", i)),
        "longitude": _rounded(_coordinate(ds, "event_longitude", i)),
        "depth_km": _rounded(_coordinate(ds, "event_depth", i), 1e-3),
        "magnitude": _rounded(_coordinate(ds, "magnitude", i)),
    }


def _station(label: str, ds: xr.Dataset, s: int) -> dict[str, Any]:
    network, station, location, channel = contents.station_codes(label)
    return {
        "id": label,
        "network": network,
        "station": station,
        "location": location,
        "channel": channel,
        "elevation_m": _rounded(_coordinate(ds, "elevation", s)),
    }


def _at_station(ds: xr.Dataset, i: int, s: int) -> dict[str, Any]:
    time = _coordinate(ds, "origin_time", i)
    return {
        "origin_time": None if pd.isna(time) else pd.Timestamp(time).isoformat() + "Z",
        "epicentral_distance_km": _rounded(_coordinate(ds, "epicentral_distance", i, s), 1e-3),
        "back_azimuth_deg": _rounded(_coordinate(ds, "back_azimuth", i, s)),
    }


def _values(ds: xr.Dataset) -> np.ndarray:
    """All measures, (event, station, component, measure), as Python floats and None."""
    arrays = [
        contents.measure(ds, name).transpose("event", "station", "component").values
        for name in contents.measure_names(ds)
    ]
    stacked = np.stack(arrays, axis=-1).astype(float)
    values = stacked.astype(object)
    values[~np.isfinite(stacked)] = None
    return values


def _nested(ds: xr.Dataset, names: list[str], values: np.ndarray) -> dict[str, Any]:
    """``{component: {pga: …, psa: {period: …}}}`` of values (component, measure)."""
    found: dict[str, Any] = {}
    for component, row in zip(ds["component"].values, values.tolist(), strict=True):
        here: dict[str, Any] = {}
        for name, value in zip(names, row, strict=True):
            if name.startswith("psa_"):
                here.setdefault("psa", {})[name[4:-1]] = value
            else:
                here[name] = value
        found[str(component)] = here
    return found


def _by_source(values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, each in values.items():
        kind, _, model = path.partition("/")
        if model:
            found.setdefault(kind, {})[model] = each
        else:
            found[kind] = each
    return found


def _point(longitude: Any, latitude: Any) -> dict[str, Any] | None:
    lon, lat = _rounded(longitude), _rounded(latitude)
    if lon is None or lat is None:
        return None
    return {"type": "Point", "coordinates": [_within(lon), lat]}


def _bbox(ds: xr.Dataset) -> list[float]:
    """West, south, east, north; west exceeds east across the antimeridian (RFC 7946, 5.2)."""
    lat = ds["latitude"].values.astype(float)
    west, east = longitude_span(ds["longitude"].values)
    corners = (_within(west), np.nanmin(lat), _within(east), np.nanmax(lat))
    return [round(float(value), _DIGITS) for value in corners]


def _within(longitude: float) -> float:
    return longitude if -180 <= longitude <= 180 else (longitude + 180) % 360 - 180
