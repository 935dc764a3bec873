"""Largest values of motions and oscillators: how channels and oscillators go into vectors."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numba
import numpy as np

from ..process._runs import runs
from ..vectors import WIDTH
from .lanes import MOTIONS, run
from .oscillators import ENOUGH, coefficients, doublings, midpoint_filters
from .rotated import DIRECTIONS, PARTS

_BLOCK, _BLOCK_OF_FINE = 128, 64
#: Beside samples down to this fraction of the largest there may be a larger one, however slow the
#: oscillator.
_NEAREST = {"sv": 0.9, "sa": 0.95}


@dataclasses.dataclass(frozen=True, slots=True)
class Oscillator:
    """Period (s) and fraction of critical damping."""

    period: float
    damping: float


@dataclasses.dataclass(frozen=True)
class Extremes:
    """Largest values by measure: pgd, pgv, pga and then the oscillators.

    Attributes
    ----------
    peaks : (channels, measures)
        Of each channel.
    squares : (pairs, measures)
        Of the sum of both squares.
    hulls : (pairs, measures, 180)
        In every direction; empty unless asked for.
    """

    peaks: np.ndarray
    squares: np.ndarray
    hulls: np.ndarray

    @classmethod
    def nothing(cls, channels: int, pairs: int, measures: int, rotated: bool) -> Extremes:
        """All NaN."""
        return cls(
            np.full((channels, measures), np.nan),
            np.full((pairs, measures), np.nan),
            np.full((pairs if rotated else 0, measures, DIRECTIONS), np.nan),
        )


@dataclasses.dataclass(frozen=True)
class Bank:
    """Oscillators as the lanes of vectors, those that need no doubling first.

    Attributes
    ----------
    members : (vectors, oscillators)
        Number of each, -1 for none.
    equations : (vectors, 6 * 8)
        Coefficients, see :func:`~.oscillators.coefficients`.
    levels : (vectors,)
        Doublings, see :func:`~.oscillators.doublings`.
    nearness : (vectors, 8)
        See :func:`~.rotated.extremes`.
    """

    members: np.ndarray
    equations: np.ndarray
    levels: np.ndarray
    nearness: np.ndarray


def largest(
    x: np.ndarray,
    pairs: np.ndarray,
    oscillators: Sequence[Oscillator],
    *,
    dt: float,
    order: int,
    spectrum: str,
    rotated: bool,
    exact: bool = True,
    motions: bool = True,
) -> Extremes:
    """Largest values of channels and of pairs of them.

    Parameters
    ----------
    x : (channels, samples)
        NaN in gaps; every run starts from rest.
    pairs : (pairs, 2) int
        Channels that belong together.
    dt
        Sampling interval (s).
    order
        How many derivatives ``x`` is away from displacement.
    spectrum
        See :data:`~.oscillators.SPECTRA`.
    rotated
        Whether to find the largest values in every direction.
    exact
        Look for maxima between samples and oversample; else at the samples as they are.
    motions
        Whether the first three measures are wanted.
    """
    result = Extremes.nothing(len(x), len(pairs), MOTIONS + len(oscillators), rotated)
    if not x.shape[-1]:
        return result
    x = np.ascontiguousarray(x)
    gappy = _gappy(x)
    banks: dict[int, Bank] = {}
    alone = np.delete(np.arange(len(x)), pairs.ravel())
    for paired, which, rows in _batches(pairs, alone, gappy):
        wide = _power_of_two(max(len(which), 1) if paired else -(-len(which) // 2))
        if wide not in banks:
            banks[wide] = _bank(oscillators, wide, dt, spectrum, exact)
        bank = banks[wide]
        rows = rows[:, np.arange(WIDTH) % wide]
        segments, spans = find_segments(x, rows, gappy)
        peaks, squares, hulls = _sweep(
            x, rows, segments, spans, dt, order, bank, paired, rotated and paired, motions
        )
        measure, slot, lane = _places(bank, wide)
        for half in range(2):
            there = np.flatnonzero(rows[half, :wide] >= 0)
            for i in there:
                result.peaks[rows[half, i], measure] = peaks[slot, half, lane + i]
        if paired:
            for place, pair in enumerate(which):
                result.squares[pair, measure] = squares[slot, lane + place]
                if rotated:
                    result.hulls[pair, measure] = hulls[slot, lane + place]
    result.peaks[result.peaks < 0] = np.nan  # nothing was there
    result.squares[result.squares < 0] = np.nan
    if rotated:
        result.hulls[np.isnan(result.squares)] = np.nan
    return result


def _power_of_two(count: int) -> int:
    return 1 << max(count - 1, 0).bit_length()


def _batches(
    pairs: np.ndarray, alone: np.ndarray, gappy: np.ndarray
) -> Iterator[tuple[bool, np.ndarray, np.ndarray]]:
    """Whether they are pairs, their numbers, and rows (2, 8) of ``x`` or -1; gaps go apart."""
    together = gappy[pairs].any(axis=-1) if len(pairs) else np.zeros(0, bool)
    for gaps in (False, True):
        chosen = np.flatnonzero(together == gaps)
        for start in range(0, len(chosen), WIDTH):
            which = chosen[start : start + WIDTH]
            rows = np.full((2, WIDTH), -1)
            rows[:, : len(which)] = pairs[which].T
            yield True, which, rows
        chosen = alone[gappy[alone] == gaps]
        for start in range(0, len(chosen), 2 * WIDTH):
            which = chosen[start : start + 2 * WIDTH]
            wide = _power_of_two(-(-len(which) // 2))
            rows = np.full((2, WIDTH), -1)
            rows[0, : len(which[:wide])] = which[:wide]
            rows[1, : len(which[wide:])] = which[wide:]
            yield False, which, rows


def _places(bank: Bank, wide: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measure, slot and first lane of all results."""
    vector, position = np.nonzero(bank.members >= 0)
    motions = np.arange(MOTIONS)
    return (
        np.concatenate([motions, MOTIONS + bank.members[vector, position]]),
        np.concatenate([motions, MOTIONS + vector]),
        np.concatenate([0 * motions, wide * position]),
    )


def _bank(
    oscillators: Sequence[Oscillator], wide: int, dt: float, spectrum: str, exact: bool
) -> Bank:
    """Oscillators in vectors of ``8 // wide`` for as many channels."""
    several = WIDTH // wide
    levels = np.array(
        [doublings(o.period, o.damping, dt, spectrum) if exact else -1 for o in oscillators], int
    )
    members, equations, rates, nearness = [], [], [], []
    for level in np.unique(levels):
        of_level = np.flatnonzero(levels == level)
        step = dt / 2 ** max(level, 0)
        chosen = [oscillators[int(number)] for number in of_level]
        table = coefficients(
            [o.period for o in chosen], [o.damping for o in chosen], step, spectrum
        )
        for start in range(0, len(chosen), several):
            part = np.arange(start, min(start + several, len(chosen)))
            lanes = part[np.minimum(np.arange(WIDTH) // wide, len(part) - 1)]
            equations.append(table[lanes].T)
            members.append(np.pad(of_level[part], (0, several - len(part)), constant_values=-1))
            rates.append(level)
            samples = np.array([chosen[lane].period for lane in lanes]) / step
            near = np.cos(1.2 * np.pi / np.maximum(samples, ENOUGH))
            nearness.append(np.minimum(near, _NEAREST.get(spectrum, 1.0)))
    return Bank(
        np.array(members, int).reshape(-1, several),
        np.array(equations, float).reshape(-1, 6 * WIDTH),
        np.array(rates, np.int64),
        np.array(nearness, float).reshape(-1, WIDTH),
    )


def find_segments(
    x: np.ndarray, rows: np.ndarray, gappy: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pieces of time in which each lane is there or not, and the run of each lane there.

    Returns
    -------
    segments : (n, 2)
        Start and stop.
    spans : (n, 2, 8, 2)
        Start and stop of the run that a lane is in; -1 where it is in none.
    """
    whole = np.array([0, x.shape[-1]])
    there = rows >= 0
    if not gappy[rows[there]].any():
        spans = np.where(there[..., None], whole, -1)
        return whole[None], spans[None]
    found = {int(row): runs(np.isnan(x[row])) for row in np.unique(rows[there])}
    cuts = np.unique([edge for spans in found.values() for run in spans for edge in run])
    if len(cuts) < 2:
        return np.zeros((0, 2), int), np.zeros((0, *rows.shape, 2), int)
    segments = np.stack([cuts[:-1], cuts[1:]], axis=-1)
    spans = np.full((len(segments), *rows.shape, 2), -1)
    for half, lane in zip(*np.nonzero(there), strict=True):
        for start, stop in found[int(rows[half, lane])]:
            inside = (segments[:, 0] >= start) & (segments[:, 1] <= stop)
            spans[inside, half, lane] = start, stop
    return segments, spans


@numba.njit(nogil=True, cache=True)
def _gappy(x):
    result = np.zeros(len(x), np.bool_)
    for row in range(len(x)):
        missing = 0
        for i in range(x.shape[1]):
            missing += x[row, i] != x[row, i]
        result[row] = missing > 0
    return result


def _sweep(x, rows, segments, spans, dt, order, bank, paired, rotated, motions):
    slots = MOTIONS + len(bank.levels)
    peaks, squares = np.full(2 * slots * WIDTH, -1.0), np.full(slots * WIDTH, -1.0)
    hulls = np.full((slots * WIDTH if rotated else 0) * PARTS * WIDTH, 0.0)
    ellipses = np.full(3 * slots * WIDTH, 0.0)
    ellipses.reshape(slots, 3, WIDTH)[:, ::2] = 1e250
    count = max(int(bank.levels.max(initial=0)), 0)
    filters = midpoint_filters(count)
    block = _BLOCK_OF_FINE if count else _BLOCK
    run(x, rows, segments, spans, dt, order, block, *filters, bank.equations, bank.levels,
         bank.nearness, paired, rotated, motions, peaks, squares, hulls, ellipses)  # fmt: skip
    return (
        peaks.reshape(slots, 2, WIDTH),
        squares.reshape(slots, WIDTH),
        hulls.reshape(-1, WIDTH, PARTS * WIDTH)[..., :DIRECTIONS],
    )
