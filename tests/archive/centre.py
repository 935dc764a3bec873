"""A real FDSN data centre for tests, and a proxy that makes its network bad."""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import obspy
import pytest
from obspy import UTCDateTime
from obspy.core import event as oe
from obspy.core.inventory import Channel, Inventory, Network, Response, Station
from obspy.core.inventory.response import InstrumentSensitivity

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / ".venv" / "fdsn" / "bin"
METADATA = ROOT / "tests" / "services" / "fdsn_metadata.py"

START = UTCDateTime(2020, 1, 1)
#: Station -> latitude, longitude, channels (location, code) at 1 Hz.
STATIONS = {
    "AAA": (45.0, 10.0, [("00", "HHZ"), ("00", "HHN"), ("00", "BHZ"), ("10", "HHZ")]),
    "BBB": (46.0, 11.0, [("", "BHZ"), ("", "BHN")]),
    "CCC": (48.0, 20.0, [("", "HHZ")]),
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{url} did not start")
            time.sleep(0.05)


def trace(
    station: str, location: str, channel: str, start: UTCDateTime, samples: int = 86400
) -> obspy.Trace:
    """Counts of a channel at 1 Hz, other ones for every channel and time."""
    seed = abs(hash((station, location, channel, start.ns))) % 2**32
    data = np.cumsum(np.random.default_rng(seed).integers(-50, 50, samples)).astype("int32")
    header = {"network": "XX", "station": station, "location": location, "channel": channel}
    return obspy.Trace(data, {**header, "starttime": start, "delta": 1.0})


def inventory(stations: dict[str, tuple[float, float, list[tuple[str, str]]]]) -> Inventory:
    found = []
    for code, (latitude, longitude, channels) in stations.items():
        response = Response(instrument_sensitivity=InstrumentSensitivity(1e9, 1.0, "M/S", "COUNTS"))
        found.append(
            Station(code, latitude, longitude, 0.0, channels=[
                Channel(channel, location, latitude, longitude, 0.0, 0.0, sample_rate=1.0,
                        start_date=START - 86400 * 100, response=response)
                for location, channel in channels
            ])
        )  # fmt: skip
    return Inventory([Network("XX", found)], source="test")


def catalog() -> oe.Catalog:
    events = []
    for number, (hour, magnitude) in enumerate([(6, 5.5), (18, 4.5)]):
        name = f"smi:test/event/{number}"
        origin = oe.Origin(
            resource_id=oe.ResourceIdentifier(f"{name}/origin"), time=START + 3600 * hour,
            latitude=45.5, longitude=10.5, depth=1e4,
        )  # fmt: skip
        size = oe.Magnitude(resource_id=oe.ResourceIdentifier(f"{name}/magnitude"), mag=magnitude)
        events.append(
            oe.Event(resource_id=oe.ResourceIdentifier(name), origins=[origin], magnitudes=[size],
                     preferred_origin_id=origin.resource_id.id,
                     preferred_magnitude_id=size.resource_id.id)
        )  # fmt: skip
    return oe.Catalog(events, resource_id=oe.ResourceIdentifier("smi:test/catalog"))


class Centre:
    """Files of a data centre and the servers in front of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sds = folder / "SDS"
        self.url = ""
        self.stations, self.events = folder / "stations.xml", folder / "events.xml"

    def fill(self, days: int = 2) -> None:
        """Two days of all channels; on the second, CCC has a gap."""
        for station, (_, _, channels) in STATIONS.items():
            for location, channel in channels:
                for day in range(days):
                    start = START + 86400 * day
                    if station == "CCC" and day == 1:
                        parts = [(start, 20000), (start + 50000, 36400)]
                    else:
                        parts = [(start, 86400)]
                    traces = [trace(station, location, channel, *part) for part in parts]
                    self.write(obspy.Stream(traces))
        inventory(STATIONS).write(str(self.stations), "STATIONXML")
        catalog().write(str(self.events), "QUAKEML")

    def path(self, seed_id: str, start: UTCDateTime) -> Path:
        network, station, location, channel = seed_id.split(".")
        name = f"{network}.{station}.{location}.{channel}.D.{start.year}.{start.julday:03}"
        return self.sds / f"{start.year}" / network / station / f"{channel}.D" / name

    def write(self, stream: obspy.Stream) -> Path:
        path = self.path(stream[0].id, stream[0].stats.starttime)
        path.parent.mkdir(parents=True, exist_ok=True)
        stream.write(str(path), "MSEED", encoding="STEIM2", reclen=512)
        return path

    def index(self) -> None:
        """Tell dataselect what there is now."""
        new, database = self.folder / "new.sqlite", self.folder / "index.sqlite"
        new.unlink(missing_ok=True)
        files = sorted(str(path) for path in self.sds.rglob("*") if path.is_file())
        subprocess.run([PROGRAMS / "mseedindex", "-sqlite", new, *files], check=True,
                       capture_output=True)  # fmt: skip
        ini = self.folder / "server.ini"
        if not ini.exists():
            os.replace(new, database)
        else:
            subprocess.run([sys.executable, "-c", _COPY, database, new], check=True)
        ini.write_text(
            f"[index_db]\npath={database}\ntable=tsindex\nsummary_table=tsindex_summary\n"
            f"[server]\ninterface=127.0.0.1\nport={self.port}\n"
            f"[logging]\npath={self.folder}/dataselect.log\nlevel=INFO\n"
        )

    @contextlib.contextmanager
    def serving(self) -> Iterator[Centre]:
        self.port, front = free_port(), free_port()
        self.index()
        server = PROGRAMS / "portable-fdsnws-dataselect"
        ini = self.folder / "server.ini"
        subprocess.run([server, "-i", ini], check=True, capture_output=True)
        behind = f"http://127.0.0.1:{self.port}"
        self.url = f"http://127.0.0.1:{front}"
        commands = (
            ([server, ini], f"{behind}/fdsnws/dataselect/1/version"),
            ([sys.executable, METADATA, str(front), self.stations, self.events, behind],
             f"{self.url}/fdsnws/station/1/version"),
        )  # fmt: skip
        processes = []
        try:
            with (self.folder / "log").open("wb") as log:
                for command, _ in commands:
                    processes.append(subprocess.Popen(command, stdout=log, stderr=log))
            for process, (_, url) in zip(processes, commands, strict=True):
                wait_for(url, process)
            yield self
        finally:
            for process in processes:
                process.terminate()
                process.wait(10)


#: Replace the rows of an index that a server has open.
_COPY = """
import sqlite3, sys
base = sqlite3.connect(sys.argv[1])
base.execute("ATTACH ? AS new", (sys.argv[2],))
base.execute("DELETE FROM tsindex")
base.execute("INSERT INTO tsindex SELECT * FROM new.tsindex")
base.commit()
"""


class Proxy:
    """Passes requests on to a server, and some of them badly.

    ``faults(number, path)`` names what goes wrong with the request, or nothing.
    """

    def __init__(self, target: str, faults: Callable[[int, str], str | None]) -> None:
        self.target, self.faults = target, faults
        self.requests: list[tuple[str, bytes]] = []
        self.injected: list[str] = []
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                proxy.answer(self, None)

            def do_POST(self) -> None:
                proxy.answer(self, self.rfile.read(int(self.headers["Content-Length"])))

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler, data: bytes | None) -> None:
        with self._lock:
            number = len(self.requests)
            self.requests.append((handler.path, data or b""))
        fault = self.faults(number, handler.path)
        if fault:
            self.injected.append(fault)
        status, body = self._forward(handler, data)
        headers = {"Content-Length": str(len(body))}
        if status == 401:
            headers["WWW-Authenticate"] = 'Digest realm="FDSN", nonce="n0", qop="auth"'
        if fault in ("429", "503"):
            status, body = int(fault), b"busy"
            headers = {"Content-Length": "4", "Retry-After": "0"}
        elif fault == "204":
            status, body, headers = 204, b"", {}
        elif fault == "html":
            body = b"<!DOCTYPE html><html><body>Down for maintenance</body></html>"
            headers = {"Content-Length": str(len(body))}
        elif fault == "truncated":
            body = body[: len(body) * 2 // 3]
        elif fault == "cut":  # whole as far as HTTP can tell
            body = body[: max(len(body) - 100, 0)]
            headers = {"Content-Length": str(len(body))}
        elif fault == "garbage":
            body = random.Random(number).randbytes(len(body) or 100)
            status, headers = 200, {"Content-Length": str(len(body))}
        if fault == "reset":
            linger = struct.pack("ii", 1, 0)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            handler.connection.close()
            handler.close_connection = True
            return
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        if fault == "slow":
            for at in range(0, len(body), max(len(body) // 4, 1)):
                handler.wfile.write(body[at : at + max(len(body) // 4, 1)])
                time.sleep(0.05)
        else:
            handler.wfile.write(body)
        if fault == "truncated":
            handler.close_connection = True

    def _forward(self, handler: BaseHTTPRequestHandler, data: bytes | None) -> tuple[int, bytes]:
        host = self.target.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=60)
        try:
            connection.request("GET" if data is None else "POST", handler.path, data)
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()


def content(traces: obspy.Stream) -> bytes:
    out = io.BytesIO()
    traces.write(out, "MSEED")
    return out.getvalue()
