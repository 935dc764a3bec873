"""Runs that are killed: the next one does what is missing, and ends the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.unfinished import FOLDER

EVENTS = 30
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
with ces.connect("threads", workers=2):
    ces.{run}({store!r}, {output!r}, **{parameters!r})
"""
MOTION = {"freqmin": 0.5, "freqmax": 5.0, "quantity": "velocity"}
MISFIT = {"min_period": 1.0, "max_period": 5.0, "measures": ["cc_traveltime"], "panels": 1}


def earthquakes(events: int, seed: int = 0) -> xr.Dataset:
    """Noisy records of many earthquakes, a shard each."""
    ds = ces.testing.synthetic_windows(
        events=events, stations=3, samples=1200, sampling_rate=20.0, quantity="velocity"
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
    return ds.assign_coords(known).chunk({"event": 1})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Records and simulations of many earthquakes, a shard each."""
    made = {}
    for side, seed in (("observed", 0), ("synthetic/model", 1)):
        made[f"windows/main/{side}/20Hz"] = earthquakes(EVENTS, seed)
    place = str(tmp_path_factory.mktemp("unfinished") / "many.zarr")
    ces.write(xr.DataTree.from_dict(made), place)
    return place


def killed(run: str, store: str, output: Path, parameters: dict, blocks: int) -> int:
    """Start a run, kill it once so many blocks are there, and count them."""
    code = SLOW.format(run=run, store=store, output=str(output), parameters=parameters)
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
    there = killed(run, store, tmp_path / "again", parameters, blocks=EVENTS // 3)
    times = {file: file.stat().st_mtime_ns for file in left(tmp_path / "again")}
    again = getattr(ces, run)(store, tmp_path / "again", **parameters)
    assert again.report["resumed_blocks"] == there == len(times)
    assert not (tmp_path / "again" / FOLDER).exists()
    one, other = (ces.open_store(str(tmp_path / name / product)) for name in ("whole", "again"))
    for node in one.subtree:
        here, there_ = node.to_dataset(), other[node.path].to_dataset()
        xr.testing.assert_identical(here.load(), there_.load())
    assert {Path(f).name for f in whole.files} == {Path(f).name for f in again.files}


def test_other_parameters_use_nothing_of_what_was_left(store, tmp_path):
    killed("run_rapid_assessment", store, tmp_path, MOTION, blocks=2)
    outcome = ces.run_rapid_assessment(store, tmp_path, **MOTION | {"freqmax": 4.0})
    assert outcome.report["resumed_blocks"] == 0
    assert not (tmp_path / FOLDER).exists(), "what no run will use any more stays"


def test_a_new_version_of_the_store_uses_nothing_of_what_was_left(tmp_path):
    place = tmp_path / "store.zarr"
    ds = earthquakes(6)
    ces.write(xr.DataTree.from_dict({"windows/main/observed/20Hz": ds}), place)
    there = killed("run_rapid_assessment", str(place), tmp_path / "out", MOTION, blocks=2)
    assert there >= 2
    doubled = ds.assign(velocity=ds["velocity"] * 2)
    ces.write(xr.DataTree.from_dict({"windows/main/observed/20Hz": doubled}), place, overwrite=True)
    outcome = ces.run_rapid_assessment(place, tmp_path / "out", **MOTION)
    assert outcome.report["resumed_blocks"] == 0


def test_a_damaged_block_is_a_clear_error(store, tmp_path):
    killed("run_rapid_assessment", store, tmp_path, MOTION, blocks=2)
    left(tmp_path)[0].write_bytes(b"\x93NUMPY")
    with pytest.raises(ces.errors.StoreError, match=rf"cannot be read.*remove .*{FOLDER}"):
        ces.run_rapid_assessment(store, tmp_path, **MOTION)


def test_a_place_that_cannot_be_written_loses_nothing_but_the_resuming(
    store, tmp_path, monkeypatch
):
    from pangeo_ces import unfinished

    def refused(address, content):
        raise PermissionError(address)

    monkeypatch.setattr(unfinished, "_write", refused, raising=True)
    outcome = ces.run_rapid_assessment(store, tmp_path, **MOTION)
    assert outcome.report["counts"]["used"] > 0


def test_the_report_is_json_with_the_number(store, tmp_path):
    ces.run_rapid_assessment(store, tmp_path, **MOTION)
    assert json.loads((tmp_path / "report.json").read_text())["resumed_blocks"] == 0
