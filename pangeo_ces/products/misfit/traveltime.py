"""Shift and amplitude by cross-correlation: traveltime, dlnA, similarity at the best shift."""

from __future__ import annotations

import numba
import numpy as np
import scipy.fft

from ._lags import best_lags
from ._options import Options
from ._windows import SUMS, Cuts, derivative, simpson


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
    _traveltimes(
        observed, synthetic, *cuts.places, cuts.longest, shifts, dt, options.use_cc_error,
        options.dt_sigma_min, options.dlna_sigma_min, options.measure_type == "am", values,
        np.empty((0, 0)) if source is None else source,
    )  # fmt: skip
    return values


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def _traveltimes(
    observed, synthetic, row, begin, end, taper_at, tapers, longest, shifts, dt, use_cc_error,
    dt_sigma_min, dlna_sigma_min, amplitude, values, source,
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
            dt_error, dlna_error = cc_errors(d, s, round(shifts[w]), dlna, dt, y)
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
def cc_errors(d, s, lag, dlna, dt, moved):
    """Errors of shift and dlnA if what is left after shifting and scaling is uncorrelated."""
    n, scale = len(d), np.exp(dlna)
    first, stop = min(max(lag, 0), n), max(min(n + lag, n), 0)
    moved[:first], moved[stop:] = 0.0, 0.0
    there, from_there = moved[first:stop], s[first - lag : stop - lag]
    energy, left, slope = 0.0, 0.0, 0.0
    for i in range(stop - first):
        energy += from_there[i] * from_there[i]
        there[i] = scale * from_there[i]
    for i in range(n):
        left += (d[i] - moved[i]) ** 2
    for i in range(1, n - 1):
        slope += (moved[i + 1] - moved[i - 1]) ** 2
    slope = slope / 4 + (moved[1] - moved[0]) ** 2 + (moved[n - 1] - moved[n - 2]) ** 2
    return (
        dt * np.sqrt(left / slope) if slope > 0 else np.nan,
        np.sqrt(left / energy) if energy > 0 else np.nan,
    )


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
