"""What archives and data centres hand out beside miniSEED: what ObsPy reads from bytes.

ObsPy's sniffers are asked for the formats below only.  Its ``PICKLE`` plug-in would run code found
in a file; ``Q`` and ``CSS`` need a second file; ``SEGY``, ``SU``, ``SEG2`` and ``WAV`` carry no
station code.
"""

from __future__ import annotations

import bz2
import contextlib
import datetime
import functools
import io
import math
import re
import time
import zlib
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import obspy
from obspy.core.util.base import ENTRY_POINTS
from obspy.core.util.misc import buffered_load_entry_point

from ..errors import FormatError
from ..storage import open_url
from .base import Site, SourceFile, Trace, exact_interval
from .salvage import Report, plain, read_obspy

FORMATS = (
    "SAC", "GSE2", "GSE1", "SLIST", "TSPAIR", "SH_ASC", "AH", "GCF",
    "KINEMETRICS_EVT", "REFTEK130", "SACXY",
)  # fmt: skip
#: Files so called are waveforms to their owner: what cannot be read is rejected, not ignored.
SUFFIXES = (".sac", ".gse", ".gse2")
HEAD = 1 << 15
EARLIEST = -2_208_988_800 * 10**9  # 1900-01-01
LATEST = 2**63  # nanoseconds since 1970 fit into 64 bits until 2262

#: How ObsPy's warnings read in a report; an empty reason is left out.
_REASONS = (
    (r"Sample spacing read from SAC", ""),
    (r"No channel code specified", "no channel code in the file: stream and channel numbers used"),
    (r"Unmatched raw value", ""),
    (r"No event trailer", "no event trailer: the file may be truncated"),
    (r"Calibration factor set to 0", "calibration factor is zero"),
)


def unpack(content: bytes) -> bytes:
    """Bytes of a file, with gzip or bzip2 undone where its first bytes (not its name) say so."""
    try:
        if content[:2] == b"\x1f\x8b":
            parts = []
            while content[:2] == b"\x1f\x8b":
                stream = zlib.decompressobj(wbits=31)
                parts.append(stream.decompress(content))
                if not stream.eof:
                    raise EOFError
                content = stream.unused_data
            return b"".join(parts)
        return bz2.decompress(content) if content[:3] == b"BZh" else content
    except (EOFError, ValueError, OSError, zlib.error) as error:
        reason = "compressed data are damaged or end too early: copy the file again"
        raise FormatError(reason) from error


def peek(file: SourceFile) -> bytes:
    """The first bytes of a file, uncompressed as far as they go; no more is transferred."""
    if file._content is not None:
        raw = file._content[:HEAD]
    else:
        with open_url(file.url) as stream:
            raw = stream.read(HEAD)
    try:
        if raw[:2] == b"\x1f\x8b":
            return zlib.decompressobj(wbits=31).decompress(raw, HEAD)
        if raw[:3] == b"BZh":  # a block of up to 900 kB comes out whole or not at all
            return bz2.BZ2Decompressor().decompress(raw, HEAD) or unpack(file.content)[:HEAD]
    except (ValueError, OSError, zlib.error, FormatError):
        return raw
    return raw


def fraction(text: str) -> Fraction:
    """An exact number from decimal text, also with Fortran's ``1.d3``."""
    if not re.fullmatch(r"[+-]?(\d{1,30}\.?\d{0,30}|\.\d{1,30})([eEdD][+-]?\d{1,3})?", text):
        raise FormatError(f"{text[:40]!r} is not a number: mend it")
    mantissa, _, exponent = re.sub("[eEdD]", "e", text).partition("e")
    return Fraction(mantissa.removesuffix(".")) * Fraction(10) ** int(exponent or 0)


def nanoseconds(year: int, month: int, day: int, hour: int, minute: int, second: str) -> int:
    """UTC as integer nanoseconds since 1970; seconds are decimal text, taken exactly."""
    whole = datetime.datetime(year, month, day, hour, minute) - datetime.datetime(1970, 1, 1)
    return int(whole.total_seconds()) * 10**9 + round(fraction(second or "0") * 10**9)


def describe(head: bytes) -> str:
    """Why no source reads a file with these first bytes, in a few words, and what to do."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:200]
    if not head:
        return "empty file: copy it again"
    if re.match(rb"<!doctype html|<html", text, re.IGNORECASE):
        return "an HTML page (a server's error message?), not a waveform: download it again"
    if text[:1] == b"<":
        return "XML, not a waveform: give it as stations or events"
    if head[:4] == b"PK\x03\x04" or head[257:262] == b"ustar":
        return "an archive of files: unpack it first"
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return "HDF5, but no ASDF and no seismograms of SPECFEM: export them as miniSEED"
    if head[6:7] in (b"V", b"A", b"S") and head[:6].isdigit():
        return "SEED without waveforms (dataless): give it as stations"
    sample = head[:1000]
    if sum(byte in b"\t\n\r" or 32 <= byte < 127 for byte in sample) >= 0.97 * len(sample):
        start = " ".join(text[:60].decode("ascii", "replace").split())
        return f"text that starts with {start!r}, not a known waveform format: leave it out"
    return f"unknown format (first bytes {head[:8].hex(' ')}): leave it out, or convert to miniSEED"


@functools.cache
def _sniffers() -> tuple[tuple[str, Callable], ...]:
    plugin = "obspy.plugin.waveform"
    points = ENTRY_POINTS["waveform"]
    return tuple(
        (name, buffered_load_entry_point(points[name].dist.name, f"{plugin}.{name}", "isFormat"))
        for name in FORMATS
    )


def recognise(content: bytes) -> str | None:
    """The format ObsPy should read this as; its sniffers fail in many ways on foreign bytes."""
    if content[:4] in (b"P\0\0\0", b"\0\0\0P", b"KP\0\0") and b" " in content[4:84]:
        return "SEISAN"  # ObsPy recognises it by name of a local file only
    for name, claims in _sniffers():
        claimed = False
        with contextlib.suppress(Exception):
            claimed = claims(io.BytesIO(content))
        if claimed and not (name == "SACXY" and not _is_alphanumeric_sac(content)):
            return name
    return None


def _is_alphanumeric_sac(content: bytes) -> bool:
    lines = content[:2000].splitlines()[:14]
    return len(lines) == 14 and all(re.fullmatch(rb"[\d\s.+\-eE]{65,85}", x) for x in lines)


class ArchiveSource:
    """Reads SAC, GSE, SEISAN, AH, GCF and more, through ObsPy."""

    name = "archive"

    def matches(self, file: SourceFile) -> bool:
        stem = file.name.lower().removesuffix(".gz").removesuffix(".bz2")
        return stem.endswith(SUFFIXES) or recognise(peek(file)) is not None

    def read(self, file: SourceFile, *, samples: bool, report: Report) -> list[Trace]:
        content = unpack(file.content)
        form = recognise(content)
        if form is None:
            raise FormatError(describe(content))
        try:
            found, messages = read_obspy(content, form, samples)
        except Exception as error:
            raise FormatError(f"damaged {form} file ({plain(error)}): copy it again") from error
        for message in filter(None, map(_reason, messages)):
            report("", message)
        traces = []
        for trace in found:
            problem = unusable(trace)
            if problem:
                report(trace.id, f"rejected: {problem}")
            else:
                traces.append(_trace(trace, samples))
                remark(traces[-1], report)
        if not found:
            raise FormatError(f"no trace in this {form} file can be read: copy it again")
        return traces


def _reason(message: str) -> str:
    for pattern, reason in _REASONS:
        if match := re.search(pattern, message):
            return match.expand(reason)
    return " ".join(message.split())[:200]


def unusable(trace: obspy.Trace) -> str:
    """Why a trace of ObsPy cannot become a time series, or an empty string."""
    stats = trace.stats
    kind = trace.data.dtype.kind if len(trace.data) else ""
    if kind not in ("", "i", "u", "f"):
        return "text (a log record), not samples"
    if stats.npts < 1:
        return "no samples"
    if not (math.isfinite(stats.sampling_rate) and stats.sampling_rate > 0):
        return f"sampling rate is {stats.sampling_rate} Hz"
    if not stats.station.strip():
        return "no station code in the header"
    start = stats.starttime.ns
    if not EARLIEST <= start <= start + stats.npts / stats.sampling_rate * 1e9 < LATEST:
        return "outside the years 1900 to 2262: the clock or the header is wrong"
    return ""


def remark(trace: Trace, report: Report) -> None:
    """Report what is doubtful about a trace and kept all the same."""
    data = trace.data
    if isinstance(data, np.ndarray) and data.dtype.kind == "f":
        bad = data.size - np.count_nonzero(np.isfinite(data))
        if bad:
            report(trace.id, f"{bad} of {data.size} samples are NaN or infinite: kept")
    if not 0 <= trace.start < time.time_ns() + 86_400 * 10**9:
        day = str(np.datetime64(trace.start, "ns"))[:10]
        report(trace.id, f"starts on {day}: was the clock right?")


def _trace(trace: obspy.Trace, samples: bool) -> Trace:
    stats = trace.stats
    network, station, location, channel = (
        str(stats[key]).strip() for key in ("network", "station", "location", "channel")
    )
    data = None
    if samples:
        data = np.ascontiguousarray(trace.data, dtype=trace.data.dtype.newbyteorder("="))
    start = stats.starttime.ns
    delta = stats.sac.delta if "sac" in stats else stats.delta
    if np.float32(delta) == delta:  # a single-precision header, as SAC and AH have
        interval = sac_interval(np.float32(delta))
    else:
        interval = exact_interval(stats.sampling_rate, stats.delta)
    size = stats.npts if data is None else data.size
    return Trace(network, station, location, channel, start, interval, size, data,
                 site=site(trace))  # fmt: skip


def sac_interval(delta: np.float32) -> Fraction:
    """The sampling interval (s) a single-precision SAC header stands for.

    >>> sac_interval(np.float32(1 / 30)), sac_interval(np.float32(0.12679265))
    (Fraction(1, 30), Fraction(2535853, 20000000))
    """
    ulp = float(np.spacing(delta))
    for simple in (1 / Fraction(max(round(1 / float(delta)), 1)), Fraction(f"{delta:.6f}")):
        if abs(float(simple) - float(delta)) <= ulp:
            return simple
    return Fraction(str(delta))


def site(trace: obspy.Trace) -> Site:
    """Place and orientation from SAC headers; all unknown for other formats."""
    if "sac" in trace.stats:
        sac = trace.stats.sac
        keys = ("stla", "stlo", "stel", "stdp", "cmpaz", "cmpinc")
        latitude, longitude, elevation, depth, azimuth, incidence = (
            float(sac.get(key, math.nan)) for key in keys
        )
        return Site(latitude, longitude, elevation, depth, azimuth, incidence - 90.0)
    return Site()


SOURCE = ArchiveSource()
