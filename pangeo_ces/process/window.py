"""Which samples take part: cutting in time, pairing observed with synthetic."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numba
import numpy as np
import xarray as xr

from ..blocks import map_time
from ..conventions import QUANTITIES, quantity_of, split_label
from ..errors import ParameterError
from ..registry import operator
from ..timeaxis import sampling_interval, time_index
from ._runs import records
from ._waveform import replace


@dataclasses.dataclass(frozen=True)
class Match:
    """Observed and synthetic on one ``(event, station)`` axis, and what found no partner."""

    observed: xr.Dataset
    synthetic: xr.Dataset
    unmatched: list[dict[str, str]]


def match(observed: xr.Dataset, synthetic: xr.Dataset) -> Match:
    """Pair stations by network **and** station code, event by event.

    Every observed instrument of a station gets the station's synthetic; both sides keep the
    observed labels.  A station or event that stands on one side only is listed, with the reason,
    and takes no part.

    Parameters
    ----------
    observed, synthetic
        Event windows, ``(event, station, component, time)``; the sampling rates may differ.

    Returns
    -------
    Match
        ``unmatched`` rows have ``event``, ``station``, ``side`` and ``reason``.
    """
    for side, ds in (("observed", observed), ("synthetic", synthetic)):
        if "event" not in ds.dims:
            raise ParameterError(f"{side} has no event dimension: convert with event=…")
    events = [e for e in observed["event"].values if e in set(synthetic["event"].values.tolist())]
    left, right = observed.sel(event=events), synthetic.sel(event=events)
    rows, labels = partners(left, right)
    left, right = left.sel(station=labels), right.isel(station=rows)
    right = right.assign_coords(station=left["station"])
    both = (exists(left).values & exists(right).values).any(axis=0)
    unmatched = unmatched_rows([observed], [synthetic], "observed")
    unmatched += unmatched_rows([synthetic], [observed], "synthetic")
    return Match(left.isel(station=both), right.isel(station=both), unmatched)


def partners(observed: xr.Dataset, synthetic: xr.Dataset) -> tuple[list[int], list[str]]:
    """Rows of ``synthetic`` for the stations of ``observed``, and the observed labels they get."""
    sites = {
        _site(label): row for row, label in reversed([*enumerate(synthetic["station"].values)])
    }
    labels = [str(s) for s in observed["station"].values if _site(s) in sites]
    return [sites[_site(label)] for label in labels], labels


def unmatched_rows(
    here: list[xr.Dataset], there: list[xr.Dataset], side: str
) -> list[dict[str, str]]:
    """What the Datasets of one side have and those of the other have not, with the reason."""
    opposite = "synthetic" if side == "observed" else "observed"
    present: set[tuple[str, str]] = set()
    for ds in there:
        for event, label in _recorded(ds):
            present.add((event, _site(label)))
    events = {event for event, _ in present}
    sites = {site for _, site in present}
    rows = []
    for ds in here:
        for event, label in _recorded(ds):
            site = _site(label)
            if (event, site) in present:
                continue
            if event not in events:
                reason = f"no {opposite} of this event"
            elif site not in sites:
                reason = f"no {opposite} of network and station {site}"
            else:
                reason = f"no {opposite} of this station for this event"
            rows.append({"event": event, "station": label, "side": side, "reason": reason})
    return rows


def exists(ds: xr.Dataset) -> xr.DataArray:
    """Whether an event was recorded at a station at all, (event, station)."""
    return ds["data_start"].notnull().any("component").transpose("event", "station")


def _recorded(ds: xr.Dataset) -> list[tuple[str, str]]:
    events, stations = ds["event"].values.tolist(), ds["station"].values.tolist()
    return [(events[i], stations[j]) for i, j in np.argwhere(exists(ds).values)]


def _site(label: str) -> str:
    return ".".join(split_label(str(label))[:2])


@operator(needs=QUANTITIES)
def cut(ds: xr.Dataset, *, start: float | None = None, stop: float | None = None) -> xr.Dataset:
    """Keep labels from ``start`` to ``stop`` (s after the origin time), both included."""
    return ds.sel(time=slice(start, stop))


def cut_each(ds: xr.Dataset, start: xr.DataArray, stop: xr.DataArray) -> xr.Dataset:
    """Keep, for every event and station, its own span of labels; the rest becomes NaN.

    Parameters
    ----------
    ds
        Event windows.
    start, stop
        ``(event, station)``, or with ``component``, in seconds after the origin time, both
        included; NaN keeps nothing.
    """
    axis = time_index(ds).transform
    dt = float(sampling_interval(ds))
    offset = float(axis.offset)
    slack = 1e-6  # of a sample: labels are floats
    first = _whole((start - offset) / dt - slack, np.ceil, axis.samples)
    last = _whole((stop - offset) / dt + slack, np.floor, -1)
    outer = slice(
        max(int(first.min()), 0) if first.size else 0,
        min(max(int(last.max()) + 1, 0), axis.samples) if last.size else 0,
    )
    name = quantity_of(ds)
    trimmed = ds.isel(time=outer)
    kept = map_time(_keep, trimmed[name], first - outer.start, last - outer.start)
    result = replace(trimmed, name, name, kept)
    kept_start = result["data_start"].clip(min=offset + first * dt)
    kept_end = result["data_end"].clip(max=offset + last * dt)
    return result.assign_coords(
        data_start=kept_start.where(first <= last), data_end=kept_end.where(first <= last)
    )


def _whole(
    position: xr.DataArray, rounding: Callable[[np.ndarray], np.ndarray], missing: int
) -> xr.DataArray:
    return position.copy(data=rounding(position.values)).fillna(missing).astype("int64")


def _keep(block, first, last):
    rows = records(block)
    beyond = (1,) * (block.ndim - 1 - first.ndim)
    first, last = (
        np.broadcast_to(x.reshape(*x.shape, *beyond), block.shape[:-1]).reshape(-1)
        for x in (first, last)
    )
    return _keep_rows(rows, first, last).reshape(block.shape)


@numba.njit(nogil=True, cache=True)
def _keep_rows(x, first, last):
    result = np.empty_like(x)
    for row in range(x.shape[0]):
        start = min(max(first[row], 0), x.shape[1])
        stop = max(min(last[row] + 1, x.shape[1]), start)
        result[row, :start] = np.nan
        for i in range(start, stop):
            value = x[row, i]
            # An infinite sample is none: it would spread over the record in every filter.
            result[row, i] = value if abs(value) < np.inf else np.nan
        result[row, stop:] = np.nan
    return result
