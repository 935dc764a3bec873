"""Running the rapid assessment from a store to a folder of maps, tables and documents."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from .. import compute, lineage
from ..products.peak_motion import ALL_COMBINATIONS
from ..storage import write_bytes
from ..store.open import lazy_names, open_store
from ..store.write import write
from ..unfinished import resumable
from ..views import (
    plot_attenuation,
    plot_overlay,
    plot_rapid_assessment,
    plot_response_spectra,
    to_catalog,
    to_geojson,
    to_station_list,
    to_table,
    write_figure,
    write_geojson,
    write_html_map,
    write_quakeml,
    write_station_list,
    write_table,
)
from . import pictures
from .rapid_assessment import PRESETS, Assessment, rapid_assessment
from .report import (
    as_json,
    conversions_of,
    counted,
    heading,
    refuse_empty,
    rejected_rows,
    with_preset,
)

#: Stations and events in the pictures: the nearest ones, and those with most records.
_STATIONS_SHOWN, _EVENTS_SHOWN = 12, 5
#: Frequency (Hz) up to which a record must go for its peak to be that of the ground.
_TOP = {"pga": 15.0, "pgv": 5.0}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run made: the computed product, its files, and the report."""

    product: xr.DataTree
    files: list[str]
    report: dict[str, Any]
    fits: dict[str, xr.Dataset]


def run_rapid_assessment(
    store: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    preset: str = "default",
    cluster: str | None = None,
    progress: bool = False,
    **parameters: Any,
) -> Outcome:
    """Assess a store and write everything people look at into a folder.

    Parameters
    ----------
    store
        Path or URL of a store with event windows.
    output
        Folder (path or URL); files of an earlier run are replaced.
    preset
        Named parameter set, ``default`` or ``dare``; ``parameters`` win over it.
    cluster
        Where to compute: a name of :func:`~pangeo_ces.connect`.
    progress
        Show a progress bar.
    parameters
        Of :func:`rapid_assessment`.

    Returns
    -------
    Outcome
        ``files`` are ``map.png`` (and ``map_MODEL.png`` for further models), ``map.html``,
        ``waveforms.png``, ``stations.geojson``, ``stations.csv``, ``stations.parquet``,
        ``peak_motion.zarr`` and ``report.json``; of records also ``amplitudes.xml`` (QuakeML),
        ``shakemap/EVENT_dat.json`` (ShakeMap's station list), ``spectra.png`` and, for measures
        that the filters leave whole, ``attenuation.png`` (and ``…_EVENT.png`` of further events).
    """
    parameters = with_preset(PRESETS, preset, parameters)
    tree = open_store(store)
    folder = os.fspath(output).rstrip("/")
    with resumable(folder, "rapid-assessment", lazy_names(tree), parameters) as earlier:
        with compute.connect(cluster):
            assessment = rapid_assessment(tree, **parameters)
            events = pictures.busiest(assessment.waveforms, _EVENTS_SHOWN)
            nearest = pictures.nearest(assessment.waveforms, _STATIONS_SHOWN)
            shown = pictures.of_events(assessment.waveforms, events)
            product, thumbnails, (waveforms, fits) = together(
                assessment.product,
                pictures.thumbnails(assessment.waveforms),
                pictures.overlay(shown, nearest),
                progress=progress,
            )
        report = _report(store, output, parameters, assessment, product)
        report["resumed_blocks"] = earlier.used
        refuse_empty(report, "used", folder, "station")
        product.attrs["recipe"] = "rapid-assessment"
        product.attrs["parameters"] = json.dumps(parameters)
        files = _write_all(folder, product, thumbnails, waveforms, fits, events, report)
    return Outcome(product, files, report, fits)


def _write_all(
    folder: str,
    product: xr.DataTree,
    thumbnails: dict[str, xr.Dataset],
    waveforms: dict[str, xr.Dataset],
    fits: dict[str, xr.Dataset],
    events: list[str],
    report: dict[str, Any],
) -> list[str]:
    """Pictures, tables, documents and the product itself; ``events`` are pictured."""
    files: list[str] = []

    def target(name: str) -> str:
        files.append(f"{folder}/{name}")
        return files[-1]

    pictured = _of_events(product, events)
    models = [path.removeprefix("synthetic/") for path in waveforms if path != "observed"]
    for number, model in enumerate(models or [None]):
        name = "map.png" if number == 0 else f"map_{model}.png"
        write_figure(plot_rapid_assessment(pictured, model=model), target(name))
    write_html_map(target("map.html"), product, thumbnails)
    fit = fits[models[0]] if len(models) == 1 and models[0] in fits else None
    write_figure(plot_overlay(waveforms, fits=fit, events=events), target("waveforms.png"))
    if "observed" in product.children:
        _documents_of_records(product, events, target)
    write_geojson(to_geojson(product), target("stations.geojson"))
    table = to_table(product)
    for suffix in ("csv", "parquet"):
        write_table(table, target(f"stations.{suffix}"))
    write(product, target("peak_motion.zarr"), overwrite=True)
    report["files"] = [*files, f"{folder}/report.json"]
    write_bytes(target("report.json"), as_json(report))
    return files


def together(*parts: Any, progress: bool = False) -> tuple[Any, ...]:
    """Compute trees and dictionaries of Datasets in one graph, so that a shard is read once."""
    flat = [
        {node.path: node.to_dataset(inherit=False) for node in part.subtree}
        if isinstance(part, xr.DataTree) else part
        for part in parts
    ]  # fmt: skip
    done = compute.computed(*flat, progress=progress)
    attrs = [part.attrs if isinstance(part, xr.DataTree) else None for part in parts]
    results: list[Any] = []
    for part, root in zip(done, attrs, strict=True):
        if root is not None:
            part = xr.DataTree.from_dict(part)
            part.attrs = dict(root)
        results.append(part)
    return tuple(results)


def _documents_of_records(
    product: xr.DataTree, events: list[str], target: Callable[[str], str]
) -> None:
    """Station lists, amplitudes, spectra, and peaks beside a published model where it applies."""
    write_quakeml(to_catalog(product), target("amplitudes.xml"))
    records = product["observed"].to_dataset()
    for event in map(str, records["event"].values):
        stations = to_station_list(product, event=event)
        if stations["features"]:
            write_station_list(stations, target(f"shakemap/{event}_dat.json"))
    measures = _full_band(records)
    for number, event in enumerate(events):
        ending = "" if number == 0 else f"_{event}"
        if records.sizes.get("period", 0) > 1:
            spectra = plot_response_spectra(records, event=event)
            write_figure(spectra, target(f"spectra{ending}.png"))
        one = records.sel(event=event)
        known = np.isfinite(one["magnitude"]) and np.isfinite(one["epicentral_distance"]).any()
        if measures and known:
            figure = plot_attenuation(records, event=event, measures=measures)
            write_figure(figure, target(f"attenuation{ending}.png"))


def _full_band(records: xr.Dataset) -> list[str]:
    """Measures that the filters left as published models have them: no more than four."""
    low, high = 0.0, np.inf
    for step in lineage.steps(records):
        given = step["parameters"]
        if step["operator"] in ("bandpass", "highpass", "lowpass"):
            lower, upper = {"highpass": ("freq", ""), "lowpass": ("", "freq")}.get(
                step["operator"], ("freqmin", "freqmax")
            )
            low, high = max(low, given.get(lower, 0)), min(high, given.get(upper, np.inf))
        elif given.get("pre_filt"):
            low, high = max(low, given["pre_filt"][1]), min(high, given["pre_filt"][2])
    periods = records["period"].values.tolist() if "psa" in records else []
    spectral = [f"psa_{t:g}s" for t in periods if t <= 10 and low <= 1 / t <= high]
    return [n for n, top in _TOP.items() if n in records and high >= top][:2] + spectral[:2]


def _of_events(product: xr.DataTree, events: list[str]) -> xr.DataTree:
    nodes = {
        node.path: node.to_dataset(inherit=False).sel(event=events)
        for node in product.subtree
        if node.has_data
    }
    return xr.DataTree.from_dict(nodes)


def _report(
    store: str | os.PathLike[str],
    output: str | os.PathLike[str],
    parameters: dict[str, Any],
    assessment: Assessment,
    product: xr.DataTree,
) -> dict[str, Any]:
    """Counts of traces read, used, unmatched and rejected, and a row for each problem."""
    conversions = conversions_of(store, parameters, assessment.waveforms)
    rows = [row for report in conversions for row in report["rows"]]
    rejected = rejected_rows(assessment.rejected)
    used = 0
    for side, parts in assessment.parts.items():
        measured = product[side].to_dataset()["pga"]
        single = [c for c in measured["component"].values.tolist() if c not in ALL_COMBINATIONS]
        for part in parts:
            recorded = part["data_start"].notnull().sum("component").transpose("event", "station")
            for i, j in np.argwhere(recorded.values > 0):
                event, station = str(part["event"].values[i]), str(part["station"].values[j])
                there = int(recorded.values[i, j])
                values = measured.sel(event=event, station=station, component=single)
                found = int(values.notnull().sum())
                used += min(found, there)
                if found < there:
                    rejected.append(
                        {"file": "", "trace": station, "event": event, "side": side,
                         "status": "rejected",
                         "reason": f"{there - found} of {there} components without a value: no "
                         "response, no azimuth, or no samples in the window"}
                    )  # fmt: skip
    everything = [*rows, *rejected]
    counts = {
        "read": sum(report["traces_read"] for report in conversions),
        "used": used,
        **counted(everything, assessment.unmatched),
    }
    return heading("rapid-assessment", store, output, parameters) | {
        "counts": counts,
        "rows": everything,
        "unmatched": assessment.unmatched,
        "notes": assessment.notes,
    }
