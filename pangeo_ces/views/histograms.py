"""How a measure is distributed over the pairs."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pangeo_ces.errors import ParameterError
from pangeo_ces.views.units import display_unit, number

_COLOUR = "#0072B2"
#: Values of several powers of ten are shown on a logarithmic axis.
_WIDE = 300.0


def plot_misfit_histogram(values: xr.DataArray, *, bins: int = 30) -> Figure:
    """Histogram of one measure, a panel for each component.

    Parameters
    ----------
    values : xarray.DataArray
        With a dimension ``component``; NaN is left out and counted.
    bins : int, default 30
        Of each panel.

    Returns
    -------
    matplotlib.figure.Figure
        The median is drawn and printed; positive values that span more than 300 times are shown
        logarithmically.

    Examples
    --------
    >>> figure = plot_misfit_histogram(product["measures/specfem"]["em"])  # doctest: +SKIP
    """
    if "component" not in values.dims:
        raise ParameterError("values without components: give a measure over (…, component)")
    if bins < 1:
        raise ParameterError(f"{bins} bins: give 1 or more")
    components = [str(name) for name in values["component"].values]
    rows = values.transpose("component", ...).values.astype(float)
    rows = rows.reshape(len(components), -1)
    finite = rows[np.isfinite(rows)]
    shown = display_unit(str(values.attrs.get("units", "1")), finite)
    figure = Figure(figsize=(2.7 * len(components) + 0.6, 2.9), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(1, len(components), squeeze=False, sharey=True, sharex=True)[0]
    positive = finite.size > 0 and finite.min() > 0
    logarithmic = positive and finite.max() > _WIDE * finite.min()
    low, high = (
        (finite.min() * shown.factor, finite.max() * shown.factor) if finite.size else (0, 1)
    )
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.geomspace(low, high, bins + 1) if logarithmic else np.linspace(low, high, bins + 1)
    for ax, component, row in zip(grid, components, rows, strict=True):
        there = row[np.isfinite(row)] * shown.factor
        ax.hist(there, bins=edges, color=_COLOUR, alpha=0.75)
        text = f"{component}   {there.size} of {row.size}"
        if there.size:
            median = float(np.median(there))
            ax.axvline(median, color="black", linewidth=1)
            text += f"   median {number(median)}"
        ax.set_title(text, fontsize=9)
        if logarithmic:
            ax.set_xscale("log")
        ax.spines[["top", "right"]].set_visible(False)
    grid[0].set_ylabel("pairs")
    name = str(values.attrs.get("long_name") or values.name or "value")
    figure.supxlabel(f"{name} ({shown.label})" if shown.label else name, fontsize=9.5)
    return figure
