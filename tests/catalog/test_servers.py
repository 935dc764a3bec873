"""Catalogues on real servers: S3, and a plain web server."""

from __future__ import annotations

import functools
import http.server
import threading

import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.catalog import build_catalog, open_catalog
from pangeo_ces.errors import StoreError


@pytest.fixture
def bucket(seaweedfs, monkeypatch):
    import s3fs

    for name, value in seaweedfs.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    fs = s3fs.S3FileSystem()
    if not fs.exists("ces-catalog"):
        fs.mkdir("ces-catalog")
    yield "s3://ces-catalog"
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.service
def test_s3(bucket, quakes, seaweedfs, tmp_path):
    store, sample = f"{bucket}/quakes.zarr", ces.samples.path("german_events")
    ces.convert(sample / "observed", store, stations=sample / "stations.xml",
                event=sample / "events.xml")  # fmt: skip
    assert build_catalog([store, quakes[0]], f"{bucket}/stac").items == 9
    built = build_catalog(store, f"{bucket}/stac")
    assert (built.items, built.removed) == (3, 12)
    assert build_catalog(store, f"{bucket}/stac").written == 0
    found = open_catalog(f"{bucket}/stac").search(event="germany")
    assert found[0]["assets"]["20Hz"]["href"].startswith(f"{bucket}/quakes.zarr@")
    here = ces.open_store(quakes[0])
    wanted = here["windows/main/observed/20Hz"].to_dataset().isel(event=[0]).compute()
    xr.testing.assert_identical(found.open().compute(), wanted)
    build_catalog(store, f"{bucket}/elsewhere/deep/stac")
    (item,) = open_catalog(f"{bucket}/elsewhere/deep/stac").search(event="germany", kind="windows")
    assert item["properties"]["storage:schemes"]["s3"] == {
        "type": "custom-s3", "platform": seaweedfs["AWS_ENDPOINT_URL"], "bucket": "ces-catalog",
        "region": "us-east-1",
    }  # fmt: skip
    assert item["assets"]["20Hz"]["storage:refs"] == ["s3"]
    with pytest.raises(StoreError, match="ces catalog build"):
        open_catalog(f"{bucket}/none")
    build_catalog(store, tmp_path / "stac")  # a catalogue here of a store there
    ds = open_catalog(tmp_path / "stac").search(event="germany", kind="windows").open()
    xr.testing.assert_identical(ds.compute(), wanted)


@pytest.fixture
def web(quakes):
    """A web server of the folder with the store and its catalogue."""
    folder = quakes[1].rpartition("/")[0]

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.service
def test_web(web):
    pytest.importorskip("aiohttp")
    found = open_catalog(f"{web}/stac").search(event="germany", kind="windows")
    (item,) = found
    assert item["assets"]["20Hz"]["href"].startswith(f"{web}/quakes.zarr@")
    with pytest.raises(StoreError, match="ces catalog build"):
        open_catalog(f"{web}/none")
