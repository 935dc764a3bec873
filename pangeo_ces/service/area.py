"""Boxes and circles on the globe."""

from __future__ import annotations

import math

from .parameters import Query


def inside(query: Query, latitude: float, longitude: float) -> bool:
    """Whether a place (degrees) lies in the box and the circle of a request.

    A box whose western border is east of its eastern one goes over the date line.
    """
    south, north = query["minlatitude"], query["maxlatitude"]
    west, east = query["minlongitude"], query["maxlongitude"]
    longitude = (longitude + 180.0) % 360.0 - 180.0 if abs(longitude) > 180.0 else longitude
    if (south is not None and latitude < south) or (north is not None and latitude > north):
        return False
    after = west is None or longitude >= west
    before = east is None or longitude <= east
    across = west is not None and east is not None and west > east
    if not (after or before if across else after and before):
        return False
    nearest, farthest = query["minradius"], query["maxradius"]
    if nearest is None and farthest is None:
        return True
    radius = _distance(query["latitude"], query["longitude"], latitude, longitude)
    return (nearest or 0.0) <= radius <= (180.0 if farthest is None else farthest)


def _distance(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance in degrees, exact also for near and opposite places."""
    a, b, c = math.radians(lat1), math.radians(lat2), math.radians(lon2 - lon1)
    east = math.cos(b) * math.sin(c)
    north = math.cos(a) * math.sin(b) - math.sin(a) * math.cos(b) * math.cos(c)
    up = math.sin(a) * math.sin(b) + math.cos(a) * math.cos(b) * math.cos(c)
    return math.degrees(math.atan2(math.hypot(east, north), up))
