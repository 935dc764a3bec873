"""Damped oscillators as recursive filters, for eight series side by side.

A recursion is serial in time, so a vector holds eight series (channels, or periods of few
channels) at the same time, not eight times of one: a step is then five multiplications and
additions of vectors.  Buffers of kernels are flat, row after row of :data:`~..vectors.WIDTH`
numbers.

The oscillator x'' + 2 z w x' + w² x = -a is solved exactly for acceleration that is linear between
samples (Nigam & Jennings 1969), and eliminated to one difference equation of its output r,

    r[n] = t r[n-1] - d r[n-2] + c0 a[n] + c1 a[n-1] + c2 a[n-2].

Straight lines between samples weaken a wave of frequency f by sinc²(f dt).  :func:`sharpen` undoes
this for the waves that matter to an oscillator of twelve samples a period or more, and
:func:`double` brings shorter ones there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numba
import numpy as np

from ..vectors import WIDTH, multiply_add, octet, octet_at, put_octet

#: What of the oscillator: relative displacement and velocity, pseudo-velocity and -acceleration,
#: absolute acceleration.
SPECTRA = ("sd", "sv", "psv", "psa", "sa")
#: Between samples nothing is looked for when a period has as many of them as this ...
PLENTY = 100
#: ... and a record is interpolated, doubling its samples, until a period has as many as this.
ENOUGH = 12
#: Half the length of the interpolating filters, from the first doubling on.
_REACH = (32, 8, 6, 5)


def coefficients(
    periods: Sequence[float], dampings: Sequence[float], dt: float, spectrum: str
) -> np.ndarray:
    """Difference equations of oscillators.

    Parameters
    ----------
    periods, dampings
        Seconds, and fractions of critical damping; one of each an oscillator.
    dt
        Sampling interval (s).
    spectrum
        One of :data:`SPECTRA`.

    Returns
    -------
    (oscillators, 6) float64
        c0, c1, c2, t, -d, and what :func:`restart` needs.
    """
    w, z = 2 * np.pi / np.asarray(periods), np.asarray(dampings, float)
    # State (w² x, w x', a, step of a) over one sample, in units that keep all numbers near 1.
    system = np.zeros((len(w), 4, 4))
    h = w * dt
    system[:, 0, 1] = h
    system[:, 1, 0] = -h
    system[:, 1, 1] = -2 * z * h
    system[:, 1, 2] = -h
    system[:, 2, 3] = 1.0
    step = _exponentials(system)
    output = {
        "sd": (w**-2, 0 * w), "sv": (0 * w, 1 / w), "psv": (1 / w, 0 * w),
        "psa": (w**0, 0 * w), "sa": (w**0, 2 * z),
    }[spectrum]  # fmt: skip
    row = np.stack(output, axis=-1)
    now, before = step[:, :2, 3], step[:, :2, 2] - step[:, :2, 3]
    trace = step[:, 0, 0] + step[:, 1, 1]
    # Cayley-Hamilton: the state two samples ago is eliminated by (S - trace).
    reduced = step[:, :2, :2] - trace[:, None, None] * np.eye(2)
    start = np.einsum("ni,nij,nj->n", row, reduced, now)
    c0, c1 = (row * now).sum(-1), (row * before).sum(-1) + start
    c2 = np.einsum("ni,nij,nj->n", row, reduced, before)
    d = np.maximum(np.exp(-2 * z * h), 1e-120)  # restart() divides by it
    return np.stack([c0, c1, c2, trace, -d, start], axis=-1)


@numba.njit(nogil=True, cache=True)
def _exponentials(matrices):
    """Of 4 x 4 matrices, by their series after halving; SciPy's takes milliseconds to begin."""
    result = np.empty_like(matrices)
    for number in range(len(matrices)):
        norm = np.abs(matrices[number]).sum()
        halvings = max(0, int(np.ceil(np.log2(norm))) + 1)
        small = matrices[number] / 2.0**halvings
        total, term = np.eye(4), np.eye(4)
        for k in range(1, 19):  # 0.5^19 / 19! is far below rounding
            term = _product(term, small) / k
            total = total + term
        for _ in range(halvings):
            total = _product(total, total)
        result[number] = total
    return result


@numba.njit(nogil=True, cache=True)
def _product(a, b):
    result = np.zeros((4, 4))
    for i in range(4):
        for k in range(4):
            for j in range(4):
                result[i, j] += a[i, k] * b[k, j]
    return result


def doublings(period: float, damping: float, dt: float, spectrum: str) -> int:
    """How often a record is interpolated to the middle; -1 where it is best left as it is."""
    samples = period / dt * (1 + 1e-9)
    least = 1 if is_rough(damping, spectrum) else 0
    if samples >= PLENTY and spectrum not in ("sa", "sv"):
        return -1
    return max(least, math.ceil(math.log2(ENOUGH / samples)))


def is_rough(damping: float, spectrum: str) -> bool:
    """Whether waves far shorter than the period come through, as they do in the velocity."""
    return spectrum == "sv" or (spectrum == "sa" and damping > 0.1)


def midpoint_filters(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Filters of so many doublings, and the rows each step needs beyond both ends of a block.

    Returns
    -------
    taps : (count, longest) float64
        Weights of the first, second, … sample on either side of a midpoint.
    reach : (count,) int64
        How many there are.
    margin : (count + 1,) int64
        Rows beyond a block, before the first doubling, after it, …
    """
    reach = np.array([_REACH[min(k, len(_REACH) - 1)] for k in range(count)], np.int64)
    taps = np.zeros((count, max(_REACH)))
    for k, half in enumerate(reach):
        place = np.arange(half) + 0.5
        window = np.i0(6.0 * np.sqrt(1 - (place / half) ** 2)) / np.i0(6.0)
        taps[k, :half] = np.sinc(place) * window
        taps[k] *= 0.5 / taps[k].sum()
    margin = np.full(count + 1, 4, np.int64)
    for k in range(count - 1, -1, -1):
        margin[k] = 2 * math.ceil((margin[k + 1] / 2 + reach[k]) / 2)
    return taps, reach, margin


@numba.njit(nogil=True, cache=True)
def double(coarse, coarse_row, fine, pairs, taps, reach):
    """Samples and the midpoints after them, ``pairs`` of them from ``coarse_row`` on."""
    for i in range(pairs):
        centre = coarse_row + i
        total = octet(0.0)
        for k in range(reach):
            both = octet_at(coarse, centre - k) + octet_at(coarse, centre + 1 + k)
            total = multiply_add(octet(taps[k]), both, total)
        put_octet(fine, 2 * i, octet_at(coarse, centre))
        put_octet(fine, 2 * i + 1, total)


@numba.njit(nogil=True, cache=True)
def sharpen(x, row, out, count):
    """Divide by sinc² as far as five samples can: 1 - D/12 + D²/90, D the second difference."""
    middle, near, far = octet(1 + 2 / 12 + 6 / 90), octet(-1 / 12 - 4 / 90), octet(1 / 90)
    for i in range(count):
        at = row + i
        value = middle * octet_at(x, at)
        value = multiply_add(near, octet_at(x, at - 1) + octet_at(x, at + 1), value)
        value = multiply_add(far, octet_at(x, at - 2) + octet_at(x, at + 2), value)
        put_octet(out, i, value)


@numba.njit(nogil=True, cache=True)
def restart(x, row, lane, equation, state):
    """Bring one lane to rest: the state before ``row`` from which its output begins with zero.

    ``equation`` and ``state`` are octets in rows: c0, c1, c2, t, -d, start; r[-1], r[-2].
    """
    a = x[WIDTH * row + lane]
    a1, a2 = x[WIDTH * (row - 1) + lane], x[WIDTH * (row - 2) + lane]
    c0, c1, c2, t, minus_d, start = (
        equation[lane], equation[WIDTH + lane], equation[2 * WIDTH + lane],
        equation[3 * WIDTH + lane], equation[4 * WIDTH + lane], equation[5 * WIDTH + lane],
    )  # fmt: skip
    r1 = -(start * a + c2 * a1) / minus_d
    state[lane] = r1
    state[WIDTH + lane] = -(t * r1 + c0 * a + c1 * a1 + c2 * a2) / minus_d


@numba.njit(nogil=True, cache=True)
def oscillate(one, two, row, count, equation, state_one, state_two, out_one, out_two, out_row):
    """Output of eight oscillators on ``one`` and of the same on ``two``, from ``row`` on.

    Two series are two chains of dependent steps, which the processor interleaves.
    """
    c0, c1, c2 = octet_at(equation, 0), octet_at(equation, 1), octet_at(equation, 2)
    t, minus_d = octet_at(equation, 3), octet_at(equation, 4)
    r1, r2 = octet_at(state_one, 0), octet_at(state_one, 1)
    s1, s2 = octet_at(state_two, 0), octet_at(state_two, 1)
    a1, a2 = octet_at(one, row - 1), octet_at(one, row - 2)
    b1, b2 = octet_at(two, row - 1), octet_at(two, row - 2)
    for i in range(count):
        a, b = octet_at(one, row + i), octet_at(two, row + i)
        r = multiply_add(c2, a2, multiply_add(c1, a1, c0 * a))
        s = multiply_add(c2, b2, multiply_add(c1, b1, c0 * b))
        r = multiply_add(t, r1, multiply_add(minus_d, r2, r))
        s = multiply_add(t, s1, multiply_add(minus_d, s2, s))
        put_octet(out_one, out_row + i, r)
        put_octet(out_two, out_row + i, s)
        a2, a1, b2, b1 = a1, a, b1, b
        r2, r1, s2, s1 = r1, r, s1, s
    put_octet(state_one, 0, r1)
    put_octet(state_one, 1, r2)
    put_octet(state_two, 0, s1)
    put_octet(state_two, 1, s2)
