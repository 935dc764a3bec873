"""Archives: an item for each stage."""

from __future__ import annotations

import json

import obspy
import pystac
import pytest

import pangeo_ces as ces
from pangeo_ces.archive.archive import Archive
from pangeo_ces.archive.files import stage_files
from pangeo_ces.catalog import build_catalog, open_catalog
from pangeo_ces.errors import StoreError

pytestmark = pytest.mark.filterwarnings("ignore:The item .* is deprecated")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Two stages: a day file and its stations, then another day."""
    tmp_path = tmp_path_factory.mktemp("archive")
    stream = obspy.read(str(next(ces.samples.path("german_events/observed").iterdir())))
    trace = stream.select(station="BFO", component="Z")[0]
    folder = tmp_path / "in"
    folder.mkdir()
    for day in (1, 2):
        trace.stats.starttime = obspy.UTCDateTime(2004, 12, day)
        trace.write(str(folder / f"{trace.id}.D.2004.{335 + day}"), format="MSEED")
        if day == 1:
            stations = ces.samples.path("german_events/stations.xml").read_bytes()
            (folder / "stations.xml").write_bytes(stations)
        stage_files(tmp_path / "raw", str(folder))
    return tmp_path / "raw"


def test_stages(archive, tmp_path, check):
    built = build_catalog(archive, tmp_path / "stac")
    assert built.collections == ("raw",) and check(tmp_path / "stac") == 2
    first, second = open_catalog(tmp_path / "stac").search(kind="archive")
    manifest = Archive(archive).manifest(2)
    fields = second["properties"]
    assert fields["seis:files"] == manifest["counts"] and fields["seis:stage"] == 2
    assert fields["seis:bytes"] == sum(file["size"] for file in manifest["files"])
    assert fields["seis:channels"] == ["GR.BFO..HHZ"]
    assert fields["start_datetime"] == "2004-12-01T00:00:00.000000Z"
    assert fields["end_datetime"] == "2004-12-02T23:59:59.999999Z"
    assert abs(obspy.UTCDateTime(fields["created"]) - obspy.UTCDateTime(manifest["created"])) < 1e-6
    inventory = obspy.read_inventory(str(ces.samples.path("german_events/stations.xml")))
    x, y = ([getattr(s, n) for s in inventory[0]] for n in ("longitude", "latitude"))
    assert second["bbox"] == [min(x), min(y), max(x), max(y)]
    assert (first["properties"]["deprecated"], fields["deprecated"]) == (True, False)
    asset = second["assets"]["manifest"]
    with open(asset["href"]) as stream:
        assert json.load(stream)["stage"] == 2
    (stations,) = (a for name, a in second["assets"].items() if name.endswith("stations.xml"))
    assert obspy.read_inventory(stations["href"])[0].code == "GR"
    catalog = pystac.Catalog.from_file(str(tmp_path / "stac/catalog.json"))
    old, new = catalog.get_items(recursive=True)
    assert old.get_single_link("latest-version").href == "./stage-00002.json"
    assert new.get_single_link("predecessor-version").href == "./stage-00001.json"


def test_search_and_open(archive, tmp_path):
    build_catalog(f"{archive}@1", tmp_path / "stac")
    catalog = open_catalog(tmp_path / "stac")
    assert len(catalog.search(time="2004-12-01", station="BFO", bbox=(7, 47, 9, 50))) == 1
    assert len(catalog.search(time="2004-12-02/..")) == 0  # not in stage 1
    with pytest.raises(StoreError, match="ces convert"):
        catalog.search().open()


def test_with_a_store_beside_it(archive, quakes, tmp_path):
    built = build_catalog([archive, quakes[0]], tmp_path / "stac")
    assert built.items == 8
    found = open_catalog(tmp_path / "stac").search(network="GR", time="2004-12")
    assert {item["properties"]["seis:kind"] for item in found} == {
        "archive", "windows", "synthetic"
    }  # fmt: skip
    assert len(found.open().leaves) == 2


def test_damaged_stations_give_no_place(tmp_path, check):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "stations.xml").write_text("<?xml version='1.0'?><FDSNStationXML>oh no")
    stage_files(tmp_path / "raw", str(folder))
    build_catalog(tmp_path / "raw", tmp_path / "stac")
    check(tmp_path / "stac")
    (item,) = open_catalog(tmp_path / "stac").search()
    assert item["geometry"] is None and "bbox" not in item
    assert item["properties"]["datetime"] == item["properties"]["created"]
