"""The parts of a map panel: base map, colour scale, station markers and labels, colour bar."""

from __future__ import annotations

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from pangeo_ces.errors import ParameterError
from pangeo_ces.views.coastlines import Extent, borders, coastlines
from pangeo_ces.views.geography import degree_ticks, map_aspect, nice_step, scale_bar
from pangeo_ces.views.units import number

HALO = [patheffects.withStroke(linewidth=2, foreground="white")]
MOST_LABELS = 12
_LARGEST_RANGE = 1000.0


class ColourScale(NamedTuple):
    """Colour map and its limits, in display units; `extend` as matplotlib's colour bars."""

    norm: Normalize
    cmap: Colormap
    extend: str


def colour_scale(
    values: np.ndarray, *, diverging: bool, limits: tuple[float, float] | None = None
) -> ColourScale:
    """Logarithmic viridis for positive measures, linear PuOr about zero for differences.

    Parameters
    ----------
    values : numpy.ndarray
        Values of all panels that share the scale, display units, any shape; NaN allowed.
    diverging : bool
        Centred at zero.
    limits : tuple of float, optional
        Lowest and highest value, display units.
    """
    finite = values[np.isfinite(values)]
    if limits is not None and not limits[0] < limits[1]:
        raise ParameterError(f"limits {limits} are empty; give (lowest, highest)")
    if diverging:
        size = np.abs(finite)
        # A few outliers among many stations shall not bleach all the others.
        largest = float(np.percentile(size, 97) if size.size >= 30 else size.max(initial=0))
        low, high = limits or (-largest, largest)
        high = max(abs(low), abs(high)) or 1.0
        norm = Normalize(-high, high)
        return ColourScale(norm, mpl.colormaps["PuOr_r"], _extend(finite, -high, high))
    positive = finite[finite > 0]
    if limits is None:
        high = float(positive.max(initial=0)) or 1.0
        low = max(float(positive.min(initial=high)), high / _LARGEST_RANGE)
        low, high = (low, high) if high / low > 1.5 else (low / 1.5, high * 1.5)
    else:
        low, high = limits
        if low <= 0:
            raise ParameterError(f"limits {limits} of a logarithmic scale; give positive ones")
    return ColourScale(LogNorm(low, high), mpl.colormaps["viridis_r"], _extend(finite, low, high))


def _extend(finite: np.ndarray, low: float, high: float) -> str:
    below = bool((finite < low * (1 - 1e-9 * np.sign(low))).any())
    above = bool((finite > high * (1 + 1e-9)).any())
    return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]


def draw_base(ax: Axes, extent: Extent, *, bar_away_from: np.ndarray) -> None:
    """Coasts, borders, degree ticks and a scale bar.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    extent : tuple of float
        West, south, east, north in degrees.
    bar_away_from : numpy.ndarray
        Points (n, 2) of longitude, latitude that the scale bar shall not cover.
    """
    ax.add_collection(
        LineCollection(borders(extent), colors="0.6", linewidths=0.6, zorder=1), autolim=False
    )
    ax.add_collection(
        LineCollection(coastlines(extent), colors="0.35", linewidths=0.7, zorder=1), autolim=False
    )
    ax.set(xlim=extent[::2], ylim=extent[1::2], aspect=map_aspect(extent), facecolor="0.97")
    for axis, low, high, letters in (
        (ax.xaxis, *extent[::2], "EW"),
        (ax.yaxis, *extent[1::2], "NS"),
    ):
        ticks, texts = degree_ticks(low, high, letters)
        axis.set_ticks(ticks, texts)
    ax.tick_params(labelsize=7.5, length=3, color="0.3", direction="out")
    for spine in ax.spines.values():
        spine.set(linewidth=0.6, color="0.3")
    _draw_scale_bar(ax, extent, bar_away_from)


def _draw_scale_bar(ax: Axes, extent: Extent, points: np.ndarray) -> None:
    km, degrees = scale_bar(extent)
    width = degrees / (extent[2] - extent[0])
    shares = (points - extent[:2]) / (np.array(extent[2:]) - extent[:2])
    corners = [(x, y) for y in (0.04, 0.9) for x in (0.04, 0.96 - width)]

    def room(corner: tuple[float, float]) -> float:
        middle = np.array([corner[0] + width / 2, corner[1] + 0.03])
        return float(np.hypot(*(shares - middle).T).min(initial=1))

    # Any corner with room does; the lower left is where a reader looks first.
    x, y = next((corner for corner in corners if room(corner) > 0.22), max(corners, key=room))
    line = ax.plot(
        [x, x, x + width, x + width],
        [y + 0.012, y, y, y + 0.012],
        color="0.2",
        linewidth=1,
        transform=ax.transAxes,
        zorder=5,
        solid_joinstyle="miter",
    )[0]
    line.set(path_effects=HALO, gid="scale-bar")
    ax.text(
        x + width / 2, y + 0.018, f"{number(km)} km", transform=ax.transAxes, fontsize=7,
        ha="center", va="bottom", color="0.2", path_effects=HALO, zorder=5,
    )  # fmt: skip


def draw_stations(
    ax: Axes, places: np.ndarray, values: np.ndarray, scale: ColourScale
) -> PathCollection:
    """Filled circles for values, hollow grey triangles where there is none; the strongest on top.

    Parameters
    ----------
    places : numpy.ndarray
        Points (n, 2) of longitude, latitude in the frame of the axes.
    values : numpy.ndarray
        Values (n,) in display units.
    """
    size = float(np.clip(900 / max(len(values), 1), 14, 60))
    known = np.isfinite(values)
    order = np.flatnonzero(known)[np.argsort(np.abs(values[known]))]
    empty = places[~known]
    # Triangles, as a hollow circle would pass for a difference of zero.
    gaps = ax.scatter(
        empty[:, 0],
        empty[:, 1],
        s=size * 0.6,
        marker="^",
        facecolors="none",
        edgecolors="0.55",
        linewidths=0.8,
        zorder=2,
    )
    gaps.set_gid("stations-without-value")
    drawn = ax.scatter(
        places[order, 0],
        places[order, 1],
        s=size,
        c=values[order],
        norm=scale.norm,
        cmap=scale.cmap,
        edgecolors="0.15",
        linewidths=0.5,
        zorder=3,
    )
    drawn.set_gid("stations")
    return drawn


def draw_event(ax: Axes, longitude: float, latitude: float) -> None:
    """A star at the epicentre."""
    star = ax.plot(
        longitude, latitude, "*", markersize=13, markerfacecolor="#D55E00",
        markeredgecolor="white", markeredgewidth=0.9, zorder=4,
    )[0]  # fmt: skip
    star.set_gid("event")


def draw_labels(ax: Axes, places: np.ndarray, texts: list[str], avoid: np.ndarray) -> None:
    """Station labels beside their markers, clear of other labels, markers and the frame.

    Parameters
    ----------
    places : numpy.ndarray
        Points (n, 2) of longitude, latitude.
    texts : list of str
        One label for each.
    avoid : numpy.ndarray
        More points (m, 2) to keep clear of.
    """
    figure = ax.get_figure(root=True)
    frame = ax.get_window_extent()
    dots = (figure.dpi if figure else 72) / 72
    low, high = np.array([ax.get_xlim(), ax.get_ylim()]).T
    # Half widths in points of the frame: labels about 7 points high, letters about 4.6 wide.
    # The layout, done when drawing, still takes about a sixth of the frame for ticks and bars.
    frame_points = 0.85 * np.array([frame.width, frame.height]) / dots
    pixels = (np.concatenate([places, avoid]) - low) / (high - low) * frame_points
    taken = [(*point, 5.0, 5.0) for point in pixels]
    for point, text in zip(pixels, texts, strict=False):
        half = np.array([2.3 * len(text), 4.0])
        best, least = (1, 0), np.inf
        for side in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)):
            middle = point + np.array(side) * (half + 6.5)
            cost = sum(
                max(0.0, half[0] + w - abs(middle[0] - x))
                * max(0.0, half[1] + h - abs(middle[1] - y))
                for x, y, w, h in taken
            )
            outside = np.maximum(half - middle, middle + half - frame_points).clip(min=0)
            cost += 100 * float(outside.sum())
            if cost < least:
                best, least = side, cost
        taken.append((*(point + np.array(best) * (half + 6.5)), *half))
        ax.annotate(
            text, (point / frame_points * (high - low) + low).tolist(),
            xytext=(6.0 * best[0], 6.0 * best[1]), textcoords="offset points", fontsize=7,
            ha={1: "left", 0: "center", -1: "right"}[best[0]],
            va={1: "bottom", 0: "center", -1: "top"}[best[1]],
            path_effects=HALO, zorder=6, annotation_clip=True,
        )  # fmt: skip


def draw_colour_bar(
    figure: Figure, drawn: PathCollection, axes: list[Axes], scale: ColourScale, label: str
) -> Colorbar:
    """A horizontal colour bar below its panels, with plain numbers."""
    bar = figure.colorbar(
        drawn, ax=axes, location="bottom", extend=scale.extend, pad=0.02,
        shrink=0.9 if len(axes) == 1 else 0.6, aspect=22 if len(axes) == 1 else 32,
    )  # fmt: skip
    low, high = float(scale.norm.vmin or 0), float(scale.norm.vmax or 1)
    bar.ax.xaxis.set_major_locator(FixedLocator(_ticks(low, high, isinstance(scale.norm, LogNorm))))
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    bar.ax.tick_params(labelsize=7.5, length=3, color="0.3")
    bar.set_label(label, fontsize=8.5)
    bar.outline.set(linewidth=0.5)
    return bar


def _ticks(low: float, high: float, logarithmic: bool) -> list[float]:
    if not logarithmic:
        step = nice_step(high - low, 6)
        return list(np.arange(np.ceil(low / step - 1e-9), high / step + 1e-9) * step)
    decades = np.log10(high / low)
    digits = (1, 2, 3, 5, 7) if decades < 0.7 else (1, 2, 5) if decades < 1.8 else (1, 3)
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.log10(high) + 1)
    candidates = [float(digit * power) for power in powers for digit in digits]
    slack = 1e-9
    return [tick for tick in candidates if low * (1 - slack) <= tick <= high * (1 + slack)]
