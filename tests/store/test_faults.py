"""Killed, refused, slowed down, out of space: what was published stays, and a second run ends in
the same bytes as one that nothing happened to."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import random
import signal
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import obspy
import pytest

import pangeo_ces as ces
from pangeo_ces.errors import StoreError
from pangeo_ces.store import repo
from pangeo_ces.store.exchange import digest

#: Processes start from one that has imported most: a kill then hits the conversion.  Not Icechunk,
#: whose threads would not survive the fork.
SPAWN = multiprocessing.get_context("forkserver")
SPAWN.set_forkserver_preload(
    ["obspy", "xarray", "zarr", "dask.array", "numba", "pangeo_ces.sources"]
)
DAY = 86_400


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    """Two days of two stations at 1 Hz as files of four hours, in 8 shards of a day; a plan."""
    folder = tmp_path_factory.mktemp("days")
    rng = np.random.default_rng(5)
    for station in "AB":
        for component in "ZN":
            for hour in range(0, 48, 4):
                header = {"network": "XX", "station": station, "channel": f"LH{component}",
                          "starttime": obspy.UTCDateTime(2020, 1, 1) + 3600 * hour}  # fmt: skip
                data = np.cumsum(rng.integers(-99, 99, 4 * 3600)).astype("int32")
                name = folder / f"{station}{component}{hour:02}.mseed"
                obspy.Trace(data, header).write(str(name), format="MSEED", reclen=512)
    places = folder / "stations.xml"
    network = obspy.core.inventory.Network("XX", [
        obspy.core.inventory.Station(s, 42, 13, 0, channels=[
            obspy.core.inventory.Channel(f"LH{c}", "", 42, 13, 0, 0, azimuth=0, dip=-90)
            for c in "ZN"]) for s in "AB"])  # fmt: skip
    obspy.core.inventory.Inventory([network]).write(str(places), format="STATIONXML")
    plan = ces.plan(folder / "*.mseed", stations=str(places))
    for node in plan.nodes:
        node["chunks"], node["shards"] = [1, 1, 3600], [1, 1, DAY]
    return plan


def start(plan, store):
    """A conversion in a process of its own, so that it can be killed."""
    process = SPAWN.Process(target=ces.convert, args=(plan, str(store)))
    process.start()
    return process


def run(plan, store) -> float:
    """A conversion that nothing happens to; its seconds."""
    begin = time.monotonic()
    process = start(plan, store)
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - begin


def kill_and_resume(plan, store, seconds: float, whole: str) -> str:
    """Kill a conversion after some seconds; what a reader saw then."""
    process = start(plan, store)
    process.join(seconds)
    os.kill(process.pid, signal.SIGKILL) if process.is_alive() else None
    process.join()
    try:
        seen = digest(store)
    except StoreError:
        seen = ""
    assert seen in ("", whole)  # all of it or nothing
    run(plan, store)
    assert digest(store) == whole
    assert len(ces.history(store)) == 1
    branches = repo.find(str(store)).list_branches()
    assert branches == {"main"}
    return seen


_VERBS = (b"GET ", b"PUT ", b"POST", b"HEAD", b"DELE")


class Proxy(socketserver.ThreadingTCPServer):
    """Forwards bytes; what looks like the begin of a request may meet a fault."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, target: str, refuse: float, delay: float):
        super().__init__(("127.0.0.1", 0), _Handler)
        parts = urlsplit(target)
        self.target = (parts.hostname, parts.port)
        self.refuse, self.delay = refuse, delay
        self.random = random.Random(3)
        self.requests = self.refused = 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server: Proxy = self.server
        with socket.create_connection(server.target) as behind:
            threading.Thread(target=self._back, args=(behind,), daemon=True).start()
            with contextlib.suppress(OSError):
                while data := self.request.recv(1 << 16):
                    if data[:4] in _VERBS:
                        server.requests += 1
                        time.sleep(server.delay)
                        if server.random.random() < server.refuse:
                            server.refused += 1
                            if server.refused % 2:
                                self.request.sendall(
                                    b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n"
                                    b"Connection: close\r\n\r\n"
                                )
                            return  # every other time the connection just ends
                    behind.sendall(data)

    def _back(self, behind: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := behind.recv(1 << 16):
                self.request.sendall(data)
        with contextlib.suppress(OSError):
            self.request.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def faulty_proxy(target: str, *, refuse: float = 0.0, delay: float = 0.0) -> Iterator[Proxy]:
    """``refuse`` is the share of requests that fail, ``delay`` what each waits (s)."""
    with Proxy(target, refuse, delay) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()


@pytest.mark.timeout(900)
def test_killed_at_twenty_moments(days, tmp_path):
    run(days, tmp_path / "warm")
    usual = run(days, tmp_path / "whole")
    whole = digest(tmp_path / "whole")
    moments = random.Random(1)
    for number in range(20):
        store = tmp_path / f"s{number}"
        kill_and_resume(days, store, moments.uniform(0, usual), whole)
        assert not Path(f"{store}.work").exists()


@pytest.fixture
def bucket(seaweedfs, monkeypatch):
    import s3fs

    for name, value in seaweedfs.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"faults-{os.getpid()}-{time.monotonic_ns()}"
    s3fs.S3FileSystem().mkdir(name)
    yield f"s3://{name}"
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def spawn_anew():
    """A fork server with the environment of now: the credentials are in it."""
    from multiprocessing.forkserver import _forkserver

    _forkserver._stop()
    yield
    _forkserver._stop()


@pytest.mark.service
@pytest.mark.timeout(1500)
def test_killed_at_twenty_moments_on_s3(days, bucket, tmp_path, spawn_anew):
    run(days, tmp_path / "local")
    whole = digest(tmp_path / "local")
    run(days, f"{bucket}/warm")
    usual = run(days, f"{bucket}/whole")
    assert digest(f"{bucket}/whole") == whole  # on S3 as on disk
    moments = random.Random(2)
    for number in range(20):
        kill_and_resume(days, f"{bucket}/s{number}", moments.uniform(0, usual), whole)


@pytest.mark.service
@pytest.mark.parametrize("fault", [{"refuse": 0.05}, {"delay": 0.05}], ids=["5-percent", "slow"])
def test_an_s3_server_that_fails_or_dawdles(days, bucket, seaweedfs, monkeypatch, tmp_path, fault):
    import s3fs

    run(days, tmp_path / "local")
    with faulty_proxy(seaweedfs["AWS_ENDPOINT_URL"], **fault) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        s3fs.S3FileSystem.clear_instance_cache()
        ces.convert(days, f"{bucket}/s")
        assert digest(f"{bucket}/s") == digest(tmp_path / "local")
    assert proxy.requests > 50
    assert "delay" in fault or proxy.refused > 2


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_last_version(days, small_disk, tmp_path, record, stations, quake):
    store = small_disk / "s"
    ces.convert([record("A")], store, stations=stations, event=quake)
    before = digest(store)
    with pytest.raises(StoreError, match="no space left.*free some and run this again"):
        ces.convert(days, store)
    assert digest(store) == before
    assert len(ces.history(store)) == 1
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    ces.convert(days, store)
    ces.convert(days, tmp_path / "alone")
    grown, alone = (ces.open_store(s)["continuous/1Hz"].to_dataset() for s in
                    (store, tmp_path / "alone"))  # fmt: skip
    np.testing.assert_array_equal(grown["counts"], alone["counts"])


def test_garbage_of_a_killed_run_goes_and_tagged_versions_stay(days, tmp_path, record, stations,
                                                               quake, monkeypatch):  # fmt: skip
    import datetime

    store = tmp_path / "s"
    ces.convert([record("A")], store, stations=stations, event=quake, tag="paper")
    ces.convert([record("B")], store, stations=stations, event=quake)
    ces.convert([record("C")], store, stations=stations, event=quake)
    usual = [digest(f"{store}@{version}") for version in (1, 2, 3)]
    process = start(days, store)
    while process.is_alive() and not list(Path(f"{store}.work").glob("*/done-*/*")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    monkeypatch.setattr("pangeo_ces.store.versions._GRACE", datetime.timedelta())
    for work in Path(f"{store}.work").iterdir():  # the run will not be gone on with
        repo.find(str(store)).delete_branch(f"draft-{work.name}")
    now = datetime.datetime.now(datetime.UTC)
    before = ces.collect_garbage(store, expire=now, dry_run=True)
    assert before["versions"] == 1
    gone = ces.collect_garbage(store, expire=now)
    assert gone["versions"] == 1 and gone["chunks"] >= 1
    assert [row["version"] for row in ces.history(store)] == [1, 3]
    assert (digest(f"{store}@paper"), digest(f"{store}@3")) == (usual[0], usual[2])
    with pytest.raises(StoreError, match="no version 2"):
        ces.open_store(f"{store}@2")


def test_damage_that_only_decoding_finds(tmp_path, day, places):
    """Samples are decoded as they are stored; the file is then sorted out as a whole."""
    good, bad = day(0), day(1)
    content = bytearray(bad.read_bytes())
    content[30 * 4096 + 2000] ^= 64  # a difference of the 31st record
    bad.write_bytes(content)
    report = ces.convert([good, bad], tmp_path / "s", stations=places)
    (row,) = [row for row in report.rows if "record at byte" in row.reason]
    assert row.reason.startswith(f"record at byte {30 * 4096}:")
    counts = ces.open_store(tmp_path / "s")["continuous/1Hz"]["counts"][0, 0].values
    left = obspy.read(bad)  # ObsPy decodes all the same
    record = obspy.read(io.BytesIO(bytes(content[30 * 4096 : 31 * 4096])))[0]
    begin = round(record.stats.starttime - obspy.read(good)[0].stats.starttime)
    gap = np.isnan(counts)
    np.testing.assert_array_equal(np.flatnonzero(gap), begin + np.arange(len(record)))
    whole = np.concatenate([obspy.read(good)[0].data, left[0].data])
    np.testing.assert_array_equal(counts[~gap], whole[: counts.size][~gap])
