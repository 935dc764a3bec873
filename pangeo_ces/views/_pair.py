"""One observed and one synthetic trace out of many, for pictures of a single pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from pangeo_ces.conventions import MOTION, quantity_of
from pangeo_ces.errors import ParameterError
from pangeo_ces.views import contents


def select_pair(
    observed: xr.Dataset,
    synthetic: xr.Dataset,
    event: str | int,
    station: str,
    component: str,
) -> tuple[xr.Dataset, xr.Dataset, dict[str, Any]]:
    """Both sides of one pair, dimensions kept, and the labels that choose it.

    Raises
    ------
    ParameterError
        For an event, station or component that is not there.
    """
    index = contents.event_index(observed, event)
    labels: dict[str, Any] = {"event": observed["event"].values[index]}
    for dim, label in (("station", station), ("component", component)):
        known = [str(name) for name in observed[dim].values]
        if label not in known:
            raise ParameterError(f"no {dim} {label!r}; use one of {', '.join(known)}")
        labels[dim] = label
    one, two = (ds.sel({dim: [label] for dim, label in labels.items()})
                for ds in (observed, synthetic))  # fmt: skip
    return one, two, labels


def samples(ds: xr.Dataset) -> np.ndarray:
    """The samples of a Dataset of one trace."""
    return np.ravel(ds[quantity_of(ds, MOTION)].values)


def pair_title(ds: xr.Dataset, labels: dict[str, Any]) -> str:
    """Event, station, component and distance of a pair."""
    lines = ", ".join(contents.event_lines(ds))
    text = f"{labels['station']}  {labels['component']}"
    if "epicentral_distance" in ds.coords:
        km = float(np.ravel(ds["epicentral_distance"].values)[0]) / 1e3
        text += f"  {km:.0f} km" if np.isfinite(km) else ""
    return f"{lines}\n{text}"
