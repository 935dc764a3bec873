"""Rotation to geographic axes, to radial and transverse, and to the ray."""

from __future__ import annotations

import math
from typing import Literal

import numba
import numpy as np
import xarray as xr

from ..blocks import map_blocks, map_time
from ..conventions import QUANTITIES, quantity_of
from ..errors import ParameterError, SchemaError
from ..registry import operator
from ._runs import records
from ._waveform import replace

#: Three sensors count as independent above this determinant (1 = orthogonal).
_SMALLEST_DETERMINANT = 0.1
#: A sensor is horizontal when its dip is within this many degrees of zero.
HORIZONTAL_DIP = 15.0
#: Target axes, and the angles of the ray that they need.
_ANGLES: dict[str, tuple[str, ...]] = {
    "ZNE": (),
    "ZRT": ("back_azimuth",),
    "LQT": ("back_azimuth", "incidence"),
}


@operator(needs=QUANTITIES)
def rotate(
    ds: xr.Dataset,
    *,
    to: Literal["ZNE", "ZRT", "LQT"] = "ZNE",
    back_azimuth: float | None = None,
    incidence: float | None = None,
) -> xr.Dataset:
    """Rotate to vertical, north, east; to vertical, radial, transverse; or to the ray.

    Any three independent sensors are resolved by their true ``azimuth`` and ``dip``; two
    horizontal ones alone give the horizontals, a single vertical one the vertical.  Radial points
    away from the epicentre, transverse to the right of it (ObsPy's ``NE->RT``).  L points along
    the ray that arrives, Q across it in the plane of the ray, positive towards the epicentre
    (ObsPy's ``ZNE->LQT``):

    - R = -N cos b - E sin b,  T = N sin b - E cos b
    - L = Z cos i + R sin i,  Q = Z sin i - R cos i

    with the back-azimuth b and the incidence i.  The results carry their own ``azimuth`` and
    ``dip``, so that ``to="ZNE"`` turns them back.

    Parameters
    ----------
    ds
        Waveforms with ``azimuth`` and ``dip``.
    to
        Target axes.
    back_azimuth
        One for all, in degrees; by default the coordinate ``back_azimuth``.
    incidence
        Angle of the ray against the vertical, one for all, in degrees; by default the coordinate
        ``incidence``, such as (event, station).

    Returns
    -------
    xr.Dataset
        Components ``Z, N, E``, ``Z, R, T`` or ``L, Q, T``; NaN where the sensors do not give one.

    Raises
    ------
    ParameterError
        For other axes, or angles that are no numbers or are not used.
    SchemaError
        Where an angle is neither given nor a coordinate.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows()
    >>> rotate(ds, to="LQT", incidence=25.0)["component"].values.tolist()
    ['L', 'Q', 'T']
    """
    if to not in _ANGLES:
        raise ParameterError(f"rotate to {to!r}: use 'ZNE' or 'ZRT' or 'LQT'")
    options = {"back_azimuth": back_azimuth, "incidence": incidence}
    given = {name: angle for name, angle in options.items() if angle is not None}
    for name, angle in given.items():
        if name not in _ANGLES[to]:
            raise ParameterError(f"rotation to {to} needs no {name}: leave it away")
        if not math.isfinite(angle):
            raise ParameterError(f"{name} {angle} degrees: give a finite number")
    _require(ds, to, [n for n in ("azimuth", "dip", *_ANGLES[to]) if n not in given])
    name = quantity_of(ds)
    data = ds[name]
    leading = tuple(str(dim) for dim in data.dims if dim not in ("component", "time"))
    channel = (*leading, "component")
    azimuth, dip = (_like(ds[angle], ds, channel) for angle in ("azimuth", "dip"))
    matrix = _resolving_matrix(azimuth, dip, [str(c) for c in ds["component"].values])
    angles = {
        angle: _like(xr.DataArray(given[angle]) if angle in given else ds[angle], ds, leading)
        for angle in _ANGLES[to]
    }
    if "back_azimuth" in angles:
        matrix = _combined(radial_transverse(np.deg2rad(angles["back_azimuth"])), matrix)
    if "incidence" in angles:
        matrix = _combined(_along_ray(np.deg2rad(angles["incidence"])), matrix)
    weights = xr.DataArray(matrix, dims=(*leading, "axis", "sensor"), name="weights")
    rotated = _rotated(data.transpose(*leading, "component", "time"), weights)
    rotated = rotated.assign_coords(component=list(to))
    result = replace(ds, name, name, rotated)
    return result.assign_coords(_channel_coords(to, angles, ds, leading))


def _rotated(data: xr.DataArray, weights: xr.DataArray) -> xr.DataArray:
    if data.chunks is not None:
        data = data.chunk(component=-1)
    if data.sizes["component"] == 3:
        return map_time(_mix, data, weights, overlap_s=(0.0, 0.0))  # time stays cut as it is
    dims = tuple(map(str, data.dims))
    return map_blocks(_mix, data, weights, dims=dims, sizes={"component": 3}, dtype=data.dtype)


def _require(ds: xr.Dataset, to: str, needed: list[str]) -> None:
    missing = [name for name in needed if name not in ds.variables]
    if missing == ["incidence"]:
        raise ParameterError(
            f"rotation to {to} needs the incidence of the ray: give incidence=…, assign the "
            "coordinate, or rotate to 'ZNE' or 'ZRT'"
        )
    if missing:
        raise SchemaError(
            f"rotation needs {', '.join(missing)}: convert with stations=… (and event=… for ZRT "
            "and LQT), or assign them"
        )


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


def _like(angle: xr.DataArray, ds: xr.Dataset, dims: tuple[str, ...]) -> np.ndarray:
    template = xr.DataArray(np.ones([ds.sizes[d] for d in dims]), dims=dims)
    return (angle.drop_vars(list(angle.coords)) * template).transpose(*dims).values  # small


def _resolving_matrix(azimuth: np.ndarray, dip: np.ndarray, letters: list[str]) -> np.ndarray:
    """Weights (..., 3, component) that give Z, N, E from the sensors; NaN where they cannot."""
    flat_azimuth = np.deg2rad(azimuth.reshape(-1, azimuth.shape[-1]))
    flat_dip = np.deg2rad(dip.reshape(-1, dip.shape[-1]))
    result = np.full((len(flat_azimuth), 3, azimuth.shape[-1]), np.nan)
    for matrix, azimuths, dips in zip(result, flat_azimuth, flat_dip, strict=True):
        there = np.flatnonzero(np.isfinite(azimuths) & np.isfinite(dips))
        if len(there) > 3:  # more than one sensor under a label: those along the axes
            there = np.array([i for i in there if letters[i] in "ZNE"])
        a, d = azimuths[there], dips[there]
        # What each sensor measures of (up, north, east).
        basis = np.stack([-np.sin(d), np.cos(d) * np.cos(a), np.cos(d) * np.sin(a)], axis=1)
        if len(there) == 3 and abs(np.linalg.det(basis)) > _SMALLEST_DETERMINANT:
            matrix[:] = 0.0
            matrix[:, there] = np.linalg.inv(basis)
            continue
        level = np.abs(np.sin(d)) < np.sin(np.deg2rad(HORIZONTAL_DIP))
        if level.sum() == 2:
            pair = basis[level][:, 1:]
            if abs(np.linalg.det(pair)) > _SMALLEST_DETERMINANT:
                matrix[1:] = 0.0
                matrix[1:, there[level]] = np.linalg.inv(pair)
        if (~level).sum() == 1:
            upright = np.flatnonzero(~level)[0]
            matrix[0] = 0.0
            matrix[0, there[upright]] = 1 / basis[upright, 0]
    result[np.abs(result) < 1e-12] = 0.0
    return result.reshape(*azimuth.shape[:-1], 3, azimuth.shape[-1])


def radial_transverse(back_azimuth: np.ndarray) -> np.ndarray:
    """Matrices (..., 3, 3) from Z, N, E to Z, R, T."""
    sine, cosine = np.sin(back_azimuth), np.cos(back_azimuth)
    matrix = np.zeros((*back_azimuth.shape, 3, 3))
    matrix[..., 0, 0] = 1.0
    matrix[..., 1, 1], matrix[..., 1, 2] = -cosine, -sine
    matrix[..., 2, 1], matrix[..., 2, 2] = sine, -cosine
    return matrix


def _along_ray(incidence: np.ndarray) -> np.ndarray:
    """Matrices (..., 3, 3) from Z, R, T to L, Q, T."""
    sine, cosine = np.sin(incidence), np.cos(incidence)
    matrix = np.zeros((*incidence.shape, 3, 3))
    matrix[..., 0, 0], matrix[..., 0, 1] = cosine, sine
    matrix[..., 1, 0], matrix[..., 1, 1] = sine, -cosine
    matrix[..., 2, 2] = 1.0
    return matrix


def _combined(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Both rotations in one; an axis that is not known (NaN) takes only those it is part of."""
    known = np.isfinite(inner).all(axis=-1)
    result = outer @ np.where(known[..., None], inner, 0.0)
    result[np.abs(result) < 1e-12] = 0.0
    part = (np.abs(outer) > 1e-12) & ~known[..., None, :]
    result[part.any(axis=-1)] = np.nan
    return result


def _mix(block, weights):
    flat = records(np.ascontiguousarray(block), 2)
    matrices = records(np.ascontiguousarray(weights), 2)
    return _weighted_sums(flat, matrices).reshape(*block.shape[:-2], 3, block.shape[-1])


@numba.njit(nogil=True, cache=True)
def _weighted_sums(x, weights):
    records, components, n = x.shape
    result = np.empty((records, 3, n), x.dtype)
    for record in range(records):
        for out in range(3):
            result[record, out, :] = np.nan if np.isnan(weights[record, out, 0]) else 0.0
            for component in range(components):
                weight = weights[record, out, component]
                if weight != 0.0:  # a sensor without weight may be missing altogether
                    for i in range(n):
                        result[record, out, i] += weight * x[record, component, i]
    return result


def _channel_coords(
    to: str, angles: dict[str, np.ndarray], ds: xr.Dataset, leading: tuple[str, ...]
) -> dict[str, tuple[tuple[str, ...], np.ndarray, dict]]:
    """What still holds of a station's sensors for the axes made from them."""
    shape = [ds.sizes[dim] for dim in leading]
    azimuth = np.broadcast_to([0.0, 0.0, 90.0], [*shape, 3])
    dip = np.broadcast_to([-90.0, 0.0, 0.0], [*shape, 3])
    if to != "ZNE":
        back = angles["back_azimuth"]
        azimuth = np.stack([0 * back, (back + 180) % 360, (back + 270) % 360], axis=-1)
    if to == "LQT":
        ray = angles["incidence"]
        azimuth = np.stack([azimuth[..., 1], back % 360, azimuth[..., 2]], axis=-1)
        dip = np.stack([ray - 90, -ray, 0 * ray], axis=-1)
    dims = (*leading, "component")
    coords = {
        "azimuth": (dims, azimuth, ds["azimuth"].attrs),
        "dip": (dims, dip, ds["dip"].attrs),
    }
    for name, combined in (("data_start", "max"), ("data_end", "min"), ("time_offset", "mean")):
        if name in ds.coords:
            channels = ds[name].compute()  # small
            station = getattr(channels, combined)("component").transpose(*leading).values
            values = np.broadcast_to(station[..., None], [*shape, 3])
            coords[name] = (dims, values, ds[name].attrs)
    return coords
