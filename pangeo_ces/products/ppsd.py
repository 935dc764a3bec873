"""Probabilities of power spectral densities over time (McNamara & Buland 2004)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ..blocks import consolidate, map_blocks
from ..conventions import VARIABLES
from ..errors import ParameterError
from ..lineage import product_attrs
from ..process._runs import records
from ..registry import operator
from .noise_models import noise_model


@operator(needs="psd", gives=("histogram", "percentile_psd", "mode_psd", "mean_psd"))
def probabilistic_psd(
    product: xr.Dataset,
    *,
    db_bins: tuple[float, float, float] = (-200.0, -50.0, 1.0),
    percentiles: Sequence[float] = (5.0, 10.0, 50.0, 90.0, 95.0),
) -> xr.Dataset:
    """How often each power spectral density occurs over time (McNamara & Buland 2004).

    Parameters
    ----------
    product
        Of :func:`power_spectral_density`; select times first to use a part of them.
    db_bins
        First edge, last edge and width of the bins in dB.  Values beyond count in the bins at the
        ends; a value on an edge counts in the bin below, as in ObsPy.
    percentiles
        From 0 to 100.

    Returns
    -------
    xr.Dataset
        Over ``(…, station, component, period)``: ``histogram`` with ``level`` (centre of the bin
        in dB) last, ``percentile_psd`` with ``percentile`` last, and ``mode_psd`` (centre of
        the fullest bin).  ``percentile_psd`` and ``mean_psd`` are of the values themselves, not of
        the bins: ObsPy's are up to one bin away.  ``segments`` counts; ``nlnm`` and ``nhnm`` are
        Peterson's models at the periods.
    """
    low, high, width = (float(edge) for edge in db_bins)
    if not (low < high and 0 < width <= high - low):
        raise ParameterError(f"db_bins {db_bins}: give first edge, last edge and width in dB")
    if not all(0 <= percentile <= 100 for percentile in percentiles):
        raise ParameterError(f"percentiles {percentiles}: give numbers from 0 to 100")
    edges = np.linspace(low, high, int((high - low) / width) + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    values = product["psd"].transpose(..., "period", "time")
    dims = tuple(map(str, values.dims[:-1]))
    histogram = map_blocks(
        _histogram, values, dims=(*dims, "level"), sizes={"level": len(centres)}, dtype="int32",
        edges=edges,
    )  # fmt: skip
    statistics = map_blocks(
        _statistics, values, dims=(*dims, "percentile"), sizes={"percentile": len(percentiles) + 1},
        dtype="float64", percentiles=tuple(map(float, percentiles)),
    )  # fmt: skip
    histogram, statistics = consolidate(histogram), consolidate(statistics)
    histogram = histogram.assign_coords(level=("level", centres, {"units": "dB"}))
    count = histogram.sum("level")
    fullest = histogram["level"].where(histogram == histogram.max("level")).min("level")
    ranks = statistics.isel(percentile=slice(None, -1))
    result = xr.Dataset(attrs=product_attrs(product))
    measures = {
        "histogram": histogram,
        "percentile_psd": ranks.assign_coords(percentile=list(map(float, percentiles))),
        "mode_psd": fullest.where(count > 0),
        "mean_psd": statistics.isel(percentile=-1),
        "segments": count.max("period"),
        "nlnm": ("period", noise_model(product["period"].values, "low")),
        "nhnm": ("period", noise_model(product["period"].values, "high")),
    }
    for name, measure in measures.items():
        result[name] = measure
        result[name].attrs = VARIABLES[name].attrs
    return result


def _histogram(block, edges):
    flat = records(block)
    bins = np.clip(np.searchsorted(edges, flat, side="left") - 1, 0, len(edges) - 2)
    result = np.zeros((len(flat), len(edges) - 1), np.int32)
    rows = np.broadcast_to(np.arange(len(flat))[:, None], flat.shape)
    known = ~np.isnan(flat)
    np.add.at(result, (rows[known], bins[known]), 1)
    return result.reshape(*block.shape[:-1], len(edges) - 1)


def _statistics(block, percentiles):
    """Percentiles and the mean, of what is known."""
    flat = records(block).astype(np.float64)
    result = np.full((len(flat), len(percentiles) + 1), np.nan)
    for row, out in zip(flat, result, strict=True):
        known = row[~np.isnan(row)]
        if known.size:
            out[:] = [*np.percentile(known, percentiles), known.mean()]
    return result.reshape(*block.shape[:-1], len(percentiles) + 1)
