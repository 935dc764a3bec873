"""Trends of gap-free runs: kernels ``(n, samples) -> (n, samples)``, summed in float64."""

from __future__ import annotations

import numba
import numpy as np
from scipy.interpolate import make_lsq_spline

#: Sums may be taken in any order: several at a time.
_SUMS = {"reassoc"}


@numba.njit(nogil=True, cache=True, fastmath=_SUMS)
def demean(x):
    result = np.empty_like(x)
    for row in range(x.shape[0]):
        total = 0.0
        for i in range(x.shape[1]):
            total += x[row, i]
        mean = total / x.shape[1]
        for i in range(x.shape[1]):
            result[row, i] = x[row, i] - mean
    return result


@numba.njit(nogil=True, cache=True, fastmath=_SUMS)
def delinear(x):
    n = x.shape[1]
    if n < 2:
        return demean(x)
    result = np.empty_like(x)
    centre = (n - 1) / 2
    norm = n * (n * n - 1.0) / 12  # sum of (i - centre)^2
    for row in range(x.shape[0]):
        total, moment = 0.0, 0.0
        for i in range(n):
            total += x[row, i]
            moment += x[row, i] * (i - centre)
        mean, slope = total / n, moment / norm
        for i in range(n):
            result[row, i] = x[row, i] - (mean + slope * (i - centre))
    return result


@numba.njit(nogil=True, cache=True)
def desimple(x):
    n = x.shape[1]
    result = np.empty_like(x)
    for row in range(x.shape[0]):
        first, last = np.float64(x[row, 0]), np.float64(x[row, n - 1])
        slope = (last - first) / max(n - 1, 1)
        for i in range(n):
            result[row, i] = x[row, i] - (first + slope * i)
    return result


@numba.njit(nogil=True, cache=True)
def depolynomial(x, order):
    """Least-squares polynomial taken off degree by degree.

    Gram's polynomials are orthogonal over n even samples t in [-1, 1], so that no matrix has to
    be solved:  p[k+1] = t p[k] - b[k] p[k-1],  b[k] = k² (n² - k²) / ((4 k² - 1) (n - 1)²).
    """
    rows, n = x.shape
    work = x.astype(np.float64)
    step = 2.0 / max(n - 1, 1)
    previous, basis, following = np.zeros(n), np.ones(n), np.empty(n)
    for k in range(min(order, n - 1) + 1):
        norm = 0.0
        for i in range(n):
            norm += basis[i] * basis[i]
        for row in range(rows):
            product = 0.0
            for i in range(n):
                product += work[row, i] * basis[i]
            for i in range(n):
                work[row, i] -= product / norm * basis[i]
        square = np.float64(k * k)
        b = square * (np.float64(n) * n - square) / (4 * square - 1) * (step / 2) ** 2
        for i in range(n):
            following[i] = (i * step - 1.0) * basis[i] - b * previous[i]
        previous, basis, following = basis, following, previous
    return work.astype(x.dtype)


def despline(x, order, dspline):
    """Least-squares spline of degree ``order``, its knots ``dspline`` samples apart."""
    n = x.shape[1]
    degree = min(order, n - 1)
    if degree < 1:
        return demean(x)
    knots = np.arange(dspline / 2, n - dspline / 2 + 2, dspline)
    knots = knots[knots < n - 1]
    if len(knots) + degree + 1 > n:  # fewer samples than coefficients
        knots = knots[:0]
    ends = np.full(degree + 1, n - 1.0)
    samples = np.arange(n, dtype=np.float64)
    whole = np.concatenate([0 * ends, knots, ends])
    values = np.ascontiguousarray(x.T, dtype=np.float64)
    trend = make_lsq_spline(samples, values, whole, degree)(samples)
    return (x - trend.T).astype(x.dtype)
