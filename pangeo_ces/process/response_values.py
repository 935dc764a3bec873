"""The complex response of an instrument at the frequencies of any transform.

Evalresp takes up to a second for the 60,000 frequencies of ten minutes at 100 Hz when a digitiser
has long FIR stages.  A response is smooth, though: between two frequencies an octave or less
apart a polynomial of degree 15 holds it to rounding.  So evalresp is asked once for each distinct
response, at the Chebyshev nodes of such intervals and at as many places between them; an interval
where polynomial and evalresp differ by more than ``TOLERANCE`` is halved, and one that stays
unsmooth (a spectral zero, a tabulated response) is left to evalresp, frequency by frequency.
"""

from __future__ import annotations

import dataclasses
import io
import threading
import warnings
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any

import numba
import numpy as np
import obspy

from ..errors import InputError

#: Largest relative deviation from evalresp at the places where the polynomials are checked.
TOLERANCE = 1e-9
#: A value this far below the largest of its interval is a spectral zero: left to evalresp.
_DEEP = 1e-6
_NODES = 16
_OCTAVES = 20
_HALVINGS = 9
_BLOCK = 256
#: Evalresp keeps its state in C globals.
_EVALRESP = threading.Lock()

_ANGLES = (np.arange(_NODES) + 0.5) * np.pi / _NODES
#: Where evalresp is asked: nodes, and between them and at both ends the places of the check.
_PLACES = np.concatenate([np.cos(_ANGLES), np.cos(np.arange(_NODES + 1) * np.pi / _NODES)])
#: Values at the nodes to Chebyshev coefficients.
_COEFFICIENTS = 2 / _NODES * np.cos(np.arange(_NODES)[:, None] * _ANGLES)
_COEFFICIENTS[0] /= 2


class Kept:
    """Results by key: each made once however many threads ask, the oldest forgotten.

    >>> kept = Kept(limit=2)
    >>> [kept.get(number, lambda: number**2) for number in (1, 2, 3)]
    [1, 4, 9]
    """

    def __init__(self, limit: float, size: Callable[[Any], float] = lambda value: 1) -> None:
        self._limit, self._size = limit, size
        self._lock = threading.Lock()
        self._futures: dict[Hashable, Future[Any]] = {}

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The result for ``key``; ``make()`` gives it the first time."""
        with self._lock:
            future = self._futures.pop(key, None)
            first = future is None
            future = Future() if future is None else future
            self._futures[key] = future  # at the end: the youngest
        if first:
            try:
                future.set_result(make())
            except BaseException as error:
                future.set_exception(error)
                with self._lock:
                    self._futures.pop(key, None)
            else:
                self._forget()
        return future.result()

    def _forget(self) -> None:
        with self._lock:
            held = {
                key: self._size(future.result())
                for key, future in self._futures.items()
                if future.done() and future.exception() is None
            }
            total = sum(held.values())
            for key in list(held)[:-1]:
                if total <= self._limit:
                    break
                total -= held[key]
                del self._futures[key]


@dataclasses.dataclass(frozen=True)
class Smooth:
    """A response as polynomials on intervals of frequency, rising and without overlap.

    ``coefficients`` is (interval, degree); NaN where only evalresp knows.
    """

    edges: np.ndarray
    coefficients: np.ndarray


_smooth = Kept(limit=2000)


def response_values(document: str, nfft: int, dt: float, units: str) -> np.ndarray:
    """Response at the ``nfft // 2 + 1`` frequencies of a real transform.

    Parameters
    ----------
    document
        StationXML with one channel.
    nfft, dt
        Length of the transform and sampling interval in seconds.
    units
        ``DISP``, ``VEL`` or ``ACC``: counts for each m, m/s or m/s².

    Returns
    -------
    np.ndarray
        Complex, within about ``TOLERANCE`` of evalresp's.
    """
    smooth = _smooth.get((document, dt, units), lambda: _fit(document, 0.5 / dt, units))
    frequencies = np.arange(nfft // 2 + 1) / (nfft * dt)
    values = np.full(len(frequencies), complex(np.nan, np.nan))
    # The first interval that reaches a frequency: edges belong to the interval below.
    bounds = np.searchsorted(frequencies, smooth.edges, side="right")
    bounds[-1] = len(frequencies)  # the Nyquist frequency, however it is rounded
    _polynomials(frequencies, smooth.edges, bounds, smooth.coefficients, values)
    rest = np.isnan(values)
    if rest.any():
        values[rest] = _evalresp(_parse(document), frequencies[rest], units)
    return values


def _fit(document, nyquist, units):
    """Halve the intervals that need it, all of one width in one call of evalresp."""
    response = _parse(document)
    edges = nyquist * 0.5 ** np.arange(_OCTAVES, -1, -1.0)
    pending = np.stack([edges[:-1], edges[1:]], axis=1)
    done, coefficients = [], []
    for halvings in range(_HALVINGS + 1):
        centre, half = pending.mean(axis=1), np.diff(pending, axis=1)[:, 0] / 2
        places = (centre[:, None] + half[:, None] * _PLACES).clip(max=nyquist)
        values = _evalresp(response, places.ravel(), units).reshape(places.shape)
        polynomial = values[:, :_NODES] @ _COEFFICIENTS.T
        deviation = abs(
            np.polynomial.chebyshev.chebval(_PLACES[_NODES:], polynomial.T) - values[:, _NODES:]
        )
        size = abs(values[:, _NODES:])
        floor = _DEEP * abs(values).max(axis=1, keepdims=True)
        rough = ~(deviation <= TOLERANCE * np.maximum(size, floor)).all(axis=1)
        finished = np.ones_like(rough) if halvings == _HALVINGS else ~rough
        polynomial[rough] = np.nan
        done.append(pending[finished])
        coefficients.append(polynomial[finished])
        left = pending[~finished]
        if not len(left):
            break
        middle = left.mean(axis=1)
        pending = np.stack([left[:, 0], middle, middle, left[:, 1]], axis=1).reshape(-1, 2)
    intervals = np.concatenate(done)
    order = np.argsort(intervals[:, 0])
    edges = np.append(intervals[order, 0], nyquist)
    return Smooth(edges, np.concatenate(coefficients)[order])


@numba.njit(nogil=True, cache=True)
def _polynomials(frequencies, edges, bounds, coefficients, out):
    """Clenshaw's sum at the frequencies of every interval, a block of them at a time."""
    x, this, before = np.empty(_BLOCK), np.empty((2, _BLOCK)), np.empty((2, _BLOCK))
    for interval in range(len(edges) - 1):
        if np.isnan(coefficients[interval, 0].real):
            continue
        centre = (edges[interval] + edges[interval + 1]) / 2
        half = (edges[interval + 1] - edges[interval]) / 2
        for start in range(bounds[interval], bounds[interval + 1], _BLOCK):
            count = min(_BLOCK, bounds[interval + 1] - start)
            for i in range(count):
                x[i] = (frequencies[start + i] - centre) / half
            this[:] = 0.0
            before[:] = 0.0
            for j in range(coefficients.shape[1] - 1, -1, -1):
                twice = 2.0 if j else 1.0
                parts = (coefficients[interval, j].real, coefficients[interval, j].imag)
                for part in range(2):
                    for i in range(count):
                        value = parts[part] + twice * x[i] * this[part, i] - before[part, i]
                        before[part, i] = this[part, i]
                        this[part, i] = value
            for i in range(count):
                out[start + i] = complex(this[0, i], this[1, i])


def _parse(document):
    inventory = obspy.read_inventory(io.BytesIO(document.encode()), format="STATIONXML")
    return inventory[0][0][0].response


def _evalresp(response, frequencies, units):
    order = np.argsort(frequencies)
    values = np.empty(len(frequencies), complex)
    with _EVALRESP, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its remarks on sensitivities that disagree
        try:
            values[order] = response.get_evalresp_response_for_frequencies(
                frequencies[order], output=units, hide_sensitivity_mismatch_warning=True
            )
        except Exception as error:
            raise InputError(
                f"evalresp cannot evaluate a response ({error}): correct the StationXML, or use "
                "ces.remove_sensitivity"
            ) from error
    return values
