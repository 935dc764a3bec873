"""The frame of a map: extent, aspect, degree ticks and scale bar."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pangeo_ces.errors import InputError
from pangeo_ces.views.coastlines import Extent

EARTH_DEGREE_KM = 6371.0 * np.pi / 180


def longitude_span(longitudes: ArrayLike) -> tuple[float, float]:
    """Shortest arc that holds all longitudes, east of west (above 180 across the antimeridian).

    Examples
    --------
    >>> longitude_span([178.0, -179.0])
    (178.0, 181.0)
    """
    values = np.asarray(longitudes, dtype=float)
    values = np.unique((values[np.isfinite(values)] + 180) % 360 - 180)
    if not values.size:
        raise InputError("no station has a longitude; give the stations coordinates")
    gaps = np.diff(np.append(values, values[0] + 360))
    west = values[(int(gaps.argmax()) + 1) % values.size]
    return float(west), float(west + 360 - gaps.max())


def unwrap(longitudes: ArrayLike, west: float) -> np.ndarray:
    """The same longitudes, from `west` on eastwards (degrees)."""
    offset = (np.asarray(longitudes, dtype=float) - west) % 360
    # A longitude equal to west may come out as 360 less one rounding error.
    return west + np.where(offset > 360 - 1e-6, 0, offset)


def map_aspect(extent: Extent) -> float:
    """Degrees of longitude that are as long as one of latitude in mid-map."""
    middle = np.radians((extent[1] + extent[3]) / 2)
    return float(1 / max(np.cos(middle), 0.1))


def map_extent(
    longitudes: ArrayLike, latitudes: ArrayLike, *, shape: tuple[float, float] = (0.75, 1.25)
) -> Extent:
    """West, south, east, north around points, with a margin, in degrees.

    Parameters
    ----------
    longitudes, latitudes : array_like
        Degrees; NaN is left out.
    shape : tuple of float
        Smallest and largest height over width of the map, in km; the short side is widened.
    """
    west, east = longitude_span(longitudes)
    lat = np.asarray(latitudes, dtype=float)
    south, north = float(np.nanmin(lat)), float(np.nanmax(lat))
    aspect = map_aspect((west, south, east, north))
    width, height = (east - west) / aspect, north - south
    margin = max(0.2 * max(width, height), 0.3)
    width, height = width + margin, height + margin
    width, height = max(width, height / shape[1]), max(height, width * shape[0])
    middle = (west + east) / 2
    half = min(width * aspect / 2, 180)
    center = (south + north) / 2
    return (
        middle - half,
        max(center - height / 2, -90.0),
        middle + half,
        min(center + height / 2, 90.0),
    )


def nice_step(span: float, count: int, steps: tuple[float, ...] = (1, 2, 5)) -> float:
    """Round step (1, 2 or 5 times a power of ten) that gives at most `count` parts."""
    rough = span / count
    power = 10.0 ** np.floor(np.log10(rough))
    for step in (*steps, 10):
        if step * power >= rough * (1 - 1e-9):
            return float(step * power)
    return float(10 * power)


def degree_ticks(low: float, high: float, letters: str) -> tuple[np.ndarray, list[str]]:
    """Three to five round degrees and their texts; `letters` is ``"EW"`` or ``"NS"``.

    Examples
    --------
    >>> degree_ticks(6.2, 9.8, "EW")[1]
    ['7°E', '8°E', '9°E']
    """
    step = nice_step(high - low, 4)
    ticks = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    decimals = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    texts = []
    for tick in ticks:
        value = (tick + 180) % 360 - 180 if letters == "EW" else tick
        neither = min(abs(value), abs(abs(value) - 180)) < 1e-9
        letter = "" if neither else letters[0] if value > 0 else letters[1]
        texts.append(f"{abs(value):.{decimals}f}°{letter}")
    return ticks, texts


def scale_bar(extent: Extent) -> tuple[float, float]:
    """Length of a scale bar of about a quarter of the width: km, and degrees of longitude."""
    km_per_degree = EARTH_DEGREE_KM / map_aspect(extent)
    width = (extent[2] - extent[0]) * km_per_degree
    km = nice_step(width / 3.2, 1)
    while km > width / 3:
        km = nice_step(km / 2.5, 1)
    return km, km / km_per_degree
