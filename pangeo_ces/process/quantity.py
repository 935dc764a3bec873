"""From displacement to acceleration and back."""

from __future__ import annotations

import numba
import numpy as np
import xarray as xr

from ..blocks import map_time
from ..conventions import MOTION, quantity_of
from ..errors import ParameterError, UnitsError
from ..registry import operator
from ..timeaxis import sampling_interval
from ._runs import over_runs
from ._waveform import replace


@operator(needs=("displacement", "velocity"), gives=("velocity", "acceleration"))
def differentiate(ds: xr.Dataset) -> xr.Dataset:
    """Time derivative: displacement to velocity, velocity to acceleration.

    Second-order central differences, one-sided at the ends (``numpy.gradient``, as in ObsPy's
    ``Trace.differentiate``).
    """
    name = quantity_of(ds, MOTION[:2])
    new = MOTION[MOTION.index(name) + 1]
    dt = float(sampling_interval(ds))
    return replace(ds, name, new, map_time(_gradient_runs, ds[name], overlap_s=(dt, dt), dt=dt))


@operator(needs=("acceleration", "velocity"), gives=("velocity", "displacement"))
def integrate(ds: xr.Dataset) -> xr.Dataset:
    """Time integral from zero: acceleration to velocity, velocity to displacement.

    Cumulative trapezoid (ObsPy's ``Trace.integrate``).  An offset left in a record becomes a
    trend here: detrend and high-pass before.
    """
    name = quantity_of(ds, MOTION[1:])
    new = MOTION[MOTION.index(name) - 1]
    dt = float(sampling_interval(ds))
    return replace(ds, name, new, map_time(_integral_runs, ds[name], dt=dt))


def to_motion(ds: xr.Dataset, *, quantity: str) -> xr.Dataset:
    """The named quantity, differentiated or integrated from the one that ``ds`` holds.

    Where ``ds`` holds several, the named one if it is there, else the nearest.

    Parameters
    ----------
    ds
        Waveforms of ground motion.
    quantity
        ``displacement``, ``velocity`` or ``acceleration``.
    """
    if quantity not in MOTION:
        raise ParameterError(f"quantity {quantity!r}: use one of {', '.join(MOTION)}")
    here = [name for name in MOTION if name in ds.data_vars]
    if not here:
        quantity_of(ds, MOTION)
        raise UnitsError("no ground motion here: use ces.remove_response first")
    target = MOTION.index(quantity)
    start = min(here, key=lambda name: abs(MOTION.index(name) - target))
    ds = ds.drop_vars([name for name in here if name != start])
    for _ in range(abs(MOTION.index(start) - target)):
        ds = differentiate(ds) if MOTION.index(start) < target else integrate(ds)
    return ds


def _gradient_runs(block, dt):
    return over_runs(_gradient, block, dt=dt)


def _integral_runs(block, dt):
    return over_runs(_integral, block, dt=dt)


@numba.njit(nogil=True, cache=True)
def _gradient(x, dt):
    n = x.shape[1]
    result = np.zeros_like(x)
    if n < 2:
        return result
    for row in range(x.shape[0]):
        result[row, 0] = (x[row, 1] - x[row, 0]) / dt
        for i in range(1, n - 1):
            result[row, i] = (x[row, i + 1] - x[row, i - 1]) / (2 * dt)
        result[row, n - 1] = (x[row, n - 1] - x[row, n - 2]) / dt
    return result


@numba.njit(nogil=True, cache=True)
def _integral(x, dt):
    result = np.empty_like(x)
    for row in range(x.shape[0]):
        total = 0.0
        result[row, 0] = 0.0
        for i in range(1, x.shape[1]):
            total += 0.5 * dt * (np.float64(x[row, i - 1]) + x[row, i])
            result[row, i] = total
    return result
