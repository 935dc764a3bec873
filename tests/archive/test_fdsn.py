"""Staging from a real FDSN data centre."""

from __future__ import annotations

import hashlib
import io
import random
import re

import obspy
import pytest
from centre import START, Centre, Proxy, catalog, inventory, trace
from obspy.clients.fdsn import Client
from obspy.clients.fdsn.header import URL_MAPPINGS

import pangeo_ces.archive.web as web
from pangeo_ces.archive.archive import Archive
from pangeo_ces.archive.fdsn import stage_fdsn
from pangeo_ces.archive.services import provider
from pangeo_ces.errors import InputError, ParameterError

pytestmark = pytest.mark.service

DAYS = {"starttime": START, "endtime": START + 2 * 86400}


def states(archive, number):
    return {row["name"]: row["state"] for row in Archive(archive).manifest(number)["files"]}


def contents(archive, number=None):
    """Name -> bytes of the files of a stage."""
    found = Archive(archive)
    files = found.files(number or found.latest)
    return {e.name: found.folder.fs.cat_file(e.url) for e in files}


def stations(archive):
    return {name.split("/")[-1].split(".")[1] for name in contents(archive)}


def test_days_are_what_the_data_centre_has(steady, tmp_path):
    done = stage_fdsn(tmp_path / "a", steady.url, **DAYS)
    assert done.counts == {"new": 17, "updated": 0, "unchanged": 0, "removed": 0}
    assert not done.problems
    found = contents(tmp_path / "a")
    waveforms = {n: c for n, c in found.items() if not n.startswith("stations/")}
    there = {
        str(path.relative_to(steady.sds)): path.read_bytes()
        for path in steady.sds.rglob("*")
        if path.is_file()
    }
    assert waveforms.keys() == there.keys()
    for name, content in waveforms.items():
        # A record over midnight is in both days; all others are those of the data centre.
        assert there[name] in content or content in there[name]
    name = "stations/XX.AAA.xml"
    ours = obspy.read_inventory(io.BytesIO(found[name]))
    theirs = Client(steady.url).get_stations(network="XX", station="AAA", level="response")
    assert ours.networks == theirs.networks
    assert ours[0][0][0].response.instrument_sensitivity.value == 1e9


def test_second_time_nothing_changed(steady, tmp_path):
    for number, count in ((1, "new"), (2, "unchanged")):
        done = stage_fdsn(tmp_path / "a", steady.url, channel="HHZ", **DAYS)
        assert (done.stage, done.counts[count], sum(done.counts.values())) == (number, 8, 8)
    assert contents(tmp_path / "a", 1) == contents(tmp_path / "a", 2)


def test_provider_changes_adds_and_removes(centre: Centre, tmp_path):
    archive = tmp_path / "a"
    stage_fdsn(archive, centre.url, **DAYS)
    old = contents(archive)
    changed = centre.write(obspy.Stream([trace("AAA", "00", "HHZ", START, 80000)]))
    removed = centre.path("XX.AAA.00.HHN", START + 86400)
    removed.unlink()
    added = centre.write(obspy.Stream([trace("BBB", "", "BHE", START)]))
    centre.index()
    stations = {"AAA": (45.0, 10.0, [("00", "HHZ"), ("00", "HHN"), ("00", "BHZ"), ("10", "HHZ")]),
                "BBB": (46.0, 11.0, [("", "BHZ"), ("", "BHN"), ("", "BHE")])}  # fmt: skip
    for path in centre.sds.rglob("XX.CCC*"):
        path.unlink()
    centre.index()
    inventory(stations).write(str(centre.stations), "STATIONXML")
    done = stage_fdsn(archive, centre.url, **DAYS)
    now = states(archive, 2)
    gone = {n for n in old if "CCC" in n} | {str(removed.relative_to(centre.sds))}
    assert {n for n, s in now.items() if s == "removed"} == gone
    assert now[str(changed.relative_to(centre.sds))] == "updated"
    assert now[str(added.relative_to(centre.sds))] == "new"
    assert now["stations/XX.BBB.xml"] == "updated"
    assert now["stations/XX.AAA.xml"] == "unchanged"
    assert done.counts["removed"] == 4
    row = next(r for r in Archive(archive).manifest(2)["files"] if r["state"] == "updated")
    assert row["previous"] == hashlib.sha256(old[row["name"]]).hexdigest()
    assert contents(archive, 1) == old
    assert not gone & set(contents(archive, 2))
    stage_fdsn(archive, centre.url, **DAYS)
    assert "removed" not in states(archive, 3).values()


def test_another_station_or_time_adds(steady, tmp_path):
    archive = tmp_path / "a"
    stage_fdsn(archive, steady.url, station="AAA", starttime=START, endtime=START + 86400)
    first = contents(archive)
    done = stage_fdsn(archive, steady.url, station="BBB", starttime=START, endtime=START + 86400)
    assert done.counts == {"new": 3, "updated": 0, "unchanged": len(first), "removed": 0}
    done = stage_fdsn(archive, steady.url, station="AAA", starttime=START + 86400,
                      endtime=START + 2 * 86400)  # fmt: skip
    assert done.counts == {"new": 4, "updated": 0, "unchanged": len(first) + 3, "removed": 0}
    assert first.items() <= contents(archive).items()


def test_part_of_a_day_never_shrinks_what_there_is(steady, tmp_path):
    archive, hour = tmp_path / "a", 3600
    for start, end in ((2, 3), (10, 12), (5, 6)):
        stage_fdsn(archive, steady.url, station="CCC", starttime=START + start * hour,
                   endtime=START + end * hour)  # fmt: skip
    (name,) = (n for n in contents(archive) if "CCC.." in n)
    stats = obspy.read(io.BytesIO(contents(archive)[name]))[0].stats
    assert stats.starttime <= START + 2 * hour
    assert stats.endtime >= START + 12 * hour
    assert [states(archive, n)[name] for n in (1, 2, 3)] == ["new", "updated", "unchanged"]


def test_windows_around_events(steady, tmp_path):
    archive = tmp_path / "a"
    window = {"before": 30, "after": 90, "channel": "HHZ"}
    stage_fdsn(archive, steady.url, events={"minmagnitude": 5}, starttime=START,
               endtime=START + 86400, **window)  # fmt: skip
    assert sorted(contents(archive)) == [
        "events/test_event_0.xml", "stations/XX.AAA.xml",
        "stations/XX.CCC.xml", "windows/test_event_0/XX.AAA.00.HHZ.mseed",
        "windows/test_event_0/XX.AAA.10.HHZ.mseed", "windows/test_event_0/XX.CCC..HHZ.mseed",
    ]  # fmt: skip
    found = contents(archive)
    (event,) = obspy.read_events(io.BytesIO(found["events/test_event_0.xml"]))
    assert event.origins[0].time == START + 6 * 3600
    stats = obspy.read(io.BytesIO(found["windows/test_event_0/XX.CCC..HHZ.mseed"]))[0].stats
    assert stats.starttime <= event.origins[0].time - 30
    assert stats.endtime >= event.origins[0].time + 90
    done = stage_fdsn(archive, steady.url, events=catalog(), **window)
    assert done.counts["new"] == 4
    assert states(archive, 2)["windows/test_event_0/XX.CCC..HHZ.mseed"] == "unchanged"


@pytest.mark.parametrize("options", [
    {"channel_priorities": ["HH[ZNE]", "BH[ZNE]"], "location_priorities": ["", "00", "10"]},
    {"channel_priorities": ["BH?", "HH?"], "location_priorities": ["10", "00", ""]},
    {"channel_priorities": ["HHZ"], "location_priorities": ["", "00"]},
    {"channel_priorities": ["HH?", "BH?"], "location_priorities": ["", "00", "10"],
     "minimum_length": 0.9, "reject_gaps": True},
    {"channel_priorities": ["HH?", "BH?"], "location_priorities": ["", "00", "10"],
     "domain": {"minlatitude": 44, "maxlatitude": 47, "minlongitude": 9, "maxlongitude": 12}},
])  # fmt: skip
def test_same_choice_as_the_mass_downloader(steady, tmp_path, options):
    from obspy.clients.fdsn import mass_downloader as md

    archive, start, end = tmp_path / "a", START + 86400, START + 2 * 86400
    done = stage_fdsn(archive, steady.url, starttime=start, endtime=end, **options)
    restrictions = md.Restrictions(
        starttime=start, endtime=end, minimum_interstation_distance_in_m=0, sanitize=False,
        reject_channels_with_gaps=options.get("reject_gaps", False),
        minimum_length=options.get("minimum_length", 0.0),
        channel_priorities=options["channel_priorities"],
        location_priorities=options["location_priorities"],
    )  # fmt: skip
    domain = md.RectangularDomain(**options["domain"]) if "domain" in options else md.GlobalDomain()
    Client._Client__service_discovery_cache.clear()
    md.MassDownloader(providers=[steady.url], configure_logging=False).download(
        domain, restrictions, str(tmp_path / "md"), str(tmp_path / "xml")
    )
    theirs = {p.name.partition("__")[0] for p in (tmp_path / "md").glob("*.mseed")}
    ours = {
        ".".join(n.split("/")[-1].split(".")[:4]) for n in contents(archive) if "stations" not in n
    }
    assert ours == theirs
    assert ours
    assert all(problem.trace == "XX.CCC..HHZ" for problem in done.problems)


def test_circle(steady, tmp_path):
    circle = {"latitude": 48.0, "longitude": 20.0, "minradius": 0.0, "maxradius": 1.0}
    stage_fdsn(tmp_path / "a", steady.url, domain=circle, **DAYS)
    assert stations(tmp_path / "a") == {"CCC"}


FAULTS = ("503", "429", "reset", "slow", "truncated", "cut", "html", "garbage")


def test_bad_network_gives_the_same_archive(steady, tmp_path):
    stage_fdsn(tmp_path / "good", steady.url, **DAYS)
    dice = random.Random(1)
    lot = [dice.choice(FAULTS) if dice.random() < 0.3 else None for _ in range(10_000)]
    with Proxy(steady.url, lambda number, path: lot[number]) as proxy:
        done = stage_fdsn(tmp_path / "bad", proxy.url, **DAYS)
        assert len(proxy.injected) >= 3
    assert contents(tmp_path / "bad") == contents(tmp_path / "good")
    assert {p.status for p in done.problems} <= {"warning"}


@pytest.mark.parametrize("fault", [*FAULTS, "204"])
def test_every_fault_of_a_reply(steady, tmp_path, fault):
    hit = []

    def once(number, path):
        if "dataselect" in path and "query" in path and not hit:
            hit.append(number)
            return fault
        return None

    archive = tmp_path / "a"
    with Proxy(steady.url, lambda number, path: None) as proxy:
        stage_fdsn(archive, proxy.url, station="BBB", **DAYS)
        good = contents(archive)
        proxy.faults = once
        done = stage_fdsn(archive, proxy.url, station="BBB", **DAYS)
    assert hit
    assert contents(archive) == good
    assert done.counts["removed"] == 0
    told = [p.status for p in done.problems]
    assert told == (["warning"] if fault in ("cut", "html", "garbage") else [])


def test_one_bad_channel_does_not_lose_the_others(steady, tmp_path):
    archive = tmp_path / "a"
    with Proxy(steady.url, lambda number, path: None) as proxy:
        proxy.faults = lambda n, path: (
            "html" if b"XX AAA 10 HHZ" in proxy.requests[n][1] and "dataselect" in path else None
        )
        one_day = {"station": "AAA", "starttime": START, "endtime": START + 86400}
        done = stage_fdsn(archive, proxy.url, **one_day)
        assert [(p.file, p.trace, p.status) for p in done.problems if p.status == "rejected"] == [
            ("2020/XX/AAA/HHZ.D/XX.AAA.10.HHZ.D.2020.001", "XX.AAA.10.HHZ", "rejected")
        ]
        assert done.counts["new"] == 4
        # The next stage mends it, and a failure after that takes nothing away.
        for faults, state in ((None, "new"), (proxy.faults, "unchanged")):
            proxy.faults = faults or (lambda n, path: None)
            stage_fdsn(archive, proxy.url, **one_day)
            number = Archive(archive).latest
            assert states(archive, number)["2020/XX/AAA/HHZ.D/XX.AAA.10.HHZ.D.2020.001"] == state


def test_dead_data_centre_is_an_error(tmp_path):
    with pytest.raises(InputError, match="try again later"):
        stage_fdsn(tmp_path / "a", "http://127.0.0.1:9", timeout=1, **DAYS)
    with pytest.raises(ParameterError, match="INGV"):
        stage_fdsn(tmp_path / "a", "NOWHERE", **DAYS)


def test_wrong_address_is_an_error_not_no_data(web_folder, tmp_path):
    with pytest.raises(InputError, match="404.*check the address"):
        stage_fdsn(tmp_path / "a", web_folder[0], **DAYS)


def test_retry_after_is_respected(steady, tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(web.time, "sleep", waited.append)
    monkeypatch.setattr(web, "_retry_after", lambda headers: 7.0)
    with Proxy(steady.url, lambda number, path: "503" if number == 0 else None) as proxy:
        stage_fdsn(tmp_path / "a", proxy.url, station="CCC", **DAYS)
    assert 7.0 in waited


def test_first_provider_that_delivers(steady, centre, tmp_path):
    for path in centre.sds.rglob("XX.AAA*"):
        path.unlink()
    centre.index()
    stage_fdsn(tmp_path / "a", [centre.url, steady.url], channel="?HZ", **DAYS)
    sources = {
        e.name.split(".")[-6]: e.source.partition("/fdsnws")[0]
        for e in Archive(tmp_path / "a").files(1)
        if e.kind == "waveform"
    }
    assert sources == {"AAA": steady.url, "BBB": centre.url, "CCC": centre.url}


@pytest.mark.parametrize("name", sorted(URL_MAPPINGS))
@pytest.mark.filterwarnings("ignore")
def test_addresses_are_those_of_obspy(name):
    client = Client(name, _discover_services=False)
    for service in ("dataselect", "station", "event"):
        assert provider(name).url(service) == client._build_url(service, "query")


@pytest.mark.parametrize("kind", ["eida-routing", "iris-federator"])
def test_routing(steady, tmp_path, kind):
    """A routing service's answers in the forms that ObsPy's clients understand."""
    import http.server
    import threading

    line = "XX BBB * * 2020-01-01T00:00:00 2020-01-03T00:00:00"
    answer = f"{steady.url}/fdsnws/station/1/query\n{line}\n"
    if kind != "eida-routing":
        answer = (
            f"DATACENTER=T,{steady.url}\nSTATIONSERVICE={steady.url}/fdsnws/station/1/\n{line}\n"
        )

    class Router(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer.encode())

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Router)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        name = f"{kind}@http://127.0.0.1:{server.server_port}/routing/1"
        done = stage_fdsn(tmp_path / "a", name, **DAYS)
    finally:
        server.shutdown()
    assert done.counts["new"] == 5
    assert stations(tmp_path / "a") == {"BBB"}


def test_dry_run_asks_for_no_waveform_and_writes_nothing(steady, tmp_path):
    with Proxy(steady.url, lambda number, path: None) as proxy:
        done = stage_fdsn(tmp_path / "a", proxy.url, dry_run=True, **DAYS)
        assert not any("dataselect" in path for path, _ in proxy.requests)
    assert not (tmp_path / "a").exists()
    assert done.stage is None
    assert len(done.asked) == 17
    full = stage_fdsn(tmp_path / "a", steady.url, **DAYS)
    assert {u.partition("/fdsnws")[2] for u in full.asked} == {
        u.partition("/fdsnws")[2] for u in done.asked
    }


def digest(user, password, method, header):
    """What RFC 7616 wants as the answer to a challenge."""

    def md5(*words):
        return hashlib.md5(":".join(words).encode()).hexdigest()

    given = dict(re.findall(r'(\w+)="?([^",]+)"?', header))
    first, second = md5(user, "FDSN", password), md5(method, given["uri"])
    return given, md5(first, "n0", given["nc"], given["cnonce"], "auth", second)


def test_user_and_password_are_used_and_never_kept(steady, tmp_path):
    """A queryauth that wants a digest, in front of the data centre."""
    good = []

    def guarded(handler, data):
        if "dataselect" not in handler.path:
            return forward(handler, data)
        header = handler.headers.get("Authorization", "")
        if "queryauth" not in handler.path or not header.startswith("Digest"):
            return 401, b""
        given, wanted = digest("me", "s3cret", handler.command, header)
        if given["response"] != wanted:
            return 403, b"wrong"
        good.append(given["username"])
        handler.path = handler.path.replace("queryauth", "query")
        return forward(handler, data)

    with Proxy(steady.url, lambda number, path: None) as proxy:
        forward, proxy._forward = proxy._forward, guarded
        options = {"station": "CCC", "user": "me", **DAYS}
        done = stage_fdsn(tmp_path / "a", proxy.url, password="s3cret", **options)
        assert (done.counts["new"], set(good)) == (3, {"me"})
        for path in (tmp_path / "a").rglob("*"):
            assert not path.is_file() or b"s3cret" not in path.read_bytes()
        done = stage_fdsn(tmp_path / "b", proxy.url, password="guess", **options)
        assert {p.status for p in done.problems} == {"rejected"}
        assert "user and password are wrong" in done.problems[0].reason
        options["user"] = None
        done = stage_fdsn(tmp_path / "c", proxy.url, **options)
        assert "give user and password" in done.problems[0].reason
