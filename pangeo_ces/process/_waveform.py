"""Putting a processed waveform back into its Dataset."""

from __future__ import annotations

import xarray as xr

from ..conventions import VARIABLES


def replace(ds: xr.Dataset, old: str, new: str, values: xr.DataArray) -> xr.Dataset:
    """``ds`` with waveform ``old`` replaced by ``values`` under the name ``new``.

    Along a dimension whose length or labels ``values`` changes, nothing else is kept.
    """
    values = values.copy(deep=False)
    values.attrs = dict(VARIABLES[new].attrs)
    changed = {
        dim
        for dim in values.dims
        if values.sizes[dim] != ds.sizes.get(dim, 0)
        or (dim in ds.xindexes and dim in values.xindexes and not _same(ds, values, str(dim)))
    }
    lost = [n for n, variable in ds.variables.items() if n != old and changed & set(variable.dims)]
    return ds.drop_vars([old, *lost]).assign({new: values})


def _same(ds: xr.Dataset, values: xr.DataArray, dim: str) -> bool:
    return ds.xindexes[dim].equals(values.xindexes[dim])
