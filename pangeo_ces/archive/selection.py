"""Which channels, and which stretches of time, a request is about."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from obspy import UTCDateTime
from obspy.geodetics import locations2degrees

from ..errors import ParameterError
from .waveforms import Codes, GarbledError

DAY = 86400
RECTANGLE = ("minlatitude", "maxlatitude", "minlongitude", "maxlongitude")
CIRCLE = ("latitude", "longitude", "minradius", "maxradius")


@dataclasses.dataclass(frozen=True, slots=True)
class Channel:
    """One epoch of a channel, as a station service lists it.

    Degrees, samples per second, ISO times; ``end`` is empty while the channel runs.
    """

    network: str
    station: str
    location: str
    channel: str
    latitude: float
    longitude: float
    rate: float
    start: str
    end: str

    @property
    def codes(self) -> Codes:
        return self.network, self.station, self.location, self.channel

    def runs(self, start: UTCDateTime, end: UTCDateTime) -> bool:
        """Whether the epoch has a part in some time."""
        return _time(self.start) <= end and (not self.end or _time(self.end) >= start)


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """One file to ask for: a channel in a stretch of time."""

    name: str
    codes: Codes
    start: UTCDateTime
    end: UTCDateTime


@functools.lru_cache(100_000)
def _time(text: str) -> UTCDateTime:
    return UTCDateTime(text)


def read_listing(content: bytes) -> list[Channel]:
    """Channels of the text format of FDSN station services.

    Raises
    ------
    GarbledError
        If it is no such text, or ends in the middle of a line.
    """
    lines = content.decode("utf-8", "replace").splitlines()
    if not lines or not lines[0].lower().replace(" ", "").startswith("#network|station|"):
        raise GarbledError("no list of channels")
    found = []
    for line in lines[1:]:
        cells = [cell.strip() for cell in line.split("|")]
        if cells == [""]:
            continue
        try:
            network, station, location, channel, latitude, longitude = cells[:6]
            rate, start, end = cells[14:17]
            UTCDateTime(start)
            found.append(
                Channel(network, station, location.replace("--", ""), channel, float(latitude),
                        float(longitude), float(rate or 0), start, end)
            )  # fmt: skip
        except (ValueError, TypeError) as error:
            raise GarbledError(f"a damaged list of channels ({line[:60]!r})") from error
    return found


def region(domain: Any) -> dict[str, float]:
    """A rectangle or a circle as parameters of station and event services.

    Parameters
    ----------
    domain
        ``None``; a mapping with ``minlatitude``, ``maxlatitude``, ``minlongitude``,
        ``maxlongitude``, or with ``latitude``, ``longitude``, ``minradius``, ``maxradius`` (all in
        degrees); or a ``RectangularDomain``, ``CircularDomain`` or ``GlobalDomain`` of ObsPy.

    >>> region({"latitude": 42.8, "longitude": 13.1, "minradius": 0, "maxradius": 1})["maxradius"]
    1.0
    """
    if domain is None:
        return {}
    if hasattr(domain, "get_query_parameters"):
        domain = domain.get_query_parameters()
    found = {key: float(value) for key, value in dict(domain).items() if value is not None}
    if found and found.keys() not in (set(RECTANGLE), set(CIRCLE)):
        raise ParameterError(
            f"a domain of {', '.join(found)}: give {', '.join(RECTANGLE)}; or {', '.join(CIRCLE)}"
        )
    return found


def within(channel: Channel, domain: Mapping[str, float]) -> bool:
    """Whether a channel is in a region, whatever its service thought."""
    if "minlatitude" in domain:
        west, east = domain["minlongitude"], domain["maxlongitude"]
        inside = domain["minlatitude"] <= channel.latitude <= domain["maxlatitude"]
        if west <= east:
            return inside and west <= channel.longitude <= east
        return inside and (channel.longitude >= west or channel.longitude <= east)
    if "maxradius" in domain:
        distance = locations2degrees(
            domain["latitude"], domain["longitude"], channel.latitude, channel.longitude
        )
        return domain["minradius"] <= distance <= domain["maxradius"]
    return True


def choose(
    channels: Iterable[Channel],
    channel_priorities: Sequence[str] | None,
    location_priorities: Sequence[str] | None,
) -> list[Channel]:
    """The channels wanted at each station, as ObsPy's mass downloader chooses them.

    Within each location the first pattern of ``channel_priorities`` that has a match decides; of
    the locations, the first of ``location_priorities`` that has a channel left.
    """
    chosen: list[Channel] = []
    order = sorted(channels, key=lambda c: (*c.codes, c.start))
    for _, station in itertools.groupby(order, key=lambda c: c.codes[:2]):
        left: list[Channel] = []
        for _, at_location in itertools.groupby(station, key=lambda c: c.location):
            left += first_match(list(at_location), "channel", channel_priorities)
        chosen += first_match(left, "location", location_priorities)
    return chosen


def first_match(
    channels: list[Channel], code: str, patterns: Sequence[str] | None
) -> list[Channel]:
    """The channels that fit the first of some patterns that any fits."""
    if patterns is None:
        return channels
    for pattern in patterns:
        pattern = "" if pattern == "--" else pattern
        if found := [c for c in channels if fnmatchcase(getattr(c, code), pattern)]:
            return found
    return []


def matches(code: str, patterns: str) -> bool:
    """Whether a code fits one of some comma-separated patterns with ``*`` and ``?``.

    >>> matches("HHZ", "BH?,HH?"), matches("", "--"), matches("00", "--")
    (True, True, False)
    """
    return any(
        fnmatchcase(code, "" if p.strip() == "--" else p.strip()) for p in patterns.split(",")
    )


def days(start: UTCDateTime, end: UTCDateTime) -> Iterator[tuple[UTCDateTime, UTCDateTime]]:
    """UTC days between two times, the first and last cut, each to its last microsecond."""
    day = UTCDateTime(start.year, start.month, start.day)
    while day < end:
        yield max(day, start), min(day + DAY - 1e-6, end)
        day += DAY


def sds_name(codes: Codes, time: UTCDateTime) -> str:
    """Path of a channel's day in an SDS tree.

    >>> sds_name(("IV", "ARRO", "", "HHZ"), UTCDateTime(2016, 8, 24))
    '2016/IV/ARRO/HHZ.D/IV.ARRO..HHZ.D.2016.237'
    """
    network, station, location, channel = codes
    return (
        f"{time.year:04d}/{network}/{station}/{channel}.D/"
        f"{network}.{station}.{location}.{channel}.D.{time.year:04d}.{time.julday:03d}"
    )


_SDS = re.compile(
    r"(?P<network>[A-Z0-9]{1,8})\.(?P<station>[A-Z0-9-]{1,8})\.(?P<location>[A-Z0-9]{0,8})\."
    r"(?P<channel>[A-Z0-9]{1,8})\.D\.(?P<year>\d{4})\.(?P<day>\d{3})"
)


def parse_sds_name(name: str) -> tuple[Codes, UTCDateTime] | None:
    """Channel and day of a file called as in an SDS tree; None for others.

    >>> parse_sds_name("NL.HGN.02.LHZ.D.2017.021")
    (('NL', 'HGN', '02', 'LHZ'), UTCDateTime(2017, 1, 21, 0, 0))
    >>> parse_sds_name("NL.HGN.02.LHZ.D.2017.366")
    """
    match = _SDS.fullmatch(name)
    if not match:
        return None
    try:
        first = datetime.datetime(int(match["year"]), 1, 1)
        day = first + datetime.timedelta(days=int(match["day"]) - 1)
    except (ValueError, OverflowError):
        return None
    if day.year != first.year:
        return None
    codes = (match["network"], match["station"], match["location"], match["channel"])
    return codes, UTCDateTime(day)


def moment(value: Any, name: str) -> UTCDateTime:
    """A time in whatever form ObsPy takes, as UTC."""
    try:
        return UTCDateTime(value)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"{name}={value!r} is no time: write it as 2016-08-24T01:36"
        ) from error
