"""Smoothing of spectra with the window of Konno & Ohmachi (1998).

The weight of frequency f in the smoothed value at fc is (sin x / x)^4 with x = b log10(f / fc), as
in ObsPy, and the weights of a value add up to one (ObsPy's ``normalize=True``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numba
import numpy as np

from ..errors import ParameterError

#: Below this |x| the series 1 - x²/6 holds sin x / x to rounding.
_SMALL = 1e-3
#: Smoothed values to a decade where none are named: 16 in the main lobe of the default window.
_PER_DECADE = 100
#: Targets and frequencies of a block of weights, which stays in cache.
_TARGETS, _FREQUENCIES = 64, 1024


def konno_ohmachi(
    spectra: np.ndarray,
    frequencies: np.ndarray,
    targets: np.ndarray,
    bandwidth: float = 40.0,
    lobes: int | None = None,
) -> np.ndarray:
    """Smoothed values of many spectra at the ``targets``.

    Parameters
    ----------
    spectra
        ``(..., frequency)``.
    frequencies
        Rising, in Hz; zero takes part in the value at zero only.
    targets
        Where to smooth, in Hz.
    bandwidth
        b: the larger, the narrower.
    lobes
        Side lobes of the window to keep on each side.  ``None`` keeps all, as ObsPy; with 3 the
        weights beyond |x| = 4π, each below 4e-5 of the largest, are left out.

    Returns
    -------
    np.ndarray
        ``(..., target)``.
    """
    rows = np.ascontiguousarray(spectra, np.float64)
    rows = rows.reshape(math.prod(spectra.shape[:-1]), spectra.shape[-1])
    result = np.full((len(rows), len(targets)), np.nan)
    zero = int(np.searchsorted(frequencies, 0.0, side="right"))  # how many are not above zero
    at_zero = np.asarray(targets) == 0
    if zero:
        result[:, at_zero] = rows[:, :1]
    angles = bandwidth * np.log10(frequencies[zero:])
    centres = bandwidth * np.log10(np.asarray(targets)[~at_zero])
    reach = np.inf if lobes is None else (lobes + 1) * np.pi
    smoothed = np.zeros((len(rows), len(centres)))
    _weighted_means(rows, zero, angles, np.sin(angles), np.cos(angles), centres, reach, smoothed)
    result[:, ~at_zero] = smoothed
    return result.reshape(*spectra.shape[:-1], len(targets))


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _weighted_means(spectra, zero, angles, sines, cosines, centres, reach, out):
    """The matrix of weights, made block by block in cache, times the spectra.

    In compiled loops: the threads of a matrix library would stand in the way of the caller's.
    """
    weights = np.empty((_TARGETS, _FREQUENCIES))
    totals = np.zeros(_TARGETS)
    for first in range(0, len(centres), _TARGETS):
        some = centres[first : first + _TARGETS]
        totals[:] = 0.0
        start = np.searchsorted(angles, some.min() - reach)
        stop = np.searchsorted(angles, some.max() + reach, side="right")
        for left in range(start, stop, _FREQUENCIES):
            right = min(left + _FREQUENCIES, stop)
            for target in range(len(some)):
                row = weights[target]
                _fill(angles[left:right], sines[left:right], cosines[left:right], some[target],
                      reach, row)  # fmt: skip
                for i in range(right - left):
                    totals[target] += row[i]
            for record in range(spectra.shape[0]):
                x = spectra[record, zero + left : zero + right]
                for target in range(0, len(some), 4):
                    w0, w1, w2, w3 = (weights[target], weights[target + 1], weights[target + 2],
                                      weights[target + 3])  # fmt: skip
                    a, b, c, d = 0.0, 0.0, 0.0, 0.0
                    for i in range(len(x)):
                        a += x[i] * w0[i]
                        b += x[i] * w1[i]
                        c += x[i] * w2[i]
                        d += x[i] * w3[i]
                    for k, value in enumerate((a, b, c, d)):
                        if target + k < len(some):
                            out[record, first + target + k] += value
        for target in range(len(some)):
            for record in range(spectra.shape[0]):
                out[record, first + target] /= totals[target]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _fill(angles, sines, cosines, centre, reach, weights):
    """The sine of a difference of angles needs no sine: each frequency has its own at hand."""
    sine, cosine = np.sin(centre), np.cos(centre)
    for i in range(len(angles)):
        x = angles[i] - centre
        ratio = (sines[i] * cosine - cosines[i] * sine) / x
        square = ratio * ratio
        weights[i] = square * square if abs(x) <= reach else 0.0
    near = np.searchsorted(angles, centre - _SMALL)
    far = np.searchsorted(angles, centre + _SMALL, side="right")
    for i in range(near, far):
        x = angles[i] - centre
        weights[i] = (1 - x * x / 6) ** 4


def check_window(bandwidth: float | None, lobes: int | None) -> None:
    """Refuse what is no window of Konno & Ohmachi."""
    if bandwidth is not None and not 0 < bandwidth < math.inf:
        raise ParameterError(f"bandwidth {bandwidth}: give a positive number, such as 40")
    if lobes is not None and lobes < 0:
        raise ParameterError(f"{lobes} side lobes: give 0 or more, or None for all")


def log_spaced(lowest: float, highest: float) -> np.ndarray:
    """Frequencies that follow a smoothed curve."""
    count = max(round(_PER_DECADE * math.log10(highest / lowest)), 1)
    return np.geomspace(lowest, highest, count + 1)


def targets_within(frequencies: Sequence[float], nyquist: float) -> np.ndarray:
    """The frequencies, checked."""
    targets = np.asarray(frequencies, float)
    if targets.ndim != 1 or not len(targets) or not (np.diff(targets) > 0).all():
        raise ParameterError(f"frequencies {frequencies}: give rising numbers in Hz")
    if not (targets[0] >= 0 and targets[-1] <= nyquist * (1 + 1e-9)):
        raise ParameterError(
            f"frequencies from {targets[0]:g} to {targets[-1]:g} Hz: give some from 0 to the "
            f"Nyquist frequency of these records, {nyquist:g} Hz"
        )
    return targets
