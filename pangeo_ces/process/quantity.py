"""From displacement to acceleration and back."""

from __future__ import annotations

from typing import Literal

import numba
import numpy as np
import scipy.fft
import xarray as xr

from ..blocks import map_time
from ..conventions import MOTION, quantity_of
from ..errors import ParameterError, UnitsError
from ..registry import operator
from ..timeaxis import sampling_interval
from ._runs import over_runs
from ._waveform import replace


@operator(needs=("displacement", "velocity"), gives=("velocity", "acceleration"))
def differentiate(ds: xr.Dataset, *, method: Literal["time", "frequency"] = "time") -> xr.Dataset:
    """Time derivative: displacement to velocity, velocity to acceleration.

    Parameters
    ----------
    ds
        Displacement or velocity.
    method
        ``time``: second-order central differences, one-sided at the ends (``numpy.gradient``, as
        in ObsPy's ``Trace.differentiate``), which at frequency f see sin(2 pi f dt)/(2 pi f dt)
        of the derivative.  ``frequency``: the spectrum of every run times 2 pi i f, exact for a
        run that is one period of a band-limited signal: detrend and taper before.

    Raises
    ------
    ParameterError
        For another method.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows(quantity="velocity")
    >>> differentiate(ds, method="frequency")["acceleration"].attrs["units"]
    'm s-2'
    """
    name = quantity_of(ds, MOTION[:2])
    new = MOTION[MOTION.index(name) + 1]
    dt = float(sampling_interval(ds))
    if _is_spectral(method):
        return replace(ds, name, new, map_time(_spectral_runs, ds[name], dt=dt, power=1))
    return replace(ds, name, new, map_time(_gradient_runs, ds[name], overlap_s=(dt, dt), dt=dt))


@operator(needs=("acceleration", "velocity"), gives=("velocity", "displacement"))
def integrate(ds: xr.Dataset, *, method: Literal["time", "frequency"] = "time") -> xr.Dataset:
    """Time integral: acceleration to velocity, velocity to displacement.

    An offset left in a record becomes a trend here: detrend and high-pass before.

    Parameters
    ----------
    ds
        Acceleration or velocity.
    method
        ``time``: cumulative trapezoid from zero (ObsPy's ``Trace.integrate``).  ``frequency``:
        the spectrum of every run divided by 2 pi i f, without the mean, so that the result has
        the mean zero; exact for a run that is one period of a band-limited signal.

    Raises
    ------
    ParameterError
        For another method.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows(quantity="velocity")
    >>> abs(float(integrate(ds, method="frequency")["displacement"].mean())) < 1e-9
    True
    """
    name = quantity_of(ds, MOTION[1:])
    new = MOTION[MOTION.index(name) - 1]
    dt = float(sampling_interval(ds))
    if _is_spectral(method):
        return replace(ds, name, new, map_time(_spectral_runs, ds[name], dt=dt, power=-1))
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


def _is_spectral(method: str) -> bool:
    if method not in ("time", "frequency"):
        raise ParameterError(f"method {method!r}: use 'time' or 'frequency'")
    return method == "frequency"


def _gradient_runs(block, dt):
    return over_runs(_gradient, block, dt=dt)


def _integral_runs(block, dt):
    return over_runs(_integral, block, dt=dt)


def _spectral_runs(block, dt, power):
    return over_runs(_spectral, block, dt=dt, power=power)


def _spectral(x, dt, power):
    """The spectrum times (2 pi i f) ** power; nothing at zero, nor at the Nyquist frequency."""
    n = x.shape[1]
    spectrum = scipy.fft.rfft(x.astype(np.float64))
    factor = np.zeros(spectrum.shape[1], complex)
    inside = slice(1, (n + 1) // 2)
    factor[inside] = (2j * np.pi * scipy.fft.rfftfreq(n, dt)[inside]) ** power
    return scipy.fft.irfft(spectrum * factor, n).astype(x.dtype)


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
