"""Hostile orders of events: what a store has to withstand without losing or bending a sample."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction

import numpy as np
import obspy
import pytest
from obspy.core.inventory import Channel, Inventory, Network, Response, Station
from obspy.core.inventory.response import InstrumentSensitivity

import pangeo_ces as ces
from pangeo_ces.errors import CesError, StoreError
from pangeo_ces.sources.base import Site, Trace
from pangeo_ces.store import repo
from pangeo_ces.store.plan import Plan
from pangeo_ces.store.report import Report
from pangeo_ces.store.steps import begin, publish
from pangeo_ces.store.traces import read_traces
from pangeo_ces.store.work import run_partition

SECOND = 10**9
DAY = 86_400
START = 1_582_848_000 * SECOND  # 2020-02-28
SITE = Site(42.5, 13.0, 100.0, 0.0, 0.0, -90.0)


@pytest.fixture
def files(tmp_path, listed):
    """``files(a=[trace, …])`` writes files, with other bytes each time they are written."""
    listed.files = {}
    count = iter(range(10_000))

    def write(same=None, **contents):
        paths = []
        for name, traces in contents.items():
            path = tmp_path / f"{name}.list"
            path.write_text(same or f"{name} {next(count)}")
            listed.files[path.name] = traces
            paths.append(path)
        return paths

    return write


def trace(values, start=0, station="A", channel="LHZ", dtype="int32", interval=Fraction(1), **more):
    """Samples from ``start`` seconds after :data:`START` on."""
    data = np.asarray(values, dtype)
    begin = START + round(start * SECOND)
    return Trace("XX", station, "", channel, begin, interval, len(data), data, site=SITE, **more)


def stored(store):
    return sorted(
        (t.id, t.start, t.quantity, t.data.dtype.str, t.data.tolist()) for t in read_traces(store)
    )


def given(*traces):
    return sorted((t.id, t.start, t.quantity, t.data.dtype.str, t.data.tolist()) for t in traces)


def inventory(path, *channels):
    """StationXML with (station, channel, from, to, azimuth, gain)."""
    stations = {}
    for station, code, since, until, azimuth, gain in channels:
        response = Response(instrument_sensitivity=InstrumentSensitivity(
            gain, 1.0, "M/S", "COUNTS"))  # fmt: skip
        stations.setdefault(station, []).append(
            Channel(code, "", 42, 13, 0, 0, azimuth=azimuth, dip=0, response=response,
                    start_date=since and obspy.UTCDateTime(since),
                    end_date=until and obspy.UTCDateTime(until)))  # fmt: skip
    found = [Station(code, 42, 13, 0, channels=c) for code, c in stations.items()]
    Inventory([Network("XX", found)]).write(str(path), format="STATIONXML")
    return str(path)


# ---- replaced, renamed, vanished files


def test_a_file_that_takes_the_bytes_of_another(tmp_path, files, listed):
    """Two files exchange their names: nothing is lost."""
    one, two = trace([1, 2, 3]), trace([7, 8, 9], 100)
    a, b = files(a=[one], b=[two])
    ces.convert([a, b], tmp_path / "s")
    texts = a.read_text(), b.read_text()
    a.write_text(texts[1]), b.write_text(texts[0])
    listed.files |= {"a.list": [two], "b.list": [one]}
    ces.convert([a, b], tmp_path / "s")
    assert stored(tmp_path / "s") == given(one, two)


def test_a_copy_stays_when_its_twin_changes(tmp_path, files, listed):
    """Equal bytes under two names are stored once; one of them is then corrected."""
    one, other = trace([1, 2, 3]), trace([7, 8, 9], 100)
    a, b = files(same="twins", a=[one], b=[one])
    ces.convert([a, b], tmp_path / "s")
    files(a=[other])
    ces.convert([a, b], tmp_path / "s")
    assert stored(tmp_path / "s") == given(one, other)


def test_a_file_renamed_at_the_provider(tmp_path, record, stations, quake):
    archive, store = tmp_path / "archive", tmp_path / "s"
    path = record("A")
    ces.stage_files(archive, [path.parent])
    ces.convert(archive, store, stations=stations)
    path.rename(path.with_name("other-name.mseed"))
    ces.stage_files(archive, [path.parent])
    ces.convert(archive, store, stations=stations)
    assert len(list(read_traces(store))) == 1


def test_files_of_two_archives_with_one_name(tmp_path, record, stations):
    """Both hold a ``day.mseed``: neither may hide the other."""
    archives = []
    for station in "AB":
        path = record(station, name="day.mseed")
        archives.append(tmp_path / f"archive-{station}")
        ces.stage_files(archives[-1], [path.parent])
    with pytest.raises(CesError, match="in two of the inputs"):
        ces.convert(archives, tmp_path / "s", stations=stations)


# ---- one file, several traces of one span


def test_two_traces_of_one_span_in_a_file(tmp_path, files):
    """As where qualities D and Q of one hour were put into one file."""
    traces = [trace([1, 2, 3]), trace([4, 5, 6])]
    ces.convert(files(a=traces), tmp_path / "s")
    assert stored(tmp_path / "s") == given(*traces)


def test_two_quantities_of_one_span_in_a_file(tmp_path, files):
    traces = [trace([1, 2, 3]), trace([0.1, 0.2, 0.3], dtype="float32", quantity="velocity")]
    ces.convert(files(a=traces), tmp_path / "s")
    assert stored(tmp_path / "s") == given(*traces)


def test_two_traces_of_one_span_in_windows(tmp_path, files, catalog_of):
    event = catalog_of("e.xml", obspy.UTCDateTime(ns=START))
    traces = [trace([1, 2, 3]), trace([4, 5, 6])]
    ces.convert(files(a=traces[:1], b=traces[1:]), tmp_path / "s", event=event)
    assert stored(tmp_path / "s") == given(*traces)


def test_qualities_of_a_record_in_one_miniseed_file(tmp_path, stations):
    path = tmp_path / "two.mseed"
    header = {"network": "XX", "station": "A", "channel": "HHZ", "sampling_rate": 100.0}
    parts = []
    for quality, seed in (("D", 1), ("Q", 2)):
        data = np.random.default_rng(seed).integers(-99, 99, 500).astype("int32")
        part = tmp_path / f"{quality}.mseed"
        obspy.Trace(data, header | {"mseed": {"dataquality": quality}}).write(
            str(part), format="MSEED")  # fmt: skip
        parts.append(data)
        with path.open("ab") as stream:
            stream.write(part.read_bytes())
    ces.convert(path, tmp_path / "s", stations=stations)
    back = sorted((t.quality, t.data.tolist()) for t in read_traces(tmp_path / "s"))
    assert back == [("D", parts[0].tolist()), ("Q", parts[1].tolist())]


# ---- copies


def test_a_copy_that_comes_later_is_a_copy(tmp_path, files):
    """The same samples in another file: once, whether it came with the first or after it."""
    one = trace(range(50))
    a, b = files(a=[one], b=[trace(range(50))])
    ces.convert([a, b], tmp_path / "whole")
    ces.convert([a], tmp_path / "grown")
    ces.convert([b], tmp_path / "grown")
    assert stored(tmp_path / "whole") == given(one)
    assert stored(tmp_path / "grown") == given(one)


def test_zeros_of_both_signs_overlap(tmp_path, files):
    traces = [trace([0.0, 1.0], dtype="float32"), trace([-0.0, 1.0, 2.0], dtype="float32")]
    ces.convert(files(a=traces[:1], b=traces[1:]), tmp_path / "s")
    back = {t.samples: t.data for t in read_traces(tmp_path / "s")}
    assert [np.signbit(back[n][0]) for n in (2, 3)] == [False, True]


# ---- nothing new, no new version


def test_again_after_samples_that_cannot_be_decoded(tmp_path, files, listed):
    good, bad = trace([1, 2, 3]), trace([4, 5, 6], 100)
    paths = files(a=[good], b=[bad])
    reading = listed.read

    def read(file, *, samples, report):
        if file.name == "b.list" and samples:
            return []
        return reading(file, samples=samples, report=report)

    import dataclasses

    listed.files["b.list"] = [dataclasses.replace(bad, data=None)]
    listed.files["b.list"][0].dtype = np.dtype("int32")
    listed.read = read
    try:
        ces.convert(paths, tmp_path / "s")
        again = ces.convert(paths, tmp_path / "s")
    finally:
        del listed.read
    assert len(ces.history(tmp_path / "s")) == 1 and again.unchanged


def test_again_with_a_stationxml_for_each_station(tmp_path, files):
    documents = [inventory(tmp_path / f"{s}.xml", (s, "LHZ", None, None, 0, 1e9)) for s in "AB"]
    paths = files(a=[trace([1, 2, 3])], b=[trace([1, 2, 3], station="B")])
    ces.convert(paths, tmp_path / "s", stations=documents)
    again = ces.convert(paths, tmp_path / "s", stations=documents)
    assert again.unchanged


# ---- metadata


def test_a_later_epoch_does_not_change_the_earlier_data(tmp_path, files):
    """Coordinates are those of the first record, whether it came first or all came at once."""
    epochs = inventory(
        tmp_path / "i.xml",
        ("A", "LHZ", "2020-01-01", "2020-02-29", 10, 1e9),
        ("A", "LHZ", "2020-02-29", None, 20, 3e9),
    )
    a, b = files(a=[trace(range(9))], b=[trace(range(9), 2 * DAY)])
    ces.convert([a, b], tmp_path / "whole", stations=epochs)
    ces.convert([a], tmp_path / "grown", stations=epochs)
    ces.convert([b], tmp_path / "grown", stations=epochs)
    whole, grown = (ces.open_store(tmp_path / s)["continuous/1Hz"] for s in ("whole", "grown"))
    assert float(grown["sensitivity"].values[0, 0]) == float(whole["sensitivity"].values[0, 0])
    assert float(grown["azimuth"].values[0, 0]) == float(whole["azimuth"].values[0, 0])


def test_a_corrected_orientation(tmp_path, files):
    """The same channel epoch, corrected: coordinates and document say the same."""
    path = tmp_path / "i.xml"
    (a,) = files(a=[trace(range(9))])
    inventory(path, ("A", "LHZ", None, None, 10, 1e9))
    ces.convert([a], tmp_path / "s", stations=str(path))
    inventory(path, ("A", "LHZ", None, None, 20, 2e9))
    ces.convert([a], tmp_path / "s", stations=str(path))
    node = ces.open_store(tmp_path / "s")["continuous/1Hz"]
    assert float(node["azimuth"].values[0, 0]) == 20
    assert float(node["sensitivity"].values[0, 0]) == 2e9


# ---- rates


def test_rates_too_close_to_tell_by_name(tmp_path, files):
    """They are never merged: the second is refused, with the reason."""
    exact, odd = Fraction(1, 100), 1 / Fraction(100.0000000001)
    traces = [trace(range(5), interval=exact), trace(range(5, 10), 100, interval=odd)]
    report = ces.convert(files(a=traces[:1], b=traces[1:]), tmp_path / "s")
    assert stored(tmp_path / "s") == given(*traces[:1])
    assert "into another store" in report.rows[-1].reason
    with pytest.raises(CesError, match="into another store"):
        ces.convert(files(b=traces[1:]), tmp_path / "s")
    ces.convert(files(b=traces[1:]), tmp_path / "other")
    assert next(read_traces(tmp_path / "other")).interval == odd


# ---- killed, then run again


def test_stations_that_change_while_a_killed_run_waits(tmp_path, files):
    """The same call, the same number of partitions, other traces in them."""

    def placeless(*args):
        return dataclasses.replace(trace(*args), site=Site())

    east, north = placeless([1, 2, 3], 0, "A", "LHE"), placeless([4, 5, 6], 0, "A", "LHN")
    paths = files(a=[east, north])
    places = inventory(tmp_path / "i.xml", ("A", "LHE", None, None, 0, 1e9))
    plan = ces.plan(paths, stations=places)
    job = begin(plan, tmp_path / "s")
    for number in range(job.partitions):
        run_partition(job.work, number)
    inventory(tmp_path / "i.xml", ("A", "LHN", None, None, 0, 1e9))
    ces.convert(plan, tmp_path / "s")
    assert stored(tmp_path / "s") == given(north)


def test_the_same_conversion_in_two_processes(tmp_path, files):
    """Whoever is late is told so, in words of ours."""
    plan = ces.plan(files(a=[trace(range(100))]))
    job = begin(plan, tmp_path / "s")
    for number in range(job.partitions):
        run_partition(job.work, number)
    repo.Draft.begin(str(tmp_path / "s"), job.work.branch)
    with pytest.raises(StoreError):
        publish(job, Report(traces_used=1))
    ces.convert(plan, tmp_path / "s")
    assert stored(tmp_path / "s") == given(trace(range(100)))


# ---- damage, names, plans


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
@pytest.mark.parametrize("way", ["open", "traces"])
def test_damaged_chunks_are_an_error_of_ours(tmp_path, files, damage, way):
    values = np.random.default_rng(1).integers(-9999, 9999, 20_000)
    ces.convert(files(a=[trace(values)]), tmp_path / "s")
    largest = max((tmp_path / "s" / "chunks").iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 3] ^= 1
    if damage == "remove":
        largest.unlink()
    else:
        largest.write_bytes(content[: len(content) // 2] if damage == "cut" else content)
    read = {
        "open": lambda: ces.open_store(tmp_path / "s")["continuous/1Hz"]["counts"].load(),
        "traces": lambda: list(read_traces(tmp_path / "s")),
    }
    with pytest.raises(StoreError):
        read[way]()


@pytest.mark.parametrize("version", ["2026-13-45", "²", "2026-01-01T25:00", "9" * 30])
def test_versions_that_make_no_sense(tmp_path, files, version):
    ces.convert(files(a=[trace([1])]), tmp_path / "s")
    with pytest.raises(StoreError):
        ces.open_store(f"{tmp_path}/s@{version}")


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("windows",), True),
        (("profile",), ["core"]),
        (("stations",), -1),
        (("event",), -1),
        (("gone",), 0),
        (("files", 0, "url"), True),
        (("files", 0, "size"), "x"),
        (("files", 0, "sha256"), 1.5),
        (("nodes", 0, "shards"), [1, 1, 8 * 10**12]),
        (("traces", "samples", 0), "x"),
        (("traces", "samples", 0), 1.5),
        (("traces", "start", 0), "x"),
        (("traces", "number", 0), "x"),
        (("traces", "station", 0), None),
        (("traces", "quality", 0), True),
        (("traces", "quantity", 0), "segments"),
        (("traces", "interval", 0), "-1"),
        (("traces", "stored_as", 0), "complex128"),
        (("traces", "stored_as", 0), "int16"),
    ],
    ids=lambda part: "/".join(map(str, part)) if isinstance(part, tuple) else str(part)[:12],
)
def test_plans_of_nonsense(tmp_path, files, where, value):
    """A plan that was edited wrongly is refused with a fix, and changes nothing."""
    values = [1.5, 2.5] if where[-2:-1] == ("stored_as",) else [1, 2]
    dtype = "float64" if where[-2:-1] == ("stored_as",) else "int32"
    plan = ces.plan(files(a=[trace(values, dtype=dtype), trace(values, 9, dtype=dtype)]))
    facts = json.loads(plan.to_json())
    part = facts
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = value
    with pytest.raises(CesError):
        ces.convert(Plan.from_json(json.dumps(facts)), tmp_path / "s")
    with pytest.raises(StoreError):
        ces.open_store(tmp_path / "s")
