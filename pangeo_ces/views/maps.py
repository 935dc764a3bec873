"""Maps of ground motion at stations: one panel, and the rapid assessment as one figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from pangeo_ces.errors import ParameterError
from pangeo_ces.views import contents, panels
from pangeo_ces.views.coastlines import Extent
from pangeo_ces.views.geography import map_aspect, map_extent, unwrap
from pangeo_ces.views.units import DisplayUnit, display_unit


def plot_map(
    values: xr.DataArray,
    *,
    units: str | None = None,
    component: str | None = None,
    ax: Axes | None = None,
    limits: tuple[float, float] | None = None,
    title: str | None = None,
    diverging: bool | None = None,
) -> Axes:
    """Map of one measure of one event: stations coloured by value.

    Parameters
    ----------
    values : xarray.DataArray
        (station), (station, component) or with an event dimension of size 1; SI values with
        ``attrs["units"]`` and coordinates latitude, longitude; stations of NaN are hollow.
    units : str, optional
        Unit to show: %g, cm/s, mm/s, µm/s, cm, …; by default from the size of the values.
    component : str, optional
        By default ``larger`` if there is one, else the only one.
    ax : matplotlib.axes.Axes, optional
        Draw here; by default on a new figure without a window.
    limits : tuple of float, optional
        Limits of the colours, in the SI units of `values`.
    title : str, optional
        By default the measure, the component and the event.
    diverging : bool, optional
        Colours centred at zero; by default for ratios, differences and negative values.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> ax = plot_map(tree["observed"]["pgv"].isel(event=0))  # doctest: +SKIP
    """
    panel = contents.one_component(contents.one_event(values), component)
    shown = display_unit(str(panel.attrs.get("units", "1")), panel.values, label=units)
    centred = _is_difference(panel) if diverging is None else diverging
    extent = _extent(panel)
    if ax is None:
        width = 5.0
        height = width * map_aspect(extent) * (extent[3] - extent[1]) / (extent[2] - extent[0])
        figure = Figure(figsize=(width + 0.6, height + 1.2), layout="constrained")
        FigureCanvasAgg(figure)
        ax = figure.subplots()
    bounds = None if limits is None else (limits[0] * shown.factor, limits[1] * shown.factor)
    scale = panels.colour_scale(panel.values * shown.factor, diverging=centred, limits=bounds)
    drawn = _draw_panel(ax, panel, extent, scale, shown.factor)
    name = str(panel.attrs.get("long_name") or panel.name or "value")
    root = ax.get_figure(root=True)
    if isinstance(root, Figure):
        panels.draw_colour_bar(root, drawn, [ax], scale, _bar_label(name, shown))
    if title is None:
        spoken = (
            str(panel["component"].values).replace("_", " ") if "component" in panel.coords else ""
        )
        title = "\n".join(
            [", ".join(filter(None, (name, spoken))), ", ".join(_event(panel))]
        ).strip()
    ax.set_title(title, fontsize=9.5)
    return ax


def plot_rapid_assessment(
    tree: xr.DataTree,
    *,
    measures: Sequence[str] | None = None,
    component: str = "larger",
    model: str | None = None,
    event: str | int | None = None,
    comparison: str = "difference",
) -> Figure:
    """Observed, synthetic and difference maps: a row for each measure, or for each event.

    Parameters
    ----------
    tree : xarray.DataTree
        The rapid-assessment product: ``observed``, ``synthetic/<model>``, ``difference/<model>``.
    measures : sequence of str, optional
        ``pga``, ``pgv``, ``pgd``, ``psa`` (up to three periods) or ``psa_<period>s``.  By default
        all of them for one event, ``pgv`` for several.
    component : str, default "larger"
        Component or combination.
    model : str, optional
        Needed if there is more than one.
    event : str or int, optional
        Id or position; by default all events.
    comparison : {"difference", "relative_difference", "log_ratio"}
        The third column.

    Returns
    -------
    matplotlib.figure.Figure
        Observed and synthetic of a row share their colours.

    Examples
    --------
    >>> figure = plot_rapid_assessment(tree, measures=("pga", "pgv"))  # doctest: +SKIP
    """
    found = contents.sources(tree)
    first = next(iter(found.values()))
    if event is not None:
        index = contents.event_index(first, event)
        found = {path: ds.isel(event=[index]) for path, ds in found.items()}
        first = next(iter(found.values()))
    columns = _columns(found, model, comparison)
    events = first.sizes["event"]
    names = _measures(first, measures, events)
    rows = [(name, i) for name in names for i in range(events)]
    extent = _extent(first)
    ratio = map_aspect(extent) * (extent[3] - extent[1]) / (extent[2] - extent[0])
    # Observed alone would make one tall column: its panels fill a grid instead.
    alone = len(columns) == 1
    across = min(3, len(rows)) if alone else len(columns)
    down = -(-len(rows) // across) if alone else len(rows)
    side = 3.7 if alone and across == 1 else 2.9 if down <= 3 else 2.4
    width = side * across + (1.3 if across == 1 else 0.8)
    height = down * (side * ratio + 0.75) + 0.9
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(h_pad=0.04, w_pad=0.04)  # type: ignore[union-attr, call-arg]
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    lines_of_axes = grid.reshape(-1, len(columns))
    for unused in lines_of_axes[len(rows) :].ravel():
        unused.remove()
    units = _common_units(found, columns, names, component)
    for axes, (name, i) in zip(lines_of_axes, rows, strict=False):
        row = {path: _select(found[path], name, component).isel(event=i) for path in columns}
        title = contents.measure_title(name)
        _draw_row(figure, list(axes), row, extent, title, units)
        lines = contents.event_lines(first, i)
        label = title if events == 1 else f"{lines[0]}\n{' · '.join(lines[1:])}"
        if alone:
            axes[0].set_title(label, fontsize=9)
        else:
            axes[0].set_ylabel(label, fontsize=9, labelpad=6)
    if not alone:
        for ax, path in zip(grid[0], columns, strict=True):
            ax.set_title(contents.source_title(path), fontsize=10)
    spoken = component.replace("_", " ")
    head = (
        f"{contents.measure_title(names[0])} of {events} events"
        if events > 1
        else ", ".join(contents.event_lines(first))
    )
    damping = first.coords.get("damping")
    note = f"{contents.source_title(columns[0])}, " if alone else ""
    note += f"component: {spoken}"
    if damping is not None and any(name.startswith("psa") for name in names):
        note += f", PSA damping {100 * float(damping):g} %"
    figure.suptitle(f"{head}\n{note}   △ no value", fontsize=10.5)
    return figure


def _columns(found: dict[str, xr.Dataset], model: str | None, comparison: str) -> list[str]:
    if comparison not in contents.COMPARISONS:
        raise ParameterError(
            f"no comparison {comparison!r}; use one of {', '.join(contents.COMPARISONS)}"
        )
    known = contents.models(found)
    if model is None and len(known) > 1:
        raise ParameterError(f"several models; choose model= one of {', '.join(known)}")
    if model is not None and model not in known:
        raise ParameterError(f"no model {model!r}; use one of {', '.join(known) or 'none: None'}")
    name = model or (known[0] if known else "")
    wanted = ("observed", f"synthetic/{name}", f"{comparison}/{name}")
    return [path for path in wanted if path in found]


def _measures(ds: xr.Dataset, measures: Sequence[str] | None, events: int) -> list[str]:
    known = contents.measure_names(ds)
    spectral = [name for name in known if name.startswith("psa_")]
    if len(spectral) > 3:
        spectral = [spectral[i] for i in (0, len(spectral) // 2, -1)]
    if measures is None:
        plain = [name for name in known if not name.startswith("psa_")]
        return plain + spectral if events == 1 else ["pgv" if "pgv" in known else known[0]]
    asked = [measures] if isinstance(measures, str) else list(measures)
    names = [each for name in asked for each in (spectral if name == "psa" else [name])]
    for name in names:
        contents.measure(ds, name)
    if not names:
        raise ParameterError(f"no measure asked for; use one of {', '.join(known)}")
    if events > 1 and len(names) > 1:
        raise ParameterError(
            f"{events} events and {len(names)} measures; choose event=, or one measure"
        )
    return names


def _select(ds: xr.Dataset, name: str, component: str) -> xr.DataArray:
    return contents.one_component(contents.measure(ds, name), component)


def _common_units(
    found: dict[str, xr.Dataset], columns: list[str], names: list[str], component: str
) -> dict[str, DisplayUnit]:
    """One display unit for each SI unit, so that the rows of a figure can be compared."""
    values: dict[str, list[np.ndarray]] = {}
    for path in columns:
        for name in names:
            panel = _select(found[path], name, component)
            values.setdefault(str(panel.attrs.get("units", "1")), []).append(panel.values.ravel())
    return {units: display_unit(units, np.concatenate(each)) for units, each in values.items()}


def _draw_row(
    figure: Figure,
    axes: list[Axes],
    row: dict[str, xr.DataArray],
    extent: Extent,
    name: str,
    units: dict[str, DisplayUnit],
) -> None:
    """Panels of one row; observed and synthetic share colours, the comparison has its own."""
    levels = {path: v for path, v in row.items() if path.split("/")[0] in ("observed", "synthetic")}
    compared = {path: v for path, v in row.items() if path not in levels}
    for group in filter(None, (levels, compared)):
        shown = units[str(next(iter(group.values())).attrs.get("units", "1"))]
        values = np.concatenate([v.values for v in group.values()]) * shown.factor
        scale = panels.colour_scale(values, diverging=group is compared)
        chosen = [ax for ax, path in zip(axes, row, strict=True) if path in group]
        for ax, panel in zip(chosen, group.values(), strict=True):
            drawn = _draw_panel(ax, panel, extent, scale, shown.factor)
        kind = next(iter(group)).split("/")[0].replace("_", " ")
        label = name if group is levels else f"{name} {kind}"
        panels.draw_colour_bar(figure, drawn, chosen, scale, _bar_label(label, shown))
    for ax in axes:
        ax.label_outer(remove_inner_ticks=True)


def _draw_panel(
    ax: Axes, panel: xr.DataArray, extent: Extent, scale: panels.ColourScale, factor: float
) -> PathCollection:
    places = np.column_stack(
        [unwrap(panel["longitude"].values, extent[0]), panel["latitude"].values.astype(float)]
    )
    placed = np.isfinite(places).all(axis=1)
    places, values = places[placed], panel.values[placed].astype(float) * factor
    marks = places
    if "event_longitude" in panel.coords:
        star = np.array([[unwrap(panel["event_longitude"], extent[0]), panel["event_latitude"]]])
        marks = np.concatenate([places, star.astype(float)])
    panels.draw_base(ax, extent, bar_away_from=marks)
    drawn = panels.draw_stations(ax, places, values, scale)
    for longitude, latitude in marks[len(places) :]:
        panels.draw_event(ax, longitude, latitude)
    if len(places) <= panels.MOST_LABELS:
        labels = contents.short_labels([str(name) for name in panel["station"].values[placed]])
        panels.draw_labels(ax, places, labels, marks[len(places) :])
    return drawn


def _is_difference(values: xr.DataArray) -> bool:
    text = f"{values.name} {values.attrs.get('long_name', '')}".lower()
    dimensionless = values.attrs.get("units", "1") == "1"
    return dimensionless or "difference" in text or bool((values < 0).any())


def _extent(values: xr.DataArray | xr.Dataset) -> Extent:
    names = [("longitude", "latitude"), ("event_longitude", "event_latitude")]
    present = [pair for pair in names if pair[0] in values.coords]
    if names[0] not in present:
        raise ParameterError("stations without places; give coordinates latitude and longitude")
    lons = np.concatenate([np.ravel(values[lon].values) for lon, _ in present])
    lats = np.concatenate([np.ravel(values[lat].values) for _, lat in present])
    return map_extent(lons, lats)


def _event(values: xr.DataArray) -> list[str]:
    return contents.event_lines(values) if "event" in values.coords else []


def _bar_label(name: str, shown: DisplayUnit) -> str:
    return f"{name} ({shown.label})" if shown.label else name
