"""What a source is: bytes in, traces out.

A source knows one family of file formats.  It is a module-level object that follows the
:class:`Source` protocol and stands in :data:`pangeo_ces.sources.SOURCES`, or comes from another
package through the entry-point group ``pangeo_ces.sources``.
"""

from __future__ import annotations

import dataclasses
import math
import os
import posixpath
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Protocol, runtime_checkable

import numpy as np

from ..storage import file_system, open_url


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """What a waveform file itself says about where and how its sensor stood.

    Degrees and metres; ``nan`` where the file is silent.  ``depth`` is burial below
    ``elevation``; ``azimuth`` is clockwise from true north, ``dip`` down from horizontal.
    """

    latitude: float = math.nan
    longitude: float = math.nan
    elevation: float = math.nan
    depth: float = math.nan
    azimuth: float = math.nan
    dip: float = math.nan
    name: str = ""


class Lazy(Protocol):
    """Samples that are decoded when a slice of them is taken.

    :class:`~pangeo_ces.errors.DamageError` is raised where it turns out to be damaged: reading
    the file with ``piecewise=False`` then tells what is left of it.
    """

    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        """Memory that is held."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice) -> np.ndarray: ...


@dataclasses.dataclass(slots=True)
class Trace:
    """One contiguous run of samples of one channel, as a file holds it.

    Parameters
    ----------
    network, station, location, channel
        SEED codes, possibly empty.
    start
        Time of the first sample, integer nanoseconds since 1970-01-01 UTC.
    interval
        Exact sampling interval in seconds.
    samples
        Number of samples, also where ``data`` was not asked for.
    data
        One-dimensional, native byte order, in the dtype of the file; ``None`` when only
        headers were read.  :class:`Lazy` only where that was allowed.
    quantity
        ``counts``, ``displacement`` (m), ``velocity`` (m/s), ``acceleration`` (m/s²) or
        ``pressure`` (Pa): a source converts to SI, so that cm and gal end here.
    quality
        Data-quality letter of the format (miniSEED ``D R Q M``), or empty.
    site
        Coordinates and orientation from the file itself, where it has them.
    origin
        Origin time (ns) of the earthquake that a synthetic was computed for, where it is known.
    dtype
        What the samples have, or would have where only headers were read; ``None`` where those
        do not tell.
    """

    network: str
    station: str
    location: str
    channel: str
    start: int
    interval: Fraction
    samples: int
    data: np.ndarray | Lazy | None = None
    quantity: str = "counts"
    quality: str = ""
    site: Site = Site()
    origin: int | None = None
    dtype: np.dtype | None = None

    def __post_init__(self) -> None:
        if self.data is not None:
            self.dtype = self.data.dtype

    @property
    def id(self) -> str:
        """``NET.STA.LOC.CHA``, as ObsPy writes it."""
        return f"{self.network}.{self.station}.{self.location}.{self.channel}"

    @property
    def end(self) -> int:
        """Time of the last sample in nanoseconds (of the first where there is none)."""
        return self.start + round((max(self.samples, 1) - 1) * self.interval * 1_000_000_000)


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """One row of a report: what was wrong with a file or a trace of it."""

    file: str
    trace: str
    status: str  # "rejected": not converted; "warning": converted all the same
    reason: str


@dataclasses.dataclass
class SourceFile:
    """A file named by path or fsspec URL; its bytes are read when asked for, and once.

    Parameters
    ----------
    url
        Where the bytes are.
    called
        What the file is called, where its address does not tell.
    beside
        URLs of the files around it by what they are called, where their addresses do not tell.
    piecewise
        Whether samples may come as :class:`Lazy` ones, to be decoded where they are asked for.
    """

    url: str
    _content: bytes | None = dataclasses.field(default=None, repr=False)
    called: str = ""
    beside: Mapping[str, str] | None = dataclasses.field(default=None, repr=False)
    piecewise: bool = dataclasses.field(default=False, compare=False)

    @property
    def name(self) -> str:
        return posixpath.basename(self.called or self.url)

    @property
    def content(self) -> bytes:
        if self._content is None:
            with open_url(self.url) as stream:
                self._content = stream.read()
        return self._content

    def stamp(self) -> str:
        """What changes when a local file is written again; empty for others, which to ask would
        take longer than to compare their bytes."""
        if "://" in self.url:
            return ""
        facts = os.stat(self.url)
        return f"{facts.st_ino} {facts.st_mtime_ns} {facts.st_size}"

    def forget(self) -> None:
        """Drop the bytes; they are read again when asked for."""
        self._content = None

    def sibling(self, relative: str) -> SourceFile | None:
        """The file at ``relative`` from this one's folder, if it exists."""
        if self.beside is not None:
            called = posixpath.normpath(posixpath.join(posixpath.dirname(self.called), relative))
            known = self.beside.get(called)
            return SourceFile(known, None, called, self.beside) if known else None
        fs, path = file_system(self.url)
        other = posixpath.normpath(posixpath.join(posixpath.dirname(path), relative))
        if not fs.exists(other):
            return None
        return SourceFile(fs.unstrip_protocol(other))


@runtime_checkable
class Source(Protocol):
    """A reader for one family of formats."""

    name: str

    def matches(self, file: SourceFile) -> bool:
        """Whether this source should read the file, from its name and first bytes. Cheap."""
        ...

    def read(
        self, file: SourceFile, *, samples: bool, report: Callable[[str, str], None]
    ) -> list[Trace]:
        """All traces of a file.

        With ``samples=False`` headers suffice (``data`` may be ``None``).  What is wrong with a
        part of the file goes to ``report(trace_id, reason)`` and the rest is returned; the reason
        of a trace that is left out starts with ``rejected:``.  A file that cannot be read raises
        :class:`~pangeo_ces.errors.FormatError`.
        """
        ...


def exact_interval(sampling_rate: float, delta: float | None = None) -> Fraction:
    """The simplest exact sampling interval (s) that gives back the floats a header holds.

    A rate of 100.0 Hz is 1/100 s, 30.0 Hz is 1/30 s, and a ``delta`` of 0.126792654 s stays that
    decimal; a rate that is no short fraction is kept bit for bit.

    >>> exact_interval(30.0)
    Fraction(1, 30)
    >>> exact_interval(1 / 0.126792654, 0.126792654)
    Fraction(63396327, 500000000)
    """
    if not (math.isfinite(sampling_rate) and sampling_rate > 0):
        raise ValueError(f"sampling rate {sampling_rate} Hz is not a positive number")
    rates = [Fraction(sampling_rate).limit_denominator(limit) for limit in (1, 10**3)]
    intervals = [Fraction(repr(float(delta)))] if delta and len(repr(float(delta))) <= 14 else []
    if len(repr(float(sampling_rate))) <= 14:
        rates.append(Fraction(repr(float(sampling_rate))))
    for interval in [*(1 / rate for rate in rates if rate), *intervals]:
        if nominal_rate(interval) == sampling_rate:
            return interval
    return 1 / Fraction(sampling_rate)


def nominal_rate(interval: Fraction) -> float:
    """The sampling rate (Hz) as a header writes it: the inverse of :func:`exact_interval`.

    Some formats define the rate, some the interval; the shorter decimal tells which it was.
    """
    rate, delta = float(1 / interval), float(interval)
    return rate if len(repr(rate)) <= len(repr(delta)) else 1.0 / delta
