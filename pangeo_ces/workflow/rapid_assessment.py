"""Rapid assessment: peak ground motion of records and simulations, and how they differ.

One lazy graph for all events, stations, sampling rates and models of a window set.  Every station
is matched by network and station code, both sides are cut to the time they share, go through the
same chain, and are measured at their own sampling rates.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from ..conventions import MOTION, QUANTITIES, VARIABLES
from ..errors import InputError, ParameterError
from ..process.condition import detrend, taper
from ..process.filter import bandpass, highpass, lowpass
from ..process.quantity import to_motion
from ..process.response import prefilter, remove_response, remove_sensitivity
from ..process.rotate import rotate
from ..process.window import cut_each, extent, partners, unmatched_rows
from ..products.compare import difference
from ..products.peak_motion import SPECTRA, peak_motion
from ..store.open import waveforms
from ..timeaxis import sampling_interval

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
#: Without a given upper corner, simulations are trusted up to this fraction of their Nyquist
#: frequency.
_TRUSTED = 0.8
KINDS = {"difference": "absolute", "relative_difference": "relative", "log_ratio": "log"}


@dataclasses.dataclass(frozen=True)
class Assessment:
    """The outcome, still lazy.

    Attributes
    ----------
    product
        ``observed``, ``synthetic/MODEL`` and, for each model, ``difference/MODEL`` (observed minus
        synthetic), ``relative_difference/MODEL`` and ``log_ratio/MODEL``, all on the same axes.
    waveforms
        The processed records behind it: ``observed`` and ``synthetic/MODEL`` to one Dataset for
        each sampling rate.
    unmatched
        Rows with ``event``, ``station``, ``side``, ``reason``.
    notes
        What was decided for want of a parameter.
    """

    product: xr.DataTree
    waveforms: dict[str, list[xr.Dataset]]
    unmatched: list[dict[str, str]]
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
        ds = _nearest_motion(ds, self.quantity).pipe(cut_each, start, stop).pipe(detrend)
        if self.max_percentage:
            ds = taper(ds, max_percentage=self.max_percentage)
        if "counts" in ds:
            ds = self._without_instrument(ds)
        elif self.pre_filt:
            ds = prefilter(ds, pre_filt=self.pre_filt)
        ds = to_motion(self._filtered(ds), quantity=self.quantity)
        return rotate(ds, to=self.axes)

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
    Order of steps: common time window, linear detrend, taper, response (or ``pre_filt``), filter,
    integration or differentiation, rotation, measures.
    """
    if correction not in ("response", "sensitivity"):
        raise ParameterError(f"correction {correction!r}: use 'response' or 'sensitivity'")
    if quantity is not None and quantity not in MOTION:
        raise ParameterError(f"quantity {quantity!r}: use one of {', '.join(MOTION)}")
    observed = [
        part for _, ds in waveforms(tree, f"windows/{name}/observed") for part in _by_kind(ds)
    ]
    synthetic = _models(tree, name, models)
    if not observed and not synthetic:
        raise InputError(
            f"no event windows {name!r} in this store: convert with event=… (--event), or choose "
            f"from {', '.join(_window_sets(tree)) or 'none'}"
        )
    notes: list[str] = []
    if synthetic and freqmax is None:
        rates = [1 / sampling_interval(ds) for nodes in synthetic.values() for ds in nodes]
        freqmax = float(_TRUSTED * min(rates) / 2)
        notes.append(
            f"no freqmax given: both sides were low-passed at {freqmax:g} Hz, 0.8 of the "
            "synthetics' Nyquist frequency; give the frequency that the simulation resolves"
        )
    chain = _Chain(
        quantity or _usual_quantity(observed, synthetic), correction, water_level, pre_filt,
        max_percentage, freqmin, freqmax, corners, zerophase, axes,
    )  # fmt: skip
    measure = {"periods": tuple(periods), "damping": damping}
    unmatched = []
    for nodes in synthetic.values():
        if observed:
            unmatched += unmatched_rows(observed, nodes, "observed")
            unmatched += unmatched_rows(nodes, observed, "synthetic")
    spans = _common_spans(observed, synthetic, unmatched)
    processed = {"observed": [chain(ds, *spans.of(ds)) for ds in observed]} if observed else {}
    for model, nodes in synthetic.items():
        processed[f"synthetic/{model}"] = [
            chain(ds, *spans.of(ds)) for node in nodes for ds in [_relabelled(node, observed)]
        ]
    products = _on_one_axis(
        {
            path: [_measures_only(peak_motion(ds, **measure)) for ds in parts]
            for path, parts in processed.items()
            if parts
        }
    )
    for model in synthetic if observed else {}:
        for path, kind in KINDS.items():
            products[f"{path}/{model}"] = difference(
                products["observed"], products[f"synthetic/{model}"], kind=kind
            )
    product = xr.DataTree.from_dict(products)
    product.attrs = {"title": "Rapid assessment of ground motion", "notes": notes}
    return Assessment(product, processed, list(_unique(unmatched)), notes)


class _Spans:
    """First and last label (s) that count, for every event and observed label or lone site."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], tuple[float, float]] = {}

    def narrow(self, event: str, label: str, start: float, stop: float) -> bool:
        """Take the intersection with a span; ``False``, unchanged, where it is empty."""
        one, two = self.known.get((event, label), (-np.inf, np.inf))
        if max(one, start) >= min(two, stop):
            return False
        self.known[event, label] = (max(one, start), min(two, stop))
        return True

    def of(self, ds: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
        """Spans for the axes of a Dataset."""
        events, stations = ds["event"].values.tolist(), ds["station"].values.tolist()
        table = np.array(
            [[self.known.get((e, s), (np.nan, np.nan)) for s in stations] for e in events]
        ).reshape(len(events), len(stations), 2)
        return tuple(xr.DataArray(table[..., i], dims=("event", "station")) for i in (0, 1))  # type: ignore[return-value]


def _common_spans(
    observed: list[xr.Dataset],
    synthetic: dict[str, list[xr.Dataset]],
    unmatched: list[dict[str, str]],
) -> _Spans:
    """The time that a record and all its simulations share."""
    spans = _Spans()
    for ds in observed:
        for event, label, start, stop in _extents(ds):
            spans.narrow(event, label, start, stop)
    for nodes in synthetic.values():
        for ds in nodes:
            for event, label, start, stop in _extents(_relabelled(ds, observed)):
                if not spans.narrow(event, label, start, stop):
                    unmatched.append(
                        {"event": event, "station": label, "side": "synthetic",
                         "reason": "no time in common with the record"}
                    )  # fmt: skip
    return spans


def _extents(ds: xr.Dataset):
    first, last = (x.transpose("event", "station").values for x in extent(ds))
    for i, event in enumerate(ds["event"].values.tolist()):
        for j, label in enumerate(ds["station"].values.tolist()):
            if np.isfinite(first[i, j]) and np.isfinite(last[i, j]):
                yield event, label, float(first[i, j]), float(last[i, j])


def _relabelled(ds: xr.Dataset, observed: list[xr.Dataset]) -> xr.Dataset:
    """Synthetics under the labels of the records they belong to, the rest under their own."""
    row_of: dict[str, int] = {}
    for records in observed:
        rows, labels = partners(records, ds)
        row_of |= dict(zip(labels, rows, strict=True))
    paired = set(row_of.values())
    row_of |= {str(s): row for row, s in enumerate(ds["station"].values) if row not in paired}
    return ds.isel(station=[*row_of.values()]).assign_coords(station=[*row_of])


def _by_kind(ds: xr.Dataset) -> list[xr.Dataset]:
    """Records in counts apart from those that came in physical units."""
    if "counts" not in ds or not any(name in ds for name in MOTION):
        return [ds]
    return [ds.drop_vars([n for n in MOTION if n in ds]), ds.drop_vars("counts")]


def _nearest_motion(ds: xr.Dataset, quantity: str) -> xr.Dataset:
    """The waveform to start from: counts, or the ground motion nearest to the wanted one."""
    here = [name for name in QUANTITIES if name in ds.data_vars]
    motion = [name for name in MOTION if name in here]
    if "counts" in here or not motion:
        chosen = "counts" if "counts" in here else here[0]
    else:
        chosen = min(motion, key=lambda n: abs(MOTION.index(n) - MOTION.index(quantity)))
    return ds.drop_vars([name for name in here if name != chosen])


def _usual_quantity(observed: list[xr.Dataset], synthetic: dict[str, list[xr.Dataset]]) -> str:
    kinds = {
        str(kind)
        for ds in observed
        for kind in np.unique(ds["input_quantity"].values)
        if "counts" in ds
    }
    nodes = observed or [ds for nodes in synthetic.values() for ds in nodes]
    kinds |= {name for ds in nodes for name in MOTION if name in ds}
    return "acceleration" if kinds - {""} == {"acceleration"} else "velocity"


def _models(
    tree: xr.DataTree, name: str, models: Sequence[str] | None
) -> dict[str, list[xr.Dataset]]:
    base = f"windows/{name}/synthetic"
    found: dict[str, list[xr.Dataset]] = {}
    for path, ds in waveforms(tree, base):
        model = path.removeprefix(f"{base}/").rpartition("/")[0]
        found.setdefault(model, []).append(ds)
    missing = [model for model in models or [] if model not in found]
    if missing:
        raise InputError(
            f"no synthetics {', '.join(missing)} here: use {', '.join(found) or 'none'}"
        )
    return {model: nodes for model, nodes in found.items() if models is None or model in models}


def _window_sets(tree: xr.DataTree) -> list[str]:
    return sorted(tree["windows"].children) if "windows" in tree.children else []


def _measures_only(ds: xr.Dataset) -> xr.Dataset:
    return ds.drop_vars([n for n in ds.coords if "response" in ds[n].dims])


def _on_one_axis(products: dict[str, list[xr.Dataset]]) -> dict[str, xr.Dataset]:
    """All products on the union of their stations, sampling rates merged.

    Coordinates come from whoever knows them.
    """
    parts = [ds for several in products.values() for ds in several]
    labels = sorted({s for ds in parts for s in ds["station"].values.tolist()})
    wide = {path: [ds.reindex(station=labels) for ds in many] for path, many in products.items()}
    coords = {}
    for name, row in VARIABLES.items():
        if row.dims not in (("station",), ("event", "station")):
            continue
        known = [ds[name] for many in wide.values() for ds in many if name in ds.coords]
        if known:
            values = functools.reduce(
                lambda a, b: np.where(np.isnan(a), b, a), [x.values for x in known]
            )
            coords[name] = (known[0].dims, values, row.attrs)
    result = {}
    for path, (first, *others) in wide.items():
        for other in others:
            for name in map(str, first.data_vars):
                filled = first[name].fillna(other[name].drop_vars(list(other[name].coords)))
                first = first.assign({name: filled.assign_attrs(first[name].attrs)})
        result[path] = first.assign_coords(coords)
    return result


def _unique(rows: list[dict[str, str]]):
    seen = set()
    for row in rows:
        key = tuple(row.values())
        if key not in seen:
            seen.add(key)
            yield row
