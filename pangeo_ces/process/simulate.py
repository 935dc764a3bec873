"""What another seismometer would have recorded."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import scipy.fft
import xarray as xr

from ..blocks import map_time
from ..conventions import MOTION, QUANTITIES, quantity_of
from ..errors import ParameterError
from ..registry import operator
from ..timeaxis import sampling_interval
from ._runs import over_runs
from ._waveform import replace

#: Named seismometers.  The Wood-Anderson torsion seismometer has a period of 0.8 s, 0.8 of
#: critical damping and the magnification 2080 of Uhrhammer and Collins (1990, Bull. Seismol. Soc.
#: Am. 80, 702-716); what it gives is the displacement of its trace.
INSTRUMENTS: dict[str, dict[str, Any]] = {
    "wood-anderson": {
        "poles": [(-6.283, 4.7124), (-6.283, -4.7124)],
        "zeros": [(0.0, 0.0)],
        "gain": 1.0,
        "sensitivity": 2080.0,
        "response_to": "velocity",
        "output": "displacement",
    }
}


@operator(needs=MOTION)
def simulate(
    ds: xr.Dataset,
    *,
    instrument: str | None = None,
    poles: Sequence[tuple[float, float]] | None = None,
    zeros: Sequence[tuple[float, float]] = (),
    gain: float = 1.0,
    sensitivity: float = 1.0,
    response_to: Literal["displacement", "velocity", "acceleration"] = "velocity",
    output: Literal["counts", "displacement", "velocity", "acceleration", "pressure"] = "counts",
) -> xr.Dataset:
    """Simulate a seismometer with the given poles and zeros, run by run.

    H(s) = sensitivity gain prod(s - zeros) / prod(s - poles),  s = 2 pi i f

    Parameters
    ----------
    ds
        Ground motion: displacement (m), velocity (m/s) or acceleration (m/s²).
    instrument
        ``"wood-anderson"`` stands for all that follows.
    poles, zeros
        Pairs of a real and an imaginary part in rad/s.
    gain, sensitivity
        Constant factors.
    response_to
        Ground motion that H applies to; where ``ds`` holds another, its spectrum is multiplied or
        divided by s, and divided at zero frequency gives zero.
    output
        Name that the result gets, and with it the unit.

    Raises
    ------
    ParameterError
        For an unknown instrument, neither or both of ``instrument`` and ``poles``, or numbers
        that are not finite.

    Notes
    -----
    As ``obspy.signal.invsim.simulate_seismometer`` with ``paz_simulate``, padded with zeros to at
    least twice the length.  It takes no mean off and does not taper: use :func:`detrend` and
    :func:`taper` before.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows(quantity="velocity")
    >>> simulate(ds, instrument="wood-anderson")["displacement"].attrs["units"]
    'm'
    """
    if (instrument is None) == (poles is None):
        raise ParameterError("give either the name of an instrument, or poles and zeros")
    if instrument is not None and instrument not in INSTRUMENTS:
        raise ParameterError(f"instrument {instrument!r}: use one of {', '.join(INSTRUMENTS)}")
    paz: dict[str, Any] = INSTRUMENTS.get(str(instrument), {
        "poles": poles, "zeros": zeros, "gain": gain, "sensitivity": sensitivity,
        "response_to": response_to, "output": output,
    })  # fmt: skip
    roots = {name: [complex(*pair) for pair in paz[name]] for name in ("poles", "zeros")}
    factor = float(paz["gain"]) * float(paz["sensitivity"])
    if not (all(map(cmath.isfinite, roots["poles"] + roots["zeros"])) and math.isfinite(factor)):
        raise ParameterError("poles, zeros, gain and sensitivity: give finite numbers")
    if paz["response_to"] not in MOTION or paz["output"] not in QUANTITIES:
        raise ParameterError(
            f"response_to {paz['response_to']!r}, output {paz['output']!r}: use one of "
            f"{', '.join(MOTION)}, and one of {', '.join(QUANTITIES)}"
        )
    name = quantity_of(ds, MOTION)
    simulated = map_time(
        _simulate_runs,
        ds[name],
        dt=float(sampling_interval(ds)),
        poles=tuple(roots["poles"]),
        zeros=tuple(roots["zeros"]),
        factor=factor,
        derivatives=MOTION.index(paz["response_to"]) - MOTION.index(name),
    )
    return replace(ds, name, paz["output"], simulated)


def _simulate_runs(block, **options):
    return over_runs(_simulate, block, **options)


def _simulate(x, dt, poles, zeros, factor, derivatives):
    n = x.shape[1]
    nfft = scipy.fft.next_fast_len(2 * n, real=True)
    response = _response(scipy.fft.rfftfreq(nfft, dt), poles, zeros, factor, derivatives)
    spectrum = scipy.fft.rfft(x.astype(np.float64), nfft)
    return scipy.fft.irfft(spectrum * response, nfft)[:, :n].astype(x.dtype)


def _response(frequency, poles, zeros, factor, derivatives):
    s = 2j * np.pi * frequency
    with np.errstate(divide="ignore", invalid="ignore"):
        response = factor * s**derivatives
        for zero in zeros:
            response = response * (s - zero)
        for pole in poles:
            response = response / (s - pole)
    # An offset that is divided by zero is taken for none.
    return np.where(np.isfinite(response), response, 0.0)
