"""Peak ground motion and response spectra, with their horizontal combinations.

Definitions (Boore, Watson-Lamprey & Abrahamson 2006 for the combinations; Nigam & Jennings 1969
for the oscillator).  With a(t), v(t), u(t) acceleration, velocity and displacement of one sensor:

- ``pga``, ``pgv``, ``pgd`` = max |a|, max |v|, max |u|;
- ``psa(T)`` = w² max |x|, w = 2 pi / T, where x'' + 2 z w x' + w² x = -a, x(0) = x'(0) = 0:
  *pseudo*-spectral acceleration.  ``sa(T)`` = max |2 z w x' + w² x| is the absolute one.

Combinations of the two horizontals h1, h2: ``larger`` = max of their peaks, ``geometric_mean`` =
square root of the product of their peaks, ``vector`` = max over time of sqrt(h1² + h2²).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numba
import numpy as np
import scipy.fft
import xarray as xr

from ..blocks import consolidate, map_blocks
from ..conventions import MOTION, VARIABLES, quantity_of
from ..errors import ParameterError
from ..lineage import product_attrs
from ..process._runs import over_runs, records, runs
from ..process.quantity import _gradient, _integral
from ..process.rotate import HORIZONTAL_DIP
from ..registry import operator
from ..timeaxis import sampling_interval

COMBINATIONS = ("larger", "geometric_mean", "vector")
#: Named choices of periods (s) and damping, as in ``peak_motion(ds, **SPECTRA["dare"])``.
SPECTRA: dict[str, dict[str, Any]] = {
    "shakemap": {"periods": (0.3, 1.0, 3.0), "damping": 0.05},
    "dare": {"periods": (1 / 0.3, 1.0, 1 / 3.0), "damping": 0.10},
}
#: The oscillator recursion is exact for straight lines between samples; with fewer samples than
#: this in a period the record is interpolated band-limited first.
_SAMPLES_A_PERIOD = 10


@operator(needs=MOTION, gives=("pga", "pgv", "pgd", "psa"))
def peak_motion(
    ds: xr.Dataset,
    *,
    periods: Sequence[float] = (0.3, 1.0, 3.0),
    damping: float = 0.05,
    spectrum: Literal["pseudo", "absolute"] = "pseudo",
    oversampling: int | None = None,
) -> xr.Dataset:
    """PGA, PGV, PGD and response spectra of every component and of the horizontals together.

    Parameters
    ----------
    ds
        One of acceleration (m/s²), velocity (m/s) or displacement (m), ``(…, station, component,
        time)``.  The other two follow by cumulative trapezoid from zero or by central
        differences, run by run.
    periods
        Oscillator periods in seconds; may be empty.
    damping
        Fraction of critical damping, 0 < damping < 1.
    spectrum
        ``pseudo`` gives ``psa``, ``absolute`` gives ``sa``.
    oversampling
        Band-limited interpolation factor ahead of the oscillators; by default what brings
        10 samples into a period, so 1 for periods from 10 sampling intervals up.

    Returns
    -------
    xr.Dataset
        ``pga`` (m/s²), ``pgv`` (m/s), ``pgd`` (m) over ``(…, station, component)`` and ``psa``
        or ``sa`` (m/s²) with ``period`` last.  ``component`` holds the recorded components and
        then ``larger``, ``geometric_mean`` and ``vector``.  NaN where there is no record;
        combinations are NaN unless exactly two horizontal sensors (dip within 15 degrees of
        level) recorded.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows(quantity="acceleration")
    >>> peak_motion(ds, periods=[1.0])["psa"].dims
    ('event', 'station', 'component', 'period')
    """
    periods = tuple(float(period) for period in periods)
    if not all(math.isfinite(period) and period > 0 for period in periods):
        raise ParameterError(f"periods {periods}: give positive seconds")
    if not 0 < damping < 1:
        raise ParameterError(f"damping {damping}: give a fraction between 0 and 1, such as 0.05")
    if spectrum not in ("pseudo", "absolute"):
        raise ParameterError(f"spectrum {spectrum!r}: use 'pseudo' or 'absolute'")
    if oversampling is not None and (oversampling < 1 or oversampling != int(oversampling)):
        raise ParameterError(f"oversampling {oversampling}: give a whole number from 1 up")
    name = quantity_of(ds, MOTION)
    data = ds[name].transpose(..., "component", "time")
    leading = tuple(str(dim) for dim in data.dims[:-2])
    components = [*map(str, data["component"].values), *COMBINATIONS]
    measures = map_blocks(
        _peaks_of_block,
        data,
        _level(ds, data),
        dims=(*leading, "component", "measure"),
        sizes={"component": len(components), "measure": 3 + len(periods)},
        dtype="float64",
        quantity=name,
        dt=float(sampling_interval(ds)),
        periods=periods,
        damping=float(damping),
        absolute=spectrum == "absolute",
        oversampling=oversampling,
    )
    measures = consolidate(measures).assign_coords(component=components)
    product = xr.Dataset(attrs=product_attrs(ds))
    for number, peak in enumerate(("pga", "pgv", "pgd")):
        product[peak] = measures.isel(measure=number).assign_attrs(VARIABLES[peak].attrs)
    spectral = "psa" if spectrum == "pseudo" else "sa"
    product[spectral] = (
        measures.isel(measure=slice(3, None))
        .rename(measure="period")
        .assign_coords(
            period=("period", np.asarray(periods), VARIABLES["period"].attrs),
            damping=((), float(damping), VARIABLES["damping"].attrs),
        )
        .assign_attrs(VARIABLES[spectral].attrs)
    )
    product[spectral].attrs["method"] = "Nigam & Jennings (1969)"
    for peak, how in zip(("pga", "pgv", "pgd"), _derivations(name), strict=True):
        product[peak].attrs["method"] = how
    product["component"].attrs["long_name"] = "recorded component or horizontal combination"
    return product


def _derivations(name: str) -> list[str]:
    steps = {
        0: "peak of the record",
        1: "cumulative trapezoid from zero",
        2: "two cumulative trapezoids from zero",
        -1: "central differences",
        -2: "two central differences",
    }
    here = MOTION.index(name)
    return [steps[here - MOTION.index(m)] for m in ("acceleration", "velocity", "displacement")]


def _level(ds: xr.Dataset, data: xr.DataArray) -> xr.DataArray:
    """Which sensors are horizontal, over all dimensions but time."""
    dims = [dim for dim in data.dims if dim != "time"]
    template = xr.DataArray(np.ones([data.sizes[d] for d in dims], bool), dims=dims)
    if "dip" in ds.variables:
        dip = ds["dip"].reset_coords(drop=True).drop_vars("component", errors="ignore")
        dip = dip.drop_vars(list(dip.coords))
        return template & (np.abs(dip) <= HORIZONTAL_DIP)
    letters = xr.DataArray([str(c) != "Z" for c in data["component"].values], dims="component")
    return template & letters


def _peaks_of_block(block, level, quantity, dt, periods, damping, absolute, oversampling):
    components = block.shape[-2]
    levels = records(level)
    result = np.full((len(levels), components + 3, 3 + len(periods)), np.nan)
    for record, sensors, out in zip(records(block, 2), levels, result, strict=True):
        present = ~np.isnan(record).all(axis=-1)
        if not present.any():
            continue
        horizontal = np.flatnonzero(sensors & present)
        pair = horizontal if len(horizontal) == 2 else np.array([-1, -1])
        motion = _motions(record[present].astype(np.float64), quantity, dt)
        where = np.full(components, -1)
        where[present] = np.arange(present.sum())
        local = np.where(pair >= 0, where[pair], -1)
        rows = np.concatenate([np.flatnonzero(present), components + np.arange(3)])
        values = np.empty((len(rows), out.shape[-1]))
        for column, name in enumerate(("acceleration", "velocity", "displacement")):
            _peaks(motion[name], local, values[:, column])
        for factor, chosen in _by_oversampling(periods, dt, oversampling).items():
            fine = motion["acceleration"] if factor == 1 else _finer(motion["acceleration"], factor)
            peaks = np.empty((len(rows), len(chosen)))
            _oscillate(
                np.ascontiguousarray(fine.T), dt / factor, np.array([periods[i] for i in chosen]),
                damping, absolute, local, peaks,
            )  # fmt: skip
            values[:, [3 + i for i in chosen]] = peaks
        out[rows] = values
    return result.reshape(*block.shape[:-2], *result.shape[1:])


def _motions(record, quantity, dt):
    """Acceleration, velocity and displacement of one record (component, time)."""
    motion = {quantity: record}
    here = MOTION.index(quantity)
    for number in range(here + 1, 3):
        motion[MOTION[number]] = over_runs(_gradient, motion[MOTION[number - 1]], dt=dt)
    for number in range(here - 1, -1, -1):
        motion[MOTION[number]] = over_runs(_integral, motion[MOTION[number + 1]], dt=dt)
    return motion


def _by_oversampling(periods, dt, oversampling):
    """Numbers of the periods that share an interpolation factor."""
    groups = {}
    for number, period in enumerate(periods):
        factor = oversampling or max(1, math.ceil(_SAMPLES_A_PERIOD * dt / period - 1e-9))
        groups.setdefault(factor, []).append(number)
    return groups


def _finer(x, factor):
    """Band-limited interpolation of each run by zero-extending its spectrum."""
    result = np.full((x.shape[0], (x.shape[1] - 1) * factor + 1), np.nan)
    for row, out in zip(x, result, strict=True):
        for start, stop in runs(np.isnan(row)):
            n = stop - start
            nfft = scipy.fft.next_fast_len(n + min(n, 1000), real=True)  # room for the ringing
            spectrum = scipy.fft.rfft(row[start:stop], nfft)
            if nfft % 2 == 0:
                spectrum[-1] *= 0.5  # Nyquist is split between plus and minus
            fine = scipy.fft.irfft(spectrum, nfft * factor) * factor
            out[start * factor : (stop - 1) * factor + 1] = fine[: (n - 1) * factor + 1]
    return result


@numba.njit(nogil=True, cache=True)
def _combine(peaks, largest_square, pair, out):
    """Component peaks, then larger, geometric mean and vector resultant."""
    count = peaks.shape[0]
    for c in range(count):
        out[c] = peaks[c]
    if pair[0] < 0:
        out[count : count + 3] = np.nan
        return
    one, two = peaks[pair[0]], peaks[pair[1]]
    out[count] = max(one, two)
    out[count + 1] = np.sqrt(one * two)
    out[count + 2] = np.sqrt(largest_square)


@numba.njit(nogil=True, cache=True)
def _peaks(x, pair, out):
    count, n = x.shape
    peaks = np.zeros(count)
    for c in range(count):
        for i in range(n):
            value = abs(x[c, i])
            if value > peaks[c]:  # false for NaN
                peaks[c] = value
    largest = np.nan  # where the two never record at the same time
    if pair[0] >= 0:
        for i in range(n):
            square = x[pair[0], i] ** 2 + x[pair[1], i] ** 2
            if square > largest or np.isnan(largest):
                largest = square
    _combine(peaks, largest, pair, out)


@numba.njit(nogil=True, cache=True)
def _oscillate(x, dt, periods, damping, absolute, pair, out):
    """Peak oscillator response to x (time, component) for every period.

    The recursion of Nigam & Jennings (1969), exact for acceleration that is linear between
    samples; from rest at the start of every run.
    """
    n, count = x.shape
    displacement, speed, previous = np.empty(count), np.empty(count), np.empty(count)
    response, peaks = np.empty(count), np.empty(count)
    root = np.sqrt(1 - damping * damping)
    for number in range(len(periods)):
        w = 2 * np.pi / periods[number]
        wd = w * root
        decay = np.exp(-damping * w * dt)
        sine, cosine = np.sin(wd * dt), np.cos(wd * dt)
        a11 = decay * (damping / root * sine + cosine)
        a12 = decay * sine / wd
        a21 = -w / root * decay * sine
        a22 = decay * (cosine - damping / root * sine)
        p = (2 * damping * damping - 1) / (w * w * dt)
        q = 2 * damping / (w**3 * dt)
        b11 = decay * ((p + damping / w) * sine / wd + (q + 1 / (w * w)) * cosine) - q
        b12 = -decay * (p * sine / wd + q * cosine) - 1 / (w * w) + q
        rise = cosine - damping / root * sine
        fall = wd * sine + damping * w * cosine
        b21 = decay * ((p + damping / w) * rise - (q + 1 / (w * w)) * fall) + 1 / (w * w * dt)
        b22 = -decay * (p * rise - q * fall) - 1 / (w * w * dt)
        peaks[:] = 0.0
        previous[:] = np.nan
        largest = np.nan
        for i in range(n):
            for c in range(count):
                value = x[i, c]
                if np.isnan(previous[c]):  # at rest where a run begins, NaN in a gap
                    displacement[c] = speed[c] = 0.0 * value
                else:
                    u, v = displacement[c], speed[c]
                    displacement[c] = a11 * u + a12 * v + b11 * previous[c] + b12 * value
                    speed[c] = a21 * u + a22 * v + b21 * previous[c] + b22 * value
                previous[c] = value
                r = w * w * displacement[c]
                if absolute:
                    r += 2 * damping * w * speed[c]
                response[c] = abs(r)
                if response[c] > peaks[c]:
                    peaks[c] = response[c]
            if pair[0] >= 0:
                square = response[pair[0]] ** 2 + response[pair[1]] ** 2
                if square > largest or np.isnan(largest):
                    largest = square
        _combine(peaks, largest, pair, out[:, number])
