"""Contiguous runs: kernels see records without gaps, as ObsPy's traces are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np


def records(block: np.ndarray, keep: int = 1) -> np.ndarray:
    """All but the last ``keep`` dimensions as one, of blocks without samples too."""
    return block.reshape(math.prod(block.shape[:-keep]), *block.shape[-keep:])


def over_runs(
    kernel: Callable[..., np.ndarray], block: np.ndarray, *rows: np.ndarray, **options: Any
) -> np.ndarray:
    """Apply ``kernel((n, samples), *rows)`` to every gap-free run of ``block`` (..., time).

    Runs that cover the same samples go through the kernel together, contiguous; what is NaN stays
    NaN.
    ``rows`` hold one value a channel and are cut to the channels of each batch.
    """
    flat = records(block)
    if not flat.size:
        return block
    flat_rows = [np.broadcast_to(row, block.shape[:-1]).reshape(-1) for row in rows]
    missing = np.isnan(flat)
    gappy = missing.any(axis=-1)
    if not gappy.any():
        return kernel(np.ascontiguousarray(flat), *flat_rows, **options).reshape(block.shape)
    batches: dict[tuple[int, int], list[int]] = {}
    for row in range(len(flat)):
        for run in runs(missing[row]) if gappy[row] else [(0, flat.shape[-1])]:
            batches.setdefault(run, []).append(row)
    result = np.full(flat.shape, np.nan, flat.dtype)
    for (start, stop), members in batches.items():
        # Neighbours as a slice: to gather and scatter them one by one takes three times as long.
        together = members[-1] - members[0] + 1 == len(members)
        rows_of: Any = slice(members[0], members[-1] + 1) if together else members
        result[rows_of, start:stop] = kernel(
            np.ascontiguousarray(flat[rows_of, start:stop]),
            *(row[rows_of] for row in flat_rows),
            **options,
        )
    return result.reshape(block.shape)


def runs(missing: np.ndarray) -> list[tuple[int, int]]:
    """Start and stop of every run of existing samples in one channel.

    >>> runs(np.array([True, False, False, True, False]))
    [(1, 3), (4, 5)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([True], missing, [True])).astype("int8")))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
