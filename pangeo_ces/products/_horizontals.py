"""Measures of two horizontal sensors together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ParameterError

MEANS = ("arithmetic_mean", "geometric_mean", "quadratic_mean", "larger")


def check_means(means: Sequence[str]) -> None:
    """Refuse what is no mean of two horizontals."""
    unknown = [mean for mean in means if mean not in MEANS]
    if unknown:
        raise ParameterError(f"combination {unknown[0]!r}: use some of {', '.join(MEANS)}")


def with_means(values: np.ndarray, level: np.ndarray, means: Sequence[str]) -> np.ndarray:
    """``values`` (record, component, …) with means of the two horizontals as further components.

    NaN unless exactly two sensors that ``level`` (record, component) calls horizontal recorded.
    """
    records, components = values.shape[:2]
    result = np.full((records, components + len(means), *values.shape[2:]), np.nan)
    result[:, :components] = values
    for out, record, horizontal in zip(result, values, level, strict=True):
        recorded = ~np.isnan(record).reshape(components, -1).all(axis=-1)
        pair = np.flatnonzero(horizontal & recorded)
        if len(pair) == 2:
            for number, mean in enumerate(means, components):
                out[number] = mean_of_two(record[pair[0]], record[pair[1]], mean)
    return result


def mean_of_two(one: np.ndarray, two: np.ndarray, mean: str) -> np.ndarray:
    """One of ``MEANS``, value by value."""
    if mean == "larger":
        return np.maximum(one, two)
    if mean == "arithmetic_mean":
        return (one + two) / 2
    return np.sqrt((one**2 + two**2) / 2 if mean == "quadratic_mean" else one * two)
