"""Envelope of the synthetic, its short-term over long-term average, and the extrema of that."""

from __future__ import annotations

import numba
import numpy as np
import scipy.fft

#: Samples of noise before the record, over which the averages warm up.
_WARM_UP = 1000
#: Noise that is added to the envelope, as a fraction of its maximum.
_NOISE = 1e-5
#: Long-term over short-term time constant.
_LONG = 12


def envelope(record: np.ndarray) -> np.ndarray:
    """Absolute value of the analytic signal of one record, not padded."""
    n = record.size
    # One row at a time: the rounding of a transform may depend on its neighbours in a batch.
    spectrum = np.zeros(n, np.complex128)
    half = scipy.fft.rfft(record)
    spectrum[: half.size] = half
    spectrum[1 : (n + 1) // 2] *= 2
    return np.abs(scipy.fft.ifft(spectrum, overwrite_x=True))


@numba.njit(nogil=True, cache=True)
def sta_lta(signal, dt, min_period, floor):
    """Recursive short-term over long-term average of an envelope (Maggi et al. 2009, eq. 1-3).

    Both averages forget by the factor 10 in ``min_period`` and in 12 of them.

    Parameters
    ----------
    signal : (samples,)
    dt, min_period
        s.
    floor
        Where the long-term average is below this (in units of the signal), the result is the
        noise level; 0 for none.
    """
    short = 10.0 ** (-dt / min_period)
    long = 10.0 ** (-dt / (_LONG * min_period))
    noise = _NOISE * signal.max()
    sta, lta = 0.0, 0.0
    for _ in range(_WARM_UP):
        sta = noise + short * sta
        lta = noise + long * lta
    result = np.empty(signal.size)
    for i in range(signal.size):
        sta = signal[i] + noise + short * sta
        lta = signal[i] + noise + long * lta
        result[i] = sta / lta if lta >= floor and lta > 0.0 else noise
    return result


@numba.njit(nogil=True, cache=True)
def extrema(values, periodic):
    """Sample numbers of maxima and of minima; the first one of a plateau.

    Parameters
    ----------
    values : (samples,)
    periodic
        Whether a plateau at the start is an extremum when it would be in a periodic record.
        Otherwise the ends are none.

    Returns
    -------
    maxima, minima : int64
    """
    n = values.size
    maxima, minima = np.empty(n, np.int64), np.empty(n, np.int64)
    tops, bottoms = 0, 0
    before = 0
    if periodic:
        for i in range(n - 1, 0, -1):
            if values[i] != values[i - 1]:
                before = 1 if values[i] > values[i - 1] else -1
                break
        if n > 1 and values[1] != values[0]:
            before = 0  # no plateau
    first = 0
    for i in range(1, n):
        if values[i] == values[i - 1]:
            continue
        after = 1 if values[i] > values[i - 1] else -1
        if before > 0 and after < 0:
            maxima[tops] = first
            tops += 1
        elif before < 0 and after > 0:
            minima[bottoms] = first
            bottoms += 1
        before, first = after, i
    return maxima[:tops], minima[:bottoms]
