"""Fourier amplitude spectra, smoothed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft
import xarray as xr

from ..blocks import map_blocks
from ..conventions import QUANTITIES, VARIABLES, quantity_of
from ..errors import ParameterError
from ..lineage import product_attrs
from ..process._runs import records, runs
from ..process.condition import taper as taper_runs
from ..process.rotate import level_sensors
from ..registry import operator
from ..timeaxis import sampling_interval
from ._horizontals import check_means, with_means
from .smoothing import check_window, konno_ohmachi, log_spaced, targets_within

#: Units of the spectrum of each quantity: those of its time integral.
_UNITS = {"counts": "s", "displacement": "m s", "velocity": "m", "acceleration": "m s-1",
          "pressure": "Pa s"}  # fmt: skip


@operator(needs=QUANTITIES, gives="fas")
def fourier_spectrum(
    ds: xr.Dataset,
    *,
    frequencies: Sequence[float] | None = None,
    bandwidth: float | None = 40.0,
    lobes: int | None = None,
    taper: float = 0.05,
    combinations: Sequence[str] = ("quadratic_mean",),
) -> xr.Dataset:
    """Fourier amplitude spectrum abs(X(f)) dt, smoothed as Konno & Ohmachi (1998).

    Parameters
    ----------
    ds
        Waveforms, any quantity.
    frequencies
        Where to give the smoothed spectrum, in Hz, from 0 to the Nyquist frequency; by default
        100 to the decade from the lowest of the transform on.
    bandwidth
        b of the window (sin x / x)^4, x = b log10(f / fc), with weights that add up to one
        (ObsPy's ``normalize=True``); ``None`` for the spectrum as it is.
    lobes
        Side lobes of the window kept on each side; all by default, as ObsPy.
    taper
        Cosine taper at each end of a record, a fraction of its length.
    combinations
        Means of the two horizontals to append to ``component``, taken before smoothing:
        ``quadratic_mean``, ``arithmetic_mean``, ``geometric_mean``, ``larger``.

    Returns
    -------
    xr.Dataset
        ``fas`` over ``(…, station, component, frequency)``, in the units of the waveform times
        seconds: m/s for acceleration.  A spectrum of one side, not doubled.  NaN where there is no
        record or it has a gap.

    Notes
    -----
    The record is padded with zeros to a length that transforms fast; its energy is the integral
    of 2 abs(X)² over frequency.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows(quantity="acceleration")
    >>> fas = fourier_spectrum(ds, frequencies=[0.5, 1.0, 2.0])["fas"]
    >>> fas.sizes["frequency"], fas.attrs["units"]
    (3, 'm s-1')
    """
    check_window(bandwidth, lobes)
    check_means(combinations)
    if bandwidth is None and frequencies is not None:
        raise ParameterError("frequencies without smoothing: give a bandwidth, such as 40")
    name = quantity_of(ds)
    dt = float(sampling_interval(ds))
    tapered = taper_runs(ds, max_percentage=taper, type="cosine") if taper else ds
    data = tapered[name].transpose(..., "component", "time")
    components = [*map(str, data["component"].values), *combinations]
    nfft = scipy.fft.next_fast_len(max(data.sizes["time"], 2), real=True)
    grid = scipy.fft.rfftfreq(nfft, dt)
    if bandwidth is None:
        wanted = grid
    elif frequencies is None:
        wanted = log_spaced(grid[1], grid[-1])
    else:
        wanted = targets_within(frequencies, 0.5 / dt)
    spectra = map_blocks(
        _spectra,
        data,
        level_sensors(ds, data),
        dims=(*map(str, data.dims[:-1]), "frequency"),
        sizes={"component": len(components), "frequency": len(wanted)},
        dtype="float64",
        nfft=nfft,
        dt=dt,
        means=tuple(combinations),
        targets=wanted,
        bandwidth=None if bandwidth is None else float(bandwidth),
        lobes=lobes,
    )
    product = xr.Dataset(attrs=product_attrs(ds))
    product["fas"] = spectra.assign_coords(
        component=components, frequency=("frequency", wanted, VARIABLES["frequency"].attrs)
    )
    product["fas"].attrs = VARIABLES["fas"].attrs | {"units": _UNITS[name], "quantity": name}
    return product


def _spectra(block, level, nfft, dt, means, targets, bandwidth, lobes):
    """Of records without gaps, which may begin and end anywhere in the block."""
    flat = records(block, 2)
    amplitudes = np.full((*flat.shape[:2], nfft // 2 + 1), np.nan)
    for index in np.ndindex(flat.shape[:2]):
        found = runs(np.isnan(flat[index]))
        if len(found) == 1:
            x = flat[index][slice(*found[0])].astype(np.float64)
            amplitudes[index] = np.abs(scipy.fft.rfft(x, nfft)) * dt
    spectra = with_means(amplitudes, records(level), means)
    if bandwidth is not None:
        frequencies = scipy.fft.rfftfreq(nfft, dt)
        spectra = konno_ohmachi(spectra, frequencies, targets, bandwidth, lobes)
    return spectra.reshape(*block.shape[:-2], *spectra.shape[1:])
