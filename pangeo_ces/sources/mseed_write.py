"""Samples as miniSEED records, to be read back exactly."""

from __future__ import annotations

import numpy as np
import pymseed
from pymseed import DataEncoding, MS3Record

#: Publication versions of miniSEED 3 by the quality letters of miniSEED 2.
VERSIONS = {"R": 1, "D": 2, "Q": 3, "M": 4}
#: Longest codes of miniSEED 2.
WIDTHS = {"network": 2, "station": 5, "location": 2, "channel": 3}
#: Steim 2 holds differences of less than this.
_STEIM2 = 2**29


def records(
    codes: tuple[str, str, str, str],
    start: int,
    rate: float,
    quality: str,
    samples: np.ndarray,
    *,
    version: int = 2,
    record_length: int = 512,
) -> list[bytes]:
    """Samples without gap as records.

    Parameters
    ----------
    codes
        Network, station, location, channel.
    start
        Time of the first sample, ns since 1970; miniSEED 2 keeps microseconds.
    rate
        Sampling rate in Hz, or minus the interval in s.
    quality
        ``D``, ``R``, ``Q`` or ``M``; anything else counts as ``D``.
    samples
        (n,) whole numbers as Steim 2, as they are where neighbours differ by 2²⁹ or more, or as
        float64 beyond 32 bits; float32 and shorter; anything else as float64.
    version
        2 or 3.
    record_length
        In bytes.

    Raises
    ------
    pymseed.PymseedError, ValueError
        When the codes do not fit the format.
    """
    values, kind, encoding = encoded(samples)
    record = MS3Record(reclen=record_length, encoding=encoding)
    record.formatversion = version
    record.pubversion = VERSIONS.get(quality, VERSIONS["D"])
    record.starttime = start
    record.samprate = rate
    record.sourceid = pymseed.nslc2sourceid(*codes)
    return list(record.generate(values, kind))


def encoded(samples: np.ndarray) -> tuple[np.ndarray, str, DataEncoding]:
    """Samples as the format has them, their kind in it, and how it writes them."""
    if samples.dtype.kind == "f" and samples.dtype.itemsize <= 4:
        return np.ascontiguousarray(samples, "float32"), "f", DataEncoding.FLOAT32
    if samples.dtype.kind == "f" or not samples.size:
        return np.ascontiguousarray(samples, "float64"), "d", DataEncoding.FLOAT64
    low, high = int(samples.min()), int(samples.max())
    if low < -(2**31) or high >= 2**31:  # stored whole numbers have 53 bits: float64 is exact
        return np.ascontiguousarray(samples, "float64"), "d", DataEncoding.FLOAT64
    steps = 0 if high - low < _STEIM2 else int(np.abs(np.diff(samples.astype("int64"))).max())
    encoding = DataEncoding.STEIM2 if steps < _STEIM2 else DataEncoding.INT32
    return np.ascontiguousarray(samples, "int32"), "i", encoding
