"""What an inventory says of a channel at a time: place, orientation, response."""

from __future__ import annotations

import dataclasses
import io
import math
from collections import defaultdict

import obspy
from obspy.core.inventory import Channel as ObspyChannel
from obspy.core.inventory import Inventory, Network, Response, Station

from ..sources.base import Site, Trace

_QUANTITY = {
    "M": "displacement",
    "M/S": "velocity",
    "M/S**2": "acceleration",
    "M/S^2": "acceleration",
    "M/(S**2)": "acceleration",
    "M/S/S": "acceleration",
    "PA": "pressure",
}
_EPOCH = obspy.UTCDateTime(0)


@dataclasses.dataclass(frozen=True)
class Channel:
    """Metadata of one channel in one epoch."""

    site: Site
    quantity: str = "counts"
    input_quantity: str = ""
    sensitivity: float = math.nan
    document: str = ""
    remarks: tuple[str, ...] = ()


class Channels:
    """Channel metadata by code and time, from an inventory and from the files themselves."""

    def __init__(self, inventory: Inventory | None):
        self.channels: dict[str, list[ObspyChannel]] = defaultdict(list)
        self.stations: dict[tuple[str, str], list[Station]] = defaultdict(list)
        for network in inventory or []:
            for station in network:
                self.stations[network.code, station.code].append(station)
                for channel in station:
                    code = f"{network.code}.{station.code}.{_location(channel)}.{channel.code}"
                    self.channels[code].append(channel)
        self._described: dict[int, Channel] = {}

    def find(self, trace: Trace) -> Channel | str:
        """The channel of a trace, or the reason why there is none."""
        epochs = self.channels.get(trace.id, [])
        when = obspy.UTCDateTime(ns=trace.start)
        for channel in epochs:
            if _covers(channel, when):
                if id(channel) not in self._described:
                    self._described[id(channel)] = _describe(channel)
                return self._described[id(channel)]
        if epochs:
            spans = "; ".join(f"{c.start_date} to {c.end_date or 'now'}" for c in epochs)
            return f"the station metadata have {trace.id} for {spans} only"
        for station in self.stations.get((trace.network, trace.station), []):
            if not station.channels and _covers(station, when):
                return Channel(_station_site(station, trace), trace.quantity)
        if math.isfinite(trace.site.latitude) and math.isfinite(trace.site.longitude):
            return Channel(_with_orientation(trace.site, trace.channel), trace.quantity)
        return f"no station metadata for {trace.id}"


def _covers(epoch: ObspyChannel | Station, when: obspy.UTCDateTime) -> bool:
    return (epoch.start_date is None or epoch.start_date <= when) and (
        epoch.end_date is None or when <= epoch.end_date
    )


def _location(channel: ObspyChannel) -> str:
    return (channel.location_code or "").strip().replace("--", "")


def _describe(channel: ObspyChannel) -> Channel:
    remarks = []
    given = Site(
        _number(channel.latitude), _number(channel.longitude), _number(channel.elevation),
        _number(channel.depth), _number(channel.azimuth), _number(channel.dip),
    )  # fmt: skip
    site = _with_orientation(given, channel.code)
    if not (math.isfinite(given.azimuth) and math.isfinite(given.dip)):
        remarks.append("no orientation in the metadata: taken from the channel code")
    response = channel.response
    gain = response.instrument_sensitivity if response else None
    stages = response.response_stages if response else []
    units = (gain.input_units if gain else "") or (stages[0].input_units if stages else "") or ""
    out = (gain.output_units if gain else "") or (stages[-1].output_units if stages else "") or ""
    value = _number(gain.value) if gain else math.nan
    if not (math.isfinite(value) and value != 0):
        remarks.append("no usable sensitivity in the metadata")
        value = math.nan
    document = ""
    if stages:
        document = _document(response)
    elif math.isfinite(value):
        remarks.append("no response stages in the metadata: only the sensitivity can be removed")
    return Channel(
        site,
        # Data already in physical units come with a response from m/s² to m/s², say.
        quantity=_QUANTITY.get(out.upper(), "counts"),
        input_quantity=_QUANTITY.get(units.upper(), ""),
        sensitivity=value,
        document=document,
        remarks=tuple(remarks),
    )


def _number(value: object) -> float:
    return math.nan if value is None else float(value)  # type: ignore[arg-type]


def _station_site(station: Station, trace: Trace) -> Site:
    own = trace.site
    place = Site(
        _number(station.latitude), _number(station.longitude), _number(station.elevation),
        own.depth, own.azimuth, own.dip,
    )  # fmt: skip
    return _with_orientation(place, trace.channel)


def _with_orientation(site: Site, channel: str) -> Site:
    """Fill a missing orientation from the SEED component letter where that tells it."""
    letter = channel[-1:]
    conventional = {"Z": (0.0, -90.0), "N": (0.0, 0.0), "E": (90.0, 0.0)}
    azimuth, dip = site.azimuth, site.dip
    if letter in conventional and not (math.isfinite(azimuth) and math.isfinite(dip)):
        azimuth, dip = conventional[letter]
    return dataclasses.replace(site, azimuth=azimuth, dip=dip)


def _document(response: Response) -> str:
    """StationXML of a response alone: equal responses give equal text."""
    channel = ObspyChannel("XXX", "", 0.0, 0.0, 0.0, 0.0, response=response)
    station = Station("XXX", 0.0, 0.0, 0.0, channels=[channel], creation_date=_EPOCH)
    inventory = Inventory([Network("XX", stations=[station])], source="", created=_EPOCH,
                          module="", module_uri="", sender="")  # fmt: skip
    stream = io.BytesIO()
    inventory.write(stream, format="STATIONXML")
    return stream.getvalue().decode()
