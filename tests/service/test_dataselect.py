"""Samples through HTTP against those of the files that were converted."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import obspy
import pytest
from obspy import UTCDateTime
from obspy.clients.fdsn.header import FDSNNoDataException, FDSNRequestTooLargeException

import pangeo_ces as ces

from .conftest import STATIONS, assert_same, serving, store_of, write_stations

pytestmark = pytest.mark.service
T0 = UTCDateTime("2020-01-01T10:00:00")


def trace(start: UTCDateTime, values, channel: str = "HHZ", rate: float = 100.0, station="ABC"):
    header = {"network": "XX", "station": station, "channel": channel, "starttime": start,
              "sampling_rate": rate}  # fmt: skip
    return obspy.Trace(np.asarray(values), header)


def cut(stream: obspy.Stream, start: UTCDateTime, end: UTCDateTime) -> obspy.Stream:
    """The samples from ``start`` to ``end``, by counting in nanoseconds."""
    result = obspy.Stream()
    for item in stream:
        step = round(1e9 / item.stats.sampling_rate)
        times = item.stats.starttime.ns + step * np.arange(item.stats.npts)
        inside = np.flatnonzero((times >= start.ns) & (times <= end.ns))
        if inside.size:
            part = item.copy()
            part.data = item.data[inside]
            part.stats.starttime = UTCDateTime(ns=int(times[inside[0]]))
            result.append(part)
    return result


def test_event_windows_come_back_whole(german, german_stream):
    found = german.client().get_waveforms("*", "*", "*", "*", UTCDateTime(2000, 1, 1),
                                          UTCDateTime(2010, 1, 1))  # fmt: skip
    assert len(found) == 42
    assert_same(found, german_stream)


@pytest.mark.parametrize("after, length", [(12.3456789, 33.3), (0.024999, 0.06), (59.95, 0.0)])
def test_windows_cut_at_odd_times(german, german_stream, after, length):
    client = german.client()
    for item in german_stream[:6]:
        start = item.stats.starttime + after
        expected = cut(german_stream.select(id=item.id), start, start + length)
        if not expected:
            with pytest.raises(FDSNNoDataException):
                client.get_waveforms(*item.id.split("."), start, start + length)
        else:
            assert_same(client.get_waveforms(*item.id.split("."), start, start + length), expected)


def test_responses_are_attached(german, german_stream):
    first = german_stream[0]
    found = german.client().get_waveforms(
        *first.id.split("."), first.stats.starttime, first.stats.endtime, attach_response=True
    )
    inventory = obspy.read_inventory(str(STATIONS))
    expected = inventory.get_response(first.id, first.stats.starttime)
    assert found[0].stats.response.instrument_sensitivity.value == pytest.approx(
        expected.instrument_sensitivity.value
    )


def test_bulk_lines_that_overlap_give_every_sample_once(german, german_stream):
    first = german_stream[0]
    code, start = first.id.split("."), first.stats.starttime
    lines = [(*code, start, start + 20), (*code, start + 10, start + 30),
             (*code, start + 60, start + 61), ("XX", "NO", "*", "*", start, start + 1)]  # fmt: skip
    found = german.client().get_waveforms_bulk(lines)
    expected = cut(obspy.Stream([first]), start, start + 30)
    expected += cut(obspy.Stream([first]), start + 60, start + 61)
    assert_same(found, expected)


@pytest.fixture(scope="module")
def real(data, tmp_path_factory):
    """Continuous data of two networks and strong motion of an earthquake, in one store."""
    folder = tmp_path_factory.mktemp("real")
    days = [data("03_noise/ya_uv_20100901/SDS/2010/YA/UV05/HHZ.D/YA.UV05.00.HHZ.D.2010.244")]
    days += sorted(data("05_quality/eida_nl_hgn_lhz/SDS/2017/NL/HGN/LHZ.D").iterdir())
    hualien = data("01_strong_motion/cwb_20210418_hualien")
    shaken = sorted((hualien / "mseed").iterdir())[:8]
    truth = obspy.Stream()
    for file in [*days, *shaken]:
        truth += obspy.read(str(file))
    stations = write_stations(folder / "stations.xml", truth.select(network="[YN]?"))
    ces.convert(days, folder / "store", stations=stations)
    ces.convert(shaken, folder / "store", stations=next(hualien.glob("*tation*.xml")),
                event=next(p for p in hualien.glob("*.xml") if "tation" not in p.name))  # fmt: skip
    with serving(folder / "store") as server:
        yield server.client(), truth


def test_strong_motion_of_a_real_earthquake(real):
    client, truth = real[0], real[1].select(network="TW")
    whole = (UTCDateTime(2021, 1, 1), UTCDateTime(2022, 1, 1))
    assert_same(client.get_waveforms("TW", "*", "*", "*", *whole), truth)
    start = truth[0].stats.starttime + 7.777
    found = client.get_waveforms("TW", "*", "*", "*Z", start, start + 11.111)
    assert_same(found, cut(truth.select(channel="*Z"), start, start + 11.111))


def test_a_day_at_100_hz_and_windows_across_chunks(real):
    client, truth = real[0], real[1].select(network="YA")
    found = client.get_waveforms("YA", "UV05", "00", "HHZ", UTCDateTime(2010, 8, 31),
                                 UTCDateTime(2010, 9, 3))  # fmt: skip
    # Each chunk is encoded by itself; ObsPy joins what is continuous.
    assert_same(found.merge(-1), truth.copy().merge(-1))
    for hour in (1, 5.123456, 13.99999):
        start = UTCDateTime(2010, 9, 1) + hour * 3600 - 3.0003
        found = client.get_waveforms("YA", "UV*", "??", "?HZ", start, start + 7.0)
        assert_same(found, cut(truth, start, start + 7.0))


def test_days_that_do_not_start_at_midnight(real):
    client, truth = real[0], real[1].select(network="NL")
    day = UTCDateTime(2017, 1, 22)
    found = client.get_waveforms("NL", "HGN", "02", "LHZ", day, day + 86400)
    expected = cut(truth, day, day + 86400)
    assert sum(map(len, found)) == sum(map(len, expected))
    # Files overlap by nothing and miss nothing: joined they are one run of samples.
    assert_same(found.merge(-1), expected.merge(-1))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two traces with a gap, one that overlaps with other samples, floats, and large jumps."""
    rng = np.random.default_rng(1)
    counts = rng.integers(-1000, 1000, 3000).astype("int32")
    stream = obspy.Stream([
        trace(T0, counts[:1000]),
        trace(T0 + 20, counts[1000:2000]),
        trace(T0 + 25, counts[2000:]),
        trace(T0, rng.normal(size=500).astype("float32"), "HHN"),
        trace(T0, rng.normal(size=500), "HHE"),
        trace(T0, np.array([2**31 - 1, -(2**31) + 1] * 300, "int32"), "HNZ"),
        trace(T0, counts[:60], "LHZ", rate=0.3),
    ])  # fmt: skip
    store = store_of(tmp_path_factory.mktemp("made"), stream)
    with serving(store) as server:
        yield server, stream


def test_gaps_overlaps_and_every_type(made):
    server, stream = made
    status, content, headers = server.get("/fdsnws/dataselect/1/query?net=XX")
    assert status == 200 and headers["content-type"] == "application/vnd.fdsn.mseed"
    assert len(content) % 512 == 0
    found = obspy.read(io.BytesIO(content))
    for code in ("HHN", "HHE", "HNZ", "LHZ"):
        assert_same(found.select(channel=code), stream.select(channel=code))
    # ObsPy joins what touches, so the runs are asked for one by one.
    for item in stream.select(channel="HHZ")[:2]:
        part = server.client().get_waveforms("XX", "ABC", "", "HHZ", item.stats.starttime,
                                             item.stats.starttime + 4.99)  # fmt: skip
        assert_same(part, cut(obspy.Stream([item]), item.stats.starttime,
                              item.stats.starttime + 4.99))  # fmt: skip
    both = server.client().get_waveforms("XX", "ABC", "", "HHZ", T0 + 26, T0 + 27)
    expected = [cut(stream.select(channel="HHZ")[n : n + 1], T0 + 26, T0 + 27)[0] for n in (1, 2)]
    assert len(both) == 2
    assert {t.data.tobytes() for t in both} == {t.data.tobytes() for t in expected}


def test_no_data(made):
    server, _ = made
    gap = "net=XX&cha=HHZ&start=2020-01-01T10:00:12&end=2020-01-01T10:00:15"
    assert server.get(f"/fdsnws/dataselect/1/query?{gap}")[:2] == (204, b"")
    status, text, _ = server.get(f"/fdsnws/dataselect/1/query?{gap}&nodata=404")
    assert status == 404 and text.startswith(b"Error 404: Not Found")
    # Between two samples there is nothing either.
    between = "net=XX&cha=HHZ&start=2020-01-01T10:00:00.001&end=2020-01-01T10:00:00.009"
    assert server.get(f"/fdsnws/dataselect/1/query?{between}")[0] == 204


def test_lengths_and_quality(made):
    server, stream = made
    client = server.client()
    whole = ("XX", "ABC", "--", "HHZ", T0, T0 + 3600)
    # Runs of 9.99 s, and of 14.99 s where the second and third overlap.
    found = client.get_waveforms(*whole, minimumlength=10)
    assert min(t.stats.starttime for t in found) == T0 + 20
    assert client.get_waveforms(*whole, longestonly=True)[0].stats.starttime == T0 + 20
    with pytest.raises(FDSNNoDataException):
        client.get_waveforms(*whole, minimumlength=15)
    assert len(client.get_waveforms(*whole, quality="B")) == 3
    letter = stream[0].stats.get("mseed", {}).get("dataquality", "D")
    assert len(client.get_waveforms(*whole, quality=letter)) == 3
    with pytest.raises(FDSNNoDataException):
        client.get_waveforms(*whole, quality="Q")


def test_too_much_is_refused(guarded):
    client, start = guarded.client(), UTCDateTime("2003-02-22T20:42:00")
    with pytest.raises(FDSNRequestTooLargeException):
        client.get_waveforms("*", "*", "*", "*", UTCDateTime(2000, 1, 1), UTCDateTime(2010, 1, 1))
    assert client.get_waveforms("GR", "CLZ", "*", "HHZ", start, start + 10)


def test_memory_stays_flat(tmp_path):
    """Two days at 100 Hz cost no more than a few chunks."""
    rng = np.random.default_rng(2)
    walk = np.cumsum(rng.integers(-99, 99, 8_640_000)).astype("int32")
    stream = obspy.Stream([trace(UTCDateTime(2020, 1, day), walk + day) for day in (1, 2)])

    def peak(pid: int) -> int:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024

    with serving(store_of(tmp_path, stream)) as server:
        server.get("/fdsnws/dataselect/1/query?start=2020-01-01&end=2020-01-01T00:10:00")
        before = peak(server.process.pid)
        status, content, _ = server.get("/fdsnws/dataselect/1/query?net=XX")
        assert status == 200 and sum(map(len, obspy.read(io.BytesIO(content)))) == 2 * 8_640_000
        # The samples alone are 69 MB; what is kept is 128 MiB of chunks at most, and a few
        # pieces that are read ahead.
        grown = peak(server.process.pid) - before
        assert grown < 200, grown
