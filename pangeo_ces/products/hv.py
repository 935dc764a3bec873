"""Horizontal to vertical spectral ratios of noise and of shaking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy.fft
import xarray as xr

from ..blocks import consolidate, map_blocks
from ..conventions import MOTION, VARIABLES, quantity_of
from ..errors import ParameterError
from ..lineage import product_attrs
from ..process._runs import records
from ..process.rotate import level_sensors
from ..registry import operator
from ..timeaxis import sampling_interval
from ._horizontals import check_means, mean_of_two
from ._segments import cosine_window, cut_segments, joined
from .smoothing import check_window, konno_ohmachi, log_spaced, targets_within


@operator(needs=("counts", *MOTION), gives=("hv", "hv_sigma", "windows"))
def hv_ratio(
    ds: xr.Dataset,
    *,
    frequencies: Sequence[float] | None = None,
    window_length: float = 60.0,
    overlap: float = 0.0,
    bandwidth: float = 40.0,
    lobes: int | None = None,
    taper: float = 0.05,
    mean: Literal[
        "quadratic_mean", "arithmetic_mean", "geometric_mean", "larger"
    ] = "quadratic_mean",
    anti_trigger: tuple[float, float, float, float] | None = None,
) -> xr.Dataset:
    """Horizontal to vertical spectral ratio of noise or shaking, the way of SESAME (2004).

    Every window is freed of its line, tapered and transformed, its spectra smoothed
    (Konno & Ohmachi), the horizontals combined and divided by the vertical; the curve is the
    geometric mean over the windows.

    Parameters
    ----------
    ds
        Waveforms of one vertical and two horizontal sensors of one gain, any quantity.
    frequencies
        Where to give the ratio, in Hz, above 0 up to the Nyquist frequency; by default 100 to
        the decade from 10 / ``window_length`` on, the lowest that SESAME trusts.
    window_length
        In seconds.
    overlap
        Of successive windows: 0, 1/2, 2/3, 3/4 and so on.
    bandwidth, lobes
        Of the smoothing, as in :func:`fourier_spectrum`.
    taper
        Cosine taper at each end of a window, a fraction of its length.
    mean
        Of the two horizontals.
    anti_trigger
        Short and long time in seconds and the limits of STA/LTA, as in ``(1, 30, 0.2, 2)``: a
        window is left out where the ratio of mean amplitudes, once the long time is full, leaves
        the limits on any component.

    Returns
    -------
    xr.Dataset
        ``hv`` and ``hv_sigma``, the standard deviation of its logarithm, over
        ``(…, station, frequency)``; ``peak_frequency`` (Hz) and ``peak_ratio`` of the curve and
        ``windows``, how many took part, over ``(…, station)``.  A window needs all of three
        sensors, two of them level, without a gap.
    """
    check_window(bandwidth, lobes)
    check_means([mean])
    if not 0 <= taper <= 0.5:
        raise ParameterError(f"taper {taper}: give a fraction from 0 to 0.5")
    name = quantity_of(ds)
    dt = float(sampling_interval(ds))
    if frequencies is None:
        targets = log_spaced(min(10 / window_length, 0.5 / dt), 0.5 / dt)
    else:
        targets = targets_within(frequencies, 0.5 / dt)
    if targets[0] <= 0:
        raise ParameterError("frequency 0 has no ratio: give frequencies above 0")
    trigger = None if anti_trigger is None else _trigger(anti_trigger, window_length, dt)
    data = ds[name].transpose(..., "component", "time")
    parts, _ = cut_segments(data, window_length, overlap)
    leading = tuple(str(dim) for dim in data.dims[:-2])
    ratios = map_blocks(
        _ratios,
        parts[0],
        level_sensors(ds, data),
        *parts[1:],
        dims=(*leading, "segment", "frequency"),
        sizes={"frequency": len(targets)},
        dtype="float64",
        dt=dt,
        targets=targets,
        bandwidth=float(bandwidth),
        lobes=lobes,
        taper=float(taper),
        mean=mean,
        trigger=trigger,
    )
    logarithms = xr.ufuncs.log(consolidate(ratios)).assign_coords(
        frequency=("frequency", targets, VARIABLES["frequency"].attrs)
    )
    curve = xr.ufuncs.exp(logarithms.mean("segment"))
    largest = curve.max("frequency")
    product = xr.Dataset(attrs=product_attrs(ds))
    measures = {
        "hv": curve,
        "hv_sigma": logarithms.std("segment", ddof=1),
        "windows": logarithms.notnull().any("frequency").sum("segment"),
        "peak_ratio": largest,
        "peak_frequency": curve["frequency"].where(curve == largest).min("frequency"),
    }
    for variable, values in measures.items():
        product[variable] = values.assign_attrs(VARIABLES[variable].attrs)
    return product


def _ratios(block, level, *others, dt, targets, bandwidth, lobes, taper, mean, trigger):
    parts = tuple(records(part, 3) for part in (block, *others))
    levels = records(level)
    stations, _, segments, size = parts[0].shape
    result = np.full((stations, segments, len(targets)), np.nan)
    samples = size * len(parts)
    frequencies = scipy.fft.rfftfreq(samples, dt)
    window = cosine_window(samples, taper)
    line = np.linspace(-1, 1, samples)
    for station, segment in np.ndindex(stations, segments):
        window_of_all = joined(parts, (station, slice(None), segment))
        present = ~np.isnan(window_of_all).any(axis=-1)
        horizontal = levels[station] & present
        if present.sum() != 3 or horizontal.sum() != 2:
            continue
        x = window_of_all - window_of_all.mean(axis=-1, keepdims=True)
        x -= (x @ line / (line @ line))[:, None] * line
        if trigger is not None and not _quiet(x, *trigger):
            continue
        spectra = np.abs(scipy.fft.rfft(x * window, axis=-1))
        smooth = konno_ohmachi(spectra, frequencies, targets, bandwidth, lobes)
        vertical = smooth[present & ~horizontal][0]
        with np.errstate(divide="ignore", invalid="ignore"):
            result[station, segment] = mean_of_two(*smooth[horizontal], mean) / vertical
    return result.reshape(*block.shape[:-3], segments, len(targets))


def _trigger(
    anti_trigger: tuple[float, float, float, float], window_length: float, dt: float
) -> tuple[int, int, float, float]:
    short, long, low, high = anti_trigger
    if not (dt <= short < long <= window_length and 0 <= low < high):
        raise ParameterError(
            f"anti_trigger {anti_trigger}: give a short and a long time within the window, in "
            "seconds, and rising limits, as in (1, 30, 0.2, 2)"
        )
    return round(short / dt), round(long / dt), low, high


def _quiet(x, short, long, low, high):
    """Whether STA/LTA of every component stays within the limits."""
    sums = np.cumsum(np.abs(x), axis=-1)
    sums = np.concatenate([np.zeros((len(x), 1)), sums], axis=-1)
    sta = (sums[:, long:] - sums[:, long - short : -short]) / short
    lta = (sums[:, long:] - sums[:, :-long]) / long
    return bool(((low * lta <= sta) & (sta <= high * lta)).all())
