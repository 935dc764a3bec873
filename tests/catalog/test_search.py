"""Searching and opening: what is found, and that it is exactly what the store has."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.catalog import build_catalog, open_catalog, read
from pangeo_ces.errors import CesError, ParameterError, StoreError
from pangeo_ces.testing import assert_lazy


@pytest.fixture
def catalog(quakes):
    return open_catalog(quakes[1])


@pytest.mark.parametrize("query, count", [
    ({}, 6),
    ({"event": "20020722T054504"}, 2),
    ({"event": "france"}, 4),
    ({"event": ["GERMANY", "20041205T015236"]}, 4),
    ({"event": "quakeml:eu.emsc/event/20020722_0000003"}, 2),
    ({"event": "nowhere"}, 0),
    ({"event": ""}, 0),
    ({"kind": "windows"}, 3),
    ({"kind": ["windows", "synthetic"]}, 6),
    ({"kind": "archive"}, 0),
    ({"kind": "windows", "bbox": (6, 48, 7, 49)}, 1),
    ({"kind": "windows", "bbox": (7, 40, 6, 60)}, 1),  # once round the globe, 6 to 7 left out
    ({"kind": "synthetic", "bbox": (8, 48, 9, 49)}, 3),
    ({"time": "2002/2003"}, 4),
    ({"time": "../2002"}, 2),
    ({"time": ("2002-07-22T05:45", "2002-07-22T05:46")}, 2),
    ({"time": "2002-07-21"}, 0),
    ({"magnitude": (5.45, None)}, 4),
    ({"magnitude": (None, 5.4)}, 2),
    ({"network": "GR"}, 6),
    ({"network": "G?", "station": "TNS"}, 5),
    ({"station": "GR.TNS", "kind": "windows"}, 2),
    ({"station": "GR.TNS..HH"}, 2),
    ({"network": "XX"}, 0),
    ({"channel": "HHZ"}, 3),
    ({"channel": "GR.BFO..HHZ"}, 3),
    ({"station": "B*", "channel": "?HZ,?XZ", "event": "germany"}, 2),
])  # fmt: skip
def test_search(catalog, query, count):
    found = catalog.search(**query)
    assert len(found) == count == len(list(found)) == len(found.to_table())


@pytest.mark.parametrize("query", [{"kind": "wiggles"}, {"bbox": (1, 2)}, {"time": "soon"},
                                   {"magnitude": 5}, {"magnitude": ("a", 1)}])  # fmt: skip
def test_nonsense(catalog, query):
    with pytest.raises(ParameterError):
        catalog.search(**query)


def test_looks(catalog):
    found = catalog.search(event="germany")
    assert repr(found).startswith("2 of 6 items in ") and "20020722T054504" in repr(found)
    assert "<table" in found._repr_html_() and repr(catalog).startswith("<Catalog 'Seismic")
    assert "nothing" in repr(catalog.search(event="mars"))
    row = found.to_table().iloc[0]
    assert (row["magnitude"], row["stations"], row["rates"]) == (5.7, 5, "20")
    assert str(row["start"]) == "2002-07-22 05:44:54.593800+00:00"


def test_open_is_lazy_and_what_the_store_has(quakes, catalog):
    store = ces.open_store(quakes[0])
    ds = catalog.search(event="france", kind="windows", station="BFO", channel="HHZ").open()
    assert isinstance(ds, xr.Dataset)
    assert_lazy(ds)
    whole = store["windows/main/observed/20Hz"].to_dataset()
    xr.testing.assert_identical(
        ds.compute(), whole.isel(event=[1, 2], station=[0], component=[0]).compute()
    )
    tree = catalog.search(event="20020722T054504").open()
    assert [path for path, _ in ces.waveforms(tree, "")] == [
        "windows/main/observed/20Hz", "windows/main/synthetic/specfem/2.5Hz"
    ]  # fmt: skip
    for path, found in ces.waveforms(tree, ""):
        assert_lazy(found)
        xr.testing.assert_identical(
            found.compute(), store[path].to_dataset().isel(event=[0]).compute()
        )


def test_open_is_at_the_very_version(tmp_path):
    """A store that goes on is opened as it was when the catalogue was built."""
    folder = ces.samples.path("german_events")
    store = str(tmp_path / "s.zarr")
    stations, event = folder / "stations.xml", folder / "events.xml"
    ces.convert(folder / "observed", store, stations=stations, event=event)
    build_catalog(store, tmp_path / "stac")
    before = open_catalog(tmp_path / "stac").search().open()
    other = tmp_path / "copy.mseed"
    import obspy

    stream = obspy.read(str(next((folder / "observed").iterdir())))[:3]
    for trace in stream:
        trace.data = trace.data + 1
    stream.write(str(other), format="MSEED")
    ces.convert(other, store, stations=stations, event=event, overwrite=True)
    after = open_catalog(tmp_path / "stac").search().open()
    xr.testing.assert_identical(before.compute(), after.compute())
    assert ces.open_store(store)["windows/main/observed/20Hz"].sizes["station"] == 1


def test_moved_together(quakes, tmp_path):
    shutil.copytree(Path(quakes[1]).parent, tmp_path / "elsewhere")
    found = open_catalog(tmp_path / "elsewhere/stac/catalog.json").search(event="germany")
    assert found[0]["assets"]["20Hz"]["href"].startswith(str(tmp_path / "elsewhere/quakes.zarr@"))
    assert len(list(ces.waveforms(found.open(), ""))) == 2


def test_without_its_index(quakes, tmp_path):
    """An index that is gone or wrong is not used."""
    found = list(open_catalog(quakes[1]).search())
    folder = tmp_path / "stac"
    shutil.copytree(quakes[1], folder)
    shutil.copytree(quakes[0], tmp_path / "quakes.zarr")
    (index,) = folder.glob("items-*.ndjson")
    good = index.read_bytes()
    names = [(item["collection"], item["id"]) for item in found]
    for content in (good[:-2], b"{}\n", None):
        index.unlink() if content is None else index.write_bytes(content)
        again = open_catalog(folder).search()
        assert [(item["collection"], item["id"]) for item in again] == names
        assert len(list(ces.waveforms(again.open(), ""))) == 2


def test_nothing_to_open(catalog):
    with pytest.raises(StoreError, match="ask for less"):
        catalog.search(event="mars").open()


def test_a_store_that_is_not_there(quakes, tmp_path):
    shutil.copytree(quakes[1], tmp_path / "alone/stac")
    with pytest.raises(StoreError, match=r"quakes\.zarr.*(check|get)"):
        open_catalog(tmp_path / "alone/stac").search().open()
    assert os.listdir(tmp_path / "alone") == ["stac"]


def _spoil(folder: Path, how: str) -> None:
    (index,) = folder.glob("items-*.ndjson")
    index.unlink()
    item = next(folder.glob("collections/*windows*/2*.json"))
    document = json.loads(item.read_text())
    root = json.loads((folder / "catalog.json").read_text())
    if how == "cut":
        item.write_text(item.read_text()[:100])
    elif how == "list":
        item.write_text("[]")
    elif how == "deep":
        item.write_text("[" * 100_000)
    elif how == "gone":
        item.unlink()
    elif how == "large":
        item.write_text('{"a": "' + "x" * 2000 + '"}')
    elif how == "no properties":
        item.write_text("{}")
    elif how == "escape":
        root["links"].append({"rel": "item", "href": "../../secret.json"})
    elif how == "address":
        root["links"].append({"rel": "child", "href": "http://169.254.169.254/latest"})
    elif how == "circle":
        root["links"].append({"rel": "child", "href": "./catalog.json"})
    elif how == "scheme":
        document["assets"]["20Hz"]["href"] = "ssh://host/store"
        item.write_text(json.dumps(document))
    elif how == "group":
        document["assets"]["20Hz"]["seis:group"] = "../../metadata"
        item.write_text(json.dumps(document))
    elif how == "channels":
        document["properties"]["seis:channels"] = 5
        item.write_text(json.dumps(document))
    (folder / "catalog.json").write_text(json.dumps(root))


@pytest.mark.parametrize("how", ["cut", "list", "deep", "gone", "large", "no properties", "escape",
                                 "address", "scheme", "group", "channels"])  # fmt: skip
def test_hostile(quakes, tmp_path, how, monkeypatch):
    folder = tmp_path / "stac"
    shutil.copytree(quakes[1], folder)
    shutil.copytree(quakes[0], tmp_path / "quakes.zarr")
    _spoil(folder, how)
    if how == "large":
        monkeypatch.setattr(read, "LARGEST_DOCUMENT", 8000)
        (folder / "collections/quakes-windows-main/20020722T054504.json").write_text("x" * 9000)
    with pytest.raises(CesError, match="again|self-contained|no catalogue"):
        open_catalog(folder).search().open()


def test_a_circle_ends(quakes, tmp_path):
    folder = tmp_path / "stac"
    shutil.copytree(quakes[1], folder)
    _spoil(folder, "circle")
    assert len(open_catalog(folder).search()) >= 6


@pytest.mark.parametrize("url", ["memory://no-such/stac", "/no/such/stac"])
def test_no_catalogue(url):
    with pytest.raises(StoreError, match="ces catalog build"):
        open_catalog(url)


def test_ten_thousand_items(quakes, tmp_path):
    """Searched in much less than a second once they are read."""
    (line,) = (item for item in open_catalog(quakes[1]).search(event="germany", kind="windows"))
    rng = np.random.default_rng(1)
    from pangeo_ces.catalog.table import Table

    def items():
        for number in range(10_000):
            longitude, latitude = rng.uniform(-180, 180), rng.uniform(-90, 90)
            second = np.datetime64("2000-01-01") + np.timedelta64(number * 3600, "s")
            line["bbox"] = [longitude, latitude, longitude, latitude]
            line["properties"] |= {
                "seis:magnitude": 4 + number % 30 / 10, "seis:event_id": f"e{number}",
                "seis:channels": [f"GR.S{number % 500}..HH{c}" for c in "ZNE"],
                **dict.fromkeys(("datetime", "start_datetime", "end_datetime"), f"{second}Z"),
            }  # fmt: skip
            yield f"collections/a/{number}.json", json.dumps(line).encode()

    catalog = open_catalog(quakes[1])
    catalog._table = Table.of(items())
    begin = time.perf_counter()
    found = catalog.search(
        bbox=(170, -60, -170, 60), time="2000-02/2000-12", station="S1*", channel="HH?",
        magnitude=(5, 6.5), kind="windows",
    )  # fmt: skip
    assert time.perf_counter() - begin < 0.5
    assert 0 < len(found) < 500
