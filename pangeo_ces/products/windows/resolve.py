"""Windows that overlap: the best of them, or one that holds them all."""

from __future__ import annotations

import numpy as np


def schedule(intervals: np.ndarray, weights: np.ndarray, first_is_free: bool = False) -> np.ndarray:
    """Numbers of the windows of largest total weight of which no two overlap.

    Windows may share an edge.  Of equal totals the one without the window that ends last is taken.

    Parameters
    ----------
    intervals : (count, 2) int
        First and last sample.
    weights : (count,)
    first_is_free
        Count the weight of the window that ends first as zero, as pyflex does.

    Returns
    -------
    (chosen,) int64
        In order of start.
    """
    order = np.lexsort((intervals[:, 0], intervals[:, 1]))
    lefts, rights = intervals[order, 0], intervals[order, 1]
    before = np.searchsorted(rights, lefts, side="right").tolist()
    gains = weights[order].tolist()
    best = [0.0]
    for number, gain in enumerate(gains):
        free = first_is_free and number == 0
        best.append(0.0 if free else max(best[-1], gain + best[before[number]]))
    chosen = []
    number = len(gains)
    while number:
        if gains[number - 1] + best[before[number - 1]] > best[number - 1]:
            chosen.append(int(order[number - 1]))
            number = before[number - 1]
        else:
            number -= 1
    return np.array(chosen[::-1], np.int64)


def merge(intervals: np.ndarray) -> np.ndarray:
    """Unions of the windows that overlap or share an edge, in order; the order of these is none.

    >>> merge(np.array([[7, 9], [0, 3], [3, 5]])).tolist()
    [[0, 5], [7, 9]]
    """
    ordered = intervals[np.argsort(intervals[:, 0], kind="stable")]
    reach = np.maximum.accumulate(ordered[:, 1])
    first = np.flatnonzero(np.r_[True, ordered[1:, 0] > reach[:-1]])
    last = np.r_[first[1:], len(ordered)] - 1
    return np.stack([ordered[first, 0], reach[last]], axis=1)
