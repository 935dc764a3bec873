"""Morlet wavelet transforms of pairs of records, as ObsPy's ``tf_misfit.cwt`` has them.

With the mother wavelet psi(s) = pi^(-1/4) exp(i w0 s) exp(-s²/2) and a = w0 / (2 pi f), sample k of
the transform at frequency f is::

    W[k] = dt / sqrt(a) * sum over m of x[m] conj(psi((m - k + 1/2) dt / a))

over all samples m (Kristekova et al. 2006, eq. 4; the half sample is ObsPy's).  In the spectrum
the wavelet is a Gaussian of standard deviation f / w0 around f, so that a low frequency needs few
samples: its transform is computed on every ``step``-th sample by one short inverse FFT, shifted to
zero frequency, and interpolated to all of them with a Kaiser-Bessel kernel whose spectrum the gains
take back (as in the non-uniform FFT).  What that leaves away is below 1e-12 of the largest value.

Moduli, and phase differences of two records, do not depend on the shift; nothing else is needed.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator

import numba
import numpy as np
import scipy.fft

#: Samples the interpolation kernel spans, and the parameter of its shape.
TAPS = 14
_BETA = 0.72 * math.pi * TAPS
#: The wavelet ends at so many standard deviations, where it is 1e-13 of its peak.
_REACH = 7.74
#: Least samples of the coarse grid in a second, in units of f / w0.
_DENSITY = 16.0
#: A wavelet longer than this many records is not periodic in a grid of bearable size.
_LONGEST = 8
#: So many complex numbers at a time, for the sake of memory and caches.
_BATCH = 2**17


@dataclasses.dataclass(frozen=True)
class Band:
    """Neighbouring frequencies on one coarse grid.

    Attributes
    ----------
    members
        Which of the frequencies.
    step
        Samples from one point of the grid to the next.
    size
        Points of the grid; ``step * size`` samples are one period.
    first : (members,) int64
        Bin of the spectrum under the first gain, and ``centres`` that which goes to zero.
    gains : (members, bins)
        Of the spectrum; with ``step`` 1 of all its bins.
    taps : (step, TAPS)
        Weights of the neighbouring points of the grid, for every sample between two of them.
    """

    members: slice
    step: int
    size: int
    first: np.ndarray
    centres: np.ndarray
    gains: np.ndarray
    taps: np.ndarray


def frequencies(fmin: float, fmax: float, nf: int) -> np.ndarray:
    """Where the transform is taken (Hz), as ObsPy spaces them."""
    return np.logspace(np.log10(fmin), np.log10(fmax), nf)


@functools.lru_cache(maxsize=8)
def bank(n: int, dt: float, fmin: float, fmax: float, nf: int, w0: float) -> tuple[Band, ...]:
    """Gains for records of ``n`` samples, from the lowest frequency up."""
    f = frequencies(fmin, fmax, nf)
    steps = [_step(n, width) for width in w0 / (2 * np.pi * f * dt)]
    edges = [0, *(i for i in range(1, nf) if steps[i] != steps[i - 1]), nf]
    return tuple(
        _band(n, dt, f, w0, slice(begin, end), steps[begin])
        for begin, end in itertools.pairwise(edges)
    )


def _step(n: int, width: float) -> int:
    """The longest step for a wavelet of standard deviation ``width`` samples: a power of two."""
    if _REACH * width > _LONGEST * n:
        return 1
    step = 2 ** max(0, math.floor(math.log2(2 * math.pi * width / _DENSITY)))
    # A grid with fewer points than the kernel has taps saves nothing.
    while step > 1 and (n + _REACH * width) / step < 2 * TAPS:
        step //= 2
    return step


def _band(n: int, dt: float, f: np.ndarray, w0: float, members: slice, step: int) -> Band:
    widths = w0 / (2 * np.pi * f[members] * dt)
    none = np.zeros(0, np.int64)
    if step == 1:
        reach = min(n - 1, math.ceil(_REACH * widths.max()))
        size = scipy.fft.next_fast_len(n + reach)
        gains = _sampled(widths, dt, w0, reach, size)
        return Band(members, 1, size, none, none, gains, np.zeros((0, TAPS)))
    size = scipy.fft.next_fast_len(math.ceil((n + _REACH * widths.max()) / step))
    period = step * size
    centres = np.rint(period * w0 / (2 * np.pi * widths)).astype(np.int64)
    half = math.ceil(period * _REACH / (2 * np.pi * widths.min()))
    bins = np.arange(-half, half + 1)
    away = 2 * np.pi * (centres[:, None] + bins) * widths[:, None] / period - w0
    gains = math.pi**-0.25 * np.sqrt(2 * np.pi * widths[:, None] * dt) * np.exp(-(away**2) / 2)
    gains[abs(away) > _REACH] = 0.0
    inside = abs(bins) < size / 2
    gains = gains[:, inside] / _kernel_spectrum(bins[inside] / size) / step
    first = centres + bins[inside][0]
    # Half a sample later, as ObsPy's wavelets are.
    later = np.exp(-1j * math.pi * (first[:, None] + np.arange(gains.shape[1])) / period)
    return Band(members, step, size, first, centres, gains * later, _taps(step))


def _sampled(widths: np.ndarray, dt: float, w0: float, reach: int, size: int) -> np.ndarray:
    """Spectra of wavelets at lags up to ``reach``, exact however coarse the sampling."""
    lags = np.arange(-reach, reach + 1)
    scaled = (lags - 0.5) / widths[:, None]
    wavelets = np.zeros((len(widths), size), complex)
    norm = math.pi**-0.25 * np.sqrt(dt / widths[:, None])
    wavelets[:, lags] = norm * np.exp(1j * w0 * scaled - scaled**2 / 2)
    return scipy.fft.fft(wavelets, overwrite_x=True)


def _kernel_spectrum(frequency: np.ndarray) -> np.ndarray:
    """Fourier transform of the kernel, at cycles a grid point."""
    root = np.sqrt(_BETA**2 - (math.pi * TAPS * frequency) ** 2)
    return TAPS * np.sinh(root) / root / np.i0(_BETA)


@functools.cache
def _taps(step: int) -> np.ndarray:
    places = np.arange(step)[:, None] / step - np.arange(TAPS) + TAPS // 2 - 1
    return np.i0(_BETA * np.sqrt(np.maximum(0.0, 1 - (2 * places / TAPS) ** 2))) / np.i0(_BETA)


def coarse(pair: np.ndarray, band: Band) -> Iterator[tuple[int, np.ndarray]]:
    """Transforms of two records on the grid of ``band``, some frequencies at a time.

    Parameters
    ----------
    pair : (2, samples) float64

    Yields
    ------
    first, points
        Number of the first frequency and its neighbours' ``(members, 2, points)``, complex128.
    """
    period = band.step * band.size
    transform = scipy.fft.fft if band.step == 1 else scipy.fft.rfft
    spectra = transform(pair, period)
    batch = max(1, _BATCH // (2 * band.size))
    for begin in range(0, len(band.gains), batch):
        rows = slice(begin, begin + batch)
        gains = band.gains[rows]
        if band.step == 1:
            points = spectra * gains[:, None]
        else:
            points = np.zeros((len(gains), 2, band.size), np.complex128)
            _select(spectra, band.first[rows], band.centres[rows], gains, points)
        yield band.members.start + begin, scipy.fft.ifft(points, overwrite_x=True)


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def _select(spectra, first, centres, gains, out):
    """Shift the bins of a band to zero; ``spectra`` are those of real records, from zero up."""
    half = spectra.shape[1] - 1
    for side in range(2):
        for row in range(len(first)):
            for k in range(gains.shape[1]):
                place = first[row] + k
                mirrored = -place if place < 0 else 2 * half - place
                value = (
                    spectra[side, place] if 0 <= place <= half else np.conj(spectra[side, mirrored])
                )
                out[row, side, (place - centres[row]) % out.shape[2]] = value * gains[row, k]


@numba.njit(nogil=True, cache=True)
def unwrap(points, count, out):
    """Real and imaginary parts of ``count`` points of a period, the kernel's reach around them."""
    size = len(points)
    for i in range(count + TAPS):
        value = points[(i - (TAPS // 2 - 1)) % size]
        out[0, i], out[1, i] = value.real, value.imag


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def between(grid, weights, count, real, imag):
    """Interpolate ``count`` samples, one after each point of the grid, with the same weights."""
    one, two = grid[0], grid[1]
    for i in range(count):
        a, b = 0.0, 0.0
        for j in range(TAPS):
            a += weights[j] * one[i + j]
            b += weights[j] * two[i + j]
        real[i], imag[i] = a, b
