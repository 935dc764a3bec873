"""Samples moved by less than an interval, onto the labels that they nearly have."""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy.fft
import xarray as xr

from ..blocks import map_time
from ..conventions import QUANTITIES, quantity_of
from ..errors import ParameterError
from ..registry import operator
from ..timeaxis import sampling_interval
from ._interpolation import ON_SAMPLE, at_positions
from ._runs import over_runs
from ._waveform import replace


@operator(needs=QUANTITIES)
def time_shift(
    ds: xr.Dataset, *, method: Literal["lanczos", "fourier"] = "lanczos", a: int = 20
) -> xr.Dataset:
    """Move the samples of every channel by its ``time_offset``, so that labels are true times.

    A sample labelled t was taken at t + ``time_offset``; afterwards it is the value at t.

    Parameters
    ----------
    ds
        Waveforms, any quantity.
    method
        ``lanczos`` interpolates between samples; a label before the first or after the last
        sample of a run becomes NaN.  ``fourier`` turns the phases, which is exact for a run that
        is one period of a band-limited signal: detrend and taper before.
    a
        Half width of the Lanczos kernel in samples.

    Returns
    -------
    xr.Dataset
        On the same axis, ``time_offset`` zero.

    Raises
    ------
    ParameterError
        For an unknown method or a width below 1.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows()
    >>> ds["time_offset"] = ds["time_offset"] + 0.004
    >>> float(time_shift(ds)["time_offset"].max())
    0.0
    """
    if method not in ("lanczos", "fourier"):
        raise ParameterError(f"method {method!r}: use 'lanczos' or 'fourier'")
    if a < 1:
        raise ParameterError(f"a Lanczos half width of {a} samples: give at least 1")
    if "time_offset" not in ds.coords:
        return ds
    name = quantity_of(ds)
    interval = float(sampling_interval(ds))
    shift = ds["time_offset"].reset_coords(drop=True).fillna(0.0).compute() / interval
    if method == "fourier":
        moved = map_time(_fourier_runs, ds[name], shift)
    else:
        # With an axis of its own in the place of time, it is cut as the waveform in all others.
        last = shift.expand_dims(sample=1, axis=-1)
        reach = (a + 1 + float(abs(shift).max() if shift.size else 0.0)) * interval
        moved = map_time(_lanczos_runs, ds[name], last, overlap_s=(reach, reach), half_width=a)
    result = replace(ds, name, name, moved)
    if method == "lanczos":
        result = _without_lost_ends(result, shift, interval)
    return result.assign_coords(time_offset=xr.zeros_like(result["time_offset"]))


def _without_lost_ends(ds: xr.Dataset, shift: xr.DataArray, interval: float) -> xr.Dataset:
    """``data_start`` and ``data_end`` without the labels that lie outside the samples."""
    shift = shift.drop_vars(list(shift.coords))
    lost = {
        "data_start": np.ceil((shift.values - ON_SAMPLE).clip(min=0)),
        "data_end": -np.ceil((-shift.values - ON_SAMPLE).clip(min=0)),
    }
    return ds.assign_coords(
        {
            name: (ds[name] + shift.copy(data=count * interval)).assign_attrs(ds[name].attrs)
            for name, count in lost.items()
            if name in ds.coords
        }
    )


def _lanczos_runs(block, shift, half_width):
    return over_runs(_lanczos, block, shift[..., 0], half_width=half_width)


def _lanczos(x, shift, half_width):
    rows = [at_positions(row, -s, 1.0, len(row), "lanczos", half_width)
            for row, s in zip(x, shift, strict=True)]  # fmt: skip
    return np.array(rows, x.dtype)


def _fourier_runs(block, shift):
    return over_runs(_fourier, block, shift)


def _fourier(x, shift):
    """The value at position p - shift: every frequency f turned by -2 pi f shift."""
    n = x.shape[1]
    frequency = scipy.fft.rfftfreq(n)
    spectrum = scipy.fft.rfft(x.astype(np.float64)) * np.exp(
        -2j * np.pi * frequency * shift[:, None]
    )
    moved = scipy.fft.irfft(spectrum, n).astype(x.dtype)
    return np.where(shift[:, None] == 0, x, moved)  # what need not move is not even rounded
