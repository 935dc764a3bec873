"""How well observed and synthetic agree within a window: shift, correlation, amplitude, noise."""

from __future__ import annotations

import numba
import numpy as np
import scipy.fft

from .rules import AMPLITUDE, CROSS_CORRELATION, NONE, SIGNAL_TO_NOISE, TIME_SHIFT

#: Longer windows are correlated by Fourier transforms.
_DIRECT = 640
_FAST = {"reassoc", "contract", "nsz"}


def fit(observed: np.ndarray, synthetic: np.ndarray, intervals: np.ndarray) -> np.ndarray:
    """Shift, correlation and amplitude ratio of windows of one pair.

    The shift is that of the largest cross-correlation of the two windows, over all lags.

    Parameters
    ----------
    observed, synthetic : (samples,)
    intervals : (count, 2) int64
        First and last sample, both included.

    Returns
    -------
    (count, 3)
        Shift in samples, positive where the observed comes later; normalised cross-correlation at
        that shift; 0.5 ln of the energy ratio, observed over synthetic, without a shift.
    """
    result = np.empty((len(intervals), 3))
    _fit_short(observed, synthetic, intervals, _DIRECT, result)
    for number in np.flatnonzero(intervals[:, 1] - intervals[:, 0] >= _DIRECT):
        left, right = intervals[number]
        one, two = observed[left : right + 1], synthetic[left : right + 1]
        size = scipy.fft.next_fast_len(2 * one.size - 1, real=True)
        spectrum = scipy.fft.rfft(one, size) * scipy.fft.rfft(two, size).conj()
        sums = scipy.fft.irfft(spectrum, size)
        lags = np.roll(sums, one.size - 1)[: 2 * one.size - 1]
        best = int(lags.argmax())
        result[number] = best - one.size + 1, lags[best], 0.0
        _normalise(one, two, result[number])
    return result


@numba.njit(nogil=True, cache=True)
def _fit_short(observed, synthetic, intervals, longest, out):
    for number in range(intervals.shape[0]):
        left, right = intervals[number]
        if right - left >= longest:
            continue
        one, two = observed[left : right + 1], synthetic[left : right + 1]
        n = one.size
        best, best_lag = -np.inf, 0
        for lag in range(1 - n, n):
            low, high = max(0, -lag), min(n, n - lag)
            total = _dot(one[low + lag : high + lag], two[low:high])
            if total > best:
                best, best_lag = total, lag
        out[number, 0], out[number, 1] = best_lag, best
        _normalise(one, two, out[number])


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def _dot(one, two):
    total = 0.0
    for i in range(one.size):
        total += one[i] * two[i]
    return total


@numba.njit(nogil=True, cache=True)
def _normalise(one, two, out):
    """From the best sum of products to correlation and amplitude ratio; NaN for no energy."""
    energies = _dot(one, one), _dot(two, two)
    norm = np.sqrt(energies[0] * energies[1])
    if norm > 0.0:
        out[1] /= norm
        out[2] = 0.5 * np.log(energies[0] / energies[1])
    else:
        out[1:] = np.nan


@numba.njit(nogil=True, cache=True)
def verdicts(measured, rules, out):
    """The first rule on the fit that rejects each window; ``measured`` as :func:`fit` has it."""
    for number in range(measured.shape[0]):
        shift, cc, dlna = measured[number]
        if abs(shift * rules.dt - rules.tshift_reference) >= rules.tshift_acceptance_level:
            out[number] = TIME_SHIFT
        elif not abs(dlna - rules.dlna_reference) <= rules.dlna_acceptance_level:
            out[number] = AMPLITUDE
        elif not cc >= rules.cc_acceptance_level:
            out[number] = CROSS_CORRELATION
        else:
            out[number] = NONE


@numba.njit(nogil=True, cache=True)
def level(samples, energy):
    """Peak amplitude, or mean energy, of some samples; NaN for none."""
    if not samples.size:
        return np.nan
    if energy:
        return _dot(samples, samples) / samples.size
    peak = 0.0
    for sample in samples:
        peak = max(peak, abs(sample))
    return peak


@numba.njit(nogil=True, cache=True)
def above_noise(observed, intervals, noise, rules, out):
    """Reject windows that stand too little above the noise; none where the noise is NaN or 0."""
    for number in range(intervals.shape[0]):
        left, right = intervals[number]
        if noise > 0.0:
            # The last sample takes no part, as in pyflex.
            signal = level(observed[left:right], rules.energy)
            out[number] = SIGNAL_TO_NOISE if signal / noise < rules.s2n_limit else NONE
        else:
            out[number] = NONE
