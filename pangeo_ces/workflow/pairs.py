"""Pairs of processed waveforms, and the product that is made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from ..blocks import consolidate_together
from ..products.adjoint import adjoint_source
from ..products.goodness_of_fit import goodness_of_fit
from ..products.misfit.measure import waveform_misfit
from ..products.time_frequency import time_frequency_misfit
from ..products.windowed import window_waveforms
from .merge import on_one_axis

#: Measures that are not those of ``waveform_misfit``.
OTHERS = ("time_frequency", "goodness_of_fit")


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Processed records and synthetics on one time axis, with the windows found in them.

    ``run`` has ``dt``, ``nstep`` and ``t0`` of the synthetics as they are stored.
    """

    model: str
    observed: xr.Dataset
    synthetic: xr.Dataset
    windows: xr.Dataset | None
    run: Mapping[str, Any]


def product_of(
    pairs: list[Pairs],
    measures: Sequence[str],
    band: Mapping[str, float],
    nf: int,
    w0: float,
    adjoint: str | None,
) -> xr.DataTree:
    """Measures and windows of all pairs, merged by model, and adjoint sources for each axis."""
    tables: dict[str, list[xr.Dataset]] = {}
    nodes: dict[str, xr.Dataset] = {}
    for number, pair in enumerate(pairs):
        found = [_measure(pair, measure, band, nf, w0) for measure in measures]
        tables.setdefault(f"measures/{pair.model}", []).append(_side_by_side(found))
        if pair.windows is not None:
            # Measures read windows of their own block; what is kept of them comes in one piece.
            windows = consolidate_together(pair.windows, ("event", "station", "component"))
            tables.setdefault(f"windows/{pair.model}", []).append(windows)
        if adjoint:
            nodes[f"adjoint/{pair.model}/{number}"] = adjoint_source(
                pair.observed, pair.synthetic, pair.windows, measure=adjoint, **band
            )
    for kind in ("measures", "windows"):
        same = {path: many for path, many in tables.items() if path.startswith(kind)}
        if same:
            nodes |= on_one_axis(same)
    return xr.DataTree.from_dict(nodes)


def _measure(
    pair: Pairs,
    measure: str,
    band: Mapping[str, float],
    nf: int,
    w0: float,
) -> xr.Dataset:
    """One measure, its variables named so that they can stand beside others."""
    observed, synthetic, windows = pair.observed, pair.synthetic, pair.windows
    if measure in OTHERS:
        if windows is not None:
            observed = window_waveforms(observed, windows)
            synthetic = window_waveforms(synthetic, windows)
        if measure == "goodness_of_fit":
            return goodness_of_fit(observed, synthetic)
        return time_frequency_misfit(
            observed, synthetic, fmin=1 / band["max_period"], fmax=1 / band["min_period"],
            nf=nf, w0=w0,
        )  # fmt: skip
    found = waveform_misfit(observed, synthetic, windows, measure=measure, **band)
    return found.rename(misfit=f"misfit_{measure}")


def _side_by_side(found: Sequence[xr.Dataset]) -> xr.Dataset:
    """All measures as one Dataset; ``status`` is the worst of them."""
    result = found[0]
    for other in found[1:]:
        bare = other.drop_vars(list(other.coords))
        new = [name for name in bare.data_vars if name not in result]
        if "status" in bare and "status" in result:
            worst = xr.ufuncs.maximum(result["status"], bare["status"])
            result = result.assign(status=worst.assign_attrs(result["status"].attrs))
        kept = {str(n): other[n].coords[n] for n in other[new].dims if n in other[new].coords}
        result = result.assign(bare[new]).assign_coords(kept)
    return result
