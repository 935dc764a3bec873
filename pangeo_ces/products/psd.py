"""Power spectral densities of long records (McNamara & Buland 2004)."""

from __future__ import annotations

import numba
import numpy as np
import scipy.fft
import xarray as xr

from ..blocks import map_blocks
from ..conventions import MOTION, VARIABLES, quantity_of
from ..errors import ParameterError, SchemaError
from ..lineage import product_attrs
from ..process._runs import records
from ..process.response_values import response_values
from ..registry import operator
from ..timeaxis import sampling_interval
from ._segments import cosine_window, cut_segments, joined

#: Part of a piece that is tapered at each end.
_TAPER = 0.1
#: Smallest power, so that a dead channel has a logarithm (as ObsPy).
_TINY = np.finfo(np.float64).tiny


@operator(needs=("counts", *MOTION), gives="psd")
def power_spectral_density(
    ds: xr.Dataset,
    *,
    ppsd_length: float = 3600.0,
    overlap: float = 0.5,
    period_smoothing_width_octaves: float = 1.0,
    period_step_octaves: float = 0.125,
    period_limits: tuple[float, float] | None = None,
) -> xr.Dataset:
    """Power spectral density of acceleration in successive segments, as ObsPy's ``PPSD``.

    A segment is cut into pieces of the largest power of two below a quarter of it, overlapping by
    three quarters (13 or more); each piece is freed of its line and tapered with a cosine, 10 %
    at each end; the mean of their one-sided periodograms is freed of the instrument, turned into
    dB and averaged in period bands.

    Parameters
    ----------
    ds
        Counts with the responses that ``ces.convert`` stored beside them, or ground motion in SI
        units.  Time may be cut into chunks.
    ppsd_length
        Of a segment, in seconds.
    overlap
        Of successive segments: 0, 1/2, 2/3, 3/4 and so on.
    period_smoothing_width_octaves, period_step_octaves
        Width of a period band, and distance of two.
    period_limits
        Centre of the first band (s), and what that of the last reaches; by default the shortest
        and the longest period of a piece.

    Returns
    -------
    xr.Dataset
        ``psd`` in dB relative to 1 (m/s²)²/Hz over ``(…, station, component, period, time)``,
        float32 as ObsPy's; ``time`` is the start of a segment.  NaN for a segment with a gap,
        a channel without response, and a band that holds no period of the transform.

    Notes
    -----
    Segments begin at the first sample of the axis, those of ObsPy at the first of each trace;
    ObsPy fills gaps with zeros unless ``skip_on_gaps``.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows(quantity="acceleration")
    >>> psd = power_spectral_density(ds, ppsd_length=10.0)["psd"]
    >>> psd.dims, psd.sizes["time"]
    (('event', 'station', 'component', 'period', 'time'), 3)
    """
    for octaves in (period_smoothing_width_octaves, period_step_octaves):
        if not octaves > 0:
            raise ParameterError(f"{octaves} octaves: give a positive number, such as 0.125")
    name = quantity_of(ds, ("counts", *MOTION))
    dt = float(sampling_interval(ds))
    data = ds[name].transpose(..., "time")
    parts, starts = cut_segments(data, ppsd_length, overlap)
    nfft = _piece(int(ppsd_length / dt + 1e-6))
    bands = _bands(nfft, dt, period_smoothing_width_octaves, period_step_octaves, period_limits)
    ids, documents = _responses(ds) if name == "counts" else (None, ())
    psd = map_blocks(
        _densities,
        parts[0],
        *parts[1:],
        *([] if ids is None else [ids]),
        dims=(*map(str, parts[0].dims[:-1]), "period"),
        sizes={"period": len(bands)},
        dtype="float32",
        quantity=name,
        documents=documents,
        dt=dt,
        nfft=nfft,
        bands=bands,
    )
    product = xr.Dataset(attrs=product_attrs(ds))
    product["psd"] = (
        psd.rename(segment="time")
        .transpose(..., "period", "time")
        .assign_coords(starts)
        .assign_coords(period=("period", bands[:, 2], VARIABLES["period"].attrs))
        .assign_attrs(VARIABLES["psd"].attrs)
    )
    return product


def _responses(ds: xr.Dataset) -> tuple[xr.DataArray, tuple[str, ...]]:
    if "response_document" not in ds.variables or "response_id" not in ds.variables:
        raise SchemaError(
            "no instrument responses here: convert with ces.convert(..., stations='stations.xml')"
        )
    return ds["response_id"], tuple(str(text) for text in ds["response_document"].values)


def _piece(samples: int) -> int:
    """Largest power of two in a quarter of a segment."""
    if samples < 16:
        raise ParameterError(f"segments of {samples} samples: give a ppsd_length of 16 or more")
    return 2 ** ((samples // 4).bit_length() - 1)


def _bands(
    nfft: int, dt: float, width: float, step: float, limits: tuple[float, float] | None
) -> np.ndarray:
    """Rows of first period, last period and centre, in seconds.

    Many edges coincide with periods of the transform, and rounding decides which band these belong
    to: the order of the operations is that of ObsPy.
    """
    periods = _periods(nfft, dt)
    first, last = (periods[-1], periods[0]) if limits is None else limits
    if not 0 < first <= last:
        raise ParameterError(f"period_limits {limits}: give two rising numbers of seconds")
    count = int(np.log2(last / first) / step) + 3
    left = np.multiply.accumulate([first / (2**width) ** 0.5, *[2**step] * count])
    right = left * 2**width
    bands = np.stack([left, right, np.sqrt(left * right)], axis=1)
    bands = bands[: np.searchsorted(bands[:, 2], last) + 1]
    return bands[(right[: len(bands)] > periods[-1]) & (left[: len(bands)] < periods[0])]


def _periods(nfft: int, dt: float) -> np.ndarray:
    """Periods of the transform in seconds, falling, without that at zero frequency."""
    return 1.0 / np.fft.rfftfreq(nfft, dt)[1:]


def _rows_of(bands: np.ndarray, periods: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last-but-one of the periods in each band, both edges included."""
    begin = np.searchsorted(-periods, -bands[:, 1], side="left")
    return begin, np.searchsorted(-periods, -bands[:, 0], side="right")


def _densities(block, *others, quantity, documents, dt, nfft, bands):
    ids = others[-1].reshape(-1) if quantity == "counts" else None
    parts = tuple(records(p, 2) for p in (block, *(others if ids is None else others[:-1])))
    channels, segments = parts[0].shape[:2]
    result = np.full((channels, segments, len(bands)), np.nan, np.float32)
    periods = _periods(nfft, dt)
    window = cosine_window(nfft, _TAPER)
    # One-sided: twice the power, but of the Nyquist frequency.
    scale = np.full(len(periods), 2 * dt / (window @ window))
    scale[-1] /= 2
    begin, end = _rows_of(bands, periods)
    count = np.where(end > begin, end - begin, np.nan)
    for channel in range(channels):
        if ids is not None and ids[channel] < 0:
            continue
        document = None if ids is None else documents[ids[channel]]
        gain = scale * _to_acceleration(quantity, periods, document, nfft, dt)
        for segment in range(segments):
            x = joined(parts, (channel, segment))
            if not np.isnan(x).any():
                power = np.maximum(_periodogram(x, nfft, window) * gain, _TINY)
                sums = np.concatenate([[0.0], np.cumsum(10 * np.log10(power))])
                result[channel, segment] = (sums[end] - sums[begin]) / count
    return result.reshape(*block.shape[:-1], len(bands))


def _to_acceleration(quantity, periods, document, nfft, dt):
    """What the power of the record is multiplied with."""
    if quantity == "counts":
        response = response_values(document, nfft, dt, "ACC")[1:]
        with np.errstate(divide="ignore"):
            return 1 / np.abs(response) ** 2
    derivatives = len(MOTION) - 1 - MOTION.index(quantity)
    return (2 * np.pi / periods) ** (2 * derivatives)


def _periodogram(x, nfft, window):
    """Mean power of the pieces, without that at zero."""
    step = nfft - int(0.75 * nfft)
    count = (len(x) - nfft) // step + 1
    power, piece = np.zeros(nfft // 2), np.empty(nfft)
    for number in range(count):
        _tapered_piece(x[number * step : number * step + nfft], window, piece)
        _add_power(scipy.fft.rfft(piece), power)
    return power / count


@numba.njit(nogil=True, cache=True)
def _tapered_piece(x, window, out):
    n = len(x)
    centre = (n - 1) / 2
    total, moment = 0.0, 0.0
    for i in range(n):
        total += x[i]
        moment += x[i] * (i - centre)
    mean, slope = total / n, moment / (n * (n * n - 1.0) / 12)
    for i in range(n):
        out[i] = (x[i] - mean - slope * (i - centre)) * window[i]


@numba.njit(nogil=True, cache=True)
def _add_power(spectrum, out):
    for i in range(len(out)):
        value = spectrum[i + 1]
        out[i] += value.real * value.real + value.imag * value.imag
