"""The panel of time-frequency misfits: where in time and frequency two traces differ, and how."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pangeo_ces.errors import ParameterError
from pangeo_ces.products.time_frequency import time_frequency_misfit
from pangeo_ces.views import _pair
from pangeo_ces.views.traces import MODEL_COLOURS, OBSERVED_COLOUR
from pangeo_ces.views.units import display_unit

_OUTPUTS = ("em", "pm", "tem", "tpm", "fem", "fpm", "tfem", "tfpm", "status")
_COLOURS = "RdBu_r"
#: Columns of pixels that a picture has at most.
_WIDEST = 1200


def plot_time_frequency_misfit(
    observed: xr.Dataset,
    synthetic: xr.Dataset,
    *,
    station: str,
    component: str,
    fmin: float,
    fmax: float,
    event: str | int = 0,
    nf: int = 100,
    w0: float = 6.0,
    norm: str = "global",
    reference: str = "synthetic",
) -> Figure:
    """Envelope and phase misfit of one pair in time and frequency, with margins and traces.

    Parameters
    ----------
    observed, synthetic : xarray.Dataset
        Ground motion on the same axes.
    station, component : str
        Labels of the pair.
    fmin, fmax : float
        Band in Hz.
    event : str or int, default 0
        Id or position.
    nf, w0, norm, reference
        Of :func:`~pangeo_ces.time_frequency_misfit`.

    Returns
    -------
    matplotlib.figure.Figure
        Both traces; TFEM with TEM above and FEM at its left; TFPM with TPM and FPM likewise.

    Examples
    --------
    >>> figure = plot_time_frequency_misfit(
    ...     observed, synthetic, station="GR.BFO..HH", component="Z", fmin=0.03, fmax=0.1
    ... )  # doctest: +SKIP
    """
    one, two, labels = _pair.select_pair(observed, synthetic, event, station, component)
    found = time_frequency_misfit(
        one, two, fmin=fmin, fmax=fmax, nf=nf, w0=w0, norm=norm, reference=reference,
        outputs=_OUTPUTS[:-1],
    ).compute()  # fmt: skip
    values: dict[str, Any] = {
        name: np.squeeze(found[name].transpose(..., "time").values)
        if "time" in found[name].dims
        else np.squeeze(found[name].values)
        for name in _OUTPUTS
    }
    if values["status"] != 0:
        reason = found["status"].attrs["flag_meanings"].split()[int(values["status"])]
        raise ParameterError(
            f"{station} {component} cannot be measured ({reason}): choose another pair"
        )
    seconds = one["time"].values
    there = np.isfinite(values["tem"])
    seconds, values = seconds[there], {
        name: array[..., there] if np.ndim(array) and array.shape[-1] == there.size else array
        for name, array in values.items()
    }  # fmt: skip
    # Fixed margins: to find them out costs as much as the drawing.
    figure = Figure(figsize=(9.0, 7.6))
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        5, 3, width_ratios=(1.1, 6, 0.18), height_ratios=(1.5, 0.8, 2.6, 0.8, 2.6),
        left=0.09, right=0.91, top=0.9, bottom=0.08, hspace=0.16, wspace=0.1,
    )  # fmt: skip
    top = figure.add_subplot(grid[0, 1])
    units = str(one[next(iter(one.data_vars))].attrs.get("units", ""))
    traces = [_pair.samples(ds)[there] for ds in (one, two)]
    shown = display_unit(units, np.concatenate(traces), trace=True)
    colours = (OBSERVED_COLOUR, MODEL_COLOURS[0])
    for trace, colour, label in zip(traces, colours, ("observed", "synthetic"), strict=True):
        top.plot(seconds, trace * shown.factor, color=colour, linewidth=0.9, label=label)
    top.set_ylabel(shown.label)
    top.legend(fontsize=8, frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    top.set_xlim(seconds[0], seconds[-1])
    top.tick_params(labelbottom=False)
    for row, kind in ((1, "e"), (3, "p")):
        name = {"e": "envelope", "p": "phase"}[kind]
        _draw_plane(
            figure, grid, row, top, seconds, found["frequency"].values, name,
            values[f"tf{kind}m"], values[f"t{kind}m"], values[f"f{kind}m"],
            float(values[f"{kind}m"]),
        )  # fmt: skip
    figure.suptitle(_pair.pair_title(one, labels), fontsize=10.5, x=0.02, y=0.985, ha="left")
    return figure


def _draw_plane(
    figure: Figure,
    grid: Any,
    row: int,
    shared: Axes,
    seconds: np.ndarray,
    frequencies: np.ndarray,
    name: str,
    plane: np.ndarray,
    over_time: np.ndarray,
    over_frequency: np.ndarray,
    single: float,
) -> None:
    """One misfit: the plane, its margins and its colour bar."""
    above = figure.add_subplot(grid[row, 1], sharex=shared)
    ax = figure.add_subplot(grid[row + 1, 1], sharex=shared)
    left = figure.add_subplot(grid[row + 1, 0])
    numbers = np.arange(frequencies.size)
    # An even image: rows are even in the logarithm of the frequency, and so is the axis.
    step = max(plane.shape[1] // _WIDEST, 1)
    largest = float(np.abs(plane).max()) or 1.0
    image = ax.imshow(
        plane[:, ::step], origin="lower", aspect="auto", cmap=_COLOURS, vmin=-largest, vmax=largest,
        interpolation="nearest",
        extent=(seconds[0], seconds[-1], -0.5, frequencies.size - 0.5),
    )  # fmt: skip
    for margin, ends in ((over_time, above.set_ylim), (over_frequency, left.set_xlim)):
        reach = 1.1 * (float(np.abs(margin).max()) or 1.0)
        ends(-reach, reach)
    above.fill_between(seconds, over_time, color="0.6", linewidth=0)
    above.plot(seconds, over_time, color="0.2", linewidth=0.7)
    above.tick_params(labelbottom=False)
    letter = name[0].upper()
    above.set_ylabel(f"T{letter}M", fontsize=9)
    left.fill_betweenx(numbers, over_frequency, color="0.6", linewidth=0)
    left.plot(over_frequency, numbers, color="0.2", linewidth=0.7)
    left.set_ylim(-0.5, frequencies.size - 0.5)
    left.invert_xaxis()
    left.text(0.96, 0.97, f"F{letter}M", transform=left.transAxes, fontsize=9, ha="right", va="top")
    ticks = _ticks(frequencies)
    places = np.interp(np.log(ticks), np.log(frequencies), numbers)
    left.set_yticks(places, [f"{tick:g}" for tick in ticks])
    left.set_ylabel("frequency (Hz)")
    ax.set_yticks(places, [])
    ax.text(
        0.01, 0.97, f"TF{letter}M    {letter}M = {100 * single:.1f} %", transform=ax.transAxes,
        fontsize=9.5, va="top", bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0},
    )  # fmt: skip
    if row == 1:
        ax.tick_params(labelbottom=False)
    else:
        ax.set_xlabel("time since origin (s)")
    bar = figure.colorbar(image, cax=figure.add_subplot(grid[row + 1, 2]))
    bar.set_label(f"{name} misfit", fontsize=9)


def _ticks(frequencies: np.ndarray) -> np.ndarray:
    """Frequencies 1, 2 and 5 times a power of ten within the band, or more where it is narrow."""
    low, high = np.log10(frequencies[[0, -1]])
    decades = 10.0 ** np.arange(np.floor(low), np.ceil(high) + 1)
    for steps in ((1, 2, 5), (1, 2, 3, 4, 5, 6, 8)):
        ticks = np.ravel(np.outer(decades, steps))
        inside = ticks[(ticks >= frequencies[0] * 0.999) & (ticks <= frequencies[-1] * 1.001)]
        if inside.size > 2:
            return inside
    return np.array([float(f"{f:.2g}") for f in frequencies[[0, -1]]])
