"""Earthquakes against ObsPy's own filter of the same catalogue."""

from __future__ import annotations

import io

import numpy as np
import obspy
import pytest
from obspy import UTCDateTime
from obspy.clients.fdsn.header import FDSNBadRequestException, FDSNNoDataException
from obspy.core import event as oe
from obspy.geodetics import locations2degrees

from pangeo_ces.service.events import Events
from pangeo_ces.service.parameters import read

from .conftest import EVENTS


@pytest.fixture(scope="module")
def catalog() -> oe.Catalog:
    rng, events = np.random.default_rng(3), []
    for number in range(60):
        first = oe.Origin(
            time=UTCDateTime(2016, 1, 1) + float(rng.uniform(0, 3e7)),
            latitude=float(rng.uniform(-90, 90)), longitude=float(rng.uniform(-180, 180)),
            depth=float(rng.uniform(0, 700e3)) if number % 7 else None,
            arrivals=[oe.Arrival(pick_id="smi:local/pick", phase="P")],
            creation_info=oe.CreationInfo(agency_id="AB"[number % 2]),
        )  # fmt: skip
        other = oe.Origin(time=first.time + 1, latitude=0, longitude=0)
        sizes = [oe.Magnitude(mag=round(float(rng.uniform(2, 8)), 1), magnitude_type=kind)
                 for kind in ("ML", "Mw")] if number % 11 else []  # fmt: skip
        events.append(oe.Event(
            resource_id=f"smi:local/event/{number}", event_type="earthquake",
            origins=[other, first], magnitudes=sizes, picks=[oe.Pick()],
            preferred_origin_id=first.resource_id,
            preferred_magnitude_id=sizes[1].resource_id if sizes else None,
            creation_info=oe.CreationInfo(creation_time=UTCDateTime(2020, 1, 1 + number % 20)),
        ))  # fmt: skip
    return oe.Catalog(events)


def ask(served: oe.Catalog, /, **values) -> list[str]:
    pairs = [(name, str(value)) for name, value in values.items()]
    content = Events([served]).document(read("event", pairs))
    return [str(e.resource_id) for e in obspy.read_events(io.BytesIO(content))] if content else []


def where(catalog: oe.Catalog, condition) -> set[str]:
    return {str(e.resource_id) for e in catalog if condition(e, e.preferred_origin())}


def size(event: oe.Event) -> float:
    return event.preferred_magnitude().mag if event.magnitudes else float("nan")


def deep(origin: oe.Origin) -> float:
    return float("nan") if origin.depth is None else origin.depth / 1000


@pytest.mark.parametrize("values, condition", [
    ({"starttime": "2016-03-01", "end": "2016-09-01T12:00:00.5Z"},
     lambda e, o: UTCDateTime(2016, 3, 1) <= o.time <= UTCDateTime(2016, 9, 1, 12, 0, 0, 500000)),
    ({"mindepth": 100, "maxdepth": 400}, lambda e, o: 100 <= deep(o) <= 400),
    ({"minmag": 5.5}, lambda e, o: size(e) >= 5.5),
    ({"maxmagnitude": 4.0, "mindepth": 50}, lambda e, o: size(e) <= 4 and deep(o) >= 50),
    ({"minmagnitude": 5, "magtype": "ml"},
     lambda e, o: any(m.mag >= 5 and m.magnitude_type == "ML" for m in e.magnitudes)),
    ({"magnitudetype": "Mb"}, lambda e, o: False),
    ({"minlat": -30, "maxlat": 40, "minlon": -100, "maxlon": 100},
     lambda e, o: -30 <= o.latitude <= 40 and -100 <= o.longitude <= 100),
    ({"minlon": 150, "maxlon": -120}, lambda e, o: o.longitude >= 150 or o.longitude <= -120),
    ({"lat": 40, "lon": 170, "minradius": 20, "maxradius": 80},
     lambda e, o: 20 <= locations2degrees(40, 170, o.latitude, o.longitude) <= 80),
    ({"maxradius": 60}, lambda e, o: locations2degrees(0, 0, o.latitude, o.longitude) <= 60),
    ({"contributor": "A"}, lambda e, o: o.creation_info.agency_id == "A"),
    ({"updatedafter": "2020-01-10"},
     lambda e, o: e.creation_info.creation_time > UTCDateTime(2020, 1, 10)),
    ({"eventid": "smi:local/event/7"}, lambda e, o: str(e.resource_id).endswith("/7")),
    ({"eventid": "7"}, lambda e, o: str(e.resource_id).endswith("/7")),
    ({"eventid": "ent/7"}, lambda e, o: False),
    ({"eventtype": "explosion"}, lambda e, o: False),
    ({"catalog": "none"}, lambda e, o: False),
])  # fmt: skip
def test_conditions(catalog, values, condition):
    found = ask(catalog, **values)
    assert len(found) == len(set(found))
    assert set(found) == where(catalog, condition)


def test_order_limit_and_offset(catalog):
    by_time = [str(e.resource_id) for e in sorted(catalog, key=lambda e: e.preferred_origin().time)]
    assert ask(catalog, orderby="time-asc") == by_time
    assert ask(catalog) == by_time[::-1]
    assert ask(catalog, limit=5, offset=3) == by_time[::-1][2:7]
    assert ask(catalog, offset=1000) == []
    ids = {str(e.resource_id): e for e in catalog}
    sizes = [size(ids[name]) for name in ask(catalog, orderby="magnitude", minmag=0)]
    assert sizes == sorted(sizes, reverse=True)


def test_what_is_included(catalog):
    def counts(**flags):
        pairs = list(flags.items())
        content = Events([catalog]).document(read("event", [("eventid", "7"), *pairs]))
        event = obspy.read_events(io.BytesIO(content))[0]
        arrivals = sum(len(o.arrivals) for o in event.origins)
        return len(event.origins), len(event.magnitudes), len(event.picks), arrivals

    assert counts() == (1, 1, 0, 0)
    assert counts(includeallorigins="true") == (2, 1, 0, 0)
    assert counts(includeallmagnitudes="TRUE") == (1, 2, 0, 0)
    assert counts(includearrivals="1") == (1, 1, 1, 1)
    everything = dict.fromkeys(
        ("includeallorigins", "includeallmagnitudes", "includearrivals"), "1"
    )
    assert counts(**everything) == (2, 2, 1, 1)


def test_text(catalog):
    content = Events([catalog]).document(
        read("event", [("format", "text"), ("eventid", "smi:local/event/8")])
    )
    head, row = content.decode().splitlines()
    fields = dict(zip(head.lstrip("#").split("|"), row.split("|"), strict=True))
    event = next(e for e in catalog if str(e.resource_id).endswith("/8"))
    assert fields["EventID"] == "8" and fields["EventType"] == "earthquake"
    assert UTCDateTime(fields["Time"]) == event.preferred_origin().time
    assert float(fields["Depth/km"]) == pytest.approx(event.preferred_origin().depth / 1000)
    assert float(fields["Magnitude"]) == size(event) and fields["MagType"] == "Mw"


@pytest.mark.service
def test_obspy_client(german):
    client, truth = german.client(), obspy.read_events(str(EVENTS))
    found = client.get_events(orderby="time-asc")
    assert [e.resource_id for e in found] == [
        e.resource_id for e in sorted(truth, key=lambda e: e.preferred_origin().time)
    ]
    for event in found:
        other = next(e for e in truth if e.resource_id == event.resource_id)
        assert event.preferred_origin() == other.preferred_origin()
    assert len(client.get_events(minmagnitude=5.45)) == 2
    assert len(client.get_events(mindepth=0, maxdepth=700)) == 3
    one = client.get_events(eventid=str(found[0].resource_id), includearrivals=True)
    assert len(one) == 1
    with pytest.raises(FDSNNoDataException):
        client.get_events(starttime=UTCDateTime(2020, 1, 1))
    with pytest.raises(FDSNBadRequestException):
        client.get_events(minmagnitude=7, maxmagnitude=5)


@pytest.mark.service
def test_names(german):
    assert german.get("/fdsnws/event/1/catalogs")[1].rstrip().endswith(b"<Catalogs></Catalogs>")
    assert german.get("/fdsnws/event/1/contributors")[0] == 200
    assert german.get("/fdsnws/event/1/bananas")[0] == 404
