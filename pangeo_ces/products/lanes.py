"""The pass itself: two times eight channels, block by block of time.

Blocks are so small that all between reading the samples and the last maximum stays in the
processor's cache.
"""

from __future__ import annotations

import numba
import numpy as np

from ..vectors import WIDTH, eight_at, octet, octet_at, put_octet, put_turned
from .oscillators import double, oscillate, restart, sharpen
from .rotated import STENCIL, extremes

#: Displacement, velocity and acceleration come first among the measures.
MOTIONS = 3
#: Rows of the block before that interpolation between samples needs.
_KEPT = 2 * STENCIL


@numba.njit(nogil=True, cache=True)
def run(
    x, rows, segments, spans, dt, order, block, taps, reach, margins, equations, levels, nearness,
    paired, rotated, motions, peaks, squares, hulls, ellipses,
):  # fmt: skip
    """Update the largest values of all measures; see :mod:`.sweep` for the arguments.

    Parameters
    ----------
    x : (channels, samples)
    rows : (2, 8)
        Channel of each lane, -1 for none.
    segments, spans
        See :func:`~.sweep.find_segments`.
    order
        How many derivatives ``x`` is away from displacement.
    block
        Samples at a time.
    taps, reach, margins
        See :func:`~.oscillators.midpoint_filters`.
    equations, levels, nearness
        See :class:`~.sweep.Bank`.
    """
    margin = margins[0]
    size = (block + 2 * margin) * WIDTH
    motion = np.full((MOTIONS, 2, size), np.nan)
    everywhere = np.ones(WIDTH)
    totals = np.full((MOTIONS, 2, WIDTH), np.nan)
    doubled = len(taps)
    longest = block << doubled
    fine = np.full((doubled, 2, (longest + 2 * margin) * WIDTH), np.nan)
    sharp = np.empty((2, (longest + 2) * WIDTH))
    out = np.empty((2, (longest + _KEPT) * WIDTH))
    kept = np.full((len(levels), 2, _KEPT * WIDTH), np.nan)
    states = np.full((len(levels), 2, 2 * WIDTH), np.nan)
    for number in range(len(segments)):
        begin, end = segments[number, 0], segments[number, 1]
        for start in range(begin, end, block):
            count = min(block, end - start)
            for m in range(order if motions else MOTIONS - 1, MOTIONS):
                for half in range(2):
                    _fill(x, rows[half], spans[number, half], m - order, start - margin,
                          count + 2 * margin, dt, motion[m, half])  # fmt: skip
            for m in range(order - 1 if motions else -1, -1, -1):
                for half in range(2):
                    _integrate(motion[m + 1, half], motion[m, half], totals[m, half], margin,
                               count, dt, spans[number, half], start)  # fmt: skip
            for m in range(MOTIONS if motions else 0):
                extremes(motion[m, 0], motion[m, 1], margin, margin + count, m, everywhere,
                         False, paired, rotated, peaks, squares, hulls, ellipses)  # fmt: skip
            ready = -1
            for v in range(len(levels)):
                level = levels[v]
                one, two, row = motion[2, 0], motion[2, 1], margin
                if level >= 0:
                    while ready < level:
                        ready += 1
                        for half in range(2):
                            source = motion[2, half] if ready == 0 else fine[ready - 1, half]
                            if ready > 0:
                                before = motion[2, half] if ready == 1 else fine[ready - 2, half]
                                many = (count << ready) // 2 + margins[ready]
                                double(before, margins[ready - 1] - margins[ready] // 2, source,
                                       many, taps[ready - 1], reach[ready - 1])  # fmt: skip
                            sharpen(source, margins[ready] - 2, sharp[half], (count << ready) + 2)
                            _end(sharp[half], spans[number, half], start + count, count, ready)
                    one, two, row = sharp[0], sharp[1], 2
                many = count << max(level, 0)
                for half in range(2):
                    series = one if half == 0 else two
                    for lane in range(WIDTH):
                        if spans[number, half, lane, 0] == start:
                            restart(series, row, lane, equations[v], states[v, half])
                    if level >= 0:
                        _copy(kept[v, half], 0, out[half])
                oscillate(one, two, row, many, equations[v], states[v, 0], states[v, 1],
                          out[0], out[1], _KEPT)  # fmt: skip
                first = _KEPT if level < 0 else STENCIL
                extremes(out[0], out[1], first, first + many, MOTIONS + v, nearness[v], level >= 0,
                         paired, rotated, peaks, squares, hulls, ellipses)  # fmt: skip
                if level >= 0:
                    for half in range(2):
                        _copy(out[half], many, kept[v, half])
    out[:] = np.nan
    for v in range(len(levels)):
        if levels[v] >= 0:  # the last samples waited for others to come
            for half in range(2):
                _copy(kept[v, half], 0, out[half])
            extremes(out[0], out[1], STENCIL, _KEPT, MOTIONS + v, nearness[v], True, paired,
                     rotated, peaks, squares, hulls, ellipses)  # fmt: skip


@numba.njit(nogil=True, cache=True)
def _copy(source, row, target):
    """The rows that the next block needs."""
    for i in range(_KEPT):
        put_octet(target, i, octet_at(source, row + i))


@numba.njit(nogil=True, cache=True)
def _fill(x, rows, spans, derivatives, first, count, dt, out):
    """Samples or their derivatives as rows of octets; beyond a run its last value goes on."""
    begin, end = spans[:, 0].max(), spans[:, 1].min()
    there = spans[:, 0].min() >= 0 and begin <= first and first + count <= end
    done = _turn(x, rows, first, count, out) if there and derivatives == 0 else 0
    for lane in range(WIDTH):
        row, start, stop = rows[lane], spans[lane, 0], spans[lane, 1]
        if start < 0:
            for i in range(count):
                out[WIDTH * i + lane] = np.nan
            continue
        low, high = min(max(start - first, 0), count), max(min(stop - first, count), 0)
        if derivatives == 0:
            for i in range(max(low, done), high):
                out[WIDTH * i + lane] = x[row, first + i]
        elif derivatives == 1:
            series, twice = x[row], 2 * dt
            for i in (low, high - 1):  # where the ends of a run may be
                out[WIDTH * i + lane] = _slope(series, first + i, start, stop, dt)
            for i in range(max(low, start + 1 - first), min(high, stop - 1 - first)):
                step = np.float64(series[first + i + 1]) - series[first + i - 1]
                out[WIDTH * i + lane] = step / twice
        else:
            for i in range(low, high):
                out[WIDTH * i + lane] = _slope_of_slope(x[row], first + i, start, stop, dt)
        for i in range(low):
            out[WIDTH * i + lane] = out[WIDTH * low + lane]
        for i in range(high, count):
            out[WIDTH * i + lane] = out[WIDTH * (high - 1) + lane]


@numba.njit(nogil=True, cache=True)
def _turn(x, rows, first, count, out):
    """All but the last few samples of eight whole channels, eight by eight."""
    start = rows * x.shape[1] + first
    whole = count // WIDTH * WIDTH
    for i in range(0, whole, WIDTH):
        put_turned(
            out, i, eight_at(x, start[0] + i), eight_at(x, start[1] + i),
            eight_at(x, start[2] + i), eight_at(x, start[3] + i), eight_at(x, start[4] + i),
            eight_at(x, start[5] + i), eight_at(x, start[6] + i), eight_at(x, start[7] + i),
        )  # fmt: skip
    return whole


@numba.njit(nogil=True, cache=True)
def _slope(x, i, start, stop, dt):
    """Central difference, one-sided at the ends of a run."""
    if stop - start < 2:
        return 0.0
    before, after = max(i - 1, start), min(i + 1, stop - 1)
    return (np.float64(x[after]) - x[before]) / ((after - before) * dt)


@numba.njit(nogil=True, cache=True)
def _slope_of_slope(x, i, start, stop, dt):
    if stop - start < 2:
        return 0.0
    before, after = max(i - 1, start), min(i + 1, stop - 1)
    rise = _slope(x, after, start, stop, dt) - _slope(x, before, start, stop, dt)
    return rise / ((after - before) * dt)


@numba.njit(nogil=True, cache=True)
def _integrate(x, out, total, margin, count, dt, spans, start):
    """Cumulative trapezoid from zero, going on from the ``total`` of the block before."""
    half_dt = 0.5 * dt
    for lane in range(WIDTH):
        if spans[lane, 0] == start:
            place = WIDTH * (margin - 1) + lane
            total[lane] = -(half_dt * (x[place] + x[place + WIDTH]))
    half, sums, before = octet(half_dt), octet_at(total, 0), octet_at(x, margin - 1)
    put_octet(out, margin - 1, sums)
    for i in range(count):
        here = octet_at(x, margin + i)
        sums = sums + half * (before + here)
        put_octet(out, margin + i, sums)
        before = here
    put_octet(total, 0, sums)


@numba.njit(nogil=True, cache=True)
def _end(sharp, spans, stop, count, level):
    """No samples after the last one of a run."""
    for lane in range(WIDTH):
        if spans[lane, 1] == stop:
            for i in range(2 + ((count - 1) << level) + 1, 2 + (count << level)):
                sharp[WIDTH * i + lane] = np.nan
