"""Stores and files on Azure (Azurite), files on Google's interface (fake-gcs-server)."""

from __future__ import annotations

import concurrent.futures
import pickle

import dask
import icechunk
import numpy as np
import pytest
import xarray as xr
import zarr

import pangeo_ces as ces
from pangeo_ces.storage import file_system
from pangeo_ces.store import repo

from .conftest import AZURE_ACCOUNT, AZURE_KEY, connection_string

pytestmark = pytest.mark.service
DOCUMENTS = ("stations.xml", "events.xml")


def by_string(patch, endpoint):
    patch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection_string(endpoint))


def put_sample(folder: str) -> dict[str, str]:
    """Recordings and metadata as files; what ``convert`` is to be given with them."""
    fs, path = file_system(folder)
    for name in ("observed/GR.mseed", *DOCUMENTS):
        source = ces.samples.path(f"german_events/{name}")
        fs.pipe_file(f"{path}/{source.name}", source.read_bytes())
    return {"stations": f"{folder}/stations.xml", "event": f"{folder}/events.xml"}


def test_azure_store(azurite, monkeypatch, tmp_path):
    by_string(monkeypatch, azurite)
    here = ces.open_store(ces.samples.german_events(str(tmp_path / "german")))
    there = ces.open_store(ces.samples.german_events("az://ces/german"))
    for path, ds in ces.waveforms(here, ""):
        xr.testing.assert_identical(there[path].to_dataset().compute(), ds.compute())
    observed = there["windows/main/observed/20Hz"].to_dataset()
    ces.write(ces.peak_motion(ces.remove_response(observed)), "abfs://ces/peaks", tag="v1")
    assert "pgv" in ces.open_store("abfs://ces/peaks@v1")
    content = pickle.dumps(observed)
    assert AZURE_KEY.encode() not in content
    np.testing.assert_array_equal(pickle.loads(content)["counts"], observed["counts"])


def test_azure_by_account_and_key(azurite, monkeypatch):
    """Without a connection string: stores alone, since files would be asked for by https."""
    by_string(monkeypatch, azurite)
    ces.write(xr.Dataset({"a": ("x", np.arange(3))}), "az://ces/keyed")
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY)
    rules = {"az": {"account": AZURE_ACCOUNT, "endpoint": azurite}}
    with dask.config.set({"ces.storage": rules}):
        assert "a" in ces.open_store("az://ces/keyed")
        with pytest.raises(ces.errors.ConfigError, match="AZURE_STORAGE_CONNECTION_STRING"):
            file_system("az://ces/in")
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "d3Jvbmc=")
        with pytest.raises(ces.errors.StoreError, match="refused the credentials|denied access"):
            ces.open_store("az://ces/keyed")


def test_azure_files_and_errors(azurite, monkeypatch):
    by_string(monkeypatch, azurite)
    options = put_sample("az://ces/in")
    assert ces.convert("az://ces/in/*.mseed", "az://ces/converted", **options).traces_used == 42
    with pytest.raises(ces.errors.StoreError, match="no bucket nonesuch"):
        ces.open_store("az://nonesuch/store")


def test_azure_keeps_the_commits_of_four_writers(azurite, monkeypatch):
    by_string(monkeypatch, azurite)
    repository = repo.obtain("az://ces/writers")
    session = repository.writable_session("main")
    zarr.open_group(session.store, mode="w")
    session.commit("begin")

    def write(number):
        own = repo.find("az://ces/writers")
        for turn in range(4):
            session = own.writable_session("main")
            zarr.open_group(session.store, mode="a").create_group(f"{number}-{turn}")
            session.commit("one", rebase_with=icechunk.ConflictDetector(), rebase_tries=100)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    group = zarr.open_group(repository.readonly_session("main").store, mode="r")
    assert len(list(group.groups())) == 16


def test_google_files(google, monkeypatch, tmp_path):
    """Stores are not tested: no emulator at hand takes the conditional writes that Icechunk makes,
    by Google's XML interface."""
    import gcsfs

    # Else it asks by gRPC with TLS what kind of bucket it is, and waits a minute for the answer.
    monkeypatch.setattr("gcsfs.GCSFileSystem", gcsfs.core.GCSFileSystem)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", google)
    with dask.config.set({"ces.storage": {"gs": {"anonymous": True}}}):
        fs, _ = file_system("gs://ces")
        fs.mkdir("ces")
        options = put_sample("gs://ces/in")
        report = ces.convert("gs://ces/in/*.mseed", tmp_path / "store", **options)
        assert report.traces_used == 42
        ces.export(tmp_path / "store", "gs://ces/out", format="mseed")
        assert len(fs.find("ces/out")) > 0
        with pytest.raises(ces.errors.InputError, match="no such file|check the"):
            ces.convert("gs://nonesuch/in/a.mseed", tmp_path / "other", **options)
