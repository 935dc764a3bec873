"""Station and event files: good ones merged, bad ones refused with one line."""

from __future__ import annotations

import json
import pickle

import obspy
import pytest
from obspy import UTCDateTime

from pangeo_ces.errors import InputError
from pangeo_ces.sources.metadata import read_catalog, read_inventory

META = "07_metadata"


def test_inventories_merge(data):
    one = data(f"{META}/stationxml/IRIS_single_channel_with_response.xml")
    two = data(f"{META}/fdsn_text/channel_level_fdsn.txt")
    three = data("04_specfem_own/amatrice/DATA/STATIONS")
    inventory = read_inventory([one, two, three, one])
    assert sum(len(network) for network in inventory) == 1 + 3 + 30
    amt = inventory.select(network="IT", station="AMT")[0][0]
    assert (amt.latitude, amt.longitude, len(amt)) == (42.63246, 13.286176, 0)


def test_dataless_seed():
    obspy_data = pytest.importorskip("obspy.io.xseed").__path__[0]
    inventory = read_inventory(f"{obspy_data}/tests/data/dataless.seed.BW_FURT")
    found = set(inventory.get_contents()["channels"])
    assert found == {"BW.FURT..EHZ", "BW.FURT..EHN", "BW.FURT..EHE"}


def test_every_metadata_file_is_read_or_refused(data):
    """No file, whatever it holds, raises anything but InputError, on one line."""
    read = {read_inventory: 0, read_catalog: 0}
    for path in sorted(data(META).rglob("*")):
        for reader in read if path.is_file() else ():
            try:
                reader(path, *([lambda problem: None] if reader is read_catalog else []))
                read[reader] += 1
            except InputError as error:
                assert "\n" not in str(error) and "give --" in str(error)
    assert read[read_inventory] >= 17 and read[read_catalog] >= 6


@pytest.mark.parametrize(
    ("name", "reason"),
    [("IIKDAK10VHZ_invalidSTALAT.xml", "99.0 out of bounds"), ("F1_330.xml", "361.0 out of")],
)
def test_invalid_stationxml(data, name, reason):
    with pytest.raises(InputError, match=reason):
        read_inventory(data(f"{META}/stationxml_validator/{name}"))


def test_missing_file_tells_the_option(tmp_path):
    with pytest.raises(InputError, match=r"no such file: .*give --stations FILE with StationXML"):
        read_inventory(tmp_path / "x.xml")
    with pytest.raises(InputError, match=r"no such file: .*give --event FILE with QuakeML"):
        read_catalog(tmp_path / "x.xml")


def test_cartesian_stations_are_refused(data):
    with pytest.raises(InputError, match="metres, not degrees"):
        read_inventory(data("04_specfem_own/format_samples/cart/DATA/STATIONS"))


def test_catalog_is_sorted_and_merged(data):
    catalog = read_catalog(
        [
            data("04_specfem_own/amatrice/DATA/CMTSOLUTION"),
            data(f"{META}/quakeml/usgs_event.xml"),
            data("01_strong_motion/esm_us60004wsq_greece/event.json"),
            data(f"{META}/cmtsolution/CMTSOLUTION"),
        ]
    )
    times = [event.preferred_origin().time for event in catalog]
    assert times == sorted(times) and len(times) == 4
    assert times[0] == UTCDateTime(2003, 12, 26, 1, 56, 52, 400000)  # PDE, not centroid
    assert catalog[-1].preferred_origin().depth == 10_000.0
    assert catalog[-1].magnitudes[0].mag == 4.6


def test_cmtsolution_keeps_centroid_and_tensor(data):
    (event,) = read_catalog(data(f"{META}/cmtsolution/CMTSOLUTION"))
    hypocenter, centroid = event.origins
    assert centroid.time - hypocenter.time == pytest.approx(5.73)
    assert (centroid.latitude, centroid.depth) == (29.10, pytest.approx(12836.1))
    tensor = event.focal_mechanisms[0].moment_tensor
    assert tensor.tensor.m_rr == pytest.approx(1.41222e18)
    (same,) = obspy.read_events(data(f"{META}/cmtsolution/CMTSOLUTION"))
    moment = same.focal_mechanisms[0].moment_tensor.scalar_moment
    assert tensor.scalar_moment == pytest.approx(moment, rel=1e-12)
    assert event.preferred_magnitude().mag == pytest.approx(6.54)


def test_multi_source_cmtsolution(data):
    assert len(read_catalog(data("04_specfem_own/format_samples/multi/DATA/CMTSOLUTION"))) == 2


def test_events_without_place_are_reported(data):
    problems = []
    with pytest.raises(InputError, match="no event with time"):
        read_catalog(data(f"{META}/quakeml/quakeml_1.2_focalmechanism.xml"), problems.append)
    assert [(p.status, p.reason) for p in problems] == [("rejected", "no origin")]
    cartesian = data("04_specfem/cartesian_homogeneous_halfspace/DATA/CMTSOLUTION")
    good = data(f"{META}/quakeml/usgs_event.xml")
    assert len(read_catalog([cartesian, good], problems.append)) == 1
    assert "not degrees" in problems[-1].reason
    with pytest.warns(UserWarning, match="not degrees"):
        read_catalog([cartesian, good])


def test_usgs_geojson(tmp_path):
    feature = {
        "id": "us1",
        "properties": {"time": 1472002592000, "mag": 6.2},
        "geometry": {"coordinates": [13.23, 42.7, 8.0]},
    }
    path = tmp_path / "query.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    (event,) = read_catalog(path)
    origin = event.preferred_origin()
    assert (origin.time, origin.latitude, origin.depth) == (
        UTCDateTime(2016, 8, 24, 1, 36, 32), 42.7, 8000.0,
    )  # fmt: skip
    path.write_text('{"id": 1, "time": "2016-08-24"}')
    with pytest.raises(InputError, match="no 'latitude'"):
        read_catalog(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("reader", [read_catalog, read_inventory])
def test_xml_entities_are_refused(tmp_path, encoding, reader):
    secret = tmp_path / "secret"
    secret.write_text("TOPSECRET")
    path = tmp_path / "evil.xml"
    path.write_bytes(
        f'<?xml version="1.0" encoding="{encoding}"?>'
        f'<!DOCTYPE q [<!ENTITY e SYSTEM "{secret.as_uri()}">]>'
        '<q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2"><a>&e;</a></q:quakeml>'
        "".encode(encoding)
    )
    with pytest.raises(InputError, match="entities") as caught:
        reader(path)
    assert "TOPSECRET" not in str(caught.value)


def test_billion_laughs_is_refused_at_once(tmp_path):
    levels = "".join(f'<!ENTITY x{i} "{f"&x{i - 1};" * 10}">' for i in range(1, 12))
    path = tmp_path / "bomb.xml"
    path.write_text(f'<!DOCTYPE q [<!ENTITY x0 "ha">{levels}]><q>&x11;</q>')
    with pytest.raises(InputError):
        read_catalog(path)


def test_pickles_are_not_read(tmp_path):
    path = tmp_path / "catalog.pickle"
    path.write_bytes(pickle.dumps({"events": []}))
    for reader in (read_catalog, read_inventory):
        with pytest.raises(InputError):
            reader(path)
