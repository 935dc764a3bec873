"""Rotation to geographic axes, and to radial and transverse."""

from __future__ import annotations

from typing import Literal

import numba
import numpy as np
import xarray as xr

from ..blocks import map_blocks
from ..conventions import QUANTITIES, quantity_of
from ..errors import ParameterError, SchemaError
from ..registry import operator
from ._runs import records
from ._waveform import replace

#: Three sensors count as independent above this determinant (1 = orthogonal).
_SMALLEST_DETERMINANT = 0.1
#: A sensor is horizontal when its dip is within this many degrees of zero.
HORIZONTAL_DIP = 15.0


@operator(needs=QUANTITIES)
def rotate(ds: xr.Dataset, *, to: Literal["ZNE", "ZRT"] = "ZNE") -> xr.Dataset:
    """Rotate to vertical, north, east, or to vertical, radial, transverse.

    Any three independent sensors are resolved by their true ``azimuth`` and ``dip``; two
    horizontal ones alone give the horizontals, a single vertical one the vertical.  Radial points
    away from the epicentre, transverse to the right of it (ObsPy's ``NE->RT``).

    Parameters
    ----------
    ds
        Waveforms with ``azimuth`` and ``dip``; for ``ZRT`` also ``back_azimuth``.
    to
        Target axes.

    Returns
    -------
    xr.Dataset
        Components ``Z, N, E`` or ``Z, R, T``; NaN where the sensors do not give one.
    """
    if to not in ("ZNE", "ZRT"):
        raise ParameterError(f"rotate to {to!r}: use 'ZNE' or 'ZRT'")
    needed = ("azimuth", "dip") if to == "ZNE" else ("azimuth", "dip", "back_azimuth")
    missing = [name for name in needed if name not in ds.variables]
    if missing:
        raise SchemaError(
            f"rotation needs {', '.join(missing)}: convert with stations=… (and event=… for ZRT)"
        )
    name = quantity_of(ds)
    data = ds[name]
    leading = tuple(str(dim) for dim in data.dims if dim not in ("component", "time"))
    channel = (*leading, "component")
    azimuth, dip = (_like(ds[angle], ds, channel) for angle in ("azimuth", "dip"))
    matrix = _resolving_matrix(azimuth, dip, [str(c) for c in ds["component"].values])
    if to == "ZRT":
        back = np.deg2rad(_like(ds["back_azimuth"], ds, leading))
        matrix = _radial_transverse(back) @ matrix
    weights = xr.DataArray(matrix, dims=(*leading, "axis", "sensor"), name="weights")
    dims = tuple(map(str, data.transpose(*leading, "component", "time").dims))
    rotated = map_blocks(
        _mix, data.transpose(*dims), weights, dims=dims, sizes={"component": 3}, dtype=data.dtype
    )
    rotated = rotated.assign_coords(component=list(to))
    result = replace(ds, name, name, rotated)
    return result.assign_coords(_channel_coords(to, ds, leading))


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


def _radial_transverse(back_azimuth: np.ndarray) -> np.ndarray:
    """Matrices (..., 3, 3) from Z, N, E to Z, R, T."""
    sine, cosine = np.sin(back_azimuth), np.cos(back_azimuth)
    matrix = np.zeros((*back_azimuth.shape, 3, 3))
    matrix[..., 0, 0] = 1.0
    matrix[..., 1, 1], matrix[..., 1, 2] = -cosine, -sine
    matrix[..., 2, 1], matrix[..., 2, 2] = sine, -cosine
    return matrix


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
    to: str, ds: xr.Dataset, leading: tuple[str, ...]
) -> dict[str, tuple[tuple[str, ...], np.ndarray, dict]]:
    """What still holds of a station's sensors for the axes made from them."""
    shape = [ds.sizes[dim] for dim in leading]
    azimuth = np.broadcast_to([0.0, 0.0, 90.0], [*shape, 3])
    if to == "ZRT":
        back = _like(ds["back_azimuth"], ds, leading)
        azimuth = np.stack([np.zeros(shape), (back + 180) % 360, (back + 270) % 360], axis=-1)
    dims = (*leading, "component")
    coords = {
        "azimuth": (dims, azimuth, ds["azimuth"].attrs),
        "dip": (dims, np.broadcast_to([-90.0, 0.0, 0.0], [*shape, 3]), ds["dip"].attrs),
    }
    for name, combined in (("data_start", "max"), ("data_end", "min"), ("time_offset", "mean")):
        if name in ds.coords:
            channels = ds[name].compute()  # small
            station = getattr(channels, combined)("component").transpose(*leading).values
            values = np.broadcast_to(station[..., None], [*shape, 3])
            coords[name] = (dims, values, ds[name].attrs)
    return coords
