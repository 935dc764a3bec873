"""Seismograms of SPECFEM3D Cartesian (``NET.STA.BXE.semd``) and GLOBE (``NET.STA.MXN.sem.ascii``).

A seismogram knows neither its origin time nor its station: both come from the run's own
``CMTSOLUTION``, ``STATIONS`` and ``Par_file``.  SPECFEM works in single precision, so values are
returned as float32: their nine printed digits give back the very numbers of the run.
"""

from __future__ import annotations

import dataclasses
import io
import math
import re
from fractions import Fraction

import numpy as np
import obspy

from ..errors import FormatError
from .archive import fraction, sac_interval, site, unpack
from .base import Site, SourceFile, Trace
from .salvage import Report, read_obspy
from .specfem import (
    PLACES,
    beside,
    number,
    read_cmtsolution,
    read_parameters,
    read_stations,
)  # fmt: skip

_NAME = re.compile(
    r"(?P<network>[^.]*)\.(?P<station>[^.]+)\.(?P<channel>[A-Z0-9]{3})"
    r"\.(?:sem(?P<kind>[dvap])|sem(?=\.))(?:\.(?:ascii|sac))?(?:\.gz|\.bz2)?"
)
_QUANTITIES = {"d": "displacement", "v": "velocity", "a": "acceleration", "p": "pressure"}
_AXES = {"E": (90.0, 0.0), "X": (90.0, 0.0), "N": (0.0, 0.0), "Y": (0.0, 0.0), "Z": (0.0, -90.0)}


def shortest_decimal(low: float, high: float) -> Fraction:
    """The decimal number with the fewest digits in an interval.

    >>> shortest_decimal(0.12679264, 0.12679266)
    Fraction(2535853, 20000000)
    """
    for digits in range(20):
        scale = 10**digits
        middle = Fraction(round((Fraction(low) + Fraction(high)) / 2 * scale), scale)
        if low <= middle <= high:
            return middle
    return Fraction(low)


def time_axis(column: np.ndarray, nominal: Fraction | None) -> tuple[Fraction, Fraction, bool]:
    """Exact start and interval (s) behind a single-precision time column.

    ``nominal`` is the interval the Par_file promises; the flag tells whether the column keeps it.
    """
    half = float(np.spacing(np.abs(np.float32(column[0])))) / 2
    start = shortest_decimal(column[0] - half, column[0] + half)
    if column.size < 2:
        if nominal is None:
            raise FormatError("a single sample and no Par_file: its interval is unknown")
        return start, nominal, True
    if np.abs(column).max() > 1e9:
        raise FormatError("times beyond 1e9 s: copy the file again")
    steps = np.arange(1, column.size)
    slack = np.spacing(np.abs(column).max().astype(np.float32)).astype(float)
    elapsed = column[1:] - float(start)
    low, high = ((elapsed - slack) / steps).max(), ((elapsed + slack) / steps).min()
    if nominal is not None and low <= nominal <= high:
        return start, nominal, True
    jump = np.diff(column)
    if low > high or low <= 0:
        line = int(np.argmax(np.abs(jump - np.median(jump)))) + 2
        raise FormatError(f"times are not evenly spaced at line {line}: run the simulation again")
    return start, shortest_decimal(low, high), nominal is None


class SyntheticsSource:
    """Reads SPECFEM3D seismograms, ASCII and SAC, and places them in time and space."""

    name = "specfem"

    def matches(self, file: SourceFile) -> bool:
        return _NAME.fullmatch(file.name) is not None

    def read(self, file: SourceFile, *, samples: bool, report: Report) -> list[Trace]:
        name = _NAME.fullmatch(file.name)
        if name is None:
            raise FormatError("not the name of a SPECFEM seismogram (NET.STA.BXE.semd): rename it")
        network, station, channel = name["network"], name["station"], name["channel"]
        if channel[0] == "S" and set(channel[1:]) <= set("ENZXY"):
            raise FormatError(f"strain {channel[1:]}, not ground motion: leave it out")
        parameters = beside(file, "Par_file", read_parameters) or {}
        stations = beside(file, "STATIONS", read_stations) or {}
        if (network, station) not in stations and (station, network) in stations:
            network, station = station, network  # the order of older versions
        content = unpack(file.content)
        if not content.strip():
            raise FormatError("empty file: the run was stopped before it wrote seismograms")
        place = stations.get((network, station))
        if content[:512].isascii() and b"\0" not in content[:512]:
            trace_id = f"{network}.{station}..{channel}"
            start, interval, data = _ascii(content, parameters, trace_id, report)
            start_ns = _origin(file) + round(start * 10**9)
        else:
            trace, interval = _sac(content)
            header, data = trace.stats, trace.data.astype(np.float32)
            network, station = header.network or network, header.station or station
            trace_id = f"{network}.{station}..{channel}"
            place = stations.get((network, station))
            if place is None and "stla" in header.sac:
                place = site(trace)
            start_ns = header.starttime.ns
            if header.sac.get("nzyear", 1970) == 1970:
                start_ns = _origin(file) + round(fraction(str(header.sac.get("b", 0.0))) * 10**9)
        for remark in (_shortness(data.size, parameters), _unplaced(place, parameters, name)):
            if remark:
                report(trace_id, remark)
        place = _oriented(place, channel, parameters, globe=name["kind"] is None)
        quantity = _QUANTITIES[name["kind"] or "d"]
        return [
            Trace(network, station, "", channel, start_ns, interval, data.size,
                  data if samples else None, quantity, "", place, _source_time(file))
        ]  # fmt: skip


def _source_time(file: SourceFile) -> int | None:
    """Origin time (ns) of the earthquake on the PDE line, where there is a CMTSOLUTION."""
    sources = beside(file, "CMTSOLUTION", read_cmtsolution)
    return sources[0].origin if sources else None


def _origin(file: SourceFile) -> int:
    """The time SPECFEM calls zero, in ns since 1970: of the first of its sources to break."""
    sources = beside(file, "CMTSOLUTION", read_cmtsolution)
    if sources:
        return sources[0].origin + round(min(s.time_shift for s in sources) * 10**9)
    if any(file.sibling(place.format("FORCESOLUTION")) for place in PLACES):
        reason = "a FORCESOLUTION has no origin time: put a CMTSOLUTION with one beside it"
        raise FormatError(reason)
    reason = "absolute time unknown: put the CMTSOLUTION of the run into DATA/ beside OUTPUT_FILES"
    raise FormatError(reason)


def _ascii(content: bytes, parameters: dict[str, str], trace: str, report: Report):
    body = content.rstrip(b"\n")
    *complete, last = body.splitlines() if body == content else [b""]
    if complete and len(last) < len(complete[-1]):
        report(trace, f"line {len(complete) + 1} is cut short: left out")
        body = b"\n".join(complete)
    try:
        table = np.loadtxt(io.BytesIO(body), ndmin=2)
    except ValueError as error:
        reason = str(error).splitlines()[0].split(";")[0]
        raise FormatError(f"not two columns of numbers ({reason}): copy it again") from error
    if table.shape[1] != 2:
        raise FormatError(f"{table.shape[1]} columns, not time and value: not a SPECFEM seismogram")
    wrong = ~np.isfinite(table).all(axis=1) | (np.abs(table[:, 1]) > np.finfo(np.float32).max)
    if wrong.any():
        line = int(np.argmax(wrong)) + 1
        raise FormatError(f"NaN or infinite from line {line}: the run blew up, use a smaller DT")
    nominal = None
    if "DT" in parameters:
        nominal = fraction(parameters["DT"]) * _every(parameters)
    start, interval, kept = time_axis(table[:, 0], nominal)
    if not kept:
        report(trace, f"time step {float(interval)} s, not {float(nominal or 0)} s as in Par_file")
    return start, interval, table[:, 1].astype(np.float32)


def _sac(content: bytes) -> tuple[obspy.Trace, Fraction]:
    try:
        trace = read_obspy(content, "SAC", samples=True)[0][0]
    except Exception as error:
        reason = "neither ASCII nor SAC: set USE_BINARY_FOR_SEISMOGRAMS = .false. and run again"
        raise FormatError(reason) from error
    if not trace.stats.sac.delta > 0:
        raise FormatError("no time step in the SAC header: copy it again")
    if not np.isfinite(trace.data).all():
        raise FormatError("NaN or infinite values: the run blew up, use a smaller DT")
    return trace, sac_interval(trace.stats.sac.delta)


def _every(parameters: dict[str, str]) -> int:
    return max(int(number(parameters.get("NTSTEP_BETWEEN_OUTPUT_SAMPLE", "1"))), 1)


def _shortness(size: int, parameters: dict[str, str]) -> str:
    expected = -(-int(number(parameters.get("NSTEP", "0"))) // _every(parameters))
    return f"{size} of {expected} samples: the run was stopped early" if size < expected else ""


def _cartesian(parameters: dict[str, str]) -> bool:
    return parameters.get("SUPPRESS_UTM_PROJECTION", "").lower().lstrip(".").startswith("t")


def _unplaced(place: Site | None, parameters: dict[str, str], name: re.Match[str]) -> str:
    if place is None:
        return "station is not in STATIONS: coordinates unknown"
    if _cartesian(parameters):
        return "coordinates are Cartesian metres: not kept as latitude and longitude"
    if name["kind"] and not parameters:
        return "no Par_file beside it: axes taken as true east and north"
    return ""


def _oriented(place: Site | None, channel: str, parameters: dict[str, str], globe: bool) -> Site:
    """Place from STATIONS, orientation true: the axes of a Cartesian run are those of its grid."""
    azimuth, dip = _AXES.get(channel[-1], (math.nan, math.nan))
    place = place or Site()
    if _cartesian(parameters):
        place = dataclasses.replace(place, latitude=math.nan, longitude=math.nan)
    elif not globe and channel[-1] in "ENXY" and "UTM_PROJECTION_ZONE" in parameters:
        meridian = 6 * abs(int(number(parameters["UTM_PROJECTION_ZONE"]))) - 183
        east = math.radians(place.longitude - meridian)
        grid = math.atan(math.tan(east) * math.sin(math.radians(place.latitude)))
        azimuth = (azimuth + math.degrees(grid)) % 360.0
    return dataclasses.replace(place, azimuth=azimuth, dip=dip)


SOURCE = SyntheticsSource()
