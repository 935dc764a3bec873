"""Windows of pairs: from labels to samples, tapers, integrals."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator

import numba
import numpy as np
import xarray as xr

from ...errors import ParameterError, SchemaError
from ...registry import WINDOW_EDGES
from .._pairs import FAILED, NO_WINDOW, OK, Pairs, bare, common_spans

TAPERS = ("hann", "hamming", "cos", "cos_p10")
#: Sums may be taken in vectors: their order depends on the length of a window alone.
SUMS = {"reassoc", "contract"}
#: Shorter windows are not measured: derivatives and integrals need these.
FEWEST_SAMPLES = 4
#: A label is on a sample when it is this close to it, in samples.
_CLOSE = 1e-3


@dataclasses.dataclass(frozen=True)
class Cuts:
    """The windows of a block, one an entry, in the order of rows.

    Attributes
    ----------
    row, slot
        Record, and number of the window in it.
    begin, end
        Samples, and one past the last.
    low, high
        The span that both sides of the record have.
    taper_at
        Where the taper of the window begins in ``tapers``.
    """

    row: np.ndarray
    slot: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    low: np.ndarray
    high: np.ndarray
    taper_at: np.ndarray
    tapers: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    @property
    def longest(self) -> int:
        """Samples of the longest window."""
        return int((self.end - self.begin).max(initial=0))

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Record, begin, end and taper of every window, as kernels take them."""
        return self.row, self.begin, self.end, self.taper_at, self.tapers

    def take(self, chosen: np.ndarray) -> Cuts:
        """Some of the windows."""
        parts = {
            field.name: getattr(self, field.name)[chosen]
            for field in dataclasses.fields(self)
            if field.name != "tapers"
        }
        return Cuts(**parts, tapers=self.tapers)

    def pieces(self, *sides: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Number, taper and tapered samples ``(sides, length)`` of every window."""
        for number, (row, begin, end, at) in enumerate(
            zip(self.row.tolist(), self.begin.tolist(), self.end.tolist(),
                self.taper_at.tolist(), strict=True)
        ):  # fmt: skip
            weights = self.tapers[at : at + end - begin]
            yield number, weights, np.stack([side[row, begin:end] for side in sides]) * weights


def edges(windows: xr.Dataset | None, pairs: Pairs) -> list[xr.DataArray]:
    """``window_start`` and ``window_end`` over the axes of the pairs; none without windows."""
    if windows is None:
        return []
    for axis in pairs.dims:
        ours = pairs.observed.coords.get(axis)
        theirs = windows.coords.get(axis)
        if axis not in windows.dims or (
            ours is not None
            and theirs is not None
            and not np.array_equal(ours.values, theirs.values)
        ):
            raise SchemaError(
                f"windows and waveforms differ in {axis}: select windows on these waveforms"
            )
    found = [windows[name] for name in WINDOW_EDGES]
    wanted = {*pairs.dims, "window"}
    if any(set(map(str, edge.dims)) != wanted for edge in found):
        raise SchemaError(
            f"windows have dimensions {found[0].dims}: give ({', '.join([*pairs.dims, 'window'])})"
        )
    return [bare(edge) for edge in found]


def cut(
    observed: np.ndarray,
    synthetic: np.ndarray,
    limits: Iterable[np.ndarray],
    dt: float,
    start: float,
    percentage: float,
    kind: str,
) -> tuple[Cuts, np.ndarray]:
    """The windows to measure, and the status ``(rows, windows)`` of all.

    A window ends where the span that both sides have does.  Without ``limits`` that whole span is
    the one window.
    """
    spans, status = common_spans(observed, synthetic)
    given = [np.ascontiguousarray(limit, np.float64) for limit in limits]
    if given:
        first = np.ceil((given[0] - start) / dt - _CLOSE)
        stop = np.floor((given[1] - start) / dt + _CLOSE) + 1
    else:
        first, stop = np.ascontiguousarray(spans.T[:, :, None], np.float64)
    state, (row, slot, begin, end, low, high) = _within(first, stop, spans, status)
    lengths = end - begin
    found = np.flatnonzero(np.bincount(lengths))
    weights = [taper(length, percentage, kind) for length in found.tolist()]
    starts = np.zeros(lengths.max(initial=0) + 1, np.int64)
    starts[found[1:]] = np.cumsum(found[:-1])
    tapers = np.concatenate(weights) if weights else np.empty(0)
    return Cuts(row, slot, begin, end, low, high, starts[lengths], tapers), state


@numba.njit(nogil=True, cache=True)
def _within(first, stop, spans, status):
    """Status of all windows; of those to measure the first entries of :class:`Cuts`."""
    rows, slots = first.shape
    state, cuts = np.empty((rows, slots), np.int8), np.empty((6, rows * slots), np.int64)
    count = 0
    for row in range(rows):
        low, high = spans[row]
        for slot in range(slots):
            begin, end = first[row, slot], stop[row, slot]
            if status[row] != OK:
                state[row, slot] = status[row]
                continue
            if not (np.isfinite(begin) and np.isfinite(end)):
                state[row, slot] = NO_WINDOW
                continue
            begin, end = min(max(begin, low), high), min(max(end, low), high)
            state[row, slot] = OK if end - begin >= FEWEST_SAMPLES else FAILED
            if state[row, slot] == OK:
                for place, value in enumerate((row, slot, int(begin), int(end), low, high)):
                    cuts[place, count] = value
                count += 1
    return state, cuts[:, :count]


@functools.lru_cache(maxsize=1024)
def taper(length: int, percentage: float, kind: str) -> np.ndarray:
    """Weights of a window: ``percentage`` of it falls to zero, half of that at each end.

    Values as pyadjoint 0.2.3 has them.
    """
    if kind not in TAPERS:
        raise ParameterError(f"taper_type {kind!r}: use one of {', '.join(TAPERS)}")
    if not 0 <= percentage <= 1:
        raise ParameterError(f"taper_percentage {percentage}: give a fraction from 0 to 1")
    half = length * percentage / 2
    ramp = int(half if percentage in (0.0, 1.0) else half + 0.5)
    phase = np.pi * np.arange(2 * ramp) / max(2 * ramp - 1, 1)
    shape = {
        "hann": lambda: 0.5 - 0.5 * np.cos(2 * phase),
        "hamming": lambda: 0.54 - 0.46 * np.cos(2 * phase),
        "cos": lambda: np.cos(phase - np.pi / 2),
        "cos_p10": lambda: 1 - np.cos(phase) ** 10,
    }[kind]()
    weights = np.ones(length)
    weights[:ramp] = shape[:ramp]
    weights[length - ramp :] *= shape[ramp:]  # the ends meet in windows of odd length
    weights.setflags(write=False)
    return weights


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def simpson(y, dx):
    """Simpson's rule; for an even number of samples the last interval after Cartwright (2017).

    Equals ``scipy.integrate.simpson``.
    """
    n = len(y)
    odd = n - 1 + n % 2
    total = 0.0
    for i in range(odd):  # 2, 4, 2, 4, ..., 2: in vectors
        total += (2 + 2 * (i & 1)) * y[i]
    total = (total - y[0] - y[odd - 1]) / 3
    if n > odd:
        total += (5 * y[n - 1] + 8 * y[n - 2] - y[n - 3]) / 12
    return total * dx


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def derivative(y, dt, out):
    """Central differences, one-sided at the ends, as ``numpy.gradient``."""
    n, half = len(y), 0.5 / dt
    out[0], out[n - 1] = (y[1] - y[0]) / dt, (y[n - 1] - y[n - 2]) / dt
    for i in range(1, n - 1):
        out[i] = (y[i + 1] - y[i - 1]) * half
