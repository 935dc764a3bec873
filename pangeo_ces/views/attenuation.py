"""Measured peaks against distance beside a published model, their residuals, response spectra."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from pangeo_ces.errors import ParameterError
from pangeo_ces.products.ground_motion_models import MODELS, ground_motion_residuals, predict
from pangeo_ces.views import contents
from pangeo_ces.views.units import display_unit

_POINTS = 60
_MEASURES = ("pga", "pgv", "psa")


def plot_attenuation(
    product: xr.Dataset,
    *,
    event: str | int = 0,
    measures: Sequence[str] | None = None,
    model: str = "BSSA14",
    v_s30: float = 760.0,
    mechanism: str = "U",
) -> Figure:
    """Peaks against epicentral distance, a published model with one and two standard deviations,
    and below it the residuals.

    Parameters
    ----------
    product : xarray.Dataset
        A product of `peak_motion` with magnitude, event_depth and epicentral_distance.
    event : str or int, default 0
        Id or position.
    measures : sequence of str, optional
        ``pga``, ``pgv``, ``psa_<period>s``; by default all there are, at most four.
    model, v_s30, mechanism
        As in :func:`~pangeo_ces.products.ground_motion_models.ground_motion_residuals`.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> figure = plot_attenuation(tree["observed"].to_dataset())  # doctest: +SKIP
    """
    if model not in MODELS:
        raise ParameterError(f"no ground-motion model {model!r}: use one of {', '.join(MODELS)}")
    index = contents.event_index(product, event)
    one = product.isel(event=[index])
    known = [n for n in contents.measure_names(one) if n.partition("_")[0] in _MEASURES]
    chosen = list(measures or known[:4])
    if unknown := [name for name in chosen if name not in known]:
        raise ParameterError(
            f"no measure {', '.join(unknown)} here: use one of {', '.join(known) or 'none'}"
        )
    compared = ground_motion_residuals(one, model=model, v_s30=v_s30, mechanism=mechanism)
    km = one["epicentral_distance"].values[0] / 1e3
    figure = Figure(figsize=(4.2 * len(chosen), 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(chosen), squeeze=False, sharex=True, height_ratios=(2.2, 1))
    lines = contents.event_lines(one, 0)
    figure.suptitle(" · ".join([*lines, f"{model}, vs30 {v_s30:g} m/s"]), fontsize=10)
    component = str(compared["component"].values).replace("_", " ")
    for (above, below), name in zip(axes.T, chosen, strict=True):
        _peaks_and_model(above, one, compared, name, km, (model, v_s30, mechanism))
        _residuals(below, compared, name, km)
        above.set_title(f"{contents.measure_title(name)}, {component}", fontsize=10)
        below.set_xlabel("epicentral distance (km)")
        _plain_ticks(below.xaxis, (1, 2, 5))
    axes[0, 0].legend(fontsize=8)
    axes[1, 0].set_ylabel("ln(measured / model)")
    return figure


def plot_response_spectra(
    product: xr.Dataset,
    *,
    event: str | int = 0,
    stations: Sequence[str] | None = None,
    components: Sequence[str] | None = None,
) -> Figure:
    """Response spectra of some stations, a panel for each component.

    Parameters
    ----------
    product : xarray.Dataset
        A product of `peak_motion` with two or more periods.
    event : str or int, default 0
        Id or position.
    stations : sequence of str, optional
        Labels; by default the five with the largest values.
    components : sequence of str, optional
        By default all there are, at most four.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> figure = plot_response_spectra(product, components=["rotd50"])  # doctest: +SKIP
    """
    name = next((n for n in ("psa", "sa", "psv", "sv", "sd") if n in product), "")
    if not name or product.sizes.get("period", 0) < 2:
        raise ParameterError("no spectrum here: compute peak_motion with two or more periods")
    if "damping" in product.dims:
        raise ParameterError("several dampings: choose one with .sel(damping=…)")
    index = contents.event_index(product, event)
    values = product[name].isel(event=index).transpose("component", "station", "period")
    shown = [str(c) for c in components or values["component"].values[:4]]
    values = values.sel(component=shown)
    if stations is None:
        largest = values.max(["component", "period"]).fillna(0)
        order = np.argsort(-largest.values, kind="stable")[:5]
        stations = [str(values["station"].values[i]) for i in order if largest.values[i] > 0]
    values = values.sel(station=list(stations))
    unit = display_unit(str(product[name].attrs.get("units", "")), values.values)
    figure = Figure(figsize=(4 * len(shown), 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(shown), squeeze=False, sharex=True, sharey=True)[0]
    labels = contents.short_labels(list(stations))
    for ax, component in zip(axes, shown, strict=True):
        for station, label in zip(stations, labels, strict=True):
            row = values.sel(component=component, station=station)
            ax.loglog(row["period"], row * unit.factor, ".-", label=label, linewidth=1.2)
        ax.set_title(component.replace("_", " "), fontsize=10)
        ax.set_xlabel("period (s)")
        for axis in (ax.xaxis, ax.yaxis):
            _plain_ticks(axis, (1, 1.5, 2, 3, 5) if _decades(values) < 2 else (1, 2, 5))
        ax.grid(True, which="both", alpha=0.25)
    damping = f", {100 * float(product['damping']):g} % damping" if "damping" in product else ""
    axes[0].set_ylabel(f"{name.upper()} ({unit.label}){damping}")
    axes[0].legend(fontsize=8)
    figure.suptitle(" · ".join(contents.event_lines(product, index)), fontsize=10)
    return figure


def _plain_ticks(axis: Axis, subs: tuple[float, ...]) -> None:
    """Ticks of a logarithmic axis as plain numbers."""
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _decades(values: xr.DataArray) -> float:
    positive = values.where(values > 0)
    return float(np.log10(positive.max() / positive.min()))


def _peaks_and_model(
    ax: Axes, product: xr.Dataset, compared: xr.Dataset, name: str, km: np.ndarray,
    scenario: tuple[str, float, str],
) -> None:  # fmt: skip
    measured = contents.measure(product, name).sel(component=str(compared["component"].values))
    values = measured.values.reshape(-1)
    unit = display_unit(str(measured.attrs.get("units", "")), values)
    period = [float(name[4:-1])] if name.startswith("psa_") else []
    near = np.nanmin(np.where(km > 0, km, np.nan))
    distances = np.geomspace(max(0.7 * near, 1.0), 1.3 * max(np.nanmax(km), 2.0), _POINTS)
    model, v_s30, mechanism = scenario
    magnitude, depth = float(product["magnitude"][0]), float(product["event_depth"][0]) / 1e3
    median, sigma = predict(
        model, np.array(magnitude), distances, np.array(depth), period, v_s30, mechanism
    )
    column = 2 if period else ("pga", "pgv").index(name)
    curve, spread = median[:, column] * unit.factor, sigma[:, column]
    for count, alpha in ((2, 0.12), (1, 0.2)):
        low, high = curve * np.exp(-count * spread), curve * np.exp(count * spread)
        ax.fill_between(distances, low, high, color="#3467a8", alpha=alpha, linewidth=0)
    ax.plot(distances, curve, color="#3467a8", label=f"{model} ± 1, 2 σ")
    ax.plot(km, values * unit.factor, "o", color="#b3372f", markersize=4, label="measured")
    ax.set(xscale="log", yscale="log", ylabel=f"{name.partition('_')[0].upper()} ({unit.label})")
    ax.grid(True, which="both", alpha=0.25)


def _residuals(ax: Axes, compared: xr.Dataset, name: str, km: np.ndarray) -> None:
    kind, _, period = name.partition("_")
    values, sigma = compared[f"{kind}_residual"], compared[f"{kind}_sigma"]
    if period:
        place = [f"{t:g}s" for t in compared["period"].values].index(period)
        values, sigma = values.isel(period=place), sigma.isel(period=place)
    found, spread = (
        values.values.reshape(-1),
        float(np.nanmean(sigma)) if sigma.notnull().any() else 0,
    )
    ax.axhspan(-spread, spread, color="#3467a8", alpha=0.2, linewidth=0)
    ax.axhline(0, color="#3467a8", linewidth=1)
    ax.plot(km, found, "o", color="#b3372f", markersize=4)
    if np.isfinite(found).any():
        mean = f"mean {np.nanmean(found):+.2f}"
        ax.text(0.98, 0.95, mean, transform=ax.transAxes, fontsize=8, ha="right", va="top")
    ax.grid(True, alpha=0.25)
