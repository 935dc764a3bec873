"""The catalogue in ``catalogs/``: made by the tool, and good for what it says."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.catalog import open_catalog

KEPT = Path(__file__).parents[2] / "catalogs"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Store and catalogue made anew."""
    folder = tmp_path_factory.mktemp("catalogs")
    runpy.run_path(str(KEPT / "build.py"))["build"](folder)
    return folder


def test_is_what_the_tool_writes(made):
    names = [
        {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
        for root in (KEPT / "german_events", made / "german_events")
    ]
    assert names[0] == names[1], "make it again: python catalogs/build.py"


def test_is_valid(check):
    assert check(KEPT / "german_events") == 6


def test_opens(made, tmp_path):
    shutil.copytree(KEPT / "german_events", tmp_path / "german_events")
    shutil.copytree(made / "german_events.zarr", tmp_path / "german_events.zarr")
    found = open_catalog(tmp_path / "german_events").search(event="germany", station="C*")
    assert len(found) == 2
    store = ces.open_store(f"{made}/german_events.zarr@v1")
    for path, ds in ces.waveforms(found.open(), ""):
        assert ds.station.values.tolist()[0].startswith("GR.CLZ.")
        wanted = store[path].to_dataset().sel(event=["20020722T054504"], station=ds.station.values)
        xr.testing.assert_identical(ds.compute(), wanted.compute())
