"""The charts of the interactive page: station map with colour bars, and waveform panels."""

# mypy: disable-error-code="attr-defined, call-arg, arg-type, union-attr"
# Bokeh makes the constructors of its models at run time: mypy does not see their keywords.

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import (
    BasicTicker,
    BoxZoomTool,
    ColorBar,
    ColumnDataSource,
    CustomJSTickFormatter,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    LogColorMapper,
    PanTool,
    Range1d,
    ResetTool,
    TapTool,
    WheelZoomTool,
)
from bokeh.plotting import figure

from pangeo_ces.views import script
from pangeo_ces.views.coastlines import Extent, borders, coastlines, fitting_resolution
from pangeo_ces.views.geography import map_aspect, unwrap

MAP_WIDTH, PANEL_WIDTH = 600, 560
_MAP_HEIGHT = 680


def station_source(first: xr.Dataset, extent: Extent) -> ColumnDataSource:
    """Places and names of the stations; the script fills in what depends on the choices."""
    names = [str(label) for label in first["station"].values]
    blank = [""] * len(names)
    texts = ("value", "distance", "back_azimuth", "pga", "pgv", "pgd", "psa")
    return ColumnDataSource(
        {
            "x": unwrap(first["longitude"].values, extent[0]),
            "y": first["latitude"].values.astype(float),
            "station": names,
            "elevation": [f"{value:.0f} m" for value in first["elevation"].values],
            "shown": np.full(len(names), np.nan),
            "colour": ["#ffffff"] * len(names),
            "edge": ["#222222"] * len(names),
            "marker": ["circle"] * len(names),
            **dict.fromkeys(texts, blank),
        }
    )


def station_map(
    source: ColumnDataSource, star: ColumnDataSource, extent: Extent
) -> tuple[figure, dict[str, ColorBar]]:
    """Map of the stations and the event, and its logarithmic and linear colour bars."""
    ratio = map_aspect(extent) * (extent[3] - extent[1]) / (extent[2] - extent[0])
    width = int(min(MAP_WIDTH, _MAP_HEIGHT / ratio))
    chart = figure(
        frame_width=width,
        frame_height=int(width * ratio),
        x_range=Range1d(extent[0], extent[2]),
        y_range=Range1d(extent[1], extent[3]),
        tools=[],
        background_fill_color="#f7f7f7",
    )
    chart.grid.visible = False
    for axis, letters in ((chart.xaxis[0], "EW"), (chart.yaxis[0], "NS")):
        axis.formatter = CustomJSTickFormatter(args={"letters": letters}, code=script.DEGREES)
        axis.ticker = BasicTicker(desired_num_ticks=5)
        axis.major_label_text_font_size = "13px"
    reach = (2 * extent[0] - extent[2], 2 * extent[1] - extent[3],
             2 * extent[2] - extent[0], 2 * extent[3] - extent[1])  # fmt: skip
    around = (reach[0], max(reach[1], -90.0), min(reach[2], reach[0] + 360), min(reach[3], 90.0))
    detail = fitting_resolution(extent)
    layers = ((borders(around, detail), "#999999"), (coastlines(around, detail), "#555555"))
    for lines, colour in layers:
        xs = [line[:, 0].astype(np.float32) for line in lines]
        ys = [line[:, 1].astype(np.float32) for line in lines]
        chart.multi_line(xs, ys, color=colour, line_width=1)
    size = 13 if len(source.data["x"]) <= 60 else 10
    dots = chart.scatter(
        "x", "y", source=source, size=size, marker={"field": "marker"}, line_width=1,
        fill_color={"field": "colour"}, line_color={"field": "edge"},
        nonselection_fill_alpha=1, nonselection_line_alpha=1,
        selection_line_color="#D55E00", selection_line_width=3,
    )  # fmt: skip
    chart.scatter(
        "x", "y", source=star, size=22, marker="star", fill_color="#D55E00", line_color="white"
    )
    facts = [("station", "@station"), ("value", "@value"), ("distance", "@distance"),
             ("back azimuth", "@back_azimuth"), ("elevation", "@elevation"), ("PGA", "@pga"),
             ("PGV", "@pgv"), ("PGD", "@pgd"), ("PSA", "@psa")]  # fmt: skip
    wheel = WheelZoomTool()
    chart.add_tools(
        PanTool(), wheel, BoxZoomTool(match_aspect=True), ResetTool(), TapTool(renderers=[dots]),
        HoverTool(renderers=[dots], tooltips=facts),
    )  # fmt: skip
    chart.toolbar.active_scroll = wheel
    chart.toolbar.logo = None
    plain = CustomJSTickFormatter(code=script.PLAIN_NUMBER)
    bars = {
        name: ColorBar(
            color_mapper=mapper(low=1, high=10, palette=["#000000"]), ticker=FixedTicker(ticks=[]),
            formatter=plain, title=" ", title_text_font_size="13px", title_text_font_style="normal",
            major_label_text_font_size="13px", visible=False, height=12, title_standoff=6,
        )
        for name, mapper in (("log_bar", LogColorMapper), ("linear_bar", LinearColorMapper))
    }  # fmt: skip
    for bar in bars.values():
        chart.add_layout(bar, "below")
    return chart, bars


def trace_panels(meta: dict[str, Any]) -> tuple[list[figure], list[list[ColumnDataSource]]]:
    """A small plot for each component, with a line for each source."""
    panels: list[figure] = []
    lines = []
    for component in meta["panels"]:
        last = component == meta["panels"][-1]
        times = [time for wave in meta["waves"] for time in (wave["time"][0], wave["time"][-1])]
        panel = figure(
            width=PANEL_WIDTH, height=165 if last else 145, title=component, toolbar_location=None,
            tools="xpan,xwheel_zoom,reset", active_scroll=None,
            x_range=panels[0].x_range if panels else Range1d(min(times), max(times)),
            y_range=Range1d(-1, 1),
            x_axis_label="time since origin (s)" if last else None, min_border_left=70,
        )  # fmt: skip
        panel.title.text_font_size = "13px"
        panel.axis.axis_label_text_font_style = "normal"
        panel.yaxis.ticker = BasicTicker(desired_num_ticks=3)
        panel.grid.grid_line_alpha = 0.5
        sources = [ColumnDataSource({"x": [], "y": []}) for _ in meta["waves"]]
        for wave, each in zip(meta["waves"], sources, strict=True):
            panel.line("x", "y", source=each, color=wave["colour"], line_width=1.3)
        panels.append(panel)
        lines.append(sources)
    return panels, lines
