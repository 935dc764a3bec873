"""From an opened Dataset, as it is or processed, to traces of ObsPy."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import obspy
import xarray as xr
from obspy.core import AttribDict

from ..conventions import QUANTITIES, VARIABLES, split_label, validate
from ..lineage import steps
from ..sources.base import Site, Trace, nominal_rate
from ..timeaxis import NANO, time_index


def dataset_traces(ds: xr.Dataset) -> Iterator[obspy.Trace]:
    """A trace for every run of samples without NaN, block by block of the Dataset.

    Parameters
    ----------
    ds
        Waveforms ``(station, component, time)`` or ``(event, station, component, time)``.

    Yields
    ------
    obspy.Trace
        In the dtype and units of the Dataset; event windows at absolute times, ``time_offset``
        included.

    Raises
    ------
    UnitsError, SchemaError, AxisError
        When it is no waveform Dataset, or its time axis is not even.
    """
    found = [name for name in QUANTITIES if name in ds.data_vars]
    for name in found or [""]:
        validate(ds.drop_vars([other for other in found if other != name]))
    axis = time_index(ds).transform
    history = [_plain(step) for step in steps(ds)]
    for name in found:
        lead = [str(dim) for dim in ds[name].dims if dim not in ("component", "time")]
        for block in _blocks(ds[name], lead):
            slab = ds[name].isel(block).values
            for inside in np.ndindex(slab.shape[:-1]):
                at = {
                    dim: number + (block[dim].start if dim in block else 0)
                    for dim, number in zip(ds[name].dims, inside, strict=False)
                }
                for begin, end in _runs(slab[inside]):
                    start = axis.start + begin * axis.interval + _shift(ds, at)
                    trace = _header(ds, at, name, start, axis.interval)
                    trace.data = slab[inside][begin:end].copy()
                    trace.samples = end - begin
                    made = obspy_trace(trace)
                    _describe(made, ds, at)
                    if history:
                        made.stats.processing = list(history)
                    yield made


def obspy_trace(trace: Trace) -> obspy.Trace:
    """A trace as ObsPy has it; its start is kept to the nanosecond."""
    header: dict[str, Any] = {
        "network": trace.network,
        "station": trace.station,
        "location": trace.location,
        "channel": trace.channel,
        "starttime": obspy.UTCDateTime(ns=trace.start),
        "sampling_rate": nominal_rate(trace.interval),
        "coordinates": AttribDict(
            latitude=trace.site.latitude, longitude=trace.site.longitude,
            elevation=trace.site.elevation, local_depth=trace.site.depth,
        ),
        "ces": AttribDict(quantity=trace.quantity, units=VARIABLES[trace.quantity].units),
    }  # fmt: skip
    if trace.quality:
        header["mseed"] = AttribDict(dataquality=trace.quality)  # what ObsPy's writer asks for
    return obspy.Trace(trace.data, header)


def _blocks(array: xr.DataArray, dims: list[str]) -> Iterator[dict[str, slice]]:
    """Selections along some dimensions, so that no Dask chunk is computed twice."""
    spans = []
    for dim in dims:
        lengths = array.chunksizes.get(dim, (array.sizes[dim],))
        ends = list(itertools.accumulate(lengths))
        spans.append([slice(end - length, end) for end, length in zip(ends, lengths, strict=True)])
    for chosen in itertools.product(*spans):
        yield dict(zip(dims, chosen, strict=True))


def _runs(values: np.ndarray) -> np.ndarray:
    """Begin and end of every run of samples that are not NaN."""
    edges = np.diff(np.concatenate([[False], ~np.isnan(values), [False]]).astype("int8"))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)], axis=1)


def _value(ds: xr.Dataset, name: str, at: dict[Any, int]) -> Any:
    """A coordinate at a place, or NaN where the Dataset has none."""
    if name not in ds.variables:
        return np.nan
    return ds[name].isel({dim: n for dim, n in at.items() if dim in ds[name].dims}).values[()]


def _shift(ds: xr.Dataset, at: dict[Any, int]) -> Fraction:
    """Seconds to add to a label: the event's origin, and what samples are off the grid."""
    offset = float(_value(ds, "time_offset", at))
    shift = Fraction(0 if np.isnan(offset) else offset)
    if "event" in ds.dims:
        origin = np.datetime64(_value(ds, "origin_time", at), "ns").astype("int64")
        shift += Fraction(int(origin), NANO)
    return shift


def _header(
    ds: xr.Dataset, at: dict[Any, int], quantity: str, start: Fraction, interval: Fraction
) -> Trace:
    network, station, location, instrument = split_label(str(_value(ds, "station", at)))
    component = str(_value(ds, "component", at))
    latitude, longitude, elevation, depth, azimuth, dip = (
        float(_value(ds, name, at))
        for name in ("latitude", "longitude", "elevation", "depth", "azimuth", "dip")
    )
    site = Site(latitude, longitude, elevation, depth, azimuth, dip)
    code = instrument + component
    return Trace(network, station, location, code, round(start * NANO), interval, 0, None,
                 quantity, "", site)  # fmt: skip


def _describe(made: obspy.Trace, ds: xr.Dataset, at: dict[Any, int]) -> None:
    """What ObsPy's own functions look for (``distance`` in m, ``back_azimuth``), and the event."""
    if "event" not in ds.dims:
        return
    made.stats.ces.event = str(_value(ds, "event", at))
    for ours, theirs in (("epicentral_distance", "distance"), ("back_azimuth", "back_azimuth")):
        value = float(_value(ds, ours, at))
        if not np.isnan(value):
            made.stats[theirs] = value


def _plain(step: dict[str, Any]) -> str:
    """A step of the lineage as ObsPy writes one: ``ces: bandpass(freqmax=1.0::freqmin=0.1)``."""
    given = sorted(step["parameters"].items())
    parameters = (f"{key}={value}" for key, value in given if value is not None)
    return f"ces: {step['operator']}({'::'.join(parameters)})"
