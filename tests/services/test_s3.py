"""Stores on a real S3 server."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import pangeo_ces as ces

pytestmark = pytest.mark.service


@pytest.fixture
def bucket(seaweedfs, monkeypatch, request):
    import s3fs

    for name, value in seaweedfs.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"ces-{abs(hash(request.node.name)) % 10**8}"
    s3fs.S3FileSystem().mkdir(name)
    yield f"s3://{name}"
    s3fs.S3FileSystem.clear_instance_cache()


def test_sample_on_s3_equals_local(bucket, tmp_path):
    remote = ces.samples.german_events(f"{bucket}/german_events")
    local = ces.samples.german_events(str(tmp_path / "german_events"))
    there, here = ces.open_store(remote), ces.open_store(local)
    for path, ds in ces.waveforms(here, ""):
        xr.testing.assert_identical(there[path].to_dataset().compute(), ds.compute())


def test_product_on_s3_opens_again(bucket):
    store = ces.samples.german_events(f"{bucket}/store")
    observed = ces.open_store(store)["windows/main/observed/20Hz"].to_dataset()
    peaks = ces.peak_motion(ces.remove_response(observed), periods=[1.0])
    ces.write(peaks, f"{bucket}/peaks")
    again = ces.open_store(f"{bucket}/peaks").to_dataset()
    np.testing.assert_array_equal(again["pgv"], peaks["pgv"])


def test_inputs_and_metadata_from_s3(bucket):
    import s3fs

    fs = s3fs.S3FileSystem()
    fs.put(str(ces.samples.path("german_events/observed/GR.mseed")), f"{bucket}/in/GR.mseed")
    for name in ("stations.xml", "events.xml"):
        fs.put(str(ces.samples.path(f"german_events/{name}")), f"{bucket}/in/{name}")
    report = ces.convert(
        f"{bucket}/in/*.mseed", f"{bucket}/from-s3",
        stations=f"{bucket}/in/stations.xml", event=f"{bucket}/in/events.xml",
    )  # fmt: skip
    assert report.traces_used == 42


def test_wrong_secret_is_a_clear_error(bucket, monkeypatch):
    import s3fs

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(ces.errors.StoreError, match="credentials"):
        ces.open_store(f"{bucket}/store")


def test_command_line(bucket, tmp_path):
    store, output = f"{bucket}/cli", tmp_path / "out"
    ces.samples.german_events(store)
    command = [sys.executable, "-m", "pangeo_ces", "run", "rapid-assessment", "--input", store,
               "--output", str(output), "--freqmin", "0.03", "--freqmax", "0.08",
               "--json"]  # fmt: skip
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"]["used"] == 87
    assert (output / "map.png").stat().st_size > 10_000
