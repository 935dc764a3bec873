"""Building: valid documents, the same bytes, nothing half written, nothing of others touched."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import obspy
import pystac
import pytest
from pystac.extensions.datacube import DatacubeExtension
from pystac.extensions.version import ItemVersionExtension

import pangeo_ces as ces
from pangeo_ces.archive.folder import Folder
from pangeo_ces.catalog import build_catalog, open_catalog
from pangeo_ces.errors import CesError, ParameterError, StoreError


def tree(folder: str | Path) -> dict[str, bytes]:
    root = Path(folder)
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_every_file_is_valid(quakes, check):
    assert check(quakes[1]) == 6


def test_what_an_item_says(quakes):
    store, folder = quakes
    catalog = pystac.Catalog.from_file(f"{folder}/catalog.json")
    items = {item.collection_id + item.id: item for item in catalog.get_items(recursive=True)}
    observed = items["quakes-windows-main20041205T015236"]
    ds = ces.open_store(store)["windows/main/observed/20Hz"].to_dataset().isel(event=2)
    assert observed.geometry["coordinates"] == [ds.event_longitude, ds.event_latitude]
    assert observed.datetime.isoformat() == "2004-12-05T01:52:36.900000+00:00"
    fields = observed.properties
    assert (fields["seis:magnitude"], fields["seis:depth"]) == (5.4, 7200.0)
    assert fields["seis:stations"] == ["GR.BFO", "GR.BUG", "GR.CLZ", "GR.FUR"]  # TNS has nothing
    assert fields["seis:traces"] == 12 and fields["seis:completeness"] == 100
    assert fields["seis:quantities"] == {"counts": "1"}
    asset = observed.assets["20Hz"]
    newest = ces.history(store)[-1]
    assert asset.href == f"../../../quakes.zarr@{newest['snapshot']}"
    assert asset.extra_fields["version"] == newest["snapshot"]
    version = ItemVersionExtension.ext(observed)
    assert (version.version, version.deprecated) == ("2", False)
    dimensions = DatacubeExtension.ext(asset).dimensions
    assert list(dimensions) == ["event", "station", "component", "time"]
    assert dimensions["time"].to_dict() == {
        "type": "time_since_origin", "unit": "s", "step": 0.05, "extent": [-10.0, 220.0]
    }  # fmt: skip
    variables = DatacubeExtension.ext(asset).variables
    assert variables["counts"].unit == "1"
    predecessor = observed.get_single_link("predecessor-version")
    assert predecessor.href.endswith("quakes.zarr@1")
    synthetic = items["quakes-synthetic-main-specfem20041205T015236"]
    assert synthetic.properties["seis:model"] == "specfem"
    assert synthetic.get_single_link("predecessor-version") is None  # version 1 had no synthetics
    derived = Path(folder, "collections/quakes-synthetic-main-specfem",
                   synthetic.get_single_link("derived_from").href)  # fmt: skip
    assert json.loads(derived.read_text())["id"] == observed.id
    x, y = ds["longitude"].values, ds["latitude"].values
    np.testing.assert_allclose(synthetic.bbox, [x.min(), y.min(), x.max(), y.max()], atol=1e-3)


def test_continuous_over_new_year(tmp_path, check):
    """Two networks on both sides of the date line, a gap, two rates, a day that joins two years."""
    rng = np.random.default_rng(1)
    start = obspy.UTCDateTime("2015-12-31T23:59:00")
    stream = obspy.Stream()
    for network, station, rate in (("NZ", "URZ", 10), ("NZ", "RIZ", 10), ("XX", "A", 20)):
        header = {"network": network, "station": station, "channel": "HHZ", "sampling_rate": rate,
                  "starttime": start}  # fmt: skip
        stream += obspy.Trace(rng.integers(-9, 9, 120 * rate).astype("int32"), header)
    late = stream[0].copy()
    late.stats.starttime = stream[0].stats.endtime + 30.1  # 300 samples are missing
    (stream + late).write(str(tmp_path / "d.mseed"), format="MSEED")
    (tmp_path / "STATIONS").write_text(
        "URZ NZ -38.0 177.0 0.0 0.0\nRIZ NZ -29.0 -177.5 0.0 0.0\nA XX 10.0 20.0 0.0 0.0\n"
    )
    store = tmp_path / "c.zarr"
    ces.convert(tmp_path / "d.mseed", str(store), stations=tmp_path / "STATIONS")
    built = build_catalog(store, tmp_path / "stac")
    assert built.collections == ("c-continuous-NZ", "c-continuous-XX") and built.items == 6
    check(tmp_path / "stac")
    found = {item["id"]: item for item in open_catalog(tmp_path / "stac").search()}
    old, new = (found[f"NZ.URZ..HH-10Hz-{year}"]["properties"] for year in (2015, 2016))
    assert old["end_datetime"] == "2015-12-31T23:59:59.900000Z" and old["seis:gaps"] == 0
    assert new["start_datetime"] == "2016-01-01T00:00:00.000000Z" and new["seis:gaps"] == 1
    assert new["end_datetime"] == f"{late.stats.endtime}"
    assert new["seis:completeness"] == 100 * 1800 * 10_000 // 2100 / 10_000
    assert found["XX.A..HH-20Hz-2016"]["properties"]["seis:completeness"] == 100
    home = json.loads((tmp_path / "stac/collections/c-continuous-NZ/collection.json").read_text())
    assert home["extent"]["spatial"]["bbox"] == [[177.0, -38.0, -177.5, -29.0]]
    catalog = open_catalog(tmp_path / "stac")
    across = catalog.search(bbox=(170, -50, -170, 0), time="2016")
    assert [item["id"] for item in across] == ["NZ.RIZ..HH-10Hz-2016", "NZ.URZ..HH-10Hz-2016"]
    ds = across.open()
    assert str(ds["time"].values[0]) == "2016-01-01T00:00:00.000000000"
    samples = ds["counts"].sel(station="NZ.URZ..HH", component="Z").values
    np.testing.assert_array_equal(samples[:600], stream[0].data[600:])
    assert np.isnan(samples[600:900]).all()
    np.testing.assert_array_equal(samples[900:], late.data)
    assert set(catalog.search(network="*").open().children) == {"continuous"}


def test_again_is_the_same(quakes, tmp_path):
    store, folder = quakes
    before = {name: os.stat(Path(folder, name)).st_mtime_ns for name in tree(folder)}
    built = build_catalog(store, folder)
    assert (built.written, built.removed, built.items) == (0, 0, 6)
    assert before == {name: os.stat(Path(folder, name)).st_mtime_ns for name in tree(folder)}


def test_what_is_gone_is_removed_and_what_is_others_is_not(quakes, tmp_path):
    folder = tmp_path / "stac"
    store = str(shutil.copytree(quakes[0], folder / "quakes.zarr"))
    (folder / "notes.json").write_text("{}")
    build_catalog(store, folder)
    both = tree(folder)
    left = folder / "collections/quakes-windows-main/20020722T054504.json.0123456789abcdef"
    left.write_text("half of a fil")
    (folder / ("catalog.json." + "0" * 32)).write_text("{")
    built = build_catalog(f"{store}@1", folder)
    assert built.collections == ("quakes-windows-main",) and built.removed >= 5
    names = set(tree(folder))
    assert "notes.json" in names and not left.exists()
    assert not any("synthetic" in n for n in names if ".zarr" not in n)
    assert {n for n in names if ".zarr" in n} == {n for n in both if ".zarr" in n}
    item = json.loads((folder / "collections/quakes-windows-main/20020722T054504.json").read_text())
    assert item["properties"]["deprecated"] is True and item["properties"]["version"] == "1"
    assert item["assets"]["20Hz"]["href"].startswith("../../quakes.zarr@")
    build_catalog(store, folder)
    assert tree(folder) == both


def test_a_tag_is_kept_as_it_is_named(quakes, tmp_path):
    store, _ = quakes
    from pangeo_ces.store.versions import tag

    tag(store, "paper")
    build_catalog(f"{store}@paper", tmp_path / "stac")
    (found,) = open_catalog(tmp_path / "stac").search(event="20020722T054504", kind="windows")
    assert found["assets"]["20Hz"]["href"] == f"{store}@paper"  # neither inside nor beside
    assert found["properties"]["storage:schemes"] == {
        "file": {"type": "file", "platform": "file:///"}
    }
    assert found["assets"]["20Hz"]["storage:refs"] == ["file"]


def test_two_stores_of_one_name(quakes, tmp_path, check):
    store, _ = quakes
    other = tmp_path / "other" / "quakes.zarr"
    shutil.copytree(store, other)
    built = build_catalog([store, other], tmp_path / "stac")
    assert built.collections[2] == "quakes-2-windows-main" and built.items == 12
    assert check(tmp_path / "stac") == 12
    tree_ = open_catalog(tmp_path / "stac").search(kind="windows", event="GERMANY").open()
    assert set(tree_.children) == {"quakes", "quakes-2"}


@pytest.mark.parametrize("what", ["nothing", "plain", "missing", "others", "html", "itself"])
def test_refusals(what, tmp_path, quakes):
    targets: list = [quakes[0]]
    error: type[CesError] = StoreError
    if what == "nothing":
        targets, error = [], ParameterError
    elif what == "missing":
        targets = [tmp_path / "none.zarr"]
    elif what == "plain":
        import zarr

        zarr.open_group(tmp_path / "plain.zarr", mode="w", zarr_format=3)
        targets = [tmp_path / "plain.zarr"]
    else:
        (tmp_path / "stac").mkdir()
        text = "<html>" if what == "html" else json.dumps({"type": "Catalog", "links": []})
        (tmp_path / "stac/catalog.json").write_text(text)
    folder = tmp_path / "stac"
    if what == "itself":
        folder, error = Path(quakes[0]), ParameterError
    with pytest.raises(error, match=": (give|check|choose)"):
        build_catalog(targets, folder)
    assert not (folder / "collections").exists()


def test_catalog_json_comes_last(quakes, tmp_path, monkeypatch):
    """A build that fails before its end leaves the old catalogue as readers know it."""
    folder = tmp_path / "stac"
    build_catalog(f"{quakes[0]}@1", folder)
    write = Folder.write
    order = []

    def fail(self, name, content):
        if name == "catalog.json":
            raise StoreError("the disk went away: plug it in")
        order.append(name)
        write(self, name, content)

    monkeypatch.setattr(Folder, "write", fail)
    with pytest.raises(StoreError, match="plug it in"):
        build_catalog(quakes[0], folder)
    assert any(name.startswith("items-") for name in order)
    assert len(open_catalog(folder).search()) == 3
    monkeypatch.undo()
    build_catalog(quakes[0], folder)
    assert len(open_catalog(folder).search()) == 6


PROGRAM = """
import os, signal, sys
from pangeo_ces.catalog import build_catalog

def replace(old, new, call=os.replace):
    if new.endswith("20041205T015236.json"):
        os.kill(os.getpid(), signal.SIGKILL)
    call(old, new)

os.replace = replace
build_catalog(sys.argv[1], sys.argv[2])
"""


def test_killed_while_it_writes(quakes, tmp_path):
    """Readers find the old catalogue, and the next build removes what was left half done."""
    folder = tmp_path / "stac"
    build_catalog(f"{quakes[0]}@1", folder)
    process = subprocess.run([sys.executable, "-c", PROGRAM, quakes[0], str(folder)])
    assert process.returncode == -signal.SIGKILL
    assert any(re.search(r"json\.[0-9a-f]{32}$", name) for name in tree(folder))
    assert len(open_catalog(folder).search()) == 3
    build_catalog(quakes[0], folder)
    build_catalog(quakes[0], tmp_path / "whole")
    assert tree(folder) == tree(tmp_path / "whole")


def test_broken_off_while_it_removes(quakes, tmp_path, monkeypatch):
    """Readers find the new catalogue, and the next build removes the rest."""

    class Ended(BaseException):
        pass

    def end(*_):
        raise Ended

    folder = tmp_path / "stac"
    build_catalog(quakes[0], folder)
    (index,) = folder.glob("items-*.ndjson")
    monkeypatch.setattr(os, "remove", end)
    with pytest.raises(Ended):
        build_catalog(f"{quakes[0]}@1", folder)
    monkeypatch.undo()
    assert index.exists() and len(open_catalog(folder).search()) == 3
    assert build_catalog(f"{quakes[0]}@1", folder).removed == 6
    assert not index.exists() and not list(folder.glob("collections/*synthetic*"))
