"""Criteria of the goodness of fit of strong motion: kernels on pairs of records.

Formulas and papers are in :mod:`~.goodness_of_fit`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy.fft
import scipy.special
from scipy.signal import iirfilter

from ..process._runs import records
from ..process.quantity import _gradient, _integral
from ..process.sections import sosfilt
from ._pairs import OK, common_spans
from .intensity import _moments
from .lanes import MOTIONS
from .sweep import Oscillator, largest

#: What is scored: with Anderson, these are C1 to C10.
CRITERIA = {
    "anderson": (
        "arias_duration", "energy_duration", "arias_intensity", "energy_integral", "pga", "pgv",
        "pgd", "response_spectrum", "fourier_spectrum", "cross_correlation",
    ),
    "olsen_mayhew": (
        "pga", "pgv", "pgd", "response_spectrum", "fourier_spectrum", "energy_duration",
        "energy_integral", "cross_correlation",
    ),
}  # fmt: skip
#: Half the width (Hz) of the mean that smooths Olsen & Mayhew's Fourier spectra.
_HALF_WIDTH = 0.1
_CORNERS = 2


def scores(
    one: np.ndarray,
    two: np.ndarray,
    *,
    dt: float,
    order: int,
    method: str,
    bands: tuple[tuple[float, float], ...],
    oscillators: tuple[Oscillator, ...],
) -> np.ndarray:
    """Status, scores and their means of every pair, one after the other: (…, value)."""
    x, y = records(np.ascontiguousarray(one)), records(np.ascontiguousarray(two))
    spans, status = common_spans(x, y)
    count = len(CRITERIA[method])
    result = np.full((len(x), 2 + (count + 1) * len(bands)), np.nan)
    result[:, 0] = status
    judge = _score if method == "anderson" else _error_score
    measure = _anderson if method == "anderson" else _olsen_mayhew
    for row in np.flatnonzero(status == OK):
        pair = np.array([x[row], y[row]], np.float64)[:, slice(*spans[row])]
        spectra = _response(pair, oscillators, dt, order)
        table = np.full((len(bands), count), np.nan)
        for number, band in enumerate(bands):
            if band[1] <= 0.5 / dt or band[1] == math.inf:
                inside = [band[0] <= 1 / o.period <= band[1] for o in oscillators]
                criteria = measure(pair, dt, order, band)
                criteria["response_spectrum"] = _mean(judge(*spectra[:, inside]))
                table[number] = [criteria[name] for name in CRITERIA[method]]
        of_bands = [_mean(line) for line in table]
        result[row, 1:] = [*table.ravel(), *of_bands, _mean(np.array(of_bands))]
    return result.reshape(*one.shape[:-1], result.shape[-1])


def _anderson(
    pair: np.ndarray, dt: float, order: int, band: tuple[float, float]
) -> dict[str, float]:
    """C1 to C10 but the response spectrum."""
    a, v, u = _motions(_filtered(pair, dt, band), dt, order)
    arias, energy = _integral(a**2, dt), _integral(v**2, dt)
    whole = _motions(pair, dt, order)[0]
    return {
        "arias_duration": 10 * (1 - _apart(arias)),
        "energy_duration": 10 * (1 - _apart(energy)),
        "arias_intensity": _mean(_score(*arias[:, -1:])),
        "energy_integral": _mean(_score(*energy[:, -1:])),
        "fourier_spectrum": _mean(_score(*_amplitudes(whole, dt, band))),
        "cross_correlation": 10 * _correlation(a),
    } | _peaks(a, v, u, _score)


def _olsen_mayhew(
    pair: np.ndarray, dt: float, order: int, band: tuple[float, float]
) -> dict[str, float]:
    x = _filtered(pair, dt, band)
    a, v, u = _motions(x, dt, order)
    energy = _integral(v**2, dt)[:, -1:]
    moments = [_moments(one, dt, np.array([0.05, 0.75]) * total) for one, (total,) in zip(
        v, energy, strict=True)]  # fmt: skip
    return {
        "fourier_spectrum": _mean(_error_score(*_amplitudes(pair, dt, band, _HALF_WIDTH))),
        "energy_duration": _mean(_error_score(*np.diff(moments, axis=-1))),
        "energy_integral": _mean(_error_score(*energy)),
        "cross_correlation": 100 * _correlation(x),
    } | _peaks(a, v, u, _error_score)


def _score(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Anderson's S of measures that are not negative; none of both is a perfect fit."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(x == y, 10.0, 10 * np.exp(-(((x - y) / np.minimum(x, y)) ** 2)))


def _error_score(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Olsen & Mayhew's."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(x == y, 100.0, 100 * scipy.special.erfc(2 * abs(x - y) / (x + y)))


def _peaks(
    a: np.ndarray, v: np.ndarray, u: np.ndarray, judge: Callable[..., np.ndarray]
) -> dict[str, float]:
    motions = {"pga": a, "pgv": v, "pgd": u}
    return {name: _mean(judge(*abs(x).max(axis=-1)[:, None])) for name, x in motions.items()}


def _mean(values: np.ndarray) -> float:
    """Of those that are not NaN."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if there.size else math.nan


def _filtered(pair: np.ndarray, dt: float, band: tuple[float, float]) -> np.ndarray:
    if band[1] == math.inf:
        return pair
    # At the Nyquist frequency itself there is no such filter.
    corners = [band[0] * 2 * dt, min(band[1] * 2 * dt, 0.9999)]
    sos = iirfilter(_CORNERS, corners, btype="bandpass", ftype="butter", output="sos")
    return sosfilt(np.ascontiguousarray(pair), sos, True)


def _motions(pair: np.ndarray, dt: float, order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Acceleration, velocity and displacement; ``order`` derivatives above the last."""
    motions = {order: pair}
    for above in range(order + 1, MOTIONS):
        motions[above] = _gradient(motions[above - 1], dt)
    for below in range(order - 1, -1, -1):
        motions[below] = _integral(motions[below + 1], dt)
    return motions[2], motions[1], motions[0]


def _response(
    pair: np.ndarray, oscillators: tuple[Oscillator, ...], dt: float, order: int
) -> np.ndarray:
    """Pseudo-accelerations of both records, ``(2, periods)``."""
    none = np.zeros((0, 2), np.int64)
    found = largest(
        pair, none, oscillators, dt=dt, order=order, spectrum="psa", rotated=False, motions=False
    )
    return found.peaks[:, MOTIONS:]


def _amplitudes(
    pair: np.ndarray, dt: float, band: tuple[float, float], half_width: float = 0.0
) -> np.ndarray:
    """Amplitude spectra within the band, without zero frequency, as means over a width (Hz)."""
    n = pair.shape[-1]
    spectra = abs(scipy.fft.rfft(pair))
    frequency = scipy.fft.rfftfreq(n, dt)
    if half_width:
        reach = int(half_width * n * dt) + 1
        sums = np.pad(np.cumsum(spectra, axis=-1), ((0, 0), (1, 0)))
        last = np.arange(spectra.shape[-1])
        first, last = np.maximum(last - reach, 0), np.minimum(last + reach + 1, len(last))
        spectra = (sums[:, last] - sums[:, first]) / (last - first)
    return spectra[:, (frequency > 0) & (frequency >= band[0]) & (frequency <= band[1])]


def _apart(integrals: np.ndarray) -> float:
    """How far rising integrals differ at most, each as a fraction of its last."""
    with np.errstate(invalid="ignore"):
        one, two = integrals / integrals[:, -1:]
    return float(abs(one - two).max())


def _correlation(pair: np.ndarray) -> float:
    """Without shift, and not below zero."""
    norm = math.sqrt((pair[0] ** 2).sum() * (pair[1] ** 2).sum())
    return max(0.0, float((pair[0] * pair[1]).sum()) / norm) if norm else math.nan
