"""The process: how it starts, logs, and ends; and the mass downloader."""

from __future__ import annotations

import io
import json
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import obspy
import pytest
from click.testing import CliRunner
from obspy import UTCDateTime
from obspy.clients.fdsn import Client
from obspy.clients.fdsn.mass_downloader import MassDownloader, RectangularDomain, Restrictions

import pangeo_ces as ces
from pangeo_ces.cli import main
from pangeo_ces.errors import ConfigError, StoreError
from pangeo_ces.service.holdings import open_holdings
from pangeo_ces.service.parameters import BEGIN, END
from pangeo_ces.service.serve import serve_fdsn
from pangeo_ces.service.timeline import Clip

from .conftest import Server, assert_same, serving, write_stations

pytestmark = pytest.mark.service


def test_mass_downloader(german, german_stream, tmp_path):
    start, end = UTCDateTime("2003-02-22T20:41:30"), UTCDateTime("2003-02-22T20:43:30")
    restrictions = Restrictions(
        starttime=start, endtime=end, network="GR", reject_channels_with_gaps=False,
        minimum_length=0.5, channel_priorities=["HH[ZNE]"], minimum_interstation_distance_in_m=0,
    )  # fmt: skip
    MassDownloader(providers=[german.client()]).download(
        RectangularDomain(40, 60, 0, 20), restrictions,
        mseed_storage=str(tmp_path / "waveforms"), stationxml_storage=str(tmp_path / "stations"),
    )  # fmt: skip
    found = obspy.read(str(tmp_path / "waveforms/*.mseed"))
    expected = german_stream.slice(start, end, nearest_sample=False)
    assert len(found) == len(expected) > 5
    assert_same(found, expected)
    stations = obspy.read_inventory(str(tmp_path / "stations/*.xml"))
    assert {s.code for n in stations for s in n} == {t.stats.station for t in found}
    assert all(c.response.response_stages for n in stations for s in n for c in s)


def test_the_access_log_and_the_end(german_store):
    server = Server(german_store)
    server.get("/fdsnws/station/1/query?net=GR&format=text")
    server.get("/fdsnws/station/1/query?net=%0a{fake}")
    server.get("/fdsnws/dataselect/1/query", b"GR BFO * HHZ 2003-02-22 2003-02-23\n")
    assert server.stop(signal.SIGTERM) == 0
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=2)
    rows = [json.loads(line) for line in server.log]
    assert [row["status"] for row in rows] == [200, 400, 200]
    assert rows[0]["path"] == "/fdsnws/station/1/query" and rows[0]["bytes"] > 300
    assert rows[0]["parameters"] == "net=GR&format=text" and rows[0]["client"] == "127.0.0.1"
    assert rows[2]["parameters"].startswith("POST of 1 lines") and rows[2]["whole"]
    assert all(row["user"] is None and row["seconds"] >= 0 for row in rows)


def test_what_people_see(german_store):
    command = [sys.executable, "-u", "-m", "pangeo_ces", "serve-fdsn", german_store, "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        lines = [run.stdout.readline() for _ in range(2)]
        url = lines[0].split(" at ")[1].split()[0]
        names: dict[str, object] = {}
        Client._Client__service_discovery_cache.clear()
        exec(lines[1].strip(), names)  # the line to copy
        assert names["client"].get_stations()
        assert names["client"].base_url == url
        run.send_signal(signal.SIGINT)
        assert run.wait(20) == 0
        log = run.stderr.read()
    assert '"GET /fdsnws/station/1/query"' in log and " 200 " in log


def test_misuse(german_store, tmp_path):
    def run(*arguments):
        return CliRunner().invoke(main, ["serve-fdsn", *map(str, arguments)])

    assert run().exit_code == 2
    assert run("--add-user", "anna").exit_code == 2
    assert run(german_store, "--max-bytes", "many").exit_code == 2
    with pytest.raises(StoreError, match="ces convert"):
        serve_fdsn(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="--add-user"):
        serve_fdsn(german_store, users=tmp_path / "no")
    busy = pytest.raises(ConfigError, match="choose another")
    with socket.create_server(("127.0.0.1", 0)) as taken, busy:
        serve_fdsn(german_store, port=taken.getsockname()[1])
    assert run(tmp_path / "nothing").exit_code == 1


def test_clients_that_hang_up(german):
    host, port = german.url.removeprefix("http://").split(":")
    for _ in range(20):
        with socket.create_connection((host, int(port))) as stream:
            stream.sendall(b"GET /fdsnws/dataselect/1/query HTTP/1.1\r\nHost: x\r\n\r\n")
            stream.recv(100)
    assert len(german.get("/fdsnws/dataselect/1/query")[1]) > 100_000
    assert not any("Traceback" in line for line in german.log)


def test_a_store_that_grows(tmp_path):
    """A server keeps its version; with --follow it goes on to the next."""
    files = []
    for day in (1, 2):
        header = {"network": "XX", "station": "ABC", "channel": "HHZ",
                  "starttime": UTCDateTime(2020, 1, day)}  # fmt: skip
        trace = obspy.Trace(np.arange(1000, dtype="int32") * day, header)
        files.append(str(tmp_path / f"{day}.mseed"))
        trace.write(files[-1], format="MSEED")
    stations = write_stations(tmp_path / "stations.xml", obspy.Stream([trace]))
    store = str(tmp_path / "store")
    ces.convert(files[:1], store, stations=stations)
    with serving(store, "--follow", "0.2") as server, ThreadPoolExecutor() as pool:
        kept = open_holdings(store, pool, tmp_path)
        ask = "/fdsnws/dataselect/1/query?net=XX"
        first = server.get(ask)[1]
        ces.convert(files, store, stations=stations)
        deadline = time.monotonic() + 20
        while (now := server.get(ask))[1] == first:
            assert time.monotonic() < deadline
        old = b"".join(kept.waveforms.blocks([Clip(0, BEGIN, END)]))
    assert kept.waveforms.timeline.start.size == 1 and old == first
    truth = obspy.read(files[0]) + obspy.read(files[1])
    assert_same(obspy.read(io.BytesIO(now[1])), truth)
