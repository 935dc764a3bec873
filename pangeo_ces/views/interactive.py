"""One HTML file with an interactive map, to open from disk without a network."""

# mypy: disable-error-code="attr-defined, call-arg, arg-type, union-attr"
# Bokeh makes the constructors of its models at run time: mypy does not see their keywords.

from __future__ import annotations

import html
import json
import os
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.models import Column, ColumnDataSource, CustomJS, Div, Row, Select
from bokeh.resources import INLINE
from matplotlib.colors import to_hex

from pangeo_ces.storage import write_bytes
from pangeo_ces.views import charts, contents, script
from pangeo_ces.views.charts import MAP_WIDTH, PANEL_WIDTH
from pangeo_ces.views.coastlines import Extent
from pangeo_ces.views.envelopes import pack_envelopes
from pangeo_ces.views.geography import map_extent, unwrap
from pangeo_ces.views.units import LADDERS, TRACE_LADDERS

_FONT = "font-family: Helvetica, Arial, sans-serif; font-size: 14px; color: #222;"
_TABLE = """
h2 { font-size: 16px; margin: 6px 0; overflow-wrap: anywhere; } p { margin: 4px 0 8px; }
table { border-collapse: collapse; } th, td { padding: 3px 7px; text-align: right; }
td, tbody th { white-space: nowrap; font-size: 13px; }
thead th { border-bottom: 1px solid #666; vertical-align: bottom; } tbody th { text-align: left; }
tbody tr:nth-child(even) { background: #f2f2f2; }
"""


def write_html_map(
    path_or_url: str | os.PathLike[str],
    tree: xr.DataTree,
    waveforms: Mapping[str, xr.Dataset] | None = None,
    *,
    title: str = "Rapid assessment of ground motion",
) -> None:
    """Write the product as one self-contained HTML page.

    Parameters
    ----------
    path_or_url : str or path
        Local path or fsspec URL.
    tree : xarray.DataTree
        The rapid-assessment product; stations are coloured by the measure the reader chooses.
    waveforms : mapping of str to xarray.Dataset, optional
        ``observed`` and ``synthetic/<model>`` with the envelopes ``minimum`` and ``maximum``
        (event, station, component, time) in SI, ``attrs["units"]``, time in s since origin.
    title : str
        Title of the page.

    Examples
    --------
    >>> write_html_map("assessment.html", tree, envelopes)  # doctest: +SKIP
    """
    found = contents.sources(tree)
    first = next(iter(found.values()))
    extent = map_extent(
        np.concatenate([first["longitude"].values, first["event_longitude"].values]),
        np.concatenate([first["latitude"].values, first["event_latitude"].values]),
    )
    meta, values = _product(found, first, extent)
    events = [str(name) for name in first["event"].values]
    stations = [str(name) for name in first["station"].values]
    meta["waves"], packed = pack_envelopes(waveforms or {}, events, stations)
    components = [name for wave in meta["waves"] for name in wave["components"]]
    meta["panels"] = list(dict.fromkeys(components))
    document = _page(meta, values, packed, first, extent, title)
    write_bytes(path_or_url, file_html(document, INLINE, title=title).encode())


def _product(
    found: dict[str, xr.Dataset], first: xr.Dataset, extent: Extent
) -> tuple[dict[str, Any], np.ndarray]:
    """What the script has to know, and the values, source by source (see `script`)."""
    names = contents.measure_names(first)
    arrays = [[contents.measure(ds, name) for name in names] for ds in found.values()]
    order = ("event", "component", "station")
    values = np.stack([[a.transpose(*order).values for a in row] for row in arrays])
    meta: dict[str, Any] = {
        "events": [
            {
                "text": ", ".join(contents.event_lines(first, i)),
                "x": float(unwrap(first["event_longitude"].values[i], extent[0])),
                "y": float(first["event_latitude"].values[i]),
            }
            for i in range(first.sizes["event"])
        ],
        "stations": [
            {"label": str(label), "elevation": _plain(elevation)}
            for label, elevation in zip(
                first["station"].values, first["elevation"].values, strict=True
            )
        ],
        "components": [
            {"title": str(name).replace("_", " ")} for name in first["component"].values
        ],
        "measures": [
            {
                "title": contents.measure_title(name),
                "kind": name[:3],
                "period": name[4:-1] if name.startswith("psa_") else None,
            }
            for name in names
        ],
        "sources": [
            {
                "path": path,
                "title": contents.source_title(path),
                "units": [str(array.attrs.get("units", "1")) for array in row],
            }
            for path, row in zip(found, arrays, strict=True)
        ],
        "distance": _plain(first["epicentral_distance"].transpose("event", "station") / 1e3),
        "back_azimuth": _plain(first["back_azimuth"].transpose("event", "station")),
        "ladders": LADDERS,
        "trace_ladders": TRACE_LADDERS,
    }
    return meta, values.astype(np.float32).ravel()


def _plain(values: Any) -> Any:
    """Numbers for JSON with five digits, None for NaN."""
    array = np.asarray(values, dtype=float)
    if array.ndim:
        return [_plain(each) for each in array]
    return float(f"{array:.5g}") if np.isfinite(array) else None


def _page(
    meta: dict[str, Any],
    values: np.ndarray,
    packed: list[np.ndarray],
    first: xr.Dataset,
    extent: Extent,
    title: str,
) -> Document:
    selects = _selects(meta)
    source, star = charts.station_source(first, extent), ColumnDataSource({"x": [], "y": []})
    chart, bars = charts.station_map(source, star, extent)
    panels, lines = charts.trace_panels(meta)
    heading = _div("", width=MAP_WIDTH + 60)
    details = _div("", width=PANEL_WIDTH, stylesheets=[_TABLE])
    palettes = {
        name: [to_hex(colour) for colour in mpl.colormaps[cmap](np.linspace(0, 1, 256))]
        for name, cmap in (("sequential", "viridis_r"), ("diverging", "PuOr_r"))
    }
    bars["log_bar"].color_mapper.palette = palettes["sequential"]
    bars["linear_bar"].color_mapper.palette = palettes["diverging"]
    update = CustomJS(
        args={
            "meta": json.dumps(meta, allow_nan=False),
            "values": values,
            "waves": packed,
            "source": source,
            "star": star,
            "heading": heading,
            "details": details,
            "panels": panels,
            "traces": lines,
            **selects,
            **bars,
            **palettes,
        },
        code=script.UPDATE,
    )
    for name, select in selects.items():
        if name != "station_select":
            select.js_on_change("value", update)
    selects["station_select"].js_on_change(
        "value", CustomJS(args={"source": source}, code=script.CHOOSE_STATION)
    )
    source.selected.js_on_change("indices", update)
    station = selects.pop("station_select")
    legend = "".join(
        f'<span style="color:{wave["colour"]};font-weight:bold">━</span> '
        f"{html.escape(wave['title'])} &emsp;"
        for wave in meta["waves"]
    )
    head = _div(f"<h1 style='font-size:20px;margin:0'>{html.escape(title)}</h1>")
    row = _wrapping(list(selects.values()), spacing=6)
    left = Column(children=[head, row, heading, chart], width=MAP_WIDTH + 88)
    right = Column(station, *([_div(legend)] if legend else []), *panels, details)
    document = Document()
    document.add_root(_wrapping([left, right]))
    document.js_on_event("document_ready", update)
    return document


def _wrapping(children: list[Any], spacing: int = 14) -> Row:
    return Row(children=children, spacing=spacing, stylesheets=[":host { flex-wrap: wrap; }"])


def _div(text: str, *, stylesheets: list[str] | None = None, width: int = MAP_WIDTH) -> Div:
    # Without disable_math a name such as $$x$$ would load MathJax from the network.
    host = f":host {{ {_FONT} }}"
    return Div(text=text, disable_math=True, width=width, stylesheets=[host, *(stylesheets or [])])


def _selects(meta: dict[str, Any]) -> dict[str, Select]:
    def select(title: str, texts: list[str], value: int = 0, width: int = 150) -> Select:
        # A browser tells options apart by their texts.
        texts = [text if n == 0 else f"{text} ({n + 1})" for text, n in _counted(texts)]
        options = [(str(i), text) for i, text in enumerate(texts)]
        return Select(title=title, options=options, value=str(value), width=width)

    components = [each["title"] for each in meta["components"]]
    measures = [each["title"] for each in meta["measures"]]
    station = select("Station", [each["label"] for each in meta["stations"]], width=240)
    station.options = [("", "choose a station"), *station.options]
    station.value = ""
    return {
        "event_select": select("Event", [each["text"] for each in meta["events"]], width=245),
        "source_select": select("Source", [each["title"] for each in meta["sources"]], width=165),
        "measure_select": select(
            "Measure", measures, measures.index("PGV") if "PGV" in measures else 0, width=95
        ),
        "component_select": select(
            "Component",
            components,
            components.index("larger") if "larger" in components else 0,
            width=115,
        ),
        "station_select": station,
    }


def _counted(texts: list[str]) -> list[tuple[str, int]]:
    """Each text, and how often it occurred before."""
    return [(text, texts[:i].count(text)) for i, text in enumerate(texts)]
