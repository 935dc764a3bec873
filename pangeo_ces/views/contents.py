"""What a rapid-assessment product holds: sources, measures, events, and how they are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pangeo_ces.errors import InputError, ParameterError

COMPARISONS = ("difference", "relative_difference", "log_ratio")
MEASURES = ("pga", "pgv", "pgd", "psa")
COMBINATIONS = ("larger", "geometric_mean", "vector")


def sources(tree: xr.DataTree) -> dict[str, xr.Dataset]:
    """Groups of the product with values, by path.

    Parameters
    ----------
    tree : xarray.DataTree
        Groups ``observed``, ``synthetic/<model>``, ``difference/<model>``, …

    Returns
    -------
    dict of str to xarray.Dataset
        ``observed`` first, then the models, then the comparisons.
    """
    paths = ["observed"] if "observed" in tree.children else []
    for kind in ("synthetic", *COMPARISONS):
        if kind in tree.children:
            paths += [f"{kind}/{model}" for model in tree[kind].children]
    found = {path: tree[path].to_dataset() for path in paths}
    found = {path: ds for path, ds in found.items() if any(name in ds for name in MEASURES)}
    if not found:
        raise InputError(
            "the tree holds no ground motion; pass one with a group 'observed' or "
            "'synthetic/<model>' with pga, pgv, pgd or psa"
        )
    first_path, first = next(iter(found.items()))
    for path, ds in found.items():
        for dim in ("event", "station", "component"):
            if not np.array_equal(ds[dim].values, first[dim].values):
                raise InputError(
                    f"groups {first_path!r} and {path!r} differ in {dim!r}; "
                    "xarray.align them with join='outer' first"
                )
    return found


def source(tree: xr.DataTree, path: str) -> xr.Dataset:
    """One group of the product with values: ``observed``, ``synthetic/<model>``, …"""
    found = sources(tree)
    if path not in found:
        raise ParameterError(f"no {path!r} in this product: use one of {', '.join(found)}")
    return found[path]


def models(found: dict[str, xr.Dataset]) -> list[str]:
    """Names of the models among the paths of `sources`."""
    names = [path.split("/", 1)[1] for path in found if "/" in path]
    return list(dict.fromkeys(names))


def measure_names(ds: xr.Dataset) -> list[str]:
    """``pga``, ``pgv``, ``pgd`` and ``psa_<period>s``, those that the group has."""
    names = [name for name in MEASURES[:3] if name in ds]
    if "psa" in ds:
        names += [f"psa_{period:g}s" for period in ds["period"].values]
    return names


def measure(ds: xr.Dataset, name: str) -> xr.DataArray:
    """One measure (event, station, component), SI; ``psa_0.3s`` for one period of the spectrum."""
    if name in MEASURES[:3] and name in ds:
        return ds[name]
    if name.startswith("psa_") and "psa" in ds:
        for i, period in enumerate(ds["period"].values):
            if name == f"psa_{period:g}s":
                return ds["psa"].isel(period=i)
    raise ParameterError(f"no measure {name!r}; use one of {', '.join(measure_names(ds))}")


def measure_title(name: str) -> str:
    """``psa_0.3s`` as it is printed: ``PSA 0.3 s``."""
    if name.startswith("psa_"):
        return f"PSA {name[4:-1]} s"
    return name.upper()


def source_title(path: str) -> str:
    """``relative_difference/m1`` as it is printed: ``Relative difference (m1)``."""
    kind, _, model = path.partition("/")
    title = kind.replace("_", " ").capitalize()
    return f"{title} ({model})" if model else title


def station_codes(label: str) -> tuple[str, str, str, str]:
    """Network, station, location and band-instrument of ``NET.STA.LOC.BI``.

    Examples
    --------
    >>> station_codes("GR.BFO..HH")
    ('GR', 'BFO', '', 'HH')
    """
    parts = label.split(".")
    if len(parts) != 4:
        return "", label, "", ""
    return parts[0], parts[1], parts[2], parts[3]


def short_labels(labels: Sequence[str]) -> list[str]:
    """Station codes, or the whole label for those whose code is not unique."""
    codes = [station_codes(str(label))[1] for label in labels]
    return [
        code if codes.count(code) == 1 else str(label)
        for code, label in zip(codes, labels, strict=True)
    ]


def event_index(ds: xr.Dataset, event: str | int) -> int:
    """Position of an event given by its id or its position."""
    ids = [str(name) for name in ds["event"].values]
    if isinstance(event, str) and event in ids:
        return ids.index(event)
    if isinstance(event, int | np.integer) and 0 <= event < len(ids):
        return int(event)
    raise ParameterError(f"no event {event!r}; use one of {', '.join(ids)} or 0 to {len(ids) - 1}")


def event_lines(ds: xr.Dataset | xr.DataArray, index: int = 0) -> list[str]:
    """Name, origin time and size of an event, those known, each a text.

    The event may also be a scalar coordinate.
    """

    def scalar(name: str) -> Any:
        if name not in ds.coords:
            return None
        value = ds[name].values
        return value[index] if value.ndim else value[()]

    lines = [str(scalar("event_name") or scalar("event") or "")]
    time = scalar("origin_time")
    if time is not None and not pd.isna(time):
        lines.append(pd.Timestamp(time).round("s").strftime("%Y-%m-%d %H:%M:%S UTC"))
    size = scalar("magnitude")
    if size is not None and np.isfinite(size):
        lines.append(f"M {float(size):.1f}")
    return [line for line in lines if line]


def one_event(values: xr.DataArray) -> xr.DataArray:
    """Values without event and period dimension."""
    if "period" in values.dims:
        if values.sizes["period"] > 1:
            raise ParameterError(
                "several periods; choose one with .sel(period=…, method='nearest')"
            )
        values = values.isel(period=0)
    if "event" not in values.dims:
        return values
    if values.sizes["event"] != 1:
        raise ParameterError(f"{values.sizes['event']} events; choose one with .isel(event=0)")
    return values.isel(event=0)


def one_component(values: xr.DataArray, component: str | None) -> xr.DataArray:
    """Values of one component: the one asked for, else ``larger``, else the only one."""
    if "component" not in values.dims:
        return values
    names = [str(name) for name in values["component"].values]
    if component is None:
        component = "larger" if "larger" in names else names[0] if len(names) == 1 else ""
    if component not in names:
        raise ParameterError(
            f"no component {component!r}; use component= one of {', '.join(names)}"
        )
    return values.isel(component=names.index(component))
