"""Records found in the bytes of a file, and what miniSEED 2 can say."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import pymseed
from pymseed import MS3Record

from ..sources.mseed_write import VERSIONS, WIDTHS

if TYPE_CHECKING:
    from .timeline import Codes

_LETTERS = {version: letter for letter, version in VERSIONS.items()}
_HEADER = re.compile(rb"[0-9 \0]{6}[DRQM][ \0]|MS\x03")


def speakable(codes: Codes) -> bool:
    """Whether miniSEED 2 has room for the codes of a channel."""
    fit = all(len(code) <= width for code, width in zip(codes, WIDTHS.values(), strict=True))
    return fit and len(codes[1]) >= 1 and len(codes[3]) == WIDTHS["channel"]


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """The header of a record and where it lies; times in ns since 1970."""

    offset: int
    length: int
    codes: Codes
    start: int
    end: int
    step: float
    quality: str


def scan(content: bytes) -> Iterator[Record]:
    """Headers of the records of a file that hold samples; what is no record is passed over."""
    offset, view = 0, memoryview(content)
    while match := _HEADER.search(content, offset):
        offset = match.start()
        try:
            for header in MS3Record.from_buffer(view[offset:]):
                record = _record(header, offset)
                if record is not None:
                    yield record
                offset += header.reclen
        except pymseed.MiniSEEDError:
            offset += 1
        else:
            return


def read_header(content: bytes, offset: int, length: int) -> Record:
    """The record that :func:`scan` found at a place."""
    record = _record(MS3Record.parse(memoryview(content)[offset : offset + length]), offset)
    assert record is not None
    return record


def _record(header: MS3Record, offset: int) -> Record | None:
    """What is needed of a header; None where there are no samples or no usable codes."""
    try:
        codes = _codes(header.sourceid)
    except ValueError:  # no text, or no four codes
        return None
    if header.samplecnt < 1 or not header.samprate > 0:
        return None
    return Record(
        offset, header.reclen, codes, header.starttime, header.endtime, 1e9 / header.samprate,
        _LETTERS.get(header.pubversion, ""),
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _codes(sourceid: str) -> Codes:
    return pymseed.sourceid2nslc(sourceid)
