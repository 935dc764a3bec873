"""The lag of the largest cross-correlation of windows, as the sums of float64 have it.

Filtered records have many samples a period, and their correlation c(l) = Σ d(k + l) s(k) as many
lags.  So every h-th sample, transformed as float32, gives every h-th lag c' with a known error, and
bounds what lies between: only the lags that may be the largest are summed in full.  For windows of
unit energy, with differences ∂ of the samples and zeros beyond the window,

- what a window has above the Nyquist frequency of every h-th sample is no more than
  a = ‖∂⁴d‖ / (2 sin(π / 2h))⁴, and likewise b of s;
- |c' - c| ≤ √(h - 1) (a + b) + h a b, by what is folded back;
- |c(l + 1) - 2 c(l) + c(l - 1)| ≤ ‖∂d‖ ‖∂s‖, so that c rises above the chord between two lags by
  no more than half of this times the distances to both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numba
import numpy as np
import scipy.fft

from ...vectors import put
from ._windows import SUMS, Cuts

#: Steps between the samples that are transformed, the coarsest first, and (2 sin(π / 2h))⁴.
_STEPS = tuple((h, (2 * math.sin(math.pi / (2 * h))) ** 4) for h in (16, 8, 4, 2))
#: How far from its coarse lags a correlation of unit energy may be.
_APART = 0.1
#: Error of correlations of unit energy by transforms of float32, with a margin of ten.
_SINGLE = 5e-6
#: Lags that are summed before all samples are transformed instead.
_MOST = 32
#: Samples of a side transformed at once: what stays in the cache.
_TOGETHER = 2**15


def best_lags(observed: np.ndarray, synthetic: np.ndarray, cuts: Cuts) -> np.ndarray:
    """Shift of the largest cross-correlation of the tapered windows, in whole samples.

    Positive where the observed comes later; of equal ones the most negative.
    """
    windows = observed, synthetic, *cuts.places
    lags, steps = np.zeros((2, len(cuts)), np.int64)
    bounds = np.empty((len(cuts), 4))
    _resolve(*windows, cuts.longest, steps, bounds)
    left = np.arange(len(cuts))
    while left.size:
        unclear = []
        for some, size in _alike(left, -(-(cuts.end - cuts.begin) // steps)):
            padded = np.zeros((2, len(some), size), np.float32)
            _fill(*windows, some, steps, bounds, padded)
            d, s = scipy.fft.rfft(padded, axis=-1)
            d *= s.conj()
            correlation = scipy.fft.irfft(d, size, axis=-1, overwrite_x=True)
            clear = _search(*windows, cuts.longest, some, steps, bounds, correlation, lags)
            unclear.append(some[~clear])
        left = np.concatenate(unclear)
        steps[left], bounds[left, 2] = 1, 0.0  # every lag, without an error
    return lags.astype(float)


def _alike(windows: np.ndarray, counts: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Windows to transform together, and the size: twice the count or little more.

    Sizes are few, and those of fast transforms.
    """
    twice = 2 * counts[windows]
    unit = 2 ** np.maximum(np.ceil(np.log2(twice)).astype(np.int64) - 3, 0)
    sizes = -(-twice // unit) * unit
    for size in np.unique(sizes).tolist():
        same, together = windows[sizes == size], max(_TOGETHER // size, 1)
        for at in range(0, len(same), together):
            yield same[at : at + together], size


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def _resolve(
    observed, synthetic, row, begin, end, taper_at, tapers, longest, steps, bounds
):  # fmt: skip
    """Step of every window; 1 / norm of both sides, error of the coarse lags, largest bend."""
    padded = np.zeros(longest + 8)
    for w in range(len(row)):
        n = end[w] - begin[w]
        weights = tapers[taper_at[w] : taper_at[w] + n]
        x = padded[: n + 8]
        x[n + 4 :] = 0.0
        slopes, fourths = 1.0, np.empty(2)
        for side in range(2):
            record = observed if side == 0 else synthetic
            _tapered(record[row[w], begin[w] : end[w]], weights, x[4 : n + 4])
            energy, slope, fourth = 0.0, 0.0, 0.0
            for i in range(n + 4):
                energy += x[i] * x[i]
                slope += (x[i + 1] - x[i]) ** 2
                fourth += (x[i + 4] + x[i] - 4 * (x[i + 3] + x[i + 1]) + 6 * x[i + 2]) ** 2
            scale = 1 / np.sqrt(energy) if energy > 0 else 0.0
            bounds[w, side] = scale
            slopes *= scale * np.sqrt(slope)
            fourths[side] = scale * np.sqrt(fourth)
        steps[w], bounds[w, 2], bounds[w, 3] = 1, 0.0, slopes
        for h, stop in _STEPS:
            a, b = fourths[0] / stop, fourths[1] / stop
            error = np.sqrt(h - 1) * (a + b) + h * a * b
            if error + slopes * (h * h // 4) / 2 <= _APART:
                steps[w], bounds[w, 2] = h, error
                break


@numba.njit(nogil=True, cache=True)
def _fill(
    observed, synthetic, row, begin, end, taper_at, tapers, some, steps, bounds, out
):  # fmt: skip
    """Every ``step``-th sample of tapered windows of unit energy."""
    for number in range(len(some)):
        w = some[number]
        n, step = end[w] - begin[w], steps[w]
        weights = tapers[taper_at[w] : taper_at[w] + n : step]
        for side in range(2):
            x = (observed if side == 0 else synthetic)[row[w], begin[w] : end[w] : step]
            scale, place = np.sqrt(step) * bounds[w, side], out[side, number]
            for i in range(len(x)):
                place[i] = scale * weights[i] * x[i]


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def _search(
    observed, synthetic, row, begin, end, taper_at, tapers, longest, some, steps, bounds,
    correlation, lags,
):  # fmt: skip
    """Lags of the largest correlation; whether there were few enough to sum."""
    d_all, s_all, ordered = np.empty(longest), np.empty(longest), np.empty(2 * longest + 1)
    clear = np.ones(len(some), np.bool_)
    for number in range(len(some)):
        w, coarse = some[number], correlation[number]
        n, step = end[w] - begin[w], steps[w]
        if bounds[w, 0] == 0 or bounds[w, 1] == 0:
            continue
        weights = tapers[taper_at[w] : taper_at[w] + n]
        d, s = d_all[:n], s_all[:n]
        _tapered(observed[row[w], begin[w] : end[w]], weights, d)
        _tapered(synthetic[row[w], begin[w] : end[w]], weights, s)
        count = (n + step - 1) // step
        values = ordered[: 2 * count + 1]
        put(coarse[len(coarse) - count :], values[:count])
        put(coarse[: count + 1], values[count:])
        lags[w], clear[number] = _largest(d, s, values, step, bounds[w])
    return clear


@numba.njit(nogil=True, cache=True)
def _largest(d, s, values, step, bounds):
    """Lag of the largest correlation, of those that the coarse lags leave."""
    count, error, bend = len(values) // 2, bounds[2] + _SINGLE, bounds[3] / 2
    above = error + bend * (step * step // 4)
    least, best, found, sums = _maximum(values[1:-1]) - error, -np.inf, 0, 0
    at = _next(values, 0, least - above)
    while at < 2 * count:
        for j in range(step):
            lag, chord = (at - count) * step + j, values[at] * (step - j) / step
            chord += values[at + 1] * j / step
            if abs(lag) >= len(d) or chord + error + bend * j * (step - j) < least:
                continue
            if step > 1 and sums == _MOST:
                return 0, False
            sums += 1
            total = _product(d[lag:], s) if lag > 0 else _product(d, s[-lag:])
            if total > best:
                best, found = total, lag
                least = max(least, bounds[0] * total * bounds[1] - _SINGLE)
        at = _next(values, at + 1, least - above)
    return found, True


@numba.njit(nogil=True, cache=True)
def _next(values, at, least):
    """From ``at`` on, the first interval with an end of ``least`` or more."""
    if values[at] >= least:
        return at
    for i in range(at + 1, len(values)):
        if values[i] >= least:
            return i - 1
    return len(values) - 1


@numba.njit(nogil=True, cache=True)
def _tapered(x, weights, out):
    for i in range(len(out)):
        out[i] = x[i] * weights[i]


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def _product(x, y):
    total = 0.0
    for i in range(min(len(x), len(y))):
        total += x[i] * y[i]
    return total


@numba.njit(nogil=True, cache=True, fastmath={"nnan", "nsz"})
def _maximum(x):
    largest = x[0]
    for i in range(len(x)):
        largest = max(largest, x[i])
    return largest
