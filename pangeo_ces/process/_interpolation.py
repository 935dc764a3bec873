"""Values of one gap-free run between its samples, at positions in units of its interval."""

from __future__ import annotations

from fractions import Fraction

import numba
import numpy as np
from scipy.interpolate import make_interp_spline

#: A position this near to a sample (in intervals) is that sample.
ON_SAMPLE = 1e-6


def at_positions(x, first, step, count, method, half_width):
    """``count`` values at ``first + k step``; NaN before the first and after the last sample."""
    result = np.full(count, np.nan)
    if method == "lanczos":
        _lanczos(x, first, step, half_width, _period(step), result)
        return result
    position = first + step * np.arange(count)
    nearest = np.round(position)
    position = np.where(np.abs(position - nearest) < ON_SAMPLE, nearest, position)
    inside = (position >= 0) & (position <= len(x) - 1)
    result[inside] = RULES[method](x.astype(np.float64), position[inside])
    return result


def _linear(x, position):
    return np.interp(position, np.arange(len(x)), x)


def _zero(x, position):
    return x[np.floor(position).astype(np.int64)]


def _nearest(x, position):
    return x[np.ceil(position - 0.5).astype(np.int64)]  # half way: the earlier one


def _spline(degree):
    def rule(x, position):
        k = min(degree, len(x) - 1)
        return make_interp_spline(np.arange(len(x)), x, k)(position) if k else _zero(x, position)

    return rule


@numba.njit(nogil=True, cache=True)
def _weighted_average_slopes(x, position):
    """Cubics whose slope at a sample leans to the flatter of its neighbours (Wiggins 1976)."""
    result = np.empty(len(position))
    for k in range(len(position)):
        i = min(int(position[k]), max(len(x) - 2, 0))
        t = position[k] - i
        if t == 0.0:
            result[k] = x[i]
            continue
        result[k] = (
            x[i] * (1 + 2 * t) * (1 - t) ** 2
            + x[i + 1] * t**2 * (3 - 2 * t)
            + _slope(x, i) * t * (1 - t) ** 2
            + _slope(x, i + 1) * t**2 * (t - 1)
        )
    return result


@numba.njit(nogil=True, cache=True)
def _slope(x, i):
    """s[i] = (w[i-1] m[i-1] + w[i] m[i]) / (w[i-1] + w[i]),  m[i] = x[i+1] - x[i],  w = 1 / |m|.

    Zero where m changes its sign, so that no new extremum comes up between samples.
    """
    if i == 0:
        return x[1] - x[0]
    left = x[i] - x[i - 1]
    if i == len(x) - 1:
        return left
    right = x[i + 1] - x[i]
    if left * right <= 0.0:
        return 0.0
    return 2 * left * right / (left + right)


RULES = {
    "weighted_average_slopes": _weighted_average_slopes,
    "linear": _linear,
    "nearest": _nearest,
    "zero": _zero,
    "slinear": _spline(1),
    "quadratic": _spline(2),
    "cubic": _spline(3),
}
METHODS = ("lanczos", *RULES)


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _lanczos(x, first, step, a, period, result):
    """Sum of x[i] sinc(p - i) sinc((p - i)/a) over |p - i| < a, at p = first + k step.

    Every ``period`` positions the fractions of p, and with them the weights, are the same; zero
    where they are not.
    """
    n, taps = len(x), 2 * a
    weights = np.empty((max(period, 1), taps))
    known = np.zeros(max(period, 1), np.bool_)
    for k in range(result.shape[0]):
        position = first + k * step
        if position < -ON_SAMPLE or position > n - 1 + ON_SAMPLE:
            continue
        nearest = int(np.round(position))
        if abs(position - nearest) < ON_SAMPLE:
            result[k] = x[nearest]
            continue
        below = int(np.floor(position))
        phase = k % period if period else 0
        if not known[phase]:
            _lanczos_weights(position - below, a, weights[phase])
            known[phase] = period > 0
        row = weights[phase]
        start = below - a + 1
        total, norm = 0.0, 0.0
        for j in range(max(0, -start), min(taps, n - start)):
            total += row[j] * x[start + j]
            norm += row[j]
        # The truncated kernel does not quite sum to one; make a constant stay a constant.
        result[k] = total / norm


@numba.njit(nogil=True, cache=True)
def _lanczos_weights(fraction, a, weights):
    """For the samples from a - 1 before the one below a position to a after it."""
    sine = np.sin(np.pi * fraction)
    for j in range(2 * a):
        d = fraction + a - 1 - j
        sign = 1.0 if (j - a + 1) % 2 == 0 else -1.0
        weights[j] = sign * sine * a * np.sin(np.pi * d / a) / (np.pi * d) ** 2


def _period(step):
    """After how many steps a fraction comes back; zero if not within a few hundred."""
    ratio = Fraction(step).limit_denominator(512)
    return ratio.denominator if abs(float(ratio) - step) < 1e-13 * step else 0
