"""Maps, waveform pictures, an interactive page and documents of the ground-motion products.

The modules that need matplotlib or Bokeh are imported when one of their names is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pangeo_ces.views.adjoint_files import write_adjoint_sources as write_adjoint_sources
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
    from pangeo_ces.views.histograms import plot_misfit_histogram as plot_misfit_histogram
    from pangeo_ces.views.interactive import write_html_map as write_html_map
    from pangeo_ces.views.maps import plot_map as plot_map
    from pangeo_ces.views.maps import plot_rapid_assessment as plot_rapid_assessment
    from pangeo_ces.views.misfit_documents import to_misfit_geojson as to_misfit_geojson
    from pangeo_ces.views.misfit_documents import to_misfit_table as to_misfit_table
    from pangeo_ces.views.misfit_documents import to_windows_table as to_windows_table
    from pangeo_ces.views.misfit_report import write_misfit_report as write_misfit_report
    from pangeo_ces.views.sections import plot_overlay as plot_overlay
    from pangeo_ces.views.sections import plot_section as plot_section
    from pangeo_ces.views.shakemap import to_station_list as to_station_list
    from pangeo_ces.views.shakemap import write_station_list as write_station_list
    from pangeo_ces.views.time_frequency import (
        plot_time_frequency_misfit as plot_time_frequency_misfit,
    )
    from pangeo_ces.views.windows import plot_windows as plot_windows

# The function `coastlines` stays in its module, which has the same name.
_MODULES = {
    "borders": "coastlines",
    "plot_attenuation": "attenuation",
    "plot_map": "maps",
    "plot_misfit_histogram": "histograms",
    "plot_overlay": "sections",
    "plot_rapid_assessment": "maps",
    "plot_response_spectra": "attenuation",
    "plot_section": "sections",
    "plot_time_frequency_misfit": "time_frequency",
    "plot_windows": "windows",
    "to_catalog": "amplitudes",
    "to_geojson": "documents",
    "to_misfit_geojson": "misfit_documents",
    "to_misfit_table": "misfit_documents",
    "to_station_list": "shakemap",
    "to_table": "documents",
    "to_windows_table": "misfit_documents",
    "write_adjoint_sources": "adjoint_files",
    "write_figure": "files",
    "write_geojson": "documents",
    "write_html_map": "interactive",
    "write_misfit_report": "misfit_report",
    "write_quakeml": "amplitudes",
    "write_station_list": "shakemap",
    "write_table": "documents",
}
__all__ = [
    "borders",
    "plot_attenuation",
    "plot_map",
    "plot_misfit_histogram",
    "plot_overlay",
    "plot_rapid_assessment",
    "plot_response_spectra",
    "plot_section",
    "plot_time_frequency_misfit",
    "plot_windows",
    "to_catalog",
    "to_geojson",
    "to_misfit_geojson",
    "to_misfit_table",
    "to_station_list",
    "to_table",
    "to_windows_table",
    "write_adjoint_sources",
    "write_figure",
    "write_geojson",
    "write_html_map",
    "write_misfit_report",
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
