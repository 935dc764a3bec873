"""Rotation against ObsPy."""

from __future__ import annotations

import numpy as np
import pytest
from obspy.signal.rotate import rotate2zne, rotate_ne_rt, rotate_zne_lqt

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError, SchemaError

ROUNDING = 1e-12
SENSORS = {
    "ideal": [(0, -90), (0, 0), (90, 0)],
    "one and two": [(0, -90), (37, 0), (127, 0)],
    "not orthogonal": [(0, -90), (20, 0), (95, 0)],
    "tilted": [(12, -80), (3, 4), (88, -7)],
    "upside down": [(0, 90), (180, 0), (90, 0)],
    "borehole triaxial": [(0, -35.3), (120, -35.3), (240, -35.3)],
}


def oriented(ds, sensors):
    for name, values in zip(("azimuth", "dip"), np.transpose(sensors), strict=True):
        ds[name] = (("event", "station", "component"), np.tile(values.astype(float), (1, 2, 1)))
    return ds


@pytest.mark.parametrize("sensors", SENSORS.values(), ids=SENSORS)
def test_zne(noise, assert_equal, sensors):
    ds = oriented(noise(500), sensors)
    ours = ces.rotate(ds)
    x = ds.counts.values[0]
    theirs = np.stack(
        [rotate2zne(*(part for i in range(3) for part in (x[s, i], *sensors[i])))
         for s in range(2)]
    )[None]  # fmt: skip
    assert_equal(ours.counts, theirs, ROUNDING)
    assert ours.component.values.tolist() == ["Z", "N", "E"]
    assert ours.azimuth.values[0, 0].tolist() == [0, 0, 90]
    assert ours.dip.values[0, 0].tolist() == [-90, 0, 0]


@pytest.mark.parametrize("back", [0.0, 30.0, 123.4, 359.0])
def test_zrt(noise, assert_equal, back):
    ds = oriented(noise(500), SENSORS["one and two"])
    ds["back_azimuth"] = (("event", "station"), np.full((1, 2), back))
    ours = ces.rotate(ds, to="ZRT")
    zne = ces.rotate(ds).counts.values[0]
    theirs = np.stack([[z, *rotate_ne_rt(n, e, back)] for z, n, e in zne])[None]
    assert_equal(ours.counts, theirs, ROUNDING)
    assert ours.component.values.tolist() == ["Z", "R", "T"]
    np.testing.assert_allclose(ours.azimuth.values[0, 0, 1:], [(back + 180) % 360,
                                                              (back + 270) % 360])  # fmt: skip
    # What the coordinates say of R and T is enough to come back.
    again = ces.rotate(ours).counts.values[0]
    np.testing.assert_allclose(again, zne, atol=1e-9)


@pytest.mark.parametrize("back", [0.0, 30.0, 123.4, 359.0])
@pytest.mark.parametrize("incidence", [0.0, 23.5, 90.0, 130.0])
def test_lqt(noise, assert_equal, back, incidence):
    ds = oriented(noise(500), SENSORS["one and two"])
    ours = ces.rotate(ds, to="LQT", back_azimuth=back, incidence=incidence)
    zne = ces.rotate(ds).counts.values[0]
    theirs = np.stack([rotate_zne_lqt(*record, back, incidence) for record in zne])[None]
    assert_equal(ours.counts, theirs, ROUNDING)
    assert ours.component.values.tolist() == ["L", "Q", "T"]
    # What the coordinates say of L, Q and T is enough to come back.
    np.testing.assert_allclose(ces.rotate(ours).counts.values[0], zne, atol=1e-9)


def test_angles_of_the_ray_from_coordinates(noise):
    ds = oriented(noise(100), SENSORS["tilted"])
    back, ray = np.array([[40.0, 250.0]]), np.array([[10.0, 35.0]])
    ds = ds.assign_coords(
        back_azimuth=(("event", "station"), back), incidence=(("event", "station"), ray)
    )
    ours = ces.rotate(ds, to="LQT").counts
    for s in range(2):
        alone = ces.rotate(ds, to="LQT", back_azimuth=back[0, s], incidence=ray[0, s])
        np.testing.assert_array_equal(ours[:, s], alone.counts[:, s])
    given = ces.rotate(ds.drop_vars("back_azimuth"), to="ZRT", back_azimuth=40.0).counts
    np.testing.assert_array_equal(given[:, 0], ces.rotate(ds, to="ZRT").counts[:, 0])


def test_ray_without_a_vertical(noise):
    """The horizontals alone give R and T, and T; L and Q need all three."""
    ds = oriented(noise(100), SENSORS["one and two"])
    ds["counts"].values[:, :, 0] = np.nan
    ds["dip"].values[:, :, 0] = ds["azimuth"].values[:, :, 0] = np.nan
    for to, expected in (("ZRT", [False, True, True]), ("LQT", [False, False, True])):
        ours = ces.rotate(ds, to=to, **({"incidence": 20.0} if to == "LQT" else {}))
        assert np.isfinite(ours.counts).all("time").values[0, 0].tolist() == expected


def test_a_wave_from_the_epicentre_is_radial(noise):
    """Ground moving away from the epicentre is positive R, and to its right positive T."""
    ds = oriented(noise(4), SENSORS["ideal"])
    ds["back_azimuth"] = (("event", "station"), np.full((1, 2), 180.0))  # the epicentre is south
    ds["counts"] = ds.counts * 0 + [[0.0], [1.0], [2.0]]  # 1 north, 2 east
    ours = ces.rotate(ds, to="ZRT").counts
    assert ours.sel(component="R").values == pytest.approx(1.0)
    assert ours.sel(component="T").values == pytest.approx(2.0)


def test_order_of_components_does_not_matter(noise):
    ds = oriented(noise(100), SENSORS["not orthogonal"])
    turned = ds.isel(component=[2, 0, 1])
    np.testing.assert_allclose(ces.rotate(ds).counts, ces.rotate(turned).counts, rtol=0, atol=1e-9)


def test_missing_sensors(noise):
    ds = oriented(noise(100), SENSORS["one and two"])
    ds["counts"].values[0, 0, 0] = np.nan  # no vertical: it needs none for the horizontals
    ds["dip"].values[0, 0, 0] = ds["azimuth"].values[0, 0, 0] = np.nan
    ds["counts"].values[0, 1, 1] = np.nan  # one horizontal: the vertical alone
    ds["dip"].values[0, 1, 1] = ds["azimuth"].values[0, 1, 1] = np.nan
    found = np.isfinite(ces.rotate(ds).counts).all("time").values[0]
    assert found.tolist() == [[False, True, True], [True, False, False]]


@pytest.mark.parametrize("to", ["ZNE", "ZRT", "LQT"])
@pytest.mark.parametrize("chunks", [{"time": 120}, {"time": 120, "component": 1}, {"component": 2}])
def test_time_stays_cut(noise, to, chunks):
    """No sample needs another in time: nothing is gathered, whatever the station."""
    ds = oriented(noise(500), SENSORS["tilted"])
    ds["azimuth"].values[0, 1] += 30
    options = {"incidence": 20.0} if to == "LQT" else {}
    ours = ces.rotate(ds.chunk(chunks | {"station": 1}), to=to, **options)
    ces.testing.assert_lazy(ours)
    assert max(ours.counts.chunksizes["time"]) == chunks.get("time", 500)
    np.testing.assert_array_equal(ours.counts, ces.rotate(ds, to=to, **options).counts)


def test_a_gap_stays_on_its_axis(noise):
    """cos 90° is not quite zero in floats; a gap of N must not reach E through it."""
    ds = oriented(noise(100), SENSORS["ideal"])
    ds["counts"].values[0, 0, 1, 20:30] = np.nan
    missing = np.isnan(ces.rotate(ds).counts.values[0, 0]).sum(axis=-1)
    assert missing.tolist() == [0, 10, 0]


def test_misuse(noise):
    ds = noise(10)
    with pytest.raises(ParameterError, match="'ZNE' or 'ZRT' or 'LQT'"):
        ces.rotate(ds, to="RTZ")
    with pytest.raises(ParameterError, match="give incidence="):
        ces.rotate(ds, to="LQT")
    with pytest.raises(ParameterError, match="needs no incidence"):
        ces.rotate(ds, to="ZRT", incidence=20.0)
    with pytest.raises(ParameterError, match="finite number"):
        ces.rotate(ds, to="ZRT", back_azimuth=np.nan)
    with pytest.raises(SchemaError, match="stations="):
        ces.rotate(ds.drop_vars(["azimuth"]))
    with pytest.raises(SchemaError, match="back_azimuth"):
        ces.rotate(ds.drop_vars("back_azimuth"), to="ZRT")
