"""SI in the data, the units of the field in the pictures: %g, cm/s, cm, and µm or nm below."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pangeo_ces.errors import ParameterError

STANDARD_GRAVITY = 9.80665
PERCENT_G = 100 / STANDARD_GRAVITY

# For each SI unit: (label, factor, smallest SI value it is used for), the first that fits is used.
LADDERS: dict[str, tuple[tuple[str, float, float], ...]] = {
    "m s-2": (("%g", PERCENT_G, 1e-3), ("µm/s²", 1e6, 1e-6), ("nm/s²", 1e9, 0)),
    "m s-1": (("cm/s", 1e2, 1e-3), ("µm/s", 1e6, 1e-6), ("nm/s", 1e9, 0)),
    "m": (("cm", 1e2, 1e-3), ("µm", 1e6, 1e-6), ("nm", 1e9, 0)),
}
TRACE_LADDERS = LADDERS | {"m s-2": (("cm/s²", 1e2, 1e-3), ("µm/s²", 1e6, 1e-6), ("nm/s²", 1e9, 0))}
_PREFIXES = {"": 1.0, "c": 1e2, "m": 1e3, "µ": 1e6, "n": 1e9}


class DisplayUnit(NamedTuple):
    """A unit for the eye: ``shown = factor * SI value``."""

    label: str
    factor: float


def display_unit(
    units: str, values: Any, *, label: str | None = None, trace: bool = False
) -> DisplayUnit:
    """Unit to show SI values in.

    Parameters
    ----------
    units : str
        SI units of the values: ``"m s-2"``, ``"m s-1"``, ``"m"``; others are shown as they are.
    values : array_like
        The values, any shape; the largest finite one decides.
    label : str, optional
        The unit wanted (``"%g"``, ``"mm/s"``, ``"µm"``) instead of the automatic one.
    trace : bool, default False
        Acceleration of a waveform: cm/s² instead of %g.

    Examples
    --------
    >>> display_unit("m s-1", [2e-5])
    DisplayUnit(label='µm/s', factor=1000000.0)
    """
    if label is not None:
        known = _labels(units)
        if label not in known:
            raise ParameterError(
                f"no unit {label!r} for values in {units!r}; use one of {', '.join(known)}"
            )
        return DisplayUnit(label, known[label])
    ladder = (TRACE_LADDERS if trace else LADDERS).get(units)
    if ladder is None:
        return DisplayUnit("" if units == "1" else units, 1.0)
    largest = largest_finite(values)
    for name, factor, smallest in ladder:
        if largest >= smallest and largest > 0:
            return DisplayUnit(name, factor)
    return DisplayUnit(*ladder[0][:2])


def _labels(units: str) -> dict[str, float]:
    endings = {"m s-2": "m/s²", "m s-1": "m/s", "m": "m"}
    if units not in endings:
        return {"" if units == "1" else units: 1.0}
    known = {prefix + endings[units]: factor for prefix, factor in _PREFIXES.items()}
    return {"%g": PERCENT_G, **known} if units == "m s-2" else known


def largest_finite(values: Any) -> float:
    """Largest finite absolute value; 0 if there is none."""
    array = np.abs(np.asarray(values, dtype=float))
    array = array[np.isfinite(array)]
    return float(array.max()) if array.size else 0.0


def number(value: float, digits: int = 3) -> str:
    """A number with `digits` significant digits, without an exponent where it can be read so.

    Examples
    --------
    >>> number(1234.5), number(0.00012345), number(2.0)
    ('1230', '0.000123', '2')
    """
    rounded = float(f"{value:.{digits}g}")
    if rounded != 0 and not 1e-4 <= abs(rounded) < 1e6:
        return f"{rounded:.{digits}g}"
    return np.format_float_positional(rounded, trim="-")
