"""Corrected records as the networks of strong-motion seismology make them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr

from ..blocks import map_blocks, map_time
from ..conventions import VARIABLES, quantity_of
from ..errors import ParameterError
from ..registry import operator
from ..timeaxis import sampling_interval, time_index
from . import corners
from ._waveform import replace
from .condition import detrend, taper
from .quantity import to_motion
from .response import remove_response, remove_sensitivity
from .rotate import level_sensors
from .window import cut_each

#: Deconvolution stays between these: 0.005 Hz, and this fraction of the Nyquist frequency.
_DECONVOLVED = (0.005, 0.8)
_STEEP = 40


@operator(needs=("counts", "acceleration"), gives=("acceleration", "passed", "reason"))
def correct_record(
    ds: xr.Dataset,
    *,
    start: float | str | None = None,
    stop: float | str | None = None,
    split: float | str | None = None,
    highpass: float | str | None = None,
    lowpass: float | str | None = None,
    response: Literal["full", "sensitivity"] = "full",
    water_level: float | None = 60.0,
    taper_fraction: float = 0.05,
    min_snr: float = 3.0,
    snr_band: tuple[float, float] = (0.2, 5.0),
    bandwidth: float = 20.0,
    max_drift: float | None = 0.02,
    same_horizontals: bool = True,
    max_lowpass: float = 0.75,
    order: int = 5,
    baseline_order: int | None = 6,
) -> xr.Dataset:
    """Corrected acceleration by the chain of the USGS (gmprocess), with a verdict on each channel.

    Linear trend, instrument, window, taper, corner frequencies, zero-phase Butterworth filters,
    polynomial baseline.  No channel is dropped: ``passed`` and ``reason`` say what is wrong.

    Parameters
    ----------
    ds
        Counts with responses, or acceleration.
    start, stop, split
        Window of the record, and where its signal begins: seconds after the origin, or the name
        of a variable of ``ds`` that holds them for each station or channel.
    highpass, lowpass
        Corner frequencies in Hz, or the name of a variable that holds them; by default from the
        signal-to-noise ratio, which needs ``split``.
    response
        ``full`` deconvolves and keeps 0.005 Hz to 0.8 of the Nyquist frequency; ``sensitivity``
        divides by one number.
    water_level
        Of the deconvolution, dB.
    taper_fraction
        Hann taper at either end.
    min_snr, snr_band
        The ratio must be this much all through this band (Hz), and the corners are where it
        falls below, outside.
    bandwidth
        Of the smoothing by Konno & Ohmachi.
    max_drift
        Largest value of a cubic fitted to displacement, as a fraction of the largest
        displacement; the high-pass corner rises until it is met.  ``None`` for no such limit.
    same_horizontals
        Give the horizontals of a station the narrower corners of the two.
    max_lowpass
        Largest low-pass corner, as a fraction of the Nyquist frequency.
    order
        Of the filters, whose amplitude (not its square) is Butterworth's.
    baseline_order
        Degree of the polynomial fitted to displacement, without terms 0 and 1; ``None`` for none.

    Returns
    -------
    xr.Dataset
        ``acceleration`` (m/s²), ``highpass_corner`` and ``lowpass_corner`` (Hz; NaN where none
        was found, and then none was applied), ``passed`` and ``reason`` of each channel.

    Notes
    -----
    Steps and defaults are those that gmprocess 2.8 documents (Hearne et al. 2019,
    doi:10.5066/P9ANQXN3; Dawood et al. 2016, doi:10.1193/071214EQS106 for ``max_drift``).  Its
    default chain has no ``baseline_order``; earlier ones had 6.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows(quantity="acceleration")
    >>> corrected = correct_record(ds, highpass=0.1, lowpass=20.0)
    >>> bool(corrected["passed"].all())
    True
    """
    _check(min_snr, snr_band, max_lowpass, order, baseline_order)
    if response not in ("full", "sensitivity"):
        raise ParameterError(f"response {response!r}: use 'full' or 'sensitivity'")
    if split is None and (highpass is None or lowpass is None):
        raise ParameterError(
            "corner frequencies from the signal-to-noise ratio need split=, where the signal "
            "begins; or give highpass= and lowpass="
        )
    record = _acceleration(detrend(ds), response, water_level)
    windows = [_each(ds, record, bound) for bound in (start, stop, split)]
    if start is not None or stop is not None:
        record = cut_each(record, *_closed(record, *windows[:2]))
    record = taper(record, max_percentage=taper_fraction)
    dt = float(sampling_interval(record))
    high, low, reason = _assess(
        record, windows, threshold=min_snr, band=tuple(snr_band), bandwidth=bandwidth,
        drift=max_drift, order=order,
    )  # fmt: skip
    low = low.clip(max=max_lowpass * 0.5 / dt)
    if same_horizontals:
        level = level_sensors(ds, high)
        high = high.where(~level, high.where(level).max("component"))
        low = low.where(~level, low.where(level).min("component"))
    high = high if highpass is None else _each(ds, record, highpass)
    low = low if lowpass is None else _each(ds, record, lowpass)
    reason = reason.where((reason > 0) | ~(high >= low), corners.CROSSED)
    filtered = map_time(corners.butterworth, record["acceleration"], high, low, dt=dt, order=order)
    if baseline_order is not None:
        filtered = map_time(corners.baseline, filtered, order=baseline_order)
    return replace(record, "acceleration", "acceleration", filtered).assign(
        highpass_corner=high.assign_attrs(VARIABLES["highpass_corner"].attrs),
        lowpass_corner=low.assign_attrs(VARIABLES["lowpass_corner"].attrs),
        passed=(reason == 0).assign_attrs(VARIABLES["passed"].attrs),
        reason=_texts(reason).assign_attrs(VARIABLES["reason"].attrs),
    )


def _check(min_snr, snr_band, max_lowpass, order, baseline_order):
    if not min_snr > 0:
        raise ParameterError(f"min_snr {min_snr}: give a ratio above 0, such as 3")
    if len(snr_band) != 2 or not 0 < snr_band[0] < snr_band[1]:
        raise ParameterError(f"snr_band {snr_band}: give two rising frequencies in Hz")
    if not 0 < max_lowpass <= 1:
        raise ParameterError(f"max_lowpass {max_lowpass}: give a fraction of the Nyquist frequency")
    if order < 1:
        raise ParameterError(f"order {order}: give a filter order of at least 1")
    if baseline_order is not None and baseline_order < 2:
        raise ParameterError(f"baseline_order {baseline_order}: give 2 or more, or None for none")


def _acceleration(ds: xr.Dataset, response: str, water_level: float | None) -> xr.Dataset:
    if quantity_of(ds) == "acceleration":
        return ds
    if response == "sensitivity":
        ds = remove_sensitivity(ds)
        return ds if quantity_of(ds) == "acceleration" else to_motion(ds, quantity="acceleration")
    ds = remove_response(ds, output="acceleration", water_level=water_level, taper=False)
    dt = float(sampling_interval(ds))
    highpass, lowpass = _DECONVOLVED[0], _DECONVOLVED[1] * 0.5 / dt
    kept = map_time(_deconvolved, ds["acceleration"], dt=dt, highpass=highpass, lowpass=lowpass)
    return replace(ds, "acceleration", "acceleration", kept)


def _deconvolved(block, dt, highpass, lowpass):
    return corners.butterworth(block, highpass, lowpass, dt=dt, order=_STEEP)


def _each(ds: xr.Dataset, record: xr.Dataset, value: float | str | None) -> xr.DataArray:
    """A number, or the variable of that name, for every channel; NaN for ``None``."""
    data = record["acceleration"]
    dims = [dim for dim in data.dims if dim != "time"]
    channels = xr.DataArray(np.zeros([data.sizes[dim] for dim in dims]), dims=dims)
    if isinstance(value, str):
        if value not in ds.variables:
            raise ParameterError(
                f"no variable {value!r} in this Dataset: assign it, or give a number"
            )
        variable = ds[value].variable
        if not set(variable.dims) <= set(dims):
            raise ParameterError(f"{value!r} has dimensions {variable.dims}: use some of {dims}")
        return channels + xr.DataArray(variable.astype(float))
    return channels + (np.nan if value is None else float(value))


def _closed(
    record: xr.Dataset, start: xr.DataArray, stop: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """The ends of the labels in place of a bound that no channel has."""
    ends = record["time"].values[[0, -1]]
    opened = [bound if bound.notnull().any() else bound.fillna(end)
              for bound, end in zip((start, stop), ends, strict=True)]  # fmt: skip
    return opened[0], opened[1]


def _assess(ds: xr.Dataset, windows: list[xr.DataArray], **options: Any) -> list[xr.DataArray]:
    """High-pass and low-pass corner and number of the reason, of every channel."""
    data = ds["acceleration"].transpose(..., "time")
    transform = time_index(ds).transform
    assessed = map_blocks(
        corners.assess, data, *windows, dims=(*map(str, data.dims[:-1]), "measure"),
        sizes={"measure": 3}, dtype="float64", offset=float(transform.offset),
        dt=float(transform.interval), **options,
    )  # fmt: skip
    return [assessed.isel(measure=number) for number in range(3)]


def _texts(reason: xr.DataArray) -> xr.DataArray:
    width = max(map(len, corners.REASONS))
    return map_blocks(_name, reason, dims=tuple(map(str, reason.dims)), dtype=f"<U{width}")


def _name(block):
    return np.array(corners.REASONS)[block.astype(int)]
