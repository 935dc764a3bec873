"""Seismograms of SPECFEM3D Cartesian (``NET.STA.BXE.semd``) and GLOBE (``NET.STA.MXN.sem.ascii``).

A seismogram knows neither its origin time nor its station: both come from the run's own
``CMTSOLUTION``, ``STATIONS`` and ``Par_file``.  SPECFEM works in single precision, so values are
returned as float32: their nine printed digits give back the very numbers of the run.
"""

from __future__ import annotations

import io
import re
from fractions import Fraction

import numpy as np
import obspy

from ..errors import FormatError
from .archive import fraction, sac_interval, site, unpack
from .base import SourceFile, Trace
from .salvage import Report, read_obspy
from .specfem_run import QUANTITIES, Run, time_axis

NAME = re.compile(
    r"(?P<network>[^.]*)\.(?P<station>[^.]+)\.(?P<channel>[A-Z0-9]{3})"
    r"\.(?:sem(?P<kind>[dvap])|sem(?=\.))(?:\.(?:ascii|sac))?(?:\.gz|\.bz2)?"
)


class SyntheticsSource:
    """Reads SPECFEM3D seismograms, ASCII, binary and SAC, and places them in time and space."""

    name = "specfem"

    def matches(self, file: SourceFile) -> bool:
        return NAME.fullmatch(file.name) is not None

    def read(self, file: SourceFile, *, samples: bool, report: Report) -> list[Trace]:
        name = NAME.fullmatch(file.name)
        if name is None:
            raise FormatError("not the name of a SPECFEM seismogram (NET.STA.BXE.semd): rename it")
        run = Run.of(file)
        network, station, channel = named(name, run)
        content = unpack(file.content)
        if not content.strip():
            raise FormatError("empty file: the run was stopped before it wrote seismograms")
        place = None
        if content[:512].isascii() and b"\0" not in content[:512]:
            trace_id = f"{network}.{station}..{channel}"
            start, interval, data = two_columns(content, run, trace_id, report)
            start_ns = run.zero + round(start * 10**9)
        elif _is_true(run.parameters.get("USE_BINARY_FOR_SEISMOGRAMS", "")):
            data, interval = _binary(content, run)
            start_ns = run.zero + round(run.start * 10**9)
        else:
            trace, interval = _sac(content)
            header, data = trace.stats, trace.data.astype(np.float32)
            network, station = header.network or network, header.station or station
            place = site(trace) if "stla" in header.sac else None
            start_ns = header.starttime.ns
            if header.sac.get("nzyear", 1970) == 1970:
                start_ns = run.zero + round(fraction(str(header.sac.get("b", 0.0))) * 10**9)
        made = run.trace(
            (network, station, channel), QUANTITIES[name["kind"] or "d"], start_ns, interval, data,
            report, place=place, true_axes=name["kind"] is None,
        )  # fmt: skip
        made.data = made.data if samples else None
        return [made]


def named(name: re.Match[str], run: Run) -> tuple[str, str, str]:
    """Network, station and channel of a seismogram's name."""
    network, station, channel = name["network"], name["station"], name["channel"]
    if channel[0] == "S" and set(channel[1:]) <= set("ENZXY"):
        raise FormatError(f"strain {channel[1:]}, not ground motion: leave it out")
    if (network, station) not in run.stations and (station, network) in run.stations:
        network, station = station, network  # the order of older versions
    return network, station, channel


def two_columns(
    content: bytes, run: Run, trace: str, report: Report
) -> tuple[Fraction, Fraction, np.ndarray]:
    """Start (s), interval (s) and samples of lines with a time and a value."""
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
    nominal = run.interval
    start, interval, kept = time_axis(table[:, 0], nominal)
    if not kept:
        report(trace, f"time step {float(interval)} s, not {float(nominal or 0)} s as in Par_file")
    return start, interval, table[:, 1].astype(np.float32)


def _is_true(text: str) -> bool:
    return text.lower().lstrip(".").startswith("t")


def _binary(content: bytes, run: Run) -> tuple[np.ndarray, Fraction]:
    """Bare float32, as USE_BINARY_FOR_SEISMOGRAMS writes them."""
    if len(content) % 4:
        raise FormatError(f"{len(content)} bytes are no whole float32 numbers: copy it again")
    if run.interval is None:
        raise FormatError("no DT in the Par_file: its interval is unknown, mend it")
    data = np.frombuffer(content, "<f4").astype(np.float32)
    if not np.isfinite(data).all():
        raise FormatError("NaN or infinite values: the run blew up, use a smaller DT")
    return data, run.interval


def _sac(content: bytes) -> tuple[obspy.Trace, Fraction]:
    try:
        trace = read_obspy(content, "SAC", samples=True)[0][0]
    except Exception as error:
        reason = (
            "neither ASCII nor SAC; binary needs the Par_file of the run: put it into DATA/ beside "
            "OUTPUT_FILES"
        )
        raise FormatError(reason) from error
    if not trace.stats.sac.delta > 0:
        raise FormatError("no time step in the SAC header: copy it again")
    if not np.isfinite(trace.data).all():
        raise FormatError("NaN or infinite values: the run blew up, use a smaller DT")
    return trace, sac_interval(trace.stats.sac.delta)


SOURCE = SyntheticsSource()
