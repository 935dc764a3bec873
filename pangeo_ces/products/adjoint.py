"""Adjoint sources: derivatives of a misfit by the synthetic waveform."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import xarray as xr

from ..blocks import map_blocks
from ..conventions import MOTION
from ..lineage import product_attrs
from ..registry import operator
from ._pairs import STATUS_ATTRS, Pairs, paired
from .misfit._block import measured, summed, units, window_options
from .misfit._options import Measure, Options, TaperType
from .misfit._windows import edges


@operator(needs=MOTION, gives=("adjoint_source", "misfit", "windows", "status"))
def adjoint_source(
    observed: xr.Dataset,
    synthetic: xr.Dataset,
    windows: xr.Dataset | None = None,
    *,
    measure: Measure = "waveform",
    measure_type: Literal["dt", "am"] = "dt",
    min_period: float | None = None,
    max_period: float | None = None,
    taper_percentage: float | None = None,
    taper_type: TaperType = "hann",
    subsample: bool = False,
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
    """Adjoint sources of the misfits of :func:`waveform_misfit`.

    The adjoint source f is the derivative of the misfit χ by the synthetic s, in forward time, on
    the time axis of the waveforms: δχ = ∫ f δs dt.  :func:`write_adjoint_sources` writes it as it
    is: SPECFEM reverses time itself.  The attribute ``adjoint_source`` of pyadjoint 0.2.3 is the
    same backwards.

    The derivative is that of the sampled misfit, but for these conventions of the field:

    - ``cc_traveltime`` (dt): that of the continuous shift of a synthetic whose shape is that of
      the observed, with the error σ held fixed (Tromp et al. 2005, eq. 45);
    - ``multitaper``: that of the measurements for small shifts, errors and band held fixed
      (Tape et al. 2010, eqs C25 and C26);
    - ``exponentiated_phase``: that of the misfit without a water level, with the raised envelopes
      in it, as pyadjoint does; where a window has small amplitudes, the derivative may be half
      of it.

    Where windows overlap, their sources add up, as the misfits do; pyadjoint keeps the last one
    of all but ``multitaper``.  For ``convolution`` pyadjoint gives the tapered product itself,
    which is no derivative.

    Parameters
    ----------
    observed, synthetic, windows
        As in :func:`waveform_misfit`.
    measure, measure_type
        As in :func:`waveform_misfit`.
    min_period, max_period, taper_percentage, taper_type, subsample, wtr_env, use_cc_error
        As in :func:`waveform_misfit`.
    use_mt_error, dt_sigma_min, dlna_sigma_min, lnpt, transfunc_waterlevel, water_threshold
        As in :func:`waveform_misfit`.
    min_cycle_in_window, mt_nw, num_taper, dt_fac, phase_step, err_fac, dt_max_scale
        As in :func:`waveform_misfit`.

    Returns
    -------
    xr.Dataset
        ``adjoint_source`` over ``(event, station, component, time)``, zero outside the windows
        and NaN where no window was measured; ``misfit``, ``windows`` and ``status`` as
        :func:`waveform_misfit` gives them.

    Raises
    ------
    ParameterError
        When a parameter is out of its range.
    UnitsError, AxisError, SchemaError
        When both sides, or the windows, do not fit each other.

    Examples
    --------
    >>> observed = pangeo_ces.testing.synthetic_windows(quantity="displacement", seed=1)
    >>> synthetic = pangeo_ces.testing.synthetic_windows(quantity="displacement", seed=2)
    >>> adjoint_source(observed, synthetic)["adjoint_source"].attrs["units"]
    'm'
    """
    options = Options.of(locals() | {"amplitude": "rms"}, windows=windows is not None)
    pairs = paired(observed, synthetic)
    samples = pairs.observed.sizes["time"]
    packed = map_blocks(
        _packed,
        pairs.observed,
        pairs.synthetic,
        *edges(windows, pairs),
        dims=(*pairs.dims, "value"),
        sizes={"value": samples + 3},
        dtype="float64",
        **window_options(pairs, options),
    )
    return unpacked(packed, observed, pairs, options, measure)


def unpacked(
    packed: xr.DataArray, observed: xr.Dataset, pairs: Pairs, options: Options, name: str
) -> xr.Dataset:
    """Dataset of sources with misfit, number of windows and status behind them."""
    samples = pairs.observed.sizes["time"]
    source = packed.isel(value=slice(samples)).rename(value="time")
    source = source.assign_coords(xr.Coordinates.from_xindex(observed.xindexes["time"]))
    source["time"].attrs.update(observed["time"].attrs)
    source.attrs = {
        "units": units(options.measure, pairs.quantity, source=True),
        "long_name": f"adjoint source of the {name} misfit",
        "comment": "in forward time",
        "quantity": pairs.quantity,
        "measure": name,
    }
    for period in ("min_period", "max_period"):
        if (seconds := getattr(options, period)) is not None:
            source.attrs[period] = seconds
    result = xr.Dataset({"adjoint_source": source}, attrs=product_attrs(observed))
    misfit = {"units": units(options.measure, pairs.quantity), "long_name": f"{name} misfit"}
    result["misfit"] = packed.isel(value=samples).assign_attrs(misfit)
    result["windows"] = packed.isel(value=samples + 1).assign_attrs(
        units="1", long_name="windows used"
    )
    result["status"] = packed.isel(value=samples + 2).astype("int8").assign_attrs(STATUS_ATTRS)
    return result


def _packed(observed, synthetic, *limits, options, **axis):
    *leading, samples = observed.shape
    found = np.zeros((math.prod(leading), samples + 3))  # the source is not copied once more
    values, status = measured(observed, synthetic, *limits, options=options, source=found, **axis)
    found[:, samples:] = summed(values, status, options.measure)[:, [0, -2, -1]]
    return found.reshape(*leading, samples + 3)
