"""Station metadata: StationXML cut into pieces once, chosen and put together for each request."""

from __future__ import annotations

import dataclasses
import datetime
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import lxml.etree
from obspy import UTCDateTime
from obspy.core.inventory import Channel, Inventory, Network, Station

from .area import inside
from .parameters import BEGIN, END, Line, Query
from .timeline import Codes, matches

_SPACE = "http://www.fdsn.org/xml/station/1"
_COUNTS = {f"{{{_SPACE}}}{name}" for name in (
    "TotalNumberStations", "SelectedNumberStations", "TotalNumberChannels", "SelectedNumberChannels"
)}  # fmt: skip
#: What of a response belongs to level=channel.
_OVERALL = {f"{{{_SPACE}}}{name}" for name in ("InstrumentSensitivity", "InstrumentPolynomial")}
_HEADER = {
    "network": "#Network|Description|StartTime|EndTime|TotalStations",
    "station": "#Network|Station|Latitude|Longitude|Elevation|SiteName|StartTime|EndTime",
    "channel": "#Network|Station|Location|Channel|Latitude|Longitude|Elevation|Depth|Azimuth|Dip"
    "|SensorDescription|Scale|ScaleFreq|ScaleUnits|SampleRate|StartTime|EndTime",
}
_LEVELS = ("network", "station", "channel", "response")


@dataclasses.dataclass
class Epoch:
    """A network, station or channel in one epoch.

    ``xml`` is its element without the end tag and without the level below; of a channel, ``xml``
    is all of it and ``brief`` the same without the stages of the response.
    """

    code: str
    location: str
    start: int
    end: int
    status: str
    text: str
    xml: bytes
    brief: bytes = b""
    latitude: float = 0.0
    longitude: float = 0.0
    below: dict[Any, Epoch] = dataclasses.field(default_factory=dict)


class Stations:
    """All station metadata of a data centre.

    Parameters
    ----------
    inventories
        Merged by code and start date; of a channel epoch that is in several, the last one counts.
    """

    def __init__(self, inventories: Iterable[Inventory]):
        self.networks: dict[Any, Epoch] = {}
        for inventory in inventories:
            for network in _epochs(inventory):
                known = self.networks.setdefault(_key(network), network)
                for key, station in network.below.items():
                    same = known.below.setdefault(key, station)
                    same.below.update(station.below)

    def restricted(self, codes: Codes) -> bool:
        """Whether the metadata close a channel, or the station or network of one they lack."""
        statuses: list[set[str]] = [set(), set(), set()]
        for network in self.networks.values():
            if network.code != codes[0]:
                continue
            statuses[2].add(network.status)
            for station in network.below.values():
                if station.code != codes[1]:
                    continue
                statuses[1].add(station.status)
                for channel in station.below.values():
                    if (channel.location, channel.code) == codes[2:]:
                        statuses[0].add(channel.status)
        told = next((s for s in statuses if s - {""}), set())
        return "closed" in told

    def document(
        self,
        query: Query,
        permitted: Callable[[Codes], bool],
        recorded: Callable[[Codes, int, int], bool],
        check: Callable[[], None],
    ) -> bytes:
        """StationXML or text of what a request selects, empty where that is nothing.

        Parameters
        ----------
        permitted
            Whether a channel is open to the client; asked with ``includerestricted=false``.
        recorded
            Whether there are samples of a channel between two times; asked with
            ``matchtimeseries=true``.
        check
            Called now and then; raises when time is up.
        """
        chosen = list(self._select(query, permitted, recorded, check))
        if not chosen:
            return b""
        if query["format"] == "text":
            return _text(chosen, query["level"])
        return _xml(chosen, query["level"])

    def _select(
        self,
        query: Query,
        permitted: Callable[[Codes], bool],
        recorded: Callable[[Codes, int, int], bool],
        check: Callable[[], None],
    ) -> Iterator[tuple[Epoch, list[tuple[Epoch, list[Epoch]]]]]:
        """Networks, stations and channels of a request."""
        level = _LEVELS.index(query["level"])
        by_channel = (
            level >= 2
            or query["matchtimeseries"]
            or not query["includerestricted"]
            or any((line.location, line.channel) != (("*",), ("*",)) for line in query.lines)
        )
        anywhere = all(
            query[name] is None
            for name in ("minlatitude", "maxlatitude", "minlongitude", "maxlongitude", "minradius",
                         "maxradius")
        )  # fmt: skip
        for network in self.networks.values():
            lines = [x for x in query.lines if _wanted(x, network, (x.network,), (network.code,))]
            if not lines or (level == 0 and not _in_epoch(query, network)):
                continue
            stations = []
            for station in network.below.values():
                check()
                if not inside(query, station.latitude, station.longitude):
                    continue
                these = [x for x in lines if _wanted(x, station, (x.station,), (station.code,))]
                if not these or (level == 1 and not _in_epoch(query, station)):
                    continue
                channels = []
                for channel in station.below.values() if by_channel else ():
                    codes = (network.code, station.code, channel.location, channel.code)
                    own = [
                        x for x in these
                        if _wanted(x, channel, (x.location, x.channel), codes[2:])
                    ]  # fmt: skip
                    if (
                        own
                        and (level < 2 or _in_epoch(query, channel))
                        and (query["includerestricted"] or permitted(codes))
                        and (not query["matchtimeseries"] or any(
                            recorded(codes, max(x.start, channel.start), min(x.end, channel.end))
                            for x in own
                        ))
                    ):  # fmt: skip
                        channels.append(channel)
                if channels or not by_channel:
                    stations.append((station, channels))
            # A network without stations is still one, unless stations were asked for.
            plain = all(line.station == ("*",) for line in lines) and anywhere and not by_channel
            if stations or (level == 0 and plain):
                yield network, stations


def _wanted(
    line: Line, epoch: Epoch, wanted: tuple[tuple[str, ...], ...], codes: tuple[str, ...]
) -> bool:
    return epoch.start <= line.end and line.start <= epoch.end and matches(wanted, codes)


def _in_epoch(query: Query, epoch: Epoch) -> bool:
    """The conditions on the ends of epochs: those of the level that was asked for."""
    limits = [query[n] for n in ("startbefore", "startafter", "endbefore", "endafter")]
    before, after, end_before, end_after = limits
    return (
        (before is None or epoch.start < before)
        and (after is None or epoch.start > after)
        and (end_before is None or epoch.end < end_before)
        and (end_after is None or epoch.end > end_after)
    )


def _key(epoch: Epoch) -> tuple[str, str, int]:
    return epoch.location, epoch.code, epoch.start


def _epochs(inventory: Inventory) -> Iterator[Epoch]:
    """Networks of an inventory with all below; ObsPy's objects and its XML go in step."""
    stream = io.BytesIO()
    inventory.write(stream, format="STATIONXML")
    root = lxml.etree.fromstring(
        stream.getvalue(), lxml.etree.XMLParser(huge_tree=True, remove_blank_text=True)
    )
    pairs = zip(inventory, root.iterfind(f"{{{_SPACE}}}Network"), strict=True)
    for network, network_xml in pairs:
        stations = {}
        for station, station_xml in _children(network, network_xml, "Station"):
            channels = {}
            for channel, channel_xml in _children(station, station_xml, "Channel"):
                epoch = _channel(network.code, station, channel, channel_xml)
                channels[_key(epoch)] = epoch
            text = _row(
                network.code, station.code, station.latitude, station.longitude,
                station.elevation, station.site.name if station.site else "",
                _date(station.start_date), _date(station.end_date),
            )  # fmt: skip
            epoch = _epoch(station, text, _head(station_xml, "Station"), channels)
            epoch.latitude, epoch.longitude = float(station.latitude), float(station.longitude)
            stations[_key(epoch)] = epoch
        text = _row(network.code, network.description, _date(network.start_date),
                    _date(network.end_date))  # fmt: skip
        yield _epoch(network, text, _head(network_xml, "Network"), stations)


def _children(
    parent: Network | Station, xml: lxml.etree._Element, tag: str
) -> Iterator[tuple[Any, lxml.etree._Element]]:
    return zip(parent, list(xml.iterfind(f"{{{_SPACE}}}{tag}")), strict=True)


def _epoch(item: Network | Station | Channel, text: str, xml: bytes, below: dict) -> Epoch:
    return Epoch(
        item.code,
        "",
        BEGIN if item.start_date is None else item.start_date.ns,
        END if item.end_date is None else item.end_date.ns,
        item.restricted_status or "",
        text,
        xml,
        below=below,
    )


def _channel(network: str, station: Station, channel: Channel, xml: lxml.etree._Element) -> Epoch:
    response = channel.response
    gain = response.instrument_sensitivity if response else None
    sensor = channel.sensor.description or channel.sensor.type if channel.sensor else ""
    text = _row(
        network, station.code, channel.location_code, channel.code, channel.latitude,
        channel.longitude, channel.elevation, channel.depth, channel.azimuth, channel.dip, sensor,
        gain and gain.value, gain and gain.frequency, gain and gain.input_units,
        channel.sample_rate, _date(channel.start_date), _date(channel.end_date),
    )  # fmt: skip
    epoch = _epoch(channel, text, _bytes(xml), {})
    epoch.location = channel.location_code.strip().replace("--", "")
    for element in xml.iterfind(f"{{{_SPACE}}}Response"):
        for child in list(element):
            if child.tag not in _OVERALL:
                element.remove(child)
    epoch.brief = _bytes(xml)
    return epoch


def _bytes(xml: lxml.etree._Element) -> bytes:
    """An element, without the declarations that it inherits from the root."""
    text: bytes = lxml.etree.tostring(xml)
    return text.replace(f' xmlns="{_SPACE}"'.encode(), b"", 1)


def _head(xml: lxml.etree._Element, tag: str) -> bytes:
    """The element without its end tag, the level below and the counts of it."""
    below = {"Network": "Station", "Station": "Channel"}[tag]
    for child in list(xml):
        if child.tag in _COUNTS or child.tag == f"{{{_SPACE}}}{below}":
            xml.remove(child)
    if not len(xml) and not xml.text:
        xml.text = "\n"
    return _bytes(xml).removesuffix(f"</{tag}>".encode())


def _row(*fields: Any) -> str:
    return "|".join(
        "" if field is None else " ".join(str(field).replace("|", " ").split()) for field in fields
    )


def _date(moment: UTCDateTime | None) -> str:
    return "" if moment is None else str(moment).removesuffix("Z").removesuffix(".000000")


def _text(chosen: list[tuple[Epoch, list[tuple[Epoch, list[Epoch]]]]], level: str) -> bytes:
    if level == "network":
        rows = [f"{network.text}|{len(network.below)}" for network, _ in chosen]
    elif level == "station":
        rows = [station.text for _, stations in chosen for station, _ in stations]
    else:
        rows = [c.text for _, stations in chosen for _, channels in stations for c in channels]
    return "\n".join([_HEADER[level], *rows, ""]).encode()


def _xml(chosen: list[tuple[Epoch, list[tuple[Epoch, list[Epoch]]]]], level: str) -> bytes:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    parts = [
        f'<?xml version="1.0" encoding="UTF-8"?>\n<FDSNStationXML xmlns="{_SPACE}" '
        'schemaVersion="1.2"><Source>pangeo_ces</Source><Module>ces serve-fdsn</Module>'
        f"<Created>{now}</Created>".encode()
    ]
    for network, stations in chosen:
        parts += [network.xml, _counts("Stations", len(network.below), len(stations))]
        for station, channels in stations if level != "network" else ():
            parts += [station.xml, _counts("Channels", len(station.below), len(channels))]
            if level in ("channel", "response"):
                parts += [c.xml if level == "response" else c.brief for c in channels]
            parts.append(b"</Station>")
        parts.append(b"</Network>")
    return b"".join([*parts, b"</FDSNStationXML>\n"])


def _counts(what: str, total: int, selected: int) -> bytes:
    return (
        f"<TotalNumber{what}>{total}</TotalNumber{what}>"
        f"<SelectedNumber{what}>{selected}</SelectedNumber{what}>"
    ).encode()
