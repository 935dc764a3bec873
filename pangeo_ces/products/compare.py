"""Observed against synthetic: differences of measures, similarity of waveforms."""

from __future__ import annotations

import math
from typing import Literal

import numba
import numpy as np
import xarray as xr

from ..blocks import consolidate, map_blocks
from ..conventions import MOTION
from ..errors import ParameterError, UnitsError
from ..lineage import product_attrs
from ..process._runs import records
from ..registry import operator
from ._pairs import bare, paired, same_axes

MEASURES = ("pga", "pgv", "pgd", "psa", "sa", "psv", "sv", "sd")


@operator(needs=MEASURES, gives=MEASURES)
def difference(
    observed: xr.Dataset,
    synthetic: xr.Dataset,
    *,
    kind: Literal["absolute", "relative", "log"] = "absolute",
) -> xr.Dataset:
    """Observed minus synthetic peak motion.

    Parameters
    ----------
    observed, synthetic
        Products of :func:`peak_motion` on the same axes (after :func:`~pangeo_ces.match`).
    kind
        ``absolute``: observed - synthetic, in the measure's units; ``relative``: (observed -
        synthetic) / observed; ``log``: ln(observed / synthetic).  The last two have units 1 and
        are NaN or infinite where a measure is zero.
    """
    if kind not in ("absolute", "relative", "log"):
        raise ParameterError(f"kind {kind!r}: use 'absolute', 'relative' or 'log'")
    names = [n for n in MEASURES if n in observed.data_vars and n in synthetic.data_vars]
    same_axes(observed, synthetic, ("event", "station", "component", "period", "damping"))
    result = observed[names].copy()
    for name in names:
        one, two = observed[name], bare(synthetic[name])
        if one.attrs.get("units") != two.attrs.get("units"):
            raise UnitsError(f"{name} has different units on both sides: convert one of them")
        if kind == "absolute":
            values = one - two
        elif kind == "relative":
            values = (one - two) / one
        else:
            values = xr.ufuncs.log(one / two)
        long_name = {"absolute": "observed minus synthetic", "relative": "relative difference of",
                     "log": "ln(observed/synthetic) of"}[kind]  # fmt: skip
        result[name] = values.assign_attrs(
            one.attrs | {"long_name": f"{long_name} {one.attrs.get('long_name', name)}"}
        )
        if kind != "absolute":
            result[name].attrs["units"] = "1"
    return result


@operator(needs=MOTION, gives=("cc", "cc_best", "time_shift", "amplitude_ratio"))
def waveform_fit(
    observed: xr.Dataset, synthetic: xr.Dataset, *, max_shift: float = 8.0
) -> xr.Dataset:
    """How well a synthetic trace fits the recorded one.

    Parameters
    ----------
    observed, synthetic
        The same quantity on the same axes (:func:`match`, then :func:`interpolate`).
    max_shift
        Largest time shift tried, in seconds.

    Returns
    -------
    xr.Dataset
        Over ``(event, station, component)``: ``cc``, the normalised correlation without shift;
        ``cc_best`` at ``time_shift`` (s; positive where the recording comes later), to the
        nearest sample; ``amplitude_ratio``, peak synthetic over peak observed.  NaN where the two
        share no samples.
    """
    if not 0 <= max_shift < math.inf:
        raise ParameterError(f"max_shift {max_shift} s: give zero or more")
    pairs = paired(observed, synthetic)
    fits = map_blocks(
        _fits,
        pairs.observed,
        pairs.synthetic,
        dims=(*pairs.dims, "measure"),
        sizes={"measure": 4},
        dtype="float64",
        lags=round(max_shift / pairs.dt),
        dt=pairs.dt,
    )
    rows = [("cc", "1", "correlation without shift"), ("cc_best", "1", "best correlation"),
            ("time_shift", "s", "shift of the best correlation, positive where observed is later"),
            ("amplitude_ratio", "1", "peak synthetic over peak observed")]  # fmt: skip
    fits = consolidate(fits)
    result = xr.Dataset(attrs=product_attrs(observed))
    for number, (variable, units, long_name) in enumerate(rows):
        result[variable] = fits.isel(measure=number).assign_attrs(units=units, long_name=long_name)
    return result


def _fits(one, two, lags, dt):
    one, two = np.ascontiguousarray(one, np.float64), np.ascontiguousarray(two, np.float64)
    result = np.empty((len(records(one)), 4))
    _fit_rows(records(one), records(two), lags, dt, result)
    return result.reshape(*one.shape[:-1], 4)


@numba.njit(nogil=True, cache=True)
def _fit_rows(one, two, lags, dt, out):
    n = one.shape[1]
    for row in range(one.shape[0]):
        x, y = one[row], two[row]
        xx, yy, peak_x, peak_y = 0.0, 0.0, 0.0, 0.0
        for i in range(n):
            if np.isnan(x[i]) or np.isnan(y[i]):
                continue
            xx += x[i] * x[i]
            yy += y[i] * y[i]
            peak_x, peak_y = max(peak_x, abs(x[i])), max(peak_y, abs(y[i]))
        norm = np.sqrt(xx * yy)
        if norm == 0.0:
            out[row, :] = np.nan
            continue
        best, best_lag = -np.inf, 0
        for lag in range(-lags, lags + 1):
            total = 0.0
            for i in range(max(0, -lag), min(n, n - lag)):
                product = x[i + lag] * y[i]
                if not np.isnan(product):
                    total += product
            if lag == 0:
                out[row, 0] = total / norm
            if total > best:
                best, best_lag = total, lag
        out[row, 1] = best / norm
        out[row, 2] = best_lag * dt
        out[row, 3] = peak_y / peak_x
