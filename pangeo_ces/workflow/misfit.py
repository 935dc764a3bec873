"""Misfit: records against simulations, from one store to measures, windows and adjoint sources.

Pairs are found by network and station code, event by event, brought onto one time axis, sent
through a chain of operators, and measured: all in one lazy graph for all events, stations and
models.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from ..conventions import MOTION
from ..errors import AxisError, CesError, InputError, ParameterError, SchemaError
from ..process.source_time import convolve_source
from ..process.sync import sync_cut
from ..process.window import exists, match, unmatched_rows
from ..products.misfit._options import Measure
from ..products.windows.rules import PRESETS as WINDOW_PRESETS
from ..products.windows.select import select_windows
from ..store.open import waveforms
from ..timeaxis import sampling_interval, time_index
from . import chain as chains
from .merge import reindexed
from .pairs import OTHERS, Pairs, product_of
from .parts import TRUSTED, Rejected, models_of, take_part, window_sets

_VERCE_BAND = (0.005, 0.01, 8.0, 10.0)
_VERCE_CHAIN: list[dict[str, Any]] = [
    {"operator": "detrend", "parameters": {"type": "linear"}},
    {"operator": "taper", "parameters": {"max_percentage": 0.05, "type": "hann"}},
    {"operator": "remove_response", "side": "observed",
     "parameters": {"output": "velocity", "pre_filt": _VERCE_BAND, "water_level": 60.0,
                    "zero_mean": False, "taper": False}},
    {"operator": "prefilter", "side": "synthetic", "parameters": {"pre_filt": _VERCE_BAND}},
    {"operator": "lowpass", "parameters": {"freq": 2.0, "corners": 3}},
    {"operator": "highpass", "parameters": {"freq": 0.1, "corners": 3}},
    {"operator": "bandpass", "parameters": {"freqmin": 0.1, "freqmax": 2.0, "corners": 3}},
    {"operator": "rotate", "parameters": {"to": "ZRT"}},
]  # fmt: skip
_VERCE: dict[str, Any] = {
    "chain": _VERCE_CHAIN, "min_period": 0.5, "max_period": 10.0, "nf": 100, "w0": 6.0,
    "window_options": WINDOW_PRESETS["verce"] | {"emulate_pyflex": True},
}  # fmt: skip
#: Named parameter sets.  Those of ``verce`` are the defaults of the VERCE platform for its three
#: types of misfit: ``time_frequency``, ``pyflex`` and ``pyflex_and_time_frequency``.
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "verce": {**_VERCE, "measures": ("time_frequency",), "measured": "whole"},
    "verce_pyflex": {**_VERCE, "measures": ("cc_traveltime",), "measured": "windows"},
    "verce_pyflex_and_time_frequency": {
        **_VERCE, "measures": ("time_frequency",), "measured": "windows",
    },
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Misfit:
    """The outcome, still lazy.

    Attributes
    ----------
    product
        ``measures/MODEL`` over (event, station, component), ``windows/MODEL`` with a window axis
        besides, and ``adjoint/MODEL/NUMBER``, a node for each time axis.
    pairs
        The processed waveforms behind it.
    unmatched
        Rows with ``event``, ``station``, ``side``, ``reason``.
    rejected
        Channels and stations that take no part, with the reason.
    notes
        What was decided for want of a parameter.
    band
        Shortest and longest period of the comparison, s.
    """

    product: xr.DataTree
    pairs: list[Pairs]
    unmatched: list[dict[str, str]]
    rejected: list[Rejected]
    notes: list[str]
    band: tuple[float, float]


def misfit(
    tree: xr.DataTree,
    *,
    name: str = "main",
    models: Sequence[str] | None = None,
    quantity: Literal["acceleration", "velocity", "displacement"] = "velocity",
    min_period: float | None = None,
    max_period: float = 20.0,
    chain: Sequence[Mapping[str, Any]] | None = None,
    pre_filt: tuple[float, float, float, float] | None = None,
    water_level: float | None = 60.0,
    max_percentage: float = 0.05,
    corners: int = 4,
    zerophase: bool = True,
    axes: Literal["ZNE", "ZRT"] = "ZNE",
    sampling_rate: float | None = None,
    half_duration: float | None = None,
    source_shape: Literal["gaussian", "triangle", "boxcar"] = "gaussian",
    measures: Sequence[str] = ("waveform", "cross_correlation", "cc_traveltime", "time_frequency"),
    measured: Literal["windows", "whole"] = "windows",
    window_options: Mapping[str, Any] | None = None,
    nf: int = 100,
    w0: float = 6.0,
    adjoint: str | None = None,
) -> Misfit:
    """Misfits of all records and simulations of a window set, their windows and adjoint sources.

    Parameters
    ----------
    tree
        A store opened with ``open_store``.
    name
        Window set, below ``windows/``.
    models
        Synthetics to compare with; all by default.
    quantity
        Ground motion that both sides are brought to.
    min_period, max_period
        Band of the comparison in seconds: of the filter, of the windows, of the wavelets.  By
        default the shortest period is that of 0.8 of the synthetics' Nyquist frequency, and noted.
    chain
        Steps for both sides, in order, as plain data: ``operator``, ``parameters`` and ``side``
        (``both``, ``observed`` or ``synthetic``) of each.  By default linear detrend, taper,
        response (``pre_filt`` alone for synthetics), band-pass, motion, rotation.
    pre_filt
        Four corners in Hz of a cosine band applied with the response, and to synthetics alike.
    water_level
        Smallest spectral amplitude divided by, in dB below the largest; ``None`` for none.
    max_percentage
        Taper at each end, as a fraction of the record.
    corners, zerophase
        Of the Butterworth band-pass.
    axes
        Axes that the default chain rotates to: ``ZNE`` or ``ZRT``.
    sampling_rate
        Of both sides in Hz; the lower of the two by default.
    half_duration, source_shape
        Source time function that synthetics are convolved with first; none by default.
    measures
        Of ``waveform_misfit``, and ``time_frequency`` and ``goodness_of_fit``.
    measured
        What is compared, and what adjoint sources are of: the selected ``windows``, or the
        ``whole`` time both sides have.
    window_options
        Parameters of ``select_windows``.
    nf, w0
        Frequencies and wavelet parameter of the time-frequency misfits.
    adjoint
        Measure of the adjoint sources; none are made by default.

    Returns
    -------
    Misfit
        Lazy; ``outcome.product.compute()`` or any write runs it.
    """
    if quantity not in MOTION:
        raise ParameterError(f"quantity {quantity!r}: use one of {', '.join(MOTION)}")
    if measured not in ("windows", "whole"):
        raise ParameterError(f"measured {measured!r}: use 'windows' or 'whole'")
    records = [ds for _, ds in waveforms(tree, f"windows/{name}/observed")]
    simulations = models_of(tree, name, models)
    if not records or not simulations:
        missing = "records" if not records else "simulations"
        raise InputError(
            f"no {missing} in the event windows {name!r}: convert them with event=… (--event), or "
            f"choose from {', '.join(window_sets(tree)) or 'none'}"
        )
    notes: list[str] = []
    if min_period is None:
        slowest = max(
            *(float(sampling_interval(ds)) for nodes in simulations.values() for ds in nodes),
            min(float(sampling_interval(ds)) for ds in records),
            1 / sampling_rate if sampling_rate else 0.0,
        )
        min_period = 2 * slowest / TRUSTED
        notes.append(
            f"no min_period given: {min_period:.3g} s was taken, 0.8 of the lowest Nyquist "
            "frequency; give the period that the simulation resolves"
        )
    wanted = (measures,) if isinstance(measures, str) else tuple(measures)
    known = (*typing.get_args(Measure), *OTHERS)
    strange = [name for name in wanted if name not in known]
    if strange or not wanted:
        raise ParameterError(f"measures {wanted}: use some of {', '.join(known)}")
    if window_options is not None and not isinstance(window_options, Mapping):
        raise ParameterError(f"window_options {window_options!r}: give names and values")
    if not 0 < min_period < max_period:
        raise ParameterError(
            f"min_period {min_period:g} s is not below max_period {max_period:g} s: swap them"
        )
    steps = chains.parse(
        chain
        if chain is not None
        else _usual_chain(quantity, (1 / max_period, 1 / min_period), pre_filt, water_level,
                          max_percentage, corners, zerophase, axes)
    )  # fmt: skip
    source = half_duration and {"half_duration": half_duration, "shape": source_shape}
    rejected: list[Rejected] = []
    unmatched: list[dict[str, str]] = []
    observed = take_part(records, "observed", quantity, False, rejected)
    pairs: list[Pairs] = []
    failures: list[Exception] = []
    for model, nodes in simulations.items():
        side = f"synthetic/{model}"
        synthetic = take_part(nodes, side, quantity, False, rejected)
        unmatched += unmatched_rows(observed, synthetic, "observed")
        unmatched += unmatched_rows(synthetic, observed, "synthetic")
        for one in observed:
            for two in synthetic:
                both = match(one, two)
                if not both.observed.sizes["station"]:
                    continue
                made = convolve_source(both.synthetic, **source) if source else both.synthetic
                try:
                    sides = sync_cut(both.observed, made, sampling_rate=sampling_rate)
                    done = [
                        _measurable(chains.run(steps, ds, kind), quantity, kind)
                        for ds, kind in zip(sides, ("observed", "synthetic"), strict=True)
                    ]
                except (AxisError, ParameterError, SchemaError) as error:
                    # One instrument that cannot take part must not end the others' run.
                    failures.append(error)
                    rejected += _all_of(both.observed, side, str(error))
                    continue
                pairs.append(Pairs(model, *_same_components(*done), None, _axis_of(two)))
    if not pairs and failures:
        raise failures[0]
    if not pairs:
        reasons = [r.reason for r in rejected] + [row["reason"] for row in unmatched]
        raise InputError(
            f"no record has a simulation ({reasons[0] if reasons else 'none is there'}): check the "
            "event and station codes of both sides"
        )
    band = {"min_period": min_period, "max_period": max_period}
    if measured == "windows":
        options = band | dict(window_options or {})
        pairs = [dataclasses.replace(p, windows=_windows(p, options)) for p in pairs]
    product = product_of(pairs, wanted, band, nf, w0, adjoint)
    unique = [dict(row) for row in dict.fromkeys(tuple(row.items()) for row in unmatched)]
    product.attrs = {"title": "Misfit of records and simulations", "notes": notes}
    return Misfit(product, pairs, unique, rejected, notes, (min_period, max_period))


def _windows(pair: Pairs, options: Mapping[str, Any]) -> xr.Dataset:
    try:
        return select_windows(pair.observed, pair.synthetic, **options)
    except CesError:
        raise
    except (TypeError, ValueError) as error:
        raise ParameterError(f"window_options: {error}: give numbers and names") from error


def _all_of(ds: xr.Dataset, side: str, reason: str) -> list[Rejected]:
    """A row for every event and station of some records."""
    events, stations = ds["event"].values.tolist(), ds["station"].values.tolist()
    return [Rejected(side, events[i], stations[j], "", reason)
            for i, j in np.argwhere(exists(ds).values)]  # fmt: skip


def _axis_of(ds: xr.Dataset) -> dict[str, Any]:
    """What a solver calls the time axis of its seismograms: labels are up to half a sample off."""
    axis = time_index(ds).transform
    offset = float(ds["time_offset"].median()) if "time_offset" in ds.coords else 0.0
    start = float(axis.offset) + (offset if np.isfinite(offset) else 0.0)
    return {"dt": float(axis.interval), "nstep": axis.samples, "t0": start}


def _usual_chain(
    quantity: str,
    band: tuple[float, float],
    pre_filt: tuple[float, float, float, float] | None,
    water_level: float | None,
    max_percentage: float,
    corners: int,
    zerophase: bool,
    axes: str,
) -> list[dict[str, Any]]:
    response = {"output": quantity, "water_level": water_level, "pre_filt": pre_filt,
                "zero_mean": False, "taper": False}  # fmt: skip
    steps: list[dict[str, Any]] = [
        {"operator": "detrend"},
        {"operator": "taper", "parameters": {"max_percentage": max_percentage}},
        {"operator": "remove_response", "parameters": response, "side": "observed"},
        {"operator": "bandpass", "parameters": {"freqmin": band[0], "freqmax": band[1],
                                                "corners": corners, "zerophase": zerophase}},
        {"operator": "to_motion", "parameters": {"quantity": quantity}},
        {"operator": "rotate", "parameters": {"to": axes}},
    ]  # fmt: skip
    if pre_filt is not None:
        shaped = {"operator": "prefilter", "parameters": {"pre_filt": pre_filt},
                  "side": "synthetic"}  # fmt: skip
        steps.insert(3, shaped)
    return steps


def _measurable(ds: xr.Dataset, quantity: str, side: str) -> xr.Dataset:
    """Without coordinates that only processing needs; refused if it is not the quantity asked."""
    if quantity not in ds:
        raise ParameterError(
            f"after the chain the {side} waveforms are {', '.join(map(str, ds.data_vars))}, not "
            f"{quantity}: add remove_response or to_motion to the chain, or choose that quantity"
        )
    return ds.drop_vars([name for name in ds.coords if "response" in ds[name].dims])


def _same_components(one: xr.Dataset, two: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Both sides on all components of either; what a side has not is NaN."""
    names = list(dict.fromkeys([*one["component"].values.tolist(),
                                *two["component"].values.tolist()]))  # fmt: skip
    first, second = (
        ds if ds["component"].values.tolist() == names else reindexed(ds, component=names)
        for ds in (one, two)
    )
    return first, second
