"""Butterworth filters as ObsPy has them: second-order sections, causal or run both ways."""

from __future__ import annotations

import xarray as xr
from scipy.signal import iirfilter

from ..blocks import map_time
from ..conventions import QUANTITIES, quantity_of
from ..errors import ParameterError
from ..registry import operator
from ..timeaxis import sampling_interval
from ._runs import over_runs
from ._waveform import replace
from .sections import sosfilt

#: Where time is cut into chunks, a filter sees this many periods of its lowest corner beyond the
#: chunk; the impulse response of 4 corners has fallen below 1e-6 of its peak by then.
PERIODS_OF_OVERLAP = 10


@operator(needs=QUANTITIES)
def bandpass(
    ds: xr.Dataset, *, freqmin: float, freqmax: float, corners: int = 4, zerophase: bool = False
) -> xr.Dataset:
    """Butterworth band-pass between ``freqmin`` and ``freqmax``.

    Parameters
    ----------
    ds
        Waveforms, any quantity.
    freqmin, freqmax
        Corner frequencies in Hz, below the Nyquist frequency.
    corners
        Order of the filter.
    zerophase
        Run forward and backward: no phase shift, twice the order.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows()
    >>> bandpass(ds, freqmin=0.5, freqmax=5.0)["counts"].dims
    ('event', 'station', 'component', 'time')
    """
    if not freqmin < freqmax:
        raise ParameterError(f"freqmin {freqmin} Hz is not below freqmax {freqmax} Hz: swap them")
    return _filter(ds, "bandpass", [freqmin, freqmax], corners, zerophase)


@operator(needs=QUANTITIES)
def highpass(
    ds: xr.Dataset, *, freq: float, corners: int = 4, zerophase: bool = False
) -> xr.Dataset:
    """Butterworth high-pass above ``freq`` (Hz); see :func:`bandpass`."""
    return _filter(ds, "highpass", [freq], corners, zerophase)


@operator(needs=QUANTITIES)
def lowpass(
    ds: xr.Dataset, *, freq: float, corners: int = 4, zerophase: bool = False
) -> xr.Dataset:
    """Butterworth low-pass below ``freq`` (Hz); see :func:`bandpass`."""
    return _filter(ds, "lowpass", [freq], corners, zerophase)


def _filter(
    ds: xr.Dataset, kind: str, corner_frequencies: list[float], corners: int, zerophase: bool
) -> xr.Dataset:
    nyquist = 0.5 / float(sampling_interval(ds))
    for frequency in corner_frequencies:
        if not 0 < frequency < nyquist:
            raise ParameterError(
                f"{kind} corner {frequency} Hz: give one above 0 and below the Nyquist frequency "
                f"of these records, {nyquist:g} Hz"
            )
    if corners < 1:
        raise ParameterError(f"{corners} corners: give at least 1")
    relative = [frequency / nyquist for frequency in corner_frequencies]
    sos = iirfilter(
        corners, relative if len(relative) > 1 else relative[0], btype=kind, ftype="butter",
        output="sos",
    )  # fmt: skip
    name = quantity_of(ds)
    reach = PERIODS_OF_OVERLAP * corners / 4 / min(corner_frequencies)
    overlap = (reach, reach if zerophase else 0.0)
    filtered = map_time(_sosfilt_runs, ds[name], overlap_s=overlap, sos=sos, zerophase=zerophase)
    return replace(ds, name, name, filtered)


def _sosfilt_runs(block, sos, zerophase):
    return over_runs(sosfilt, block, sos=sos, zerophase=zerophase)
