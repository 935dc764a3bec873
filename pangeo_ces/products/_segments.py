"""Long records cut into equal pieces that may overlap, without gathering all of time."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import xarray as xr

from ..errors import ParameterError
from ..timeaxis import NANO, time_coords, time_index


def cut_segments(
    data: xr.DataArray, length: float, overlap: float
) -> tuple[list[xr.DataArray], xr.Coordinates]:
    """Segments of ``length`` seconds, each as the parts that it shares with its neighbours.

    Parameters
    ----------
    data
        Waveform, ``(..., time)``.
    length
        Of a segment in seconds; shortened where its parts are no whole number of samples.
    overlap
        Of successive segments, a fraction: 0, 1/2, 2/3, 3/4 and so on.

    Returns
    -------
    tuple
        ``parts``: segment *i* is ``parts[0][..., i, :]``, ``parts[1][..., i, :]`` … in a row, over
        ``(..., segment, sample)``; and the coordinate ``time`` of the starts of the segments.
        Samples at the end that do not fill a segment are left out.
    """
    axis = time_index(data).transform
    count = _parts_of_a_segment(overlap)
    size = math.floor(Fraction(length).limit_denominator(NANO) / count / axis.interval)
    if size < 1:
        raise ParameterError(f"segments of {length} s have no samples: give longer ones")
    pieces = axis.samples // size
    segments = pieces - count + 1
    if segments < 1:
        raise ParameterError(
            f"records of {float(axis.samples * axis.interval):g} s hold no segment of {length} s: "
            "give a shorter one"
        )
    plain = data.drop_vars("time").transpose(..., "time").isel(time=slice(0, pieces * size))
    blocks = plain.coarsen(time=size).construct(time=("segment", "sample"))
    parts = [blocks.isel(segment=slice(i, i + segments)) for i in range(count)]
    starts = time_coords(
        samples=segments, interval=size * axis.interval, offset=axis.offset, origin=axis.origin
    )
    return parts, starts


def joined(parts: tuple[np.ndarray, ...], index: tuple[int, ...]) -> np.ndarray:
    """One segment, or one of every component, in float64."""
    return np.concatenate([part[index] for part in parts], axis=-1, dtype=np.float64)


def cosine_window(samples: int, fraction: float) -> np.ndarray:
    """One, with half a cosine at each end, of ``fraction`` of the samples."""
    window = np.ones(samples)
    length = int(fraction * samples + 0.5)
    if length > 1:
        rise = 0.5 * (1 - np.cos(np.pi * np.arange(length) / (length - 1)))
        window[:length], window[samples - length :] = rise, rise[::-1]
    return window


def _parts_of_a_segment(overlap: float) -> int:
    if 0 <= overlap < 1:
        count = round(1 / (1 - overlap))
        if abs(1 - 1 / count - overlap) < 1e-3:
            return count
    raise ParameterError(f"overlap {overlap}: give 0, 1/2, 2/3, 3/4, 4/5 …")
