"""FDSN web services: where they are, what they list, what their documents hold."""

from __future__ import annotations

import dataclasses
import io
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import lxml.etree
import obspy
from obspy import UTCDateTime
from obspy.clients.fdsn import RoutingClient
from obspy.clients.fdsn.header import (
    URL_DEFAULT_SUBPATH,
    URL_MAPPING_SUBPATHS,
    URL_MAPPINGS,
)

from ..errors import ParameterError
from .selection import Channel, Piece, read_listing
from .waveforms import Codes, GarbledError
from .web import Web

ROUTERS = ("eida-routing", "iris-federator", "earthscope-federator")
_BED = "http://quakeml.org/xmlns/bed/1.2"


@dataclasses.dataclass(frozen=True)
class Provider:
    """A data centre: the address of its services, up to ``/fdsnws``.

    Parameters
    ----------
    base
        Of dataselect and station.
    event
        Of the event service, where it is elsewhere.
    """

    base: str
    event: str = ""

    def url(self, service: str, method: str = "query", **parameters: Any) -> str:
        """Address of a method of a service."""
        base = (self.event or self.base) if service == "event" else self.base
        query = f"?{urlencode(parameters, safe=':,*?')}" if parameters else ""
        return f"{base}/{service}/1/{method}{query}"

    def source(self, piece: Piece) -> str:
        """The URL that gives a piece, and so its name for good."""
        names = ("network", "station", "location", "channel", "starttime", "endtime")
        return self.url("dataselect", **dict(zip(names, line(piece), strict=True)))


def read_source(name: str, url: str) -> Piece | None:
    """The piece that a URL of :meth:`Provider.source` gives; None for other URLs."""
    query = parse_qs(urlsplit(url).query)
    keys = ("network", "station", "location", "channel", "starttime", "endtime")
    if "/dataselect/" not in url or not set(keys) <= query.keys():
        return None
    network, station, location, channel, start, end = (query[key][0] for key in keys)
    codes = (network, station, location.replace("--", ""), channel)
    return Piece(name, codes, UTCDateTime(start), UTCDateTime(end))


def provider(name: str) -> Provider:
    """A data centre by the name ObsPy knows it by, or by its address.

    >>> provider("INGV").base
    'https://webservices.ingv.it/fdsnws'
    >>> provider("http://localhost:8080").url("station", "version")
    'http://localhost:8080/fdsnws/station/1/version'
    """
    known = URL_MAPPINGS.get(name.upper())
    if known is None:
        if not re.fullmatch(r"https?://[^/@\s]+(/[^@\s]*)?", name):
            raise ParameterError(
                f"{name!r} is no data centre ObsPy knows: give a name such as INGV, or a URL "
                "without user and password"
            )
        return Provider(f"{name.rstrip('/').removesuffix('/fdsnws')}/fdsnws")
    below = URL_MAPPING_SUBPATHS.get(name.upper(), URL_DEFAULT_SUBPATH).strip("/")
    base = f"{known.rstrip('/')}/{below}"
    event = provider("USGS").base if name.upper() == "EARTHSCOPE+USGS" else ""
    return Provider(base.rstrip("/"), event)


def is_router(name: str) -> bool:
    """Whether a name is of a routing service: ``eida-routing``, ``eida-routing@URL`` …"""
    return name.partition("@")[0].lower() in ROUTERS


def line(piece: Piece) -> tuple[str, ...]:
    """A piece as bulk requests write it."""
    network, station, location, channel = piece.codes
    return network, station, location or "--", channel, stamp(piece.start), stamp(piece.end)


def stamp(time: UTCDateTime) -> str:
    """A time as FDSN services take it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.%f")


Lines = list[tuple[str, ...]]


def route(web: Web, name: str, lines: Lines) -> dict[Provider, Lines]:
    """The data centres that have what some lines ask for, by a routing service.

    The service is ObsPy's routing client's, and so is the understanding of its answer; ObsPy's own
    way to get the data would decode and re-encode them.
    """
    kind, _, url = name.partition("@")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that changed
        client = RoutingClient(kind, **({"url": url} if url else {}))
    eida = kind.lower() == "eida-routing"
    options = (
        {"service": "station", "format": "post", "alternative": "false"}
        if eida
        else {"format": "request", "level": "channel"}
    )

    def understand(content: IO[bytes]) -> dict[str, str]:
        text = content.read().decode("utf-8", "replace")
        arguments = (text,) if eida else (text, "station")
        try:
            found = client._split_routing_response(*arguments)
        except Exception as error:
            raise GarbledError(f"no routes: {error}") from error
        if not found or any(not str(base).startswith("http") for base in found):
            raise GarbledError("no routes")
        return found

    reply = web.ask(f"{client._url.rstrip('/')}/query", understand, body=bulk(options, lines))
    return {
        provider(base): [tuple(row.split()) for row in text.splitlines()]
        for base, text in sorted((reply.value or {}).items())
    }


def bulk(options: Mapping[str, Any], lines: Lines) -> str:
    """The body of a POST request."""
    rows = [f"{key}={value}" for key, value in options.items()]
    return "\n".join([*rows, *(" ".join(line) for line in lines)]) + "\n"


def listing(web: Web, centre: Provider, lines: Lines, domain: Mapping[str, float]) -> list[Channel]:
    """The channels a station service knows of what some lines ask for."""
    options: dict[str, Any] = {"level": "channel", "format": "text", **domain}

    def read(content: IO[bytes]) -> list[Channel]:
        return read_listing(content.read())

    if len(lines) > 1:
        url = centre.url("station")
        return web.ask(url, read, body=bulk(options, lines), text=True).value or []
    names = ("network", "station", "location", "channel", "starttime", "endtime")
    wanted = {key: value for key, value in zip(names, lines[0], strict=True) if value != "*"}
    return web.ask(centre.url("station", **wanted, **options), read, text=True).value or []


def station_url(centre: Provider, network: str, station: str) -> str:
    """All epochs and channels of a station: what one request asks for never lacks in another's."""
    return centre.url("station", network=network, station=station, level="response")


def read_station_source(url: str) -> tuple[str, str] | None:
    """Network and station that :func:`station_url` asks for; None for other URLs."""
    query = parse_qs(urlsplit(url).query)
    if not {"network", "station"} <= query.keys():
        return None
    return query["network"][0], query["station"][0]


def read_stationxml(content: bytes) -> bytes:
    """A StationXML document as it came, but for the time at which the service wrote it."""
    root = parse_xml(content)
    if not root.tag.endswith("}FDSNStationXML") or not len(root.findall("{*}Network/{*}Station")):
        raise GarbledError("no StationXML")
    made = rb"(<(?:\w+:)?Created>)[^<]*(</(?:\w+:)?Created>)"
    return re.sub(made, rb"\g<1>1970-01-01T00:00:00Z\g<2>", content, count=1)


@dataclasses.dataclass(frozen=True)
class Event:
    """An earthquake: a name for files, origin time, a QuakeML document of it alone, its source."""

    name: str
    time: UTCDateTime | None
    quakeml: bytes
    source: str = ""


def query_events(web: Web, url: str) -> list[Event]:
    """The events an event service has."""
    return web.ask(url, lambda content: read_quakeml(content.read()), text=True).value or []


def read_quakeml(content: bytes) -> list[Event]:
    """The events of a QuakeML document, each in an envelope that depends on nothing else.

    Raises
    ------
    GarbledError
        If it is no whole QuakeML document.
    """
    root = parse_xml(content)
    elements = root.findall(f".//{{{_BED}}}event")
    if not elements and not root.tag.endswith("}quakeml"):
        raise GarbledError("no QuakeML")
    events = []
    for element in elements:
        identifier = element.get("publicID", "")
        document = lxml.etree.tostring(element, encoding="UTF-8", with_tail=False)
        quakeml = (
            b'<?xml version="1.0" encoding="UTF-8"?>\n'
            b'<q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2" '
            b'xmlns="http://quakeml.org/xmlns/bed/1.2">\n'
            b'<eventParameters publicID="smi:local/events">\n%b\n</eventParameters>\n</q:quakeml>\n'
        ) % document
        parsed = obspy.read_events(io.BytesIO(quakeml), format="QUAKEML")[0]
        origin = parsed.preferred_origin() or (parsed.origins[0] if parsed.origins else None)
        events.append(Event(event_name(identifier), origin.time if origin else None, quakeml))
    return events


def event_name(identifier: str) -> str:
    """An event's identifier as a name of files.

    >>> event_name("quakeml:us.anss.org/event/20005iis")
    'us.anss.org_event_20005iis'
    """
    plain = re.sub(r"^(smi|quakeml):", "", identifier)
    return re.sub(r"[^\w.-]+", "_", plain, flags=re.ASCII).strip("._") or "event"


def parse_xml(content: bytes) -> Any:
    """The root of an XML document; nothing it refers to is opened or expanded."""
    parser = lxml.etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True
    )
    try:
        root = lxml.etree.fromstring(content, parser)
    except (lxml.etree.XMLSyntaxError, ValueError) as error:
        raise GarbledError(f"no whole XML document ({str(error)[:80]})") from None
    if root.getroottree().docinfo.doctype:
        raise GarbledError("XML with a document type")
    return root


def batches(
    pieces: Iterable[Piece], rates: Mapping[Codes, float], most: int, weight: float
) -> list[list[Piece]]:
    """Pieces of the same stretch of time, together up to a number and a weight (bytes)."""
    found: list[list[Piece]] = []
    room = 0.0
    order: Sequence[Piece] = sorted(pieces, key=lambda p: (p.start.ns, p.end.ns, p.codes))
    for piece in order:
        expected = 1.5 * rates.get(piece.codes, 0.0) * (piece.end - piece.start)
        last = found[-1] if found else []
        same = bool(last) and (last[-1].start, last[-1].end) == (piece.start, piece.end)
        if not same or len(last) >= most or expected > room or piece.codes == last[-1].codes:
            found.append([])
            room = weight
        found[-1].append(piece)
        room -= expected
    return found
