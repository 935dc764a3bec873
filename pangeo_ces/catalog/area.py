"""Boxes on the globe: west, south, east, north in degrees; west > east crosses the date line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ParameterError

Box = list[float]


def box_of(longitudes: Any, latitudes: Any) -> Box | None:
    """The smallest box around points; ``None`` if no place is known.

    >>> box_of([179.0, -178.0], [-40.0, -41.0])
    [179.0, -41.0, -178.0, -40.0]
    """
    points = np.column_stack([np.ravel(longitudes), np.ravel(latitudes)]).astype(float)
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return None
    given = points[:, 0]
    west = np.unique(np.where(np.abs(given) <= 180, given, (given + 180) % 360 - 180))
    # The box leaves out the widest stretch of longitude in which there is no point.
    gaps = np.diff(west, append=west[0] + 360)
    widest = int(gaps.argmax())
    begin, end = west[(widest + 1) % len(west)], west[widest]
    south, north = points[:, 1].min(), points[:, 1].max()
    return [float(begin), float(south), float(end), float(north)]


def around(boxes: Sequence[Box]) -> Box | None:
    """A box around boxes."""
    if not boxes:
        return None
    west, south, east, north = np.array(boxes, dtype=float).T
    if (west > east).any():
        spans = sorted((w % 360, (e - w) % 360) for w, e in zip(west, east, strict=True))
        begin, length = _cover(spans)
        west_edge, east_edge = _wrap(begin), _wrap(begin + length)
        if length >= 360:
            west_edge, east_edge = -180.0, 180.0
    else:
        west_edge, east_edge = float(west.min()), float(east.max())
    return [west_edge, float(south.min()), east_edge, float(north.max())]


def _cover(spans: list[tuple[float, float]]) -> tuple[float, float]:
    """The shortest arc over all arcs given by sorted (begin, length): its begin and length."""
    best = (0.0, 360.0)
    reached = max(begin + length for begin, length in spans) - 360
    for begin, length in spans:
        free = begin - reached
        if free > 0 and 360 - free < best[1]:
            best = (begin, 360 - free)
        reached = max(reached, begin + length)
    return best


def _wrap(longitude: float) -> float:
    return float((longitude + 180) % 360 - 180)


def geometry_of(box: Box | None) -> dict[str, Any] | None:
    """A box as GeoJSON: a point, a polygon, or two where it crosses the date line."""
    if box is None:
        return None
    west, south, east, north = box
    if west == east and south == north:
        return {"type": "Point", "coordinates": [west, south]}
    if west <= east:
        return {"type": "Polygon", "coordinates": [_ring(west, south, east, north)]}
    parts = [_ring(west, south, 180.0, north), _ring(-180.0, south, east, north)]
    return {"type": "MultiPolygon", "coordinates": [[ring] for ring in parts]}


def _ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def check_box(box: Sequence[float]) -> Box:
    """A box to search in.

    Raises
    ------
    ParameterError
        When it is none.
    """
    try:
        west, south, east, north = (float(edge) for edge in box)
    except (TypeError, ValueError):
        west = np.nan
    if not np.isfinite(west) or not (-90 <= south <= north <= 90):
        raise ParameterError(
            f"bbox {box}: give west, south, east, north in degrees, south <= north; west > east "
            "crosses the date line"
        )
    if not all(-360 <= edge <= 360 for edge in (west, east)):
        raise ParameterError(f"bbox {box}: longitudes go from -180 to 180 (or 0 to 360)")
    return [west, south, east, north]


def meets(boxes: np.ndarray, box: Box) -> np.ndarray:
    """Which boxes have a point in common with one.

    Parameters
    ----------
    boxes
        ``(n, 4)``; rows of NaN meet nothing.
    """
    west, south, east, north = box
    width = _width(np.array(west), np.array(east))
    widths = _width(boxes[:, 0], boxes[:, 2])
    beside = ((boxes[:, 0] - west) % 360 <= width) | ((west - boxes[:, 0]) % 360 <= widths)
    return beside & (boxes[:, 1] <= north) & (boxes[:, 3] >= south)


def _width(west: np.ndarray, east: np.ndarray) -> np.ndarray:
    """Degrees of longitude from west to east; all of them stay all of them."""
    return np.where(east - west >= 360, 360.0, (east - west) % 360)
