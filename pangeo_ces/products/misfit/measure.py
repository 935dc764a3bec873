"""Misfit of observed and synthetic waveforms in windows."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from ...blocks import consolidate, map_blocks
from ...conventions import MOTION
from ...lineage import product_attrs
from ...registry import operator
from .._pairs import STATUS_ATTRS, paired
from ._block import MEASUREMENTS, MEASURES, measured, summed, units, window_options
from ._options import Measure, Options, TaperType
from ._windows import edges


@operator(needs=MOTION, gives=("misfit", "windows", "status", *MEASUREMENTS))
def waveform_misfit(
    observed: xr.Dataset,
    synthetic: xr.Dataset,
    windows: xr.Dataset | None = None,
    *,
    measure: Measure = "waveform",
    measure_type: Literal["dt", "am"] = "dt",
    per_window: bool = False,
    min_period: float | None = None,
    max_period: float | None = None,
    taper_percentage: float | None = None,
    taper_type: TaperType = "hann",
    subsample: bool = False,
    amplitude: Literal["rms", "peak"] = "rms",
    wtr_env: float = 0.2,
    use_cc_error: bool = True,
    use_mt_error: bool = False,
    dt_sigma_min: float = 1.0,
    dlna_sigma_min: float = 0.5,
    lnpt: int = 15,
    transfunc_waterlevel: float = 1e-10,
    water_threshold: float = 0.02,
    min_cycle_in_window: float = 0.5,
    mt_nw: float = 4.0,
    num_taper: int = 5,
    dt_fac: float = 2.0,
    phase_step: float = 1.5,
    err_fac: float = 2.5,
    dt_max_scale: float = 3.5,
) -> xr.Dataset:
    """Misfit of synthetic to observed waveforms, in windows, by one of fourteen measures.

    With d observed and s synthetic, both tapered; ∫ is Simpson's rule over the window, for
    ``envelope`` and ``instantaneous_phase`` the sum times dt, and Σ a sum over its samples; D and S
    are envelopes, H is the Hilbert transform:

    ============================== ======================================================== =====
    measure                        misfit of a window                                       units
    ============================== ======================================================== =====
    ``waveform``                   ½ ∫ (s - d)² dt                                          q² s
    ``waveform_l1``                ∫ abs(s - d) dt                                          q s
    ``waveform_normalised``        ½ ∫ (s - d)² dt / ∫ d² dt                                1
    ``waveform_l1_normalised``     ∫ abs(s - d) dt / ∫ abs(d) dt                            1
    ``cross_correlation``          1 - cc,  cc = max over t of Σ d(i+t) s(i) / √(Σd² Σs²)   1
    ``zero_lag_cc``                1 - cc,  cc = Σ d s / √(Σd² Σs²)                         1
    ``cc_traveltime`` dt           ½ (ΔT / σ)²                                              1
    ``cc_traveltime`` am           ½ (dlnA / σ)²,  dlnA = ½ ln(Σd² / Σs²)                   1
    ``multitaper`` dt              ∫ w (ΔT(f) / σ)² df,  ∫ 2 w df = 1                       1
    ``multitaper`` am              ∫ w (dlnA(f) / σ)² df                                    1
    ``envelope``                   ½ ∫ ln²((D + e) / (S + e)) dt                            s
    ``instantaneous_phase``        ½ ∫ w (phase of d - phase of s)² dt,  w = D² / (D² + e²) s
    ``exponentiated_phase``        ½ ∫ ((d/D' - s/S')² + (Hd/D' - Hs/S')²) dt               s
    ``log_amplitude``              ½ ln²(A_d / A_s)                                         1
    ``sqrt_amplitude``             ½ (√(A_d / A_s) - 1)²                                    1
    ``convolution``                ½ ∫ (Σ s(i) d(t-i))² dt                                  q⁴ s
    ============================== ======================================================== =====

    After [1]_ (``waveform``, ``cc_traveltime``), [2]_ (``cc_traveltime``), [3]_, [4]_, [5]_
    (``multitaper``), [6]_ (``envelope``, ``instantaneous_phase``) and [7]_
    (``exponentiated_phase``); with e = wtr_env max(D), D' = D + wtr_env max(D), S' = S + wtr_env
    max(S), ``A_d`` and ``A_s`` as ``amplitude`` says, and q the units of the waveforms.  Values of
    ``waveform``, ``cc_traveltime``, ``multitaper``, ``exponentiated_phase`` and ``convolution`` are
    those of pyadjoint 0.2.3.  ``multitaper`` moves the observed window by the shift of all: a whole
    record has nothing beside it, and is measured by cross-correlation.

    Parameters
    ----------
    observed, synthetic
        The same quantity on the same axes (:func:`match`, then :func:`interpolate`).
    windows
        ``window_start`` and ``window_end``, labels of the first and the last sample of every
        window (s), over the axes of the waveforms and ``window``; NaN where there is no further
        one.  A window ends where the span that both sides have does.  Without windows, that span
        is the one window.
    measure
        See the table.
    measure_type
        Of ``cc_traveltime`` and ``multitaper``: ``dt``, traveltime, or ``am``, amplitude.
    per_window
        Give every window by itself, over a further dimension ``window``.
    min_period, max_period
        Periods (s) that the waveforms were filtered to; ``multitaper`` needs them.
    taper_percentage
        Part of the window that is tapered, half of it at each end; by default 0.3 with windows,
        0 without.
    taper_type
        ``hann``, ``hamming``, ``cos`` or ``cos_p10``.
    subsample
        Of ``cc_traveltime``: shift of the band-limited correlation, not of the nearest sample.
    amplitude
        Of ``log_amplitude`` and ``sqrt_amplitude``: root mean square or largest sample.
    wtr_env
        Water level of envelopes, relative to the largest.
    use_cc_error
        Divide by the error σ from the cross-correlation; else by 1 s (``dt``) or 1 (``am``).
    use_mt_error
        Of ``multitaper``: errors by leaving out one taper after another; reject windows by them,
        and divide by them without ``use_cc_error``.
    dt_sigma_min, dlna_sigma_min
        Smallest errors, s and 1.
    lnpt
        Frequencies are those of a transform of 2**lnpt samples.
    transfunc_waterlevel
        Water level of the transfer function, relative to its largest denominator (amplitude).
    water_threshold
        The band ends where the spectrum of the synthetic falls below this part of its maximum.
    min_cycle_in_window
        Cycles that a window must hold.
    mt_nw, num_taper
        Time-bandwidth product and number of the Slepian tapers.
    dt_fac, err_fac, dt_max_scale
        A window is measured by cross-correlation when a shift exceeds 1/dt_fac of its period or
        dt_max_scale times the shift of all, or an error 1/err_fac of its period.
    phase_step
        Largest step (radian) of the phase that is not looked at as a skipped cycle.

    Returns
    -------
    xr.Dataset
        Over ``(event, station, component)``, or with ``window``: ``misfit``, the sum over the
        windows; the measurements, their mean over the windows: ``cc``; ``time_shift`` and
        ``time_shift_error`` (s, positive where the observed is later), ``dlna`` and
        ``dlna_error``; ``log_envelope_ratio``; ``phase_shift`` (radian);
        ``log_amplitude_ratio`` = ln(A_d / A_s); ``windows``, how many were measured, and
        ``multitaper_windows``, how many of them with multitapers; ``status``.

    Raises
    ------
    ParameterError
        When a parameter is out of its range.
    UnitsError, AxisError, SchemaError
        When both sides, or the windows, do not fit each other.

    References
    ----------
    .. [1] Tromp, Tape & Liu (2005), Geophys. J. Int. 160.
    .. [2] Dahlen & Baig (2002), Geophys. J. Int. 150.
    .. [3] Laske & Masters (1996), J. Geophys. Res. 101.
    .. [4] Zhou, Dahlen & Nolet (2004), Geophys. J. Int. 158.
    .. [5] Tape, Liu, Maggi & Tromp (2010), Geophys. J. Int. 180; weights and adjoint sources of
       ``multitaper``.
    .. [6] Bozdağ, Trampert & Tromp (2011), Geophys. J. Int. 185.
    .. [7] Yuan, Bozdağ, Ciardelli, Gao & Simons (2020), Geophys. J. Int. 221.

    Examples
    --------
    >>> observed = pangeo_ces.testing.synthetic_windows(quantity="velocity", seed=1)
    >>> synthetic = pangeo_ces.testing.synthetic_windows(quantity="velocity", seed=2)
    >>> waveform_misfit(observed, synthetic, measure="zero_lag_cc")["misfit"].dims
    ('event', 'station', 'component')
    """
    options = Options.of(locals(), windows=windows is not None)
    pairs = paired(observed, synthetic)
    limits = edges(windows, pairs)
    names = ["misfit", *MEASURES[options.measure][1], *([] if per_window else ["windows"])]
    new = {"window": windows.sizes["window"] if windows is not None else 1} if per_window else {}
    packed = map_blocks(
        _packed,
        pairs.observed,
        pairs.synthetic,
        *limits,
        dims=(*pairs.dims, *new, "value"),
        sizes={**new, "value": len(names) + 1},
        dtype="float64",
        per_window=per_window,
        **window_options(pairs, options),
    )
    packed = consolidate(packed)
    if per_window and windows is not None and "window" in windows.coords:
        packed = packed.assign_coords(window=windows["window"])
    attrs = {
        "misfit": {"units": units(options.measure, pairs.quantity),
                   "long_name": f"{options.measure} misfit"},
        "windows": {"units": "1", "long_name": "windows used"},
    }  # fmt: skip
    result = xr.Dataset(attrs=product_attrs(observed))
    for number, name in enumerate(names):
        found = attrs.get(name) or dict(
            zip(("units", "long_name"), MEASUREMENTS[name], strict=True)
        )
        result[name] = packed.isel(value=number).assign_attrs(found)
    result["status"] = packed.isel(value=-1).astype("int8").assign_attrs(STATUS_ATTRS)
    return result


def _packed(observed, synthetic, *limits, per_window, options, **axis):
    values, status = measured(observed, synthetic, *limits, options=options, **axis)
    if per_window:
        found = np.concatenate([values, status[..., None]], axis=-1)
        return found.reshape(*observed.shape[:-1], *found.shape[1:])
    return summed(values, status, options.measure).reshape(*observed.shape[:-1], -1)
