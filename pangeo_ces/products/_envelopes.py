"""Envelopes and phase differences of the wavelet transforms of a pair: kernels and their sums."""

from __future__ import annotations

import dataclasses
import math

import numba
import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

from .wavelets import TAPS, Band, between, coarse, unwrap

#: atan(x) / x as a polynomial of x², for x up to tan(pi/8): to 1e-15.
_TAN = math.sqrt(2) - 1
_ATAN = tuple(
    Chebyshev.interpolate(lambda s: np.arctan(np.sqrt(s)) / np.sqrt(s), 9, domain=[1e-99, _TAN**2])
    .convert(kind=Polynomial)
    .coef.tolist()
)
# All numbers are finite, and sums may be taken in vectors.
_FAST = {"reassoc", "contract", "nsz", "nnan", "ninf"}


@dataclasses.dataclass(frozen=True)
class Fit:
    """What all misfits of one pair are made of; W1 and W2 are the transforms of its records.

    Attributes
    ----------
    difference
        Sum of (abs(W1) - abs(W2))² over time and frequency.
    turned : (2,)
        Sums of (abs(W) * phase)² with W1 and with W2, and phase = angle(W1 / W2) / pi.
    energies, peaks : (2,)
        Sums and maxima of abs(W)².
    envelopes : (2, frequencies, samples)
        abs(W1) and abs(W2); empty unless asked for.
    phases : (frequencies, samples)
        Likewise, angle(W1 / W2) / pi.
    """

    difference: float
    turned: np.ndarray
    energies: np.ndarray
    peaks: np.ndarray
    envelopes: np.ndarray
    phases: np.ndarray


def fit(pair: np.ndarray, bands: tuple[Band, ...], maps: bool) -> Fit:
    """Compare two records ``(2, samples)``; with ``maps`` keep all of the time-frequency plane."""
    n = pair.shape[1]
    count = bands[-1].members.stop if maps else 0
    plane = np.empty((3, count, n))
    sums = np.zeros(5)
    peaks = np.zeros((2, n))
    for band in bands:
        for first, points in coarse(pair, band):
            _compare(points, band.taps, band.step, n, first, sums, peaks, plane)
    return Fit(sums[0], sums[1:3], sums[3:5], peaks.max(axis=1), plane[:2], plane[2])


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _compare(points, taps, step, n, first, sums, peaks, plane):
    count = -(-n // step)
    grids = np.empty((2, 2, count + TAPS))
    samples = np.empty((4, count))
    for row in range(len(points)):
        if step > 1:
            unwrap(points[row, 0], count, grids[0])
            unwrap(points[row, 1], count, grids[1])
        for phase in range(step):
            here = -(-(n - phase) // step)
            if step > 1:
                between(grids[0], taps[phase], here, samples[0], samples[1])
                between(grids[1], taps[phase], here, samples[2], samples[3])
            else:
                _split(points[row], n, samples)
            _add(samples[0], samples[1], samples[2], samples[3], here, sums, peaks)
            if plane.shape[1]:
                _keep(samples, here, plane[:, first + row, phase::step])


@numba.njit(nogil=True, cache=True)
def _split(points, n, samples):
    for i in range(n):
        samples[0, i], samples[1, i] = points[0, i].real, points[0, i].imag
        samples[2, i], samples[3, i] = points[1, i].real, points[1, i].imag


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=_FAST)
def _add(a, b, c, d, n, sums, peaks):
    """Add what ``n`` samples of W1 = a + ib and W2 = c + id have to the sums of a :class:`Fit`."""
    difference, turned_one, turned_two, one, two = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        square_one = a[i] * a[i] + b[i] * b[i]
        square_two = c[i] * c[i] + d[i] * d[i]
        apart = np.sqrt(square_one) - np.sqrt(square_two)
        angle = _angle(b[i] * c[i] - a[i] * d[i], a[i] * c[i] + b[i] * d[i])
        difference += apart * apart
        turned_one += square_one * angle * angle
        turned_two += square_two * angle * angle
        one += square_one
        two += square_two
        # Place by place: one running maximum would keep the loop from using vectors.
        peaks[0, i] = max(peaks[0, i], square_one)
        peaks[1, i] = max(peaks[1, i], square_two)
    sums[0] += difference
    sums[1] += turned_one / (np.pi * np.pi)
    sums[2] += turned_two / (np.pi * np.pi)
    sums[3] += one
    sums[4] += two


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=_FAST)
def _keep(samples, n, plane):
    for i in range(n):
        a, b, c, d = samples[0, i], samples[1, i], samples[2, i], samples[3, i]
        plane[0, i] = np.sqrt(a * a + b * b)
        plane[1, i] = np.sqrt(c * c + d * d)
        y = b * c - a * d
        angle = _angle(y, a * c + b * d) / np.pi
        plane[2, i] = -angle if y < 0 else angle


@numba.njit(nogil=True, cache=True, inline="always", error_model="numpy", fastmath=_FAST)
def _angle(y, x):
    """abs(atan2(y, x)) without branches, so that loops use vectors; 0 for two zeros."""
    along, across = abs(x), abs(y)
    large, small = max(along, across), min(along, across)
    wide = small > _TAN * large  # then from the diagonal
    top = small - large if wide else small
    t = top / max(small + large if wide else large, 1e-300)
    s = t * t
    angle = _ATAN[8] + s * _ATAN[9]
    angle = _ATAN[6] + s * (_ATAN[7] + s * angle)
    angle = _ATAN[4] + s * (_ATAN[5] + s * angle)
    angle = _ATAN[2] + s * (_ATAN[3] + s * angle)
    angle = t * (_ATAN[0] + s * (_ATAN[1] + s * angle))
    angle = angle + 0.25 * np.pi if wide else angle
    angle = 0.5 * np.pi - angle if across > along else angle
    return np.pi - angle if x < 0 else angle
