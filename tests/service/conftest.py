"""Stores, archives and running data centres for the tests of the service."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import obspy
import pytest
from obspy.clients.fdsn import Client
from obspy.core.inventory import Channel, Inventory, Network, Response, Station
from obspy.core.inventory.response import InstrumentSensitivity

import pangeo_ces as ces
from pangeo_ces.service.access import add_user

STATIONS = ces.samples.path("german_events/stations.xml")
EVENTS = ces.samples.path("german_events/events.xml")


class Server:
    """``ces serve-fdsn`` as a process of its own."""

    def __init__(self, target: str | Path, *options: str, cache: str | Path = ""):
        command = [sys.executable, "-m", "pangeo_ces", "serve-fdsn", str(target), "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--json", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "XDG_CACHE_HOME": str(cache)} if cache else None,
        )  # fmt: skip
        self.log: list[str] = []
        first = self.process.stdout.readline()
        if not first:
            raise RuntimeError(self.process.stderr.read())
        self.url = json.loads(first)["url"]
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stderr:
            self.log.append(line)

    def client(self, **options) -> Client:
        Client._Client__service_discovery_cache.clear()
        return Client(self.url, **options)

    def get(self, path: str, data: bytes | None = None) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of any request."""
        request = urllib.request.Request(self.url + path, data=data)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return reply.status, reply.read(), dict(reply.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read(), dict(error.headers)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        try:
            return self.process.wait(20)
        finally:
            self._reader.join(5)


@contextlib.contextmanager
def serving(target: str | Path, *options: str, cache: str | Path = "") -> Iterator[Server]:
    server = Server(target, *options, cache=cache)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
        if server.process.poll() is None:
            server.process.kill()


@pytest.fixture(scope="session")
def german_store(tmp_path_factory) -> str:
    """Event windows, observed and synthetic."""
    return ces.samples.german_events(str(tmp_path_factory.mktemp("german") / "store"))


@pytest.fixture(scope="session")
def german(german_store) -> Iterator[Server]:
    with serving(german_store) as server:
        yield server


@pytest.fixture(scope="session")
def users(tmp_path_factory) -> Path:
    """Anna and Bert, each with "secret of NAME"."""
    path = tmp_path_factory.mktemp("users") / "users.txt"
    for name in ("anna", "bert"):
        add_user(path, name, f"secret of {name}")
    return path


@pytest.fixture(scope="session")
def guarded(german_store, users) -> Iterator[Server]:
    """The same with users, a restricted station, and little patience."""
    options = ("--users", str(users), "--restricted", "GR.BF?", "--max-bytes", "400kB")
    with serving(german_store, *options) as server:
        yield server


@pytest.fixture(scope="session")
def german_stream() -> obspy.Stream:
    """What was converted into the store of the German events."""
    stream = obspy.Stream()
    for path in sorted(ces.samples.path("german_events/observed").rglob("*")):
        if path.is_file():
            stream += obspy.read(str(path))
    return stream


def assert_same(found: obspy.Stream, expected: obspy.Stream) -> None:
    """Equal traces: ids, times to the microsecond, rates, dtype, every sample."""
    key = lambda t: (t.id, t.stats.starttime, t.stats.npts)  # noqa: E731
    assert sorted(map(key, found)) == sorted(map(key, expected))
    for one, other in zip(sorted(found, key=key), sorted(expected, key=key), strict=True):
        assert one.stats.sampling_rate == pytest.approx(other.stats.sampling_rate, rel=1e-7)
        assert one.data.dtype == other.data.dtype
        np.testing.assert_array_equal(one.data, other.data)


def make_archive(folder: Path, files: dict[str, tuple[str, bytes]], number: int = 1) -> Path:
    """An archive with one stage: name -> (kind, bytes)."""
    (folder / "stages").mkdir(parents=True, exist_ok=True)
    (folder / "ces-archive.json").write_text(
        json.dumps({"format": "CES-archive", "version": "1.0"})
    )
    rows = []
    for name, (kind, content) in files.items():
        sha256 = hashlib.sha256(content).hexdigest()
        path = folder / "objects" / sha256[:2] / sha256
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        rows.append({"name": name, "kind": kind, "state": "new", "sha256": sha256,
                     "size": len(content), "source": f"file:///{name}"})  # fmt: skip
    manifest = {"number": number, "created": "2026-01-01T00:00:00Z", "files": rows}
    (folder / f"stages/{number:05d}.json").write_text(json.dumps(manifest))
    return folder


def write_stations(path: Path, stream: obspy.Stream, status: str | None = None) -> str:
    """StationXML for all channels of a stream."""
    networks: dict[str, Network] = {}
    stations: dict[tuple[str, str], Station] = {}
    for number, code in enumerate(sorted({trace.id for trace in stream})):
        network, station, location, channel = code.split(".")
        place = (42.0 + number / 10, 13.0, 100.0)
        gain = InstrumentSensitivity(1e9, 1.0, "M/S", "COUNTS")
        home = networks.setdefault(network, Network(network, restricted_status=status))
        if (network, station) not in stations:
            stations[network, station] = Station(station, *place)
            home.stations.append(stations[network, station])
        stations[network, station].channels.append(
            Channel(channel, location, *place, 0.0, azimuth=0.0, dip=-90.0, sample_rate=100.0,
                    response=Response(instrument_sensitivity=gain),
                    start_date=obspy.UTCDateTime(1990, 1, 1))
        )  # fmt: skip
    Inventory(list(networks.values())).write(str(path), format="STATIONXML")
    return str(path)


def store_of(folder: Path, stream: obspy.Stream, **options) -> str:
    """A store of continuous data, converted from one miniSEED file for each trace."""
    files = []
    for number, trace in enumerate(stream):
        files.append(str(folder / f"{number:03d}.mseed"))
        trace.write(files[-1], format="MSEED")
    stations = write_stations(folder / "stations.xml", stream, **options)
    ces.convert(files, folder / "store", stations=stations)
    return str(folder / "store")
