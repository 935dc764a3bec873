"""Peak ground motion and response spectra, with their horizontal combinations.

With a(t), v(t), u(t) acceleration, velocity and displacement of one sensor:

- ``pga``, ``pgv``, ``pgd`` = max |a|, max |v|, max |u|;
- spectra of the oscillator x'' + 2 z w x' + w² x = -a, x(0) = x'(0) = 0, w = 2 pi / T, exact for
  acceleration linear between samples (Nigam & Jennings 1969): ``sd`` = max |x|, ``sv`` = max |x'|,
  ``psv`` = w ``sd``, ``psa`` = w² ``sd``, ``sa`` = max |2 z w x' + w² x|, which is the absolute
  acceleration.

Combinations of the two horizontals h1, h2, for each of these measures:

- ``larger``, ``arithmetic_mean``, ``geometric_mean``, ``quadratic_mean`` (square root of the mean
  square) of their peaks;
- ``vector`` = max over time of sqrt(h1² + h2²);
- ``rotd00``, ``rotd50``, ``rotd100`` (Boore 2010): smallest, median and largest of max |h1 cos θ +
  h2 sin θ| over θ = 0°, 1°, … 179°.  Over all real angles the largest would be ``vector``, at most
  4e-5 more than ``rotd100``;
- ``gmroti50`` (Boore, Watson-Lamprey & Abrahamson 2006): geometric mean at the one angle that is
  closest to the median over 0° to 89° at all oscillators asked for, in the least-squares sense.

Radial and transverse peaks are those of :func:`~pangeo_ces.rotate`'s components.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import scipy.fft
import xarray as xr

from ..blocks import consolidate, map_blocks
from ..conventions import MOTION, VARIABLES, quantity_of
from ..errors import ParameterError
from ..lineage import product_attrs
from ..process._runs import over_runs, records, runs
from ..process.quantity import _gradient
from ..process.rotate import level_sensors
from ..registry import operator
from ..timeaxis import sampling_interval
from .lanes import MOTIONS
from .rotated import combine
from .sweep import Extremes, Oscillator, largest

COMBINATIONS = ("larger", "geometric_mean", "vector")
ALL_COMBINATIONS = (
    "larger", "arithmetic_mean", "geometric_mean", "quadratic_mean", "vector", "rotd00", "rotd50",
    "rotd100", "gmroti50",
)  # fmt: skip
_ROTATED = ("rotd00", "rotd50", "rotd100", "gmroti50")
#: Names of spectra, by which they may be asked for.
_SPECTRUM = {"pseudo": "psa", "absolute": "sa", **{n: n for n in ("psa", "sa", "psv", "sv", "sd")}}
#: Named choices of periods (s) and damping, as in ``peak_motion(ds, **SPECTRA["dare"])``.
SPECTRA: dict[str, dict[str, Any]] = {
    "shakemap": {"periods": (0.3, 1.0, 3.0), "damping": 0.05},
    "dare": {"periods": (1 / 0.3, 1.0, 1 / 3.0), "damping": 0.10},
}


@operator(needs=MOTION, gives=("pga", "pgv", "pgd", "psa"))
def peak_motion(
    ds: xr.Dataset,
    *,
    periods: Sequence[float] = (0.3, 1.0, 3.0),
    damping: float | Sequence[float] = 0.05,
    spectrum: Literal["pseudo", "absolute", "psa", "sa", "psv", "sv", "sd"] = "pseudo",
    combinations: Sequence[str] = COMBINATIONS,
    oversampling: int | None = None,
) -> xr.Dataset:
    """PGA, PGV, PGD and response spectra of every component and of the horizontals together.

    Parameters
    ----------
    ds
        One of acceleration (m/s²), velocity (m/s) or displacement (m), ``(…, station, component,
        time)``.  The other two follow by cumulative trapezoid from zero or by central
        differences, run by run.
    periods
        Oscillator periods in seconds; may be empty.
    damping
        Fraction of critical damping, 0 < damping < 1; several add a dimension ``damping``.
    spectrum
        What of the oscillators, and the name of the result: pseudo-acceleration ``psa`` (also
        ``pseudo``), absolute acceleration ``sa`` (also ``absolute``), pseudo-velocity ``psv``,
        relative velocity ``sv`` or relative displacement ``sd``.
    combinations
        Of the horizontals: ``larger``, ``arithmetic_mean``, ``geometric_mean``,
        ``quadratic_mean``, ``vector``, ``rotd00``, ``rotd50``, ``rotd100``, ``gmroti50``.
    oversampling
        By default spectra are those of the continuous band-limited record: periods below 100
        sampling intervals are interpolated where they have to be, freed of what straight lines
        between samples take off, and their maxima looked for between samples.  With a number,
        the record is interpolated by this factor, taken as straight lines, and maxima are looked
        for at those samples; 1 is the plain recursion of ObsPy, gmprocess and others.

    Returns
    -------
    xr.Dataset
        ``pga`` (m/s²), ``pgv`` (m/s), ``pgd`` (m) over ``(…, station, component)`` and the
        spectrum (m/s², m/s or m) with ``period`` last.  ``component`` holds the recorded
        components and then the combinations.  NaN where there is no record; combinations are NaN
        unless exactly two horizontal sensors (dip within 15 degrees of level) recorded.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows(quantity="acceleration")
    >>> peak_motion(ds, periods=[1.0])["psa"].dims
    ('event', 'station', 'component', 'period')
    >>> peak_motion(ds, combinations=["rotd50", "rotd100"])["component"].values.tolist()
    ['Z', 'N', 'E', 'rotd50', 'rotd100']
    """
    periods = tuple(float(period) for period in periods)
    dampings = tuple(np.atleast_1d(np.asarray(damping, float)).tolist())
    combinations = (combinations,) if isinstance(combinations, str) else tuple(combinations)
    _check(periods, dampings, spectrum, combinations, oversampling)
    name = quantity_of(ds, MOTION)
    data = ds[name].transpose(..., "component", "time")
    leading = tuple(str(dim) for dim in data.dims[:-2])
    components = [*map(str, data["component"].values), *combinations]
    spectral = _SPECTRUM[spectrum]
    measures = map_blocks(
        _peaks_of_block,
        data,
        level_sensors(ds, data),
        dims=(*leading, "component", "measure"),
        sizes={
            "component": len(components), "measure": MOTIONS + len(dampings) * len(periods)
        },
        dtype="float64",
        order=MOTION.index(name),
        dt=float(sampling_interval(ds)),
        oscillators=tuple(Oscillator(p, z) for z in dampings for p in periods),
        spectrum=spectral,
        combinations=combinations,
        oversampling=oversampling,
    )  # fmt: skip
    measures = consolidate(measures).assign_coords(component=components)
    product = xr.Dataset(attrs=product_attrs(ds))
    for peak, number, how in zip(("pga", "pgv", "pgd"), (2, 1, 0), _derivations(name), strict=True):
        attrs = VARIABLES[peak].attrs | {"method": how}
        product[peak] = measures.isel(measure=number).assign_attrs(attrs)
    product[spectral] = _by_damping(
        measures.isel(measure=slice(MOTIONS, None)), periods, dampings, np.ndim(damping) > 0
    ).assign_attrs(VARIABLES[spectral].attrs | {"method": "Nigam & Jennings (1969)"})
    product["component"].attrs["long_name"] = "recorded component or horizontal combination"
    return product


def _check(
    periods: tuple[float, ...],
    dampings: tuple[float, ...],
    spectrum: str,
    combinations: tuple[str, ...],
    oversampling: int | None,
) -> None:
    if not all(math.isfinite(period) and period > 0 for period in periods):
        raise ParameterError(f"periods {periods}: give positive seconds")
    if not dampings or not all(0 < damping < 1 for damping in dampings):
        raise ParameterError(f"damping {dampings}: give fractions between 0 and 1, such as 0.05")
    if spectrum not in _SPECTRUM:
        raise ParameterError(f"spectrum {spectrum!r}: use one of {', '.join(_SPECTRUM)}")
    unknown = [name for name in combinations if name not in ALL_COMBINATIONS]
    if unknown:
        raise ParameterError(
            f"combination {unknown[0]!r}: use one of {', '.join(ALL_COMBINATIONS)}"
        )
    if len(set(combinations)) < len(combinations):
        raise ParameterError(f"combinations {combinations}: name each once")
    if "gmroti50" in combinations and not periods:
        raise ParameterError("gmroti50 takes its angle from the spectra: give periods")
    if oversampling is not None and (oversampling < 1 or oversampling != int(oversampling)):
        raise ParameterError(f"oversampling {oversampling}: give a whole number from 1 up")


def _by_damping(
    measures: xr.DataArray,
    periods: tuple[float, ...],
    dampings: tuple[float, ...],
    several: bool,
) -> xr.DataArray:
    """Measures of each damping in turn as (…, period), or (…, damping, period)."""
    coord = ("period", np.asarray(periods), VARIABLES["period"].attrs)
    count = len(periods)
    spectra = [
        measures.isel(measure=slice(k * count, (k + 1) * count))
        .rename(measure="period")
        .assign_coords(period=coord)
        for k in range(len(dampings))
    ]
    if not several:
        return spectra[0].assign_coords(damping=((), dampings[0], VARIABLES["damping"].attrs))
    values = xr.DataArray(list(dampings), dims="damping", attrs=VARIABLES["damping"].attrs)
    joined = xr.concat(spectra, dim="damping").assign_coords(damping=values)
    return joined.transpose(..., "component", "damping", "period")


def _derivations(name: str) -> list[str]:
    steps = {
        0: "peak of the record",
        1: "cumulative trapezoid from zero",
        2: "two cumulative trapezoids from zero",
        -1: "central differences",
        -2: "two central differences",
    }
    here = MOTION.index(name)
    return [steps[here - MOTION.index(m)] for m in ("acceleration", "velocity", "displacement")]


def _peaks_of_block(
    block: np.ndarray,
    level: np.ndarray,
    *,
    order: int,
    dt: float,
    oscillators: tuple[Oscillator, ...],
    spectrum: str,
    combinations: tuple[str, ...],
    oversampling: int | None,
) -> np.ndarray:
    """Measures of a block (…, component, time): (…, component and combinations, measure)."""
    flat, components = records(np.ascontiguousarray(block)), block.shape[-2]
    recorded = np.array([bool(np.isfinite(row).any()) for row in flat], bool)
    horizontal = records(level & recorded.reshape(level.shape))
    whole = np.flatnonzero(horizontal.sum(axis=-1) == 2)
    pairs = np.nonzero(horizontal[whole])[1].reshape(-1, 2) + components * whole[:, None]
    options: dict[str, Any] = {
        "dt": dt, "spectrum": spectrum, "rotated": any(c in _ROTATED for c in combinations)
    }  # fmt: skip
    if oversampling is None or oversampling == 1:
        exact = oversampling is None
        found = largest(flat, pairs, oscillators, order=order, exact=exact, **options)
    else:
        found = largest(flat, pairs, (), order=order, **options)
        found = _and_spectra(found, flat, pairs, oscillators, order, oversampling, options)
    result = np.full(
        (len(horizontal), components + len(combinations), found.peaks.shape[-1]), np.nan
    )
    result[:, :components] = found.peaks.reshape(-1, components, found.peaks.shape[-1])
    result[whole, components:] = combine(
        combinations, found.peaks[pairs], found.squares, found.hulls, MOTIONS
    )
    return result.reshape(*block.shape[:-2], *result.shape[1:])


def _and_spectra(
    motions: Extremes,
    x: np.ndarray,
    pairs: np.ndarray,
    oscillators: tuple[Oscillator, ...],
    order: int,
    oversampling: int,
    options: dict[str, Any],
) -> Extremes:
    """Spectra of the interpolated acceleration added, pair by pair for the sake of memory."""
    parts = [motions, Extremes.nothing(len(x), len(pairs), len(oscillators), options["rotated"])]
    alone = np.delete(np.arange(len(x)), pairs.ravel())
    for number, rows in enumerate([*pairs, *alone[:, None]]):
        acceleration = x[rows].astype(np.float64)
        for _ in range(order, MOTIONS - 1):
            acceleration = over_runs(_gradient, acceleration, dt=options["dt"])
        found = largest(
            _finer(acceleration, oversampling), np.array([[0, 1]])[: len(rows) // 2], oscillators,
            order=MOTIONS - 1, exact=False, motions=False,
            **options | {"dt": options["dt"] / oversampling},
        )  # fmt: skip
        parts[1].peaks[rows] = found.peaks[:, MOTIONS:]
        if len(rows) == 2:
            parts[1].squares[number] = found.squares[0, MOTIONS:]
            if options["rotated"]:
                parts[1].hulls[number] = found.hulls[0, MOTIONS:]
    return Extremes(*(
        np.concatenate([getattr(part, field) for part in parts], axis=1)
        for field in ("peaks", "squares", "hulls")
    ))  # fmt: skip


def _finer(x, factor):
    """Band-limited interpolation of each run by zero-extending its spectrum."""
    result = np.full((x.shape[0], (x.shape[1] - 1) * factor + 1), np.nan)
    for row, out in zip(x, result, strict=True):
        for start, stop in runs(np.isnan(row)):
            n = stop - start
            nfft = scipy.fft.next_fast_len(n + min(n, 1000), real=True)  # room for the ringing
            spectrum = scipy.fft.rfft(row[start:stop], nfft)
            if nfft % 2 == 0:
                spectrum[-1] *= 0.5  # Nyquist is split between plus and minus
            fine = scipy.fft.irfft(spectrum, nfft * factor) * factor
            out[start * factor : (stop - 1) * factor + 1] = fine[: (n - 1) * factor + 1]
    return result
