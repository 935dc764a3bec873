"""A SPECFEM run as its seismograms need it: their time and place, from the documents around."""

from __future__ import annotations

import dataclasses
import math
import re
from fractions import Fraction
from typing import Self

import numpy as np

from ..errors import FormatError
from .archive import fraction
from .base import Site, SourceFile, Trace
from .salvage import Report
from .specfem import (
    PLACES,
    PointSource,
    beside,
    number,
    read_cmtsolution,
    read_log,
    read_parameters,
    read_stations,
)  # fmt: skip

QUANTITIES = {"d": "displacement", "v": "velocity", "a": "acceleration", "p": "pressure"}
_AXES = {"E": (90.0, 0.0), "X": (90.0, 0.0), "N": (0.0, 0.0), "Y": (0.0, 0.0), "Z": (0.0, -90.0)}
#: Band letter by time step (s): the first that the step exceeds.
BANDS = (("L", Fraction(1)), ("M", Fraction(1, 10)), ("B", Fraction(1, 80)),
          ("H", Fraction(1, 250)), ("C", Fraction(1, 1000)), ("F", Fraction(0)))  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Run:
    """Par_file, STATIONS, CMTSOLUTION and log of the run that a file belongs to."""

    file: SourceFile
    parameters: dict[str, str]
    stations: dict[tuple[str, str], Site]
    sources: list[PointSource]
    log: str

    @classmethod
    def of(cls, file: SourceFile) -> Self:
        """The run around a file; what is not there is empty."""
        return cls(
            file,
            beside(file, "Par_file", read_parameters) or {},
            beside(file, "STATIONS", read_stations) or {},
            beside(file, "CMTSOLUTION", read_cmtsolution) or [],
            beside(file, "output_solver.txt", read_log) or "",
        )

    @property
    def every(self) -> int:
        """Time steps from one sample to the next."""
        return max(int(number(self.parameters.get("NTSTEP_BETWEEN_OUTPUT_SAMPLE", "1"))), 1)

    @property
    def interval(self) -> Fraction | None:
        """Sampling interval (s) as the Par_file promises it."""
        if "DT" not in self.parameters:
            return None
        return fraction(self.parameters["DT"]) * self.every

    @property
    def samples(self) -> int:
        """Samples of a seismogram of the whole run; 0 if unknown."""
        return -(-int(number(self.parameters.get("NSTEP", "0"))) // self.every)

    @property
    def cartesian(self) -> bool:
        """Whether coordinates are metres, and axes x and y."""
        text = self.parameters.get("SUPPRESS_UTM_PROJECTION", "")
        return text.lower().lstrip(".").startswith("t")

    @property
    def zero(self) -> int:
        """The time SPECFEM calls zero, in ns since 1970: of the first of its sources to break."""
        if self.sources:
            return self.sources[0].origin + round(min(s.time_shift for s in self.sources) * 10**9)
        if any(self.file.sibling(place.format("FORCESOLUTION")) for place in PLACES):
            reason = "a FORCESOLUTION has no origin time: put a CMTSOLUTION with one beside it"
            raise FormatError(reason)
        reason = (
            "absolute time unknown: put the CMTSOLUTION of the run into DATA/ beside OUTPUT_FILES"
        )
        raise FormatError(reason)

    @property
    def start(self) -> Fraction:
        """Time (s) of the first sample after :attr:`zero`, for formats that do not hold it.

        From the solver's log; without one, by SPECFEM's rule for moment-tensor sources: twice the
        half duration, at least five steps, before the first source.
        """
        if stated := re.search(r"^\s*start time:\s*(\S+)", self.log, re.MULTILINE):
            half = float(np.spacing(np.abs(np.float32(stated[1])))) / 2
            return shortest_decimal(float(stated[1]) - half, float(stated[1]) + half)
        if not self.sources or "DT" not in self.parameters:
            raise FormatError(
                "start time unknown: put output_solver.txt beside it, or Par_file and CMTSOLUTION "
                "of the run into DATA/"
            )
        least = 5 * fraction(self.parameters["DT"])
        first = min(source.time_shift for source in self.sources)
        return -2 * max(
            max(Fraction(str(source.half_duration)), least) - (source.time_shift - first)
            for source in self.sources
        )

    def channel(self, axis: str) -> str:
        """Channel code of ``x``, ``y`` or ``z``, as SPECFEM names its own files."""
        step = fraction(self.parameters["DT"]) if "DT" in self.parameters else Fraction(1, 20)
        band = next(letter for letter, limit in BANDS if step > limit or step == limit == 1)
        axes = {"x": "X", "y": "Y", "z": "Z"} if self.cartesian else {"x": "E", "y": "N", "z": "Z"}
        return f"{band}X{axes[axis]}"

    def trace(
        self,
        codes: tuple[str, str, str],
        quantity: str,
        start: int,
        interval: Fraction,
        data: np.ndarray,
        report: Report,
        *,
        place: Site | None = None,
        true_axes: bool = False,
    ) -> Trace:
        """A seismogram, placed; what is doubtful about it is reported.

        Parameters
        ----------
        codes
            Network, station and channel.
        quantity
            What it shows, in SI units.
        start
            Time of its first sample, ns since 1970.
        place
            Where the station is, if STATIONS does not say.
        true_axes
            Whether horizontal axes point true north and east, not along a UTM grid.
        """
        network, station, channel = codes
        place = self.stations.get((network, station), place)
        short = f"{data.size} of {self.samples} samples: the run was stopped early"
        unplaced = self._unplaced(place, true_axes)
        for remark in (short if data.size < self.samples else "", unplaced):
            if remark:
                report(f"{network}.{station}..{channel}", remark)
        return Trace(
            network, station, "", channel, start, interval, data.size, data, quantity, "",
            self._oriented(place, channel, true_axes),
            self.sources[0].origin if self.sources else None,
        )  # fmt: skip

    def _unplaced(self, place: Site | None, true_axes: bool) -> str:
        if place is None:
            return "station is not in STATIONS: coordinates unknown"
        if self.cartesian:
            return "coordinates are Cartesian metres: not kept as latitude and longitude"
        if not true_axes and not self.parameters:
            return "no Par_file beside it: axes taken as true east and north"
        return ""

    def _oriented(self, place: Site | None, channel: str, true_axes: bool) -> Site:
        """The place, with the true orientation of an axis of the grid of a Cartesian run."""
        azimuth, dip = _AXES.get(channel[-1], (math.nan, math.nan))
        place = place or Site()
        if self.cartesian:
            place = dataclasses.replace(place, latitude=math.nan, longitude=math.nan)
        elif not true_axes and channel[-1] in "ENXY" and "UTM_PROJECTION_ZONE" in self.parameters:
            meridian = 6 * abs(int(number(self.parameters["UTM_PROJECTION_ZONE"]))) - 183
            east = math.radians(place.longitude - meridian)
            grid = math.atan(math.tan(east) * math.sin(math.radians(place.latitude)))
            azimuth = (azimuth + math.degrees(grid)) % 360.0
        return dataclasses.replace(place, azimuth=azimuth, dip=dip)


def shortest_decimal(low: float, high: float) -> Fraction:
    """The decimal number with the fewest digits in an interval.

    >>> shortest_decimal(0.12679264, 0.12679266)
    Fraction(2535853, 20000000)
    """
    for digits in range(20):
        scale = 10**digits
        middle = Fraction(round((Fraction(low) + Fraction(high)) / 2 * scale), scale)
        if low <= middle <= high:
            return middle
    return Fraction(low)


def time_axis(column: np.ndarray, nominal: Fraction | None) -> tuple[Fraction, Fraction, bool]:
    """Exact start and interval (s) behind a single-precision time column.

    ``nominal`` is the interval the Par_file promises; the flag tells whether the column keeps it.
    """
    half = float(np.spacing(np.abs(np.float32(column[0])))) / 2
    start = shortest_decimal(column[0] - half, column[0] + half)
    if column.size < 2:
        if nominal is None:
            raise FormatError("a single sample and no Par_file: its interval is unknown")
        return start, nominal, True
    if np.abs(column).max() > 1e9:
        raise FormatError("times beyond 1e9 s: copy the file again")
    steps = np.arange(1, column.size)
    slack = np.spacing(np.abs(column).max().astype(np.float32)).astype(float)
    elapsed = column[1:] - float(start)
    low, high = ((elapsed - slack) / steps).max(), ((elapsed + slack) / steps).min()
    if nominal is not None and low <= nominal <= high:
        return start, nominal, True
    jump = np.diff(column)
    if low > high or low <= 0:
        line = int(np.argmax(np.abs(jump - np.median(jump)))) + 2
        raise FormatError(f"times are not evenly spaced at line {line}: run the simulation again")
    return start, shortest_decimal(low, high), nominal is None
