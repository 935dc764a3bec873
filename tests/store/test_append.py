"""More data into a store: the same as all at once, and no shard written that has nothing new."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pangeo_ces as ces
from pangeo_ces.archive.archive import Archive
from pangeo_ces.errors import StoreError
from pangeo_ces.store.report import Report
from pangeo_ces.store.steps import begin, publish
from pangeo_ces.store.traces import read_traces, segment_table
from pangeo_ces.store.work import run_partition

DAY = 86_400


def convert(paths, store, places):
    """With shards of a day, which ``convert`` would choose at 100 Hz."""
    plan = ces.plan(paths, stations=places, store=store)
    for node in plan.nodes:
        node["chunks"], node["shards"] = [1, 1, 3600], [1, len(node["components"]), DAY]
    return ces.convert(plan, store)


def same(one, two):
    """Two stores hold the same, whatever the order of their stations."""
    first, second = (dict(ces.waveforms(ces.open_store(url), "")) for url in (one, two))
    assert set(first) == set(second)
    for path, ds in first.items():
        other = second[path].sel(station=ds["station"], component=ds["component"])
        start = max(int(d["time"][0].astype("int64")) if "event" not in d.dims else 0
                    for d in (ds, other))  # fmt: skip
        if "event" not in ds.dims:  # both from the first day with data
            cut = slice(np.datetime64(start, "ns"), None)
            ds, other = ds.sel(time=cut), other.sel(time=cut)
        for name in ("counts", "azimuth", "sensitivity", "recorded", "time_offset"):
            np.testing.assert_array_equal(ds[name].values, other[name].values, name)
    traces = [
        sorted((t.id, t.start, str(t.data.dtype), t.data.tobytes()) for t in read_traces(url))
        for url in (one, two)
    ]  # fmt: skip
    assert traces[0] == traces[1]


class Objects:
    """How many shards were written since it was last asked; tables are smaller than any."""

    def __init__(self, store):
        self.folder = store / "chunks"
        self.known = self.large()

    def large(self):
        if not self.folder.exists():
            return set()
        return {p.name for p in self.folder.iterdir() if p.stat().st_size > 5000}

    def new(self) -> int:
        before, self.known = self.known, self.large()
        return len(self.known - before)


def test_a_new_day_touches_a_new_shard_only(tmp_path, day, places):
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    convert([day(0), day(0, "B")], grown, places)
    objects = Objects(grown)
    convert([day(1)], grown, places)
    assert objects.new() == 1
    convert([day(0), day(0, "B"), day(1)], whole, places)
    same(grown, whole)
    assert [row["version"] for row in ces.history(grown)] == [1, 2]


@pytest.mark.parametrize(
    "more",
    [(0, "C", "Z"), (0, "A", "N"), (-3, "A", "Z"), (-1, "C", "E"), (2, "A", "Z")],
    ids=["station", "component", "earlier", "all-new", "later-with-a-gap"],
)
def test_grown_equals_whole(tmp_path, day, places, more):
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    before = [day(0), day(0, "B")]
    convert(before, grown, places)
    objects = Objects(grown)
    convert([day(*more)], grown, places)
    assert objects.new() == 1
    convert([*before, day(*more)], whole, places)
    same(grown, whole)
    at_first = ces.open_store(f"{grown}@1")["continuous/1Hz"].to_dataset()
    assert at_first["station"].values.tolist() == ["XX.A..LH", "XX.B..LH"]
    assert at_first.sizes["time"] == DAY


def test_late_data_fill_a_gap_of_a_day(tmp_path, day, places):
    morning, noon, evening = (day(0, seconds=1000, first=f) for f in (0, 43000, 80000))
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    convert([morning, evening], grown, places)
    convert([noon], grown, places)
    convert([morning, noon, evening], whole, places)
    same(grown, whole)


def test_late_data_that_disagree_spill_as_if_all_were_new(tmp_path, day, places):
    parts = [day(0, seconds=3000, first=f, seed=f) for f in (1000, 0, 2000)]
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    for part in parts:
        convert([part], grown, places)
    convert(parts, whole, places)
    same(grown, whole)
    assert segment_table(grown, "continuous/1Hz").sizes["spill"] == 2


@settings(max_examples=15, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(order=st.permutations(range(5)), cuts=st.sets(st.integers(1, 4)))
def test_any_order_and_any_steps_end_the_same(tmp_path_factory, day, places, order, cuts):
    folder = tmp_path_factory.mktemp("orders")
    files = [
        day(0),
        day(1, seconds=5000),
        day(0, "B", "N"),
        day(1, first=4000, seconds=3000, seed=3),
        day(-1, first=80000, seconds=9000),
    ]
    edges = [0, *sorted(cuts), 5]
    for low, high in itertools.pairwise(edges):
        convert([files[i] for i in order[low:high]], folder / "grown", places)
    convert(files, folder / "whole", places)
    same(folder / "grown", folder / "whole")


def test_a_file_with_other_bytes_replaces_what_came_of_it(tmp_path, day, places):
    store, fresh = tmp_path / "s", tmp_path / "fresh"
    files = [day(0), day(1), day(1, "B")]
    convert(files, store, places)
    objects = Objects(store)
    day(1, seed=99)
    convert(files, store, places)
    assert objects.new() == 1
    convert(files, fresh, places)
    same(store, fresh)
    rows = {row.name.rpartition("/")[2]: row.state for row in ces.diff(f"{store}@1", f"{store}@2")}
    assert rows == {"A.Z.1.0.mseed": "updated"}


def test_an_archive_that_changed_at_the_provider(tmp_path, day, places):
    """Stage, convert; the provider corrects, removes and adds; stage and convert again."""
    archive, store = tmp_path / "archive", tmp_path / "s"
    folder = tmp_path / "in"
    for number in (0, 1, 2):
        day(number)
    ces.stage_files(archive, [folder])
    convert(f"{archive}@1", store, places)
    before = ces.open_store(store)["continuous/1Hz"].to_dataset()["counts"].load()
    day(1, seed=77)
    (folder / "A.Z.2.0.mseed").unlink()
    day(3)
    ces.stage_files(archive, [folder])
    convert(archive, store, places)
    fresh = tmp_path / "fresh"
    convert(sorted(folder.iterdir()), fresh, places)
    after, right = (ces.open_store(s)["continuous/1Hz"].to_dataset() for s in (store, fresh))
    xr.testing.assert_equal(after["counts"], right["counts"])
    again = ces.open_store(f"{store}@1")["continuous/1Hz"].to_dataset()["counts"]
    xr.testing.assert_equal(again, before)
    states = [row.state for row in ces.diff(f"{store}@1", f"{store}@2")]
    assert states == ["updated", "removed", "new"]
    assert len(Archive(archive).stages()) == 2
    # Last year's result again, from last year's bytes.
    convert(f"{archive}@1", tmp_path / "remade", places)
    remade = ces.open_store(tmp_path / "remade")["continuous/1Hz"].to_dataset()["counts"]
    xr.testing.assert_equal(remade, before)


def test_windows_grow_by_events_stations_and_time(tmp_path, record, stations, catalog_of, origin):
    later = origin + DAY
    event = catalog_of("e.xml", origin, later)
    steps = [
        [record("A"), record("B")],
        [record("C", component="N")],
        [record("A", start=DAY - 10, name="later.mseed")],
        [record("B", component="E", start=-30.0, samples=9000)],
    ]
    for step in steps:
        ces.convert(step, tmp_path / "grown", stations=stations, event=event)
    ces.convert([*itertools.chain(*steps)], tmp_path / "whole", stations=stations, event=event)
    same(tmp_path / "grown", tmp_path / "whole")


def test_a_wider_dtype_later(tmp_path, listed, make_trace):
    listed.files = {
        "a.list": [make_trace(np.array([1, 2, -(2**31)], "int32"), 10**18)],
        "b.list": [make_trace(np.array([2**40, 5], "int64"), 10**18 + 2 * 10**10)],
    }
    for name in listed.files:
        (tmp_path / name).write_text(name)
        ces.convert(tmp_path / name, tmp_path / "s")
    values = sorted(tuple(trace.data.tolist()) for trace in read_traces(tmp_path / "s"))
    assert values == [(1, 2, -(2**31)), (2**40, 5)]


def test_an_odd_interval_grows_backwards(tmp_path, listed, make_trace):
    """No whole number of samples a day: labels stay exact."""
    interval = Fraction(63396327, 500_000_000)
    data = np.arange(50, dtype="int32")
    late, early = 10**18, 10**18 - 40 * DAY * 10**9
    listed.files = {
        "a.list": [make_trace(data, late, interval)],
        "b.list": [make_trace(data + 100, early, interval)],
    }
    for name in listed.files:
        (tmp_path / name).write_text(name)
        ces.convert(tmp_path / name, tmp_path / "s")
    traces = sorted(read_traces(tmp_path / "s"), key=lambda t: t.start)
    assert [t.start for t in traces] == [early, late]
    (node,) = [ds for _, ds in ces.waveforms(ces.open_store(tmp_path / "s"), "")]
    found = np.flatnonzero(np.isfinite(node["counts"][0, 0].values))
    for index, start in zip((found[0], found[50]), (early, late), strict=True):
        label = int(node["time"][int(index)].values.astype("int64"))
        assert abs(label - start) <= interval * 10**9 / 2


def test_a_version_cannot_be_written(tmp_path, day, places):
    with pytest.raises(ces.errors.CesError, match="never change"):
        ces.convert([day(0)], f"{tmp_path}/s@1", stations=places)


def test_two_writers_one_wins_the_other_can_retry(tmp_path, day, places):
    store = tmp_path / "s"
    convert([day(0)], store, places)
    plans = [ces.plan([day(0, name)], stations=places) for name in "BC"]
    jobs = [begin(plan, store) for plan in plans]
    for job in jobs:
        for number in range(job.partitions):
            run_partition(job.work, number)
    assert ces.open_store(store)["continuous/1Hz"].sizes["station"] == 1  # nothing is seen yet
    publish(jobs[0], Report(traces_used=1))
    with pytest.raises(StoreError, match="meanwhile: run this again"):
        publish(jobs[1], Report(traces_used=1))
    ces.convert(plans[1], store)
    assert sorted(ces.open_store(store)["continuous/1Hz"]["station"].values) == [
        "XX.A..LH", "XX.B..LH", "XX.C..LH",
    ]  # fmt: skip


@pytest.mark.parametrize("there", [True, False], ids=["grown", "first"])
def test_a_version_that_comes_while_another_is_arranged(tmp_path, day, places, monkeypatch, there):
    """What was arranged for one state of a store is never written onto another."""
    from pangeo_ces.store import steps

    store = tmp_path / "s"
    if there:
        convert([day(0)], store, places)
    plans = [ces.plan([day(0, name)], stations=places) for name in "BC"]
    arrange = steps.arrange

    def slowly(*words):
        monkeypatch.setattr(steps, "arrange", arrange)
        arranged = arrange(*words)
        ces.convert(plans[1], store)  # somebody else is faster
        return arranged

    monkeypatch.setattr(steps, "arrange", slowly)
    with pytest.raises(StoreError, match="meanwhile: run this again"):
        ces.convert(plans[0], store)
    ces.convert(plans[0], store)
    stations = ces.open_store(store)["continuous/1Hz"]["station"].values
    assert {s.split(".")[1] for s in stations} == {"B", "C"} | ({"A"} if there else set())
