"""Record sections, and observed on synthetic waveforms panel by panel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pangeo_ces.errors import ParameterError
from pangeo_ces.views import contents, traces
from pangeo_ces.views.traces import Waveforms

_MOST_LABELS = 40
_WINDOW_COLOUR = "#56B4E9"


def plot_section(
    waveforms: Waveforms,
    *,
    event: str | int = 0,
    component: str | None = None,
    time_range: tuple[float, float] | None = None,
    max_stations: int = 300,
    windows: xr.Dataset | None = None,
) -> Figure:
    """Record section of one event: time since origin against epicentral distance.

    Parameters
    ----------
    waveforms : mapping of str to xarray.Dataset
        ``observed`` and ``synthetic/<model>``, each with velocity, acceleration or displacement
        (event, station, component, time) in SI, time in s since origin, and a coordinate
        epicentral_distance (event, station) in m.
    event : str or int, default 0
        Id or position.
    component : str, optional
        By default ``Z`` if there is one, else the only one.
    time_range : tuple of float, optional
        First and last second shown.
    max_stations : int, default 300
        The nearest ones are drawn.
    windows : xarray.Dataset, optional
        Of :func:`~pangeo_ces.select_windows`, drawn as bars behind the traces.

    Returns
    -------
    matplotlib.figure.Figure
        Each station is normalised by its largest sample, which is printed.

    Examples
    --------
    >>> figure = plot_section(waveforms, component="Z")  # doctest: +SKIP
    """
    arrays = traces.trace_variables(waveforms)
    first = next(iter(arrays.values()))
    index = contents.event_index(waveforms[next(iter(arrays))], event)
    name = first["event"].values[index]
    component = _component(arrays, component)
    _checked_count(max_stations)
    stations, _ = traces.stations_by_distance(arrays, name, max_stations)
    found = {label: traces.pick(arrays, name, label, component) for label in stations}
    found = {label: each for label, each in found.items() if each}
    if not found:
        raise ParameterError(f"no {component} trace of event {name}; choose another event=")
    km = traces.distances(arrays).sel(event=name, station=list(found)).values / 1e3
    total = traces.distances(arrays).sizes["station"]

    figure = Figure(figsize=(8.5, float(np.clip(2.5 + 0.4 * len(km), 5, 11))), layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    span = max(float(np.ptp(km)), 1.0)
    half = float(np.clip(1.2 * span / max(len(km), 1), 0.02 * span, 0.09 * span))
    colour = traces.colours(arrays)
    peaks = []
    for distance, each in zip(km, found.values(), strict=True):
        peaks.append(traces.peak(each))
        for path, (time, samples) in each.items():
            ax.plot(time, distance + half * samples / peaks[-1], color=colour[path], linewidth=0.8)
    if windows is not None:
        for label, distance in zip(found, km, strict=True):
            for start, end in _windows_of(windows, name, label, component):
                ax.fill_between([start, end], distance - half, distance + half,
                                color=_WINDOW_COLOUR, alpha=0.3, linewidth=0)  # fmt: skip
    low, high = time_range or (
        min(float(array["time"][0]) for array in arrays.values()),
        max(float(array["time"][-1]) for array in arrays.values()),
    )
    ax.set(xlim=(low, high), ylim=(km.min() - 1.6 * half, km.max() + 1.6 * half))
    ax.set_xlabel("time since origin (s)")
    ax.set_ylabel("epicentral distance (km)")
    ax.spines[["top", "right"]].set_visible(False)
    if len(km) <= _MOST_LABELS:
        texts = [
            f"{code}  {traces.amplitude_text(value, str(first.attrs.get('units', '')))}"
            for code, value in zip(contents.short_labels(list(found)), peaks, strict=True)
        ]
        _side_labels(ax, km, texts)
    notes = [f"{component} {first.name}", "each station normalised to its peak"]
    if len(km) < total:
        notes.append(f"{len(km)} of {total} stations shown")
    lines = ", ".join(contents.event_lines(first.coords.to_dataset(), index))
    ax.set_title(f"{lines}\n{'; '.join(notes)}", fontsize=10.5, loc="left")
    _legend(figure, arrays, colour)
    return figure


def plot_overlay(
    waveforms: Waveforms,
    *,
    fits: xr.Dataset | None = None,
    events: Sequence[str] | None = None,
    max_stations: int = 12,
    time_range: tuple[float, float] | None = None,
) -> Figure:
    """Observed and synthetic in one panel for each station (row), component and event (column).

    Parameters
    ----------
    waveforms : mapping of str to xarray.Dataset
        As `plot_section`.
    fits : xarray.Dataset, optional
        ``cc`` (1) and ``time_shift`` (s), each (event, station, component), to print.
    events : sequence of str, optional
        Ids; by default all.
    max_stations : int, default 12
        Rows: the nearest stations with records of each event, sorted by distance.
    time_range : tuple of float, optional
        First and last second shown.

    Returns
    -------
    matplotlib.figure.Figure
        The traces of a panel share one scale; their largest sample is printed.

    Examples
    --------
    >>> figure = plot_overlay(waveforms, fits=fits)  # doctest: +SKIP
    """
    arrays = traces.trace_variables(waveforms)
    first = next(iter(arrays.values()))
    known = [str(name) for name in first["event"].values]
    wanted = known if events is None else [str(name) for name in events]
    _checked_count(max_stations)
    if not wanted or not set(wanted) <= set(known):
        raise ParameterError(f"no events {wanted}; use some of {', '.join(known)}")
    components = _components(arrays)
    rows = min(max_stations, traces.distances(arrays).sizes["station"])
    columns = len(components) * len(wanted)
    figure = Figure(
        figsize=(max(2.0 * columns + 0.3, 6.5), 0.95 * rows + 1.5), layout="constrained"
    )
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(h_pad=0.01, w_pad=0.04, hspace=0, wspace=0)  # type: ignore[union-attr, call-arg]
    blocks = np.ravel(figure.subfigures(1, len(wanted), squeeze=False))
    colour = traces.colours(arrays)
    hidden = []
    for block, name in zip(blocks, wanted, strict=True):
        stations, left_out = traces.stations_by_distance(arrays, name, rows)
        km = traces.distances(arrays).sel(event=name, station=stations).values / 1e3
        index = known.index(name)
        title = contents.event_lines(first.coords.to_dataset(), index)
        block.suptitle(", ".join(title) if columns > 2 else "\n".join(title), fontsize=10)
        grid = block.subplots(rows, len(components), squeeze=False, sharex=True, sharey=True)
        codes = contents.short_labels(stations)
        for i, j in np.ndindex(grid.shape):
            found = traces.pick(arrays, name, stations[i], components[j])
            _draw_cell(grid[i, j], found, colour, str(first.attrs.get("units", "")))
            if found and "observed" in arrays and "observed" not in found:
                _corner(grid[i, j], 0.0, 0.0, "no record", "0.4")
            if j == 0:
                _corner(grid[i, j], 0.0, 1.0, f"{codes[i]}  {km[i]:.0f} km", "black", "bold")
            _corner(grid[i, j], 1.0, 1.0, _fit(fits, name, stations[i], components[j]), "0.2")
            if i == 0:
                grid[i, j].set_title(components[j], fontsize=9.5)
        times = np.concatenate([array["time"].values[[0, -1]] for array in arrays.values()])
        grid[0, 0].set(xlim=time_range or (times.min(), times.max()), ylim=(-1.25, 1.45))
        for ax in grid[-1]:
            ax.set_xlabel("s after origin", fontsize=8)
        hidden.append(left_out)
    note = f"{first.name}, same scale for the traces of a panel"
    if any(hidden):
        counts = " / ".join(str(count) for count in hidden)
        note += f"; {rows} nearest stations, {counts} more with records not shown"
    if fits is not None:
        note += "; positive shift: recording later"
    figure.supxlabel(note, fontsize=8.5, x=0.01, ha="left")
    _legend(figure, arrays, colour)
    return figure


def _draw_cell(
    ax: Axes, found: dict[str, tuple[np.ndarray, np.ndarray]], colour: dict[str, str], units: str
) -> None:
    ax.spines[["top", "left", "right"]].set_visible(False)
    ax.spines["bottom"].set_linewidth(0.6)
    ax.tick_params(left=False, labelleft=False, labelsize=7.5, length=3)
    if not found:
        ax.text(0.5, 0.5, "no record", transform=ax.transAxes, fontsize=8, ha="center", color="0.4")
        return
    largest = traces.peak(found)
    for path, (time, samples) in found.items():
        # A dense record drawn with a thick line is a black bar.
        width = 0.9 if len(samples) < 3000 else 0.4
        ax.plot(time, samples / largest, color=colour[path], linewidth=width)
    _corner(ax, 1.0, 0.0, traces.amplitude_text(largest, units), "0.4")


def _corner(ax: Axes, x: float, y: float, text: str, colour: str, weight: str = "normal") -> None:
    if text:
        ax.text(
            x, 0.03 if y == 0 else 0.98, text, transform=ax.transAxes, fontsize=7.5, color=colour,
            weight=weight, ha="left" if x == 0 else "right", va="bottom" if y == 0 else "top",
        )  # fmt: skip


def _fit(fits: xr.Dataset | None, event: str, station: str, component: str) -> str:
    if fits is None:
        return ""
    here = {"event": event, "station": station, "component": component}
    if not all(value in fits[dim].values for dim, value in here.items()):
        return ""
    cc, shift = (float(fits[name].sel(here)) for name in ("cc", "time_shift"))
    return f"cc {cc:.2f}  {shift:+.1f} s" if np.isfinite(cc) and np.isfinite(shift) else ""


def _windows_of(
    windows: xr.Dataset, event: object, station: str, component: str
) -> list[tuple[float, float]]:
    here = {"event": event, "station": station, "component": component}
    if not all(value in windows[dim].values for dim, value in here.items()):
        return []
    one = windows.sel(here)
    ends = np.column_stack([one["window_start"].values, one["window_end"].values])
    return [(float(a), float(b)) for a, b in ends[np.isfinite(ends).all(axis=1)]]


def _side_labels(ax: Axes, km: np.ndarray, texts: list[str]) -> None:
    """Labels right of the axes at their distances, pushed apart where they would overlap."""
    low, high = ax.get_ylim()
    height = ax.get_window_extent().height
    gap = (high - low) * 11 / max(height * 72 / 100, 1)
    order = np.argsort(km, kind="stable")
    up, down = km[order].astype(float), km[order].astype(float)
    for i in range(1, up.size):
        up[i] = max(up[i], up[i - 1] + gap)
    for i in range(up.size - 2, -1, -1):
        down[i] = min(down[i], down[i + 1] - gap)
    # Both keep the gaps, so their mean does, and it stays nearest to the traces.
    at = (up + down) / 2
    leader = {
        "arrowstyle": "-",
        "linewidth": 0.4,
        "color": "0.5",
        "shrinkA": 0,
        "shrinkB": 0,
        "relpos": (0, 0.5),
    }
    for place, y in zip(order, at, strict=True):
        ax.annotate(
            texts[place], (1.0, km[place]), xytext=(1.03, y), xycoords=ax.get_yaxis_transform(),
            textcoords=ax.get_yaxis_transform(), fontsize=7.5, va="center", annotation_clip=False,
            arrowprops=leader,
        )  # fmt: skip


def _legend(figure: Figure, arrays: dict[str, xr.DataArray], colour: dict[str, str]) -> None:
    lines = [
        Line2D([], [], color=colour[path], label=traces.legend_title(path, len(arrays)))
        for path in arrays
    ]
    figure.legend(
        handles=lines, loc="outside lower right", ncols=len(lines), fontsize=8, frameon=False
    )


def _components(arrays: dict[str, xr.DataArray]) -> list[str]:
    names = [str(name) for array in arrays.values() for name in array["component"].values]
    return list(dict.fromkeys(names))


def _component(arrays: dict[str, xr.DataArray], component: str | None) -> str:
    names = _components(arrays)
    chosen = component or ("Z" if "Z" in names else names[0] if len(names) == 1 else "")
    if chosen not in names:
        raise ParameterError(
            f"no component {component!r}; use component= one of {', '.join(names)}"
        )
    return chosen


def _checked_count(count: int) -> None:
    if count < 1:
        raise ParameterError(f"max_stations is {count}; give 1 or more")
