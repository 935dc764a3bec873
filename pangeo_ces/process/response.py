"""Taking the instrument off: full response by evalresp, or sensitivity alone."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from ..blocks import map_time
from ..conventions import VARIABLES, quantity_of
from ..errors import ParameterError, SchemaError
from ..registry import operator
from ..timeaxis import sampling_interval
from ._waveform import replace
from .response_division import deconvolve, shape

_UNITS = {"displacement": "DISP", "velocity": "VEL", "acceleration": "ACC"}


@operator(needs="counts", gives=tuple(_UNITS))
def remove_response(
    ds: xr.Dataset,
    *,
    output: Literal["displacement", "velocity", "acceleration"] = "velocity",
    water_level: float | None = 60.0,
    pre_filt: tuple[float, float, float, float] | None = None,
    zero_mean: bool = True,
    taper: bool = True,
    taper_fraction: float = 0.05,
) -> xr.Dataset:
    """Deconvolve the instrument response, with ObsPy's ``Trace.remove_response`` semantics.

    Parameters
    ----------
    ds
        Counts, with the responses that ``ces.convert`` stored beside them.
    output
        Ground motion to return: displacement (m), velocity (m/s) or acceleration (m/s²).
    water_level
        Smallest spectral amplitude divided by, in dB below the largest; ``None`` for none.
    pre_filt
        Corners in Hz of a cosine taper in the frequency domain, rising from the first to the
        second and falling from the third to the fourth.
    zero_mean, taper, taper_fraction
        Subtract the mean and taper the ends (this fraction in all) before the transform.

    Returns
    -------
    xr.Dataset
        ``output`` in SI units; NaN where a channel has no response.

    Notes
    -----
    The record is padded to at least twice its length with zeros; ObsPy's padding can be a few
    samples shorter, which changes results only below the lowest frequency of the record.

    float32 counts are transformed in float32 where that costs less than 1e-6 of the peak of the
    result, and in float64 else, channel by channel (see
    :func:`pangeo_ces.process.response_division.deconvolve`).  Strong amplification of what the
    record hardly holds needs float64: no ``pre_filt`` and a response that falls far below its
    largest value inside the band, or no ``water_level``.

    Examples
    --------
    >>> ds = pangeo_ces.open_store(pangeo_ces.samples.german_events("memory://removal"))
    >>> ds = ds["windows/main/observed/20Hz"].to_dataset()
    >>> remove_response(ds, pre_filt=(0.008, 0.015, 4, 8))["velocity"].attrs["units"]
    'm s-1'
    """
    if output not in _UNITS:
        raise ParameterError(f"output {output!r}: use one of {', '.join(_UNITS)}")
    if not 0 <= taper_fraction <= 1:
        raise ParameterError(f"taper_fraction {taper_fraction}: give a fraction from 0 to 1")
    documents = _documents(ds)
    name = quantity_of(ds, ["counts"])
    restituted = map_time(
        deconvolve,
        ds[name],
        ds["response_id"],
        documents=documents,
        dt=float(sampling_interval(ds)),
        units=_UNITS[output],
        water_level=water_level,
        pre_filt=None if pre_filt is None else _corners(pre_filt),
        mean=zero_mean,
        fraction=taper_fraction if taper else 0.0,
        dtype=np.result_type(ds[name].dtype, np.float32),
    )
    return replace(ds, name, output, restituted)


@operator(needs="counts", gives=tuple(_UNITS))
def remove_sensitivity(ds: xr.Dataset) -> xr.Dataset:
    """Divide by the overall sensitivity: counts to what the sensor measures.

    Exact within the flat part of the response only.  The channels must all measure the same
    (coordinate ``input_quantity``, as ``ces.convert`` wrote it).
    """
    if "sensitivity" not in ds.coords:
        raise SchemaError("no sensitivity coordinate: convert with ces.convert(..., stations=…)")
    quantity = input_quantity(ds)
    name = quantity_of(ds, ["counts"])
    dtype = np.result_type(ds[name].dtype, np.float32)
    scaled = map_time(_divide, ds[name], ds["sensitivity"], dtype=dtype)
    return replace(ds, name, quantity, scaled)


@operator(needs=("counts", *_UNITS))
def prefilter(ds: xr.Dataset, *, pre_filt: tuple[float, float, float, float]) -> xr.Dataset:
    """The ``pre_filt`` of :func:`remove_response` alone, so that synthetics lose the same band.

    Parameters
    ----------
    ds
        Waveforms, any quantity.
    pre_filt
        Four rising corner frequencies in Hz.
    """
    name = quantity_of(ds)
    dt = float(sampling_interval(ds))
    shaped = map_time(shape, ds[name], dt=dt, pre_filt=_corners(pre_filt))
    return replace(ds, name, name, shaped)


def input_quantity(ds: xr.Dataset) -> str:
    """What the sensors of ``ds`` measure: ``displacement``, ``velocity`` or ``acceleration``.

    Raises
    ------
    SchemaError
        When they differ, or none is known.
    """
    if "input_quantity" not in ds.coords:
        raise SchemaError("no input_quantity coordinate: convert with ces.convert(stations=…)")
    kinds = sorted({str(kind) for kind in ds["input_quantity"].values.ravel()} - {""})
    if len(kinds) != 1 or kinds[0] not in VARIABLES:
        raise SchemaError(
            f"the channels measure {', '.join(kinds) or 'an unknown quantity'}: select stations "
            "of one kind, or use ces.remove_response(output=…), which brings all to one"
        )
    return kinds[0]


def _documents(ds: xr.Dataset) -> tuple[str, ...]:
    if "response_document" not in ds.variables or "response_id" not in ds.variables:
        raise SchemaError(
            "no instrument responses here: convert with ces.convert(..., stations='stations.xml')"
        )
    return tuple(str(document) for document in ds["response_document"].values)


def _corners(pre_filt: tuple[float, ...]) -> tuple[float, ...]:
    corners = tuple(float(f) for f in pre_filt)
    if len(corners) != 4 or not 0 <= corners[0] < corners[1] < corners[2] < corners[3]:
        raise ParameterError(f"pre_filt {pre_filt}: give four rising frequencies in Hz")
    return corners


def _divide(block, sensitivity):
    return (block / sensitivity[..., None]).astype(np.result_type(block.dtype, np.float32))
