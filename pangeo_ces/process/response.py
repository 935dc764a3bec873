"""Taking the instrument off: full response by evalresp, or sensitivity alone.

Every distinct response is evaluated once for each record length and kept; whole batches of
records are then divided by it.
"""

from __future__ import annotations

import functools
import io
import threading
import warnings
from typing import Literal

import numpy as np
import obspy
import scipy.fft
import xarray as xr

from ..blocks import map_time
from ..conventions import VARIABLES, quantity_of
from ..errors import InputError, ParameterError, SchemaError
from ..registry import operator
from ..timeaxis import sampling_interval
from ._runs import over_runs
from ._waveform import replace

_UNITS = {"displacement": "DISP", "velocity": "VEL", "acceleration": "ACC"}
#: evalresp keeps its state in C globals.
_EVALRESP = threading.Lock()


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
    """
    if output not in _UNITS:
        raise ParameterError(f"output {output!r}: use one of {', '.join(_UNITS)}")
    if not 0 <= taper_fraction <= 1:
        raise ParameterError(f"taper_fraction {taper_fraction}: give a fraction from 0 to 1")
    documents = _documents(ds)
    name = quantity_of(ds, ["counts"])
    restituted = map_time(
        _deconvolve,
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
    shaped = map_time(_shape_runs, ds[name], dt=dt, pre_filt=_corners(pre_filt))
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


def _deconvolve(block, ids, documents, **options):
    result = np.full(block.shape, np.nan, np.result_type(block.dtype, np.float32))
    for number in np.unique(ids[ids >= 0]):
        chosen = ids == number
        result[chosen] = over_runs(
            _divide_spectrum, block[chosen].astype(result.dtype), document=documents[number],
            **options,
        )  # fmt: skip
    return result


def _divide_spectrum(x, document, dt, units, water_level, pre_filt, mean, fraction):
    n = x.shape[1]
    nfft = scipy.fft.next_fast_len(2 * n, real=True)
    nfft += nfft % 2
    inverse = _inverse(document, nfft, dt, units, water_level, pre_filt)
    weights = _sac_taper(n, fraction)
    result = np.empty(x.shape, x.dtype)
    # Row by row: one spectrum stays in cache, and memory does not grow with the batch.
    for row in range(len(x)):
        y = x[row].astype(np.float64)
        if mean:
            y -= y.mean()
        if weights is not None:
            y *= weights
        spectrum = scipy.fft.rfft(y, nfft, overwrite_x=True)
        spectrum *= inverse
        spectrum[-1] = abs(spectrum[-1])
        result[row] = scipy.fft.irfft(spectrum, nfft, overwrite_x=True)[:n]
    return result


@functools.lru_cache(maxsize=64)
def _inverse(document, nfft, dt, units, water_level, pre_filt):
    """Pre-filter divided by the response, for every frequency of a transform of ``nfft``."""
    with _EVALRESP, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # evalresp's remarks on sensitivities that disagree
        response = _parse(document)
        try:
            values, frequencies = response.get_evalresp_response(
                dt, nfft, output=units, hide_sensitivity_mismatch_warning=True
            )
        except Exception as error:
            raise InputError(
                f"evalresp cannot evaluate a response ({error}): correct the StationXML, or use "
                "ces.remove_sensitivity"
            ) from error
    amplitude = np.abs(values)
    if water_level is not None:
        floor = amplitude.max() * 10.0 ** (-water_level / 20)
        low = (amplitude < floor) & (amplitude > 0)
        values[low] *= floor / amplitude[low]
    usable = np.abs(values) > 0
    if water_level is None:
        usable[0] = False
    inverse = np.zeros_like(values)
    inverse[usable] = 1.0 / values[usable]
    if pre_filt is not None:
        inverse *= _band(frequencies, pre_filt)
    inverse.flags.writeable = False
    return inverse


def _parse(document):
    inventory = obspy.read_inventory(io.BytesIO(document.encode()), format="STATIONXML")
    return inventory[0][0][0].response


def _shape_runs(block, dt, pre_filt):
    return over_runs(_shape, block, dt=dt, pre_filt=pre_filt)


def _shape(x, dt, pre_filt):
    n = x.shape[1]
    nfft = scipy.fft.next_fast_len(2 * n, real=True)
    band = _band(scipy.fft.rfftfreq(nfft, dt), pre_filt)
    spectrum = scipy.fft.rfft(x.astype(np.float64), nfft, axis=-1) * band
    return scipy.fft.irfft(spectrum, nfft, axis=-1)[:, :n].astype(x.dtype)


def _band(frequencies, corners):
    """SAC's cosine band: 0 outside f1 and f4, 1 between f2 and f3."""
    f1, f2, f3, f4 = corners
    rise = np.clip((frequencies - f1) / (f2 - f1), 0, 1)
    fall = np.clip((f4 - frequencies) / (f4 - f3), 0, 1)
    return 0.25 * (1 - np.cos(np.pi * rise)) * (1 - np.cos(np.pi * fall))


def _sac_taper(n, fraction):
    """The quarter-cosine ends of ObsPy's ``cosine_taper(n, fraction, sactaper=True)``."""
    ends = int(n * fraction / 2 + 0.5)
    if ends < 1 or fraction <= 0:
        return None
    weights = np.ones(n)
    edge = np.sin(np.pi / 2 * np.arange(ends + 1) / ends)
    weights[: ends + 1] = edge[:n]
    weights[n - ends - 1 :] = edge[::-1][-n:]
    return weights
