"""Which miniSEED records make one contiguous trace."""

from __future__ import annotations

import bisect
from collections import defaultdict

import numpy as np


def distinct(content: bytes, rows: np.ndarray, channel: np.ndarray) -> np.ndarray:
    """Mark the records that are the first with their bytes, but for the sequence number.

    Parameters
    ----------
    content
        Bytes of the file.
    rows : (n,) RECORD
        Its records.
    channel : (n,) int
        The channel of each.

    Returns
    -------
    (n,) bool
    """
    first = np.ones(rows.size, bool)
    if (np.diff(rows["start"]) > 0).all():
        return first
    order = np.lexsort((rows["start"], channel))
    start, number = rows["start"][order], channel[order]
    equal = (start[1:] == start[:-1]) & (number[1:] == number[:-1])
    seen: set[tuple[int, bytes]] = set()
    for i in np.sort(order[np.append(equal, False) | np.append(False, equal)]).tolist():
        begin, end = int(rows["offset"][i]), int(rows["offset"][i] + rows["length"][i])
        key = (int(channel[i]), content[begin + (6 if rows["version"][i] == 2 else 0) : end])
        first[i] = key not in seen
        seen.add(key)
    return first


def series(
    rows: np.ndarray, rate: np.ndarray, channel: np.ndarray, kind: np.ndarray
) -> list[np.ndarray]:
    """Row numbers of each contiguous trace, in order of time.

    A record continues another if it starts within half a sample of where that one's next sample
    would be, and channel, dtype and rate are the same.  Those that follow one another in the file
    are joined first, then the runs that this leaves.

    Parameters
    ----------
    rows : (n,) RECORD
        Records with samples.
    rate : (n,) float
        Their sampling rates in Hz, positive.
    channel, kind : (n,) int
        The channel and the dtype of each.

    Returns
    -------
    list of (m,) int
        By channel, then by the record that comes first in the file.
    """
    if not rows.size:
        return []
    order = np.lexsort((kind, channel))
    step = 1e9 / rate
    one, two = order[:-1], order[1:]
    gap = rows["start"][two] - rows["start"][one] - rows["samples"][one] * step[one]
    joined = abs(gap) <= step[one] / 2
    for key in (channel, kind, rate):
        joined &= key[one] == key[two]
    alike: dict[tuple, list[np.ndarray]] = defaultdict(list)
    for run in np.split(order, np.flatnonzero(~joined) + 1):
        alike[channel[run[0]], kind[run[0]], rate[run[0]]].append(run)
    found = [
        np.concatenate(chain) if len(chain) > 1 else chain[0]
        for runs in alike.values()
        for chain in (_chains(rows, runs, step[runs[0][0]]) if len(runs) > 1 else [runs])
    ]
    return sorted(found, key=lambda members: (channel[members[0]], members.min()))


def _chains(rows: np.ndarray, runs: list[np.ndarray], step: float) -> list[list[np.ndarray]]:
    """Join runs of records, each to the one that ends nearest to its start."""
    starts = [int(rows["start"][run[0]]) for run in runs]
    ends = [int(rows["start"][r[-1]]) + round(int(rows["samples"][r[-1]]) * step) for r in runs]
    chains: list[list[np.ndarray]] = []
    open_ends: list[tuple[int, int]] = []  # time of the next sample, number of the chain
    for i in sorted(range(len(runs)), key=starts.__getitem__):
        at = bisect.bisect_left(open_ends, (starts[i], -1))
        near = [k for k in (at, at - 1) if 0 <= k < len(open_ends)]
        best = min(near, key=lambda k: abs(open_ends[k][0] - starts[i]), default=-1)
        if best >= 0 and abs(open_ends[best][0] - starts[i]) <= step / 2:
            number = open_ends.pop(best)[1]
            chains[number].append(runs[i])
        else:
            number = len(chains)
            chains.append([runs[i]])
        bisect.insort(open_ends, (ends[i], number))
    return chains
