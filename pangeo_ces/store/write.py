"""Writing a Dataset or a tree of them as a product."""

from __future__ import annotations

import os

import xarray as xr
import zarr
from dask.base import is_dask_collection
from icechunk.dask import store_dask

from ..conventions import VERSION
from ..errors import StoreError
from ..timeaxis import time_index
from . import repo
from .finalise import exact_encoding
from .urls import array_of, storage_fault


def write(
    product: xr.Dataset | xr.DataTree,
    url: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    tag: str | None = None,
) -> None:
    """Compute a Dataset or DataTree and publish it as a version of a store.

    Parameters
    ----------
    product
        Lazy or not; what can be computed together is computed in one graph.
    url
        Path or URL of a store, which ``open_store`` opens then.
    overwrite
        Publish a next version of a store that is there already; the earlier ones stay.
    tag
        Name for the version.

    Raises
    ------
    StoreError
        When the store exists and ``overwrite`` is not set.

    Examples
    --------
    >>> tree = pangeo_ces.open_store(pangeo_ces.samples.german_events("memory://doc-write"))
    >>> observed = tree["windows/main/observed/20Hz"].to_dataset()
    >>> write(pangeo_ces.detrend(observed), "memory://doc-product", tag="v1", overwrite=True)
    >>> "counts" in pangeo_ces.open_store("memory://doc-product@v1")
    True
    """
    tree = product if isinstance(product, xr.DataTree) else xr.DataTree(product)
    address, version = repo.split_version(url)
    if version:
        raise StoreError(f"{address}@{version}: versions never change, leave out @{version}")
    with storage_fault(address):
        repository = repo.obtain(address)
        if not overwrite and repo.versions(repository):
            raise StoreError(f"{address} exists: choose another place, or overwrite=True")
        if tag:
            repo.check_tag(repository, address, tag)
        draft = repo.Draft.begin(address, repo.draft_name("product"))
        try:
            lazy = _outline(tree, draft)
            draft.checkpoint()
            if lazy:
                _fill(lazy, draft)
            draft.publish("write a product", {"overwrite": overwrite}, tag)
        except BaseException:
            draft.discard()
            raise


def _outline(tree: xr.DataTree, draft: repo.Draft) -> dict[str, xr.Variable]:
    """Write groups, attributes, coordinates; what is to be computed, by path."""
    store = draft.session.store
    zarr.open_group(store, mode="w", zarr_format=3)
    lazy: dict[str, xr.Variable] = {}
    for node in tree.subtree:
        ds = _encode(node.to_dataset(inherit=False))
        if node is tree:
            ds = ds.assign_attrs(Conventions=f"CES-{VERSION}")
        ds.to_zarr(store, group=node.path, mode="a", consolidated=False, zarr_format=3,
                   compute=False)  # fmt: skip
        for name, variable in ds.variables.items():
            if is_dask_collection(variable):
                encoded = xr.conventions.encode_cf_variable(variable, name=name)
                lazy[f"{node.path.strip('/')}/{name}".strip("/")] = encoded
    return lazy


def _fill(lazy: dict[str, xr.Variable], draft: repo.Draft) -> None:
    """Compute everything at once, in sessions that are merged."""
    fork = draft.session.fork()
    root = zarr.open_group(fork.store, mode="r+", zarr_format=3)
    written = store_dask(
        sources=[variable.data for variable in lazy.values()],
        targets=[array_of(root, path) for path in lazy],
    )
    draft.session.merge(written)


def _encode(ds: xr.Dataset) -> xr.Dataset:
    """Replace the lazy time axis by the attributes it is made of."""
    if "time" in ds.xindexes:
        axis = time_index(ds).transform
        first = axis.offset / axis.interval
        ds = ds.drop_vars("time").assign_attrs(
            sampling_interval=str(axis.interval),
            first_sample=int(first) if first.denominator == 1 else str(first),
            time_origin=axis.origin,
        )
    return exact_encoding(ds)
