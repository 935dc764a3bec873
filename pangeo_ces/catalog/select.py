"""From items to lazy data: the nodes they name, cut to the stations, events and time asked for."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Callable

import numpy as np
import xarray as xr

from ..errors import StoreError
from ..store.open import open_store, waveforms
from ..store.repo import split_version
from .interval import FIRST, LAST, Interval
from .stac import ICECHUNK, Document


@dataclasses.dataclass
class _Wanted:
    """What of a node the items are about."""

    channels: set[str] = dataclasses.field(default_factory=set)
    events: set[str] = dataclasses.field(default_factory=set)


def open_items(
    items: list[Document], interval: Interval | None, channels: Callable[[str], bool] | None
) -> xr.DataTree | xr.Dataset:
    """The data of items; see :meth:`Found.open`."""
    wanted: dict[str, dict[str, _Wanted]] = {}
    for item in items:
        fields = item["properties"]
        ids = {id_ for id_ in fields.get("seis:channels", ()) if not channels or channels(id_)}
        for asset in item["assets"].values():
            if asset.get("type") == ICECHUNK and asset.get("seis:group"):
                nodes = wanted.setdefault(str(asset["href"]), {})
                part = nodes.setdefault(str(asset["seis:group"]), _Wanted())
                part.channels |= ids
                part.events |= {fields["seis:event_id"]} if "seis:event_id" in fields else set()
    if not wanted:
        raise StoreError(
            "these are raw files of an archive: make a store of them with ces convert"
            if items
            else "nothing was found, so there is nothing to open: ask for less"
        )
    found: dict[str, xr.Dataset] = {}
    names = _names(list(wanted))
    for url, nodes in wanted.items():
        tree = _open(url)
        for path, part in nodes.items():
            ds = _cut(_node(tree, path, url), part, interval)
            if ds is not None:
                found[f"{names[url]}{path}"] = ds
    if len(found) == 1:
        return next(iter(found.values()))
    return xr.DataTree.from_dict(found)


def _open(url: str) -> xr.DataTree:
    try:
        return open_store(url)
    except StoreError as error:
        raise StoreError(
            f"the catalogue refers to {url}, which cannot be opened ({error}): get the store to "
            "that place, or build the catalogue again"
        ) from error


def _node(tree: xr.DataTree, path: str, url: str) -> xr.Dataset:
    for found, ds in waveforms(tree, path):
        if found == path.strip("/"):
            return ds
    raise StoreError(f"{url} has no waveforms at {path!r}: build the catalogue again")


def _names(urls: list[str]) -> dict[str, str]:
    """What the paths of each store begin with, if there are several."""
    if len(urls) == 1:
        return {urls[0]: ""}
    names: dict[str, str] = {}
    for url in urls:
        base = posixpath.basename(split_version(url)[0].rstrip("/")).removesuffix(".zarr")
        name, count = base, 1
        while f"{name}/" in names.values():
            count += 1
            name = f"{base}-{count}"
        names[url] = f"{name}/"
    return names


def _cut(ds: xr.Dataset, part: _Wanted, interval: Interval | None) -> xr.Dataset | None:
    """A Dataset with what is wanted of it; ``None`` where that is nothing."""
    stations, components = ds["station"].values, ds["component"].values
    held = np.array([[f"{s}{c}" in part.channels for c in components] for s in stations])
    where = {
        "station": np.flatnonzero(held.any(axis=1)),
        "component": np.flatnonzero(held.any(axis=0)),
    }
    if "event" in ds.dims:
        where["event"] = np.flatnonzero(np.isin(ds["event"].values, list(part.events)))
    if not all(len(rows) for rows in where.values()):
        return None
    ds = ds.isel(where)
    if interval is not None and "event" not in ds.dims:
        first, last = (None if edge in (FIRST, LAST) else np.datetime64(edge, "ns")
                       for edge in interval)  # fmt: skip
        ds = ds.sel(time=slice(first, last))
    return ds
