"""Event windows cut out of continuous data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import xarray as xr
from obspy.geodetics import gps2dist_azimuth
from obspy.taup import TauPyModel

from ..conventions import VARIABLES, quantity_of
from ..errors import ParameterError, SchemaError
from ..lineage import product_attrs
from ..registry import operator
from ..timeaxis import TimeTransform, time_coords, time_index, utc_ns
from .window import cut_each


@operator()
def event_windows(
    ds: xr.Dataset,
    events: xr.Dataset,
    *,
    start: float,
    stop: float,
    reference: str | float | Sequence[str] = "origin",
    model: str = "iasp91",
) -> xr.Dataset:
    """Cut windows around earthquakes out of continuous data, lazily.

    Parameters
    ----------
    ds
        Continuous waveforms, ``(station, component, time)``, any quantity.
    events
        What is known of the earthquakes over ``event``: ``origin_time``, ``event_latitude`` and
        ``event_longitude`` (degrees), ``event_depth`` (m) for phases, and any more.  Any event
        windows of a store will do.
    start, stop
        First and last label in seconds after the reference, both included.
    reference
        ``origin`` time; or the earliest arrival of a phase or of several, such as ``"P"`` or
        ``["P", "p", "Pn"]``, by TauPy; or a number, the arrival of a wave that travels the
        epicentral distance at this velocity in km/s.
    model
        TauPy's velocity model.

    Returns
    -------
    xr.Dataset
        ``(event, station, component, time)``, the labels in seconds after the *origin time* and
        the grid such that zero is on it.  Windows that count from an arrival share one axis, and
        are NaN outside their own span.  Samples are not interpolated: ``time_offset`` holds what
        is left, at most half an interval more than before (:func:`time_shift` takes it off).
        ``reference_time`` (event, station) is the reference in seconds after the origin time, NaN
        where a phase does not arrive; ``epicentral_distance`` (m) and ``back_azimuth`` (degrees)
        are on WGS84.

    Raises
    ------
    ParameterError
        For a span, velocity, phase or model that cannot be.
    SchemaError
        Where ``ds`` is not continuous, or coordinates are missing.

    Examples
    --------
    >>> windows = pangeo_ces.testing.synthetic_windows(samples=1000, events=1)
    >>> continuous = windows.isel(event=0).drop_vars(
    ...     ["time", "event", *(n for n in windows.coords if "event" in windows[n].dims)],
    ...     errors="ignore")
    >>> continuous = continuous.assign_coords(pangeo_ces.timeaxis.time_coords(
    ...     samples=1000, interval=Fraction(1, 100), origin=windows["origin_time"].values[0]))
    >>> event_windows(continuous, windows, start=1.0, stop=3.0).sizes["time"]
    201
    """
    name = quantity_of(ds)
    axis = time_index(ds).transform
    if axis.origin is None:
        raise SchemaError(f"{name} is cut into event windows already: give continuous data")
    if not (math.isfinite(start) and math.isfinite(stop) and start <= stop):
        raise ParameterError(f"start {start} s, stop {stop} s: give finite numbers in order")
    _check_coordinates(ds, events)
    place = _geometry(ds, events)
    seconds = _reference(ds, events, place["epicentral_distance"], reference, model)
    known = seconds[np.isfinite(seconds)]
    earliest, latest = (known.min(), known.max()) if known.size else (0.0, 0.0)
    slack = 1e-6  # of a sample: labels are floats
    first = math.ceil((earliest + start) / float(axis.interval) - slack)
    last = math.floor((latest + stop) / float(axis.interval) + slack)
    if last < first:
        raise ParameterError(f"start {start} s to stop {stop} s holds no sample: widen the span")
    zeros = [_origin_sample(axis, when) for when in events["origin_time"].values]
    windows = [_window(ds[name].variable, zero + first, zero + last + 1) for zero, _ in zeros]
    data = xr.DataArray(xr.Variable.concat(windows, "event"), name=name)
    data = data.transpose("event", "station", "component", "time")
    if data.chunks is not None:
        data = data.chunk(time=-1)
    coords = time_coords(
        samples=last - first + 1, interval=axis.interval, offset=first * axis.interval
    )
    result = xr.Dataset({name: data}, attrs=product_attrs(ds)).assign_coords(coords)
    result = result.assign_coords(
        {n: c.variable for n, c in events.coords.items() if c.dims == ("event",)}
        | _station_coords(ds, len(zeros))
        | _span_coords(ds, axis, zeros, first, last)
    )
    dims = ("event", "station")
    for key, values in place.items():
        result = result.assign_coords({key: (dims, values, VARIABLES[key].attrs)})
    attrs = {"long_name": "reference of the window after the origin time", "units": "s"}
    result = result.assign_coords(reference_time=(dims, seconds, attrs))
    if isinstance(reference, str) and reference == "origin":
        return result
    arrival = xr.DataArray(seconds, dims=dims)
    return cut_each(result, arrival + start, arrival + stop)


def _check_coordinates(ds: xr.Dataset, events: xr.Dataset) -> None:
    for what, dataset, needed in (
        ("the waveforms", ds, ("station", "latitude", "longitude")),
        ("events", events, ("event", "origin_time", "event_latitude", "event_longitude")),
    ):
        missing = [name for name in needed if name not in dataset.variables]
        if missing:
            raise SchemaError(f"{what} have no {', '.join(missing)}: assign what is missing")
    if not events.sizes["event"]:
        raise SchemaError("no events: give at least one")


def _geometry(ds: xr.Dataset, events: xr.Dataset) -> dict[str, np.ndarray]:
    shape = (events.sizes["event"], ds.sizes["station"])
    distance, back_azimuth = np.full(shape, np.nan), np.full(shape, np.nan)
    sites = np.stack([ds["latitude"].values, ds["longitude"].values], axis=1)
    epicentres = np.stack([events[f"event_{n}"].values for n in ("latitude", "longitude")], axis=1)
    for i, epicentre in enumerate(epicentres):
        for j, site in enumerate(sites):
            if np.isfinite([*epicentre, *site]).all():
                distance[i, j], _, back_azimuth[i, j] = gps2dist_azimuth(*epicentre, *site)
    return {"epicentral_distance": distance, "back_azimuth": back_azimuth}


def _reference(
    ds: xr.Dataset,
    events: xr.Dataset,
    distance: np.ndarray,
    reference: str | float | Sequence[str],
    model: str,
) -> np.ndarray:
    """Seconds after the origin time, event by station."""
    if isinstance(reference, int | float):
        if not (math.isfinite(reference) and reference > 0):
            raise ParameterError(f"a velocity of {reference} km/s: give a positive number")
        return distance / (1000 * reference)
    if isinstance(reference, str) and reference == "origin":
        return np.zeros(distance.shape)
    phases = [reference] if isinstance(reference, str) else list(reference)
    if "event_depth" not in events.variables or not np.isfinite(events["event_depth"].values).all():
        raise SchemaError("phases need event_depth (m) of every event: assign it")
    try:
        earth = TauPyModel(model)
    except FileNotFoundError as error:
        raise ParameterError(f"model {model!r}: use one that TauPy has, as 'ak135'") from error
    result = np.full(distance.shape, np.nan)
    for (i, j), there in np.ndenumerate(np.isfinite(distance)):
        if there:
            event, station = events.isel(event=i), ds.isel(station=j)
            result[i, j] = _first_arrival(earth, event, station, phases)
    return result


def _first_arrival(
    earth: TauPyModel, event: xr.Dataset, station: xr.Dataset, phases: list[str]
) -> float:
    try:
        arrivals = earth.get_travel_times_geo(
            max(float(event["event_depth"]) / 1000, 0.0),
            float(event["event_latitude"]), float(event["event_longitude"]),
            float(station["latitude"]), float(station["longitude"]), phases,
        )  # fmt: skip
    except ValueError as error:
        raise ParameterError(f"phases {phases}: {error}; use TauPy's names") from error
    return min((arrival.time for arrival in arrivals), default=math.nan)


def _origin_sample(axis: TimeTransform, when: np.datetime64) -> tuple[int, float]:
    """Number of the sample next to an origin time, and how much later it was taken (s)."""
    position = axis.position(utc_ns(when))
    nearest = math.floor(position + Fraction(1, 2))
    return nearest, float((nearest - position) * axis.interval)


def _window(variable: xr.Variable, start: int, stop: int) -> xr.Variable:
    """Samples ``start`` to ``stop``, which may lie outside: NaN there."""
    samples = variable.sizes["time"]
    low, high = min(max(start, 0), samples), min(max(stop, 0), samples)
    piece = variable.isel(time=slice(low, high))
    before = min(max(-start, 0), stop - start)
    width = (before, stop - start - before - (high - low))
    return piece.pad(time=width, constant_values=np.nan) if any(width) else piece


def _station_coords(ds: xr.Dataset, events: int) -> dict[str, xr.Variable]:
    """Coordinates of the stations; those of the channels once for every event."""
    result = {}
    for key, coord in ds.coords.items():
        if "time" in coord.dims:
            continue
        row = VARIABLES.get(str(key))
        if row is not None and row.dims is not None and "event" in row.dims:
            sizes = {"event": events, **coord.sizes}
            result[str(key)] = coord.variable.compute().set_dims(sizes).copy()  # small
        else:
            result[str(key)] = coord.variable
    return result


def _span_coords(
    ds: xr.Dataset, axis: TimeTransform, zeros: list[tuple[int, float]], first: int, last: int
) -> dict[str, tuple]:
    """``data_start``, ``data_end`` and ``time_offset`` of every event."""
    dims = ("event", "station", "component")
    shape = [ds.sizes[dim] for dim in dims[1:]]

    def channel(name: str, default: float) -> np.ndarray:
        if name not in ds.coords:
            return np.full(shape, default)
        return ds[name].transpose("station", "component").values

    interval, offset = float(axis.interval), float(axis.offset)
    begin = np.round((channel("data_start", offset) - offset) / interval)
    final = offset + (axis.samples - 1) * interval
    end = np.round((channel("data_end", final) - offset) / interval)
    number = np.array([zero for zero, _ in zeros])[:, None, None]
    left = np.maximum(begin - number, first)
    right = np.minimum(end - number, last)
    there = left <= right
    late = np.array([seconds for _, seconds in zeros])[:, None, None]
    values = {
        "data_start": np.where(there, left * interval, np.nan),
        "data_end": np.where(there, right * interval, np.nan),
        "time_offset": late + channel("time_offset", 0.0),
    }
    return {key: (dims, value, VARIABLES[key].attrs) for key, value in values.items()}
