"""Opening a store: a lazy DataTree that follows the conventions."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
import zarr
from dask.base import tokenize
from xarray.backends import BackendArray
from xarray.core.indexing import (
    ExplicitIndexer,
    IndexingSupport,
    LazilyIndexedArray,
    explicit_indexing_adapter,
)

from ..conventions import VARIABLES, VERSION
from ..errors import StoreError
from ..timeaxis import time_coords
from .chunk_files import chunk_files
from .repo import split_version
from .samples import Samples
from .urls import dims_of, group_of, root_group, storage_fault

#: False on a group of plain Zarr while it is being written.
COMPLETE = "ces_complete"
#: Tables of a store that are not opened with it.
_TABLES = ("segments", "metadata")
#: Coordinates that are no rows of the conventions' table.
_LABELS = ("event_resource_id",)


def open_store(url: str | os.PathLike[str], *, chunked: bool = True) -> xr.DataTree:
    """Open a store lazily: no samples are read.

    Parameters
    ----------
    url
        Path or fsspec URL.
    chunked
        Whether samples are Dask arrays.  Otherwise they are read at once where their values are
        asked for, as xarray does without Dask: the quickest way to look at short windows.

    Returns
    -------
    xr.DataTree
        ``windows/NAME/observed/RATE``, ``windows/NAME/synthetic/MODEL/RATE`` and
        ``continuous/RATE``, each a Dataset with a lazy ``time`` axis.  Counts come as float32
        (float64 where they need more than 24 bits) with NaN in gaps; Dask chunks are the shards
        of the store.

    Raises
    ------
    StoreError
        When there is no store, or it follows another major version of the conventions.

    Warns
    -----
    UserWarning
        When a conversion into the store was interrupted; its group is left out.

    Examples
    --------
    >>> tree = open_store(pangeo_ces.samples.german_events("memory://doc-open"))
    >>> sorted(tree["windows/main"].children)
    ['observed', 'synthetic']
    """
    with storage_fault(split_version(url)[0], disk=False):
        return _open(url, chunked)


def _open(url: str | os.PathLike[str], chunked: bool) -> xr.DataTree:
    root = root_group(url)
    if "Conventions" not in root.attrs:
        raise StoreError(
            f"{os.fspath(url)} is a Zarr group but no CES store: make one with ces convert"
        )
    _check_version(str(root.attrs["Conventions"]), url)
    nodes: dict[str, xr.Dataset] = {"/": xr.Dataset(attrs=dict(root.attrs))}
    if root.attrs.get(COMPLETE) is False:
        raise StoreError(f"{os.fspath(url)} is incomplete, writing it was interrupted: do it again")
    for path, group in [("/", root), *_groups(root, "")]:
        if "sampling_interval" in group.attrs:
            nodes[path] = _open_node(root, path, group, split_version(url)[0], chunked)
        elif any(True for _ in group.array_keys()):
            nodes[path] = _small(root, path, group)
    try:
        return xr.DataTree.from_dict(nodes)
    except ValueError as error:
        raise StoreError(
            f"the groups of {os.fspath(url)} do not share their events ({error}): a conversion was "
            "interrupted or two ran at once; run them again, one after the other"
        ) from error


def _check_version(conventions: str, url: str | os.PathLike[str]) -> None:
    """Refuse a store of another major version of the conventions."""
    version = conventions.removeprefix("CES-")
    if version.partition(".")[0] != VERSION.partition(".")[0]:
        raise StoreError(
            f"{os.fspath(url)} follows {conventions}, this package reads CES-{VERSION}: use the "
            "version of pangeo_ces that wrote it"
        )


def waveforms(tree: xr.DataTree, path: str) -> Iterator[tuple[str, xr.Dataset]]:
    """Paths and Datasets of all waveform nodes at or below ``path``."""
    if path.strip("/") and path.strip("/") not in [n.path.strip("/") for n in tree.subtree]:
        return
    for node in (tree[path] if path.strip("/") else tree).subtree:
        if "sampling_interval" in node.attrs:
            yield node.path.lstrip("/"), node.to_dataset()


def conversion_reports(url: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """The reports of the conversions that made a store, by what they converted."""
    root = root_group(url)
    if "metadata" not in root:
        return {}
    group = group_of(root, "metadata")
    return {
        path: json.loads(str(child.attrs["report"]))
        for path, child in _groups(group, "")
        if "report" in child.attrs
    }


def _groups(group: zarr.Group, path: str) -> Iterator[tuple[str, zarr.Group]]:
    for name, child in sorted(group.groups()):
        where = f"{path}/{name}".lstrip("/")
        if name in _TABLES:
            continue
        if child.attrs.get(COMPLETE) is False:
            warnings.warn(
                f"{where} is incomplete, its conversion was interrupted, and is left out: run the "
                "same ces convert again",
                stacklevel=3,
            )
            continue
        yield where, child
        yield from _groups(child, where)


def _small(root: zarr.Group, path: str, group: zarr.Group) -> xr.Dataset:
    """Axes and coordinates, in memory."""
    large = [name for name, array in group.arrays() if "time" in dims_of(array)]
    ds = xr.open_zarr(
        root.store, group=os.path.join(root.path, path), chunks=None, consolidated=False,
        zarr_format=3, drop_variables=large,
    ).load()  # fmt: skip
    for name, variable in ds.variables.items():
        ds[name].encoding = {}
        if name == "response_document":  # long texts: no fixed width
            ds[name] = (variable.dims, np.array(variable.values.tolist(), dtype=object))
        elif variable.dtype.kind in "OT":
            ds[name] = (
                variable.dims,
                np.array(variable.values.tolist(), dtype=str),
                variable.attrs,
            )
    if "response_id" in ds and "response_document" not in ds:  # there is none
        ds["response_document"] = ("response", np.empty(0, dtype=object))
    axes = [name for name, row in VARIABLES.items() if row.dims is not None]
    return ds.set_coords([name for name in ds.data_vars if name in axes or name in _LABELS])


def _open_node(
    root: zarr.Group, path: str, group: zarr.Group, address: str, chunked: bool
) -> xr.Dataset:
    ds = _small(root, path, group)
    interval = Fraction(str(group.attrs["sampling_interval"]))
    first = Fraction(str(group.attrs["first_sample"]))
    arrays = dict(group.arrays())
    for name, array in arrays.items():
        if "time" not in dims_of(array):
            continue
        samples = Samples(array, chunk_files(address, array))
        data: Any = _dask_array(samples) if chunked else LazilyIndexedArray(_Backend(samples))
        variable = xr.Variable(dims_of(array), data, dict(array.attrs))
        if "time" not in ds.coords:
            origin: Any = group.attrs["time_origin"]
            ds = ds.assign_coords(
                time_coords(
                    samples=array.shape[-1],
                    interval=interval,
                    offset=first * interval,
                    origin=None if origin is None else int(origin),
                )
            )
        ds[name] = variable
    return ds


def lazy_names(tree: xr.DataTree) -> list[str]:
    """Names of the samples of a store: the same for the same version of it alone."""
    return [
        variable.data.name
        for node in tree.subtree
        for variable in node.to_dataset(inherit=False).variables.values()
        if isinstance(variable.data, da.Array)
    ]


def _dask_array(samples: Samples) -> da.Array:
    array = samples.array
    blocks = array.shards or array.chunks
    whole = tuple(min(n, length) for n, length in zip(blocks, array.shape, strict=True))
    # The same store, version and array have the same name, so that graphs of it are shared.
    name = f"samples-{tokenize(array.store, array.path, array.metadata)}"
    meta = np.empty((0,) * array.ndim, samples.dtype)
    return da.from_array(
        samples, chunks=whole, name=name, asarray=False, meta=meta, inline_array=True
    )


class _Backend(BackendArray):
    """Samples as xarray reads them without Dask."""

    def __init__(self, samples: Samples):
        self.samples, self.shape, self.dtype = samples, samples.shape, samples.dtype

    def __getitem__(self, key: ExplicitIndexer) -> np.ndarray:
        return explicit_indexing_adapter(
            key, self.shape, IndexingSupport.BASIC, self.samples.__getitem__
        )
