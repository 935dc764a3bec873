"""FDSN station and event services over two files, with dataselect of another server beside them.

``python fdsn_metadata.py PORT STATIONXML QUAKEML DATASELECT_URL``; the files are read again for
every request, so that a test can change what the data centre has.
"""

from __future__ import annotations

import io
import itertools
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import obspy
from obspy import UTCDateTime
from obspy.core.event import Catalog
from obspy.core.inventory import Inventory

CODES = ("network", "station", "location", "channel")
BOX = ("minlatitude", "maxlatitude", "minlongitude", "maxlongitude")
CIRCLE = ("latitude", "longitude", "minradius", "maxradius")
TIMES = ("starttime", "endtime")
TYPES = {
    **dict.fromkeys(TIMES, "xs:date"),
    **dict.fromkeys((*BOX, *CIRCLE, "minmagnitude", "maxmagnitude"), "xs:double"),
}
KNOWN = {
    "station": (*CODES, *TIMES, *BOX, *CIRCLE, "level", "format", "nodata"),
    "event": (*TIMES, *BOX, "minmagnitude", "maxmagnitude", "eventid", "format", "nodata"),
}
#: Parameter of an event request -> condition of ObsPy's Catalog.filter.
CONDITIONS = {
    "starttime": "time >=", "endtime": "time <=",
    "minmagnitude": "magnitude >=", "maxmagnitude": "magnitude <=",
    "minlatitude": "latitude >=", "maxlatitude": "latitude <=",
    "minlongitude": "longitude >=", "maxlongitude": "longitude <=",
}  # fmt: skip


def wadl(base: str, service: str) -> bytes:
    options = "".join(
        f'<option value="{level}"/>' for level in ("network", "station", "channel", "response")
    )
    parameters = "".join(
        f'<param name="{name}" style="query" type="{TYPES.get(name, "xs:string")}">'
        f"{options if name == 'level' else ''}</param>"
        for name in KNOWN[service]
    )
    return (
        '<?xml version="1.0"?><application xmlns="http://wadl.dev.java.net/2009/02" '
        'xmlns:xs="http://www.w3.org/2001/XMLSchema">'
        f'<resources base="{base}/fdsnws/{service}/1/"><resource path="/">'
        '<resource path="query"><method name="GET" id="query"><request>'
        f"{parameters}</request></method></resource></resource></resources></application>"
    ).encode()


def select_stations(inventory: Inventory, query: dict[str, str], lines: list[list[str]]) -> bytes:
    default = [query.get(name, "*") for name in CODES] + [query.get(name, "*") for name in TIMES]
    box = {name: float(query[name]) for name in BOX if name in query}
    found = Inventory(source="test")
    for *codes, start, end in lines or [default]:
        for network, station, location, channel in itertools.product(
            *(code.split(",") for code in codes)
        ):
            found += inventory.select(
                network=network, station=station, channel=channel,
                location="" if location == "--" else location,
                starttime=None if start == "*" else UTCDateTime(start),
                endtime=None if end == "*" else UTCDateTime(end), **box,
            )  # fmt: skip
    if not found.networks:
        return b""
    out = io.BytesIO() if query.get("format") != "text" else io.StringIO()
    if isinstance(out, io.StringIO):
        found.write(out, "STATIONTXT", level="channel")
        return out.getvalue().encode()
    found.write(out, "STATIONXML", level=query.get("level", "station"))
    return out.getvalue()


def select_events(catalog: Catalog, query: dict[str, str]) -> bytes:
    conditions = [f"{CONDITIONS[key]} {query[key]}" for key in CONDITIONS if key in query]
    found = catalog.filter(*conditions) if conditions else catalog
    if not len(found):
        return b""
    out = io.BytesIO()
    Catalog(list(found)).write(out, "QUAKEML")
    return out.getvalue()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stations = events = dataselect = ""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.answer(None)

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def send(self, status: int, body: bytes = b"", kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self, data: bytes | None) -> None:
        url = urlsplit(self.path)
        _, _, service, _, method = [*url.path.split("/"), *[""] * 5][:5]
        if service == "dataselect":
            return self.pass_on(data)
        if service not in KNOWN:
            return self.send(404)
        if method == "version":
            return self.send(200, b"1.1.0")
        if method == "application.wadl":
            return self.send(200, wadl(f"http://{self.headers['Host']}", service))
        if method != "query":
            return self.send(200, f"<{method.title()}/>".encode())
        query, lines = dict(parse_qsl(url.query)), []
        for line in (data or b"").decode().splitlines():
            if "=" in line:
                key, _, value = line.partition("=")
                query[key] = value
            elif line.strip():
                lines.append(line.split())
        if unknown := set(query) - set(KNOWN[service]):
            return self.send(400, f"unknown parameter {sorted(unknown)}".encode())
        if service == "station":
            body = select_stations(obspy.read_inventory(self.stations), query, lines)
        else:
            body = select_events(obspy.read_events(self.events), query)
        return self.send(200 if body else 204, body)

    def pass_on(self, data: bytes | None) -> None:
        request = urllib.request.Request(self.dataselect + self.path, data=data)
        for header in ("Authorization",):
            if header in self.headers:
                request.add_header(header, self.headers[header])
        try:
            with urllib.request.urlopen(request) as reply:
                return self.send(reply.status, reply.read(), reply.headers["Content-Type"] or "")
        except urllib.error.HTTPError as error:
            return self.send(error.code, error.read())


if __name__ == "__main__":
    Handler.stations, Handler.events, Handler.dataselect = sys.argv[2:]
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
