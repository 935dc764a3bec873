"""Double differences: how stations differ from each other, observed against synthetic.

After Yuan, Simons & Tromp (2016), GJI 206.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import xarray as xr

from ...blocks import consolidate, map_blocks
from ...conventions import MOTION
from ...errors import ParameterError, SchemaError
from ...lineage import product_attrs
from ...registry import operator
from .._pairs import STATUS_ATTRS, Pairs, paired
from ._block import units
from ._double import of_pairs, of_stations
from ._options import TaperType
from ._windows import edges

_EARTH = 6_371_000.0  # mean radius, m
_VARIABLES = (
    ("misfit", "1", "double-difference misfit"),
    ("time_shift", "s", "synthetic minus observed differential time"),
    ("observed_shift", "s", "differential time of observed, positive where the first is later"),
    ("synthetic_shift", "s", "differential time of synthetic, positive where the first is later"),
    ("time_shift_error", "s", "error of the time shift"),
)


@operator(needs=MOTION, gives=(*(name for name, _, _ in _VARIABLES), "windows", "status"))
def double_difference(
    observed: xr.Dataset,
    synthetic: xr.Dataset,
    windows: xr.Dataset | None = None,
    *,
    measure: Literal["cc_traveltime", "waveform"] = "cc_traveltime",
    pairs: Sequence[Sequence[str]] | None = None,
    max_distance: float | None = None,
    taper_percentage: float | None = None,
    taper_type: TaperType = "hann",
    subsample: bool = False,
    use_cc_error: bool = True,
    dt_sigma_min: float = 1.0,
) -> xr.Dataset:
    """Misfit of the differences between two stations, for pairs of stations.

    - ``cc_traveltime``: χ = ½ ((Δt_syn - Δt_obs) / σ)², where Δt is the shift of the largest
      cross-correlation of the windows of both stations and σ its error, from the observed;
    - ``waveform``: χ = ½ ∫ ((s₁ - s₂) - (d₁ - d₂))² dt.

    The first windows of two stations are compared, the second ones, and so on; the shorter is
    continued with zeros.  Values are those of pyadjoint 0.2.3 (``cc_traveltime_dd`` and
    ``waveform_dd``).

    Parameters
    ----------
    observed, synthetic, windows
        As in :func:`waveform_misfit`.
    measure
        See above.
    pairs
        Two station labels each; by default every station with every other.
    max_distance
        Of the two stations, in metres.
    taper_percentage, taper_type, subsample, use_cc_error, dt_sigma_min
        As in :func:`waveform_misfit`.

    Returns
    -------
    xr.Dataset
        Over ``(event, pair, component)``: ``misfit``, the sum over the windows; of
        ``cc_traveltime`` the means of ``time_shift`` (Δt_syn - Δt_obs), ``observed_shift``,
        ``synthetic_shift`` and ``time_shift_error`` (s; positive where the first station is
        later); ``windows``, how many were compared; ``status``.  Coordinates ``first`` and
        ``second`` hold the stations of a pair.

    Raises
    ------
    ParameterError
        When a parameter is out of its range, or no pair is left.
    SchemaError
        When stations are not there, or have no place.

    Examples
    --------
    >>> observed = pangeo_ces.testing.synthetic_windows(quantity="velocity", seed=1)
    >>> synthetic = pangeo_ces.testing.synthetic_windows(quantity="velocity", seed=2)
    >>> double_difference(observed, synthetic).sizes["pair"]
    3
    """
    two = paired(observed, synthetic)
    chosen = _chosen_pairs(observed, pairs, max_distance)
    names = _VARIABLES if measure == "cc_traveltime" else _VARIABLES[:1]
    packed = _mapped(
        of_pairs, two, windows, measure, chosen, (len(chosen), len(names) + 2), "pair",
        taper_percentage, taper_type, subsample, use_cc_error, dt_sigma_min,
    )  # fmt: skip
    labels = observed["station"].values
    packed = consolidate(packed).assign_coords(
        first=("pair", labels[[a for a, _ in chosen]]),
        second=("pair", labels[[b for _, b in chosen]]),
    )
    result = xr.Dataset(attrs=product_attrs(observed))
    order = ["pair" if dim == "station" else dim for dim in two.dims]
    for number, (name, unit, long_name) in enumerate(
        [*names, ("windows", "1", "windows used"), ("status", "", "")]
    ):
        if name == "misfit":
            unit = units(measure, two.quantity)
        result[name] = packed.isel(value=number).transpose(*order)
        result[name].attrs = {"units": unit, "long_name": long_name}
    result["status"] = result["status"].astype("int8").assign_attrs(STATUS_ATTRS)
    return result


@operator(needs=MOTION, gives=("adjoint_source", "misfit", "status"))
def double_difference_source(
    observed: xr.Dataset,
    synthetic: xr.Dataset,
    windows: xr.Dataset | None = None,
    *,
    measure: Literal["cc_traveltime", "waveform"] = "cc_traveltime",
    pairs: Sequence[Sequence[str]] | None = None,
    max_distance: float | None = None,
    taper_percentage: float | None = None,
    taper_type: TaperType = "hann",
    subsample: bool = False,
    use_cc_error: bool = True,
    dt_sigma_min: float = 1.0,
) -> xr.Dataset:
    """Adjoint sources of :func:`double_difference`, the sum over the pairs of every station.

    For ``cc_traveltime`` the sources of a pair are the derivatives of its misfit (Yuan et al.
    2016, eqs 26 and 27)::

        f₁(t) = -(Δt_syn - Δt_obs) / (σ² N) ṡ₂(t - Δt_syn)
        f₂(t) = +(Δt_syn - Δt_obs) / (σ² N) ṡ₁(t + Δt_syn),   N = ∫ ṡ₁(t + Δt_syn) ṡ₂(t) dt

    pyadjoint 0.2.3 moves the synthetics by Δt_syn - Δt_obs in place of Δt_syn: its sources are
    these where Δt_obs is zero.

    Parameters
    ----------
    observed, synthetic, windows
        As in :func:`waveform_misfit`.
    measure, pairs, max_distance, taper_percentage, taper_type, subsample, use_cc_error
        As in :func:`double_difference`.
    dt_sigma_min
        As in :func:`waveform_misfit`.

    Returns
    -------
    xr.Dataset
        As :func:`adjoint_source` gives it; ``misfit`` of a station is half of that of each of
        its pairs, so that the sum over stations is that over pairs.

    Raises
    ------
    ParameterError, SchemaError
        As :func:`double_difference`.

    Examples
    --------
    >>> observed = pangeo_ces.testing.synthetic_windows(quantity="velocity", seed=1)
    >>> synthetic = pangeo_ces.testing.synthetic_windows(quantity="velocity", seed=2)
    >>> double_difference_source(observed, synthetic)["adjoint_source"].dims
    ('event', 'station', 'component', 'time')
    """
    two = paired(observed, synthetic)
    chosen = _chosen_pairs(observed, pairs, max_distance)
    samples, stations = (two.observed.sizes[dim] for dim in ("time", "station"))
    packed = _mapped(
        of_stations, two, windows, measure, chosen, (stations, samples + 2), "station",
        taper_percentage, taper_type, subsample, use_cc_error, dt_sigma_min,
    )  # fmt: skip
    packed = packed.assign_coords(
        {name: coord for name, coord in two.observed.coords.items() if "time" not in coord.dims}
    )
    source = packed.isel(value=slice(samples)).rename(value="time").transpose(*two.dims, "time")
    source = source.assign_coords(xr.Coordinates.from_xindex(observed.xindexes["time"]))
    source["time"].attrs.update(observed["time"].attrs)
    source.attrs = {
        "units": units(measure, two.quantity, source=True),
        "long_name": f"adjoint source of the double-difference {measure} misfit",
        "comment": "in forward time",
        "quantity": two.quantity,
        "measure": f"{measure}_dd",
    }
    result = xr.Dataset({"adjoint_source": source}, attrs=product_attrs(observed))
    result["misfit"] = packed.isel(value=samples).transpose(*two.dims).assign_attrs(
        units=units(measure, two.quantity), long_name="half of the misfits of its pairs"
    )  # fmt: skip
    status = packed.isel(value=samples + 1).transpose(*two.dims).astype("int8")
    result["status"] = status.assign_attrs(STATUS_ATTRS)
    return result


def _chosen_pairs(
    ds: xr.Dataset, wanted: Sequence[Sequence[str]] | None, max_distance: float | None
) -> tuple[tuple[int, int], ...]:
    labels = [str(label) for label in ds["station"].values]
    if wanted is None:
        found = list(itertools.combinations(range(len(labels)), 2))
    else:
        if isinstance(wanted, str) or any(len(pair) != 2 or pair[0] == pair[1] for pair in wanted):
            raise ParameterError("pairs are two different station labels each: give a list of them")
        if unknown := {name for pair in wanted for name in pair} - set(labels):
            raise ParameterError(f"no station {', '.join(sorted(unknown))}: give labels of station")
        found = [(labels.index(one), labels.index(two)) for one, two in wanted]
    if max_distance is not None:
        if not 0 < max_distance < math.inf:
            raise ParameterError(f"max_distance {max_distance} m: give a distance above zero")
        if not {"latitude", "longitude"} <= set(ds.coords):
            raise SchemaError("max_distance needs latitude and longitude of the stations: "
                              "convert with stations=…, or assign them")  # fmt: skip
        at = np.deg2rad(np.stack([ds["latitude"].values, ds["longitude"].values]))
        one, two = (at[:, [pair[side] for pair in found]] for side in (0, 1))
        half = (two - one) / 2
        chord = np.sin(half[0]) ** 2 + np.cos(one[0]) * np.cos(two[0]) * np.sin(half[1]) ** 2
        near = 2 * _EARTH * np.arcsin(np.sqrt(chord)) <= max_distance
        found = [pair for pair, good in zip(found, near, strict=True) if good]
    if not found:
        raise ParameterError("no pair of stations is left: give more stations or a larger "
                             "max_distance")  # fmt: skip
    return tuple(found)


def _mapped(
    kernel, two: Pairs, windows, measure, chosen, shape, dim,
    taper_percentage, taper_type, subsample, use_cc_error, dt_sigma_min,
) -> xr.DataArray:  # fmt: skip
    if measure not in ("cc_traveltime", "waveform"):
        raise ParameterError(f"measure {measure!r}: use 'cc_traveltime' or 'waveform'")
    if not 0 < dt_sigma_min < math.inf:
        raise ParameterError(f"dt_sigma_min {dt_sigma_min}: give a number above zero")
    others = [name for name in two.dims if name != "station"]
    order = (*others, "station", "time")
    if taper_percentage is None:
        taper_percentage = 0.3 if windows is not None else 0.0
    return map_blocks(
        kernel,
        two.observed.transpose(*order),
        two.synthetic.transpose(*order),
        *edges(windows, two),
        dims=(*others, dim, "value"),
        sizes={dim: shape[0], "value": shape[1]},
        dtype="float64",
        measure=measure,
        pairs=chosen,
        axis=(two.dt, two.start),
        tapering=(taper_percentage, taper_type),
        subsample=subsample,
        use_cc_error=use_cc_error,
        dt_sigma_min=dt_sigma_min,
    )
