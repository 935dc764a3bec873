"""Writing a Dataset or a tree of them as a product."""

from __future__ import annotations

import os

import xarray as xr

from ..conventions import VERSION
from ..errors import StoreError
from ..timeaxis import time_index
from .finalise import COMPLETE, exact_encoding
from .urls import root_group, zarr_store


def write(
    product: xr.Dataset | xr.DataTree, url: str | os.PathLike[str], *, overwrite: bool = False
) -> None:
    """Compute a Dataset or DataTree and write it as a Zarr store that ``open_store`` opens.

    Parameters
    ----------
    product
        Lazy or not; what can be computed together is computed in one graph.
    url
        Path or fsspec URL.
    overwrite
        Replace a store that is there already.

    Raises
    ------
    StoreError
        When the store exists and ``overwrite`` is not set.
    """
    tree = product if isinstance(product, xr.DataTree) else xr.DataTree(product)
    root = root_group(url, "a")
    if not overwrite and root.attrs.get(COMPLETE):
        raise StoreError(f"{os.fspath(url)} exists: choose another place, or overwrite=True")
    root = root_group(url, "w")
    root.attrs.update({"Conventions": f"CES-{VERSION}", COMPLETE: False})
    encoded = xr.DataTree.from_dict(
        {node.path: _encode(node.to_dataset(inherit=False)) for node in tree.subtree}
    )
    encoded.attrs.update({"Conventions": f"CES-{VERSION}", COMPLETE: False})
    encoded.to_zarr(zarr_store(url), mode="a", consolidated=False, zarr_format=3)
    root_group(url, "r+").attrs[COMPLETE] = True


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
