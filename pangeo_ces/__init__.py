"""Pangeo for Computational Earth Science: seismic waveforms on xarray, Dask and Zarr.

>>> import pangeo_ces as ces
>>> tree = ces.open_store(ces.samples.german_events("memory://tour"))
>>> observed = tree["windows/main/observed/20Hz"].to_dataset()
>>> velocity = observed.pipe(ces.detrend).pipe(ces.remove_response, pre_filt=(0.008, 0.015, 4, 8))
>>> peaks = ces.peak_motion(velocity.pipe(ces.bandpass, freqmin=0.03, freqmax=0.08), periods=[15.0])
>>> float(peaks["pgv"].sel(component="larger").max()) < 1e-4
True
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _version
from typing import Any

from . import config as config

try:
    __version__ = _version("pangeo_ces")
except PackageNotFoundError:  # a source tree that is not installed
    __version__ = "0"

#: Public name -> module that holds it; imported when first used.
_PUBLIC = {
    "adjoint_source": "products.adjoint",
    "bandpass": "process.filter",
    "build_catalog": "catalog",
    "checkout": "archive.history",
    "clipping": "process.quality",
    "collect_garbage": "store.versions",
    "connect": "compute",
    "convert": "store.convert",
    "convolve_source": "process.source_time",
    "correct_record": "process.correct",
    "cut": "process.window",
    "decimate": "process.decimate",
    "detrend": "process.condition",
    "diff": "store.versions",
    "difference": "products.compare",
    "differentiate": "process.quantity",
    "double_difference": "products.misfit.double_difference",
    "double_difference_source": "products.misfit.double_difference",
    "event_windows": "process.events",
    "export": "store.export",
    "export_zarr": "store.exchange",
    "fdsn_app": "service.app",
    "fill_gaps": "process.gaps",
    "fourier_spectrum": "products.spectra",
    "goodness_of_fit": "products.goodness_of_fit",
    "ground_motion_residuals": "products.ground_motion_models",
    "highpass": "process.filter",
    "history": "store.versions",
    "hv_ratio": "products.hv",
    "import_zarr": "store.exchange",
    "inspect_store": "store.inspect",
    "instrumental_intensity": "products.macroseismic",
    "integrate": "process.quantity",
    "intensity_measures": "products.intensity",
    "interpolate": "process.resample",
    "jma_intensity": "products.intensity",
    "lowpass": "process.filter",
    "match": "process.window",
    "minmax": "products.envelope",
    "misfit": "workflow.misfit",
    "open_catalog": "catalog",
    "open_store": "store.open",
    "peak_motion": "products.peak_motion",
    "plan": "store.convert",
    "plot_attenuation": "views",
    "plot_map": "views",
    "plot_misfit_histogram": "views",
    "plot_overlay": "views",
    "plot_rapid_assessment": "views",
    "plot_response_spectra": "views",
    "plot_section": "views",
    "plot_time_frequency_misfit": "views",
    "plot_windows": "views",
    "power_spectral_density": "products.psd",
    "prefilter": "process.response",
    "probabilistic_psd": "products.ppsd",
    "quality_flags": "process.quality",
    "rapid_assessment": "workflow.rapid_assessment",
    "remove_response": "process.response",
    "remove_sensitivity": "process.response",
    "resample": "process.decimate",
    "rotate": "process.rotate",
    "run_misfit": "workflow.run_misfit",
    "run_rapid_assessment": "workflow.run",
    "select_windows": "products.windows.select",
    "serve_fdsn": "service.serve",
    "signal_to_noise": "process.snr",
    "simulate": "process.simulate",
    "stage": "archive.verb",
    "stage_fdsn": "archive.fdsn",
    "stage_files": "archive.files",
    "stage_sds": "archive.sds",
    "sync_cut": "process.sync",
    "tag": "store.versions",
    "taper": "process.condition",
    "time_frequency_misfit": "products.time_frequency",
    "time_shift": "process.shift",
    "to_catalog": "views",
    "to_geojson": "views",
    "to_misfit_geojson": "views",
    "to_misfit_table": "views",
    "to_motion": "process.quantity",
    "to_station_list": "views",
    "to_stream": "store.traces",
    "to_table": "views",
    "to_windows_table": "views",
    "validate": "conventions",
    "waveform_fit": "products.compare",
    "waveform_misfit": "products.misfit.measure",
    "waveforms": "store.open",
    "window_waveforms": "products.windowed",
    "write": "store.write",
    "write_adjoint_sources": "views",
    "write_html_map": "views",
}
_MODULES = ("errors", "samples", "testing", "views")
__all__ = [*sorted(_PUBLIC), *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        value = getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
