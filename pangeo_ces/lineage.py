"""What was done to a Dataset: step records in its attributes.

Pure: no clock, no I/O, no machine name, so that the same steps on the same data always give the
same record.  Who ran it and when is added once, where a product is published.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import xarray as xr

ATTR = "ces_lineage"


def steps(ds: xr.Dataset | xr.DataArray | xr.DataTree) -> list[dict[str, Any]]:
    """The steps recorded so far, oldest first: ``{"operator", "parameters", "inputs"?}``."""
    return json.loads(ds.attrs.get(ATTR, "[]"))


def record(
    result: xr.Dataset, operator: str, parameters: Mapping[str, Any], inputs: tuple[xr.Dataset, ...]
) -> xr.Dataset:
    """``result`` with its step appended to the history of its first input.

    Further inputs keep their own histories inside the step.
    """
    step: dict[str, Any] = {"operator": operator, "parameters": dict(parameters)}
    if len(inputs) > 1:
        step["inputs"] = [steps(ds) for ds in inputs[1:]]
    history = steps(inputs[0]) if inputs else []
    return result.assign_attrs({ATTR: json.dumps([*history, step])})


def product_attrs(ds: xr.Dataset) -> dict[str, Any]:
    """The attributes that a product inherits from its waveforms: those not about their axis."""
    return {name: ds.attrs[name] for name in ("Conventions", ATTR) if name in ds.attrs}
