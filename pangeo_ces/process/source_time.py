"""Source time functions: impulse responses of a simulation become seismograms of a source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy.fft
import xarray as xr

from ..blocks import map_time
from ..conventions import QUANTITIES, quantity_of
from ..errors import ParameterError
from ..registry import operator
from ..timeaxis import sampling_interval
from ._runs import over_runs
from ._waveform import replace

#: SPECFEM's Gaussian of a half duration h, exp(-(_DECAY t / h)²), is as wide as the triangle.
_DECAY = 1.628


@operator(needs=QUANTITIES)
def convolve_source(
    ds: xr.Dataset,
    *,
    half_duration: float | None = None,
    shape: Literal["gaussian", "triangle", "boxcar"] = "gaussian",
    samples: Sequence[float] | None = None,
    start: float = 0.0,
) -> xr.Dataset:
    """Convolve every gap-free run with a source time function of unit area.

    Parameters
    ----------
    ds
        Waveforms, any quantity: as a rule synthetics of a source without duration.
    half_duration
        h in seconds, above 0.
    shape
        ``gaussian``: α/√π exp(-α² t²), α = 1.628/h, as SPECFEM convolves; ``triangle``: from -h
        to h; ``boxcar``: from -h to h.  All are symmetric about the origin time, so nothing is
        shifted.
    samples
        Instead of a shape: moment rate at the sampling interval of the waveforms, in 1/s; its
        sum times the interval is the area.
    start
        Time of the first of ``samples``, in seconds after the origin time.

    Raises
    ------
    ParameterError
        Without a half duration or samples, or with both.

    Notes
    -----
    Shapes are multiplied as their exact spectra: exp(-(ω/2α)²), sinc²(f h), sinc(2 f h).  A run
    counts as zero before and after its samples.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows(quantity="velocity")
    >>> smooth = convolve_source(ds, half_duration=0.5)
    """
    if (half_duration is None) == (samples is None):
        raise ParameterError("a source time function is half_duration or samples: give one of them")
    if half_duration is not None and not 0 < half_duration < math.inf:
        raise ParameterError(f"half duration {half_duration} s: give a positive number")
    if shape not in _SPECTRA:
        raise ParameterError(f"source shape {shape!r}: use one of {', '.join(_SPECTRA)}")
    rates = None if samples is None else np.asarray(list(samples), float)
    if rates is not None and not (rates.size and np.isfinite(rates).all()):
        raise ParameterError("samples of a source are numbers, at least one: give them")
    name = quantity_of(ds)
    dt = float(sampling_interval(ds))
    if rates is None:
        reach = (_REACH[shape] * float(half_duration or 0),) * 2
    else:
        reach = (max(start + rates.size * dt, 0.0), max(-start, 0.0))
    values = map_time(
        _convolve_runs, ds[name], overlap_s=reach, dt=dt, half_duration=half_duration,
        shape=shape, samples=rates, start=start,
    )  # fmt: skip
    return replace(ds, name, name, values)


def _gaussian(f, h):
    return np.exp(-((np.pi * f * h / _DECAY) ** 2))


def _triangle(f, h):
    return np.sinc(f * h) ** 2


def _boxcar(f, h):
    return np.sinc(2 * f * h)


_SPECTRA = {"gaussian": _gaussian, "triangle": _triangle, "boxcar": _boxcar}
#: Half durations after which nothing is left of a shape (1e-16 of the Gaussian's peak).
_REACH = {"gaussian": 3.8, "triangle": 1.0, "boxcar": 1.0}


def _convolve_runs(block, **options):
    return over_runs(_convolve, block, **options)


def _convolve(x, dt, half_duration, shape, samples, start):
    n = x.shape[1]
    if samples is None:
        beyond = math.ceil(_REACH[shape] * half_duration / dt)
    else:
        beyond = samples.size + math.ceil(abs(start) / dt)
    # Room for what a source shifts past either end, so that nothing comes round to the other.
    nfft = scipy.fft.next_fast_len(n + 2 * beyond, real=True)
    f = scipy.fft.rfftfreq(nfft, dt)
    if samples is None:
        source = _SPECTRA[shape](f, half_duration)
    else:
        source = dt * scipy.fft.rfft(samples, nfft) * np.exp(-2j * np.pi * f * start)
    spectrum = scipy.fft.rfft(x.astype(np.float64), nfft) * source
    return scipy.fft.irfft(spectrum, nfft)[:, :n].astype(x.dtype)
