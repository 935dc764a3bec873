"""Running the misfit recipe from a store to a folder of numbers, pictures and adjoint sources."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from .. import compute
from ..conventions import split_label
from ..errors import ParameterError
from ..products._pairs import OK
from ..storage import file_system, open_url, write_bytes
from ..store.open import lazy_names, open_store
from ..store.write import write
from ..unfinished import resumable
from ..views import (
    plot_map,
    plot_misfit_histogram,
    plot_section,
    plot_time_frequency_misfit,
    plot_windows,
    to_misfit_geojson,
    to_misfit_table,
    to_windows_table,
    write_adjoint_sources,
    write_figure,
    write_geojson,
    write_misfit_report,
    write_table,
)
from ..views.files import file_name
from .misfit import PRESETS, Misfit, misfit
from .pairs import Pairs
from .report import (
    as_json,
    conversions_of,
    counted,
    heading,
    refuse_empty,
    rejected_rows,
    with_preset,
)
from .run import Outcome, together

#: Measures that are mapped and counted, the first that there are.
_SHOWN = ("em", "pm", "cc", "time_shift", "dlna", "misfit_waveform", "misfit_cc_traveltime")
_MAPS, _STATIONS_IN_SECTIONS = 3, 60
#: Stations in a chunk of stored adjoint sources.
_STATIONS_A_CHUNK = 32


def run_misfit(
    store: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    preset: str = "default",
    cluster: str | None = None,
    progress: bool = False,
    panels: int = 6,
    **parameters: Any,
) -> Outcome:
    """Compare the records and simulations of a store and write everything into a folder.

    Parameters
    ----------
    store
        Path or URL of a store with event windows.
    output
        Folder (path or URL); files of an earlier run are replaced.
    preset
        Named parameter set: ``default``, ``verce``, ``verce_pyflex`` or
        ``verce_pyflex_and_time_frequency``; ``parameters`` win over it.
    cluster
        Where to compute: a name of :func:`~pangeo_ces.connect`.
    progress
        Show a progress bar.
    panels
        Pairs with pictures of their own, those of the nearest stations.
    parameters
        Of :func:`misfit`.

    Returns
    -------
    Outcome
        ``files`` are ``misfit.zarr``, ``misfit.csv``, ``misfit.parquet``, ``misfit.geojson``,
        ``report.html``, ``report.json``; with windows ``windows.csv`` and ``windows.parquet``;
        pictures below ``panels/``; with ``adjoint`` SPECFEM's files below ``adjoint/MODEL/EVENT/``.
    """
    parameters = with_preset(PRESETS, preset, parameters)
    tree = open_store(store)
    folder = os.fspath(output).rstrip("/")
    before = _files_of_earlier(folder)
    with resumable(folder, "misfit", lazy_names(tree), parameters) as earlier:
        with compute.connect(cluster):
            outcome = misfit(tree, **parameters)
            product, shown = _computed(outcome, max(panels, _STATIONS_IN_SECTIONS), progress)
            table = to_misfit_table(product)
            report = _report(store, output, parameters, outcome, table)
            report["resumed_blocks"] = earlier.used
            refuse_empty(report, "measured", folder, "pair")
            product.attrs["recipe"] = "misfit"
            product.attrs["parameters"] = as_json(parameters).decode()
            files = [f"{folder}/misfit.zarr"]
            # Adjoint sources are as large as the waveforms: straight to the store, never all at
            # once.
            write(_with_sources(product, outcome), files[0], overwrite=True)
            if parameters.get("adjoint"):
                files += _write_adjoints(outcome.pairs, folder, report)

        def target(name: str) -> str:
            files.append(f"{folder}/{name}")
            return files[-1]

        for suffix in ("csv", "parquet"):
            write_table(table, target(f"misfit.{suffix}"))
            if "windows" in product.children:
                write_table(to_windows_table(product), target(f"windows.{suffix}"))
        write_geojson(to_misfit_geojson(product), target("misfit.geojson"))
        figures = {
            "Maps": _maps(product),
            "Distributions": _histograms(product),
            "Record sections": [s for pair in shown for s in _sections(pair)],
            "Pairs in pictures": _panels(shown, panels, parameters, outcome, target),
        }
        write_misfit_report(target("report.html"), table, figures, report)
        report["files"] = [*files, f"{folder}/report.json"]
        write_bytes(target("report.json"), as_json(report))
        _remove(before - set(files), folder)
    return Outcome(product, files, report, {})


def _computed(outcome: Misfit, stations: int, progress: bool) -> tuple[xr.DataTree, list[Pairs]]:
    """The product but for its adjoint sources, and the pairs that are pictured."""
    shown = [_shown(pair, stations) for pair in outcome.pairs]
    waveforms = [{"observed": p.observed, "synthetic": p.synthetic} for p in shown]
    windows = [{} if p.windows is None else {"windows": p.windows} for p in shown]
    small = outcome.product.filter(lambda node: not node.path.startswith("/adjoint"))
    product, *computed = together(
        small, *(a | b for a, b in zip(waveforms, windows, strict=True)), progress=progress
    )
    pairs = [
        dataclasses.replace(
            pair, observed=done["observed"], synthetic=done["synthetic"],
            windows=done.get("windows"),
        )
        for pair, done in zip(shown, computed, strict=True)
    ]  # fmt: skip
    return product, pairs


def _files_of_earlier(folder: str) -> set[str]:
    """What the last run into the folder says it wrote."""
    try:
        with open_url(f"{folder}/report.json") as file:
            return {str(name) for name in json.load(file).get("files", [])}
    except (OSError, ValueError, AttributeError):
        return set()


def _remove(names: set[str], folder: str) -> None:
    """Files of an earlier run that this one has not written again, inside the folder alone."""
    for name in sorted(names):
        if (
            name.startswith(f"{folder}/")
            and ".." not in name.split("/")
            and not name.endswith(".zarr")
        ):
            filesystem, path = file_system(name)
            if filesystem.isfile(path):
                filesystem.rm(path)


def _with_sources(product: xr.DataTree, outcome: Misfit) -> xr.DataTree:
    """The product with its adjoint sources, these still lazy and in even chunks."""
    nodes = {node.path: node.to_dataset(inherit=False) for node in product.subtree}
    for node in outcome.product.subtree:
        if node.path.startswith("/adjoint") and node.data_vars:
            ds = node.to_dataset(inherit=False)
            even = {"event": 1, "station": _STATIONS_A_CHUNK, "component": -1, "time": -1}
            # Variable by variable: rechunking a Dataset would look at the lazy time axis.
            nodes[node.path] = ds.assign(
                {
                    name: variable.variable.chunk({d: even[str(d)] for d in variable.dims})
                    for name, variable in ds.data_vars.items()
                }
            )
    tree = xr.DataTree.from_dict(nodes)
    tree.attrs = dict(product.attrs)
    return tree


def _write_adjoints(pairs: list[Pairs], folder: str, report: dict[str, Any]) -> list[str]:
    """SPECFEM's files, a folder for each model and event, from the stored sources.

    A station has one source: that of its first instrument with a window; others get a row.
    """
    tree = open_store(f"{folder}/misfit.zarr")
    files: list[str] = []
    stations: dict[str, list[bytes]] = {}
    taken: dict[tuple[str, str], str] = {}
    for number, pair in enumerate(pairs):
        sources = tree[f"adjoint/{pair.model}/{number}"].to_dataset()
        good = (sources["status"] == OK).any("component").transpose("event", "station").values
        for i, event in enumerate(map(str, sources["event"].values)):
            where = f"{folder}/adjoint/{file_name(pair.model)}/{file_name(event)}"
            kept = []
            for j in np.flatnonzero(good[i]):
                label = str(sources["station"].values[j])
                first = taken.setdefault((where, ".".join(split_label(label)[:2])), label)
                if first == label:
                    kept.append(int(j))
                    continue
                report["rows"].append(
                    {"file": "", "trace": label, "event": event,
                     "side": f"synthetic/{pair.model}", "status": "warning",
                     "reason": f"no adjoint source: its station has that of {first}"}
                )  # fmt: skip
                report["counts"]["warnings"] += 1
            if kept:
                one = sources.isel(event=[i], station=kept)
                *traces, index = write_adjoint_sources(one, where, **pair.run)
                files += traces
                with open_url(index) as file:
                    stations.setdefault(index, []).append(file.read())
    for index, parts in stations.items():
        write_bytes(index, b"".join(parts))
    return [*files, *stations]


def _shown(pair: Pairs, count: int) -> Pairs:
    """What pictures show: the event with most pairs, its nearest stations."""
    both = pair.observed["data_start"].notnull() & pair.synthetic["data_start"].notnull()
    event = int(both.sum(["station", "component"]).values.argmax())
    distance = pair.observed["epicentral_distance"].isel(event=event).values
    first = np.sort(np.argsort(distance, kind="stable")[:count])
    here = {"event": [event], "station": first}
    windows = None if pair.windows is None else pair.windows.isel(here)
    return dataclasses.replace(
        pair, observed=pair.observed.isel(here), synthetic=pair.synthetic.isel(here),
        windows=windows,
    )  # fmt: skip


def _measures(product: xr.DataTree) -> list[tuple[str, xr.Dataset, list[str]]]:
    """Model, Dataset and the names of what is shown of it."""
    found = []
    for model, node in product["measures"].children.items():
        ds = node.to_dataset()
        names = [name for name in _SHOWN if name in ds and ds[name].notnull().any()]
        found.append((model, ds, names))
    return found


def _maps(product: xr.DataTree) -> list[tuple[str, Figure]]:
    """Maps of the first measures of the event with most values, a figure for each."""
    figures = []
    for model, ds, names in _measures(product):
        for name in names[:_MAPS]:
            values = ds[name]
            event = values.notnull().sum(["station", "component"]).values.argmax()
            one = values.isel(event=event)
            component = one["component"].values[one.notnull().sum("station").values.argmax()]
            placed = one.sel(component=component).dropna("station")
            ax = plot_map(placed, diverging=name in ("time_shift", "dlna"))
            figure = ax.get_figure(root=True)
            assert isinstance(figure, Figure)
            figures.append((f"{name} of {component}, {model}", figure))
    return figures


def _histograms(product: xr.DataTree) -> list[tuple[str, Figure]]:
    return [(f"{name}, {model}", plot_misfit_histogram(ds[name]))
            for model, ds, names in _measures(product) for name in names]  # fmt: skip


def _sections(pair: Pairs) -> list[tuple[str, Figure]]:
    """The vertical records, with windows."""
    waves = {"observed": pair.observed, f"synthetic/{pair.model}": pair.synthetic}
    component = "Z" if "Z" in pair.observed["component"].values else None
    component = component or str(pair.observed["component"].values[0])
    figure = plot_section(
        waves, component=component, windows=pair.windows,
        max_stations=_STATIONS_IN_SECTIONS,
    )  # fmt: skip
    return [(f"{component} with windows, {pair.model}" if pair.windows is not None
             else f"{component}, {pair.model}", figure)]  # fmt: skip


def _panels(
    shown: list[Pairs],
    count: int,
    parameters: dict[str, Any],
    outcome: Misfit,
    target: Callable[[str], str],
) -> list[tuple[str, Figure]]:
    """Windows and time-frequency panels of the nearest pairs, written one by one too."""
    figures: list[tuple[str, Figure]] = []
    ranked = []
    for pair in shown:
        both = pair.observed["data_start"].notnull() & pair.synthetic["data_start"].notnull()
        for i, j, k in np.argwhere(both.transpose("event", "station", "component").values):
            distance = float(pair.observed["epicentral_distance"].values[i, j])
            ranked.append((distance, int(i), int(j), int(k), pair))
    ranked.sort(key=lambda row: row[:4])
    for _, i, j, k, pair in ranked[:count]:
        event, station, component = (
            str(pair.observed[dim].values[n])
            for dim, n in (("event", i), ("station", j), ("component", k))
        )
        here: dict[str, Any] = {"event": event, "station": station, "component": component}
        name = file_name(f"{event}-{station}-{component}-{pair.model}")
        made = []
        if pair.windows is not None:
            made.append(
                ("windows", plot_windows(pair.observed, pair.synthetic, pair.windows, **here))
            )
        if "time_frequency" in parameters.get("measures", ("time_frequency",)):
            band: dict[str, Any] = {"fmin": 1 / outcome.band[1], "fmax": 1 / outcome.band[0]}
            wavelets = {key: parameters[key] for key in ("nf", "w0") if key in parameters}
            try:
                figure = plot_time_frequency_misfit(
                    pair.observed, pair.synthetic, **here, **band, **wavelets
                )
            except ParameterError:
                continue  # its row in the table says what is wrong with the pair
            made.append(("time-frequency", figure))
        for kind, figure in made:
            write_figure(figure, target(f"panels/{kind}-{name}.png"), dpi=110)
            figures.append((f"{kind}, {name}", figure))
    return figures


def _report(
    store: str | os.PathLike[str],
    output: str | os.PathLike[str],
    parameters: dict[str, Any],
    outcome: Misfit,
    table: Any,
) -> dict[str, Any]:
    """Counts, and a row for each channel that is left out, with the reason."""
    sides = ["observed", *(f"synthetic/{pair.model}" for pair in outcome.pairs)]
    rows = [row for report in conversions_of(store, parameters, sides) for row in report["rows"]]
    rows += rejected_rows(outcome.rejected)
    absent = table["status"].isin(["no_observed", "no_synthetic"])
    # A component that only one side has is a fault where its station was compared at all.
    site = [table[name] for name in ("model", "event", "network", "station", "location", "channel")]
    compared = (~absent).groupby(site).transform("any")
    faults = table[(table["status"] != "ok") & (~absent | compared)]
    rows += [
        {"file": "", "trace": f"{r.network}.{r.station}.{r.location}.{r.channel}{r.component}",
         "event": r.event, "side": f"synthetic/{r.model}", "status": "warning",
         "reason": r.status.replace("_", " ")}
        for r in faults.itertuples()
    ]  # fmt: skip
    counts = {
        "pairs": int((~absent).sum()),
        "measured": int((table["status"] == "ok").sum()),
        **counted(rows, outcome.unmatched),
    }
    return heading("misfit", store, output, parameters) | {
        "counts": counts,
        "rows": rows,
        "unmatched": outcome.unmatched,
        "notes": outcome.notes,
    }
