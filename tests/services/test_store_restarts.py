"""An S3 server that is killed and started again, on its port and with its data, during a run."""

from __future__ import annotations

import contextlib
import threading
import time

import dask
import pytest
import xarray as xr
from servers import environment, seaweed

import pangeo_ces as ces
from pangeo_ces.store.traces import read_traces

from .conftest import IDENTITIES

pytestmark = [pytest.mark.service, pytest.mark.timeout(400)]
BAND = {"freqmin": 0.03, "freqmax": 0.08}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One of its own: others are not to notice."""
    import s3fs

    server, endpoint = seaweed(tmp_path_factory.mktemp("restarts"), IDENTITIES, 64)
    server.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment(endpoint).items():
                patch.setenv(name, value)
            s3fs.S3FileSystem(endpoint_url=endpoint).mkdir("restarts")
            yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def client(server):
    from dask.distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _finished(dask_scheduler):
    """Tasks that were done so far, kept or not."""
    return sum(prefix.state_counts["memory"] for prefix in dask_scheduler.task_prefixes.values())


@contextlib.contextmanager
def restart(server, client, away):
    """Kill the server when a few tasks are done; start it again after some seconds, or when the
    run is over if that is earlier."""
    begun = client.run_on_scheduler(_finished)
    over, killed = threading.Event(), threading.Event()

    def watch():
        while not over.is_set() and client.run_on_scheduler(_finished) < begun + 3:
            time.sleep(0.02)
        if not over.is_set():
            server.kill()
            killed.set()
            over.wait(away)
            server.start()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert killed.is_set(), "the run was over before the server could be killed"


@pytest.fixture(scope="module")
def store(client):
    with dask.config.set({"ces.shard-bytes": "512KiB"}):  # more tasks
        return ces.samples.german_events("s3://restarts/german")


def outcome_of(function, *args, **options):
    """What comes of a run, and how long it takes; nothing but a StoreError may end it."""
    begun = time.monotonic()
    try:
        function(*args, **options)
        said = ""
    except ces.errors.StoreError as error:
        said = str(error)
        assert "run this again" in said
        assert "secret" not in said
    return said, time.monotonic() - begun


def peaks(store):
    observed = ces.open_store(store)["windows/main/observed/20Hz"].to_dataset()
    return ces.peak_motion(ces.remove_response(ces.detrend(observed)), periods=[1.0])


def test_during_an_assessment(server, client, store, tmp_path):
    """A restart of seconds goes unnoticed."""
    folder = "s3://restarts/assessment"
    with restart(server, client, 2):
        ces.run_rapid_assessment(store, folder, **BAND)
    ces.run_rapid_assessment(store, tmp_path, **BAND)
    here = ces.open_store(tmp_path / "peak_motion.zarr")
    there = ces.open_store(f"{folder}/peak_motion.zarr")
    for node in here.subtree:
        xr.testing.assert_identical(node.to_dataset().load(), there[node.path].to_dataset().load())


def test_during_a_product(server, client, store):
    """A server that stays away ends the run in one error; the next one is right."""
    target = "s3://restarts/peaks"
    with restart(server, client, 600):
        said, took = outcome_of(ces.write, peaks(store), target)
        assert said and took < 180
    ces.write(peaks(store), target)
    xr.testing.assert_identical(
        ces.open_store(target).to_dataset().load().drop_attrs(),
        peaks(store).compute().drop_attrs(),
    )
    assert len(ces.history(target)) == 1


@pytest.mark.parametrize("away", [2, 600])
def test_during_a_conversion(server, client, away, tmp_path):
    sample = ces.samples.path("german_events")
    options = {"stations": sample / "stations.xml", "event": sample / "events.xml"}
    target = f"s3://restarts/converted-{away}"
    with dask.config.set({"ces.shard-bytes": "128KiB"}):
        with restart(server, client, away):
            said, took = outcome_of(ces.convert, sample / "observed", target, **options)
            assert took < 180
            if away < 10:
                assert not said
        if said:
            report = ces.convert(sample / "observed", target, **options)
            assert report.version == 1
        ces.convert(sample / "observed", tmp_path / "here", **options)
    key = lambda trace: (trace.id, trace.start)  # noqa: E731
    here, there = (sorted(read_traces(url), key=key) for url in (tmp_path / "here", target))
    assert [key(trace) for trace in here] == [key(trace) for trace in there]
    for one, two in zip(here, there, strict=True):
        assert one.data.tobytes() == two.data.tobytes()
    assert len(ces.history(target)) == 1
