"""Cascades of biquads, sixteen records at a time.

A biquad waits for its last output before it can go on, so one record leaves most of the processor
idle.  Two times eight records in lanes fill it: a quarter of the time, the same sums.
"""

from __future__ import annotations

import numba
import numpy as np

from ..vectors import WIDTH, eight_at, octet, octet_at, put, put_octet, put_turned

#: Samples at a time: two octets of each stay in the processor's first cache.
_BLOCK = 128


#: Fewer records than this are quicker one by one.
_FEW = 5


@numba.njit(nogil=True, cache=True)
def sosfilt(x, sos, zerophase):
    """Second-order sections in direct form II transposed, from rest; backward again if zero-phase.

    Parameters
    ----------
    x : (records, samples)
        Contiguous, float32 or float64; summed in float64.
    sos : (sections, 6)
        As :func:`scipy.signal.sosfilt` has them.
    zerophase
        Whether to run both ways.
    """
    rows, n = x.shape
    result = np.empty_like(x)
    first = 0
    if rows >= _FEW:
        pairs = np.zeros(((len(sos) + 1) // 2 * 2, 6))
        pairs[:, 0] = 1.0  # a last section without a partner gets one that does nothing
        put(sos.reshape(-1), pairs.reshape(-1)[: sos.size])
        padded = (n + WIDTH - 1) // WIDTH * WIDTH
        one, two = np.zeros(padded * WIDTH), np.zeros(padded * WIDTH)
        while rows - first >= _FEW:
            _gather(x, first, one)
            _gather(x, first + WIDTH, two)
            _cascade(one, two, n, pairs, False)
            if zerophase:
                _cascade(one, two, n, pairs, True)
            _scatter(one, first, result)
            _scatter(two, first + WIDTH, result)
            first += 2 * WIDTH
    work = np.empty(n)
    for row in range(first, rows):
        put(x[row], work)
        _alone(work, sos)
        if zerophase:
            _alone(work[::-1], sos)
        put(work, result[row])
    return result


@numba.njit(nogil=True, cache=True)
def _alone(work, sos):
    """One record, in place."""
    states = np.zeros((len(sos), 2))
    for i in range(len(work)):
        value = work[i]
        for s in range(len(sos)):
            out = sos[s, 0] * value + states[s, 0]
            states[s, 0] = sos[s, 1] * value - sos[s, 4] * out + states[s, 1]
            states[s, 1] = sos[s, 2] * value - sos[s, 5] * out
            value = out
        work[i] = value


@numba.njit(nogil=True, cache=True)
def _cascade(one, two, n, sos, backward):
    """Sixteen records, in place: pair after pair of sections over a block while it is in cache."""
    states = np.zeros(4 * len(sos) * WIDTH)
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        for s in range(0, len(sos), 2):
            if backward:
                _pair(one, two, n - 1 - start, n - 1 - stop, -1, sos, s, states)
            else:
                _pair(one, two, start, stop, 1, sos, s, states)


@numba.njit(nogil=True, cache=True)
def _pair(one, two, start, stop, step, sos, s, states):
    """Sections ``s`` and ``s + 1`` over samples ``start``, ``start + step``, … before ``stop``."""
    b0, b1, b2 = octet(sos[s, 0]), octet(sos[s, 1]), octet(sos[s, 2])
    a1, a2 = octet(sos[s, 4]), octet(sos[s, 5])
    d0, d1, d2 = octet(sos[s + 1, 0]), octet(sos[s + 1, 1]), octet(sos[s + 1, 2])
    c1, c2 = octet(sos[s + 1, 4]), octet(sos[s + 1, 5])
    at = 4 * s
    p0, p1 = octet_at(states, at), octet_at(states, at + 1)
    p2, p3 = octet_at(states, at + 2), octet_at(states, at + 3)
    q0, q1 = octet_at(states, at + 4), octet_at(states, at + 5)
    q2, q3 = octet_at(states, at + 6), octet_at(states, at + 7)
    for i in range(start, stop, step):
        x, y = octet_at(one, i), octet_at(two, i)
        u, v = b0 * x + p0, b0 * y + q0
        p0, q0 = b1 * x - a1 * u + p1, b1 * y - a1 * v + q1
        p1, q1 = b2 * x - a2 * u, b2 * y - a2 * v
        x, y = d0 * u + p2, d0 * v + q2
        p2, q2 = d1 * u - c1 * x + p3, d1 * v - c1 * y + q3
        p3, q3 = d2 * u - c2 * x, d2 * v - c2 * y
        put_octet(one, i, x)
        put_octet(two, i, y)
    put_octet(states, at, p0)
    put_octet(states, at + 1, p1)
    put_octet(states, at + 2, p2)
    put_octet(states, at + 3, p3)
    put_octet(states, at + 4, q0)
    put_octet(states, at + 5, q1)
    put_octet(states, at + 6, q2)
    put_octet(states, at + 7, q3)


@numba.njit(nogil=True, cache=True)
def _gather(x, first, lanes):
    """Eight records side by side; the last one again where there are fewer."""
    rows, n = x.shape
    flat = x.reshape(-1)
    a, b, c, d, e, f, g, h = [min(first + lane, rows - 1) * n for lane in range(WIDTH)]
    whole = n // WIDTH * WIDTH
    for i in range(0, whole, WIDTH):
        put_turned(
            lanes, i, eight_at(flat, a + i), eight_at(flat, b + i), eight_at(flat, c + i),
            eight_at(flat, d + i), eight_at(flat, e + i), eight_at(flat, f + i),
            eight_at(flat, g + i), eight_at(flat, h + i),
        )  # fmt: skip
    for lane in range(WIDTH):
        for i in range(whole, n):
            lanes[i * WIDTH + lane] = x[min(first + lane, rows - 1), i]


@numba.njit(nogil=True, cache=True)
def _scatter(lanes, first, result):
    """The inverse of :func:`_gather`."""
    rows, n = result.shape
    flat = result.reshape(-1)
    square = np.empty(WIDTH * WIDTH)
    for start in range(0, n, WIDTH):
        put_turned(
            square, 0, octet_at(lanes, start), octet_at(lanes, start + 1),
            octet_at(lanes, start + 2), octet_at(lanes, start + 3), octet_at(lanes, start + 4),
            octet_at(lanes, start + 5), octet_at(lanes, start + 6), octet_at(lanes, start + 7),
        )  # fmt: skip
        if start + WIDTH <= n:
            for lane in range(min(WIDTH, rows - first)):
                for i in range(WIDTH):
                    flat[(first + lane) * n + start + i] = square[lane * WIDTH + i]
        else:
            for lane in range(min(WIDTH, rows - first)):
                for i in range(n - start):
                    flat[(first + lane) * n + start + i] = square[lane * WIDTH + i]
