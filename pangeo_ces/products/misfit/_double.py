"""Differences between two stations: the kernel of the operators on double differences."""

from __future__ import annotations

import math

import numpy as np
import scipy.fft

from .._pairs import FAILED, NO_WINDOW, OK
from ._windows import cut, simpson
from .traveltime import between, cc_errors


def of_pairs(observed, synthetic, *limits, pairs, measure, **options):
    leading = observed.shape[:-2]
    found = []
    for one, two, cutting in _sections(observed, synthetic, limits):
        values, count, status, _ = _section(one, two, cutting, pairs, measure, **options)
        found.append(np.concatenate([values, count[:, None], status[:, None]], axis=1))
    columns = (5 if measure == "cc_traveltime" else 1) + 2
    return np.array(found).reshape(*leading, len(pairs), columns)


def of_stations(observed, synthetic, *limits, pairs, measure, **options):
    *leading, stations, samples = observed.shape
    found = np.zeros((math.prod(leading), stations, samples + 2))
    for section, (one, two, cutting) in enumerate(_sections(observed, synthetic, limits)):
        values, _, status, source = _section(one, two, cutting, pairs, measure, **options)
        out = found[section]
        out[:, :samples] = source
        out[:, samples + 1] = NO_WINDOW
        good = np.zeros(stations, bool)
        for pair, both in enumerate(pairs):
            for station in both:
                if status[pair] == OK:
                    out[station, samples] += values[pair, 0] / 2
                    good[station] = True
                elif not good[station]:
                    out[station, samples + 1] = status[pair]
        out[good, samples + 1] = OK
        out[~good, : samples + 1] = np.nan
    return found.reshape(*leading, stations, samples + 2)


def _sections(observed, synthetic, limits):
    """Records ``(station, time)`` of one event and component after the other."""
    blocks = [np.ascontiguousarray(x, np.float64) for x in (observed, synthetic, *limits)]
    flat = [block.reshape(-1, *block.shape[-2:]) for block in blocks]
    for one, two, *edge in zip(*flat, strict=True):
        yield one, two, edge


def _section(
    observed, synthetic, limits, pairs, measure, *, axis, tapering, subsample, use_cc_error,
    dt_sigma_min,
):  # fmt: skip
    """Values, number of windows and status of the pairs, and sources of the stations."""
    dt, start = axis
    cuts, state = cut(observed, synthetic, limits, dt, start, *tapering)
    number = {(row, slot): n for n, (row, slot) in enumerate(zip(cuts.row.tolist(),
              cuts.slot.tolist(), strict=True))}  # fmt: skip
    pieces = [(weights, *both) for _, weights, both in cuts.pieces(observed, synthetic)]
    columns = 5 if measure == "cc_traveltime" else 1
    values = np.zeros((len(pairs), columns))
    count, status = np.zeros(len(pairs)), np.zeros(len(pairs))
    source = np.zeros(observed.shape)
    for pair, (a, b) in enumerate(pairs):
        for slot in range(state.shape[1]):
            one, two = number.get((a, slot)), number.get((b, slot))
            if one is None or two is None:
                continue
            found = _compared(
                pieces[one], pieces[two], (cuts.begin[one] - cuts.begin[two]) * dt, measure, dt,
                subsample, use_cc_error, dt_sigma_min,
            )  # fmt: skip
            if found is None:
                continue
            values[pair] += found[0]
            count[pair] += 1
            for window, (weights, *_), f in ((one, pieces[one], found[1]),
                                             (two, pieces[two], found[2])):  # fmt: skip
                n = len(weights)
                source[cuts.row[window], cuts.begin[window] : cuts.end[window]] += weights * f[:n]
        worst = max(_worst(state[a]), _worst(state[b]))
        status[pair] = OK if count[pair] else worst if worst != OK else FAILED
    values[:, 1:] /= np.maximum(count, 1)[:, None]
    values[count == 0] = np.nan
    return values, count, status, source


def _worst(state: np.ndarray) -> int:
    """What is wrong with a station that has no window to compare."""
    if (state == OK).any():
        return OK
    return int(state.max()) if state.size else NO_WINDOW


def _compared(one, two, apart, measure, dt, subsample, use_cc_error, dt_sigma_min):
    """Values of one window of two stations, and the sources of both; None where one is silent."""
    (_, d1, s1), (_, d2, s2) = one, two
    n = max(len(d1), len(d2))
    d1, s1, d2, s2 = (np.pad(x, (0, n - len(x))) for x in (d1, s1, d2, s2))
    if measure == "waveform":
        difference = (s1 - s2) - (d1 - d2)
        return np.array([0.5 * simpson(difference**2, dt)]), difference, -difference
    if not all(x.any() for x in (d1, s1, d2, s2)):
        return None
    observed, _ = _shift(d1, d2, subsample)
    synthetic, moved = _shift(s1, s2, subsample)
    shift, error = (synthetic - observed) * dt, 1.0
    if use_cc_error:
        dlna = 0.5 * np.log(np.square(d1).sum() / np.square(d2).sum())
        error, _ = cc_errors(d1, d2, round(observed), dlna, dt, np.empty(n))
        error = max(error, dt_sigma_min) if error > 0 else dt_sigma_min
    slope1, slope2 = np.gradient(moved, dt), np.gradient(s2, dt)
    factor = shift / error**2 / simpson(slope1 * slope2, dt)
    back = _moved(slope2, -synthetic)
    values = [0.5 * (shift / error) ** 2, shift, observed * dt + apart, synthetic * dt + apart,
              error]  # fmt: skip
    return np.array(values), -factor * back, factor * slope1


def _shift(x: np.ndarray, y: np.ndarray, subsample: bool) -> tuple[float, np.ndarray]:
    """Shift of the largest correlation in samples, and x moved by it onto y."""
    n = len(x)
    size = scipy.fft.next_fast_len(2 * n - 1, real=True)
    one, two = scipy.fft.rfft(np.stack([x, y]), size, axis=-1)
    correlation = scipy.fft.irfft(one * two.conj(), size)
    ordered = np.concatenate([correlation[size - n + 1 :], correlation[:n]])
    lag = float(ordered.argmax() - n + 1)
    if subsample:
        return between(x, y, lag)
    return lag, _moved(x, lag)


def _moved(x: np.ndarray, shift: float) -> np.ndarray:
    """``x(t + shift)``, band-limited between samples, zero beyond the window."""
    n = len(x)
    size = scipy.fft.next_fast_len(2 * n - 1, real=True)
    turn = np.exp(2j * np.pi / size * shift * np.arange(size // 2 + 1))
    return scipy.fft.irfft(scipy.fft.rfft(x, size) * turn, size)[:n]
