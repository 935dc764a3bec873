"""The rules of a selection, and the reasons for which they reject a candidate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

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
