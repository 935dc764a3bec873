"""Shift and amplitude by cross-correlation: traveltime, dlnA, similarity at the best shift."""

from __future__ import annotations

import numba
import numpy as np
import scipy.fft

from ._options import Options
from ._windows import SUMS, Cuts, derivative, simpson

#: Windows transformed at once: what stays in the cache.
_TOGETHER = 64
#: Error of correlations of unit energy by transforms of float32, with a margin of ten.
_SINGLE = 5e-6


def similarity(observed, synthetic, cuts: Cuts, dt: float, options: Options, source):
    """1 - cc, cc and the shift (s) of the largest correlation of every window."""
    values = np.full((len(cuts), 3), np.nan)
    lags = best_lags(observed, synthetic, cuts)
    for number, weights, (d, s) in cuts.pieces(observed, synthetic):
        dd, ss = np.square(d).sum(), np.square(s).sum()
        if dd == 0 or ss == 0:
            continue
        shift, aligned = between(d, s, lags[number])
        cc = np.dot(aligned, s) / np.sqrt(dd * ss)
        values[number] = 1 - cc, cc, shift * dt
        if source is not None:  # at the best shift, cc does not change with the shift
            f = (cc * s / ss - aligned / np.sqrt(dd * ss)) / dt
            source[cuts.row[number], cuts.begin[number] : cuts.end[number]] += weights * f
    return values


def traveltime(observed, synthetic, cuts: Cuts, dt: float, options: Options, source):
    """Misfit, shift (s), dlnA and the errors of both, of every window."""
    shifts = best_lags(observed, synthetic, cuts)
    if options.subsample:
        for number, _, (d, s) in cuts.pieces(observed, synthetic):
            shifts[number], _ = between(d, s, shifts[number])
    return traveltime_at(shifts, observed, synthetic, cuts, dt, options, source)


def traveltime_at(shifts, observed, synthetic, cuts: Cuts, dt: float, options: Options, source):
    """As :func:`traveltime`, with the shifts (samples) known."""
    values = np.full((len(cuts), 5), np.nan)
    longest = int((cuts.end - cuts.begin).max(initial=0))
    _traveltimes(
        observed, synthetic, cuts.row, cuts.begin, cuts.end, cuts.taper_at, cuts.tapers, shifts,
        dt, options.use_cc_error, options.dt_sigma_min, options.dlna_sigma_min,
        options.measure_type == "am", longest, values,
        np.empty((0, 0)) if source is None else source,
    )  # fmt: skip
    return values


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def _traveltimes(
    observed, synthetic, row, begin, end, taper_at, tapers, shifts, dt, use_cc_error,
    dt_sigma_min, dlna_sigma_min, amplitude, longest, values, source,
):  # fmt: skip
    d_all, s_all = np.empty(longest), np.empty(longest)
    v_all, y_all = np.empty(longest), np.empty(longest)
    for w in range(len(row)):
        first, n = begin[w], end[w] - begin[w]
        weights = tapers[taper_at[w] : taper_at[w] + n]
        d, s, v, y = d_all[:n], s_all[:n], v_all[:n], y_all[:n]
        x, z = observed[row[w], first : first + n], synthetic[row[w], first : first + n]
        dd, ss = 0.0, 0.0
        for i in range(n):
            d[i], s[i] = x[i] * weights[i], z[i] * weights[i]
            dd += d[i] * d[i]
            ss += s[i] * s[i]
        if dd == 0 or ss == 0:
            continue
        shift, dlna = shifts[w] * dt, 0.5 * np.log(dd / ss)
        dt_error, dlna_error = 1.0, 1.0
        if use_cc_error:
            dt_error, dlna_error = cc_errors(d, s, round(shifts[w]), dlna, dt, y, v)
            dt_error = dt_error if dt_error >= dt_sigma_min else dt_sigma_min  # also for NaN
            dlna_error = dlna_error if dlna_error >= dlna_sigma_min else dlna_sigma_min
        misfit = 0.5 * (dlna / dlna_error) ** 2 if amplitude else 0.5 * (shift / dt_error) ** 2
        values[w, 0], values[w, 1], values[w, 2] = misfit, shift, dlna
        values[w, 3], values[w, 4] = dt_error, dlna_error
        if not source.size:
            continue
        if amplitude:
            for i in range(n):
                v[i], y[i] = s[i], s[i] * s[i]
            factor = -dlna / simpson(y, dt) / dlna_error**2
        else:
            derivative(s, dt, v)
            for i in range(n):
                y[i] = v[i] * v[i]
            factor = shift / simpson(y, dt) / dt_error**2
        out = source[row[w], first : first + n]
        for i in range(n):
            out[i] += weights[i] * factor * v[i]


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def cc_errors(d, s, lag, dlna, dt, y, v):
    """Errors of shift and dlnA if what is left after shifting and scaling is uncorrelated."""
    n, scale = len(d), np.exp(dlna)
    left, energy, slope = 0.0, 0.0, 0.0
    for i in range(n):
        y[i] = s[i - lag] if 0 <= i - lag < n else 0.0
        energy += y[i] * y[i]
        y[i] *= scale
        left += (d[i] - y[i]) ** 2
    derivative(y, dt, v)
    for i in range(n):
        slope += v[i] * v[i]
    return (
        np.sqrt(left / slope) if slope > 0 else np.nan,
        np.sqrt(left / energy) if energy > 0 else np.nan,
    )


def best_lags(observed, synthetic, cuts: Cuts) -> np.ndarray:
    """Shift of the largest cross-correlation of the tapered windows, in whole samples.

    Positive where the observed comes later.  Transforms of float32 find the lags that may be it,
    sums of float64 the one that is.
    """
    lags = np.zeros(len(cuts))
    lengths = cuts.end - cuts.begin
    sizes = np.array([scipy.fft.next_fast_len(2 * int(n) - 1, real=True) for n in lengths], int)
    for size in np.unique(sizes):
        same = np.flatnonzero(sizes == size)
        for at in range(0, len(same), _TOGETHER):
            some = cuts.take(same[at : at + _TOGETHER])
            windows = (observed, synthetic, some.row, some.begin, some.end, some.taper_at,
                       cuts.tapers)  # fmt: skip
            padded = np.zeros((2, len(some), size), np.float32)
            _fill(*windows, padded)
            d, s = scipy.fft.rfft(padded, axis=-1, overwrite_x=True)
            d *= s.conj()
            correlation = scipy.fft.irfft(d, size, axis=-1, overwrite_x=True)
            _leave_out(some.end - some.begin, correlation)
            near = correlation.max(axis=-1) - np.float32(_SINGLE)
            lags[same[at : at + _TOGETHER]] = _largest(*windows, correlation, near)
    return lags


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def _fill(observed, synthetic, row, begin, end, taper_at, tapers, out):
    """Tapered windows of unit energy."""
    for w in range(len(row)):
        n = end[w] - begin[w]
        weights = tapers[taper_at[w] : taper_at[w] + n]
        for side in range(2):
            x = (observed if side == 0 else synthetic)[row[w], begin[w] : end[w]]
            energy = 0.0
            for i in range(n):
                energy += (weights[i] * x[i]) ** 2
            scale = 1 / np.sqrt(energy) if energy > 0 else 0.0
            for i in range(n):
                out[side, w, i] = scale * weights[i] * x[i]


@numba.njit(nogil=True, cache=True)
def _leave_out(lengths, correlation):
    """Lags of no overlap are none."""
    for w in range(len(lengths)):
        correlation[w, lengths[w] : correlation.shape[1] - lengths[w] + 1] = -np.inf


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def _largest(observed, synthetic, row, begin, end, taper_at, tapers, correlation, near):
    """Lag of the largest correlation of every window; from the most negative on, the first."""
    found = np.zeros(len(row))
    size = correlation.shape[1]
    for w in range(len(row)):
        n, best = end[w] - begin[w], -np.inf
        weights = tapers[taper_at[w] : taper_at[w] + n]
        d, s = observed[row[w], begin[w] : end[w]], synthetic[row[w], begin[w] : end[w]]
        for start, part in ((1 - n, correlation[w, size + 1 - n :]), (0, correlation[w, :n])):
            for i in range(len(part)):
                if part[i] < near[w]:
                    continue
                lag, total = start + i, 0.0
                for k in range(max(0, -lag), min(n, n - lag)):
                    total += weights[k + lag] * d[k + lag] * weights[k] * s[k]
                if total > best:
                    best, found[w] = total, lag
    return found


def between(d: np.ndarray, s: np.ndarray, lag: float) -> tuple[float, np.ndarray]:
    """Shift (samples) of the largest band-limited correlation near a lag, and d moved by it."""
    size = scipy.fft.next_fast_len(2 * len(d) - 1, real=True)
    spectra = scipy.fft.rfft(np.stack([d, s]), size, axis=-1)
    shift = _summit(spectra[0] * spectra[1].conj(), size, lag)
    turn = np.exp(2j * np.pi / size * shift * np.arange(spectra.shape[-1]))
    return shift, scipy.fft.irfft(spectra[0] * turn, size)[: len(d)]


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def _summit(cross, size, lag):
    """Newton's method on the slope of the correlation, kept within a sample by bisection."""
    left, right = lag - 1.0, lag + 1.0
    for _ in range(60):
        slope, bend = 0.0, 0.0
        for k in range(1, (size + 1) // 2):  # the Nyquist frequency has no phase
            omega = 2 * np.pi * k / size
            turned = cross[k] * np.exp(1j * omega * lag)
            slope -= omega * turned.imag
            bend -= omega * omega * turned.real
        if slope > 0:
            left = lag
        else:
            right = lag
        previous = lag
        lag = lag - slope / bend if bend < 0 else left
        if not left < lag < right:
            lag = 0.5 * (left + right)
        if abs(lag - previous) < 1e-12:
            break
    return lag
