"""Earthquakes: QuakeML cut into events once, chosen, ordered and trimmed for each request."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterable
from typing import Any
from xml.sax.saxutils import escape

import lxml.etree
from obspy.core import event as oe

from .area import inside
from .parameters import Query

_QUAKEML = "http://quakeml.org/xmlns/quakeml/1.2"
_BED = "http://quakeml.org/xmlns/bed/1.2"
_HEADER = (
    "#EventID|Time|Latitude|Longitude|Depth/km|Author|Catalog|Contributor|ContributorID|MagType"
    "|Magnitude|MagAuthor|EventLocationName|EventType"
)


@dataclasses.dataclass(frozen=True)
class Event:
    """What requests ask of an earthquake: its preferred origin (ns, degrees, km) and sizes."""

    id: str
    time: int
    latitude: float
    longitude: float
    depth: float | None
    magnitude: float | None
    #: Magnitude of each type, in small letters.
    magnitudes: dict[str, float]
    kind: str
    agency: str
    updated: int | None
    text: str
    xml: bytes
    origin: str
    size: str

    def magnitude_of(self, kind: str | None) -> float | None:
        """Its magnitude of a type, or the preferred one."""
        return self.magnitude if kind is None else self.magnitudes.get(kind.lower())


class Events:
    """All earthquakes of a data centre.

    Parameters
    ----------
    catalogs
        Events with a preferred origin; of one that is in several, the first counts.
    """

    def __init__(self, catalogs: Iterable[oe.Catalog]):
        self.events: dict[str, Event] = {}
        for catalog in catalogs:
            stream = io.BytesIO()
            catalog.write(stream, format="QUAKEML")
            parser = lxml.etree.XMLParser(huge_tree=True, remove_blank_text=True)
            root = lxml.etree.fromstring(stream.getvalue(), parser)
            for event, xml in zip(catalog, root.iter(f"{{{_BED}}}event"), strict=True):
                self.events.setdefault(str(event.resource_id), _event(event, xml))

    @property
    def contributors(self) -> list[str]:
        """Agencies that the events are from."""
        return sorted({event.agency for event in self.events.values()} - {""})

    def document(self, query: Query) -> bytes:
        """QuakeML or text of what a request selects, empty where that is nothing."""
        chosen = [event for event in self.events.values() if _wanted(event, query)]
        by_size = query["orderby"].startswith("magnitude")
        chosen.sort(
            key=lambda e: (_size(e), e.time) if by_size else (e.time, _size(e)),
            reverse=not query["orderby"].endswith("-asc"),
        )
        first = query["offset"] - 1
        chosen = chosen[first : None if query["limit"] is None else first + query["limit"]]
        if not chosen:
            return b""
        if query["format"] == "text":
            return "\n".join([_HEADER, *(event.text for event in chosen), ""]).encode()
        parts = [
            f'<?xml version="1.0" encoding="UTF-8"?>\n<q:quakeml xmlns:q="{_QUAKEML}" '
            f'xmlns="{_BED}"><eventParameters publicID="smi:local/pangeo_ces/events">'.encode()
        ]
        parts += [_trimmed(event, query) for event in chosen]
        return b"".join([*parts, b"</eventParameters></q:quakeml>\n"])


def names(tag: str, values: list[str]) -> str:
    """The answer of ``catalogs`` and ``contributors``."""
    items = "".join(f"<{tag}>{escape(value)}</{tag}>" for value in values)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{tag}s>{items}</{tag}s>\n'


def _size(event: Event) -> float:
    return -99.0 if event.magnitude is None else event.magnitude


def _wanted(event: Event, query: Query) -> bool:
    if query["eventid"] is not None and not _is(event.id, query["eventid"]):
        return False
    kind, agency, updated = query["eventtype"], query["contributor"], query["updatedafter"]
    magnitude = event.magnitude_of(query["magnitudetype"])
    return (
        _within(event.time, query["starttime"], query["endtime"])
        and _within(event.depth, query["mindepth"], query["maxdepth"])
        and _within(magnitude, query["minmagnitude"], query["maxmagnitude"])
        and (query["magnitudetype"] is None or magnitude is not None)
        and (kind is None or event.kind in [k.strip().lower() for k in kind.split(",")])
        and (agency is None or event.agency == agency)
        and query["catalog"] is None
        and (updated is None or (event.updated is not None and event.updated > updated))
        and inside(query, event.latitude, event.longitude)
    )


def _is(identifier: str, wanted: str) -> bool:
    """Whether an event is meant: by its whole id, or the end of it."""
    return identifier == wanted or any(identifier.endswith(mark + wanted) for mark in "/=#")


def _within(value: float | None, low: float | None, high: float | None) -> bool:
    if value is None:
        return low is None and high is None
    return (low is None or value >= low) and (high is None or value <= high)


def _event(event: oe.Event, xml: lxml.etree._Element) -> Event:
    origin = event.preferred_origin() or event.origins[0]
    size = event.preferred_magnitude() or (event.magnitudes[0] if event.magnitudes else None)
    magnitude = None if size is None else size.mag
    identifier = str(event.resource_id)
    name = next((d.text for d in event.event_descriptions if d.text), "") or origin.region or ""
    depth = None if origin.depth is None else origin.depth / 1000.0  # FDSN asks in km
    sizes: dict[str, float] = {}
    for item in [size, *event.magnitudes]:
        if item is not None and item.magnitude_type and item.mag is not None:
            sizes.setdefault(item.magnitude_type.lower(), item.mag)
    fields = (
        identifier.rpartition("/")[2] or identifier, str(origin.time).removesuffix("Z"),
        origin.latitude, origin.longitude, depth, _author(origin), "", _agency(event, origin),
        identifier, size and size.magnitude_type, magnitude, size and _author(size), name,
        event.event_type,
    )  # fmt: skip
    created = [
        info.creation_time.ns
        for info in (event.creation_info, origin.creation_info)
        if info is not None and info.creation_time is not None
    ]
    return Event(
        id=identifier,
        time=origin.time.ns,
        latitude=origin.latitude,
        longitude=origin.longitude,
        depth=depth,
        magnitude=magnitude,
        magnitudes=sizes,
        kind=(event.event_type or "").lower(),
        agency=_agency(event, origin),
        updated=max(created, default=None),
        text="|".join("" if f is None else " ".join(str(f).replace("|", " ").split())
                      for f in fields),
        xml=lxml.etree.tostring(xml),
        origin=str(origin.resource_id),
        size="" if size is None else str(size.resource_id),
    )  # fmt: skip


def _author(item: Any) -> str:
    info = item.creation_info
    return "" if info is None else info.author or info.agency_id or ""


def _agency(event: oe.Event, origin: oe.Origin) -> str:
    infos = [i for i in (event.creation_info, origin.creation_info) if i is not None]
    return next((info.agency_id for info in infos if info.agency_id), "")


def _trimmed(event: Event, query: Query) -> bytes:
    """The event with what was asked for beyond its preferred origin and magnitude."""
    everything = ("includeallorigins", "includeallmagnitudes", "includearrivals")
    if all(query[name] for name in everything):
        return event.xml
    xml = lxml.etree.fromstring(event.xml, lxml.etree.XMLParser(huge_tree=True))

    def remove(*path: str, keep: frozenset[str] = frozenset()) -> None:
        for child in xml.findall("/".join(f"{{{_BED}}}{name}" for name in path)):
            if child.get("publicID") not in keep:
                child.getparent().remove(child)

    if not query["includearrivals"]:
        for path in (("pick",), ("amplitude",), ("stationMagnitude",), ("origin", "arrival"),
                     ("magnitude", "stationMagnitudeContribution")):  # fmt: skip
            remove(*path)
    if not query["includeallorigins"]:
        derived = xml.iterfind(f".//{{{_BED}}}derivedOriginID")
        remove("origin", keep=frozenset({event.origin, *(e.text or "" for e in derived)}))
    if not query["includeallmagnitudes"]:
        remove("magnitude", keep=frozenset({event.size}))
    return lxml.etree.tostring(xml)
