from __future__ import annotations

import numpy as np
import pytest

from pangeo_ces.errors import InputError, ParameterError
from pangeo_ces.views.coastlines import borders, coastlines
from pangeo_ces.views.geography import (
    degree_ticks,
    longitude_span,
    map_extent,
    scale_bar,
    unwrap,
)


def distance(lines: list[np.ndarray], lon: float, lat: float) -> float:
    points = np.concatenate(lines) - (lon, lat)
    return float(np.hypot(points[:, 0] * np.cos(np.radians(lat)), points[:, 1]).min())


@pytest.mark.parametrize("resolution, degrees", [("c", 0.5), ("l", 0.1), ("i", 0.05)])
def test_coast_passes_by_brest(resolution, degrees):
    assert distance(coastlines((-6, 47, -3, 49), resolution), -4.48, 48.38) < degrees


def test_borders_pass_by_basel():
    assert distance(borders((6, 47, 12, 52)), 7.59, 47.58) < 0.1


@pytest.mark.parametrize(
    "extent", [(-6, 47, -3, 49), (170, -50, 190, -10), (170, -50, -170, -10), (0, -60, 360, 60)]
)
def test_lines_stay_inside_the_extent(extent):
    points = np.concatenate(coastlines(extent))
    west, south, east, north = extent
    east += 360 if east < west else 0
    assert points[:, 0].min() >= west - 1e-9 and points[:, 0].max() <= east + 1e-9
    assert points[:, 1].min() >= south - 1e-9 and points[:, 1].max() <= north + 1e-9


def test_lines_reach_the_edge_they_are_cut_at():
    points = np.concatenate(coastlines((-4, 47, 0, 50)))
    assert np.isclose(points[:, 0], -4).any() and np.isclose(points[:, 0], 0).any()


@pytest.mark.parametrize("extent", [(-180, -90, 180, 90), (0, -90, 360, 90)])
def test_no_line_jumps_across_the_map_or_along_its_seam(extent):
    for line in coastlines(extent, "l"):
        steps = np.abs(np.diff(line, axis=0))
        assert steps.max() < 10
        on_seam = (np.abs(np.abs(line[:, 0]) - 180) < 1e-9) & (line[:, 1] > 60)
        assert not (on_seam[:-1] & on_seam[1:]).any()
        assert line[:, 1].min() > -89.5


def test_both_sides_of_the_antimeridian_are_one_map():
    points = np.concatenate(coastlines((170, -50, -170, -10)))
    assert distance([points], 174.8, -41.3) < 0.2
    assert (points[:, 0] > 180).any()


@pytest.mark.parametrize("extent", [(6, 52, 12, 47), (6, 47, 6, 52), (0, 0, 400, 10)])
def test_empty_extents_are_refused(extent):
    with pytest.raises(ParameterError, match="west, south, east, north"):
        coastlines(extent)


def test_unknown_resolution_is_refused():
    with pytest.raises(ParameterError, match="'c', 'l', 'i'"):
        borders((6, 47, 12, 52), "x")


def test_shortest_arc_across_the_antimeridian():
    assert longitude_span([178, -179, 180]) == (178, 181)
    assert longitude_span([6, 12, np.nan]) == (6, 12)
    assert longitude_span([350, 10]) == (-10, 10)
    assert unwrap([178, -179], 178).tolist() == [178, 181]
    with pytest.raises(InputError):
        longitude_span([np.nan])


def test_extent_holds_its_points_with_a_margin():
    west, south, east, north = map_extent([6, 12], [47.5, 52])
    assert west < 6 and east > 12 and south < 47.5 and north > 52
    west, south, east, north = map_extent([8], [48])
    assert east - west > 0.2 and north - south > 0.2


def test_ticks_and_scale_bar_are_round():
    assert degree_ticks(-1.2, 1.2, "EW")[1] == ["1°W", "0°", "1°E"]
    assert degree_ticks(179.7, 180.3, "EW")[1] == ["179.8°E", "180.0°", "179.8°W"]
    assert degree_ticks(47.1, 48.4, "NS")[1] == ["47.5°N", "48.0°N"]
    km, degrees = scale_bar((5, 46.5, 13, 53))
    assert km == 100
    assert degrees == pytest.approx(100 / (111.195 * np.cos(np.radians(49.75))), rel=1e-3)
