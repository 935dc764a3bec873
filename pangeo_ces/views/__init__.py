"""Maps, waveform pictures, an interactive page and documents of the ground-motion products.

The modules that need matplotlib or Bokeh are imported when one of their names is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pangeo_ces.views.amplitudes import to_catalog as to_catalog
    from pangeo_ces.views.amplitudes import write_quakeml as write_quakeml
    from pangeo_ces.views.attenuation import plot_attenuation as plot_attenuation
    from pangeo_ces.views.attenuation import plot_response_spectra as plot_response_spectra
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
    from pangeo_ces.views.shakemap import to_station_list as to_station_list
    from pangeo_ces.views.shakemap import write_station_list as write_station_list

# The function `coastlines` stays in its module, which has the same name.
_MODULES = {
    "borders": "coastlines",
    "plot_attenuation": "attenuation",
    "plot_map": "maps",
    "plot_overlay": "sections",
    "plot_rapid_assessment": "maps",
    "plot_response_spectra": "attenuation",
    "plot_section": "sections",
    "to_catalog": "amplitudes",
    "to_geojson": "documents",
    "to_station_list": "shakemap",
    "to_table": "documents",
    "write_figure": "files",
    "write_geojson": "documents",
    "write_html_map": "interactive",
    "write_quakeml": "amplitudes",
    "write_station_list": "shakemap",
    "write_table": "documents",
}
__all__ = [
    "borders",
    "plot_attenuation",
    "plot_map",
    "plot_overlay",
    "plot_rapid_assessment",
    "plot_response_spectra",
    "plot_section",
    "to_catalog",
    "to_geojson",
    "to_station_list",
    "to_table",
    "write_figure",
    "write_geojson",
    "write_html_map",
    "write_quakeml",
    "write_station_list",
    "write_table",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
