"""Readers of the documents of a SPECFEM run: CMTSOLUTION, STATIONS, Par_file and the log."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable
from fractions import Fraction

from ..errors import FormatError
from ..storage import file_system
from .archive import fraction, nanoseconds
from .base import Site, SourceFile

PLACES = ("../DATA/{}", "{}", "DATA/{}", "../{}")
_PDE = re.compile(
    r"\s*(?P<catalog>[A-Za-z]*)[\s-]*(?P<date>\d{4}(?:\s+\d+){4})\s+(?P<second>\d+\.?\d*)(?P<rest>.*)"
)


@dataclasses.dataclass(frozen=True, slots=True)
class PointSource:
    """One block of a CMTSOLUTION.

    ``origin`` is the time of its PDE line (ns since 1970), the centroid is ``time_shift`` seconds
    later; ``hypocenter`` and ``centroid`` are latitude, longitude (degrees) and depth (km);
    ``tensor`` is Mrr, Mtt, Mpp, Mrt, Mrp, Mtp in dyne cm.
    """

    catalog: str
    name: str
    region: str
    origin: int
    time_shift: Fraction
    half_duration: float
    hypocenter: tuple[float, float, float]
    centroid: tuple[float, float, float]
    tensor: tuple[float, ...]


def read_cmtsolution(content: bytes) -> list[PointSource]:
    """The point sources of a CMTSOLUTION, however SPECFEM or the Global CMT project wrote it."""
    lines = [line for line in content.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines or len(lines) % 13:
        reason = f"a CMTSOLUTION has 13 lines per source, this one has {len(lines)} lines: mend it"
        raise FormatError(reason)
    return [_point_source(lines[i : i + 13], i + 1) for i in range(0, len(lines), 13)]


def _point_source(lines: list[str], first: int) -> PointSource:
    line = first
    try:
        header = _PDE.fullmatch(lines[0])
        if header is None:
            raise ValueError("no origin time")
        year, month, day, hour, minute = map(int, header["date"].split())
        words = header["rest"].split()
        hypocenter = tuple(map(number, words[:3]))
        region = words[3:]
        while region and re.fullmatch(r"[\d.+-]+", region[0]):
            del region[0]
        values = [re.split(r":\s*", text, maxsplit=1)[-1].strip() for text in lines[1:]]
        numbers: list[float] = []
        for text in values[1:]:
            line = first + 2 + len(numbers)
            numbers.append(number(text.split()[0]))
        return PointSource(
            header["catalog"],
            values[0],
            " ".join(region),
            nanoseconds(year, month, day, hour, minute, header["second"]),
            fraction(values[1].split()[0]),
            numbers[1],
            (hypocenter[0], hypocenter[1], hypocenter[2]),
            (numbers[2], numbers[3], numbers[4]),
            tuple(numbers[5:]),
        )
    except (ValueError, IndexError) as error:
        reason = f"line {line} of the CMTSOLUTION is not understood ({error}): mend it"
        raise FormatError(reason) from error


def number(text: str) -> float:
    """A number as Fortran writes it: ``1.d23``."""
    try:
        return float(fraction(text))
    except OverflowError:
        raise FormatError(f"{text[:40]!r} is too large a number: mend it") from None


def read_stations(content: bytes) -> dict[tuple[str, str], Site]:
    """STATIONS by (network, station); the second of two equal names is ``AMT_02``, as SPECFEM
    calls its seismograms.  In a Cartesian run latitude and longitude are y and x in metres."""
    stations: dict[tuple[str, str], Site] = {}
    counts: dict[tuple[str, str], int] = {}
    for row, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            key = (words[1], words[0])
            latitude, longitude, elevation, burial = map(number, words[2:6])
        except (ValueError, IndexError) as error:
            reason = f"line {row} of STATIONS is not 'STA NET lat lon elevation burial': mend it"
            raise FormatError(reason) from error
        counts[key] = counts.get(key, 0) + 1
        suffix = f"_{counts[key]:02d}" if counts[key] > 1 else ""
        stations[key[0], key[1] + suffix] = Site(latitude, longitude, elevation, burial)
    return stations


def read_parameters(content: bytes) -> dict[str, str]:
    """``KEY = value`` lines of a Par_file, values as text."""
    lines = (line.partition("#")[0] for line in content.decode("utf-8", "replace").splitlines())
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def read_log(content: bytes) -> str:
    """The solver's ``output_solver.txt``."""
    return content.decode("latin-1")


@functools.lru_cache(maxsize=64)
def _parsed[Document](reader: Callable[[bytes], Document], url: str, _version: str) -> Document:
    return reader(SourceFile(url).content)


def beside[Document](
    file: SourceFile, name: str, reader: Callable[[bytes], Document]
) -> Document | None:
    """A document of the run a seismogram belongs to, or ``None``; parsed once per version."""
    for place in PLACES:
        if document := file.sibling(place.format(name)):
            fs, path = file_system(document.url)
            return _parsed(reader, document.url, fs.ukey(path))
    return None
