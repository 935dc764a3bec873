"""Misfits of samples and of amplitudes: differences, correlation without shift, ratios."""

from __future__ import annotations

import numba
import numpy as np
from scipy.signal import fftconvolve

from ._options import Options
from ._windows import SUMS, Cuts, simpson

#: Measures of the kernel below, by number, and the second value that each gives.
_KINDS = {
    "waveform": 0,
    "waveform_l1": 1,
    "waveform_normalised": 2,
    "waveform_l1_normalised": 3,
    "zero_lag_cc": 4,
    "log_amplitude": 5,
    "sqrt_amplitude": 6,
}


def measure(observed, synthetic, cuts: Cuts, dt: float, options: Options, source):
    """Misfit of every window, and its measurement where it has one; adds to ``source``."""
    values = np.full((len(cuts), 2), np.nan)
    if options.measure == "convolution":
        for number, weights, (d, s) in cuts.pieces(observed, synthetic):
            product = fftconvolve(s, d, "same")
            values[number, 0] = 0.5 * simpson(product**2, dt)
            if source is not None:
                f = fftconvolve(product, d[::-1], "full")[len(d) // 2 :][: len(d)]
                source[cuts.row[number], cuts.begin[number] : cuts.end[number]] += weights * f
        return values
    _windows(
        observed, synthetic, *cuts.places, cuts.longest,
        _KINDS[options.measure], options.amplitude == "peak", dt, values,
        np.empty((0, 0)) if source is None else source,
    )  # fmt: skip
    return values


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def _windows(
    observed, synthetic, row, begin, end, taper_at, tapers, longest, kind, peak, dt, values, source
):  # fmt: skip
    d_all, s_all = np.empty(longest), np.empty(longest)
    y_all, f_all = np.empty(longest), np.empty(longest)
    for w in range(len(row)):
        first, n = begin[w], end[w] - begin[w]
        weights = tapers[taper_at[w] : taper_at[w] + n]
        d, s, y, f = d_all[:n], s_all[:n], y_all[:n], f_all[:n]
        x, z = observed[row[w], first : first + n], synthetic[row[w], first : first + n]
        if kind == 0:  # in one pass: what most ask for is bound by memory
            values[w, 0] = _squares(x, z, weights, dt, y, f)
        else:
            for i in range(n):
                d[i], s[i] = x[i] * weights[i], z[i] * weights[i]
            if kind <= 3:
                _difference(d, s, kind, dt, y, f, values[w])
            elif kind == 4:
                _correlation(d, s, dt, f, values[w])
            else:
                _amplitude(d, s, kind == 6, peak, dt, f, values[w])
        if source.size and np.isfinite(values[w, 0]):
            out = source[row[w], first : first + n]
            for i in range(n):
                out[i] += weights[i] * f[i]


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def _squares(x, z, weights, dt, y, f):
    for i in range(len(f)):
        f[i] = (z[i] - x[i]) * weights[i]
        y[i] = 0.5 * f[i] * f[i]
    return simpson(y, dt)


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def _difference(d, s, kind, dt, y, f, value):
    """L1 of the difference (1, 3) or L2 (2), as it is (1) or over that of the observed."""
    for i in range(len(d)):
        f[i] = s[i] - d[i]
    scale = 1.0
    if kind >= 2:
        for i in range(len(d)):
            y[i] = abs(d[i]) if kind == 3 else d[i] * d[i]
        norm = simpson(y, dt)
        scale = 1 / norm if norm > 0 else np.nan
    if kind == 2:
        for i in range(len(d)):
            y[i] = 0.5 * f[i] * f[i]
    else:
        for i in range(len(d)):
            y[i] = abs(f[i])
            f[i] = np.sign(f[i])
    value[0] = scale * simpson(y, dt)
    if kind >= 2:
        for i in range(len(d)):
            f[i] *= scale


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def _correlation(d, s, dt, f, value):
    dd, ss, ds = _energies(d, s)
    if dd == 0 or ss == 0:
        return
    norm = np.sqrt(dd * ss)
    value[0], value[1] = 1 - ds / norm, ds / norm
    for i in range(len(d)):
        f[i] = (value[1] * s[i] / ss - d[i] / norm) / dt


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def _amplitude(d, s, root, peak, dt, f, value):
    dd, ss, _ = _energies(d, s)
    if dd == 0 or ss == 0:
        return
    ratio = 0.5 * np.log(dd / ss)
    if peak:
        ratio = np.log(np.abs(d).max() / np.abs(s).max())
    value[1] = ratio
    step = ratio
    value[0] = 0.5 * ratio**2
    if root:
        step = (np.exp(ratio / 2) - 1) * np.exp(ratio / 2) / 2
        value[0] = 0.5 * (np.exp(ratio / 2) - 1) ** 2
    for i in range(len(d)):
        f[i] = -step * s[i] / (ss * dt)


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def _energies(d, s):
    dd, ss, ds = 0.0, 0.0, 0.0
    for i in range(len(d)):
        dd += d[i] * d[i]
        ss += s[i] * s[i]
        ds += d[i] * s[i]
    return dd, ss, ds
