"""Station metadata against ObsPy's own selection from the document that was converted."""

from __future__ import annotations

import io
import itertools

import lxml.etree
import obspy
import pytest
from obspy import UTCDateTime
from obspy.clients.fdsn.header import FDSNBadRequestException, FDSNNoDataException
from obspy.core.inventory import Channel, Inventory, Network, Station

from pangeo_ces.service.parameters import read
from pangeo_ces.service.stations import Stations

from .conftest import STATIONS

LEVELS = ("network", "station", "channel", "response")


@pytest.fixture(scope="module")
def inventory() -> Inventory:
    """Networks, stations and channels in several epochs, round the date line and with gaps."""
    day = lambda year: UTCDateTime(year, 1, 1)  # noqa: E731

    def station(code, latitude, longitude, first, last, channels):
        return Station(code, latitude, longitude, 10.0, start_date=first, end_date=last, channels=[
            Channel(name, location, latitude, longitude, 10.0, 0.0, start_date=begin, end_date=end,
                    restricted_status=status, sample_rate=100.0)
            for name, location, begin, end, status in channels
        ])  # fmt: skip

    one = Network("XX", description="One | two", start_date=day(1990), stations=[
        station("ABC", 10.0, 20.0, day(1990), None, [
            ("HHZ", "", day(1990), day(2000), "open"), ("HHZ", "", day(2000), None, "closed"),
            ("HHN", "00", day(1995), None, None),
        ]),
        station("ABD", -10.0, 179.5, day(2000), day(2010), [
            ("BHZ", "10", day(2000), day(2010), None),
        ]),
        station("EMPTY", 0.0, -179.5, None, None, []),
    ])  # fmt: skip
    two = Network("Y2", start_date=day(2005), end_date=day(2006), stations=[
        station("ABC", 80.0, -170.0, day(2005), day(2006), [
            ("LHZ", "", day(2005), day(2006), None),
        ]),
    ])  # fmt: skip
    return Inventory([one, two])


def ask(inventory: Inventory, *pairs: tuple[str, str], permitted=lambda codes: True,
        recorded=lambda *_: True) -> Inventory | None:  # fmt: skip
    content = Stations([inventory]).document(
        read("station", list(pairs)), permitted, recorded, lambda: None
    )
    return obspy.read_inventory(io.BytesIO(content)) if content else None


def channels(found: Inventory | None) -> set[tuple[str, ...]]:
    return {
        (network.code, station.code, channel.location_code, channel.code, str(channel.start_date))
        for network in found or [] for station in network for channel in station
    }  # fmt: skip


CODES = [{}, {"network": "XX"}, {"station": "AB?"}, {"channel": "?HZ"}, {"location": ""},
         {"network": "Y*", "channel": "L*"}]  # fmt: skip
TIMES = [(None, None), (1992, 1994), (2000.5, 2003), (2007, 2030), (1900, 1950), (None, 1993)]


@pytest.mark.parametrize("codes, times", [*itertools.product(CODES, TIMES)])
def test_selection_by_code_and_time(inventory, codes, times):
    start, end = (None if t is None else UTCDateTime(1970, 1, 1) + (t - 1970) * 31556952
                  for t in times)  # fmt: skip
    expected = inventory.select(starttime=start, endtime=end, keep_empty=False, **codes)
    pairs = [(name, value or "--") for name, value in codes.items()]
    pairs += [("start", str(start))] if start else []
    pairs += [("endtime", str(end))] if end else []
    assert channels(ask(inventory, ("level", "channel"), *pairs)) == channels(expected)


@pytest.mark.parametrize("box", [
    {"minlatitude": 0, "maxlatitude": 30}, {"minlongitude": -175, "maxlongitude": 30},
    {"latitude": 11, "longitude": 19, "minradius": 0, "maxradius": 2},
    {"latitude": 0, "longitude": 180, "minradius": 1, "maxradius": 30},
])  # fmt: skip
def test_boxes_and_circles(inventory, box):
    found = ask(inventory, *((name, str(value)) for name, value in box.items()))
    expected = inventory.select(**box, keep_empty=True)
    names = lambda inv: {(n.code, s.code) for n in inv or [] for s in n}  # noqa: E731
    assert names(found) == names(expected)


def test_a_box_over_the_date_line(inventory):
    found = ask(inventory, ("minlon", "170"), ("maxlon", "-160"))
    assert {s.code for n in found for s in n} == {"ABD", "EMPTY", "ABC"}
    assert [n.code for n in found if "ABC" in [s.code for s in n]] == ["Y2"]


def test_ends_of_epochs(inventory):
    level = ("level", "channel")
    year = lambda n: f"{n}-06-01"  # noqa: E731

    def first(name: str, number: int) -> set[str]:
        found = channels(ask(inventory, level, (name, year(number))))
        return {code[1] + code[4][:4] for code in found}

    assert first("startbefore", 1996) == {"ABC1990", "ABC1995"}
    assert first("startafter", 1996) == {"ABC2000", "ABD2000", "ABC2005"}
    assert first("endbefore", 2009) == {"ABC1990", "ABC2005"}
    assert ("XX", "ABC", "00", "HHN", "1995-01-01T00:00:00.000000Z") in channels(
        ask(inventory, level, ("endafter", year(2009)))
    )


def test_levels_counts_and_restricted(inventory):
    found = ask(inventory, ("level", "network"))
    assert [n.code for n in found] == ["XX", "Y2"] and not any(n.stations for n in found)
    assert (found[0].total_number_of_stations, found[0].selected_number_of_stations) == (3, 3)
    found = ask(inventory, ("level", "station"), ("net", "XX"), ("cha", "HHZ"))
    assert [(s.code, s.total_number_of_channels, s.channels) for s in found[0]] == [("ABC", 3, [])]
    stations = Stations([inventory])
    assert stations.restricted(("XX", "ABC", "", "HHZ"))  # in one epoch is enough
    assert not stations.restricted(("XX", "ABC", "00", "HHN"))
    assert not stations.restricted(("ZZ", "ABC", "00", "HHN"))
    open_ones = ask(inventory, ("level", "channel"), ("includerestricted", "false"),
                    permitted=lambda codes: codes[3] != "HHZ")  # fmt: skip
    assert {c[3] for c in channels(open_ones)} == {"HHN", "BHZ", "LHZ"}

    def has(codes, start, end):
        return codes[3] == "LHZ" and start < end

    recorded = ask(inventory, ("level", "channel"), ("matchtimeseries", "true"), recorded=has)
    assert {c[3] for c in channels(recorded)} == {"LHZ"}


def test_text(inventory):
    text = {}
    for level in LEVELS[:3]:
        pairs = [("level", level), ("format", "text")]
        content = Stations([inventory]).document(
            read("station", pairs), lambda c: True, bool, lambda: None
        )
        text[level] = content.decode().splitlines()
        stream = io.StringIO()
        whole = inventory.select(station="AB?") if level == "channel" else inventory
        whole.write(stream, format="STATIONTXT", level=level)
        expected = stream.getvalue().splitlines()
        assert sorted(r.split("|")[0] for r in text[level]) == sorted(
            r.split("|")[0] for r in expected
        )
        assert text[level][0] == expected[0].replace(" ", "")
    assert text["network"][1] == "XX|One two|1990-01-01T00:00:00||3"
    assert text["channel"][3].startswith("XX|ABC|00|HHN|10.0|20.0|10.0|0.0|")


def test_documents_merge(inventory):
    parts = [inventory.select(channel=c, keep_empty=True) for c in ("HHZ", "HHN", "BHZ", "LHZ")]
    merged = Stations([*parts, inventory, inventory])
    query = read("station", [("level", "channel")])
    content = merged.document(query, lambda codes: True, lambda *_: True, lambda: None)
    found = obspy.read_inventory(io.BytesIO(content))
    assert channels(found) == channels(inventory)
    assert len(found) == 2 and sum(len(n.stations) for n in found) == 3


@pytest.mark.service
def test_obspy_client_at_all_levels(german):
    client, truth = german.client(), obspy.read_inventory(str(STATIONS))
    for level in LEVELS:
        found = client.get_stations(level=level)
        if level in ("channel", "response"):
            assert channels(found) == channels(truth)
        text = None if level == "response" else client.get_stations(level=level, format="text")
        assert text is None or len(text) == len(found)
    one = client.get_stations(network="GR", station="BFO", channel="HHZ", level="response")
    code, when = "GR.BFO..HHZ", UTCDateTime(2003, 1, 1)
    assert one.get_response(code, when) == truth.get_response(code, when)
    brief = client.get_stations(station="BFO", level="channel")[0][0][0].response
    full = truth.select(station="BFO")[0][0][0].response
    assert brief.instrument_sensitivity == full.instrument_sensitivity
    assert not brief.response_stages
    bulk = [("GR", "BFO", "*", "HH?", when, when + 60), ("GR", "CLZ", "--", "HHZ", when, when + 60)]
    assert len(channels(client.get_stations_bulk(bulk, level="channel"))) == 4
    matching = client.get_stations(level="channel", matchtimeseries=True,
                                   starttime=UTCDateTime(2003, 2, 22, 20), endtime=UTCDateTime(
                                       2003, 2, 23))  # fmt: skip
    assert 0 < len(channels(matching)) <= len(channels(truth))
    with pytest.raises(FDSNNoDataException):
        client.get_stations(network="ZZ")
    with pytest.raises(FDSNBadRequestException):
        client.get_stations(level="response", format="text")


@pytest.mark.service
def test_documents_follow_the_schema(german):
    import obspy.io.stationxml.core

    for level in LEVELS:
        content = german.get(f"/fdsnws/station/1/query?level={level}")[1]
        lxml.etree.fromstring(content)
        valid, errors = obspy.io.stationxml.core.validate_stationxml(io.BytesIO(content))
        assert valid, errors
