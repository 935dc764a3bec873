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
    points = np.unique(points[np.isfinite(points).all(axis=1)], axis=0)
    given = points[:, 0]
    points[:, 0] = np.where(np.abs(given) <= 180, given, (given + 180) % 360 - 180)
    return around(np.hstack([points, points]).tolist())


def around(boxes: Sequence[Box]) -> Box | None:
    """The smallest box around boxes; ``None`` around none."""
    if not len(boxes):
        return None
    west, south, east, north = np.array(boxes, dtype=float).T
    begins = west % 360
    ends = begins + _width(west, east)
    # The box leaves out the widest stretch of longitude in which there is no box: go eastwards,
    # from the one that reaches farthest once round.
    farthest = int(ends.argmax())
    reached, edge = ends[farthest] - 360, east[farthest]
    widest, across = 0.0, (-180.0, 180.0)
    for row in np.argsort(begins, kind="stable"):
        if begins[row] - reached > widest:
            widest, across = begins[row] - reached, (float(west[row]), float(edge))
        if ends[row] > reached:
            reached, edge = ends[row], east[row]
    return [across[0], float(south.min()), across[1], float(north.max())]


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
