"""Selected time windows of one pair: traces, windows with their measurements, STA/LTA."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pangeo_ces.products.windows.stalta import envelope
from pangeo_ces.views import _pair
from pangeo_ces.views.traces import MODEL_COLOURS, OBSERVED_COLOUR
from pangeo_ces.views.units import display_unit

#: Neighbouring windows in turn.
_SHADES = ("#56B4E9", "#009E73")
_REJECTED = "#CC79A7"


def plot_windows(
    observed: xr.Dataset,
    synthetic: xr.Dataset,
    windows: xr.Dataset,
    *,
    station: str,
    component: str,
    event: str | int = 0,
) -> Figure:
    """The windows of one pair on both traces, with correlation, time shift and amplitude ratio.

    Parameters
    ----------
    observed, synthetic : xarray.Dataset
        Ground motion on the same axes.
    windows : xarray.Dataset
        Of :func:`~pangeo_ces.select_windows`, with the same stations.
    station, component : str
        Labels of the pair.
    event : str or int, default 0
        Id or position.

    Returns
    -------
    matplotlib.figure.Figure
        Traces with the windows; envelopes below, and the distinct candidates that were rejected
        as thin lines, by reason.

    Examples
    --------
    >>> figure = plot_windows(
    ...     observed, synthetic, windows, station="GR.BFO..HH", component="Z"
    ... )  # doctest: +SKIP
    """
    one, two, labels = _pair.select_pair(observed, synthetic, event, station, component)
    here = windows.sel(labels).compute()
    seconds = one["time"].values
    traces = [_pair.samples(ds) for ds in (one, two)]
    units = str(one[next(iter(one.data_vars))].attrs.get("units", ""))
    shown = display_unit(units, np.concatenate(traces), trace=True)
    figure = Figure(figsize=(10.0, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.6, 1))
    for trace, colour, label in zip(
        traces, (OBSERVED_COLOUR, MODEL_COLOURS[0]), ("observed", "synthetic"), strict=True
    ):
        above.plot(seconds, trace * shown.factor, color=colour, linewidth=0.9, label=label)
        below.plot(seconds, _envelope(trace) * shown.factor, color=colour, linewidth=0.9)
    found = [
        {name: float(here[name].values[k]) for name in
         ("window_start", "window_end", "cc", "shift", "dlna")}
        for k in np.flatnonzero(np.isfinite(here["window_start"].values))
    ]  # fmt: skip
    low, high = above.get_ylim()
    above.set_ylim(low, high + 0.28 * (high - low))
    for number, window in enumerate(found):
        shade = _SHADES[number % 2]
        for ax in (above, below):
            ax.axvspan(window["window_start"], window["window_end"], color=shade, alpha=0.22,
                       linewidth=0)  # fmt: skip
        above.text(
            window["window_start"], 0.985,
            f" cc {window['cc']:.2f}\n {window['shift']:+.1f} s\n dlnA {window['dlna']:+.2f}",
            transform=above.get_xaxis_transform(), fontsize=7.5, va="top", clip_on=True,
        )  # fmt: skip
    above.set_ylabel(shown.label)
    above.legend(fontsize=8, frameon=False, ncols=2, loc="lower right")
    below.set_ylabel(f"envelope, {shown.label}" if shown.label else "envelope")
    below.set_xlabel("time since origin (s)")
    _rejected(below, here)
    finite = np.isfinite(traces[0]) & np.isfinite(traces[1])
    if finite.any():
        below.set_xlim(*seconds[np.flatnonzero(finite)[[0, -1]]])
    note = f"{len(found) or 'no'} window{'s' if len(found) > 1 else ''}"
    figure.suptitle(f"{_pair.pair_title(one, labels)}    {note}", fontsize=10.5, x=0.02, ha="left")
    return figure


def _rejected(ax, here: xr.Dataset) -> None:
    """Rejected candidates under the envelopes, and how many there were of each reason."""
    if "candidate_start" not in here:
        return
    starts, ends = here["candidate_start"].values, here["candidate_end"].values
    reasons = here["candidate_reason"].values
    meanings = str(here["candidate_reason"].attrs.get("flag_meanings", "")).split()
    low, high = ax.get_ylim()
    shown = np.flatnonzero(np.isfinite(starts) & (reasons > 0))[:60]
    for line, k in enumerate(shown):
        height = -0.06 - 0.012 * (line % 30)
        ax.plot([starts[k], ends[k]], [height * (high - low)] * 2, color=_REJECTED, linewidth=0.6)
    if shown.size:
        ax.set_ylim(low - 0.44 * (high - low), high)
        counts = [
            (meanings[int(r)] if int(r) < len(meanings) else str(r), int((reasons == r).sum()))
            for r in np.unique(reasons[shown])
        ]
        text = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts)
        ax.text(0.01, 0.02, f"rejected: {text}", transform=ax.transAxes, fontsize=7.5,
                color=_REJECTED)  # fmt: skip


def _envelope(trace: np.ndarray) -> np.ndarray:
    """Of the finite samples, which are one run."""
    result = np.full(trace.shape, np.nan)
    there = np.isfinite(trace)
    if there.any():
        result[there] = envelope(trace[there].astype(np.float64))
    return result
