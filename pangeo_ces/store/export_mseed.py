"""Traces as miniSEED 2 and 3: Steim2 counts, plain floats, exact or said to be rounded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pymseed
from pymseed import DataEncoding, MS3Record

from ..sources.base import Trace, nominal_rate
from .pieces import Piece, folder, moment

_VERSIONS = {"R": 1, "D": 2, "Q": 3, "M": 4}
#: Steim2 holds differences of up to 30 bits.
_STEIM2 = 2**29
#: Longest codes of miniSEED 2.
_WIDTHS = {"network": 2, "station": 5, "location": 2, "channel": 3}


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
        for key, width in _WIDTHS.items():
            if len(code := getattr(trace, key)) > width:
                report(
                    trace.id,
                    f"rejected: {key} code {code!r} is longer than the {width} letters of "
                    "miniSEED 2: export as mseed3",
                )
                return None
    data, kind, encoding, remark = _samples(piece.samples())
    record = MS3Record(reclen=record_length, encoding=encoding)
    record.formatversion = version
    record.pubversion = _VERSIONS.get(trace.quality, _VERSIONS["D"])
    record.starttime = trace.start
    record.samprate = _rate(trace)
    try:
        record.sourceid = pymseed.nslc2sourceid(
            trace.network, trace.station, trace.location, trace.channel
        )
        records = list(record.generate(data, kind))
    except (pymseed.PymseedError, ValueError) as error:
        report(trace.id, f"rejected: its codes do not fit miniSEED {version} ({error})")
        return None
    for reason in (remark, _rounding(trace, records[0], version)):
        if reason:
            report(trace.id, reason)
    return b"".join(records)


def _samples(data: np.ndarray) -> tuple[np.ndarray, str, DataEncoding, str]:
    """Samples as the format has them: values, kind, encoding, and what it cannot say."""
    if data.dtype.kind == "f" and data.dtype.itemsize <= 4:
        return data.astype("float32"), "f", DataEncoding.FLOAT32, ""
    if data.dtype.kind == "f":
        return data.astype("float64"), "d", DataEncoding.FLOAT64, ""
    low, high = int(data.min()), int(data.max())
    if low < -(2**31) or high >= 2**31:
        # Stored whole numbers have at most 53 bits, so float64 is exact.
        remark = "counts beyond 32 bits: written, exactly, as float64"
        return data.astype("float64"), "d", DataEncoding.FLOAT64, remark
    fits = high - low < _STEIM2 or int(np.abs(np.diff(data.astype("int64"))).max()) < _STEIM2
    encoding = DataEncoding.STEIM2 if fits else DataEncoding.INT32
    return np.ascontiguousarray(data, "int32"), "i", encoding, ""


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
