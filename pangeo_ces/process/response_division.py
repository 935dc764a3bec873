"""Records divided by their responses, several at a time, at the speed of the transforms."""

from __future__ import annotations

import threading

import numba
import numpy as np
import scipy.fft

from ._runs import over_runs
from .response_values import Kept, response_values

#: Records transformed together: a vector register's worth, so that spectra stay in cache.
_ROWS = 4
#: Largest error of a result in float32, as a fraction of its peak.
_SINGLE = 1e-6
#: Bound of the largest error of a record in float32, in units of 2**-24 and of root mean squares
#: (see :func:`deconvolve`): none of 2,304 results of noise, random walks and decaying signals by
#: real responses that it lets pass is further than 6e-7 of its peak from float64.
_ROUNDINGS = 30.0
#: Bytes of inverted responses that a process keeps.
_KEEP = 128e6

_inverses = Kept(limit=_KEEP, size=lambda kept: kept[0].nbytes)
_scratch = threading.local()


def deconvolve(block, ids, documents, **options):
    """Divide every gap-free run of ``block`` by the response of its channel.

    Parameters
    ----------
    block
        Counts, (..., time).
    ids
        Number of the response of each channel; -1 gives NaN.
    documents
        StationXML of each response.
    options
        ``dt`` (s), ``units`` (evalresp's), ``water_level`` (dB), ``pre_filt`` (Hz), ``mean``,
        ``fraction`` (of both tapers together).

    Notes
    -----
    Rounding spreads evenly over a spectrum, so the division turns an error e of every value of
    it into one of e g, with g the root mean square of the inverted response.  With r the root
    mean square of a padded record and q that of its result, a transform in float32 and back
    errs by at most ``_ROUNDINGS`` 2**-24 (r g + q); where that is more than ``_SINGLE`` of the
    peak of the result, the record is transformed in float64.
    """
    block = np.asarray(block, np.result_type(block.dtype, np.float32))
    return over_runs(_divide, block, ids, documents=documents, **options)


def _divide(x, ids, documents, dt, units, water_level, pre_filt, mean, fraction):
    n = x.shape[1]
    nfft = transform_length(n)
    weights = _edges(n, fraction)
    result = np.empty_like(x)
    result[ids < 0] = np.nan

    def inverses(rows, dtype):
        return [
            _inverse(documents[ids[row]], nfft, dt, units, water_level, pre_filt, dtype)
            for row in rows
        ]

    options = {"mean": mean, "weights": weights, "factors": inverses, "rectified": True}
    return _multiply(x, np.flatnonzero(ids >= 0), nfft, result, **options)


def shape(block, dt, pre_filt):
    """Multiply every gap-free run by the ``pre_filt`` of :func:`deconvolve`, and no more."""
    return over_runs(_shape, block, dt=dt, pre_filt=pre_filt)


def _shape(x, dt, pre_filt):
    nfft = transform_length(x.shape[1])
    weights = band(scipy.fft.rfftfreq(nfft, dt), pre_filt)
    gain = _root_mean_square(weights)

    def factors(rows, dtype):
        return [(weights.astype(dtype(0).real.dtype), gain)] * len(rows)

    options = {"mean": False, "weights": np.ones(0), "factors": factors, "rectified": False}
    return _multiply(x, np.arange(len(x)), nfft, np.empty_like(x), **options)


def transform_length(n: int) -> int:
    """An even length of a fast transform, twice the record or a little more."""
    nfft = scipy.fft.next_fast_len(2 * n, real=True)
    while nfft % 2:
        nfft = scipy.fft.next_fast_len(nfft + 1, real=True)
    return nfft


def _multiply(x, rows, nfft, result, **options):
    """Fill ``rows`` of ``result``, in float32 where that suffices."""
    if x.dtype == np.float32:
        rows = _transform(x, rows, nfft, result, np.float32, **options)
    _transform(x, rows, nfft, result, np.float64, **options)
    return result


def _transform(x, rows, nfft, result, dtype, *, mean, weights, factors, rectified):
    """Fill the rows of ``result``; return those that this dtype is too coarse for."""
    coarse = []
    complex_type = np.complex64 if dtype == np.float32 else np.complex128
    for start in range(0, len(rows), _ROWS):
        group = rows[start : start + _ROWS]
        padded = _padding(len(group), nfft, dtype)
        before, gains, after, peaks = np.empty((4, len(group)))
        _prepare(x, group, mean, weights, padded, before)
        spectrum = scipy.fft.rfft(padded, axis=-1)
        for row, (factor, gain) in enumerate(factors(group, complex_type)):
            spectrum[row] *= factor
            gains[row] = gain
        if rectified:  # as ObsPy
            spectrum[:, -1] = abs(spectrum[:, -1])
        divided = scipy.fft.irfft(spectrum, nfft, axis=-1, overwrite_x=True)
        _finish(divided, group, result, after, peaks)
        error = _ROUNDINGS * 2.0**-24 * (before * gains + after)
        coarse.extend(group[~(np.isfinite(after) & (error <= _SINGLE * peaks))])
    return np.array(coarse, int)


def _padding(rows, nfft, dtype):
    """A buffer of this thread, touched by the system once."""
    buffer = getattr(_scratch, "buffer", None)
    size = rows * nfft * np.dtype(dtype).itemsize
    if buffer is None or buffer.nbytes < size:
        buffer = _scratch.buffer = np.empty(size, np.uint8)
    return buffer[:size].view(dtype).reshape(rows, nfft)


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _prepare(x, rows, mean, weights, padded, sizes):
    """Demeaned, tapered and padded records, and the root mean squares of these."""
    n, ends = x.shape[1], weights.shape[0]
    for number in range(len(rows)):
        record, out = x[rows[number]], padded[number]
        offset = 0.0
        if mean:
            for i in range(n):
                offset += record[i]
            offset /= n
        for i in range(n):
            out[i] = record[i] - offset
        for i in range(ends):
            if i < n - ends:  # where both ends meet, ObsPy keeps the right one
                out[i] *= weights[i]
            out[n - 1 - i] *= weights[i]
        out[n:] = 0.0
        total = 0.0
        for i in range(n):
            total += np.float64(out[i]) * out[i]
        sizes[number] = np.sqrt(total / len(out))


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz", "nnan"})
def _finish(divided, rows, result, sizes, peaks):
    """Keep the record's length; the root mean square and the largest value of the result."""
    n = result.shape[1]
    for number in range(len(rows)):
        record, out = divided[number], result[rows[number]]
        total = 0.0
        peak = abs(record[0])
        for i in range(n):
            value = record[i]
            out[i] = value
            total += np.float64(value) * value
            peak = max(peak, abs(value))
        sizes[number], peaks[number] = np.sqrt(total / len(record)), peak


def _inverse(document, nfft, dt, units, water_level, pre_filt, dtype):
    """Pre-filter divided by the response, and the root mean square of this."""
    key = (document, nfft, dt, units, water_level, pre_filt, dtype)
    return _inverses.get(key, lambda: _invert(*key))


def _invert(document, nfft, dt, units, water_level, pre_filt, dtype):
    values = response_values(document, nfft, dt, units)
    amplitude = np.abs(values)
    if water_level is not None:
        floor = amplitude.max() * 10.0 ** (-water_level / 20)
        low = (amplitude < floor) & (amplitude > 0)
        values[low] *= floor / amplitude[low]
    usable = amplitude > 0
    if water_level is None:
        usable[0] = False
    inverse = np.zeros_like(values)
    inverse[usable] = 1.0 / values[usable]
    if pre_filt is not None:
        inverse *= band(np.arange(len(inverse)) / (nfft * dt), pre_filt)
    gain = _root_mean_square(inverse)
    inverse = inverse.astype(dtype)
    inverse.flags.writeable = False
    return inverse, gain


def _root_mean_square(values):
    return float(np.sqrt(np.mean(abs(values) ** 2)))


def band(frequencies: np.ndarray, corners: tuple[float, ...]) -> np.ndarray:
    """SAC's cosine band: 0 outside f1 and f4, 1 between f2 and f3."""
    f1, f2, f3, f4 = corners
    rise = np.clip((frequencies - f1) / (f2 - f1), 0, 1)
    fall = np.clip((f4 - frequencies) / (f4 - f3), 0, 1)
    return 0.25 * (1 - np.cos(np.pi * rise)) * (1 - np.cos(np.pi * fall))


def _edges(n, fraction):
    """The quarter-cosine ends of ObsPy's ``cosine_taper(n, fraction, sactaper=True)``."""
    ends = int(n * fraction / 2 + 0.5)
    if ends < 1 or fraction <= 0:
        return np.ones(0)
    return np.sin(np.pi / 2 * np.arange(min(ends + 1, n)) / ends)
