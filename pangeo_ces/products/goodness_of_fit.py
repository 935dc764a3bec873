"""Goodness of fit of strong motion: the scores of Anderson (2004) and of Olsen & Mayhew (2010).

Anderson, J. G. (2004), Quantitative measure of the goodness-of-fit of synthetic seismograms, 13th
World Conference on Earthquake Engineering, paper 243.  Olsen, K. B. & Mayhew, J. E. (2010),
Goodness-of-fit criteria for broadband synthetic seismograms, with application to the 2008 Mw 5.4
Chino Hills, California, earthquake, SRL 81, 715-723, and its electronic supplement.  What papers
leave open is as in the programs of the SCEC Broadband Platform (``anderson_gof.py``, ``GOF_MO.f``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import xarray as xr

from ..blocks import consolidate, map_blocks
from ..conventions import MOTION
from ..errors import ParameterError
from ..lineage import product_attrs
from ..registry import operator
from ._criteria import CRITERIA, scores
from ._pairs import paired
from ._parts import length, parted
from .sweep import Oscillator

#: Bands (Hz) of Anderson's scores in the Broadband Platform, the last one wide.
BANDS = ((0.1, 0.2), (0.2, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 5.0), (5.0, 10.0), (10.0, 20.0),
         (20.0, 50.0), (50.0, 100.0), (0.1, 100.0))  # fmt: skip
#: Periods (s) of Olsen & Mayhew's SA16.
PERIODS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0)


@operator(needs=MOTION, gives=("score", "band_score", "mean_score", "status"))
def goodness_of_fit(
    observed: xr.Dataset,
    synthetic: xr.Dataset,
    *,
    method: Literal["anderson", "olsen_mayhew"] = "anderson",
    bands: Literal["anderson"] | Sequence[tuple[float, float]] = (),
    periods: Sequence[float] = PERIODS,
    damping: float = 0.05,
) -> xr.Dataset:
    """Scores of ten (Anderson 2004) or eight (Olsen & Mayhew 2010) criteria, by frequency band.

    With x, y a measure of both records; a, v, u their acceleration, velocity and displacement::

        S(x, y) = 10 exp(-((x - y) / min(x, y))²)                   anderson, from 0 to 10
        S(x, y) = 100 erfc(2 |x - y| / (x + y))                     olsen_mayhew, from 0 to 100

    ``anderson``: C1 ``arias_duration`` = 10 (1 - max over t of abs(N1 - N2)) with N the integral of
    a² up to t over that of the whole; C2 ``energy_duration``, the same of v²; C3
    ``arias_intensity`` and C4 ``energy_integral``, S of the integrals of a² and of v²; C5 to C7
    ``pga``, ``pgv``, ``pgd``, S of max abs(a), abs(v), abs(u); C8 ``response_spectrum`` and C9
    ``fourier_spectrum``, means over periods and frequencies of S of the pseudo-acceleration and of
    the amplitude spectrum of a; C10 ``cross_correlation`` = 10 max(0, ∫ a1 a2 / sqrt(∫ a1² ∫ a2²)).

    ``olsen_mayhew``: ``energy_duration`` is S of the times between 5 and 75 % of ∫ v²,
    ``fourier_spectrum`` that of the spectra of the records as they are, smoothed over 0.2 Hz, and
    ``cross_correlation`` 100 times that of the records; else as above.  Its ratio of inelastic to
    elastic displacements is not among them.

    Parameters
    ----------
    observed, synthetic
        The same quantity on the same axes (:func:`match`, then :func:`interpolate`).  The other
        motions follow by cumulative trapezoid from zero and central differences.
    method
        Which scores.
    bands
        Pairs of corner frequencies (Hz), which may overlap: every record goes through a
        Butterworth band-pass of 2 corners, forward and backward; its spectra are not filtered but
        compared within the band.  ``anderson``: the ten bands of the Broadband Platform, 0.1 to
        100 Hz.  None: the records as they are, and all of their spectra.
    periods
        Of the response spectra (s), of which each band takes those within.
    damping
        Fraction of critical damping of the response spectra.

    Returns
    -------
    xr.Dataset
        ``score`` over ``(event, station, component, band, criterion)``, ``band_score`` and
        ``mean_score``, its means over criteria and then over bands, without units; ``status``.
        NaN where a band ends above the Nyquist frequency or holds no period or frequency; means
        leave NaN out.

    Raises
    ------
    ParameterError
        For bands that do not rise or all end above the Nyquist frequency, and unknown choices.

    Examples
    --------
    >>> one = pangeo_ces.testing.synthetic_windows(quantity="acceleration", lazy=False)
    >>> fit = goodness_of_fit(one, one, bands=[(0.5, 1.0), (1.0, 10.0)])
    >>> fit.score.dims, fit.band.values.tolist()
    (('event', 'station', 'component', 'band', 'criterion'), ['0.5-1', '1-10'])
    >>> float(fit.mean_score.min())
    10.0
    """
    pairs = paired(observed, synthetic)
    chosen = _checked_bands(bands, 0.5 / pairs.dt)
    if method not in CRITERIA:
        raise ParameterError(f"method {method!r}: use one of {', '.join(CRITERIA)}")
    periods = tuple(float(period) for period in periods)
    if not all(0 < period < math.inf for period in periods):
        raise ParameterError(f"periods {periods}: give positive seconds")
    if not 0 < damping < 1:
        raise ParameterError(f"damping {damping}: give a fraction between 0 and 1, such as 0.05")
    layout: dict[str, tuple[str, ...]] = {
        "score": ("band", "criterion"), "band_score": ("band",), "mean_score": (),
    }  # fmt: skip
    axes = {"band": len(chosen), "criterion": len(CRITERIA[method])}
    values = map_blocks(
        scores,
        pairs.observed,
        pairs.synthetic,
        dims=(*pairs.dims, "value"),
        sizes={"value": length(layout, axes)},
        dtype="float64",
        dt=pairs.dt,
        order=MOTION.index(pairs.quantity),
        method=method,
        bands=chosen,
        oscillators=tuple(Oscillator(period, float(damping)) for period in periods),
    )
    result = xr.Dataset(parted(consolidate(values), layout, axes), attrs=product_attrs(observed))
    for name, over in (("score", ""), ("band_score", ", mean over criteria"),
                       ("mean_score", ", mean over bands and criteria")):  # fmt: skip
        result[name].attrs = {"units": "1", "long_name": f"goodness of fit{over}", "method": method}
    labels = [f"{low:g}-{high:g}" if high < math.inf else "all" for low, high in chosen]
    return result.assign_coords(
        band=("band", labels, {"long_name": "corner frequencies of the band in Hz"}),
        criterion=("criterion", list(CRITERIA[method]), {"long_name": "what is scored"}),
    )


def _checked_bands(
    bands: str | Sequence[tuple[float, float]], nyquist: float
) -> tuple[tuple[float, float], ...]:
    if isinstance(bands, str):
        if bands != "anderson":
            raise ParameterError(f"bands {bands!r}: use 'anderson', or pairs of frequencies")
        bands = BANDS
    chosen = tuple((float(low), float(high)) for low, high in bands) or ((0.0, math.inf),)
    if chosen == ((0.0, math.inf),):
        return chosen
    for low, high in chosen:
        if not 0 < low < high < math.inf:
            raise ParameterError(f"band {low}-{high} Hz: give two rising frequencies above 0")
    if min(high for _, high in chosen) > nyquist:
        raise ParameterError(
            f"all bands end above the Nyquist frequency of these records, {nyquist:g} Hz: give one "
            "below"
        )
    return chosen
