"""Rapid assessment: peak ground motion of records and simulations, and how they differ.

One lazy graph for all events, stations, sampling rates and models of a window set.  Every station
is matched by network and station code, both sides are cut to the time they share, go through the
same chain, and are measured at their own sampling rates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from ..conventions import MOTION
from ..errors import InputError, ParameterError
from ..process.condition import detrend, taper
from ..process.filter import bandpass, highpass, lowpass
from ..process.quantity import to_motion
from ..process.response import prefilter, remove_response, remove_sensitivity
from ..process.rotate import rotate
from ..process.window import cut_each, unmatched_rows
from ..products.compare import difference
from ..products.peak_motion import SPECTRA, peak_motion
from ..store.open import waveforms
from ..timeaxis import sampling_interval
from .merge import on_one_axis
from .parts import (
    TRUSTED,
    Rejected,
    Spans,
    models_of,
    reject_where,
    relabelled,
    spans_of,
    take_part,
    window_sets,
)

#: Named parameter sets.  ``dare`` is the DARE project's: 0.3, 1 and 3 Hz at 10 % damping, in its
#: band of 0.1 to 2 Hz.
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "dare": {
        **SPECTRA["dare"],
        "freqmin": 0.1,
        "freqmax": 2.0,
        "corners": 3,
        "zerophase": False,
        "pre_filt": (0.005, 0.01, 8.0, 10.0),
        "quantity": "velocity",
        "axes": "ZRT",
    },
}
KINDS = {"difference": "absolute", "relative_difference": "relative", "log_ratio": "log"}


@dataclasses.dataclass(frozen=True)
class Assessment:
    """The outcome, still lazy.

    Attributes
    ----------
    product
        ``observed``, ``synthetic/MODEL`` and, for each model, ``difference/MODEL`` (observed minus
        synthetic), ``relative_difference/MODEL`` and ``log_ratio/MODEL``, all on the same axes.
        Where a simulation does not span a record, ``observed_common/MODEL`` holds the measures of
        the record in the time they share, which the differences are made of.
    waveforms
        The processed records behind it: ``observed`` and ``synthetic/MODEL`` to one Dataset for
        each sampling rate.
    parts
        The same before processing, ``data_start`` NaN for channels that take no part.
    unmatched
        Rows with ``event``, ``station``, ``side``, ``reason``.
    rejected
        Channels and stations that take no part, with the reason.
    notes
        What was decided for want of a parameter.
    """

    product: xr.DataTree
    waveforms: dict[str, list[xr.Dataset]]
    parts: dict[str, list[xr.Dataset]]
    unmatched: list[dict[str, str]]
    rejected: list[Rejected]
    notes: list[str]


@dataclasses.dataclass(frozen=True)
class _Chain:
    """What every waveform goes through."""

    quantity: str
    correction: str
    water_level: float | None
    pre_filt: tuple[float, float, float, float] | None
    max_percentage: float
    freqmin: float | None
    freqmax: float | None
    corners: int
    zerophase: bool
    axes: str

    def __call__(self, ds: xr.Dataset, start: xr.DataArray, stop: xr.DataArray) -> xr.Dataset:
        ds = ds.pipe(cut_each, start, stop).pipe(detrend)
        if self.max_percentage:
            ds = taper(ds, max_percentage=self.max_percentage)
        if "counts" in ds:
            ds = self._without_instrument(ds)
        elif self.pre_filt:
            ds = prefilter(ds, pre_filt=self.pre_filt)
        ds = to_motion(self._filtered(ds), quantity=self.quantity)
        return rotate(ds, to=self.axes)

    def unsuitable(self, part: xr.Dataset) -> str:
        """Why a part as a whole cannot go through, or an empty string."""
        nyquist = 0.5 / float(sampling_interval(part))
        if self.freqmin and self.freqmin >= nyquist:
            return f"freqmin {self.freqmin:g} Hz is not below the Nyquist frequency {nyquist:g} Hz"
        if "counts" in part and self.correction == "sensitivity":
            kinds = set(np.unique(part["input_quantity"].where(part["data_start"].notnull(), "")))
            if not kinds & set(MOTION):
                return "the sensor does not measure ground motion"
        elif not any(name in part for name in ("counts", *MOTION)):
            return "no ground motion"
        return ""

    def _without_instrument(self, ds: xr.Dataset) -> xr.Dataset:
        if self.correction == "sensitivity":
            return remove_sensitivity(ds)
        return remove_response(
            ds, output=self.quantity, water_level=self.water_level, pre_filt=self.pre_filt,
            zero_mean=False, taper=False,
        )  # fmt: skip

    def _filtered(self, ds: xr.Dataset) -> xr.Dataset:
        shape: dict[str, Any] = {"corners": self.corners, "zerophase": self.zerophase}
        nyquist = 0.5 / float(sampling_interval(ds))
        # A corner above a record's own Nyquist frequency has nothing to remove from it.
        freqmax = self.freqmax if self.freqmax and self.freqmax < nyquist else None
        if self.freqmin and freqmax:
            return bandpass(ds, freqmin=self.freqmin, freqmax=freqmax, **shape)
        if self.freqmin:
            return highpass(ds, freq=self.freqmin, **shape)
        return lowpass(ds, freq=freqmax, **shape) if freqmax else ds


def rapid_assessment(
    tree: xr.DataTree,
    *,
    name: str = "main",
    models: Sequence[str] | None = None,
    quantity: Literal["acceleration", "velocity", "displacement"] | None = None,
    correction: Literal["response", "sensitivity"] = "response",
    water_level: float | None = 60.0,
    pre_filt: tuple[float, float, float, float] | None = None,
    max_percentage: float = 0.05,
    freqmin: float | None = 0.05,
    freqmax: float | None = None,
    corners: int = 4,
    zerophase: bool = True,
    axes: Literal["ZNE", "ZRT"] = "ZNE",
    periods: Sequence[float] = (0.3, 1.0, 3.0),
    damping: float = 0.05,
) -> Assessment:
    """Peak ground motion of all records and simulations of a window set, and their differences.

    Parameters
    ----------
    tree
        A store opened with ``open_store``.
    name
        Window set, below ``windows/``.
    models
        Synthetics to compare with; all by default.
    quantity
        Ground motion that the records are brought to and measured from; by default acceleration
        where all sensors are accelerometers, else velocity.
    correction
        Take off the full ``response`` or the ``sensitivity`` alone.
    water_level
        Smallest spectral amplitude divided by, in dB below the largest; ``None`` for none.
    pre_filt
        Four corners in Hz of a cosine band applied with the response, and to synthetics alike.
    max_percentage
        Taper at each end, as a fraction of the record.
    freqmin
        Lower corner of the Butterworth filter in Hz; ``None`` for none.
    freqmax
        Upper corner in Hz; ``None`` for none, but with synthetics 0.8 of their lowest Nyquist
        frequency is taken then, and noted.
    corners
        Order of the filter.
    zerophase
        Run the filter both ways.
    axes
        Horizontal axes to measure along: ``ZNE`` or ``ZRT``.
    periods
        Of the response spectra, in seconds.
    damping
        Of the response spectra, as a fraction of critical.

    Returns
    -------
    Assessment
        Lazy; ``assessment.product.compute()`` or any write runs it.

    Notes
    -----
    Order of steps: time window (a record's own; what both have where it has a simulation),
    linear detrend, taper, response (or ``pre_filt``), filter, integration or differentiation,
    rotation, measures.
    """
    if correction not in ("response", "sensitivity"):
        raise ParameterError(f"correction {correction!r}: use 'response' or 'sensitivity'")
    if quantity is not None and quantity not in MOTION:
        raise ParameterError(f"quantity {quantity!r}: use one of {', '.join(MOTION)}")
    records = [ds for _, ds in waveforms(tree, f"windows/{name}/observed")]
    simulations = models_of(tree, name, models)
    if not records and not simulations:
        raise InputError(
            f"no event windows {name!r} in this store: convert with event=… (--event), or choose "
            f"from {', '.join(window_sets(tree)) or 'none'}"
        )
    notes: list[str] = []
    if simulations:
        freqmax = _resolved(freqmax, simulations, notes)
    chain = _Chain(
        quantity or _usual_quantity(records, simulations), correction, water_level, pre_filt,
        max_percentage, freqmin, freqmax, corners, zerophase, axes,
    )  # fmt: skip
    rejected: list[Rejected] = []

    def usable(nodes: list[xr.Dataset], side: str) -> list[xr.Dataset]:
        parts = take_part(nodes, side, chain.quantity, correction == "sensitivity", rejected)
        return [p for p in parts if not reject_where(p, chain.unsuitable, side, rejected)]

    observed = usable(records, "observed")
    own = spans_of(observed)
    spans: dict[str, tuple[Spans, list[xr.Dataset]]] = {}
    unmatched: list[dict[str, str]] = []
    if observed:
        spans["observed"] = (own, observed)
    for model, nodes in simulations.items():
        side = f"synthetic/{model}"
        synthetic = usable(nodes, side)
        if observed:
            unmatched += unmatched_rows(observed, synthetic, "observed")
            unmatched += unmatched_rows(synthetic, observed, "synthetic")
        synthetic = [relabelled(part, observed) for part in synthetic]
        theirs = spans_of(synthetic)
        common = theirs.shared_with(own)
        apart = [key for key in theirs if key in own and key not in common]
        unmatched += [
            {"event": event, "station": label, "side": "synthetic",
             "reason": "no time in common with the record"}
            for event, label in apart
        ]  # fmt: skip
        spans[side] = (Spans(theirs | common), synthetic)
        if any(common[key] != own[key] for key in common):
            spans[f"observed_common/{model}"] = (Spans(own | common), observed)
            notes.append(
                f"{model} does not last as long as the records at "
                f"{sum(common[key] != own[key] for key in common)} stations and events: "
                f"differences are of the common time (observed_common/{model})"
            )
    processed = {
        path: [chain(part, *span.arrays(part)) for part in parts]
        for path, (span, parts) in spans.items()
        if parts
    }
    products = on_one_axis(
        {
            path: [_measures_only(peak_motion(ds, periods=tuple(periods), damping=damping))
                   for ds in parts]
            for path, parts in processed.items()
        }
    )  # fmt: skip
    for model in simulations:
        record = products.get(f"observed_common/{model}", products.get("observed"))
        if record is None or f"synthetic/{model}" not in products:
            continue
        for path, kind in KINDS.items():
            products[f"{path}/{model}"] = difference(
                record, products[f"synthetic/{model}"], kind=kind
            )
    product = xr.DataTree.from_dict(products)
    product.attrs = {"title": "Rapid assessment of ground motion", "notes": notes}
    shown = {path: ds for path, ds in processed.items() if not path.startswith("observed_common")}
    parts = {path: spans[path][1] for path in shown}
    return Assessment(product, shown, parts, list(_unique(unmatched)), rejected, notes)


def _resolved(
    freqmax: float | None, simulations: dict[str, list[xr.Dataset]], notes: list[str]
) -> float:
    """The upper corner for both sides: as given, or what the simulations' sampling can hold."""
    rate = min(1 / sampling_interval(ds) for nodes in simulations.values() for ds in nodes)
    trusted = float(TRUSTED * rate / 2)
    if freqmax is not None and freqmax < float(rate / 2):
        return freqmax
    if freqmax is None:
        why = "no freqmax given"
    else:
        why = f"freqmax {freqmax:g} Hz is above the synthetics' Nyquist frequency"
    notes.append(
        f"{why}: both sides were low-passed at {trusted:g} Hz, 0.8 of it; give the frequency that "
        "the simulation resolves"
    )
    return trusted


def _usual_quantity(records: list[xr.Dataset], simulations: dict[str, list[xr.Dataset]]) -> str:
    kinds = {
        str(kind)
        for ds in records
        for kind in np.unique(ds["input_quantity"].values)
        if "counts" in ds
    }
    nodes = records or [ds for nodes in simulations.values() for ds in nodes]
    kinds |= {name for ds in nodes for name in MOTION if name in ds}
    return "acceleration" if kinds - {""} == {"acceleration"} else "velocity"


def _measures_only(ds: xr.Dataset) -> xr.Dataset:
    return ds.drop_vars([n for n in ds.coords if "response" in ds[n].dims])


def _unique(rows: list[dict[str, str]]):
    seen = set()
    for row in rows:
        key = tuple(row.values())
        if key not in seen:
            seen.add(key)
            yield row
