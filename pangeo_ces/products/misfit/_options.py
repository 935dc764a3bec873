"""What a measurement can be told: names and defaults as pyadjoint 0.2.3 has them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

from ...errors import ParameterError
from ._windows import TAPERS

Measure = Literal[
    "waveform", "waveform_l1", "waveform_normalised", "waveform_l1_normalised",
    "cross_correlation", "zero_lag_cc", "cc_traveltime", "multitaper", "envelope",
    "instantaneous_phase", "exponentiated_phase", "log_amplitude", "sqrt_amplitude",
    "convolution",
]  # fmt: skip
TaperType = Literal["hann", "hamming", "cos", "cos_p10"]

#: Parameters that must be above zero, and those that may be zero.
_POSITIVE = ("dt_sigma_min", "dlna_sigma_min", "mt_nw", "dt_fac", "err_fac", "dt_max_scale",
             "phase_step")  # fmt: skip
_NOT_NEGATIVE = ("wtr_env", "transfunc_waterlevel", "water_threshold", "min_cycle_in_window")


@dataclasses.dataclass(frozen=True)
class Options:
    """Parameters of one measure; see :func:`waveform_misfit` for what they mean."""

    measure: str
    measure_type: str
    min_period: float | None
    max_period: float | None
    taper_percentage: float
    taper_type: str
    subsample: bool
    amplitude: str
    wtr_env: float
    use_cc_error: bool
    use_mt_error: bool
    dt_sigma_min: float
    dlna_sigma_min: float
    lnpt: int
    transfunc_waterlevel: float
    water_threshold: float
    min_cycle_in_window: float
    mt_nw: float
    num_taper: int
    dt_fac: float
    phase_step: float
    err_fac: float
    dt_max_scale: float

    @classmethod
    def of(cls, parameters: Mapping[str, Any], *, windows: bool) -> Self:
        """From the arguments of an operator, checked.

        Raises
        ------
        ParameterError
            When one is out of its range.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        given = {name: parameters[name] for name in names if name in parameters}
        if given["taper_percentage"] is None:
            given["taper_percentage"] = 0.3 if windows else 0.0
        options = cls(**given)
        options._check()
        return options

    def _check(self) -> None:
        choices = {"measure": get_args(Measure), "measure_type": ("dt", "am"),
                   "taper_type": TAPERS, "amplitude": ("rms", "peak")}  # fmt: skip
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ParameterError(
                    f"{name} {getattr(self, name)!r}: use one of {', '.join(known)}"
                )
        if not 0 <= self.taper_percentage <= 1:
            raise ParameterError(
                f"taper_percentage {self.taper_percentage}: give a fraction from 0 to 1"
            )
        for name in (*_POSITIVE, *_NOT_NEGATIVE):
            value = getattr(self, name)
            if not (0 <= value < math.inf) or (name in _POSITIVE and value == 0):
                above = "above zero" if name in _POSITIVE else "of zero or more"
                raise ParameterError(f"{name} {value}: give a number {above}")
        if not 8 <= self.lnpt <= 24:
            raise ParameterError(f"lnpt {self.lnpt}: give a power of two from 8 to 24, such as 15")
        if not 1 <= self.num_taper <= 2 * self.mt_nw:
            raise ParameterError(
                f"num_taper {self.num_taper}: give from 1 to 2 mt_nw, which is {2 * self.mt_nw:g}"
            )
        shortest, longest = self.min_period, self.max_period
        if shortest is None or longest is None:
            if self.measure == "multitaper":
                raise ParameterError("multitaper measures between two periods: give min_period "
                                     "and max_period in seconds")  # fmt: skip
        elif not 0 < shortest < longest < math.inf:
            raise ParameterError(
                f"periods from {shortest} to {longest} s: give 0 < min_period < max_period"
            )
