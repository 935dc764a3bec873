"""Fourier transforms of short windows at a band of the frequencies of a long transform.

A chirp transform (Bluestein 1970): three short FFTs in place of one of 2**15 samples, with the
same values.
"""

from __future__ import annotations

import functools

import numpy as np
import scipy.fft


class Band:
    """Frequencies ``first`` to ``first + count - 1`` of a transform over ``size`` samples.

    Parameters
    ----------
    samples
        Length of the windows.
    first, count, size
        The band, in bins of 1 / (size dt).
    """

    def __init__(self, samples: int, first: int, count: int, size: int) -> None:
        self.samples, self.count, self.size = samples, count, size
        table = _roots(size)
        self.length = scipy.fft.next_fast_len(samples + count - 1)
        t, j = np.arange(samples), np.arange(count)
        lags = np.arange(-(samples - 1), count)
        self._time = table[(-(2 * first * t + t * t)) % (2 * size)]
        self._frequency = table[(-(j * j)) % (2 * size)]
        chirp = np.zeros(self.length, complex)
        chirp[lags] = table[(lags * lags) % (2 * size)]
        self._chirp = scipy.fft.fft(chirp)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """``sum x exp(-2 pi i k t / size)`` over the last axis."""
        spectrum = scipy.fft.fft(x * self._time, self.length, axis=-1, overwrite_x=True)
        spectrum *= self._chirp
        found = scipy.fft.ifft(spectrum, axis=-1, overwrite_x=True)[..., : self.count]
        return found * self._frequency

    def adjoint(self, spectrum: np.ndarray) -> np.ndarray:
        """Real part of ``sum X exp(2 pi i k t / size)`` over the band."""
        padded = scipy.fft.fft(
            spectrum * self._frequency.conj(), self.length, axis=-1, overwrite_x=True
        )
        padded *= self._chirp_mirrored
        found = scipy.fft.ifft(padded, axis=-1, overwrite_x=True)[..., : self.samples]
        return (found * self._time.conj()).real

    @functools.cached_property
    def _chirp_mirrored(self) -> np.ndarray:
        """Transform of the conjugate chirp, for lags from the other side."""
        chirp = np.zeros(self.length, complex)
        lags = np.arange(-(self.count - 1), self.samples)
        chirp[lags] = _roots(self.size)[(-(lags * lags)) % (2 * self.size)]
        return scipy.fft.fft(chirp)


@functools.lru_cache(maxsize=64)
def band(samples: int, first: int, count: int, size: int) -> Band:
    """A band, kept for the next window like it."""
    return Band(samples, first, count, size)


@functools.lru_cache(maxsize=4)
def _roots(size: int) -> np.ndarray:
    return np.exp(1j * np.pi / size * np.arange(2 * size))
