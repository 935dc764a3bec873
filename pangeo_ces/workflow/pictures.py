"""The few waveforms that a rapid assessment shows, still lazy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from ..process.filter import lowpass
from ..process.resample import interpolate
from ..products.compare import waveform_fit
from ..products.envelope import minmax
from ..timeaxis import sampling_interval, time_index
from .merge import reindexed

Waveforms = Mapping[str, list[xr.Dataset]]

#: Bytes of thumbnails that a run holds in memory: a page has room for far less.
_MOST_BYTES = 64_000_000


def thumbnails(waveforms: Waveforms, bins: int = 400) -> dict[str, xr.Dataset]:
    """Smallest and largest sample in time bins, for every station, on one axis.

    Of so many events as fit into memory whatever the size of the store, those with most records.
    """
    start, stop = _span(waveforms)
    channels = sum(ds.sizes["station"] * ds.sizes["component"] for many in waveforms.values()
                   for ds in many)  # fmt: skip
    waveforms = of_events(waveforms, busiest(waveforms, _MOST_BYTES // (channels * bins * 8) + 1))
    shortest = min(
        int((stop - start) / float(sampling_interval(ds)))
        for many in waveforms.values()
        for ds in many
    )
    bins = max(1, min(bins, shortest))
    return {
        path: _merged([minmax(ds, bins=bins, start=start, stop=stop) for ds in many])
        for path, many in waveforms.items()
        if many
    }


def overlay(
    waveforms: Waveforms, stations: Sequence[str]
) -> tuple[dict[str, xr.Dataset], dict[str, xr.Dataset]]:
    """Records and simulations of some stations on one time axis, and how they fit.

    Returns
    -------
    waveforms, fits
        By ``observed`` and ``synthetic/MODEL``, and by model.
    """
    rate = min(float(1 / sampling_interval(ds)) for many in waveforms.values() for ds in many)
    start, stop = _span(waveforms)

    def onto_axis(ds: xr.Dataset) -> xr.Dataset:
        ds = ds.sel(station=[s for s in stations if s in set(ds["station"].values.tolist())])
        if float(1 / sampling_interval(ds)) > rate * 1.0001:
            ds = lowpass(ds, freq=0.4 * rate, corners=8, zerophase=True)
        return interpolate(ds, sampling_rate=rate, start=start, stop=stop)

    shown = {
        path: _merged([onto_axis(ds) for ds in many], stations)
        for path, many in waveforms.items()
        if many
    }
    for ds in shown.values():  # the places of stations that only others know
        for name in ("latitude", "longitude", "epicentral_distance", "back_azimuth"):
            for other in shown.values():
                ds[name] = ds[name].fillna(other[name].drop_vars(list(other[name].coords)))
    fits = {}
    if "observed" in shown:
        for path, ds in shown.items():
            if path != "observed":
                fits[path.removeprefix("synthetic/")] = waveform_fit(shown["observed"], ds)
    return shown, fits


def busiest(waveforms: Waveforms, count: int) -> list[str]:
    """The events with most channels, records before lone simulations, in the order of the axis."""
    channels: dict[str, int] = {}
    observed = waveforms.get("observed")
    for ds in observed or [ds for many in waveforms.values() for ds in many]:
        recorded = ds["data_start"].notnull().sum(["station", "component"])
        for label, number in zip(ds["event"].values.tolist(), recorded.values, strict=True):
            channels[label] = channels.get(label, 0) + int(number)
    most = set(sorted(channels, key=lambda label: -channels[label])[:count])
    return [label for label in channels if label in most]


def of_events(waveforms: Waveforms, events: Sequence[str]) -> dict[str, list[xr.Dataset]]:
    """Of every Dataset those events that it has."""
    chosen = {
        path: [ds.isel(event=ds["event"].isin(list(events)).values) for ds in many]
        for path, many in waveforms.items()
    }
    return {path: [ds for ds in many if ds.sizes["event"]] for path, many in chosen.items()}


def nearest(waveforms: Waveforms, count: int) -> list[str]:
    """Labels of the stations nearest to their epicentres, records before lone simulations."""
    distance: dict[str, float] = {}
    for path, many in waveforms.items():
        for ds in many:
            recorded = ds["data_start"].notnull().any("component")
            nearest_of = ds["epicentral_distance"].where(recorded).min("event")
            for label, value in zip(ds["station"].values.tolist(), nearest_of.values, strict=True):
                if np.isfinite(value) and (path == "observed" or label not in distance):
                    distance[label] = min(float(value), distance.get(label, np.inf))
    return sorted(distance, key=lambda label: (distance[label], label))[:count]


def _span(waveforms: Waveforms) -> tuple[float, float]:
    axes = [time_index(ds).transform for many in waveforms.values() for ds in many]
    start = min(float(axis.offset) for axis in axes)
    return start, max(float(a.offset + a.samples * a.interval) for a in axes)


def _merged(parts: list[xr.Dataset], stations: Sequence[str] | None = None) -> xr.Dataset:
    """Datasets on the same time axis as one, on the union of their stations."""
    labels = stations or sorted({s for ds in parts for s in ds["station"].values.tolist()})
    grown = [reindexed(ds, station=list(labels)) for ds in parts]
    result = grown[0]
    for other in grown[1:]:
        for name in result.data_vars:
            bare = other[name].drop_vars(list(other[name].coords))
            result[name] = result[name].fillna(bare).assign_attrs(result[name].attrs)
        for name in ("latitude", "longitude", "epicentral_distance"):
            result[name] = result[name].fillna(other[name].drop_vars(list(other[name].coords)))
    return result
