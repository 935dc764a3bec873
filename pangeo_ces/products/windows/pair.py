"""Windows of one pair, rule by rule."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from . import candidates, fit, resolve, stalta
from .rules import MIN_LENGTH, OVERLAP, REASONS, TOO_MANY, Rules

#: pyflex trusts no long-term average below this, in whatever units the record has.
_PYFLEX_FLOOR = 1e-9
_NOWHERE = 2**62


@dataclasses.dataclass(frozen=True)
class Spans:
    """Sample numbers of noise and signal, as Python slices have them.

    Attributes
    ----------
    noise_start, noise_end
        ``noise_end`` is ``None`` for a shortest period before the first arrival.
    signal_start, signal_end
        ``signal_start`` is ``None`` for the end of the noise.
    check
        Whether the whole record must stand out of the noise, by ``energy`` and by ``peak``.
    """

    noise_start: int
    noise_end: int | None
    signal_start: int | None
    signal_end: int
    check: bool
    energy: float
    peak: float


@dataclasses.dataclass(frozen=True)
class Limits:
    """Where candidates may lie, in samples, and where the noise ends."""

    first: int = -1
    last: int = _NOWHERE
    earliest: float = -math.inf
    latest: float = math.inf
    noise_end: int | None = None


@dataclasses.dataclass(frozen=True)
class Selected:
    """Outcome of a pair.

    Attributes
    ----------
    usable
        Whether the record passed the check of its quality.
    intervals : (windows, 2)
        First and last sample, in order; those kept.
    measured : (windows, 4)
        Shift (samples), correlation, amplitude ratio, weight.
    found
        Windows before the limit on their number.
    rejected : (reasons,)
        Counts of distinct intervals.
    refused : (count, 3)
        Rejected intervals and the reason; those that came furthest first.
    """

    usable: bool
    intervals: np.ndarray
    measured: np.ndarray
    found: int
    rejected: np.ndarray
    refused: np.ndarray


def limits(arrival: float, distance: float, start: float, rules: Rules) -> Limits:
    """From first arrival (s after the origin), distance (km) and label of the first sample (s)."""
    if not math.isfinite(arrival + distance):
        return Limits()
    travel = distance / rules.min_surface_wave_velocity
    onset = arrival - start
    if rules.emulate:
        noise_end = int(arrival - rules.min_period)  # neither the start nor dt is looked at
    else:
        noise_end = max(math.floor((onset - rules.min_period) / rules.dt), 0)
    return Limits(
        first=math.floor((onset - rules.max_time_before_first_arrival) / rules.dt),
        last=math.floor((travel + rules.max_period - start) / rules.dt),
        earliest=(onset - rules.min_period) / rules.dt,
        latest=(travel - start) / rules.dt,
        noise_end=noise_end,
    )


def select(
    observed: np.ndarray,
    synthetic: np.ndarray,
    where: Limits,
    rules: Rules,
    spans: Spans,
    most: int,
    capacity: int,
) -> Selected:
    """Select windows of one pair ``(samples,)`` without gaps."""
    rejected = np.zeros(len(REASONS) + 1, np.int64)
    noise_end = where.noise_end if spans.noise_end is None else spans.noise_end
    noise = observed[:0] if noise_end is None else observed[spans.noise_start : noise_end]
    if spans.check and not _stands_out(observed, noise, noise_end, spans):
        nothing = np.empty((0, 2), np.int64)
        return Selected(False, nothing, np.empty((0, 4)), 0, rejected, np.empty((0, 3), np.int64))
    floor = _PYFLEX_FLOOR if rules.emulate else 0.0
    ratio = stalta.sta_lta(stalta.envelope(synthetic), rules.dt, rules.min_period, floor)
    maxima, minima = stalta.extrema(ratio, rules.emulate)
    if where.first >= 0 or where.last < observed.size:
        maxima, minima = candidates.between_times(maxima, minima, where.first, where.last)
    kept = np.empty((capacity, 3), np.int64)
    times = where.earliest, where.latest
    intervals, filled = candidates.candidates(ratio, maxima, minima, *times, rules, rejected, kept)
    filled = candidates.early_rejects(ratio, maxima, minima, *times, rules, kept, filled)
    refused = [kept[:filled]]

    def drop(reasons: np.ndarray) -> np.ndarray:
        bad = reasons > 0
        np.add.at(rejected, reasons[bad], 1)
        refused.append(np.column_stack([intervals[bad], reasons[bad]]))
        return ~bad

    short = (intervals[:, 1] - intervals[:, 0]) * rules.dt < rules.c_1 * rules.min_period
    intervals = intervals[drop(np.where(short, MIN_LENGTH, 0))]
    reasons = np.empty(len(intervals), np.int64)
    fit.above_noise(observed, intervals, fit.level(noise, rules.energy), rules, reasons)
    intervals = intervals[drop(reasons)]
    measured = fit.fit(observed, synthetic, intervals)
    reasons = np.empty(len(intervals), np.int64)
    fit.verdicts(measured, rules, reasons)
    good = drop(reasons)
    intervals, measured = intervals[good], measured[good]
    if rules.merge:
        if len(intervals):
            intervals = resolve.merge(intervals)
            measured = fit.fit(observed, synthetic, intervals)
    else:
        chosen = resolve.schedule(intervals, _weights(intervals, measured, rules), rules.emulate)
        lost = np.full(len(intervals), OVERLAP)
        lost[chosen] = 0
        drop(lost)
        intervals, measured = intervals[chosen], measured[chosen]
    weights = _weights(intervals, measured, rules)
    found = len(intervals)
    if found > most:
        excess = np.full(found, TOO_MANY)
        excess[np.argsort(-weights, kind="stable")[:most]] = 0
        best = drop(excess)
        intervals, measured, weights = intervals[best], measured[best], weights[best]
    everything = np.concatenate(refused)
    order = np.lexsort((everything[:, 1], everything[:, 0], -everything[:, 2]))
    return Selected(
        True, intervals, np.column_stack([measured, weights]), found, rejected,
        everything[order[:capacity]],
    )  # fmt: skip


def _weights(intervals: np.ndarray, measured: np.ndarray, rules: Rules) -> np.ndarray:
    """Length in shortest periods, times correlation."""
    return (intervals[:, 1] - intervals[:, 0]) * rules.dt / rules.min_period * measured[:, 1]


def _stands_out(
    observed: np.ndarray, noise: np.ndarray, noise_end: int | None, spans: Spans
) -> bool:
    """Whether signal over noise of the whole record is large enough; not where either is empty."""
    start = noise_end if spans.signal_start is None else spans.signal_start
    signal = observed[start : spans.signal_end]
    return all(
        fit.level(signal, energy) >= least * fit.level(noise, energy)
        for energy, least in ((True, spans.energy), (False, spans.peak))
    )
