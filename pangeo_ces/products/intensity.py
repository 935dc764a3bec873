"""Measures of the whole shaking: CAV, Arias intensity, durations; and JMA's seismic intensity."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numba
import numpy as np
import scipy.fft
import xarray as xr

from ..blocks import consolidate, map_blocks
from ..conventions import VARIABLES, quantity_of
from ..errors import ParameterError
from ..lineage import product_attrs
from ..process._runs import records, runs
from ..process.rotate import level_sensors
from ..registry import operator
from ..timeaxis import sampling_interval
from ._horizontals import check_means, with_means

#: Standard gravity (m/s²), of the definition of Arias intensity.
GRAVITY = 9.80665
#: A second counts towards the standardised CAV when it exceeds this (EPRI 1991: 0.025 g).
_CAV_THRESHOLD = 0.025 * GRAVITY


@operator(needs="acceleration", gives=("cav", "cav_std", "arias", "duration"))
def intensity_measures(
    ds: xr.Dataset,
    *,
    durations: Sequence[tuple[float, float]] = ((5.0, 75.0), (5.0, 95.0), (2.5, 97.5)),
    combinations: Sequence[str] = ("arithmetic_mean",),
) -> xr.Dataset:
    """Cumulative absolute velocity, Arias intensity and significant durations.

    Integrals are trapezoids through the samples of every gap-free run; runs add up.

    - ``cav`` = ∫ abs(a) dt;
    - ``cav_std``: the same, over those whole seconds from the start of a run in which abs(a)
      exceeds 0.025 g (EPRI 1991, TR-100082; Campbell & Bozorgnia 2010);
    - ``arias`` = pi / 2g ∫ a² dt with g = 9.80665 m/s² (Arias 1970);
    - ``duration``: time between two fractions of the Arias intensity (Trifunac & Brady 1975),
      found on straight lines between samples.

    Parameters
    ----------
    ds
        Acceleration (m/s²), ``(…, station, component, time)``.
    durations
        Pairs of percentages of the Arias intensity, rising.
    combinations
        Means of the two horizontals to append to ``component``: ``arithmetic_mean``,
        ``geometric_mean``, ``quadratic_mean``, ``larger``; of each measure, durations too.

    Returns
    -------
    xr.Dataset
        ``cav``, ``cav_std``, ``arias`` (m/s) over ``(…, station, component)``, and ``duration``
        (s) with ``interval`` last, labelled ``5-75`` and so on.  NaN where there is no record;
        combinations are NaN unless exactly two horizontal sensors recorded.  A record of zeros
        has no duration.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows(quantity="acceleration")
    >>> intensity_measures(ds)["duration"].sel(interval="5-95").dims
    ('event', 'station', 'component')
    """
    pairs = tuple((float(low), float(high)) for low, high in durations)
    if not all(0 <= low < high <= 100 for low, high in pairs):
        raise ParameterError(f"durations {pairs}: give pairs of rising percentages from 0 to 100")
    check_means(combinations)
    data = ds["acceleration"].transpose(..., "component", "time")
    components = [*map(str, data["component"].values), *combinations]
    measures = map_blocks(
        _measures,
        data,
        level_sensors(ds, data),
        dims=(*map(str, data.dims[:-1]), "measure"),
        sizes={"component": len(components), "measure": 3 + len(pairs)},
        dtype="float64",
        dt=float(sampling_interval(ds)),
        pairs=pairs,
        means=tuple(combinations),
    )
    measures = consolidate(measures).assign_coords(component=components)
    product = xr.Dataset(attrs=product_attrs(ds))
    for number, name in enumerate(("cav", "cav_std", "arias")):
        product[name] = measures.isel(measure=number).assign_attrs(VARIABLES[name].attrs)
    labels = [f"{low:g}-{high:g}" for low, high in pairs]
    product["duration"] = (
        measures.isel(measure=slice(3, None))
        .rename(measure="interval")
        .assign_coords(interval=labels)
        .assign_attrs(VARIABLES["duration"].attrs)
    )
    product["interval"].attrs["long_name"] = "percentages of the Arias intensity"
    product["component"].attrs["long_name"] = "recorded component or horizontal combination"
    return product


@operator(needs="acceleration", gives="jma_intensity")
def jma_intensity(ds: xr.Dataset, *, rounded: bool = False) -> xr.Dataset:
    """Instrumental seismic intensity of the Japan Meteorological Agency (announcement 4 of 1996).

    Three components of acceleration in cm/s² are filtered in the frequency domain by::

        sqrt(1/f) * sqrt(1 - exp(-(f/0.5)^3))
        / sqrt(1 + 0.694 y² + 0.241 y⁴ + 0.0557 y⁶ + 0.009664 y⁸ + 0.00134 y¹⁰ + 0.000155 y¹²)

    with y = f/10; their vector resultant is at least ``a`` for 0.3 s in all; the intensity is
    2 log10(a) + 0.94.

    Parameters
    ----------
    ds
        Acceleration (m/s²) of three orthogonal components, in any orientation.
    rounded
        As published: to two decimals, then cut to one.

    Returns
    -------
    xr.Dataset
        ``jma_intensity`` over ``(…, station)``, of the longest span in which all three recorded;
        NaN unless exactly three recorded, or the span is shorter than 0.3 s.  Classes 0 to 7 begin
        at 0.5 less than their number; 5 and 6 have a lower and an upper half.

    Notes
    -----
    The filter is periodic over the span, as in the announcement: give records that begin and end
    in quiet.
    """
    quantity_of(ds, ["acceleration"])
    data = ds["acceleration"].transpose(..., "component", "time")
    intensity = map_blocks(
        _jma_of_block,
        data,
        dims=tuple(str(dim) for dim in data.dims[:-2]),
        dtype="float64",
        dt=float(sampling_interval(ds)),
    )
    if rounded:
        # A hair more than a half, so that binary fractions such as 4.955 are rounded up.
        hundredths = xr.ufuncs.floor(intensity * 100 + 0.5 + 1e-9)
        intensity = xr.ufuncs.floor(hundredths / 10 + 1e-9) / 10
    product = xr.Dataset(attrs=product_attrs(ds))
    product["jma_intensity"] = consolidate(intensity).assign_attrs(VARIABLES["jma_intensity"].attrs)
    return product


def _measures(block, level, dt, pairs, means):
    flat = records(np.ascontiguousarray(block))
    fractions, places = np.unique(np.array(pairs).reshape(-1) / 100, return_inverse=True)
    result = np.empty((len(flat), 3 + len(pairs)))
    _measure_rows(flat, dt, max(1, round(1 / dt)), fractions, places.reshape(-1, 2), result)
    values = result.reshape(-1, block.shape[-2], result.shape[-1]) if len(flat) else result[:, None]
    values = with_means(values, records(level), means)
    return values.reshape(*block.shape[:-2], block.shape[-2] + len(means), result.shape[-1])


@numba.njit(nogil=True, cache=True)
def _measure_rows(x, dt, second, fractions, places, out):
    """Rows of CAV, standardised CAV, Arias intensity and durations."""
    for row in range(x.shape[0]):
        cav, standard, energy = _integrals(x[row], dt, second)
        out[row, 0], out[row, 1] = cav, standard
        out[row, 2] = np.pi / (2 * GRAVITY) * energy
        moments = _moments(x[row], dt, fractions * energy)
        for number in range(len(places)):
            begin, end = moments[places[number, 0]], moments[places[number, 1]]
            out[row, 3 + number] = end - begin if energy > 0 else np.nan


@numba.njit(nogil=True, cache=True)
def _integrals(x, dt, second):
    """Integrals of |x|, of |x| in the strong seconds of each run, and of x²."""
    cav, standard, energy = 0.0, 0.0, 0.0
    within, strongest, place = 0.0, 0.0, 0  # of the second under way
    recorded = False
    previous = np.nan
    for i in range(len(x)):
        value = abs(np.float64(x[i]))
        recorded |= not np.isnan(value)
        if np.isnan(previous) or np.isnan(value):  # a run begins or ends
            if strongest > _CAV_THRESHOLD:
                standard += within
            within, strongest, place = 0.0, value, 0
        else:
            step = 0.5 * dt * (previous + value)
            cav += step
            energy += 0.5 * dt * (previous * previous + value * value)
            within += step
            strongest = max(strongest, value)
            place += 1
            if place == second:
                if strongest > _CAV_THRESHOLD:
                    standard += within
                within, strongest, place = 0.0, value, 0
        previous = value
    if strongest > _CAV_THRESHOLD:
        standard += within
    return (cav, standard, energy) if recorded else (np.nan, np.nan, np.nan)


@numba.njit(nogil=True, cache=True)
def _moments(x, dt, wanted):
    """When the integral of x² reaches each of the rising values (s); the first such moments."""
    moments = np.full(len(wanted), (len(x) - 1) * dt)
    energy, previous, number = 0.0, np.nan, 0
    for i in range(len(x)):
        value = np.float64(x[i]) ** 2
        if not (np.isnan(previous) or np.isnan(value)):
            step = 0.5 * dt * (previous + value)
            while step > 0 and number < len(wanted) and energy + step >= wanted[number]:
                moments[number] = (i - 1) * dt + dt * (wanted[number] - energy) / step
                number += 1
            energy += step
        previous = value
    return moments


def _jma_of_block(block, dt):
    rows = records(block, 2)
    result = np.full(len(rows), np.nan)
    for number, record in enumerate(rows):
        present = record[~np.isnan(record).all(axis=-1)]
        if len(present) != 3:
            continue
        spans = runs(np.isnan(present).any(axis=0))
        start, stop = max(spans, key=lambda span: span[1] - span[0], default=(0, 0))
        if (stop - start) * dt >= 0.3:
            result[number] = _jma(present[:, start:stop].astype(np.float64), dt)
    return result.reshape(block.shape[:-2])


def _jma(record, dt):
    n = record.shape[-1]
    spectrum = scipy.fft.rfft(record * 100, axis=-1)  # of cm/s²
    spectrum *= _jma_filter(scipy.fft.rfftfreq(n, dt))
    filtered = scipy.fft.irfft(spectrum, n, axis=-1)
    resultant = np.sqrt((filtered**2).sum(axis=0))
    rank = math.ceil(0.3 / dt - 1e-6)  # so many samples are at least a: 0.3 s in all
    a = np.partition(resultant, n - rank)[n - rank]
    with np.errstate(divide="ignore"):
        return 2 * np.log10(a) + 0.94


def _jma_filter(f):
    y = (f / 10) ** 2
    high = 1 + y * (
        0.694 + y * (0.241 + y * (0.0557 + y * (0.009664 + y * (0.00134 + y * 0.000155))))
    )
    # As f falls the low-cut outweighs the effect of the period: nothing is left at zero.
    f = np.maximum(f, 1e-12)
    return np.sqrt(-np.expm1(-((f / 0.5) ** 3)) / f / high)
