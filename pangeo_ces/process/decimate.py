"""Another sampling rate: every n-th sample after an anti-alias filter, or through the spectrum."""

from __future__ import annotations

import functools
import math
from fractions import Fraction

import numpy as np
import scipy.fft
import xarray as xr
from scipy.signal import cheb2ord, cheby2, get_window, sos2zpk

from ..blocks import map_blocks, map_time
from ..conventions import QUANTITIES, quantity_of
from ..errors import ParameterError
from ..registry import operator
from ..timeaxis import time_coords, time_index
from ._runs import records, runs
from ._waveform import replace
from .filter import _sosfilt_runs

#: ObsPy's automatic filter is unstable beyond this ratio of the rates.
LARGEST_FACTOR = 16
#: Where time is cut into chunks, a filter looks back until its response fell below this.
_FORGOTTEN = 1e-12


@operator(needs=QUANTITIES)
def decimate(ds: xr.Dataset, *, factor: int, no_filter: bool = False) -> xr.Dataset:
    """Keep every ``factor``-th sample, after ObsPy's anti-alias filter.

    Parameters
    ----------
    ds
        Waveforms, any quantity.
    factor
        From 1 to 16; any with ``no_filter``.
    no_filter
        Leave the filter out.

    Returns
    -------
    xr.Dataset
        On the labels 0, ``factor``, 2 ``factor`` … of the old axis, whatever sample a run between
        gaps starts at; ``data_start`` and ``data_end`` are labels that were kept.

    Raises
    ------
    ParameterError
        For a factor below 1, or above 16 with the filter.

    Notes
    -----
    As ``obspy.Trace.decimate``: a causal Chebyshev filter of the second kind, at most of order 12,
    whose stop band (-96 dB) starts at the new Nyquist frequency.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows(samples=2000)
    >>> decimate(ds, factor=4).sizes["time"]
    500
    """
    if not (isinstance(factor, int | np.integer) and factor >= 1):
        raise ParameterError(f"factor {factor}: give a whole number from 1 up")
    if not no_filter:
        ds = without_aliases(ds, 1 / factor)
    kept = ds.isel(time=slice(None, None, int(factor)))
    return kept.assign_coords(_data_span(kept))


@operator(needs=QUANTITIES)
def resample(
    ds: xr.Dataset, *, sampling_rate: float, window: str | None = "hann", no_filter: bool = True
) -> xr.Dataset:
    """Resample every gap-free run by way of its spectrum.

    Parameters
    ----------
    ds
        Waveforms, any quantity.
    sampling_rate
        New one in Hz.
    window
        Name of the SciPy window that the spectrum is multiplied with, ``None`` for none.
    no_filter
        ``False`` runs the anti-alias filter of :func:`decimate` before.

    Returns
    -------
    xr.Dataset
        From the same first label.  A run between gaps starts at the first label of the new axis
        that it holds.

    Raises
    ------
    ParameterError
        For a rate or a window that cannot be, or a rate 16 times lower with the filter.

    Notes
    -----
    As ``obspy.Trace.resample``: the complex spectrum is interpolated linearly onto the
    frequencies of the new length.  That changes nothing where both lengths last equally long, and
    smears the later part of a run where they do not: cut runs to a common multiple, or use
    :func:`interpolate`.  A run is taken for one period of a periodic signal: detrend and taper
    before.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows(samples=2000, sampling_rate=100.0)
    >>> resample(ds, sampling_rate=40.0).sizes["time"]
    800
    """
    if not (math.isfinite(sampling_rate) and sampling_rate > 0):
        raise ParameterError(f"sampling rate {sampling_rate} Hz: give a positive number")
    try:
        get_window(window or "hann", 8)
    except ValueError as error:
        raise ParameterError(f"window {window!r}: use one that SciPy knows by name") from error
    name = quantity_of(ds)
    axis = time_index(ds).transform
    new = 1 / Fraction(sampling_rate).limit_denominator(10**6)
    if not no_filter and new > axis.interval:
        ds = without_aliases(ds, float(axis.interval / new))
    step = new / axis.interval
    samples = max(int(axis.samples / step), min(axis.samples, 1))
    coords = time_coords(samples=samples, interval=new, offset=axis.offset, origin=axis.origin)
    values = map_blocks(
        _resample_runs,
        ds[name],
        dims=tuple(map(str, ds[name].transpose(..., "time").dims)),
        sizes={"time": samples},
        dtype=ds[name].dtype,
        step=step,
        samples=samples,
        window=window,
    )
    result = replace(ds.drop_vars("time"), name, name, values.assign_coords(coords))
    return result.assign_coords(_data_span(result))


def without_aliases(ds: xr.Dataset, corner: float, zerophase: bool = False) -> xr.Dataset:
    """Low-pass whose stop band starts at ``corner`` times the Nyquist frequency."""
    if corner * LARGEST_FACTOR < 1:
        raise ParameterError(
            f"a rate {1 / corner:g} times lower: the automatic filter is unstable beyond "
            f"{LARGEST_FACTOR}; go down in several steps, or low-pass yourself and use no_filter"
        )
    if corner >= 1:
        return ds
    sos, memory = _anti_alias(corner)
    name = quantity_of(ds)
    reach = memory * float(time_index(ds).interval)
    overlap = (reach, reach if zerophase else 0.0)
    filtered = map_time(_sosfilt_runs, ds[name], overlap_s=overlap, sos=sos, zerophase=zerophase)
    return replace(ds, name, name, filtered)


@functools.cache
def _anti_alias(corner: float) -> tuple[np.ndarray, int]:
    """Sections of the filter, and the number of samples that it remembers."""
    passband, order = corner, 13
    while order > 12:  # at most 1 dB down in the pass band, 96 dB in the stop band
        passband *= 0.99
        order, edge = cheb2ord(passband, corner, 1, 96)
    sos = cheby2(order, 96, edge, output="sos")
    slowest = np.abs(sos2zpk(sos)[1]).max()
    return sos, math.ceil(math.log(_FORGOTTEN) / math.log(slowest))


def _data_span(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    """``data_start`` and ``data_end`` as labels of the axis; NaN where none is left."""
    axis = time_index(ds).transform
    offset, interval = float(axis.offset), float(axis.interval)
    if "data_start" not in ds.coords or "data_end" not in ds.coords:
        return {}
    slack = 1e-6  # of a sample: labels are floats
    spans = {name: (ds[name] - offset) / interval for name in ("data_start", "data_end")}
    first = np.ceil(spans["data_start"].values - slack)
    last = np.minimum(np.floor(spans["data_end"].values + slack), axis.samples - 1)
    there = first <= last
    return {
        name: spans[name]
        .copy(data=np.where(there, offset + numbers * interval, np.nan))
        .assign_attrs(ds[name].attrs)
        for name, numbers in (("data_start", first), ("data_end", last))
    }


def _resample_runs(block, step, samples, window):
    flat = records(block)
    result = np.full((len(flat), samples), np.nan, block.dtype)
    shapes = {}
    for row, out in zip(flat, result, strict=True):
        for start, stop in runs(np.isnan(row)):
            n = stop - start
            first = math.ceil(start / step)
            lead = float(first * step - start)  # intervals from the run to its first new label
            if lead >= n or first >= samples:
                continue
            if n not in shapes:
                shapes[n] = _half_window(window, n)
            spectrum = scipy.fft.rfft(row[start:stop].astype(np.float64)) * shapes[n]
            values = _at_rate(spectrum, n, lead, step)
            out[first : first + len(values)] = values[: samples - first]
    return result.reshape(*block.shape[:-1], samples)


def _half_window(window, n):
    return 1.0 if window is None else np.fft.ifftshift(get_window(window, n))[: n // 2 + 1]


def _at_rate(spectrum, n, lead, step):
    """Samples ``step`` intervals apart, from ``lead`` on, of a signal of ``n`` samples."""
    count = max(int(n / step), 1)
    lines = np.arange(count // 2 + 1)
    if count * step == n and count <= n:
        spectrum = spectrum[: len(lines)]
    else:
        spectrum = np.interp(lines * (n / float(count * step)), np.arange(n // 2 + 1), spectrum)
    if lead:
        spectrum = spectrum * np.exp(2j * np.pi * lines * (lead / float(count * step)))
    return scipy.fft.irfft(spectrum, count) * (count / n)
