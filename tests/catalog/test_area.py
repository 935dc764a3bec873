"""Boxes on the globe, against boxes cut at the date line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangeo_ces.catalog.area import around, box_of, check_box, geometry_of, meets
from pangeo_ces.errors import ParameterError

quarter = st.integers(-720, 720).map(lambda n: n / 4)
latitude = st.integers(-360, 360).map(lambda n: n / 4)


@st.composite
def boxes(draw):
    south, north = sorted((draw(latitude), draw(latitude)))
    return [draw(quarter), south, draw(quarter), north]


def pieces(box):
    """A box as boxes with west <= east, in degrees from -180 to 180."""
    west, _, east, _ = box
    return [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]


def same_place(one, two):
    """Whether two intervals of longitude share a point; 180 and -180 are one place."""
    if one[0] <= two[1] and two[0] <= one[1]:
        return True
    edges = [{edge % 360 for edge in pair if abs(edge) == 180} for pair in (one, two)]
    return bool(edges[0] & edges[1])


def brute(one, two):
    across = any(same_place(a, b) for a in pieces(one) for b in pieces(two))
    return across and one[1] <= two[3] and two[1] <= one[3]


@given(st.lists(boxes(), min_size=1, max_size=6), boxes())
def test_meets(several, one):
    assert meets(np.array(several), one).tolist() == [brute(other, one) for other in several]


@given(st.lists(st.tuples(quarter, latitude), min_size=1, max_size=8))
def test_box_holds_its_points_and_is_the_smallest(points):
    longitudes, latitudes = np.array(points).T
    box = box_of(longitudes, latitudes)
    for longitude, latitude_ in points:
        assert brute(box, [longitude, latitude_, longitude, latitude_])
    width = (box[2] - box[0]) % 360
    places = sorted({longitude % 360 for longitude in longitudes})
    gaps = [(b - a) for a, b in zip(places, [*places[1:], places[0] + 360], strict=True)]
    assert width == (360 - max(gaps)) % 360
    assert (box[1], box[3]) == (latitudes.min(), latitudes.max())


@given(st.lists(boxes(), min_size=1, max_size=6))
def test_box_around_boxes(several):
    box = around(several)
    for other in several:
        west = (other[0] - box[0]) % 360
        length = (other[2] - other[0]) % 360 if other[2] - other[0] < 360 else 360
        whole = box[2] - box[0] == 360
        assert whole or west + length <= (box[2] - box[0]) % 360 + 1e-9
        assert box[1] <= other[1] and other[3] <= box[3]


def test_box_of_unknown_places():
    assert box_of([np.nan, 8.3301], [48.0, 48.3319]) == [8.3301, 48.3319, 8.3301, 48.3319]
    assert box_of([np.nan], [1.0]) is None
    assert around([]) is None
    assert not meets(np.full((1, 4), np.nan), [-180, -90, 180, 90]).any()


def test_geometry():
    assert geometry_of([8.0, 48.0, 8.0, 48.0]) == {"type": "Point", "coordinates": [8.0, 48.0]}
    assert geometry_of([8.0, 48.0, 9.0, 49.0])["type"] == "Polygon"
    split = geometry_of([179.0, -41.0, -178.0, -40.0])["coordinates"]
    assert [ring[0] for (ring,) in split] == [[179.0, -41.0], [-180.0, -41.0]]
    assert geometry_of(None) is None


@pytest.mark.parametrize("box", [(1, 2, 3), "abcd", (0, 50, 1, 40), (0, 0, 1, 91), (0, 0, 999, 1),
                                 (float("nan"), 0, 1, 1), None])  # fmt: skip
def test_no_box(box):
    with pytest.raises(ParameterError, match="west|longitudes"):
        check_box(box)
