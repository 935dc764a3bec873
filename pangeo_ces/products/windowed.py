"""Waveforms within chosen windows, so that any misfit can be measured on those alone."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..blocks import map_blocks
from ..conventions import QUANTITIES, quantity_of
from ..errors import AxisError, ParameterError
from ..process._runs import records
from ..process._waveform import replace
from ..process.condition import _taper
from ..registry import WINDOW_EDGES, operator
from ..timeaxis import sampling_interval, time_index
from ._pairs import bare, same_axes


@operator()
def window_waveforms(
    ds: xr.Dataset, windows: xr.Dataset, *, max_percentage: float = 0.05
) -> xr.Dataset:
    """Keep what lies in windows: each tapered at both ends, zero elsewhere, all added up.

    With the windows of a selection this makes of any measure on pairs one on the windows, such as
    :func:`time_frequency_misfit` of both sides windowed alike.

    Parameters
    ----------
    ds
        Waveforms relative to an origin time, any quantity.
    windows
        ``window_start`` and ``window_end`` (s after the origin time; first and last sample, both
        of them in) over ``(event, station, component, window)``, NaN where there is no further
        window.
    max_percentage
        Length of the Hann taper at each end, as a fraction of the window (0 to 0.5), as ObsPy's
        ``Trace.taper`` counts it.

    Returns
    -------
    xr.Dataset
        Like ``ds``.  Samples that are missing stay so; a channel without a window is zero.  A
        window counts as far as the axis reaches, and is tapered there.

    Raises
    ------
    ParameterError
        For a fraction out of range.
    AxisError
        For waveforms in UTC.
    SchemaError
        When ``windows`` holds none, or has other events, stations or components.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows(samples=1001, lazy=False)
    >>> shape = ("event", "station", "component", "window")
    >>> windows = xr.Dataset({"window_start": (shape, np.full((2, 3, 3, 1), 0.0)),
    ...                       "window_end": (shape, np.full((2, 3, 3, 1), 2.0))})
    >>> windows = windows.assign_coords({dim: ds[dim] for dim in shape[:3]})
    >>> cut = window_waveforms(ds, windows)["counts"]
    >>> float(abs(cut.sel(time=2.5)).max()), bool((cut == ds.counts).sel(time=0.5).all())
    (0.0, True)
    """
    if not 0 <= max_percentage <= 0.5:
        raise ParameterError(f"max_percentage {max_percentage}: give a fraction from 0 to 0.5")
    name = quantity_of(ds, QUANTITIES)
    if np.issubdtype(ds["time"].dtype, np.datetime64):
        raise AxisError("time is UTC here: cut windows of events first, with ces.event_windows")
    same_axes(ds, windows, ("event", "station", "component"))
    data = ds[name].transpose(..., "time")
    edges = [bare(windows[edge]).transpose(..., "window") for edge in WINDOW_EDGES]
    cut = map_blocks(
        _cut,
        data,
        *edges,
        dims=tuple(map(str, data.dims)),
        dtype=data.dtype,
        start=float(time_index(ds).transform.offset),
        dt=float(sampling_interval(ds)),
        fraction=float(max_percentage),
    )
    return replace(ds, name, name, cut)


def _cut(block, first, last, start, dt, fraction):
    """Windows ``(…, window)`` in seconds of waveforms ``(…, time)``."""
    rows = records(block)
    result = np.where(np.isfinite(rows), 0, rows).astype(block.dtype)
    edges = (np.stack([records(first), records(last)], axis=-1) - start) / dt
    for row, windows in enumerate(edges):
        for begin, end in np.rint(windows[np.isfinite(windows).all(axis=-1)]):
            inside = slice(max(int(begin), 0), max(int(end) + 1, 0))
            piece = rows[row : row + 1, inside]
            if piece.size:
                result[row, inside] += _taper(piece, fraction, ("hann", {}), None, "both")[0]
    return result.reshape(block.shape)
