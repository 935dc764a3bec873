"""File, store, file: the same samples at the same times, or a row that says otherwise."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import fsspec
import numpy as np
import obspy
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from obspy.io.sac import SACTrace
from pymseed import MS3Record, MS3TraceList

import pangeo_ces as ces
from pangeo_ces.cli import main
from pangeo_ces.errors import InputError, ParameterError, StoreError
from pangeo_ces.sources.base import Site, Trace, exact_interval, nominal_rate
from pangeo_ces.store.export import export
from pangeo_ces.store.traces import read_traces

COUNTER = itertools.count()
GERMAN = ces.samples.path("german_events")


@pytest.fixture(scope="module")
def german() -> str:
    return ces.samples.german_events("memory://export-german")


@pytest.fixture
def stored(listed):
    """A store of given traces, continuous or in windows."""

    def make(traces: list[Trace], event: str | None = None) -> str:
        number = next(COUNTER)
        listed.files[f"e{number}.list"] = traces
        fsspec.filesystem("memory").pipe(f"/in/e{number}.list", b"list")
        store = f"memory://exported-{number}"
        ces.convert(f"memory://in/e{number}.list", store, event=event)
        return store

    return make


def read_all(folder: Path) -> obspy.Stream:
    """Every waveform file of a folder, by ObsPy."""
    stream = obspy.Stream()
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file() and path.suffix not in (".xml", ".h5"):
            stream += obspy.read(str(path))
    return stream


def key(trace: obspy.Trace) -> tuple:
    return (trace.id, trace.stats.starttime.ns, trace.stats.npts)


def assert_same(original: obspy.Stream, back: obspy.Stream) -> None:
    assert len(original) == len(back) > 0
    pairs = zip(sorted(original, key=key), sorted(back, key=key), strict=True)
    for one, two in pairs:
        assert (one.id, one.stats.starttime.ns) == (two.id, two.stats.starttime.ns)
        assert one.stats.sampling_rate == two.stats.sampling_rate
        assert one.data.dtype == two.data.dtype
        np.testing.assert_array_equal(one.data, two.data)


@pytest.mark.parametrize("form", ["mseed", "mseed3"])
def test_german_events(german, tmp_path, form):
    """Every sample and start of the files comes back; quality letters too."""
    original = obspy.Stream()
    for path in sorted(GERMAN.glob("observed/*.mseed")):
        original += obspy.read(str(path))
    done = export(german, tmp_path, format=form, path="windows/main/observed", record_length=512)
    assert (done.traces, done.rows) == (len(original), [])
    back = read_all(tmp_path) if form == "mseed" else read_mseed3(tmp_path)
    assert_same(original, back)
    assert len(done.files) == len(original) + 2
    if form == "mseed":
        assert {t.stats.mseed.dataquality for t in back} == {
            t.stats.mseed.dataquality for t in original
        }
        assert {t.stats.mseed.encoding for t in back} == {"STEIM2"}


def read_mseed3(folder: Path) -> obspy.Stream:
    """miniSEED 3 by libmseed: ObsPy does not read it."""
    stream = obspy.Stream()
    for path in sorted(folder.rglob("*.mseed")):
        for traceid in MS3TraceList.from_file(str(path), unpack_data=True):
            _, rest = traceid.sourceid.split(":")
            network, station, location, *channel = rest.split("_")
            for segment in traceid:
                header = {
                    "network": network, "station": station, "location": location,
                    "channel": "".join(channel),
                    "starttime": obspy.UTCDateTime(ns=segment.starttime),
                    "sampling_rate": segment.samprate,
                }  # fmt: skip
                stream.append(obspy.Trace(segment.np_datasamples.copy(), header))
    return stream


def test_mseed_readers_of_others_agree(german, tmp_path):
    """What ObsPy reads of the miniSEED, libmseed reads too."""
    export(german, tmp_path, path="windows/main/synthetic/specfem/2.5Hz")
    assert_same(read_all(tmp_path), read_mseed3(tmp_path))


def test_layout_and_documents(german, tmp_path):
    done = export(german, tmp_path, station="BFO", channel="??Z")
    assert [name for name in done.files if "20020722" in name] == [
        "windows/main/observed/20020722T054504/GR.BFO..HHZ.mseed",
        "windows/main/synthetic/specfem/velocity/20020722T054504/GR.BFO..BXZ.mseed",
    ]
    inventory = obspy.read_inventory(str(tmp_path / "stations.xml"))
    given = obspy.read_inventory(str(GERMAN / "stations.xml"))
    when = obspy.UTCDateTime("2002-07-22T05:45:00")
    one, two = (i.get_response("GR.BFO..HHZ", when) for i in (inventory, given))
    assert one == two
    # The synthetics have no StationXML: their channels are described from the store.
    assert inventory.get_coordinates("GR.BFO..BXZ")["latitude"] == 48.3311
    events = obspy.read_events(str(tmp_path / "events.xml"))
    expected = obspy.read_events(str(GERMAN / "events.xml"))
    assert {str(e.resource_id) for e in events} == {str(e.resource_id) for e in expected}


def test_times_are_cut_to_the_sample(german, tmp_path):
    start, end = obspy.UTCDateTime("2002-07-22T05:45:00"), obspy.UTCDateTime("2002-07-22T05:45:10")
    done = export(german, tmp_path, path="windows/main/observed", network="GR", station="BFO",
                  starttime=str(start), endtime=end)  # fmt: skip
    assert done.samples == 3 * 200
    whole = ces.to_stream(german)
    for trace in read_all(tmp_path):
        (full,) = (t for t in whole if t.id == trace.id and abs(t.stats.starttime - start) < 60)
        assert start <= trace.stats.starttime < start + 0.05
        assert end - 0.05 <= trace.stats.endtime < end
        first = round((trace.stats.starttime - full.stats.starttime) * 20)
        np.testing.assert_array_equal(trace.data, full.data[first : first + 200])


@pytest.mark.parametrize(
    "arguments",
    [{"format": "wav"}, {"record_length": 500}, {"starttime": "yesterday"}],
)  # fmt: skip
def test_misuse(german, tmp_path, arguments):
    with pytest.raises(ParameterError):
        export(german, tmp_path, **arguments)


def test_nothing_selected(german, tmp_path):
    with pytest.raises(InputError, match="nothing in .* is selected"):
        export(german, tmp_path, station="NONE")
    with pytest.raises(StoreError):
        export(tmp_path / "none.zarr", tmp_path)


@pytest.mark.parametrize("form", ["mseed", "mseed3", "sac", "asdf"])
def test_again_gives_the_same_bytes(german, tmp_path, form):
    def content(folder: Path) -> dict[str, bytes]:
        return {
            str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()
        }

    first = export(german, tmp_path / "a", format=form, station="BFO")
    export(german, tmp_path / "b", format=form, station="BFO")
    before = content(tmp_path / "a")
    assert sorted(before) == sorted(first.files)
    assert before == content(tmp_path / "b")
    export(german, tmp_path / "a", format=form, station="BFO")
    assert content(tmp_path / "a") == before
    # On another file system too.
    export(german, f"memory://again-{form}", format=form, station="BFO")
    memory = fsspec.filesystem("memory")
    assert {n: memory.cat_file(f"/again-{form}/{n}") for n in first.files} == before


def test_killed_leaves_no_part_of_a_file(german, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="No space"):
        export(german, tmp_path, station="BFO")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_no_name_leads_out_of_the_folder(tmp_path):
    from pangeo_ces.store.export import _Folder

    folder = _Folder(str(tmp_path / "out"))
    for name in ("../x", "a/../../x", "/etc/x", "a//b", "a\\b"):
        with pytest.raises(StoreError, match="no safe file name"):
            folder.write(name, b"")


# -- every kind of trace ---------------------------------------------------------------------------

DTYPES = ["int32", "float32", "float64"]


@st.composite
def channel(draw):
    """Traces of a channel: gaps, overlaps, starts off the grid, any counts and rates."""
    rate = draw(st.sampled_from([100.0, 1.0, 128.0, 99.999, 0.1, 1 / 0.126792654, 200.0]))
    dtype = draw(st.sampled_from(DTYPES))
    step = round(1e9 / rate)
    start = draw(st.integers(0, 3 * 86_400)) * 10**9 + 1_451_606_400 * 10**9
    start += draw(st.sampled_from([0, 4_200_000, 123_456_000, 123_456_789]))
    traces = []
    for _ in range(draw(st.integers(1, 3))):
        samples = draw(st.integers(1, 300))
        seed = draw(st.integers(0, 2**32 - 1))
        size = draw(st.sampled_from([100, 2**24 + 5, 2**31 - 1]))
        random = np.random.default_rng(seed)
        data = random.integers(-size, size, samples).astype(dtype)
        traces.append((start, data))
        start += samples * step + draw(st.integers(-samples // 2, 400)) * step
        start += draw(st.sampled_from([0, step // 3]))
    return rate, traces


def merged(traces: list[Trace]) -> dict[int, bytes]:
    """Every sample by its time, rounded to a microsecond."""
    found: dict[int, list] = {}
    for trace in traces:
        for number, value in enumerate(trace.data.tolist()):
            time = trace.start + round(number * trace.interval * 10**9)
            found.setdefault(round(time / 2000), []).append(value)
    return {time: sorted(values) for time, values in found.items()}


@settings(max_examples=10, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(channel(), st.booleans(), st.sampled_from([512, 4096]))
def test_any_windows_round_trip(stored, tmp_path, catalog_of, made, third, length):
    """Windows through both miniSEEDs: each record's start, rate and samples, or a row."""
    rate, traces = made
    site = Site(42.5, 13.0, 100.0, 0.0, 0.0, -90.0)
    interval = exact_interval(rate)
    listed = [
        Trace("XX", "A", "", "HHZ", start, interval, len(data), data, site=site, quality="M")
        for start, data in traces
    ]
    event = catalog_of("e.xml", obspy.UTCDateTime(ns=traces[0][0]))
    store = stored(listed, event)
    kept = list(read_traces(store))
    number = next(COUNTER)
    form = "mseed3" if third else "mseed"
    done = export(store, f"memory://any-{number}", format=form, record_length=length)
    found = records(fsspec.filesystem("memory").cat_file(f"/any-{number}/{done.files[0]}"))
    reasons = [row.reason for row in done.rows]
    for trace in kept:
        slack = 0 if third or trace.start % 1000 == 0 else 500
        first = [i for i, r in enumerate(found) if abs(r.start - trace.start) <= slack]
        assert any(
            np.array_equal(np.concatenate([r.data for r in found[i:]])[: trace.samples], trace.data)
            for i in first
        )
        written = found[first[0]].rate
        assert written == nominal_rate(trace.interval) or any("its rate" in r for r in reasons)
        assert not slack or any("its start" in r for r in reasons)
    assert all(record.version == 4 for record in found)
    assert sum(len(record.data) for record in found) == done.samples


class Record(NamedTuple):
    start: int
    rate: float
    version: int
    data: np.ndarray


def records(content: bytes) -> list[Record]:
    """Record by record: no reader's idea of what belongs together comes in."""
    found = MS3Record.from_buffer(content, unpack_data=True)
    return [Record(r.starttime, r.samprate, r.pubversion, r.np_datasamples.copy()) for r in found]


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(channel())
def test_any_continuous_round_trip(stored, made):
    """Continuous data cut at midnight: converted again, the same samples at the same times."""
    rate, traces = made
    site = Site(42.5, 13.0, 100.0, 0.0, 0.0, -90.0)
    interval = exact_interval(rate)
    store = stored([
        Trace("XX", "A", "", "HHZ", start, interval, len(data), data, site=site)
        for start, data in traces
    ])  # fmt: skip
    number = next(COUNTER)
    done = export(store, f"memory://days-{number}", path="continuous", format="mseed3")
    fs = fsspec.filesystem("memory")
    back: list[Trace] = []
    for name in done.files[:-1]:
        day = obspy.UTCDateTime(name[-8:].replace(".", "")).ns
        for record in records(fs.cat_file(f"/days-{number}/{name}")):
            assert day <= record.start < day + 86_400 * 10**9
            back.append(
                Trace("XX", "A", "", "HHZ", record.start, interval, len(record.data), record.data)
            )
    one, two = merged(list(read_traces(store))), merged(back)
    assert sum(map(len, one.values())) == sum(map(len, two.values()))
    chain = itertools.chain.from_iterable
    assert sorted(chain(one.values())) == sorted(chain(two.values()))
    if (Fraction(10**9) * interval).denominator == 1:
        assert one == two


@pytest.mark.parametrize(
    ("dtype", "values", "encoding"),
    [
        ("int32", [0, 2**29 - 1, 0], "STEIM2"),
        ("int32", [0, 2**29, 0], "INT32"),
        ("int32", [-(2**31), 2**31 - 1], "INT32"),
        ("int64", [2**40, -5], "FLOAT64"),
        ("int16", [-5, 7], "STEIM2"),
        ("float32", [1.5, np.nan], "FLOAT32"),
        ("float64", [1e-300, 1 / 3], "FLOAT64"),
    ],
)
def test_encodings(stored, tmp_path, dtype, values, encoding):
    data = np.array(values, dtype)
    site = Site(42.5, 13.0)
    store = stored([Trace("XX", "A", "", "HHZ", 10**18, Fraction(1, 100), len(data), data,
                          site=site)])  # fmt: skip
    done = export(store, tmp_path)
    (trace,) = read_all(tmp_path)
    assert trace.stats.mseed.encoding == encoding
    np.testing.assert_array_equal(trace.data.astype(dtype), data)
    assert [row.reason for row in done.rows if "StationXML" not in row.reason] == (
        ["counts beyond 32 bits: written, exactly, as float64"] if dtype == "int64" else []
    )


def test_codes_that_do_not_fit(stored, tmp_path):
    """A K-NET code has six letters: miniSEED 2 refuses it, miniSEED 3 takes it."""
    data = np.arange(9, dtype="int32")
    store = stored([Trace("BO", "AKT001", "", "HNE", 10**18, Fraction(1, 100), 9, data,
                          site=Site(39.0, 140.0, 1.0))])  # fmt: skip
    done = export(store, tmp_path / "two")
    assert done.traces == 0
    assert [(row.status, row.trace) for row in done.rows] == [("rejected", "BO.AKT001..HNE")]
    assert "mseed3" in done.rows[0].reason
    done = export(store, tmp_path / "three", format="mseed3")
    assert (done.traces, done.rows) == (1, [])
    (name,) = (n for n in done.files if "AKT001" in n)
    (record,) = MS3TraceList.from_file(str(tmp_path / "three" / name), unpack_data=True)
    assert record.sourceid == "FDSN:BO_AKT001__H_N_E"
    np.testing.assert_array_equal(record[0].np_datasamples, data)


# -- SAC -------------------------------------------------------------------------------------------


def test_sac_headers(german, tmp_path):
    """Against the store, and SAC's own definitions by ObsPy."""
    done = export(german, tmp_path, format="sac", path="windows/main/observed", station="BFO")
    assert (done.traces, done.rows) == (9, [])
    ds = ces.open_store(german)["windows/main/observed/20Hz"].to_dataset().isel(event=0)
    name = "20020722T054504/GR.BFO..HHE.D.2002.203.054454.SAC"
    trace = obspy.read(str(tmp_path / name))[0]
    (original,) = (t for t in ces.to_stream(german)
                   if t.id == "GR.BFO..HHE" and t.stats.starttime.year == 2002)  # fmt: skip
    assert trace.stats.starttime.ns == original.stats.starttime.ns
    np.testing.assert_array_equal(trace.data, original.data)
    sac = SACTrace.read(str(tmp_path / name))
    origin = obspy.UTCDateTime(str(ds.origin_time.values))
    assert abs(sac.reftime + sac.o - origin) < 1e-4
    bfo = ds.sel(station="GR.BFO..HH")
    assert (sac.cmpaz, sac.cmpinc) == (90.0, 90.0)
    assert sac.baz == pytest.approx(float(bfo.back_azimuth), abs=1e-4)
    assert sac.dist * 1000 == pytest.approx(float(bfo.epicentral_distance), rel=1e-6)
    assert (sac.kstnm, sac.knetwk, sac.kcmpnm) == ("BFO", "GR", "HHE")
    assert sac.stla == pytest.approx(48.3311, abs=1e-5)
    assert (sac.evdp, sac.mag) == (pytest.approx(17.6), pytest.approx(5.7))
    vertical = SACTrace.read(str(tmp_path / name.replace("HHE", "HHZ")))
    assert vertical.cmpinc == 0.0  # up


def test_sac_refuses_what_it_cannot_hold(stored, tmp_path):
    site = Site(42.5, 13.0, 1.0)
    large = np.array([2**24 + 1, 0], "int32")
    fine = np.array([2**24, -(2**24)], "int32")
    double = np.array([1 / 3, 2.0])
    traces = [
        Trace("XX", name, "", "HHZ", 10**18 + 123_456_789, Fraction(1, 100), 2, data, site=site)
        for name, data in (("BIG", large), ("FINE", fine), ("REAL", double))
    ]
    done = export(stored(traces), tmp_path, format="sac")
    assert [(row.status, row.trace) for row in done.rows] == [
        ("rejected", "XX.BIG..HHZ"), ("warning", "XX.REAL..HHZ"),
    ]  # fmt: skip
    stream = read_all(tmp_path)
    assert {t.stats.station for t in stream} == {"FINE", "REAL"}
    for trace in stream:
        assert abs(trace.stats.starttime.ns - (10**18 + 123_456_789)) <= 1000
    np.testing.assert_array_equal(stream.select(station="FINE")[0].data, fine)


def test_sac_one_file_a_trace(stored, tmp_path, catalog_of):
    """Two traces that start in the same second have two files."""
    site = Site(42.5, 13.0, 1.0)
    traces = [
        Trace("XX", "A", "", "HHZ", 10**18 + shift, Fraction(1, 100), 5,
              np.arange(5, dtype="int32") + shift % 7, site=site)
        for shift in (0, 200_000_000)
    ]  # fmt: skip
    store = stored(traces, catalog_of("e.xml", obspy.UTCDateTime(ns=10**18)))
    export(store, tmp_path, format="sac")
    assert len(read_all(tmp_path)) == 2


# -- ASDF ------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_asdf_by_pyasdf(german, tmp_path):
    pyasdf = pytest.importorskip("pyasdf")
    export(german, tmp_path, format="asdf")
    with pyasdf.ASDFDataSet(str(tmp_path / "waveforms.h5"), mode="r", mpi=False) as file:
        back = obspy.Stream()
        for station in file.waveforms:
            assert set(station.get_waveform_tags()) == {
                "raw_recording", "synthetic_specfem_velocity",
            }  # fmt: skip
            for tag in station.get_waveform_tags():
                back += station[tag]
            assert station.StationXML[0].stations[0].channels
        events = {str(event.resource_id): event for event in file.events}
        for trace in back:
            (event,) = trace.stats.asdf.event_ids
            origin = events[str(event)].preferred_origin().time
            assert abs(trace.stats.starttime - origin) < 30
    original = ces.to_stream(german)
    for stream in (original, back):
        for trace in stream:  # pyasdf reads starts through float64
            trace.stats.starttime = obspy.UTCDateTime(ns=round(trace.stats.starttime.ns, -3))
    assert_same(original, back)


def test_asdf_starts_are_exact(stored, tmp_path):
    import h5py

    store = stored([Trace("XX", "A", "", "HHZ", 10**18 + 123_456_789, Fraction(1, 100), 3,
                          np.array([1, 2, 3], "int16"), site=Site(42.5, 13.0, 1.0))])  # fmt: skip
    export(store, tmp_path, format="asdf")
    with h5py.File(tmp_path / "waveforms.h5") as file:
        (data,) = (v for k, v in file["Waveforms/XX.A"].items() if k != "StationXML")
        assert data.attrs["starttime"] == 10**18 + 123_456_789
        assert data.dtype == np.int16


# -- real data -------------------------------------------------------------------------------------


def test_hualien(data, tmp_path):
    """Integers of 52 stations; those of some records are in counts of 1e-5 m/s²."""
    folder = data("01_strong_motion/cwb_20210418_hualien")
    files = sorted(folder.glob("**/*.mseed"))[:6]
    store = str(tmp_path / "s.zarr")
    stations, event = sorted(folder.glob("*station*.xml")), sorted(folder.glob("*event*.xml"))
    ces.convert([*files], store, stations=[*stations], event=[*event])
    done = export(store, tmp_path / "out", path="windows/main/observed")
    assert done.rows == []
    assert_same(
        sum((obspy.read(str(f)) for f in files), obspy.Stream()), read_all(tmp_path / "out")
    )


def test_ridgecrest(data, tmp_path):
    folder = data("01_strong_motion/usgs_ci38457511")
    files = sorted(folder.glob("**/*.mseed"))[:9]
    store = str(tmp_path / "s.zarr")
    stations = sorted(folder.glob("**/*.xml"))
    ces.convert([*files], store, stations=[p for p in stations if "event" not in p.name],
                event=obspy_event(tmp_path))  # fmt: skip
    done = export(store, tmp_path / "out", path="windows/main/observed")
    assert not done.count("rejected")
    assert_same(
        sum((obspy.read(str(f)) for f in files), obspy.Stream()), read_all(tmp_path / "out")
    )


def obspy_event(folder: Path) -> str:
    from obspy.core.event import Catalog, Event, Origin

    time = obspy.UTCDateTime("2019-07-06T03:19:53")
    Catalog([Event(origins=[Origin(time=time, latitude=35.77, longitude=-117.599, depth=8000.0)])]
            ).write(str(folder / "e.xml"), format="QUAKEML")  # fmt: skip
    return str(folder / "e.xml")


def test_day_files_as_sds(data, tmp_path):
    """A day at 100 Hz: the SDS archive that comes out is the one that went in."""
    folder = data("03_noise/ya_uv_20100901")
    file = next(p for p in sorted(folder.rglob("*HHZ*")) if p.stat().st_size > 10**6)
    original = obspy.read(str(file))
    stations = tmp_path / "stations.txt"
    stats = original[0].stats
    stations.write_text(f"{stats.station} {stats.network} -21.2 55.7 2000.0 0.0\n")
    store = str(tmp_path / "s.zarr")
    ces.convert(file, store, stations=stations)
    done = export(store, tmp_path / "sds", path="continuous")
    name = f"2010/{stats.network}/{stats.station}/HHZ.D/{original[0].id}.D.2010.244"
    assert done.files[0] == name and done.rows == []
    from obspy.clients.filesystem.sds import Client

    start = obspy.UTCDateTime("2010-09-01")
    back = Client(str(tmp_path / "sds")).get_waveforms(
        *original[0].id.split("."), start - 10, start + 86_410
    )
    assert_same(original, back)


# -- command line ----------------------------------------------------------------------------------


def test_command(tmp_path, german):
    ces.convert(GERMAN / "observed", tmp_path / "s.zarr", stations=GERMAN / "stations.xml",
                event=GERMAN / "events.xml")  # fmt: skip
    run = CliRunner()
    outcome = run.invoke(main, ["export", str(tmp_path / "s.zarr"), "--format", "sac", "--node",
                                "windows/main/observed", "--station", "BFO", "--channel", "HHZ",
                                "--output", str(tmp_path / "out"), "--json"])  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    facts = json.loads(outcome.output)
    assert (facts["traces"], facts["format"], facts["rows"]) == (3, "sac", [])
    assert all((tmp_path / "out" / name).is_file() for name in facts["files"])
    outcome = run.invoke(main, ["export", str(tmp_path / "s.zarr"), "--output", str(tmp_path)])
    assert outcome.exit_code == 0 and "42 traces" in outcome.output
    assert run.invoke(main, ["export", str(tmp_path / "s.zarr")]).exit_code == 2
    assert run.invoke(main, ["export", str(tmp_path / "no"), "--output", "x"]).exit_code == 1
