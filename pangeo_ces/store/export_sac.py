"""Traces as SAC files: single precision, one trace a file, station and event in the header."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import obspy
from obspy.geodetics import gps2dist_azimuth, kilometers2degrees
from obspy.io.sac import SACTrace

from ..conventions import FLOAT32_EXACT
from ..sources.base import Trace
from ..timeaxis import NANO
from .events import Event
from .pieces import Piece, folder, moment

_KINDS = {"displacement": "idisp", "velocity": "ivel", "acceleration": "iacc"}
#: Characters that fit the header.
_WIDTHS = {"network": 8, "station": 8, "location": 8, "channel": 8}


def name(piece: Piece, path: str) -> str:
    """``NET.STA.LOC.CHA.D.YEAR.DAY.HHMMSS.SAC`` in the folder of the event or day."""
    trace = piece.header
    start = moment(trace.start, "%Y.%j.%H%M%S")
    return f"{folder(piece, path)}/{trace.id}.{trace.quality or 'D'}.{start}.SAC"


def encode(piece: Piece, report: Callable[[str, str], None]) -> bytes | None:
    """A SAC file, or ``None`` (and a reason) where single precision cannot hold its counts."""
    trace, data = piece.header, piece.samples()
    for key, width in _WIDTHS.items():
        if len(code := getattr(trace, key)) > width:
            report(trace.id, f"rejected: {key} code {code!r} is longer than {width} letters: "
                             "export as mseed3")  # fmt: skip
            return None
    if data.dtype.kind in "iu" and max(-int(data.min()), int(data.max())) > FLOAT32_EXACT:
        report(
            trace.id,
            "rejected: counts above 2^24 are not exact in SAC's single precision: export as mseed",
        )
        return None
    if data.dtype.itemsize > 4 and data.dtype.kind == "f":
        report(trace.id, "float64 samples are rounded to SAC's single precision")
    # The reference time has milliseconds; what is left of the start goes into b.
    reference = trace.start // 10**6 * 10**6
    header = {
        "kstnm": trace.station, "knetwk": trace.network, "khole": trace.location,
        "kcmpnm": trace.channel, "delta": float(trace.interval),
        "b": (trace.start - reference) / NANO, "idep": _KINDS.get(trace.quantity, "iunkn"),
        **_place(trace), **(_event(trace, piece.stored.event, reference)),
    }  # fmt: skip
    header = {key: value for key, value in header.items() if value not in ("", None)}
    clock = obspy.UTCDateTime(ns=reference)
    made = SACTrace(
        data=data.astype("float32"), lcalda=False, nzyear=clock.year, nzjday=clock.julday,
        nzhour=clock.hour, nzmin=clock.minute, nzsec=clock.second,
        nzmsec=clock.microsecond // 1000, **header,
    )  # fmt: skip
    stream = io.BytesIO()
    made.write(stream)
    return stream.getvalue()


def _place(trace: Trace) -> dict[str, float | None]:
    site = trace.site
    return {
        "stla": _known(site.latitude), "stlo": _known(site.longitude),
        "stel": _known(site.elevation), "stdp": _known(site.depth),
        "cmpaz": _known(site.azimuth), "cmpinc": _known(site.dip + 90.0),
    }  # fmt: skip


def _event(trace: Trace, event: Event | None, reference: int) -> dict[str, Any]:
    """Hypocentre, origin time after the reference, and the path from the one to the other."""
    if event is None:
        return {}
    header: dict[str, Any] = {
        "o": (event.time - reference) / NANO, "evla": event.latitude, "evlo": event.longitude,
        "evdp": _known(event.depth / 1000.0), "mag": _known(event.magnitude),
        "kevnm": event.name.encode("ascii", "replace").decode()[:16],
    }  # fmt: skip
    if math.isfinite(trace.site.latitude) and math.isfinite(trace.site.longitude):
        distance, azimuth, back_azimuth = gps2dist_azimuth(
            event.latitude, event.longitude, trace.site.latitude, trace.site.longitude
        )
        header |= {"dist": distance / 1000.0, "az": azimuth, "baz": back_azimuth,
                   "gcarc": kilometers2degrees(distance / 1000.0)}  # fmt: skip
    return header


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
