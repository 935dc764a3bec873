"""Observed and synthetic as pairs: the checks at the door of every misfit, and what is wrong.

Every misfit works on the samples that both sides of a pair have.  These must be one span without
a gap; before and after it either side may be missing.  A pair that cannot be compared is a row
with a ``status``, not an error.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numba
import numpy as np
import xarray as xr

from ..conventions import MOTION, quantity_of
from ..errors import AxisError, SchemaError, UnitsError
from ..timeaxis import sampling_interval, time_index

#: Codes of ``status``, in the order in which they are looked for.
OK, NO_OBSERVED, NO_SYNTHETIC, NO_OVERLAP, GAP, SILENT, NO_WINDOW, FAILED = range(8)
STATUS = {
    OK: "ok",
    NO_OBSERVED: "no_observed",
    NO_SYNTHETIC: "no_synthetic",
    NO_OVERLAP: "no_time_in_common",
    GAP: "gap",
    SILENT: "no_signal",
    NO_WINDOW: "no_window",
    FAILED: "not_measurable",
}
#: CF attributes of a ``status`` variable.
STATUS_ATTRS = {
    "long_name": "what is wrong with the pair",
    "units": "1",
    "flag_values": np.arange(len(STATUS), dtype="int8"),
    "flag_meanings": " ".join(STATUS.values()),
}


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Two waveforms on the same axes.

    Attributes
    ----------
    quantity
        Name of the waveform variable.
    observed, synthetic
        ``(..., time)``, time last; ``synthetic`` without coordinates, so that small differences
        in them do not matter.
    dims
        Names of the dimensions without time.
    dt
        Sampling interval, s.
    start
        Label of the first sample, s after the origin time.
    """

    quantity: str
    observed: xr.DataArray
    synthetic: xr.DataArray
    dims: tuple[str, ...]
    dt: float
    start: float


def paired(observed: xr.Dataset, synthetic: xr.Dataset, wanted: Iterable[str] = MOTION) -> Pairs:
    """Both sides, when they hold the same quantity on the same axes.

    Raises
    ------
    UnitsError
        When the quantities differ.
    AxisError
        When the time axes differ, or are not relative to an origin time.
    SchemaError
        When events, stations or components differ.
    """
    name = quantity_of(observed, wanted)
    other = quantity_of(synthetic, wanted)
    if other != name:
        raise UnitsError(
            f"observed is {name}, synthetic is {other}: use ces.integrate or ces.differentiate"
        )
    if not time_index(observed).equals(time_index(synthetic)):
        raise AxisError("the time axes differ: bring both onto one axis with ces.interpolate")
    if np.issubdtype(observed["time"].dtype, np.datetime64):
        raise AxisError("time is UTC here: cut windows of events first, with ces.event_windows")
    same_axes(observed, synthetic, ("event", "station", "component"))
    one = observed[name].transpose(..., "time")
    two = synthetic[name].transpose(*one.dims)
    return Pairs(
        name,
        one,
        bare(two),
        tuple(str(dim) for dim in one.dims if dim != "time"),
        float(sampling_interval(observed)),
        float(time_index(observed).transform.offset),
    )


def same_axes(observed: xr.Dataset, synthetic: xr.Dataset, axes: tuple[str, ...]) -> None:
    """Raise unless both sides have the same labels along ``axes``."""
    for axis in axes:
        sides = [axis in observed.coords, axis in synthetic.coords]
        if any(sides) and not (
            all(sides) and np.array_equal(observed[axis].values, synthetic[axis].values)
        ):
            raise SchemaError(
                f"observed and synthetic differ in {axis}: pair them with ces.match and compute "
                "both with the same parameters"
            )


def bare(values: xr.DataArray) -> xr.DataArray:
    """Without coordinates, so that small differences in them do not matter."""
    return values.drop_vars(list(values.coords))


@numba.njit(nogil=True, cache=True)
def common_spans(observed, synthetic):
    """Where both sides have samples.

    Parameters
    ----------
    observed, synthetic : (rows, samples)
        NaN where there is none.

    Returns
    -------
    spans : (rows, 2) int64
        First sample that both have, and one past the last.
    status : (rows,) int8
        One of the codes ``OK`` to ``SILENT``.
    """
    rows, samples = observed.shape
    spans = np.zeros((rows, 2), np.int64)
    status = np.zeros(rows, np.int8)
    for row in range(rows):
        x, y = observed[row], synthetic[row]
        first, stop = 0, samples
        while first < stop and not (np.isfinite(x[first]) and np.isfinite(y[first])):
            first += 1
        while stop > first and not (np.isfinite(x[stop - 1]) and np.isfinite(y[stop - 1])):
            stop -= 1
        missing, one, two = 0, x[first:stop], y[first:stop]
        for i in range(stop - first):  # from 0 on and without a branch: several at a time
            missing += (one[i] - one[i] != 0.0) | (two[i] - two[i] != 0.0)
        if missing == 0 and stop - first >= 2:
            spans[row, 0], spans[row, 1] = first, stop
            if _constant(one) or _constant(two):
                status[row] = SILENT
        elif not np.isfinite(x).any():
            status[row] = NO_OBSERVED
        elif not np.isfinite(y).any():
            status[row] = NO_SYNTHETIC
        else:
            status[row] = NO_OVERLAP if stop - first - missing < 2 else GAP
    return spans, status


@numba.njit(nogil=True, cache=True)
def _constant(x):
    return np.all(x == x[0]) if x[1] == x[0] else False
