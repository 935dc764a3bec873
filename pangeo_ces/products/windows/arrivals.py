"""First arrivals of many pairs from a few travel-time curves."""

from __future__ import annotations

import functools
import math

import numpy as np
import xarray as xr
from obspy.geodetics import gps2dist_azimuth
from obspy.taup import TauPyModel
from obspy.taup.seismic_phase import SeismicPhase

from ...errors import ParameterError

#: One of these is the first of TauPy's ``ttbasic`` at every distance.
_FIRST = ("p", "P", "Pn", "Pdiff", "pPdiff", "PKP", "PKIKP", "PKiKP")
_PLACES = ("event_latitude", "event_longitude", "latitude", "longitude")
_RADIUS_KM = 6371.0


def arrivals(ds: xr.Dataset, model: str) -> xr.Dataset | None:
    """First arrival (s after the origin time) and distance (km) of every event and station.

    The angle is that on a sphere between geographic coordinates, as pyflex has it; from the
    epicentral distance where coordinates are missing.

    Returns
    -------
    xr.Dataset or None
        ``first_arrival`` and ``distance`` over (event, station), NaN where unknown; ``None``
        without ``event_depth``, or neither coordinates nor ``epicentral_distance``.

    Raises
    ------
    ParameterError
        For a model that TauPy does not have.
    """
    placed = all(name in ds.variables for name in _PLACES)
    if "event_depth" not in ds.variables or not (placed or "epicentral_distance" in ds.variables):
        return None
    depth = np.atleast_1d(ds["event_depth"].values) / 1000
    events, stations = depth.size, ds["station"].size
    degrees = np.full((events, stations), np.nan)
    if placed:
        degrees = _angles(*(np.atleast_1d(ds[name].values) for name in _PLACES))
    if "epicentral_distance" in ds.variables:
        distance = ds["epicentral_distance"].transpose(..., "station").values / 1000
        distance = distance.reshape(events, stations)
        degrees = np.where(np.isfinite(degrees), degrees, np.degrees(distance / _RADIUS_KM))
    else:
        distance = _distances(*(np.atleast_1d(ds[name].values) for name in _PLACES))
    times = np.full(degrees.shape, np.nan)
    for number, kilometres in enumerate(depth):
        if math.isfinite(kilometres):
            times[number] = _first(degrees[number], _curves(model, max(float(kilometres), 0.0)))
    dims = ("event", "station")
    result = xr.Dataset({"first_arrival": (dims, times), "distance": (dims, distance)})
    return result if "event" in ds.dims else result.isel(event=0)


def _angles(event_latitude, event_longitude, latitude, longitude):
    one, two = np.radians(event_latitude)[:, None], np.radians(latitude)
    apart = np.radians(longitude - event_longitude[:, None])
    across = np.hypot(
        np.cos(two) * np.sin(apart),
        np.cos(one) * np.sin(two) - np.sin(one) * np.cos(two) * np.cos(apart),
    )
    along = np.sin(one) * np.sin(two) + np.cos(one) * np.cos(two) * np.cos(apart)
    return np.degrees(np.arctan2(across, along))


def _distances(event_latitude, event_longitude, latitude, longitude):
    result = np.full((event_latitude.size, latitude.size), np.nan)
    for i, epicentre in enumerate(zip(event_latitude, event_longitude, strict=True)):
        for j, site in enumerate(zip(latitude, longitude, strict=True)):
            if np.isfinite([*epicentre, *site]).all():
                result[i, j] = gps2dist_azimuth(*epicentre, *site)[0] / 1000
    return result


@functools.lru_cache(maxsize=4)
def _model(name: str) -> TauPyModel:
    try:
        return TauPyModel(name)
    except FileNotFoundError as error:
        raise ParameterError(f"model {name!r}: use one that TauPy has, as 'ak135'") from error


@functools.lru_cache(maxsize=256)
def _curves(model: str, depth: float) -> np.ndarray:
    """Travel-time curves from a depth in km, ``(segments, 2, 3)``.

    Segments between neighbouring rays; distance (radians), time (s) and ray parameter (s) of the
    two ends.
    """
    earth = _model(model).model.depth_correct(depth)
    pieces = []
    for name in _FIRST:
        phase = SeismicPhase(name, earth)
        rays = np.stack([phase.dist, phase.time, phase.ray_param], axis=-1)
        if len(rays) > 1:
            pieces.append(np.stack([rays[:-1], rays[1:]], axis=1))
    return np.concatenate(pieces)


def _first(degrees: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Earliest time (s) at angles: cubic between neighbouring rays, of slopes their parameters."""
    one, two = curves[:, 0], curves[:, 1]
    width = two[:, 0] - one[:, 0]
    usable = np.abs(width) > 1e-9
    one, two, width = one[usable], two[usable], width[usable]
    result = np.full(degrees.shape, np.nan)
    for number, degree in enumerate(degrees):
        angle = math.radians(degree) if math.isfinite(degree) else math.nan
        for target in (angle, 2 * math.pi - angle):
            x = (target - one[:, 0]) / width
            here = (x >= 0) & (x <= 1)
            if here.any():
                times = _hermite(x[here], one[here], two[here], width[here])
                result[number] = np.fmin(result[number], times.min())
    return result


def _hermite(x, one, two, width):
    y = 1 - x
    return (
        (1 + 2 * x) * y * y * one[:, 1] + x * y * y * width * one[:, 2]
        + (1 + 2 * y) * x * x * two[:, 1] - x * x * y * width * two[:, 2]
    )  # fmt: skip
