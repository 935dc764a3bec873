"""Candidate windows from STA/LTA: those that its shape lets through, without making all.

A candidate is an interval between two minima of STA/LTA that holds a *seed*, a maximum above the
water level.  It passes where it would with any of its seeds as its centre.
"""

from __future__ import annotations

import numba
import numpy as np

from ...vectors import put
from .rules import MIN_LENGTH, PHASE_SEPARATION, PROMINENCE, TRAVELTIME, WATER_LEVEL


@numba.njit(nogil=True, cache=True)
def between_times(maxima, minima, first, last):
    """Extrema from sample ``first`` to ``last``; a limit stands in for the minima beyond it."""
    kept = np.empty(minima.size, np.int64)
    count, after = 0, False
    for minimum in minima:
        if minimum <= first:
            count = 1
            kept[0] = first
        elif minimum < last:
            kept[count] = minimum
            count += 1
        else:
            after = True
    if after:
        kept[count] = last
        count += 1
    return maxima[(maxima > first) & (maxima < last)], kept[:count]


@numba.njit(nogil=True, cache=True)
def candidates(ratio, maxima, minima, earliest, latest, rules, rejected, kept):
    """Intervals that pass the rules on STA/LTA, curtailed.

    Parameters
    ----------
    ratio : (samples,)
        STA/LTA.
    maxima, minima : int64
        Its extrema.
    earliest, latest
        Candidates must end at ``earliest`` or later, and start at ``latest`` or before (samples).
    rules
        A :class:`~.rules.Rules`.
    rejected : (reasons,) int64
        Counts of distinct intervals, added to.
    kept : (capacity, 3) int64
        Intervals rejected for their shape, with the reason; filled from the front.

    Returns
    -------
    intervals : (count, 2) int64
        Distinct, first and last sample, sorted.
    filled
        Rows used of ``kept``.
    """
    level = rules.c_0 * rules.stalta_waterlevel
    after = np.searchsorted(maxima, minima)  # the first maximum after each minimum
    seed = ratio[maxima] > rules.stalta_waterlevel
    next_seed = np.full(maxima.size + 1, maxima.size)
    for k in range(maxima.size - 1, -1, -1):
        next_seed[k] = k if seed[k] else next_seed[k + 1]
    found = np.empty((16, 2), np.int64)
    count, filled, begin = 0, 0, 0
    _count_early(maxima, minima, after, next_seed, earliest, latest, rules, rejected)
    while begin < minima.size - 1:
        # No interval reaches over a minimum below the level, so groups between these are apart.
        end = begin + 1
        while end < minima.size - 1 and ratio[minima[end]] > level:
            end += 1
        passed = _separated(ratio, maxima, minima, after, seed, begin, end, rules)
        for a in range(begin, end):
            first = next_seed[after[a]]
            for b in range(a + 1, end + 1):
                if first >= after[b] or _early(minima, a, b, earliest, latest, rules):
                    continue
                rejected[WATER_LEVEL] -= 1  # was counted as if it failed
                if not passed[0, a - begin, b - begin]:
                    reason = PROMINENCE
                elif not passed[1, a - begin, b - begin]:
                    reason = PHASE_SEPARATION
                else:
                    found, count = _curtail(
                        maxima, minima[a], minima[b], after[a], after[b], seed, first, rules,
                        found, count,
                    )  # fmt: skip
                    continue
                rejected[reason] += 1
                if filled < kept.shape[0]:
                    put((minima[a], minima[b], reason), kept[filled])
                    filled += 1
        begin = end
    return _distinct(found[:count]), filled


@numba.njit(nogil=True, cache=True, inline="always")
def _early(minima, a, b, earliest, latest, rules):
    """Whether a rule on times alone rejects an interval, and which."""
    if minima[b] < earliest or minima[a] > latest:
        return TRAVELTIME
    short = (minima[b] - minima[a]) * rules.dt < rules.c_1 * rules.min_period
    return MIN_LENGTH if short else 0


@numba.njit(nogil=True, cache=True)
def _count_early(maxima, minima, after, next_seed, earliest, latest, rules, rejected):
    """Count what rules on times reject; all other intervals with a seed as below the level."""
    n = minima.size
    long_enough = 0
    for a in range(n):
        first = next_seed[after[a]]
        if first == maxima.size:
            break
        b = np.searchsorted(minima, maxima[first])
        while long_enough < n and (
            (minima[long_enough] - minima[a]) * rules.dt < rules.c_1 * rules.min_period
        ):
            long_enough += 1
        in_time = max(np.searchsorted(minima, earliest), b) if minima[a] <= latest else n
        stop = max(in_time, long_enough)
        rejected[TRAVELTIME] += in_time - b
        rejected[MIN_LENGTH] += stop - in_time
        rejected[WATER_LEVEL] += n - stop


@numba.njit(nogil=True, cache=True)
def _separated(ratio, maxima, minima, after, seed, begin, end, rules):
    """Which intervals of a group have a seed that passes on prominence, on phase separation.

    A seed is rejected when another maximum of the interval stands higher above its lowest minimum
    m: s_k - m > c_3a f (s - m), where f falls with the distance of the two.  Solved for m, every
    maximum gives one bound.  To extend the interval raises the lower bound and lowers m: once
    they have crossed, no longer interval passes.  So every seed sees its neighbourhood only.

    Returns
    -------
    passed : (2, minima, minima) bool
    """
    size = end - begin + 1
    passed = np.zeros((2, size, size), np.bool_)
    left, right = np.empty((size, 3)), np.empty((size, 3))
    for k in range(after[begin], after[end]):
        if not seed[k]:
            continue
        here = np.searchsorted(minima, maxima[k])  # the minimum that follows
        top = ratio[maxima[k]]
        drop = top - max(ratio[minima[here - 1]], ratio[minima[here]])
        if drop >= rules.c_2 * top:
            passed[0, here - 1 - begin, here - begin] = True
        lefts = _extend(ratio, maxima, minima, after, k, here - 1, begin - 1, -1, rules, left)
        rights = _extend(ratio, maxima, minima, after, k, here, end + 1, 1, rules, right)
        for i in range(lefts):
            for j in range(rights):
                lowest = min(left[i, 0], right[j, 0])
                if max(left[i, 1], right[j, 1]) <= lowest <= min(left[i, 2], right[j, 2]):
                    passed[1, here - 1 - i - begin, here + j - begin] = True
    for a in range(size - 1, -1, -1):
        for b in range(a + 2, size):  # what is prominent in an interval is so in all around it
            passed[0, a, b] |= passed[0, a + 1, b] | passed[0, a, b - 1]
    return passed


@numba.njit(nogil=True, cache=True)
def _extend(ratio, maxima, minima, after, k, start, stop, step, rules, out):
    """Lowest minimum and its bounds for ever longer sides of an interval around maximum ``k``."""
    top = ratio[maxima[k]]
    lowest, low, high = np.inf, -np.inf, np.inf
    count, other = 0, k
    for m in range(start, stop, step):
        # Maxima between the last limit and this one.
        while True:
            following = other + step
            if following < 0 or following >= maxima.size:
                break
            if step * (maxima[following] - minima[m]) >= 0:
                break
            other = following
            apart = abs(maxima[other] - maxima[k]) * rules.dt / rules.min_period
            fraction = rules.c_3a
            if apart >= rules.c_3b:
                fraction *= np.exp(-(((apart - rules.c_3b) / rules.c_3b) ** 2))
            height = ratio[maxima[other]]
            if fraction < 1.0:
                low = max(low, (height - fraction * top) / (1.0 - fraction))
            elif fraction > 1.0:
                high = min(high, (fraction * top - height) / (fraction - 1.0))
            elif height > top:
                return count
        lowest = min(lowest, ratio[minima[m]])
        if low > lowest:
            return count
        put((lowest, low, high), out[count])
        count += 1
    return count


@numba.njit(nogil=True, cache=True)
def _curtail(maxima, left, right, one, two, seed, first_seed, rules, found, count):
    """Cut off emergent starts and codas, as counted from the outer maxima beside the centre.

    With fewer than two maxima beside it nothing is cut.  ``one`` to ``two`` are the maxima within.
    """
    if found.shape[0] < count + 3:
        larger = np.empty((2 * found.shape[0], 2), np.int64)
        put(found[:count].reshape(-1), larger[:count].reshape(-1))
        found = larger
    if two - one < 3:
        put((left, right), found[count])
        return found, count + 1
    last = two - 1
    inner = False
    for k in range(max(first_seed, one + 1), last):
        inner |= seed[k]
    for centre in (one, one + 1, last):
        if not (inner if centre == one + 1 else seed[centre]):
            continue
        begin = maxima[one + 1] if centre == one else maxima[one]
        end = maxima[last - 1] if centre == last else maxima[last]
        before = rules.c_4a * rules.min_period / rules.dt
        after = rules.c_4b * rules.min_period / rules.dt
        found[count, 0] = int(begin - before) if begin - left > before else left
        found[count, 1] = int(end + after) if right - end > after else right
        count += 1
    return found, count


@numba.njit(nogil=True, cache=True)
def _distinct(found):
    if not found.size:
        return found
    span = found[:, 1].max() + 1
    keys = np.sort(found[:, 0] * span + found[:, 1])
    count = 0
    for i in range(keys.size):
        if i == 0 or keys[i] != keys[i - 1]:
            put((keys[i] // span, keys[i] % span), found[count])
            count += 1
    return found[:count]


@numba.njit(nogil=True, cache=True)
def early_rejects(ratio, maxima, minima, earliest, latest, rules, kept, filled):
    """Fill up ``kept`` with intervals that rules on times or the water level reject; rows used."""
    level = rules.c_0 * rules.stalta_waterlevel
    after = np.searchsorted(maxima, minima)
    for a in range(minima.size):
        low, seeded = False, False
        for b in range(a + 1, minima.size):
            for k in range(after[b - 1], after[b]):
                seeded |= ratio[maxima[k]] > rules.stalta_waterlevel
            low |= b > a + 1 and ratio[minima[b - 1]] <= level
            reason = _early(minima, a, b, earliest, latest, rules)
            if seeded and (low or reason):
                if filled == kept.shape[0]:
                    return filled
                put((minima[a], minima[b], reason if reason else WATER_LEVEL), kept[filled])
                filled += 1
    return filled
