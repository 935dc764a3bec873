"""Conversion: reports, faults, idempotence, two sides in one store."""

from __future__ import annotations

import json
import os

import dask
import numpy as np
import obspy
import pytest
import xarray as xr
import zarr

import pangeo_ces as ces
from pangeo_ces.errors import InputError, ParameterError, StoreError
from pangeo_ces.sources import SourceFile, mseed
from pangeo_ces.store.report import Report
from pangeo_ces.store.urls import root_group
from pangeo_ces.testing import assert_conforms, assert_lazy


def test_one_schema_for_both_sides(tmp_path):
    tree = ces.open_store(ces.samples.german_events(str(tmp_path / "s.zarr")))
    nodes = dict(ces.waveforms(tree, ""))
    assert list(nodes) == ["windows/main/observed/20Hz", "windows/main/synthetic/specfem/2.5Hz"]
    for ds in nodes.values():
        assert_conforms(ds)
        assert_lazy(ds)
        np.testing.assert_array_equal(ds["event"], tree["windows/main"]["event"])
    observed, synthetic = nodes.values()
    assert set(observed.coords) - {"time"} == set(synthetic.coords) - {"time"}
    assert observed["counts"].dtype == observed["counts"].compute().dtype == "float32"
    assert float(synthetic["azimuth"].sel(component="N").min()) > 0.8  # UTM grid, not true, north
    distance = observed["epicentral_distance"].sel(station="GR.TNS..HH").values[0]
    assert distance == pytest.approx(178e3, abs=1e3)


def test_counts_stay_counts_and_metadata_ride_along(tmp_path):
    store = ces.samples.german_events(str(tmp_path / "s.zarr"))
    root = root_group(store)
    raw = root["windows/main/observed/20Hz/counts"]
    assert raw.dtype == "int32"
    stream = obspy.read(ces.samples.path("german_events/observed/GR.mseed"))
    assert int(np.asarray(raw[:]).max()) == max(tr.data.max() for tr in stream)
    import io

    xml = bytes(np.asarray(root["metadata/windows/main/observed/stationxml"][:]))
    assert len(obspy.read_inventory(io.BytesIO(xml))[0]) == 5
    quakes = bytes(np.asarray(root["metadata/windows/main/observed/quakeml"][:]))
    assert len(obspy.read_events(io.BytesIO(quakes))) == 3


def test_again_changes_nothing(tmp_path, record, stations, quake):
    paths, store = [record("A"), record("B")], tmp_path / "s.zarr"
    ces.convert(paths, store, stations=stations, event=quake)
    before = ces.history(store)
    report = ces.convert(paths, store, stations=stations, event=quake)
    assert report.unchanged
    assert ces.history(store) == before


def test_other_files_are_added_or_replace(tmp_path, record, stations, quake):
    store = tmp_path / "s.zarr"
    ces.convert([record("A")], store, stations=stations, event=quake)
    ces.convert([record("B")], store, stations=stations, event=quake)

    def labels(version=""):
        node = ces.open_store(f"{store}{version}")["windows/main/observed/100Hz"]
        return node["station"].values.tolist()

    assert labels() == ["XX.A..HH", "XX.B..HH"]
    ces.convert([record("C")], store, stations=stations, event=quake, overwrite=True)
    assert labels() == ["XX.C..HH"]
    assert labels("@2") == ["XX.A..HH", "XX.B..HH"]
    assert labels("@1") == ["XX.A..HH"]


def test_two_runs_of_a_model_need_two_names(tmp_path, record, stations, quake):
    store = tmp_path / "s.zarr"
    one = record("A", name="one.mseed", data=np.arange(2000, dtype="int32"))
    two = record("A", name="two.mseed", data=np.arange(2000, dtype="int32") + 1)
    ces.convert([one], store, stations=stations, event=quake, as_="synthetic/x")
    with pytest.raises(StoreError, match="--overwrite"):
        ces.convert([two], store, stations=stations, event=quake, as_="synthetic/x")
    ces.convert([two], store, stations=stations, event=quake, as_="synthetic/x", overwrite=True)


def test_new_events_extend_the_axis(tmp_path, record, stations, catalog_of, origin):
    """A later conversion with more events leaves what is there where it was."""
    store = tmp_path / "s.zarr"
    first = catalog_of("one.xml", origin)
    ces.convert([record("A"), record("B")], store, stations=stations, event=first)
    before = ces.open_store(store)["windows/main/observed/100Hz"].to_dataset().load()
    later = origin + 86400
    both = catalog_of("two.xml", origin, later)
    more = [record("C", start=86390.0), record("C", start=-5.0, name="c2.mseed")]
    ces.convert(more, store, stations=stations, event=both, as_="synthetic/other")
    tree = ces.open_store(store)
    after = tree["windows/main/observed/100Hz"].to_dataset()
    assert after.sizes["event"] == 2
    kept = after.isel(event=[0]).load()
    xr.testing.assert_equal(kept["counts"], before["counts"])
    np.testing.assert_array_equal(kept["data_start"], before["data_start"])
    assert after["counts"].isel(event=1).isnull().all()
    assert_conforms(after)
    assert after["epicentral_distance"].isel(event=1).notnull().all()
    again = ces.convert([record("A"), record("B")], store, stations=stations, event=first)
    assert again.unchanged


def test_report_has_a_row_for_everything_refused(tmp_path, record, stations, quake):
    good = record("A")
    folder = good.parent
    (folder / "empty.mseed").write_bytes(b"")
    (folder / "page.mseed").write_text("<html><body>404</body></html>")
    (folder / "notes.txt").write_text("about these data")
    whole = record("B").read_bytes()
    (folder / "B.Z.mseed").write_bytes(whole[: len(whole) - 700])
    record("X")  # no such station
    record("C", start=-40000.0)  # long before the event
    report = ces.convert(folder, tmp_path / "s.zarr", stations=stations, event=quake)
    rows = {(os.path.basename(r.file), r.status): r for r in report.rows}
    assert ("empty.mseed", "rejected") in rows
    assert ("page.mseed", "rejected") in rows
    assert ("notes.txt", "ignored") in rows
    assert ("B.Z.mseed", "warning") in rows
    assert "no station metadata" in rows["X.Z.mseed", "rejected"].reason
    assert "no event" in rows["C.Z.mseed", "rejected"].reason
    assert report.traces_used == 2
    json.dumps(report.to_dict())


def test_gaps_overlaps_and_mixed_rates(tmp_path, record, stations, quake):
    random = np.random.default_rng(1)
    base = random.integers(-999, 999, 3000, "int32")
    parts = [
        record("A", start=-10, data=base[:1000], name="1.mseed"),
        record("A", start=5, data=base[1500:2500], name="2.mseed"),  # gap of 5 s before
        record("A", start=10, data=base[2000:3000] + 1, name="3.mseed"),  # disagrees for 5 s
        record("B", rate=200.0, samples=4000, name="4.mseed"),
    ]
    report = ces.convert(parts, tmp_path / "s.zarr", stations=stations, event=quake)
    facts = {n["path"]: n for n in ces.inspect_store(tmp_path / "s.zarr")["nodes"]}
    assert set(facts) == {"windows/main/observed/100Hz", "windows/main/observed/200Hz"}
    mixed = facts["windows/main/observed/100Hz"]
    assert (mixed["gaps"], mixed["missing_samples"]) == (1, 500)
    assert (mixed["overlaps"], mixed["differing_overlaps"]) == (1, 1)
    assert any("different samples" in row.reason for row in report.rows)
    ds = ces.open_store(tmp_path / "s.zarr")["windows/main/observed/100Hz"].to_dataset()
    values = ds["counts"].isel(event=0, station=0, component=0).values
    np.testing.assert_array_equal(values[:1000], base[:1000])
    assert np.isnan(values[1000:1500]).all()
    np.testing.assert_array_equal(values[1500:2500], base[1500:2500])  # the first keeps the grid
    np.testing.assert_array_equal(values[2500:3000], base[2500:3000] + 1)


def test_sub_sample_start_is_kept(tmp_path, record, stations, quake):
    ces.convert([record("A", start=-10.0037)], tmp_path / "s.zarr", stations=stations, event=quake)
    ds = ces.open_store(tmp_path / "s.zarr")["windows/main/observed/100Hz"].to_dataset()
    assert float(ds["time_offset"].item()) == pytest.approx(-0.0037, abs=1e-9)
    assert float(ds["time"][0]) == -10.0


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"inputs": "nowhere/*.mseed"}, InputError, "nowhere"),
        ({"stations": "missing.xml"}, InputError, "missing.xml.*--stations"),
        ({"event": "missing.xml"}, InputError, "missing.xml"),
        ({"as_": "simulated"}, ParameterError, "observed.*synthetic/NAME"),
        ({"as_": "synthetic/../x"}, ParameterError, "synthetic/NAME"),
        ({"name": "a/b"}, ParameterError, "letters"),
        ({"stations": None}, InputError, "no station metadata"),
    ],
)
def test_misuse_ends_with_the_fix(tmp_path, record, stations, quake, change, error, says):
    call = {"inputs": [record("A")], "store": tmp_path / "s.zarr", "stations": stations,
            "event": quake} | change  # fmt: skip
    with pytest.raises(error, match=says):
        ces.convert(**call)
    assert not (tmp_path / "s.zarr").exists()


def test_hostile_files_give_rows_never_exceptions(tmp_path, data):
    """Every file of the hostile collection ends in traces or in a row."""
    folder = data("06_hostile")
    report = Report()
    with pytest.raises(InputError, match="nothing could be used"):
        ces.convert(folder, tmp_path / "s.zarr", report=report)
    assert report.files_read + len({r.file for r in report.rows if not r.trace}) >= 50
    assert all(row.reason and "\n" not in row.reason for row in report.rows)
    assert not any("Traceback" in row.reason for row in report.rows)


@pytest.mark.parametrize("url", ["/nonexistent/x.zarr", "memory://nothing-here", "s3x://a/b"])
def test_unreadable_store(url):
    with pytest.raises(StoreError, match="check|use a path"):
        ces.open_store(url)


def test_file_that_is_no_store(tmp_path):
    (tmp_path / "x.zarr").write_text("hello")
    with pytest.raises(StoreError):
        ces.open_store(tmp_path / "x.zarr")
    zarr.open_group(tmp_path / "y.zarr", mode="w")
    with pytest.raises(StoreError, match="no CES store"):
        ces.open_store(tmp_path / "y.zarr")


def test_a_long_file_is_read_once_and_decoded_in_parts(tmp_path, day, places, monkeypatch):
    """A file of many shards: its bytes are kept, not its samples."""
    path = day(0, seconds=5 * 86_400)
    plan = ces.plan(path, stations=places)
    for node in plan.nodes:
        node["chunks"], node["shards"] = [1, 1, 3600], [1, 1, 86_400]
    read, decoded = [], []
    content, whole = SourceFile.content.fget, mseed._samples

    def noted(self):
        read.append(self._content is None)
        return content(self)

    monkeypatch.setattr(SourceFile, "content", property(noted))
    monkeypatch.setattr(mseed, "_samples", lambda *args: (decoded.append(1), whole(*args))[1])
    with dask.config.set(scheduler="synchronous"):
        ces.convert(plan, tmp_path / "s")
    assert sum(read) <= 2  # before the first partition, and in it
    assert not decoded
    counts = ces.open_store(tmp_path / "s")["continuous/1Hz"]["counts"][0, 0].values
    np.testing.assert_array_equal(counts, obspy.read(path)[0].data)
