"""The parameters of the three FDSN services: one table, from which requests are read and WADL is
written."""

from __future__ import annotations

import dataclasses
import datetime
import math
import re
from collections.abc import Callable
from typing import Any

from ..errors import CesError

VERSION = "1.2.0"
SERVICES = ("dataselect", "station", "event")
#: Before and after all data, in nanoseconds since 1970.
BEGIN, END = -(2**63) + 1, 2**63 - 1

Patterns = tuple[str, ...]


class RequestError(CesError):
    """A request that is answered with an error; ``status`` is that of HTTP."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One row of the table: ``read`` takes the text of a request, or raises ValueError."""

    name: str
    xsd: str
    read: Callable[[str], Any]
    short: str = ""
    default: Any = None
    options: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Line:
    """Channels and a span of time: patterns, nanoseconds since 1970 (both ends belong to it)."""

    network: Patterns
    station: Patterns
    location: Patterns
    channel: Patterns
    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class Query:
    """A request, checked: the value of every parameter, and what it selects."""

    service: str
    values: dict[str, Any]
    lines: tuple[Line, ...]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def nanoseconds(text: str) -> int:
    """A time as FDSN writes it, in nanoseconds since 1970; beyond years 1678 to 2262, clamped."""
    match = re.fullmatch(
        r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9})\d{0,9})?)?Z?", text, re.ASCII
    )
    if not match:
        raise ValueError("write a time as 2016-10-30T06:40:18.123")
    day, clock, fraction = match.groups()
    moment = datetime.datetime.fromisoformat(f"{day}T{clock or '00:00'}")
    whole = moment - datetime.datetime(1970, 1, 1)
    nano = (whole.days * 86_400 + whole.seconds) * 10**9 + int((fraction or "0").ljust(9, "0"))
    return min(max(nano, BEGIN), END)


def patterns(text: str) -> Patterns:
    """Codes with commas between and ``*`` and ``?`` in them; ``--`` is an empty one."""
    found = []
    items = text.split(",")
    if len(items) > 1000:
        raise ValueError("at most 1000 codes in one list")
    for item in items:
        code = item.strip().replace("--", "") if item.strip("- ") == "" else item.strip()
        if not re.fullmatch(r"[A-Za-z0-9_?*-]{0,24}", code):
            raise ValueError("codes are letters, digits, * and ?, with commas between")
        found.append(re.sub(r"\*+", "*", code))
    return tuple(dict.fromkeys(found))


def _codes(text: str) -> Patterns:
    if not all(patterns(text)):
        raise ValueError("an empty code: leave the parameter out, or write *")
    return patterns(text)


def _number(low: float = -math.inf, high: float = math.inf) -> Callable[[str], float]:
    def read(text: str) -> float:
        if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", text, re.ASCII):
            raise ValueError("give a number")
        if not low <= float(text) <= high:
            raise ValueError(f"give a number from {low:g} to {high:g}")
        return float(text)

    return read


def _integer(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) < 1:
        raise ValueError("give a whole number of at least 1")
    return int(text)


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError("write true or false")
    return text.lower() in ("true", "1")


def _one_of(*options: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in [option.lower() for option in options]:
            raise ValueError(f"use one of {', '.join(options)}")
        return next(option for option in options if option.lower() == text.lower())

    return read


def _text(text: str) -> str:
    if not text.isprintable() or len(text) > 500:
        raise ValueError("at most 500 printable characters")
    return text


def _time(name: str, short: str = "") -> Parameter:
    return Parameter(name, "xs:dateTime", nanoseconds, short)


def _double(name: str, short: str = "", default: Any = None, *within: float) -> Parameter:
    return Parameter(name, "xs:double", _number(*within), short, default)


def _boolean(name: str, default: bool) -> Parameter:
    return Parameter(name, "xs:boolean", _flag, "", default)


def _choice(name: str, *options: str) -> Parameter:
    return Parameter(name, "xs:string", _one_of(*options), "", options[0], options)


_TIMES = (_time("starttime", "start"), _time("endtime", "end"))
_CODES = (
    Parameter("network", "xs:string", _codes, "net", ("*",)),
    Parameter("station", "xs:string", _codes, "sta", ("*",)),
    Parameter("location", "xs:string", patterns, "loc", ("*",)),
    Parameter("channel", "xs:string", _codes, "cha", ("*",)),
)
_AREA = (
    _double("minlatitude", "minlat", None, -90, 90),
    _double("maxlatitude", "maxlat", None, -90, 90),
    _double("minlongitude", "minlon", None, -180, 180),
    _double("maxlongitude", "maxlon", None, -180, 180),
    _double("latitude", "lat", 0.0, -90, 90),
    _double("longitude", "lon", 0.0, -180, 180),
    _double("minradius", "", None, 0, 180),
    _double("maxradius", "", None, 0, 180),
)
_NODATA = Parameter("nodata", "xs:int", _one_of("204", "404"), "", "204", ("204", "404"))
_TABLE: dict[str, tuple[Parameter, ...]] = {
    "dataselect": (
        *_TIMES,
        *_CODES,
        _choice("quality", "B", "D", "R", "Q", "M"),
        _double("minimumlength", "", 0.0, 0, 1e12),
        _boolean("longestonly", False),
        _choice("format", "miniseed"),
        _NODATA,
    ),
    "station": (
        *_TIMES,
        _time("startbefore"),
        _time("startafter"),
        _time("endbefore"),
        _time("endafter"),
        *_CODES,
        *_AREA,
        Parameter(
            "level", "xs:string", _one_of("network", "station", "channel", "response"), "",
            "station", ("network", "station", "channel", "response"),
        ),
        _boolean("includerestricted", True),
        _boolean("matchtimeseries", False),
        _choice("format", "xml", "text"),
        _NODATA,
    ),
    "event": (
        *_TIMES,
        *_AREA,
        _double("mindepth"),
        _double("maxdepth"),
        _double("minmagnitude", "minmag"),
        _double("maxmagnitude", "maxmag"),
        Parameter("magnitudetype", "xs:string", _text, "magtype"),
        Parameter("eventtype", "xs:string", _text),
        _boolean("includeallorigins", False),
        _boolean("includeallmagnitudes", False),
        _boolean("includearrivals", False),
        Parameter("eventid", "xs:string", _text),
        Parameter("limit", "xs:int", _integer),
        Parameter("offset", "xs:int", _integer, "", 1),
        _choice("orderby", "time", "time-asc", "magnitude", "magnitude-asc"),
        Parameter("catalog", "xs:string", _text),
        Parameter("contributor", "xs:string", _text),
        _time("updatedafter"),
        _choice("format", "xml", "text"),
        _NODATA,
    ),
}  # fmt: skip
PARAMETERS = {service: {row.name: row for row in rows} for service, rows in _TABLE.items()}
_NAMES = {
    service: {name: row for row in rows.values() for name in (row.name, row.short) if name}
    for service, rows in PARAMETERS.items()
}


def read(service: str, pairs: list[tuple[str, str]], lines: list[Line] | None = None) -> Query:
    """Check the parameters of a request.

    Parameters
    ----------
    service
        ``dataselect``, ``station`` or ``event``.
    pairs
        Names, long or short, and values as text.
    lines
        Of a POST; a GET selects by its parameters.

    Raises
    ------
    RequestError
        400: an unknown or repeated parameter, a value that cannot be, a span of no time.
    """
    values = {name: row.default for name, row in PARAMETERS[service].items()}
    given: set[str] = set()
    for name, text in pairs:
        row = _NAMES[service].get(name.lower())
        if row is None:
            raise RequestError(400, f"unknown parameter {_quoted(name)} of {service}")
        if row.name in given:
            raise RequestError(400, f"parameter {row.name} is given more than once")
        given.add(row.name)
        try:
            if not text.strip() and row.name != "location":
                raise ValueError("it has no value")
            values[row.name] = row.read(text.strip())
        except (ValueError, OverflowError) as error:
            raise RequestError(400, f"{row.name}={_quoted(text)}: {error}") from None
    if service == "station" and values["format"] == "text" and values["level"] == "response":
        raise RequestError(400, "format=text has no level=response: use format=xml")
    for low, high in (("minlatitude", "maxlatitude"), ("minradius", "maxradius"),
                      ("mindepth", "maxdepth"), ("minmagnitude", "maxmagnitude")):  # fmt: skip
        if None not in (values.get(low), values.get(high)) and values[low] > values[high]:
            raise RequestError(400, f"{low} is larger than {high}")
    start = BEGIN if values["starttime"] is None else values["starttime"]
    end = END if values["endtime"] is None else values["endtime"]
    if start > end:
        raise RequestError(400, "starttime is later than endtime")
    if lines is None:
        network, station, location, channel = (
            values.get(name, ("*",)) for name in ("network", "station", "location", "channel")
        )
        lines = [Line(network, station, location, channel, start, end)]
    return Query(service, values, tuple(dict.fromkeys(lines)))


def read_post(service: str, body: bytes, most_lines: int) -> Query:
    """A POST: lines ``name=value``, then lines ``NET STA LOC CHA START END``.

    Raises
    ------
    RequestError
        400 for what cannot be read, 413 for more than ``most_lines`` lines.
    """
    try:
        rows = body.decode().splitlines()
    except UnicodeDecodeError:
        raise RequestError(400, "the body is not UTF-8 text") from None
    if len(rows) > most_lines:
        raise RequestError(413, f"{len(rows)} lines, more than {most_lines}: ask in several parts")
    pairs: list[tuple[str, str]] = []
    lines: list[Line] = []
    for number, row in enumerate(rows, 1):
        fields = row.split()
        name, equals, value = row.partition("=")
        if equals:
            pairs.append((name.strip(), value))
        elif len(fields) == 6:
            lines.append(_line(number, fields))
        elif fields:
            raise RequestError(
                400, f"line {number}, {_quoted(row)}: write NET STA LOC CHA START END"
            )
    if not lines:
        raise RequestError(400, "no line NET STA LOC CHA START END in the body")
    forbidden = {"network", "station", "location", "channel", "starttime", "endtime"}
    for name, _ in pairs:
        known = _NAMES[service].get(name.lower())
        if known is not None and known.name in forbidden:
            raise RequestError(400, f"{known.name} belongs into the lines of a POST")
    return read(service, pairs, lines)


def _line(number: int, fields: list[str]) -> Line:
    try:
        network, station, channel = (_codes(fields[i]) for i in (0, 1, 3))
        location = patterns(fields[2])
        start = BEGIN if fields[4] == "*" else nanoseconds(fields[4])
        end = END if fields[5] == "*" else nanoseconds(fields[5])
    except (ValueError, OverflowError) as error:
        raise RequestError(400, f"line {number}, {_quoted(' '.join(fields))}: {error}") from None
    if start > end:
        raise RequestError(400, f"line {number}: its start is later than its end")
    return Line(network, station, location, channel, start, end)


def _quoted(text: str) -> str:
    """Text of a stranger, short and harmless."""
    return ascii(text if len(text) <= 80 else text[:80] + "…")
