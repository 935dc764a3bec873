"""Workers that read and write S3 themselves; several buckets in one process; faults."""

from __future__ import annotations

import contextlib
import json
import logging
import pickle
import socket
import threading
import time

import cloudpickle
import dask
import numpy as np
import pytest
import xarray as xr
from servers import KEYS, environment

import pangeo_ces as ces
from pangeo_ces.archive.archive import Archive
from pangeo_ces.storage import open_url

pytestmark = pytest.mark.service

BAND = {"freqmin": 0.03, "freqmax": 0.08}
PERIODS = {"min_period": 12.5, "max_period": 1 / 0.03, "pre_filt": (0.008, 0.015, 4.0, 8.0)}
SECRETS = [word for pair in KEYS.values() for word in pair]


@pytest.fixture(scope="module")
def workers(weed):
    """Two processes, with credentials in their environment and no configuration."""
    from dask.distributed import Client, LocalCluster

    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.ExitStack() as stack,
    ):
        for name, value in environment(weed).items():
            patch.setenv(name, value)
        cluster = stack.enter_context(
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
        )
        yield stack.enter_context(Client(cluster))


@pytest.fixture(scope="module")
def store(workers):
    return ces.samples.german_events("s3://private/german")


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    return ces.samples.german_events(str(tmp_path_factory.mktemp("here") / "german.zarr"))


def told(caplog, *texts):
    """All that was said, where no secret may be."""
    for text in (caplog.text, *texts):
        assert not [word for word in SECRETS if word in str(text)]


def same(one: str, two: str) -> None:
    here, there = ces.open_store(one), ces.open_store(two)
    assert [node.path for node in here.subtree] == [node.path for node in there.subtree]
    for node in here.subtree:
        wanted, found = node.to_dataset().load(), there[node.path].to_dataset().load()
        wanted.attrs.pop("lineage", None), found.attrs.pop("lineage", None)  # names the store
        xr.testing.assert_identical(wanted, found)


def test_rapid_assessment_by_workers(workers, store, local, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    outcome = ces.run_rapid_assessment(store, "s3://private/assessment", **BAND)
    ces.run_rapid_assessment(local, tmp_path, **BAND)
    same(f"{tmp_path}/peak_motion.zarr", "s3://private/assessment/peak_motion.zarr")
    with open_url("s3://private/assessment/report.json") as stream:
        report = stream.read().decode()
    assert json.loads(report)["counts"]["used"] == 87
    attrs = [node.attrs for node in outcome.product.subtree]
    told(caplog, report, outcome.report, attrs, ces.history(store))


def test_misfit_by_workers(workers, store, local, tmp_path, caplog):
    options = {"adjoint": "cc_traveltime", "panels": 1, **PERIODS}
    outcome = ces.run_misfit(store, "s3://private/misfit", **options)
    ces.run_misfit(local, tmp_path, **options)
    same(f"{tmp_path}/misfit.zarr", "s3://private/misfit/misfit.zarr")
    told(caplog, outcome.report)


def test_graph_holds_no_credentials(weed, workers, store, monkeypatch, tmp_path):
    """Nor does one that reads with the keys of a profile."""
    ds = ces.open_store(store)["windows/main/observed/20Hz"].to_dataset()
    profiles(monkeypatch, tmp_path, weed)
    with dask.config.set({"ces.storage": {"s3://private": {"profile": "work"}}}):
        other = ces.open_store(store)["windows/main/observed/20Hz"].to_dataset()
        float(other["counts"][0, 0].sum().compute(scheduler="sync"))  # keys are in use by now
    for lazy in (ds, other):
        for dumps in (pickle.dumps, cloudpickle.dumps):
            content = dumps(ces.peak_motion(ces.remove_response(lazy)))
            assert not [word for word in SECRETS if word.encode() in content]
    back = pickle.loads(pickle.dumps(other))
    with dask.config.set(scheduler="sync"):  # the workers do not have the profile
        np.testing.assert_array_equal(back["counts"], ds["counts"])


def profiles(monkeypatch, folder, endpoint, identity="ces"):
    """Keys in a profile alone, the endpoint of which is in its services."""
    key, secret = KEYS[identity]
    (folder / "credentials").write_text(
        f"[work]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
    )
    (folder / "config").write_text(
        "[profile work]\nregion = us-east-1\nservices = here\n"
        f"[services here]\ns3 =\n  endpoint_url = {endpoint}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    for name in environment(endpoint):
        monkeypatch.delenv(name, raising=False)


def test_public_beside_private(weed, workers, monkeypatch, tmp_path):
    """Open data without keys, products with those of a profile, in one process; then by workers,
    which get places with their tasks and have only credentials."""
    from dask.distributed import Client, LocalCluster

    ces.samples.german_events("s3://public/german")
    with open_url("s3://public/in/GR.mseed", "wb") as stream:
        stream.write(ces.samples.path("german_events/observed/GR.mseed").read_bytes())
    profiles(monkeypatch, tmp_path, weed)
    rules = {"s3://public": {"endpoint": weed, "anonymous": True},
             "s3://private": {"profile": "work"}}  # fmt: skip
    stations, events = (ces.samples.path(f"german_events/{name}") for name in
                        ("stations.xml", "events.xml"))  # fmt: skip
    with (
        LocalCluster(n_workers=1, dashboard_address=None) as cluster,
        Client(cluster),
        dask.config.set({"ces.storage": rules}),
    ):
        ds = ces.open_store("s3://public/german")["windows/main/observed/20Hz"].to_dataset()
        ces.write(ces.peak_motion(ces.remove_response(ds)), "s3://private/of-public")
        assert "pgv" in ces.open_store("s3://private/of-public")
        report = ces.convert("s3://public/in/*.mseed", "s3://private/converted",
                             stations=stations, event=events)  # fmt: skip
        assert report.traces_used == 42
        with pytest.raises(ces.errors.StoreError, match=r"denied access.*public"):
            ces.write(ds, "s3://public/mine")
    with dask.config.set({"ces.storage": {"s3": {"endpoint": weed, "anonymous": True}}}):
        assert "windows" in ces.open_store("s3://public/german")
        with pytest.raises(ces.errors.StoreError, match=r"denied access.*private.*anonymous"):
            ces.open_store("s3://private/of-public")


def test_anonymous_by_the_environment(weed, workers, monkeypatch):
    """AWS_NO_SIGN_REQUEST holds for files as for stores."""
    with open_url("s3://public/a.txt", "wb") as stream:
        stream.write(b"open")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "true")
    with open_url("s3://public/a.txt") as stream:
        assert stream.read() == b"open"
    with pytest.raises(PermissionError):
        open_url("s3://private/a.txt").open()


@pytest.fixture
def mute():
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def fails(match, within, function, *args, error=ces.errors.StoreError, **options):
    begun = time.monotonic()
    with pytest.raises(error, match=match) as caught:
        function(*args, **options)
    assert time.monotonic() - begun < within
    assert not [word for word in SECRETS if word in str(caught.value)]


def test_one_clear_error(weed, workers, monkeypatch, tmp_path):
    import s3fs

    some = xr.Dataset({"pgv": ("station", np.ones(2))})
    refused = r"127\.0\.0\.1:\d+ refused the credentials: check them in AWS_ACCESS_KEY_ID"
    with monkeypatch.context() as patch:
        patch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        s3fs.S3FileSystem.clear_instance_cache()  # else clients of other tests, with their keys
        fails(refused, 5, ces.open_store, "s3://private/german")
        fails(refused, 5, ces.write, some, "s3://private/refused")
        fails("denied access|refused", 5, Archive, "s3://private/archive")  # it asks by HEAD
        fails(refused, 5, ces.convert, "s3://private/in/*", tmp_path / "s",
              error=ces.errors.InputError)  # fmt: skip
    s3fs.S3FileSystem.clear_instance_cache()
    missing = "there is no bucket nonesuch at http.*make it, or check the name"
    fails(missing, 5, ces.open_store, "s3://nonesuch/german")
    with monkeypatch.context() as patch:
        key, secret = KEYS["narrow"]
        patch.setenv("AWS_ACCESS_KEY_ID", key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        fails("denied access to the bucket elsewhere", 5, ces.write, some, "s3://elsewhere/product")
    with monkeypatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.delenv(name)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("HOME", str(tmp_path))
        fails("no credentials were found.*set AWS_ACCESS_KEY_ID", 10, ces.open_store,
              "s3://private/german")  # fmt: skip


def test_server_that_is_not_there(workers, monkeypatch, tmp_path):
    """Stores and files; each waits a while, since a server may be about to come back."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    away = "no answer from http://127.0.0.1:1: check the endpoint and the network"
    checks = [
        threading.Thread(target=lambda f=f, a=a, e=e: outcomes.append(_caught(f, a, e)))
        for f, a, e in (
            (ces.open_store, ("s3://private/german",), ces.errors.StoreError),
            (ces.convert, ("s3://private/in/*", tmp_path / "s"), ces.errors.InputError),
            (Archive, ("s3://private/archive",), ces.errors.StoreError),
        )
    ]
    outcomes: list[tuple[str, float]] = []
    for check in checks:
        check.start()
    for check in checks:
        check.join()
    assert len(outcomes) == len(checks)
    for said, took in outcomes:
        assert away in said
        assert took < 60


def _caught(function, args, error):
    begun = time.monotonic()
    with pytest.raises(error) as caught:
        function(*args)
    return str(caught.value), time.monotonic() - begun


def test_server_that_never_answers(workers, mute, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", mute)
    fails("no answer from http", 45, ces.open_store, "s3://private/german")
