"""Versions, plain Zarr, plans and conversion by parts: from Python and as commands."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pytest
import xarray as xr
import zarr
from click.testing import CliRunner

import pangeo_ces as ces
from pangeo_ces.cli import main
from pangeo_ces.errors import CesError, InputError, StoreError
from pangeo_ces.store import repo
from pangeo_ces.store.exchange import digest
from pangeo_ces.store.plan import Plan


def command(*words, status=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == status, (result.output, result.stderr, result.exception)
    return result.stdout


@pytest.fixture
def store(tmp_path, record, stations, quake):
    """Two versions: XX.A, then XX.A and XX.B; the first is called ``paper``."""
    path = tmp_path / "s"
    ces.convert([record("A")], path, stations=stations, event=quake, tag="paper")
    ces.convert([record("B")], path, stations=stations, event=quake)
    return path


def labels(url):
    node = ces.open_store(url)["windows/main/observed/100Hz"]
    return [label.split(".")[1] for label in node["station"].values]


def test_every_way_to_name_a_version(store):
    first, second = ces.history(store)
    assert (first["tags"], second["tags"]) == (["paper"], [])
    between = datetime.datetime.fromisoformat(first["time"]) + datetime.timedelta(milliseconds=1)
    for name in ("1", "paper", first["snapshot"], between.isoformat()[:23]):
        assert labels(f"{store}@{name}") == ["A"], name
    for name in ("", "@2", "@latest", f"@{second['snapshot']}", "@2999-01-01"):
        assert labels(f"{store}{name}") == ["A", "B"], name


@pytest.mark.parametrize("name", ["3", "0", "nope", "2001-01-01", "0" * 20, "main", "../x y"])
def test_a_version_that_is_not_there(store, name):
    with pytest.raises(StoreError, match="no version|no store"):
        ces.open_store(f"{store}@{name}")


def test_an_at_sign_in_a_path_is_one(tmp_path, record, stations, quake):
    store = tmp_path / "me@home" / "s"
    ces.convert([record("A")], store, stations=stations, event=quake)
    assert labels(store) == labels(f"{store}@1") == ["A"]
    odd = tmp_path / "odd@1"
    repo.obtain(str(tmp_path / "x"))
    odd.mkdir()
    assert repo.split_version(odd) == (str(odd), "")


@pytest.mark.parametrize("name", ["1a", "latest", "main", "a b", "", "0123456789ABCDEFGHJK", "x/y"])
def test_tags_that_could_mean_something_else(store, name):
    with pytest.raises(StoreError, match="letter"):
        ces.tag(store, name)


def test_tags_never_move(store):
    with pytest.raises(StoreError, match="never move"):
        ces.tag(store, "paper")
    ces.tag(f"{store}@1", "again")
    assert ces.history(store)[0]["tags"] == ["again", "paper"]


def test_a_tag_for_what_is_there_already(store, record, stations, quake):
    ces.convert([record("B")], store, stations=stations, event=quake, tag="b")
    assert ces.history(store)[1]["tags"] == ["b"]


def test_plain_zarr_and_back(store, tmp_path, stations, quake):
    plain = tmp_path / "plain.zarr"
    objects = json.loads(command("export", store, "--format", "zarr", "--output", plain, "--json"))
    assert objects["objects"] > 20
    command("export", store, "--format", "zarr", "--output", plain, status=1)
    raw = zarr.open_group(plain, mode="r")["windows/main/observed/100Hz/counts"][:]
    one, two = (ces.open_store(s)["windows/main/observed/100Hz"] for s in (store, plain))
    xr.testing.assert_identical(one.to_dataset().compute(), two.to_dataset().compute())
    filled = np.where(raw == -(2**31), np.nan, raw)
    np.testing.assert_array_equal(one["counts"], filled)  # our reader and Zarr's own
    command("import", plain, tmp_path / "back", "--tag", "v1")
    assert digest(tmp_path / "back@v1") == digest(store)
    assert "1 " in command("history", tmp_path / "back")
    with pytest.raises(StoreError, match="plain Zarr.*ces import"):
        ces.convert(tmp_path / "in" / "A.Z.mseed", plain, stations=stations, event=quake)
    with pytest.raises(StoreError, match="exists"):
        ces.import_zarr(plain, store)


def test_an_export_that_was_interrupted(store, tmp_path):
    ces.export_zarr(store, tmp_path / "half")
    zarr.open_group(tmp_path / "half", mode="r+").attrs["ces_complete"] = False
    with pytest.raises(StoreError, match="incomplete"):
        ces.open_store(tmp_path / "half")
    with pytest.raises(StoreError, match="no whole"):
        ces.import_zarr(tmp_path / "half", tmp_path / "y")


def test_products_have_versions(store, tmp_path):
    ds = ces.open_store(store)["windows/main/observed/100Hz"].to_dataset()
    product = tmp_path / "product"
    ces.write(ds, product, tag="v1")
    with pytest.raises(StoreError, match="exists"):
        ces.write(ds, product)
    ces.write(ces.detrend(ds), product, overwrite=True)
    raw, flat = (ces.open_store(f"{product}@{v}").to_dataset()["counts"] for v in (1, 2))
    xr.testing.assert_equal(raw, ds["counts"])
    assert abs(float(flat.mean())) < 1 < abs(float(raw.mean()))


def test_a_job_array_without_a_scheduler(tmp_path, store, record, stations, quake):
    plan, target = tmp_path / "plan.json", tmp_path / "t"
    words = ["plan", record("A"), record("B"), "--stations", stations, "--event", quake]
    assert "windows/main/observed/100Hz" in command(*words, "--output", plan)
    facts = json.loads(command(*words, "--json"))
    assert facts["totals"]["partitions"] == 1
    facts["nodes"][0]["shards"][1] = 1  # a station a shard
    plan.write_text(json.dumps(facts))
    assert command("convert-init", plan, target, "--tag", "array").strip() == "2"
    command("convert-finalise", target, status=1)
    command("convert-partition", target, 1)
    command("convert-partition", target, 7, status=1)
    command("convert-partition", target, "0-1")
    assert not ces.history(target)
    report = json.loads(command("convert-finalise", target, "--json"))
    assert (report["version"], report["traces_used"]) == (1, 2)
    command("convert-finalise", target, status=1)
    command("convert-partition", target, 0, status=1)
    assert ces.history(target)[0]["tags"] == ["array"]
    one, two = (ces.open_store(s)["windows/main/observed/100Hz"] for s in (store, target))
    np.testing.assert_array_equal(one["counts"], two["counts"])


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.update(format="CES-plan-9"),
        lambda f: f["nodes"][0].update(shards=[1, 1, 1, 7]),
        lambda f: f["nodes"][0].update(chunks=[1, 1, -3, 7]),
        lambda f: f["nodes"][0].update(chunks="x"),
        lambda f: f["traces"].update(interval=["1/0"]),
        lambda f: f["traces"].update(file=[5]),
        lambda f: f.update(profile="best"),
        lambda f: f.pop("traces"),
        lambda f: f["files"][0].pop("sha256"),
    ],
)
def test_a_plan_that_makes_no_sense(tmp_path, record, stations, quake, change):
    plan = ces.plan([record("A")], stations=stations, event=quake)
    facts = json.loads(plan.to_json())
    change(facts)
    (tmp_path / "plan.json").write_text(json.dumps(facts))
    with pytest.raises(CesError, match="plan|profile"):
        ces.convert(Plan.read(tmp_path / "plan.json"), tmp_path / "s")
    assert not (tmp_path / "s").exists() or not ces.history(tmp_path / "s")


def test_a_file_that_changes_after_it_was_planned(tmp_path, record, stations, quake):
    plan = ces.plan([record("A"), record("B")], stations=stations, event=quake)
    record("A", samples=2500)
    report = ces.convert(plan, tmp_path / "s")
    assert report.traces_used == 1
    assert any("changed while" in row.reason for row in report.rows)
    (tmp_path / "in" / "B.Z.mseed").unlink()
    with pytest.raises(InputError, match="nothing could be used"):
        ces.convert(plan, tmp_path / "t")


def test_history_and_diff_of_stores_and_archives(store, tmp_path):
    assert "paper" in command("history", store)
    assert "1 files differ" in command("diff", f"{store}@1", f"{store}@2")
    archive = tmp_path / "a"
    ces.stage(archive, files=tmp_path / "in")
    ces.stage(archive, files=tmp_path / "in")
    assert len(command("history", archive).splitlines()) == 2
    rows = json.loads(command("diff", f"{archive}@1", f"{archive}@2", "--json"))
    assert rows == []
    with pytest.raises(StoreError, match="no store with versions"):
        ces.history(tmp_path / "nothing")


def test_two_ways_of_staging_at_once(tmp_path):
    with pytest.raises(CesError, match="give one of"):
        ces.stage(tmp_path / "a", files="x", sds="y")


def test_facts_of_any_version(store):
    old, new = (ces.inspect_store(f"{store}@{v}") for v in (1, 2))
    assert old["bytes"] == new["bytes"] > 1000
    assert len(old["nodes"][0]["stations"]) == 1


def test_corrected_station_metadata_make_a_version(store, record, stations, quake):
    import obspy

    inventory = obspy.read_inventory(stations)
    for station in inventory[0]:
        for channel in station:
            channel.azimuth, channel.latitude = 33.0, 44.0
            channel.response.instrument_sensitivity.value = 5.0
    inventory.write(stations, format="STATIONXML")
    files = [record("A"), record("B")]
    report = ces.convert([files[0]], store, stations=stations, event=quake)
    assert (report.version, report.unchanged) == (3, False)
    node = ces.open_store(store)["windows/main/observed/100Hz"]
    assert node["azimuth"].values.ravel().tolist() == [33.0, 0.0]  # B was not asked for
    assert node["sensitivity"].values.ravel().tolist() == [5.0, 1e9]
    assert node["latitude"].values[0] == 44.0
    assert ces.convert([files[0]], store, stations=stations, event=quake).unchanged
    ces.convert(files, store, stations=stations, event=quake)
    node = ces.open_store(store)["windows/main/observed/100Hz"]
    assert node["azimuth"].values.ravel().tolist() == [33.0, 33.0]
    old = ces.open_store(f"{store}@2")["windows/main/observed/100Hz"]
    assert old["azimuth"].values.ravel().tolist() == [0.0, 0.0]


def test_metadata_that_make_another_quantity_of_the_samples(store, record, stations, quake):
    import obspy

    inventory = obspy.read_inventory(stations)
    for station in inventory[0]:
        for channel in station:
            channel.response.instrument_sensitivity.output_units = "M/S"
    inventory.write(stations, format="STATIONXML")
    ces.convert([record("A"), record("B")], store, stations=stations, event=quake)
    node = ces.open_store(store)["windows/main/observed/100Hz"].to_dataset()
    assert "velocity" in node and "counts" not in node
    assert len(ces.to_stream(store)) == 2
