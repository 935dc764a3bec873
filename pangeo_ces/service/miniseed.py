"""Samples to miniSEED 2 records, and records found in the bytes of a file."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pymseed
from pymseed import DataEncoding, MS3Record

if TYPE_CHECKING:
    from .timeline import Codes

RECORD_BYTES = 512
_VERSIONS = {"R": 1, "D": 2, "Q": 3, "M": 4}
_LETTERS = {version: letter for letter, version in _VERSIONS.items()}
_HEADER = re.compile(rb"[0-9 \0]{6}[DRQM][ \0]|MS\x03")
#: Largest difference of neighbours that Steim 2 holds.
_STEIM2 = 2**29 - 1


def speakable(codes: Codes) -> bool:
    """Whether miniSEED 2 has room for the codes of a channel."""
    network, station, location, channel = codes
    return len(network) <= 2 and 1 <= len(station) <= 5 and len(location) <= 2 and len(channel) == 3


def encode(codes: Codes, start: int, rate: float, quality: str, samples: np.ndarray) -> bytes:
    """Samples without gap as miniSEED 2 records of 512 bytes, to be read back exactly.

    Parameters
    ----------
    codes
        Network, station, location, channel.
    start
        Time of the first sample, ns since 1970; miniSEED 2 keeps microseconds.
    rate
        Sampling rate, Hz.
    quality
        ``D``, ``R``, ``Q`` or ``M``; anything else counts as ``D``.
    samples
        (n,) int32 as Steim 2, or as it is where neighbours differ by more than 2²⁹; float32;
        anything else becomes float64.
    """
    kind, encoding = _encoding(samples)
    record = MS3Record(reclen=RECORD_BYTES, encoding=encoding)
    record.formatversion = 2
    record.sourceid = pymseed.nslc2sourceid(*codes)
    record.starttime = start
    record.samprate = rate
    record.pubversion = _VERSIONS.get(quality, 2)
    dtype = {"i": np.int32, "f": np.float32, "d": np.float64}[kind]
    return b"".join(record.generate(np.ascontiguousarray(samples, dtype), kind))


def _encoding(samples: np.ndarray) -> tuple[str, DataEncoding]:
    if samples.dtype == np.float32:
        return "f", DataEncoding.FLOAT32
    if samples.dtype != np.int32:
        return "d", DataEncoding.FLOAT64
    steps = np.diff(samples.astype(np.int64))
    if steps.size and max(-int(steps.min()), int(steps.max())) > _STEIM2:
        return "i", DataEncoding.INT32
    return "i", DataEncoding.STEIM2


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
