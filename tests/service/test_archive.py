"""Raw records of an archive: the staged bytes, no more and no less than overlap."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor

import obspy
import pytest

from pangeo_ces.service.holdings import open_holdings
from pangeo_ces.service.miniseed import scan

from .conftest import EVENTS, STATIONS, assert_same, make_archive, serving

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def archive(german_files, tmp_path_factory):
    files = {f"2003/{name}": ("waveform", content) for name, content in german_files.items()}
    files["stations.xml"] = ("stations", STATIONS.read_bytes())
    files["events.xml"] = ("events", EVENTS.read_bytes())
    files["broken.xml"] = ("stations", b"<html>busy</html>")
    files["broken.mseed"] = ("waveform", b"<html>busy</html>")
    return make_archive(tmp_path_factory.mktemp("archive"), files)


@pytest.fixture(scope="module")
def german_files(german_stream):
    """The records as a data centre hands them out: a file for each trace."""
    files = {}
    for number, item in enumerate(german_stream):
        stream = io.BytesIO()
        item.write(stream, format="MSEED", encoding="STEIM1", reclen=512)
        files[f"{number:02d}.mseed"] = stream.getvalue()
    return files


@pytest.fixture(scope="module")
def server(archive, tmp_path_factory):
    with serving(archive, cache=tmp_path_factory.mktemp("cache")) as running:
        yield running


def test_all_records_unchanged(server, german_files, german_stream):
    status, content, _ = server.get("/fdsnws/dataselect/1/query")
    assert status == 200
    split = lambda text: sorted(text[n : n + 512] for n in range(0, len(text), 512))  # noqa: E731
    assert split(content) == split(b"".join(german_files.values()))
    assert_same(obspy.read(io.BytesIO(content)), german_stream)


def test_whole_records_that_overlap(server, german_files, german_stream):
    first = german_stream[0]
    start = first.stats.starttime + 31.4159
    end = start + 27.18
    found = server.get(
        f"/fdsnws/dataselect/1/query?net={first.stats.network}&sta={first.stats.station}"
        f"&cha={first.stats.channel}&start={start}&end={end}"
    )[1]
    raw = german_files["00.mseed"]
    expected = b"".join(
        raw[r.offset : r.offset + r.length]
        for r in scan(raw)
        if r.start <= end.ns and start.ns <= r.end
    )
    assert 0 < len(expected) < len(raw)
    assert found == expected


def test_lines_that_overlap_give_every_record_once(server, german_stream):
    first = german_stream[0]
    code, start = first.id.split("."), first.stats.starttime
    lines = [(*code, start + n, start + n + 1.5) for n in range(0, 40, 2)]
    content = server.client().get_waveforms_bulk(lines)
    assert sum(map(len, content)) <= len(first)
    assert len(content) == 1


def test_metadata_of_an_archive(server):
    client = server.client()
    assert len(client.get_stations(level="channel")[0].stations) == 5
    assert len(client.get_events()) == len(obspy.read_events(str(EVENTS)))
    assert any("broken.xml" in line for line in server.log)
    assert any("broken.mseed: no miniSEED" in line for line in server.log)


def test_the_index_is_made_once(archive, tmp_path):
    read: list[list[str]] = []

    def progress(objects: list[str]) -> list[str]:
        read.append(objects)
        return objects

    with ThreadPoolExecutor() as pool:
        one, two = (open_holdings(archive, pool, tmp_path, progress) for _ in range(2))
    assert len(read[0]) == 43 and read[1] == []
    for name in ("start", "end", "channel", "step", "quality"):
        assert (
            getattr(one.waveforms.timeline, name) == getattr(two.waveforms.timeline, name)
        ).all()


def test_a_stage_by_number_and_following_the_newest(german_files, tmp_path):
    one, two = sorted(german_files)[:2]
    folder = make_archive(tmp_path / "a", {one: ("waveform", german_files[one])})
    with serving(folder, "--follow", "0.2", cache=tmp_path) as server:
        assert len(server.get("/fdsnws/dataselect/1/query")[1]) == len(german_files[one])
        make_archive(folder, {n: ("waveform", german_files[n]) for n in (one, two)}, number=2)
        deadline = time.monotonic() + 20
        while len(server.get("/fdsnws/dataselect/1/query")[1]) == len(german_files[one]):
            assert time.monotonic() < deadline
        both = server.get("/fdsnws/dataselect/1/query")[1]
    assert len(both) == len(german_files[one]) + len(german_files[two])
    with ThreadPoolExecutor() as pool:
        old, new = (open_holdings(f"{folder}{at}", pool, tmp_path) for at in ("@1", ""))
    assert (old.version, new.version) == (1, 2)
    assert old.waveforms.timeline.start.size < new.waveforms.timeline.start.size


def test_records_among_garbage(data):
    """Every hostile file: no crash, and records that do not overlap in the file."""
    for file in sorted(data("06_hostile").rglob("*")):
        if file.is_file():
            content, reached = file.read_bytes(), 0
            for record in scan(content):
                assert reached <= record.offset and record.length >= 40
                reached = record.offset + record.length
            assert reached <= len(content)
    content = (data("06_hostile") / "crafted/garbage_between_records.mseed").read_bytes()
    assert sum(r.end > r.start for r in scan(content)) > 1
