"""Signal against noise: two spans of the same record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy.fft
import xarray as xr
from scipy.signal import windows

from ..blocks import consolidate, map_blocks
from ..conventions import QUANTITIES, quantity_of
from ..errors import ParameterError, SchemaError
from ..lineage import product_attrs
from ..registry import operator
from ..timeaxis import time_index
from ._runs import records

_METHODS = ("peak", "rms", "spectral")


@operator(needs=QUANTITIES, gives="snr")
def signal_to_noise(
    ds: xr.Dataset,
    *,
    noise: tuple[float, float],
    signal: tuple[float, float],
    method: Literal["peak", "rms", "spectral"] = "rms",
    relative_to: str | None = None,
    frequencies: Sequence[float] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
    octaves: float = 1 / 3,
) -> xr.Dataset:
    """Ratio of amplitudes in a span of signal and in a span of noise, channel by channel.

    The mean of each span is taken off before.

    Parameters
    ----------
    ds
        Waveforms, any quantity.
    noise, signal
        First and last label of the spans in seconds after the origin time (event windows) or
        after the first sample (continuous data), both included.
    method
        ``peak``: largest absolute values; ``rms``: square roots of the mean squares;
        ``spectral``: square roots of the power spectral densities, Hann-tapered and averaged over
        a band around each frequency.
    relative_to
        Coordinate over (event, station), in seconds, that the spans count from, such as the
        ``reference_time`` of :func:`event_windows`.
    frequencies
        Centres of the bands in Hz, for ``spectral``.
    octaves
        Width of the bands.

    Returns
    -------
    xr.Dataset
        ``snr`` over the dimensions of the channels, and ``frequency`` if spectral.  NaN where a
        span has fewer than two samples or no noise at all, or, if spectral, a gap or no line of
        its spectrum within the band.

    Raises
    ------
    ParameterError
        For an unknown method, and spans or frequencies that cannot be.
    SchemaError
        Where the coordinate ``relative_to`` is not there.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows(samples=2000)
    >>> ratio = signal_to_noise(ds, noise=(15.0, 19.0), signal=(0.0, 4.0))
    >>> bool((ratio["snr"] > 3).all())
    True
    """
    if method not in _METHODS:
        raise ParameterError(f"method {method!r}: use one of {', '.join(_METHODS)}")
    for label, span in (("noise", noise), ("signal", signal)):
        if not (len(span) == 2 and all(map(math.isfinite, span)) and span[0] < span[1]):
            raise ParameterError(f"{label} span {tuple(span)} s: give its first and last second")
    bands = np.asarray(frequencies, float) if method == "spectral" else np.zeros(0)
    if not (np.isfinite(bands).all() and (bands > 0).all() and octaves > 0):
        raise ParameterError(
            f"frequencies {tuple(frequencies)} Hz, {octaves} octaves: give positive numbers"
        )
    if relative_to is not None and relative_to not in ds.variables:
        raise SchemaError(f"no coordinate {relative_to!r}: assign it, or leave relative_to away")
    data = ds[quantity_of(ds)].transpose(..., "time")
    channel = tuple(str(dim) for dim in data.dims[:-1])
    zero = xr.DataArray(np.zeros([data.sizes[d] for d in channel]), dims=channel)
    if relative_to is not None:
        zero = zero + ds[relative_to].variable.set_dims(
            {d: data.sizes[d] for d in channel}
        ).transpose(*channel)
    axis = time_index(ds).transform
    ratio = map_blocks(
        _ratios_of_block,
        data,
        zero,
        dims=(*channel, "frequency"),
        sizes={"frequency": max(len(bands), 1)},
        dtype="float64",
        spans=(tuple(noise), tuple(signal)),
        offset=float(axis.offset) if axis.origin is None else 0.0,
        dt=float(axis.interval),
        method=method,
        bands=bands,
        octaves=float(octaves),
    )
    ratio = consolidate(ratio).assign_attrs(
        units="1", long_name="signal-to-noise ratio", method=method
    )
    if method == "spectral":
        ratio = ratio.assign_coords(frequency=("frequency", bands, {"units": "Hz"}))
    else:
        ratio = ratio.isel(frequency=0)
    return xr.Dataset({"snr": ratio}, attrs=product_attrs(ds))


def _ratios_of_block(block, zero, spans, offset, dt, method, bands, octaves):
    result = np.full((*block.shape[:-1], max(len(bands), 1)), np.nan)
    rows, flat = records(block), result.reshape(-1, result.shape[-1])
    for row, shift, out in zip(rows, zero.reshape(-1), flat, strict=True):
        if np.isnan(shift):
            continue
        noise, signal = (_span(row, first + shift, last + shift, offset, dt)
                         for first, last in spans)  # fmt: skip
        if method == "spectral":
            levels = [_levels(x, dt, bands, octaves) for x in (noise, signal)]
        else:
            levels = [_level(x[~np.isnan(x)], method) for x in (noise, signal)]
        quiet = np.where(levels[0] > 0, levels[0], np.nan)
        out[:] = levels[1] / quiet
    return result


def _span(row, first, last, offset, dt):
    """Samples with labels from ``first`` to ``last``, in float64."""
    slack = 1e-6  # of a sample: labels are floats
    start = math.ceil((first - offset) / dt - slack)
    stop = math.floor((last - offset) / dt + slack) + 1
    return row[max(start, 0) : max(stop, 0)].astype(np.float64)


def _level(x, method):
    if len(x) < 2:
        return np.nan
    x = x - x.mean()
    return np.abs(x).max() if method == "peak" else np.sqrt(np.mean(x * x))


def _levels(x, dt, bands, octaves):
    """Square root of the power spectral density, averaged over each band."""
    result = np.full(len(bands), np.nan)
    if len(x) < 2 or np.isnan(x).any():
        return result
    weights = windows.hann(len(x), sym=False)
    power = np.abs(scipy.fft.rfft((x - x.mean()) * weights)) ** 2 * dt / np.sum(weights**2)
    lines = scipy.fft.rfftfreq(len(x), dt)
    for number, centre in enumerate(bands):
        half = 2 ** (octaves / 2)
        inside = (lines >= centre / half) & (lines <= centre * half)
        if inside.any():
            result[number] = np.sqrt(power[inside].mean())
    return result
