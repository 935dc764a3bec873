"""Min/max envelopes of waveforms, packed into a few bytes for a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from pangeo_ces.errors import ParameterError
from pangeo_ces.views.traces import colours, legend_title

MOST_BYTES = 3_000_000


def pack_envelopes(
    waveforms: Mapping[str, xr.Dataset], events: list[str], stations: list[str]
) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """Envelopes as int8 shares of the peak of each trace; those without samples take no room.

    Parameters
    ----------
    waveforms : mapping of str to xarray.Dataset
        ``observed`` and ``synthetic/<model>``, each with ``minimum`` and ``maximum``
        (event, station, component, time) in SI and ``attrs["units"]``; time in s since origin.
    events, stations : list of str
        Order of the page.

    Returns
    -------
    about : list of dict
        For each source: title, colour, units, components, time, and peak of each trace.
    arrays : list of numpy.ndarray
        For each source: row of the trace of each event, station and component (int32, -1 for
        none), and its samples (trace, time, minimum and maximum; int8).
    """
    about: list[dict[str, Any]] = []
    arrays: list[np.ndarray] = []
    paths = sorted(waveforms, key=lambda name: (name != "observed", name))
    colour = colours(dict.fromkeys(paths))
    for path in paths:
        ds = waveforms[path]
        if not {"minimum", "maximum"} <= set(ds.data_vars):
            raise ParameterError(
                f"{path!r} holds {sorted(map(str, ds.data_vars))}; give the min/max envelopes: "
                "variables minimum and maximum (event, station, component, time)"
            )
        ds = ds.transpose("event", "station", "component", "time")
        ds = ds.sel(event=ds["event"].isin(events), station=ds["station"].isin(stations))
        pairs = np.stack([ds["minimum"].values, ds["maximum"].values], axis=-1).astype(np.float32)
        time = ds["time"].values.astype(float)
        present = np.isfinite(pairs).any(axis=(-1, -2))
        pairs, time = _coarsened(pairs[present], time, MOST_BYTES // len(paths))
        peaks = np.abs(np.nan_to_num(pairs)).max(axis=(1, 2), initial=0)
        shares = pairs / np.where(peaks > 0, peaks, 1)[:, None, None]
        found = np.full(present.shape, -1, np.int32)
        found[present] = np.arange(len(pairs))
        rows = np.full((len(events), len(stations), present.shape[2]), -1, np.int32)
        rows[np.ix_(*(_positions(ds, dim, names) for dim, names in
                      (("event", events), ("station", stations))))] = found  # fmt: skip
        # -128 is the gap: no sample in this bin.
        samples = np.where(np.isfinite(shares), np.rint(shares * 127), -128).astype(np.int8)
        arrays += [rows.ravel(), samples.ravel()]
        about.append(
            {
                "title": legend_title(path, len(paths)),
                "colour": colour[path],
                "units": str(ds.attrs.get("units") or ds["minimum"].attrs.get("units", "")),
                "components": [str(name) for name in ds["component"].values],
                "time": [float(f"{value:.6g}") for value in time],
                "peaks": [float(f"{value:.4g}") for value in peaks],
            }
        )
    return about, arrays


def _positions(ds: xr.Dataset, dim: str, names: list[str]) -> list[int]:
    place = {name: number for number, name in enumerate(names)}
    return [place[label] for label in ds[dim].values.tolist()]


def _coarsened(pairs: np.ndarray, time: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Join neighbouring bins until the traces fit into `most` bytes; extremes are kept."""
    join = int(np.ceil(pairs[..., 0].size * 2 / most))
    bins = time.size // join if join > 1 else time.size
    if join <= 1 or bins < 2:
        return pairs, time
    blocks = pairs[:, : bins * join].reshape(len(pairs), bins, join, 2)
    joined = np.stack(
        [np.fmin.reduce(blocks[..., 0], axis=2), np.fmax.reduce(blocks[..., 1], axis=2)], axis=-1
    )
    return joined, time[: bins * join].reshape(bins, join).mean(axis=1)
