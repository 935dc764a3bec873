"""The rules of a selection, and the reasons for which they reject a candidate."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...errors import ParameterError

#: Reasons for which candidates are rejected, in the order of the rules.
(
    NONE, TRAVELTIME, MIN_LENGTH, WATER_LEVEL, PROMINENCE, PHASE_SEPARATION, SIGNAL_TO_NOISE,
    TIME_SHIFT, AMPLITUDE, CROSS_CORRELATION, OVERLAP, TOO_MANY,
) = range(12)  # fmt: skip
REASONS = {
    TRAVELTIME: "traveltime",
    MIN_LENGTH: "min_length",
    WATER_LEVEL: "water_level",
    PROMINENCE: "prominence",
    PHASE_SEPARATION: "phase_separation",
    SIGNAL_TO_NOISE: "signal_to_noise",
    TIME_SHIFT: "time_shift",
    AMPLITUDE: "amplitude",
    CROSS_CORRELATION: "cross_correlation",
    OVERLAP: "overlap",
    TOO_MANY: "too_many",
}
#: CF attributes of a variable of such codes.
REASON_ATTRS = {
    "units": "1",
    "flag_values": np.arange(len(REASONS) + 1, dtype="int8"),
    "flag_meanings": " ".join(["none", *REASONS.values()]),
}


class Rules(NamedTuple):
    """Numbers of a selection, as :func:`~pangeo_ces.select_windows` explains them."""

    dt: float
    min_period: float
    max_period: float
    stalta_waterlevel: float
    tshift_acceptance_level: float
    tshift_reference: float
    dlna_acceptance_level: float
    dlna_reference: float
    cc_acceptance_level: float
    s2n_limit: float
    min_surface_wave_velocity: float
    max_time_before_first_arrival: float
    c_0: float
    c_1: float
    c_2: float
    c_3a: float
    c_3b: float
    c_4a: float
    c_4b: float
    energy: bool
    merge: bool
    emulate: bool


#: Named sets of parameters; ``verce`` are the defaults of the VERCE platform.
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "verce": {
        "stalta_waterlevel": 0.1, "s2n_limit": 4.0, "snr_max_base": 3.5,
        "tshift_acceptance_level": 2.0, "tshift_reference": 0.0, "dlna_acceptance_level": 0.8,
        "dlna_reference": 0.0, "cc_acceptance_level": 0.7, "earth_model": "ak135",
        "min_surface_wave_velocity": 0.1, "max_time_before_first_arrival": 5.0, "c_0": 1.0,
        "c_1": 2.0, "c_2": 0.0, "c_3a": 4.0, "c_3b": 2.5, "c_4a": 2.0, "c_4b": 6.0,
        "check_global_data_quality": True, "snr_integrate_base": 10.0, "noise_start_index": 0,
        "window_signal_to_noise_type": "amplitude",
    },
}  # fmt: skip
_POSITIVE = ("min_period", "max_period", "min_surface_wave_velocity", "c_3b")


def check(rules: Rules, noise: str, strategy: str, windows: int, candidates: int) -> None:
    """Raise a :class:`ParameterError` for what is out of range."""
    named = rules._asdict()
    wrong = [name for name, value in named.items() if not math.isfinite(value)]
    wrong += [name for name in _POSITIVE if not named[name] > 0]
    if wrong:
        raise ParameterError(f"{wrong[0]} {named[wrong[0]]}: give a positive, finite number")
    negative = [n for n in named if n.startswith(("c_", "stalta", "s2n")) and named[n] < 0]
    if negative:
        raise ParameterError(f"{negative[0]} {named[negative[0]]}: give zero or more")
    if rules.min_period >= rules.max_period:
        raise ParameterError(
            f"min_period {rules.min_period} s is not below max_period {rules.max_period} s: "
            "swap them"
        )
    if noise not in ("amplitude", "energy"):
        raise ParameterError(f"window_signal_to_noise_type {noise!r}: use 'amplitude' or 'energy'")
    if strategy not in ("interval_scheduling", "merge"):
        raise ParameterError(
            f"resolution_strategy {strategy!r}: use 'interval_scheduling' or 'merge'"
        )
    if windows < 1 or candidates < 0:
        raise ParameterError(
            f"max_windows {windows}, max_candidates {candidates}: give at least one window and no "
            "fewer than zero candidates"
        )
