"""Strong-motion text formats: ESM/ITACA, CSMIP/CISN, COSMOS, K-NET and SCEC BBP.

All give acceleration, velocity or displacement in SI units as float64, and sites from their
headers.  A processed CSMIP record gives three traces per sensor, told apart by their quantity.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from ..errors import FormatError
from ..storage import file_system
from .archive import describe, fraction, nanoseconds, peek, unpack
from .base import Site, SourceFile, Trace
from .knet import MARK, read_knet
from .salvage import Report

GRAVITY = 9.80665  # CSMIP writes 980.665 cm/s² into its headers
_QUANTITIES: dict[str, dict[str, float]] = {
    "acceleration": {
        "cm/s^2": 0.01, "cm/s/s": 0.01, "cm/s2": 0.01, "cm/sec2": 0.01, "cm/sec/sec": 0.01,
        "gal": 0.01, "m/s^2": 1.0, "m/s/s": 1.0, "m/s**2": 1.0, "m s-2": 1.0,
        "g": GRAVITY, "mg": GRAVITY / 1000,
    },
    "velocity": {"cm/s": 0.01, "cm/sec": 0.01, "m/s": 1.0, "m s-1": 1.0},
    "displacement": {"cm": 0.01, "m": 1.0},
    "pressure": {"pa": 1.0, "hpa": 100.0},
    "counts": {"counts": 1},
}  # fmt: skip
_AXES = {"N": (0.0, 0.0), "E": (90.0, 0.0), "Z": (0.0, -90.0)}
_NETWORKS = {"CGS": "CE", "CSMIP": "CE", "USGS": "NP", "SCSN": "CI", "CDMG": "CE"}
_CLOCK = re.compile(
    r"start time:\s*(\d+)/\s*(\d+)/\s*(\d+),?\s*(\d+):\s*(\d+):\s*(\d*\.?\d*)\s*(?:UTC|GMT)",
    re.IGNORECASE,
)
_FORTRAN = re.compile(r"\(\s*(\d+)([fiFIeE])(\d+)(?:\.\d+)?\s*\)")
_CSMIP_DATA = re.compile(
    r"\s*(\d+) points of (?:accel|veloc|displ) data equally spaced at\s+([\d.]+) sec, in "
    r"([a-z/2]+)|\s*(\d+) \w+ points at\s+(\d+) pts/sec in units of (\w+)"
)
_COSMOS_DATA = re.compile(r"\s*(\d+)\s+\w+ pts,.*?units\s*=\s*([\w/^]+)")
_COSMOS_HEAD = re.compile(rb"[^\n]{0,60}\(Format v[\d.]+ with \d+ text lines\)")


def si_units(text: str) -> tuple[str, float]:
    """Quantity of a unit, and its factor to SI."""
    unit = text.strip().lower()
    for quantity, factors in _QUANTITIES.items():
        if unit in factors:
            return quantity, factors[unit]
    raise FormatError(f"unknown unit {text!r}: convert to cm/s^2, cm/s or cm")


def _column(lines: list[str], count: int, form: str) -> np.ndarray:
    """``count`` numbers in a Fortran format such as ``(8f10.6)``, which may touch each other."""
    layout = _FORTRAN.search(form)
    if layout is None:
        raise FormatError(f"no Fortran format in {form.strip()[-30:]!r}: copy the file again")
    per_line, width = int(layout[1]), int(layout[3])
    rows = lines[: -(-count // per_line)]
    text = "".join(line.ljust(per_line * width)[: per_line * width] for line in rows)
    values = np.frombuffer(text.encode("ascii", "replace"), dtype=f"S{width}")[:count]
    try:
        if values.size == count:
            return values.astype(np.int32 if layout[2] in "iI" else np.float64)
    except ValueError:
        pass
    raise FormatError(f"fewer than the {count} numbers announced: the file is cut short")


def _orientation(text: str) -> tuple[str, float, float]:
    """Last letter of the channel code, azimuth and dip, from ``90 Deg``, ``Up`` or ``H1``."""
    word = text.strip().lower()
    if word.startswith(("up", "vert", "400", "402")):
        return "Z", 0.0, -90.0
    if word.startswith(("down", "401")):
        return "Z", 0.0, 90.0
    if match := re.match(r"(\d+)(?: *deg|$)", word):
        azimuth = float(match[1]) % 360.0
        if int(match[1]) <= 360:
            other = "1" if azimuth % 180.0 < 90.0 else "2"  # differs for axes at right angles
            return {0.0: "N", 90.0: "E"}.get(azimuth, other), azimuth, 0.0
    return ("2" if word.endswith(("h2", "701")) else "1"), math.nan, 0.0


def read_esm(file: SourceFile, lines: list[str], report: Report) -> Iterator[Trace]:
    """One component in the DYNA format of ESM and ITACA."""
    first = next(number for number, line in enumerate(lines) if ":" not in line)
    rows = (line.partition(":") for line in lines[:first])
    header = {key.strip(): value.strip() for key, _, value in rows}
    kind = header.get("DATA_TYPE", "")
    if "SPECTRUM" in kind:
        raise FormatError(f"{kind.lower()}, not a waveform: leave it out")
    quantity, factor = si_units(header.get("UNITS", ""))
    stream = header.get("STREAM", "")
    azimuth, dip = _AXES.get(stream[-1:], (math.nan, math.nan))
    latitude, longitude, elevation, depth = (
        float(header.get(key) or "nan")
        for key in ("STATION_LATITUDE_DEGREE", "STATION_LONGITUDE_DEGREE", "STATION_ELEVATION_M",
                    "SENSOR_DEPTH_M")
    )  # fmt: skip
    clock = header.get("DATE_TIME_FIRST_SAMPLE_YYYYMMDD_HHMMSS", "")
    if not re.fullmatch(r"\d{8}_\d{6}(\.\d*)?", clock):
        clock = f"{header.get('EVENT_DATE_YYYYMMDD')}_{header.get('EVENT_TIME_HHMMSS')}"
        report("", "no time of first sample: the event's time is used")
    day, time = clock.split("_")
    start = nanoseconds(
        int(day[:4]), int(day[4:6]), int(day[6:]), int(time[:2]), int(time[2:4]), time[4:]
    )
    data = np.array(lines[first:], dtype=np.float64)
    announced = int(header["NDATA"])
    if data.size != announced:
        report("", f"{data.size} samples, not the {announced} announced")
    yield Trace(
        header["NETWORK"], header["STATION_CODE"], header.get("LOCATION", ""), stream, start,
        fraction(header["SAMPLING_INTERVAL_S"]), data.size, data * factor, quantity, "",
        Site(latitude, longitude, elevation, depth, azimuth, dip, header.get("STATION_NAME", "")),
    )  # fmt: skip


def read_csmip(file: SourceFile, lines: list[str], report: Report) -> Iterator[Trace]:
    """All channels of a CSMIP/CISN V1 (uncorrected) or V2 (processed) file."""
    begin = 0
    for number, line in enumerate(lines):
        if line.startswith("/&"):
            begin = number + 1
        elif match := _CSMIP_DATA.match(line):
            head = "\n".join(lines[begin : begin + 25])
            count = int(match[1] or match[4])
            quantity, factor = si_units((match[3] or match[6]).rstrip("."))
            data = _column(lines[number + 1 :], count, line) * factor
            interval = Fraction(match[2]) if match[2] else Fraction(1, int(match[5]))
            network, station, location, channel, site = _csmip_channel(head)
            yield Trace(network, station, location, channel, _csmip_start(head), interval, count,
                        data, quantity, "", site)  # fmt: skip


def _csmip_start(head: str) -> int:
    clock = _CLOCK.search(head)
    if clock is None:
        raise FormatError("no 'Start time: … UTC' in the header: absolute time unknown, add it")
    month, day, year, hour, minute = map(int, clock.groups()[:5])
    year += 0 if year > 99 else 2000 if year < 70 else 1900
    return nanoseconds(year, month, day, hour, minute, clock[6])


def _csmip_channel(head: str) -> tuple[str, str, str, str, Site]:
    sensor = re.search(r"Chan\s+(\d+):\s*(.+?)(?:\s{2,}|$)", head, re.MULTILINE)
    station = re.search(r"Station (?:Id|No)\.\s*(\S+)\s+([\d.]+)([NS]),\s*([\d.]+)([EW])", head)
    if sensor is None or station is None:
        raise FormatError("no station or channel in the header: copy the file again")
    latitude = float(station[2]) * (1 if station[3] == "N" else -1)
    longitude = float(station[4]) * (1 if station[5] == "E" else -1)
    name = re.search(r"^(.{1,40}?)\s{2,}(\S+)\s+Data:", head, re.MULTILINE)
    letter, azimuth, dip = _orientation(sensor[2])
    codes = re.search(r"\d+\.(\w+)\.(\w+)\.([\w-]{2})\.(\w{2})\b", head)
    total = re.search(r"of\s*(\d+) at Sta", head)
    if codes:
        network, code, location, band = codes.groups()
    else:
        network, code = _NETWORKS.get(name[2] if name else "", ""), station[1]
        location, band = "--", "HN"
    if location == "--":  # a structure's many sensors share three directions
        location = f"{int(sensor[1]):02d}" if total and int(total[1]) > 3 else ""
    site = Site(latitude, longitude, azimuth=azimuth, dip=dip, name=name[1].strip() if name else "")
    return network, code, location, band + letter, site


def read_cosmos(file: SourceFile, lines: list[str], report: Report) -> Iterator[Trace]:
    """All channels of a COSMOS V0 (counts), V1 or V2 file."""
    begin = 0
    integers = reals = np.empty(0)
    for number, line in enumerate(lines):
        if "text lines)" in line:
            begin = number
        elif match := re.match(r"\s*(\d+)\s+(Integer|Real)-header values", line):
            values = _column(lines[number + 1 :], int(match[1]), line)
            integers, reals = (values, reals) if match[2] == "Integer" else (integers, values)
        elif match := _COSMOS_DATA.match(line):
            head = lines[begin : begin + 13]
            count = int(match[1])
            quantity, factor = si_units(match[2])
            data = _column(lines[number + 1 :], count, line) * factor
            interval = (
                Fraction(str(reals[61])) / 1000 if reals[61] > 0 else Fraction(str(reals[33]))
            )
            if interval <= 0:
                raise FormatError("no sampling interval in the header: copy the file again")
            code = re.search(r"Code:\s*(\w+)-(\w+)\s+(.*)", "\n".join(head))
            if code is None:
                raise FormatError("no 'Code:NET-STA' in the header: copy the file again")
            letter, azimuth, dip = _orientation(str(int(integers[53])))
            latitude, longitude, elevation = np.where(reals[:3] == -999, np.nan, reals[:3]).tolist()
            location = "" if integers[55] < 0 else f"{int(integers[55]):02d}"
            name = code[3].strip()
            site = Site(latitude, longitude, elevation, azimuth=azimuth, dip=dip, name=name)
            yield Trace(code[1], code[2], location, f"HN{letter}", _csmip_start("\n".join(head)),
                        interval, count, data, quantity, "", site)  # fmt: skip


def read_bbp(file: SourceFile, lines: list[str], report: Report) -> Iterator[Trace]:
    """Three components of the SCEC Broadband Platform.

    The file is anonymous: network ``BB``, channel ``HX?`` (SEED's code for generated data), the
    station from the file name, time zero at 1970-01-01.
    """
    head = "\n".join(line for line in lines if line.startswith("#"))
    units = re.search(r"units=\s*(\S+)", head) or re.search(r"\(([^()]+)\)\s*$", head, re.MULTILINE)
    quantity, factor = si_units(units[1] if units else "")
    rows = [line for line in lines if line.strip() and not line.startswith("#")]
    table = np.loadtxt(rows, ndmin=2) if rows else np.empty((0, 4))
    if table.shape[1] != 4 or len(table) < 2:
        raise FormatError("not the four columns time, N-S, E-W, U-D: copy the file again")
    station = re.sub(r"\.(acc|vel|dis)\.bbp.*$", "", file.name).split(".")[-1]
    latitude, longitude = _bbp_place(file, head, station)
    report("", "no absolute time in a BBP file: 1970-01-01 is used")
    step = (table[-1, 0] - table[0, 0]) / (len(table) - 1)
    interval = Fraction(step).limit_denominator(10**6)
    if np.abs(table[:, 0] - table[0, 0] - np.arange(len(table)) * step).max() > 0.01 * step:
        raise FormatError("times are not evenly spaced: resample before ingesting")
    start = round(Fraction(str(table[0, 0])) * 10**9)
    for column, (letter, (azimuth, dip)) in enumerate(_AXES.items(), 1):
        site = Site(latitude, longitude, azimuth=azimuth, dip=dip)
        yield Trace("BB", station, "", f"HX{letter}", start, interval, len(table),
                    table[:, column] * factor, quantity, "", site)  # fmt: skip


def _bbp_place(file: SourceFile, head: str, station: str) -> tuple[float, float]:
    """From the header of newer files, else from a station list (``.stl``) beside the file."""
    own = [re.search(rf"{key}=\s*([-\d.]+)", head) for key in ("lat", "lon")]
    if own[0] and own[1]:
        return float(own[0][1]), float(own[1][1])
    fs, path = file_system(file.url)
    for name in sorted(fs.glob(posixpath.join(posixpath.dirname(path), "*.stl"))):
        for line in fs.cat_file(name).decode("ascii", "replace").splitlines():
            words = line.split()
            if len(words) > 2 and words[2] == station:
                return float(words[1]), float(words[0])
    return math.nan, math.nan


_READERS = {
    "esm": read_esm, "csmip": read_csmip, "cosmos": read_cosmos, "bbp": read_bbp, "knet": read_knet,
}  # fmt: skip


class StrongMotionSource:
    """Reads ESM/ITACA, CSMIP/CISN V1 and V2, COSMOS, K-NET and SCEC BBP text files."""

    name = "strong-motion"

    def matches(self, file: SourceFile) -> bool:
        return bool(_family(file.name, peek(file)))

    def read(self, file: SourceFile, *, samples: bool, report: Report) -> list[Trace]:
        content = unpack(file.content)
        family = _family(file.name, content)
        lines = content.decode("latin-1").splitlines()
        if family == "spectra":
            raise FormatError("response spectra (V3), not waveforms: leave it out")
        if not family:
            raise FormatError(describe(content))
        try:
            traces = list(_READERS[family](file, lines, report))
        except (LookupError, ValueError, StopIteration, RuntimeError) as error:
            if isinstance(error, FormatError):
                raise
            reason = f"damaged {family.upper()} file ({error}): copy it again"
            raise FormatError(reason) from error
        if not traces:
            raise FormatError(f"no waveform in this {family.upper()} file: copy it again")
        for trace in traces:
            bad = trace.samples - np.count_nonzero(np.isfinite(np.asarray(trace.data)))
            if bad:
                report(trace.id, f"{bad} of {trace.samples} samples are NaN or infinite: kept")
            trace.data = trace.data if samples else None
        return traces


def _family(name: str, head: bytes) -> str:
    if head.startswith(b"EVENT_NAME:"):
        return "esm"
    if head.startswith(MARK):
        return "knet"
    if _COSMOS_HEAD.match(head):
        return "spectra" if b"spectra" in head[:60].lower() else "cosmos"
    if re.match(rb"(Corrected|Uncorrected) accelerogram", head, re.IGNORECASE):
        return "csmip"
    if head.startswith(b"Response and Fourier amplitude spectra"):
        return "spectra"
    if re.search(r"\.bbp(\.gz|\.bz2)?$", name) and head.startswith(b"#"):
        return "bbp"
    return ""


SOURCE = StrongMotionSource()
