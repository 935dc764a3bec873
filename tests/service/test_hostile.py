"""Requests from people who mean no good: 400 or 413, and the server lives on."""

from __future__ import annotations

import http.client
import socket
import urllib.parse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangeo_ces.service.parameters import PARAMETERS, RequestError, nanoseconds, read, read_post

BAD = [
    ("dataselect", "start=yesterday"), ("dataselect", "start=2020-13-01"),
    ("dataselect", "start=2020-02-30T00:00:00"), ("dataselect", "start=2020-01-01T25:00:00"),
    ("dataselect", "start=2020-01-02&end=2020-01-01"), ("dataselect", "bananas=1"),
    ("dataselect", "net=XX&network=YY"), ("dataselect", "net="), ("dataselect", "net=../../etc"),
    ("dataselect", "sta=%2e%2e%2f%2e%2e%2fetc%2fpasswd"), ("dataselect", "sta=%00"),
    ("dataselect", "cha=%F0%9F%92%A9"), ("dataselect", "cha=%FF%FE"), ("dataselect", "quality=Z"),
    ("dataselect", "minimumlength=-1"), ("dataselect", "minimumlength=nan"),
    ("dataselect", "longestonly=perhaps"), ("dataselect", "format=exe"),
    ("dataselect", "nodata=500"), ("dataselect", "sta=" + "A" * 100), ("dataselect", "a;b;c"),
    ("dataselect", "sta=" + ",".join("A" * 1001)), ("dataselect", "&".join(["net=A"] * 300)),
    ("station", "minradius=-1"), ("station", "maxradius=181"), ("station", "minlatitude=-91"),
    ("station", "minlat=10&maxlat=5"), ("station", "longitude=1e999"), ("station", "level=all"),
    ("station", "level=response&format=text"), ("station", "latitude=inf"),
    ("station", "startbefore=0"), ("station", "includeavailability=true"),
    ("event", "limit=0"), ("event", "limit=-1"), ("event", "limit=1e3"), ("event", "offset=0"),
    ("event", "orderby=name"), ("event", "mindepth=deep"), ("event", "minmag=8&maxmag=2"),
    ("event", "eventid=a%0d%0aSet-Cookie:a=b"), ("event", "limit=" + "9" * 5000),
    ("event", "starttime=2020-01-01T00:00:00.000000000000000000000000"),
]  # fmt: skip


@pytest.mark.service
@pytest.mark.parametrize("service, query", BAD)
def test_bad_requests(german, service, query):
    status, text, headers = german.get(f"/fdsnws/{service}/1/query?{query}")
    assert status == 400, text
    assert text.startswith(b"Error 400: Bad Request\n\n")
    assert f"Service: fdsnws-{service}  version: 1.2.0".encode() in text
    assert b"Usage details are available from" in text and b"Request Submitted:" in text
    assert headers["content-type"].startswith("text/plain")
    assert "Set-Cookie" not in headers


@pytest.mark.service
def test_bad_bodies(german):
    post = lambda body, service="dataselect": german.get(  # noqa: E731
        f"/fdsnws/{service}/1/query", data=body)[0]  # fmt: skip
    line = b"GR BFO * HHZ 2003-02-22 2003-02-23\n"
    assert post(line) == 200
    assert post(b"nodata=404\n" + line.replace(b"BFO", b"NO")) == 404
    assert post(b"") == 400
    assert post(b"\xff\xfe\x00") == 400
    assert post(b"GR BFO * HHZ 2003-02-22\n") == 400
    assert post(b"GR BFO * HHZ 2003-02-24 2003-02-23\n") == 400
    assert post(b"GR BF/O * HHZ 2003-02-22 2003-02-23\n") == 400
    assert post(b"net=GR\n" + line) == 400
    assert post(b"quality=?\n" + line) == 400
    assert post(b"GR * * * * *\n", "station") == 200
    assert post(line, "event") == 405
    assert post(b"GR BFO * HHZ 2003-02-22 2003-02-23\n" * 30_000) == 413
    assert post(b"X" * 3_000_000) == 413
    assert post(b"GR BFO -- HHZ 2003-02-22T20:42:00 2003-02-22T20:43:00\n" * 20_000) == 200


@pytest.mark.service
def test_a_million_lines(german):
    """The server reads no more than it allows, whatever the client goes on to send."""
    host, port = german.url.removeprefix("http://").split(":")
    body = b"GR BFO * HHZ 2003-02-22 2003-02-23\n" * 1_000_000
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        connection.request("POST", "/fdsnws/dataselect/1/query", body=body)
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):
        pass  # it hung up before all was sent
    finally:
        connection.close()
    assert german.get("/fdsnws/dataselect/1/version")[0] == 200


@pytest.mark.service
@pytest.mark.parametrize("path", [
    "/../../../etc/passwd", "/fdsnws/../../etc/passwd", "/fdsnws/dataselect/1/%2e%2e/%2e%2e/etc",
    "/fdsnws/dataselect/2/query", "/fdsnws/availability/1/query", "/fdsnws//1/query",
    "/fdsnws/x%0d%0aSet-Cookie:a=b/1/version", "/fdsnws/%F0%9F%92%A9/1/wadl", "/favicon.ico",
])  # fmt: skip
def test_paths(german, path):
    status, text, headers = german.get(path)
    assert status == 404 and b"root:" not in text and "Set-Cookie" not in headers


@pytest.mark.service
def test_raw_sockets(german):
    host, port = german.url.removeprefix("http://").split(":")
    post = b"POST /fdsnws/dataselect/1/query HTTP/1.1\r\nHost: x\r\nContent-Length: "
    for bad in (
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"A" * 200_000,
        b"GET / HTTP/1.1\r\nHost: <script>\r\n\r\n",
        b'GET /fdsnws/event/1/application.wadl HTTP/1.1\r\nHost: a"b<c\r\n\r\n',
        post + b"-5\r\n\r\n",
        post + b"9\r\n\r\nGR",
    ):
        with socket.create_connection((host, int(port)), timeout=5) as stream:
            stream.sendall(bad)
            stream.shutdown(socket.SHUT_WR)
            answer = stream.recv(10_000)
            assert b"<script>" not in answer and b"b<c" not in answer
            assert b" 500 " not in answer[:20]
    assert german.get("/fdsnws/dataselect/1/version")[0] == 200


@pytest.mark.service
def test_other_methods_and_pages(german):
    for method in ("PUT", "DELETE", "PATCH"):
        host, port = german.url.removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        connection.request(method, "/fdsnws/station/1/query")
        assert connection.getresponse().status == 405
    assert b"fdsnws/station/1/" in german.get("/")[1]
    assert b"minlatitude (minlat)" in german.get("/fdsnws/station/1/")[1]


NAMES = st.sampled_from([
    name for rows in PARAMETERS.values() for row in rows.values()
    for name in (row.name, row.short or row.name)
])  # fmt: skip
VALUES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["*", "--", "GR", "HH?", "2003-02-22", "2599-12-31T23:59:59", "0001-01-01", "1",
                     "-1", "nan", "1e308", "true", "text", "xml", "204", "404", ""]),
    st.floats().map(str), st.integers().map(str), st.datetimes().map(lambda t: t.isoformat()),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(PARAMETERS)), st.lists(st.tuples(NAMES, VALUES), max_size=6))
def test_reading_any_parameters(service, pairs):
    try:
        query = read(service, pairs)
    except RequestError as error:
        assert error.status == 400 and str(error).isprintable()
    else:
        assert set(query.values) == set(PARAMETERS[service])


LINES = st.lists(st.tuples(*[VALUES] * 6), max_size=5).map(
    lambda rows: "\n".join(" ".join(row) for row in rows).encode(errors="surrogatepass")
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=300), LINES))
def test_reading_any_body(body):
    try:
        assert read_post("dataselect", body, 100).lines
    except RequestError as error:
        assert error.status in (400, 413)


@pytest.mark.service
def test_answers_to_any_parameters(german):
    @settings(max_examples=150, deadline=None)
    @given(st.sampled_from(sorted(PARAMETERS)), st.lists(st.tuples(NAMES, VALUES), max_size=5))
    def ask(service, pairs):
        text = urllib.parse.urlencode(
            [(name, value.encode("utf-8", "surrogatepass")) for name, value in pairs]
        )
        assert german.get(f"/fdsnws/{service}/1/query?{text}")[0] in (200, 204, 400, 404, 413)

    ask()
    assert german.process.poll() is None


def test_times():
    assert nanoseconds("1970-01-01") == 0
    assert nanoseconds("2016-10-30T06:40:18.123456789Z") == 1_477_809_618_123_456_789
    assert nanoseconds("2016-10-30T06:40") == nanoseconds("2016-10-30 06:40:00")
    assert nanoseconds("2599-12-31") == 2**63 - 1 and nanoseconds("0001-01-01") == -(2**63) + 1
    for text in ("٢٠٢٠-01-01", "2020-1-1", "2020-01-01T", "20200101", "2020-01-01T00:00:00+01:00"):
        with pytest.raises(ValueError):
            nanoseconds(text)
