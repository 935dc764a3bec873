"""Runs that are killed: the next one does what is missing, and ends the same."""

from __future__ import annotations

import _thread
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from clusters import kept

import pangeo_ces as ces
from pangeo_ces import unfinished
from pangeo_ces.blocks import consolidate
from pangeo_ces.store.open import lazy_names
from pangeo_ces.unfinished import FOLDER, resumable

EVENTS, STATIONS = 4, 4
#: A rapid assessment whose blocks take their time, so that it can be killed half-way.
SLOW = """
import sys, time
import pangeo_ces as ces
from pangeo_ces import unfinished

at_once = unfinished._save

def slowly(*block_and_place):
    time.sleep(0.3)
    return at_once(*block_and_place)

unfinished._save = slowly
with ces.connect({cluster!r}):
    ces.{run}({store!r}, {output!r}, **{parameters!r})
"""
MOTION = {"freqmin": 0.5, "freqmax": 5.0, "quantity": "velocity"}
MISFIT = {"min_period": 1.0, "max_period": 5.0, "measures": ["cc_traveltime"], "panels": 1}


def earthquakes(events: int, seed: int = 0) -> xr.Dataset:
    """Noisy records of earthquakes, a shard for each station."""
    ds = ces.testing.synthetic_windows(
        events=events, stations=STATIONS, samples=1200, sampling_rate=20.0, quantity="velocity"
    )
    noise = np.random.default_rng(seed).standard_normal(ds["velocity"].shape)
    strength = 0.05 * float(ds["velocity"].std())
    ds["velocity"] = ds["velocity"] + (strength * noise).astype("f4")
    shape = (events, ds.sizes["station"])
    known = {
        "event_depth": ("event", np.full(events, 8e3)),
        "magnitude": ("event", np.full(events, 5.0)),
        "event_name": ("event", ds["event"].values),
        "epicentral_distance": (("event", "station"), np.full(shape, 3e4)),
    }
    return ds.assign_coords(known).chunk({"event": 1, "station": 1})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Records and simulations of earthquakes, a shard for each station."""
    made = {}
    for side, seed in (("observed", 0), ("synthetic/model", 1)):
        made[f"windows/main/{side}/20Hz"] = earthquakes(EVENTS, seed)
    place = str(tmp_path_factory.mktemp("unfinished") / "many.zarr")
    ces.write(xr.DataTree.from_dict(made), place)
    return place


def killed(
    run: str, store: str, output: Path, parameters: dict, blocks: int, cluster: str = "threads"
) -> int:
    """Start a run, kill it once so many blocks are there, and count them."""
    given = {"store": store, "output": str(output), "parameters": parameters, "cluster": cluster}
    code = SLOW.format(run=run, **given)
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ)
    deadline = time.monotonic() + 120
    try:
        while len(left(output)) < blocks:
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return len(left(output))


def left(output: Path) -> list[Path]:
    return sorted((output / FOLDER).rglob("*.npy"))


@pytest.mark.parametrize(
    "run, product, parameters",
    [("run_rapid_assessment", "peak_motion.zarr", MOTION), ("run_misfit", "misfit.zarr", MISFIT)],
)
def test_a_killed_run_goes_on_and_ends_the_same(run, product, parameters, store, tmp_path):
    whole = getattr(ces, run)(store, tmp_path / "whole", **parameters)
    assert whole.report["resumed_blocks"] == 0
    there = killed(run, store, tmp_path / "again", parameters, blocks=EVENTS)
    times = {file: file.stat().st_mtime_ns for file in left(tmp_path / "again")}
    again = getattr(ces, run)(store, tmp_path / "again", **parameters)
    assert again.report["resumed_blocks"] == there == len(times)
    assert not (tmp_path / "again" / FOLDER).exists()
    one, other = (ces.open_store(str(tmp_path / name / product)) for name in ("whole", "again"))
    for node in one.subtree:
        here, there_ = node.to_dataset(), other[node.path].to_dataset()
        xr.testing.assert_identical(here.load(), there_.load())
    assert {Path(f).name for f in whole.files} == {Path(f).name for f in again.files}


def test_a_client_that_dies_leaves_its_cluster_to_the_next(store, tmp_path):
    """The scheduler outlives the client, forgets its tasks, and the next client goes on."""
    whole = ces.run_rapid_assessment(store, tmp_path / "whole", cluster="threads", **MOTION)
    output = tmp_path / "again"
    with kept(tmp_path, workers=2) as (address, server):
        there = killed("run_rapid_assessment", store, output, MOTION, EVENTS, cluster=address)
        again = ces.run_rapid_assessment(store, output, cluster=address, **MOTION)
        assert server.poll() is None
        with ces.connect(address) as connection:
            assert not connection.client.who_has()
    assert there <= again.report["resumed_blocks"] < EVENTS * STATIONS * 2
    assert not (output / FOLDER).exists()
    for node in whole.product.subtree:
        xr.testing.assert_identical(node.to_dataset(), again.product[node.path].to_dataset())


def test_ctrl_c_and_once_more_in_one_session(store, tmp_path):
    """As in a notebook: the cluster stays, and may still know tasks of the first run."""
    whole = ces.run_misfit(store, tmp_path / "whole", cluster="synchronous", **MISFIT)
    output = tmp_path / "again"

    def slow_down():
        at_once = unfinished._save

        def slowly(*block_and_place):
            time.sleep(0.3)
            return at_once(*block_and_place)

        unfinished._save = slowly

    def interrupt():
        while len(left(output)) < EVENTS * STATIONS:
            time.sleep(0.03)
        _thread.interrupt_main()

    with ces.connect("local", workers=1) as connection:
        connection.client.run(slow_down)
        threading.Thread(target=interrupt, daemon=True).start()
        # Held, as a notebook holds it.
        with pytest.raises(KeyboardInterrupt) as held:
            ces.run_misfit(store, output, **MISFIT)
        again = ces.run_misfit(store, output, **MISFIT)
        assert held.traceback
    assert again.report["resumed_blocks"] >= EVENTS * STATIONS
    for node in whole.product.subtree:
        xr.testing.assert_identical(node.to_dataset(), again.product[node.path].to_dataset())


@pytest.fixture
def values():
    """Results of four blocks, and how many of them were computed."""
    computed = []

    def block(x):
        computed.append(x[0, 0])
        return 2 * x

    data = da.from_array(np.arange(8.0).reshape(4, 2), chunks=(1, 2))
    array = xr.DataArray(
        data.map_blocks(block, dtype=float, meta=np.empty((0, 0))), dims=("a", "b")
    )
    return array, computed


def interrupted(folder, array, *depends) -> None:
    """A run that ends when all of the array is computed, and before it has done its work."""

    def run() -> None:
        with resumable(folder, *depends):
            consolidate(array).compute()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()


def test_blocks_are_kept_until_the_run_ends_well(values, tmp_path):
    array, computed = values
    interrupted(tmp_path, array[:2], 1)
    assert len(left(tmp_path)) == len(computed) == 2
    with resumable(tmp_path, 1) as run:
        result = consolidate(array).compute()
        assert run.used == 2
    np.testing.assert_array_equal(result, 2 * np.arange(8.0).reshape(4, 2))
    assert sorted(computed) == [0, 2, 4, 6], "what was there is computed once more, or is missing"
    assert not (tmp_path / FOLDER).exists()


def test_what_depends_on_something_else_is_computed_and_the_old_removed(values, tmp_path):
    array, computed = values
    interrupted(tmp_path, array, {"freqmax": 5.0})
    with resumable(tmp_path, {"freqmax": 4.0}) as run:
        consolidate(array).compute()
        assert run.used == 0
    assert len(computed) == 8
    assert not (tmp_path / FOLDER).exists()


def test_the_names_of_samples_change_with_the_version_of_a_store(tmp_path):
    place = tmp_path / "store.zarr"
    names = []
    for factor in (1, 2):
        ds = earthquakes(1)
        ds = ds.assign(velocity=ds["velocity"] * factor)
        tree = xr.DataTree.from_dict({"windows/main/observed/20Hz": ds})
        ces.write(tree, place, overwrite=True)
        names.append(lazy_names(ces.open_store(place)))
    assert names[0] != names[1] == lazy_names(ces.open_store(place))
    assert lazy_names(ces.open_store(f"{place}@1")) == names[0]


def test_a_damaged_block_is_a_clear_error(values, tmp_path):
    array, _ = values
    interrupted(tmp_path, array)
    left(tmp_path)[0].write_bytes(b"\x93NUMPY")
    with (
        pytest.raises(ces.errors.StoreError, match=rf"cannot be read.*remove .*{FOLDER}"),
        resumable(tmp_path),
    ):
        consolidate(array).compute()


def test_a_place_that_cannot_be_written_loses_nothing_but_the_resuming(
    values, tmp_path, monkeypatch
):
    def refused(address, content):
        raise ces.errors.InputError(f"cannot write {address}: choose another folder")

    monkeypatch.setattr(unfinished, "write_bytes", refused)
    with resumable(tmp_path):
        result = consolidate(values[0]).compute()
    np.testing.assert_array_equal(result, 2 * np.arange(8.0).reshape(4, 2))


def test_outside_of_a_run_nothing_is_written(values, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    consolidate(values[0]).compute()
    assert not list(tmp_path.iterdir())
