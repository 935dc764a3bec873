"""K-NET and KiK-net: one component a file, counts with a scale factor to gal, Japanese time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from ..errors import FormatError
from .archive import nanoseconds
from .base import Site, SourceFile, Trace
from .salvage import Report

#: What the first bytes of a file are.
MARK = b"Origin Time"
_HEADER_LINES = 17
#: The recorder adds the 15 s of its memory before the trigger to the record time (ns).
_DELAY = 15 * 10**9
_JAPAN = 9 * 3600 * 10**9
_AXES = {"N-S": "N", "E-W": "E", "U-D": "Z"}
_ORIENTATIONS = {"N": (0.0, 0.0), "E": (90.0, 0.0), "Z": (0.0, -90.0)}


def read_knet(file: SourceFile, lines: list[str], report: Report) -> Iterator[Trace]:
    """One component, as acceleration: network ``BO``, channels ``HNN``, ``HNE`` and ``HNZ``.

    KiK-net has two sensors, and numbers their components 1 to 6 (files ``.NS1`` to ``.UD2``): the
    one in the borehole gets location ``01``, the one at the surface ``02``.
    """
    # Names fill the first 18 columns, and some hold blanks and brackets.
    header = {line[:18].strip(): line[18:].strip() for line in lines[:_HEADER_LINES]}
    when = re.fullmatch(r"(\d+)/(\d+)/(\d+) (\d+):(\d+):(\d+\.?\d*)", header["Record Time"])
    rate = re.fullmatch(r"(\d+)\s*Hz", header["Sampling Freq(Hz)"])
    scale = re.fullmatch(r"(\d+\.?\d*)\(gal\)/(\d+\.?\d*)", header["Scale Factor"])
    if not (when and rate and scale):
        raise FormatError("record time, rate or scale factor not understood: copy the file again")
    year, month, day, hour, minute = map(int, when.groups()[:5])
    clock = nanoseconds(year, month, day, hour, minute, when[6])
    letter, location = _component(header["Dir."])
    counts = np.array(" ".join(lines[_HEADER_LINES:]).split(), dtype=np.float64)
    expected = round(float(header["Duration Time(s)"]) * int(rate[1]))
    if counts.size < expected:
        report("", f"{counts.size} samples, not the {expected} announced: the file is cut short")
    azimuth, dip = _ORIENTATIONS[letter]
    site = Site(
        float(header["Station Lat."]), float(header["Station Long."]),
        float(header["Station Height(m)"]), azimuth=azimuth, dip=dip,
    )  # fmt: skip
    yield Trace(
        "BO", header["Station Code"], location, f"HN{letter}", clock - _DELAY - _JAPAN,
        Fraction(1, int(rate[1])), counts.size,
        counts * float(scale[1]) / float(scale[2]) / 100.0, "acceleration", "", site,
    )  # fmt: skip


def _component(text: str) -> tuple[str, str]:
    """Last letter of the channel, and location, of ``N-S`` or KiK-net's number 1 to 6."""
    if text in _AXES:
        return _AXES[text], ""
    if re.fullmatch("[1-6]", text):
        sensor, axis = divmod(int(text) - 1, 3)
        return "NEZ"[axis], f"0{sensor + 1}"
    raise FormatError(f"direction {text!r} is none of N-S, E-W, U-D and 1 to 6: copy it again")
