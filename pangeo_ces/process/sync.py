"""Observed and synthetic in the same samples: one rate, one time axis, the time both have."""

from __future__ import annotations

import math
from typing import Any, Literal

import xarray as xr

from ..errors import AxisError, ParameterError
from ..timeaxis import sampling_interval
from .decimate import decimate, without_aliases
from .resample import interpolate
from .window import cut_each

#: A rate so many times lower is reached in steps, of which the anti-alias filter is stable.
_STEP, _LARGEST = 8, 16


def sync_cut(
    observed: xr.Dataset,
    synthetic: xr.Dataset,
    *,
    sampling_rate: float | None = None,
    method: Literal["lanczos", "weighted_average_slopes", "linear", "cubic"] = "lanczos",
    a: int = 20,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Bring pairs onto one time axis, each cut to the time in which both sides have samples.

    Parameters
    ----------
    observed, synthetic
        Event windows, ``(event, station, component, time)``, with the same events and stations
        (after :func:`~pangeo_ces.match`); rates, lengths and components may differ.
    sampling_rate
        Of the new axis in Hz; the lower of the two by default.  It may not be higher than that.
    method, a
        Of :func:`~pangeo_ces.interpolate`.

    Returns
    -------
    observed, synthetic
        On one axis whose labels are whole multiples of the interval after the origin time.
        Outside the time that all components of a station have on both sides there is NaN;
        ``data_start`` and ``data_end`` say where.

    Raises
    ------
    AxisError
        When events or stations differ.
    ParameterError
        For a rate that is higher than one of the two.

    Notes
    -----
    A side with the higher rate is low-passed before: Chebyshev type 2, 96 dB down from the new
    Nyquist frequency on, run both ways so that nothing is shifted against the other side.  This
    is the ``sync_cut`` of the VERCE platform, which took the axis of each pair by itself.

    Examples
    --------
    >>> one = pangeo_ces.testing.synthetic_windows(sampling_rate=100.0)
    >>> two = pangeo_ces.testing.synthetic_windows(sampling_rate=40.0, samples=600)
    >>> one, two = sync_cut(one, two)
    >>> one.sizes["time"] == two.sizes["time"]
    True
    """
    for axis in ("event", "station"):
        if observed[axis].values.tolist() != synthetic[axis].values.tolist():
            raise AxisError(f"observed and synthetic differ in {axis}: pair them with ces.match")
    lowest = min(float(1 / sampling_interval(ds)) for ds in (observed, synthetic))
    rate = lowest if sampling_rate is None else sampling_rate
    if not 0 < rate <= lowest * (1 + 1e-9):
        raise ParameterError(
            f"sampling rate {rate} Hz: one side has {lowest:g} Hz only; give that or less"
        )
    spans = [_span(ds) for ds in (observed, synthetic)]
    start = xr.ufuncs.maximum(spans[0][0], spans[1][0])
    stop = xr.ufuncs.minimum(spans[0][1], spans[1][1])
    shared = start < stop
    if not bool(shared.any()):
        raise AxisError("no pair has time in common: check the origin times of both sides")
    ends = {
        "start": math.ceil(float(start.where(shared).min()) * rate - 1e-6) / rate,
        "stop": math.floor(float(stop.where(shared).max()) * rate + 1e-6) / rate,
    }
    sides = [
        _at_rate(ds, rate, ends, method, a).pipe(cut_each, start.where(shared), stop.where(shared))
        for ds in (observed, synthetic)
    ]
    return sides[0], sides[1]


def _span(ds: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """First and last label that all components of a station have."""
    first, last = ds["data_start"].max("component"), ds["data_end"].min("component")
    start, stop = (x.drop_vars(list(x.coords)).transpose("event", "station") for x in (first, last))
    return start, stop


def _at_rate(
    ds: xr.Dataset, rate: float, ends: dict[str, float], method: Any, a: int
) -> xr.Dataset:
    ratio = 1 / (rate * float(sampling_interval(ds)))
    while ratio > _LARGEST:
        ds = decimate(without_aliases(ds, 1 / _STEP, zerophase=True), factor=_STEP, no_filter=True)
        ratio /= _STEP
    if ratio > 1 + 1e-9:
        ds = without_aliases(ds, 1 / ratio, zerophase=True)
    return interpolate(ds, sampling_rate=rate, method=method, a=a, **ends)
