"""Maps, waveform pictures, an interactive page and documents of the ground-motion products.

The modules that need matplotlib or Bokeh are imported when one of their names is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pangeo_ces.views.coastlines import borders as borders
    from pangeo_ces.views.documents import to_geojson as to_geojson
    from pangeo_ces.views.documents import to_table as to_table
    from pangeo_ces.views.documents import write_geojson as write_geojson
    from pangeo_ces.views.documents import write_table as write_table
    from pangeo_ces.views.files import write_figure as write_figure
    from pangeo_ces.views.interactive import write_html_map as write_html_map
    from pangeo_ces.views.maps import plot_map as plot_map
    from pangeo_ces.views.maps import plot_rapid_assessment as plot_rapid_assessment
    from pangeo_ces.views.sections import plot_overlay as plot_overlay
    from pangeo_ces.views.sections import plot_section as plot_section

# The function `coastlines` stays in its module, which has the same name.
_MODULES = {
    "borders": "coastlines",
    "plot_map": "maps",
    "plot_overlay": "sections",
    "plot_rapid_assessment": "maps",
    "plot_section": "sections",
    "to_geojson": "documents",
    "to_table": "documents",
    "write_figure": "files",
    "write_geojson": "documents",
    "write_html_map": "interactive",
    "write_table": "documents",
}
__all__ = [
    "borders",
    "plot_map",
    "plot_overlay",
    "plot_rapid_assessment",
    "plot_section",
    "to_geojson",
    "to_table",
    "write_figure",
    "write_geojson",
    "write_html_map",
    "write_table",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
