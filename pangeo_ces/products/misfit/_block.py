"""One block of pairs through one measure: what the operators on misfits share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...process._runs import records
from .._pairs import FAILED, NO_WINDOW, OK, Pairs
from . import multitaper, phase, traveltime, waveform
from ._options import Options
from ._windows import cut

_TIMES = ("time_shift", "dlna", "time_shift_error", "dlna_error")
#: Kernel of every measure, and what it gives beside the misfit.
MEASURES: dict[str, tuple[Callable[..., np.ndarray], tuple[str, ...]]] = {
    "waveform": (waveform.measure, ()),
    "waveform_l1": (waveform.measure, ()),
    "waveform_normalised": (waveform.measure, ()),
    "waveform_l1_normalised": (waveform.measure, ()),
    "convolution": (waveform.measure, ()),
    "zero_lag_cc": (waveform.measure, ("cc",)),
    "cross_correlation": (traveltime.similarity, ("cc", "time_shift")),
    "cc_traveltime": (traveltime.traveltime, _TIMES),
    "multitaper": (multitaper.measure, (*_TIMES, "multitaper_windows")),
    "envelope": (phase.measure, ("log_envelope_ratio",)),
    "instantaneous_phase": (phase.measure, ("phase_shift",)),
    "exponentiated_phase": (phase.measure, ()),
    "log_amplitude": (waveform.measure, ("log_amplitude_ratio",)),
    "sqrt_amplitude": (waveform.measure, ("log_amplitude_ratio",)),
}
#: Units and names of the measurements.
MEASUREMENTS = {
    "cc": ("1", "normalised correlation"),
    "time_shift": ("s", "time shift, positive where observed is later"),
    "dlna": ("1", "ln of the amplitude of observed over synthetic, from their energies"),
    "time_shift_error": ("s", "error of the time shift"),
    "dlna_error": ("1", "error of dlna"),
    "multitaper_windows": ("1", "windows measured with multitapers"),
    "log_envelope_ratio": ("1", "mean ln of the envelope of observed over synthetic"),
    "phase_shift": ("radian", "mean phase of observed minus synthetic"),
    "log_amplitude_ratio": ("1", "ln of the amplitude of observed over synthetic"),
}
#: Units of the misfits: powers of the quantity and of seconds.
_POWERS = {"waveform": (2, 1), "waveform_l1": (1, 1), "convolution": (4, 1), "envelope": (0, 1),
           "instantaneous_phase": (0, 1), "exponentiated_phase": (0, 1)}  # fmt: skip
_DERIVATIVE = {"displacement": 0, "velocity": 1, "acceleration": 2}


def units(measure: str, quantity: str, *, source: bool = False) -> str:
    """Units of a misfit, or of its adjoint source: misfit per quantity and second.

    >>> units("waveform", "velocity"), units("cc_traveltime", "velocity", source=True)
    ('m2 s-1', 'm-1')
    """
    power, seconds = _POWERS.get(measure, (0, 0))
    if source:
        power, seconds = power - 1, seconds - 1
    seconds -= power * _DERIVATIVE[quantity]
    parts = [f"{unit}{'' if n == 1 else n}" for unit, n in (("m", power), ("s", seconds)) if n]
    return " ".join(parts) or "1"


def measured(
    observed: np.ndarray,
    synthetic: np.ndarray,
    *limits: np.ndarray,
    dt: float,
    start: float,
    options: Options,
    source: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Misfits of a block.

    Parameters
    ----------
    observed, synthetic : (..., samples)
    limits : (..., windows)
        Start and end of every window, or none for whole records.
    source : (rows, samples or more), optional
        The derivative of the sum of the misfits is added to it; NaN where no window was measured.

    Returns
    -------
    values : (rows, windows, 1 + measurements)
        NaN where not measured.
    status : (rows, windows) int8
    """
    one, two = (records(np.ascontiguousarray(side, np.float64)) for side in (observed, synthetic))
    cuts, status = cut(
        one, two, [records(limit) for limit in limits], dt, start,
        options.taper_percentage, options.taper_type,
    )  # fmt: skip
    kernel, names = MEASURES[options.measure]
    found = kernel(one, two, cuts, dt, options, source)[:, : 1 + len(names)]
    values = np.full((*status.shape, 1 + len(names)), np.nan)
    values[cuts.row, cuts.slot] = found
    failed = np.isnan(found[:, 0])
    status[cuts.row[failed], cuts.slot[failed]] = FAILED
    if source is not None:
        source[~(status == OK).any(axis=-1)] = np.nan
    return values, status


def summed(values: np.ndarray, status: np.ndarray, measure: str) -> np.ndarray:
    """Over the windows: sum of the misfits, mean measurements, number of windows, status."""
    good = status == OK
    count = good.sum(axis=-1)
    kept = np.where(good[..., None], values, 0.0)
    total = kept.sum(axis=1)
    mean = total / np.maximum(count, 1)[:, None]
    result = np.concatenate([mean, count[:, None], _of_pair(status)[:, None]], axis=1)
    added = [0, *(n for n, name in enumerate(MEASURES[measure][1], 1) if name.endswith("windows"))]
    result[:, added] = total[:, added]
    result[count == 0, :-2] = np.nan
    return result


def _of_pair(status: np.ndarray) -> np.ndarray:
    """A pair is fine when a window is; else what is wrong with a window, or that there is none."""
    if status.shape[1] == 0:
        return np.full(len(status), NO_WINDOW)
    others = np.where(status == OK, -1, np.where(status == NO_WINDOW, 0, status)).astype(np.int8)
    worst = others.max(axis=1)
    return np.where((status == OK).any(axis=1), OK, np.where(worst == 0, NO_WINDOW, worst))


def window_options(pairs: Pairs, options: Options) -> dict[str, Any]:
    """What :func:`measured` needs beside samples and windows."""
    return {"dt": pairs.dt, "start": pairs.start, "options": options}
