"""Traces as miniSEED 2 and 3: Steim2 counts, plain floats, exact or said to be rounded."""

from __future__ import annotations

from collections.abc import Callable

import pymseed
from pymseed import MS3Record

from ..sources.base import Trace, nominal_rate
from ..sources.mseed_write import WIDTHS, encoded, records
from .pieces import Piece, folder, moment


def name(piece: Piece, path: str) -> str:
    """Event windows: ``EVENT/NET.STA.LOC.CHA.mseed``; continuous data: SDS."""
    trace = piece.header
    if piece.stored.event is not None:
        return f"{folder(piece, path)}/{trace.id}.mseed"
    return f"{folder(piece, path)}/{trace.id}.D.{moment(trace.start, '%Y.%j')}"


def encode(
    piece: Piece, report: Callable[[str, str], None], *, version: int, record_length: int
) -> bytes | None:
    """The records of a piece, or ``None`` (and a reason) where the format has no room for it."""
    trace = piece.header
    if version == 2:
        for key, width in WIDTHS.items():
            if len(code := getattr(trace, key)) > width:
                report(
                    trace.id,
                    f"rejected: {key} code {code!r} is longer than the {width} letters of "
                    "miniSEED 2: export as mseed3",
                )
                return None
    samples = piece.samples()
    codes = trace.network, trace.station, trace.location, trace.channel
    try:
        written = records(
            codes, trace.start, _rate(trace), trace.quality, samples,
            version=version, record_length=record_length,
        )  # fmt: skip
    except (pymseed.PymseedError, ValueError) as error:
        report(trace.id, f"rejected: its codes do not fit miniSEED {version} ({error})")
        return None
    if samples.dtype.kind in "iu" and encoded(samples)[1] == "d":
        report(trace.id, "counts beyond 32 bits: written, exactly, as float64")
    if reason := _rounding(trace, written[0], version):
        report(trace.id, reason)
    return b"".join(written)


def _rate(trace: Trace) -> float:
    """Rate (Hz), or minus the interval (s) where that is the shorter decimal."""
    rate, delta = float(1 / trace.interval), float(trace.interval)
    return rate if len(repr(rate)) <= len(repr(delta)) else -delta


def _rounding(trace: Trace, record: bytes, version: int) -> str:
    """What the written header says otherwise than the store."""
    written = MS3Record.parse(record)
    reasons = []
    if written.starttime != trace.start:
        reasons.append(f"its start by {written.starttime - trace.start} ns")
    if written.samprate != nominal_rate(trace.interval):
        reasons.append(f"its rate of {nominal_rate(trace.interval)} Hz to {written.samprate} Hz")
    better = ": export as mseed3 to keep it" if version == 2 else ""
    return f"miniSEED {version} rounds {' and '.join(reasons)}{better}" if reasons else ""
