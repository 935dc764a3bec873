"""What is wrong with a record: measured and flagged, and nothing dropped.

Clipping is looked for as flat tops.  Kleckner et al. (2022, Seismol. Res. Lett. 93, 880-896) found
the spread of neighbouring samples at large amplitudes to be the best single sign of it.  Here a
flat top is a stretch of samples that stay within ``tolerance`` of the largest amplitude from each
other, all of them beyond ``near`` of that amplitude on one side, and that ends in a step more
than four times as large.  The crest of a smooth wave does not end so: of five samples within d
of its top, the next are within (3/2)² d.
"""

from __future__ import annotations

import itertools
import math

import numba
import numpy as np
import xarray as xr

from ..blocks import consolidate, map_blocks
from ..conventions import QUANTITIES, quantity_of
from ..errors import ParameterError
from ..lineage import product_attrs
from ..registry import operator
from ..timeaxis import sampling_interval
from ._runs import records, runs
from .snr import signal_to_noise

#: Shortest flat top in samples, and the step at its end in units of the tolerance.
_TOP, _STEP = 5, 4.0
#: Intervals of equal samples that are no flat line at any sampling rate.
_FLAT = 10
#: A spike is compared with this many samples on each side.
_NEIGHBOURS = 10
_NUMBERS = {
    "coverage": ("1", "fraction of the samples in the window that exist"),
    "gap_count": ("1", "gaps between the first and the last sample"),
    "longest_gap": ("s", "longest gap between the first and the last sample"),
    "longest_flat": ("s", "longest stretch of equal samples"),
    "clipped_samples": ("1", "samples in flat tops at the extremes"),
    "spike_count": ("1", "single samples that stick out of their neighbours"),
}


@operator(needs=QUANTITIES, gives=("clipped", "clipped_samples"))
def clipping(ds: xr.Dataset, *, near: float = 0.8, tolerance: float = 1e-3) -> xr.Dataset:
    """Flat tops at the extremes of each channel.

    Parameters
    ----------
    ds
        Waveforms as they were recorded: a filter or the removal of the response rounds flat tops.
    near
        How near to the largest amplitude a flat top must be, as a fraction of it (0 to 1).
        Amplitudes count from the median of a gap-free run.
    tolerance
        How flat a flat top is, as a fraction of the largest amplitude.

    Returns
    -------
    xr.Dataset
        ``clipped_samples``, the number of samples in flat tops, and ``clipped``, whether there
        are any, over the dimensions of the channels.

    Raises
    ------
    ParameterError
        For fractions out of range.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows()
    >>> bool(clipping(ds)["clipped"].any())
    False
    """
    numbers = _survey(ds, near, tolerance, 5.0)
    return xr.Dataset(
        {
            "clipped": _flag(numbers["clipped_samples"] > 0, "flat tops at the extremes"),
            "clipped_samples": numbers["clipped_samples"],
        },
        attrs=product_attrs(ds),
    )


@operator(needs=QUANTITIES, gives=("has_gaps", "flat", "clipped", "spikes", "low_snr"))
def quality_flags(
    ds: xr.Dataset,
    *,
    flat_length: float = 1.0,
    near: float = 0.8,
    tolerance: float = 1e-3,
    spike: float = 5.0,
    noise: tuple[float, float] | None = None,
    signal: tuple[float, float] | None = None,
    minimum_snr: float = 3.0,
    relative_to: str | None = None,
) -> xr.Dataset:
    """Gaps, flat lines, clipping, spikes and too much noise, channel by channel.

    Nothing is dropped: the numbers and flags say what was found, and what to do is up to who
    reads them.

    Parameters
    ----------
    ds
        Waveforms as they were recorded.
    flat_length
        Longest stretch of equal samples that is no flat line, in seconds; at least ten intervals.
    near, tolerance
        Of :func:`clipping`.
    spike
        A spike is a sample that lies on one side of both its neighbours, farther from each than
        this times the largest step between any two others within ten samples.
    noise, signal, relative_to
        Spans of :func:`signal_to_noise`; with both, ``snr`` (rms) is among the results.
    minimum_snr
        Least ratio that is not flagged; one that cannot be taken is flagged.

    Returns
    -------
    xr.Dataset
        Booleans ``has_gaps``, ``flat``, ``clipped``, ``spikes`` and, with spans, ``low_snr``; the
        numbers ``coverage``, ``gap_count``, ``longest_gap`` (s), ``longest_flat`` (s),
        ``clipped_samples``, ``spike_count`` and ``snr`` that they rest on.  A channel without
        samples has a coverage of zero and no flag but ``low_snr``.

    Raises
    ------
    ParameterError
        For numbers out of range, or one span without the other.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows(samples=2000)
    >>> flags = quality_flags(ds, noise=(15.0, 19.0), signal=(0.0, 4.0))
    >>> any(bool(flags[name].any()) for name in ("has_gaps", "flat", "clipped", "low_snr"))
    False
    """
    if not flat_length > 0:
        raise ParameterError(f"flat_length {flat_length} s: give a positive number")
    if not minimum_snr > 0:
        raise ParameterError(f"minimum_snr {minimum_snr}: give a positive ratio")
    if (noise is None) != (signal is None):
        raise ParameterError("one span without the other: give both noise and signal, or neither")
    numbers = _survey(ds, near, tolerance, spike)
    flat_length = max(flat_length, _FLAT * float(sampling_interval(ds)))
    result = numbers.assign(
        has_gaps=_flag(numbers["gap_count"] > 0, "gaps between samples"),
        flat=_flag(numbers["longest_flat"] > flat_length, f"equal for more than {flat_length:g} s"),
        clipped=_flag(numbers["clipped_samples"] > 0, "flat tops at the extremes"),
        spikes=_flag(numbers["spike_count"] > 0, "single samples that stick out"),
    )
    if noise is not None and signal is not None:
        ratio = signal_to_noise(ds, noise=noise, signal=signal, relative_to=relative_to)["snr"]
        low = _flag(~(ratio >= minimum_snr), f"signal-to-noise ratio not above {minimum_snr}")
        result = result.assign(snr=ratio, low_snr=low)
    return result.assign_attrs(product_attrs(ds))


def _survey(ds: xr.Dataset, near: float, tolerance: float, spike: float) -> xr.Dataset:
    """The numbers of ``_NUMBERS`` for every channel."""
    if not 0 < near <= 1:
        raise ParameterError(f"near {near}: give a fraction of the largest amplitude, 0 to 1")
    if not 0 <= tolerance < 1 - near + 1e-12:
        raise ParameterError(f"tolerance {tolerance}: give a fraction from 0 up to 1 - near")
    if not (math.isfinite(spike) and spike >= 1):
        raise ParameterError(f"spike {spike}: give a ratio from 1 up")
    data = ds[quantity_of(ds)].transpose(..., "time")
    found = map_blocks(
        _survey_block,
        data,
        dims=(*map(str, data.dims[:-1]), "measure"),
        sizes={"measure": len(_NUMBERS)},
        dtype="float64",
        dt=float(sampling_interval(ds)),
        near=float(near),
        tolerance=float(tolerance),
        spike=float(spike),
    )
    found = consolidate(found)
    return xr.Dataset(
        {
            name: found.isel(measure=number).assign_attrs(units=units, long_name=text)
            for number, (name, (units, text)) in enumerate(_NUMBERS.items())
        }
    )


def _flag(values: xr.DataArray, text: str) -> xr.DataArray:
    values = values.copy(deep=False)
    values.attrs = {"long_name": text}
    return values


def _survey_block(block, dt, near, tolerance, spike):
    result = np.zeros((*block.shape[:-1], len(_NUMBERS)))
    for row, out in zip(records(block), result.reshape(-1, len(_NUMBERS)), strict=True):
        pieces = runs(np.isnan(row))
        gaps = [start - stop for (_, stop), (start, _) in itertools.pairwise(pieces)]
        out[0] = sum(stop - start for start, stop in pieces) / max(len(row), 1)
        out[1:3] = len(gaps), dt * max(gaps, default=0)
        for start, stop in pieces:
            x = row[start:stop].astype(np.float64)
            out[3] = max(out[3], dt * (_longest_equal(x) - 1))
            out[4] += _clipped(x - np.median(x), near, tolerance)
            out[5] += _spikes(x, spike)
    return result


@numba.njit(nogil=True, cache=True)
def _longest_equal(x):
    longest = length = 1
    for i in range(1, len(x)):
        length = length + 1 if x[i] == x[i - 1] else 1
        longest = max(longest, length)
    return longest


@numba.njit(nogil=True, cache=True)
def _clipped(x, near, tolerance):
    """Samples in flat tops of one run around zero."""
    largest = 0.0
    for value in x:
        largest = max(largest, abs(value))
    flat = tolerance * largest
    count, i = 0, 0
    while i < len(x):
        if largest == 0.0 or abs(x[i]) < near * largest:
            i += 1
            continue
        low = high = x[i]
        stop = i + 1
        while stop < len(x) and max(high, x[stop]) - min(low, x[stop]) <= flat:
            low, high = min(low, x[stop]), max(high, x[stop])
            stop += 1
        step = 0.0
        if i > 0:
            step = abs(x[i] - x[i - 1])
        if stop < len(x):
            step = max(step, abs(x[stop] - x[stop - 1]))
        if stop - i >= _TOP and step > _STEP * flat:
            count += stop - i
            i = stop
        else:
            i += 1
    return count


@numba.njit(nogil=True, cache=True)
def _spikes(x, ratio):
    count, n = 0, len(x)
    for i in range(1, n - 1):
        before, after = x[i] - x[i - 1], x[i] - x[i + 1]
        height = min(abs(before), abs(after))
        if before * after <= 0.0:
            continue
        others = 0.0
        for j in range(max(0, i - _NEIGHBOURS), min(n, i + _NEIGHBOURS + 1) - 1):
            if j != i - 1 and j != i:
                others = max(others, abs(x[j + 1] - x[j]))
        # The step over the spike: there may be no other.
        others = max(others, abs(x[i + 1] - x[i - 1]))
        if height > ratio * others:
            count += 1
    return count
