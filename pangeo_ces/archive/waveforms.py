"""Replies of dataselect services: whole miniSEED records, told apart, weighed, not altered."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pymseed

from ..sources.salvage import plain, read_obspy

Codes = tuple[str, str, str, str]


class GarbledError(ValueError):
    """A reply that is not what was asked for; it may be better the next time."""


def by_channel(content: bytes, wanted: Iterable[Codes]) -> dict[Codes, bytes]:
    """The records of each channel, byte for byte and in the order in which they came.

    Raises
    ------
    GarbledError
        If anything in the reply is no whole miniSEED record, or there is nothing of what was
        asked for.
    """
    parts: dict[str, list[bytes]] = {}
    start = 0
    try:
        for record in pymseed.MS3Record.from_buffer(content):
            parts.setdefault(record.sourceid, []).append(content[start : start + record.reclen])
            start += record.reclen
    except (pymseed.PymseedError, ValueError) as error:
        raise GarbledError(f"{what(content)}: {str(error).splitlines()[0]}") from None
    found: dict[Codes, bytes] = {}
    for source, records in parts.items():
        codes = codes_of(source)
        if codes is not None:
            found[codes] = found.get(codes, b"") + b"".join(records)
    chosen = {codes: found[codes] for codes in wanted if codes in found}
    if not chosen:
        raise GarbledError(f"records of {sorted(parts)[:3]} only" if parts else "an empty reply")
    return chosen


def codes_of(source: str) -> Codes | None:
    """Network, station, location and channel of an FDSN source identifier; None for others.

    >>> codes_of("FDSN:NL_HGN_02_L_H_Z")
    ('NL', 'HGN', '02', 'LHZ')
    """
    try:
        network, station, location, channel = pymseed.sourceid2nslc(source)
    except (pymseed.PymseedError, ValueError):
        return None
    return network, station, location, channel


def what(content: bytes) -> str:
    """What a reply that is no miniSEED seems to be."""
    if re.match(rb"\s*<(!doctype html|html)", content[:200], re.IGNORECASE):
        return "an HTML page"
    return "damaged or cut short"


def fault(
    content: bytes, seconds: float, *, minimum_length: float, reject_gaps: bool
) -> str | None:
    """Why a channel's records are not wanted, judged as ObsPy's mass downloader does."""
    if not (minimum_length or reject_gaps):
        return None
    try:
        traces, _ = read_obspy(content, "MSEED", samples=False)
    except Exception as error:
        return f"cannot be read ({plain(error)})"
    if reject_gaps and len(traces) > 1:
        return f"{len(traces)} traces: gaps or overlaps"
    length = sum(trace.stats.endtime - trace.stats.starttime for trace in traces)
    if length < minimum_length * seconds:
        return f"{length:.1f} s long, less than {minimum_length:g} of {seconds:.1f} s"
    return None
