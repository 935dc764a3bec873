"""Corner frequencies from signal and noise, and zero-phase filters by them.

The noise of a record is what comes before its ``split``, the signal the rest.  Both are tapered,
their Fourier amplitudes smoothed (Konno & Ohmachi 1998), those of the noise multiplied by the
ratio of the durations, and taken off those of the signal; the quotient is the ratio looked at.
Below one over the duration of the signal nothing is known.  The high-pass corner is then raised
until a cubic fitted to displacement stays small beside it (Dawood et al. 2016).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import scipy.fft
import scipy.optimize
import scipy.sparse

from ._runs import over_runs, records

#: What a channel is rejected for, by the number that the kernel gives.
REASONS = (
    "",
    "no samples in the window",
    "gaps in the window",
    "the record does not cover its window",
    "noise shorter than 1 s or signal shorter than 5 s",
    "signal-to-noise ratio too low",
    "displacement drifts whatever the high-pass corner",
    "high-pass corner not below low-pass corner",
)
_PASSED, _EMPTY, _GAPS, _SHORT, _UNSPLIT, _NOISY, _DRIFTING, CROSSED = range(len(REASONS))
#: Highest high-pass corner (Hz) that is tried against drifting displacement.
_HIGHEST = 0.5
#: Frequencies at which ratios are looked at, from the resolution of the transform to Nyquist.
_FREQUENCIES = 301
_MIN_NOISE, _MIN_SIGNAL = 1.0, 5.0
_TAPER = 0.05


def assess(block, start, stop, split, **options):
    """Corner frequencies in Hz from the signal-to-noise ratio, and the number of a reason.

    Parameters
    ----------
    block
        Ground motion, (..., time), NaN outside the windows.
    start, stop, split
        Of each channel, seconds; NaN where unknown.
    options
        ``offset``, ``dt`` (s), ``threshold``, ``band`` (Hz), ``bandwidth``, ``drift``, ``order``.

    Returns
    -------
    np.ndarray
        (..., 3): high-pass, low-pass, number of the reason.
    """
    flat = records(block)
    spans = [np.broadcast_to(x, block.shape[:-1]).reshape(-1) for x in (start, stop, split)]
    result = np.array([_assess(*each, **options) for each in zip(flat, *spans, strict=True)])
    return result.reshape(*block.shape[:-1], 3)


def _assess(x, start, stop, split, offset, dt, threshold, band, bandwidth, drift, order):
    present = np.flatnonzero(~np.isnan(x))
    if not len(present):
        return np.nan, np.nan, _EMPTY
    first, last = present[0], present[-1]
    reason = _PASSED
    # More than a sample missing at either end; false where the window is not given.
    if offset + first * dt > start + dt or offset + last * dt < stop - dt:
        reason = _SHORT
    if last - first + 1 != len(present):
        return np.nan, np.nan, _GAPS
    if np.isnan(split):
        return np.nan, np.nan, reason
    cut = round((split - offset) / dt) - first
    record = x[first : last + 1].astype(np.float64)
    if cut * dt < _MIN_NOISE or (len(record) - cut) * dt < _MIN_SIGNAL:
        return np.nan, np.nan, reason or _UNSPLIT
    frequencies, ratio = signal_to_noise(record, cut, dt, bandwidth)
    highpass, lowpass, lowest = _corners(frequencies, ratio, threshold, band)
    if not lowest >= threshold:
        reason = reason or _NOISY
    elif drift is not None:
        highpass = _without_drift(record, highpass, dt, drift, order)
        reason = reason if highpass < _HIGHEST else reason or _DRIFTING
    return highpass, lowpass, reason


def signal_to_noise(
    x: np.ndarray, split: int, dt: float, bandwidth: float
) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies, and signal-to-noise ratios of smoothed Fourier amplitudes at them."""
    noise, signal = x[:split], x[split:]
    nfft = 2 ** int(np.ceil(np.log2(max(len(noise), len(signal)))))
    frequencies, weights = _konno_ohmachi(nfft, dt, bandwidth)
    amplitudes = [
        abs(scipy.fft.rfft(part * _hann_ends(len(part)), nfft)) for part in (noise, signal)
    ]
    below, above = (weights @ amplitude for amplitude in amplitudes)
    below *= len(signal) / len(noise)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (above - below) / below
    ratio[frequencies < 1 / (len(signal) * dt)] = np.nan
    return frequencies, ratio


def _corners(frequencies, ratio, threshold, band):
    """Ends of the range around ``band`` where the ratio is high enough, and its least inside."""
    inside = (frequencies >= band[0]) & (frequencies <= band[1])
    lowest = ratio[inside].min()
    good = ratio >= threshold  # false for NaN
    first, last = np.flatnonzero(inside)[[0, -1]]
    if not good[first] or not good[last]:
        return np.nan, np.nan, lowest
    low = np.flatnonzero(~good[:first])
    high = np.flatnonzero(~good[last:])
    bottom = frequencies[low[-1] + 1 if len(low) else 0]
    top = frequencies[last + high[0] - 1 if len(high) else -1]
    return bottom, top, lowest


def _without_drift(x, highpass, dt, drift, order):
    """Lowest corner from ``highpass`` up at which a cubic is ``drift`` of the displacement."""
    n = len(x)
    nfft = scipy.fft.next_fast_len(n, real=True)
    frequencies = scipy.fft.rfftfreq(nfft, dt)
    spectrum = scipy.fft.rfft(x, nfft)
    spectrum[1:] /= -((2 * np.pi * frequencies[1:]) ** 2)
    spectrum[0] = 0
    cubics = np.linalg.qr(np.linspace(-1, 1, n)[:, None] ** np.arange(4))[0]

    def excess(corner):
        gain = 1 / np.sqrt(_rise(corner, frequencies, order))
        displacement = scipy.fft.irfft(spectrum * gain, nfft)[:n]
        return abs(cubics @ (cubics.T @ displacement)).max() / abs(displacement).max() - drift

    if excess(highpass) <= 0 or highpass >= _HIGHEST:
        return highpass
    if excess(_HIGHEST) > 0:
        return _HIGHEST
    return scipy.optimize.ridder(excess, highpass, _HIGHEST, xtol=1e-5, rtol=1e-4)


@functools.lru_cache(maxsize=8)
def _konno_ohmachi(nfft, dt, bandwidth):
    """Frequencies, and the matrix that smooths: ``(sin(b log10(f/fc)) / (b log10(f/fc)))**4``."""
    f = np.arange(1, nfft // 2 + 1) / (nfft * dt)
    centres = np.geomspace(f[0], f[-1], _FREQUENCIES)
    reach = 10.0 ** (3 / bandwidth)
    rows = []
    for centre in centres:
        near = slice(*np.searchsorted(f, [centre / reach, centre * reach]))
        weight = np.sinc(bandwidth * np.log10(f[near] / centre) / np.pi) ** 4
        row = np.zeros(nfft // 2 + 1)
        row[1:][near] = weight / weight.sum() if len(weight) else np.nan
        rows.append(scipy.sparse.csr_array(row[None]))
    return centres, scipy.sparse.vstack(rows, format="csr")


def _hann_ends(n):
    """ObsPy's Hann taper of 5 % on either side."""
    ends = int(_TAPER * n)
    weights = np.ones(n)
    if ends:
        rise = 0.5 * (1 - np.cos(np.pi * np.arange(ends) / ends))
        weights[:ends], weights[n - ends :] = rise, rise[::-1]
    return weights


def butterworth(block: np.ndarray, highpass: Any, lowpass: Any, **options: Any) -> np.ndarray:
    """Zero-phase Butterworth filter in the frequency domain, run by run, channel by channel.

    Spectra are multiplied by ``1 / sqrt((1 + (highpass/f)^(2 n)) (1 + (f/lowpass)^(2 n)))`` with
    ``order`` n; a corner that is NaN is left out.
    """
    return over_runs(_butterworth, block, highpass, lowpass, **options)


def _butterworth(x, highpass, lowpass, dt, order):
    n = x.shape[1]
    nfft = scipy.fft.next_fast_len(2 * n, real=True)
    frequencies = scipy.fft.rfftfreq(nfft, dt)
    result = np.empty_like(x)
    for row in range(len(x)):
        gain = 1 / np.sqrt(
            _rise(highpass[row], frequencies, order) * _rise(frequencies, lowpass[row], order)
        )
        spectrum = scipy.fft.rfft(x[row].astype(np.float64), nfft)
        spectrum *= gain
        result[row] = scipy.fft.irfft(spectrum, nfft, overwrite_x=True)[:n]
    return result


def _rise(above, below, order):
    """``1 + (above/below)^(2 order)``, 1 where a corner is not known."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return np.nan_to_num(1 + (above / below) ** (2 * order), nan=1.0, posinf=np.inf)


def baseline(block: np.ndarray, **options: Any) -> np.ndarray:
    """Take the second derivative of a polynomial in displacement off acceleration, run by run.

    The polynomial of degree ``order`` has no terms 0 and 1 and is the least-squares fit to the
    acceleration integrated twice by trapezoid.
    """
    return over_runs(_baseline, block, **options)


def _baseline(x, order):
    n = x.shape[1]
    if n <= order + 1:
        return x
    # In units of the record's length, where powers stay within 0 and 1.
    t = np.linspace(0, 1, n)
    powers = np.arange(2, order + 1)
    basis, triangle = np.linalg.qr(t[:, None] ** powers)
    curvatures = t[:, None] ** (powers - 2) * (powers * (powers - 1)) / (n - 1) ** 2
    result = np.empty_like(x)
    for row in range(len(x)):
        acceleration = x[row].astype(np.float64)
        displacement = _trapezoid(_trapezoid(acceleration))
        terms = np.linalg.solve(triangle, displacement @ basis)
        result[row] = acceleration - curvatures @ terms
    return result


def _trapezoid(x):
    """Integral from zero at an interval of 1."""
    result = np.zeros_like(x)
    np.cumsum((x[1:] + x[:-1]) / 2, out=result[1:])
    return result
