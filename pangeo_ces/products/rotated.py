"""Largest values of pairs of series, on their axes and in every horizontal direction.

The projection of two horizontals on azimuth θ, h1 cos θ + h2 sin θ, is largest at a corner of the
convex hull of the points (h1, h2).  An ellipse inside the hull that is known so far tells which
points cannot be such a corner; only the few others are projected on all 180 directions.
"""

from __future__ import annotations

import numba
import numpy as np

from ..vectors import (
    WIDTH,
    exceeding,
    larger,
    magnitude,
    multiply_add,
    octet,
    octet_at,
    put_octet,
    smallest,
    summed,
)

#: Whole degrees, 0 to 179; beyond, projections only change their sign.
DIRECTIONS = 180
#: Octets of a hull: directions go on beyond 179 degrees, which changes nothing.
PARTS = -(-DIRECTIONS // WIDTH)
_ANGLES = np.deg2rad(np.arange(PARTS * WIDTH))
_COSINE, _SINE = np.cos(_ANGLES), np.sin(_ANGLES)
_COSINE_TWICE, _SINE_TWICE = np.cos(2 * _ANGLES), np.sin(2 * _ANGLES)
_COUNTED = (np.arange(PARTS * WIDTH) < DIRECTIONS) / DIRECTIONS
#: Rows on either side that interpolation between samples takes.
STENCIL = 3
#: So many points of a block are taken in before all others are looked at.
_FARTHEST = 2


def _lagrange(places: np.ndarray) -> np.ndarray:
    """Weights of the samples from -3 to 3 that give the value at each place."""
    nodes = np.arange(-STENCIL, STENCIL + 1)
    return np.array([
        [np.prod([(x - m) / (n - m) for m in nodes if m != n]) for n in nodes] for x in places
    ])  # fmt: skip


#: The curve within half a sample around one.
_BETWEEN = _lagrange(np.array([-4, -3, -2, -1, 1, 2, 3, 4]) / 8)


@numba.njit(nogil=True, cache=True)
def extremes(
    one, two, start, stop, slot, nearness, between, paired, rotated, peaks, squares, hulls, ellipses
):  # fmt: skip
    """Update the largest values of a measure by rows ``start`` to ``stop`` of two series.

    Parameters
    ----------
    one, two
        Series, as rows of octets.
    slot
        The number of the measure.
    nearness : (8,)
        A sample of this fraction of the largest may have the maximum beside it; 1 where it is
        one of the samples.
    between
        Whether to look beside samples.
    paired, rotated
        Whether the two belong together, and whether all directions are wanted.
    peaks : (2 * slots * 8,)
        Largest absolute values of ``one`` and ``two``.
    squares : (slots * 8,)
        Largest sums of both squares.
    hulls : (slots * 8 * 23 * 8,)
        Largest absolute projections of every measure and lane.
    ellipses : (3 * slots * 8,)
        A, B, C: no point with A x² + B x y + C y² < 1 can change the hull.
    """
    nothing = octet(-1.0)
    first = second = square = ellipse = nothing
    if paired:
        for i in range(start, stop):
            x, y = octet_at(one, i), octet_at(two, i)
            first, second = larger(magnitude(x), first), larger(magnitude(y), second)
            square = larger(multiply_add(x, x, y * y), square)
    else:
        for i in range(start, stop):
            first = larger(magnitude(octet_at(one, i)), first)
            second = larger(magnitude(octet_at(two, i)), second)
    if rotated:
        a, b = octet_at(ellipses, 3 * slot), octet_at(ellipses, 3 * slot + 1)
        c = octet_at(ellipses, 3 * slot + 2)
        for i in range(start, stop):
            x, y = octet_at(one, i), octet_at(two, i)
            inside = multiply_add(x, multiply_add(a, x, b * y), c * (y * y))
            ellipse = larger(inside, ellipse)
    near = octet_at(nearness, 0) if between else octet(1.0)
    suspects = exceeding(ellipse, near * near)
    best_first = larger(first, octet_at(peaks, 2 * slot))
    best_second = larger(second, octet_at(peaks, 2 * slot + 1))
    best_square = larger(square, octet_at(squares, slot))
    put_octet(peaks, 2 * slot, best_first)
    put_octet(peaks, 2 * slot + 1, best_second)
    put_octet(squares, slot, best_square)
    if between:
        suspects |= exceeding(first, near * best_first) | exceeding(second, near * best_second)
        suspects |= exceeding(square, near * near * best_square)
    for lane in range(WIDTH):
        if suspects >> lane & 1:
            _inspect(one, two, start, stop, lane, slot, nearness[lane], between, rotated, peaks,
                     squares, hulls, ellipses)  # fmt: skip


@numba.njit(nogil=True, cache=True)
def _inspect(
    one, two, start, stop, lane, slot, nearness, between, rotated, peaks, squares, hulls, ellipses
):  # fmt: skip
    """One lane sample by sample, and between samples where the maximum may be."""
    first, second = 2 * WIDTH * slot + lane, (2 * slot + 1) * WIDTH + lane
    both, shape = WIDTH * slot + lane, 3 * WIDTH * slot + lane
    hull = PARTS * both
    limit = nearness * nearness if between else 1.0
    grown = False
    if rotated:
        _grow_to_farthest(one, two, start, stop, lane, hulls, hull, ellipses, shape)
    a, b, c = ellipses[shape], ellipses[shape + WIDTH], ellipses[shape + 2 * WIDTH]
    for i in range(start, stop):
        x, y = one[WIDTH * i + lane], two[WIDTH * i + lane]
        outer = rotated and x * (a * x + b * y) + c * y * y > limit
        if outer:
            grown |= _project(x, y, hulls, hull)
        if not between or not (
            outer
            or abs(x) > nearness * peaks[first]
            or abs(y) > nearness * peaks[second]
            or x * x + y * y > nearness * nearness * squares[both] >= 0
        ):
            continue
        for j in range(len(_BETWEEN)):
            x = y = 0.0
            for k in range(2 * STENCIL + 1):
                place = WIDTH * (i + k - STENCIL) + lane
                x += _BETWEEN[j, k] * one[place]
                y += _BETWEEN[j, k] * two[place]
            if abs(x) > peaks[first]:  # false for NaN, at the ends of a run
                peaks[first] = abs(x)
            if abs(y) > peaks[second]:
                peaks[second] = abs(y)
            if x * x + y * y > squares[both] >= 0:
                squares[both] = x * x + y * y
            if outer and x * (a * x + b * y) + c * y * y > 1.0:
                grown |= _project(x, y, hulls, hull)
    if grown:
        _update(hulls, hull, ellipses, shape)


@numba.njit(nogil=True, cache=True)
def _grow_to_farthest(one, two, start, stop, lane, hulls, hull, ellipses, shape):
    """Take in the points farthest out, after which most others are inside."""
    for _ in range(_FARTHEST):
        a, b, c = ellipses[shape], ellipses[shape + WIDTH], ellipses[shape + 2 * WIDTH]
        far, where = 1.0, -1
        for i in range(start, stop):
            x, y = one[WIDTH * i + lane], two[WIDTH * i + lane]
            outside = x * (a * x + b * y) + c * y * y
            if outside > far:
                far, where = outside, i
        if where < 0 or not _project(
            one[WIDTH * where + lane], two[WIDTH * where + lane], hulls, hull
        ):
            return
        _update(hulls, hull, ellipses, shape)


@numba.njit(nogil=True, cache=True)
def _update(hulls, hull, ellipses, shape):
    a, b, c = _inner_ellipse(hulls, hull)
    ellipses[shape], ellipses[shape + WIDTH], ellipses[shape + 2 * WIDTH] = a, b, c


@numba.njit(nogil=True, cache=True)
def _project(x, y, hulls, part):
    """Whether a point reaches beyond the hull in any direction, which is then moved there."""
    grown = 0
    x_wide, y_wide = octet(x), octet(y)
    for k in range(PARTS):
        known = octet_at(hulls, part + k)
        value = magnitude(multiply_add(x_wide, octet_at(_COSINE, k), y_wide * octet_at(_SINE, k)))
        grown |= exceeding(value, known)
        put_octet(hulls, part + k, larger(value, known))
    return grown != 0


@numba.njit(nogil=True, cache=True)
def _inner_ellipse(hulls, part):
    """A, B, C of the largest ellipse of about the hull's shape that is within it.

    The largest projection of an ellipse satisfies h² = p + q cos 2θ + r sin 2θ, which is fitted
    and then scaled down until it is nowhere beyond.
    """
    p_wide = q_wide = r_wide = octet(0.0)
    for k in range(PARTS):
        value = octet_at(hulls, part + k)
        square = value * value * octet_at(_COUNTED, k)
        p_wide = p_wide + square
        q_wide = multiply_add(square, octet_at(_COSINE_TWICE, k), q_wide)
        r_wide = multiply_add(square, octet_at(_SINE_TWICE, k), r_wide)
    p, q, r = summed(p_wide), 2 * summed(q_wide), 2 * summed(r_wide)
    if p * p - q * q - r * r < 1e-9 * p * p:  # all but a line: a circle
        q = r = 0.0
    p_wide, q_wide, r_wide = octet(p), octet(q), octet(r)
    excess, least = octet(0.0), octet(1e-300)
    for k in range(PARTS):
        value = octet_at(hulls, part + k)
        model = multiply_add(q_wide, octet_at(_COSINE_TWICE, k), p_wide)
        model = multiply_add(r_wide, octet_at(_SINE_TWICE, k), model)
        excess = larger(model / larger(value * value, least), excess)
    # Of h² = direction' M direction the ellipse is x' M^-1 x = 1; rounding must not let it out.
    scale = (1 - 1e-9) / -smallest(octet(0.0) - excess)
    determinant = (p * p - q * q - r * r) * scale
    if determinant < 1e-250:
        return 1e250, 0.0, 1e250
    return (p - q) / determinant, -2 * r / determinant, (p + q) / determinant


def combine(
    names: tuple[str, ...],
    peaks: np.ndarray,
    squares: np.ndarray,
    hulls: np.ndarray,
    motions: int,
) -> np.ndarray:
    """Combinations (pairs, names, measures) of both horizontals.

    Parameters
    ----------
    names
        As :func:`~.peak_motion.peak_motion` has them.
    peaks : (pairs, 2, measures)
        Of each.
    squares : (pairs, measures)
        Largest sums of both squares.
    hulls : (pairs, measures, 180)
        Largest projections; may be empty unless a rotated combination is asked for.
    motions
        So many measures are no oscillators.
    """
    one, two = peaks[:, 0], peaks[:, 1]
    rules = {
        "larger": lambda: np.maximum(one, two),
        "arithmetic_mean": lambda: (one + two) / 2,
        "geometric_mean": lambda: np.sqrt(one * two),
        "quadratic_mean": lambda: np.sqrt((one**2 + two**2) / 2),
        "vector": lambda: np.sqrt(squares),
        "rotd00": lambda: hulls.min(axis=-1),
        "rotd50": lambda: np.median(hulls, axis=-1),
        "rotd100": lambda: hulls.max(axis=-1),
        "gmroti50": lambda: _gmroti50(hulls, motions),
    }
    result = np.empty((len(peaks), len(names), peaks.shape[-1]))
    for number, name in enumerate(names):
        result[:, number] = rules[name]()
    return result


def _gmroti50(hulls: np.ndarray, motions: int) -> np.ndarray:
    """Geometric means at the angle that is closest to their medians at all oscillators."""
    means = np.sqrt(hulls[..., :90] * hulls[..., 90:])
    ratios = means[:, motions:] / np.median(means[:, motions:], axis=-1, keepdims=True)
    penalty = np.nan_to_num((ratios - 1) ** 2).sum(axis=1)  # NaN where nothing moves
    angle = penalty.argmin(axis=-1)
    return np.take_along_axis(means, angle[:, None, None], axis=-1)[..., 0]
