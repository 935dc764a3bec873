"""Running any registered operator by name."""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any

from .. import compute, process, products
from ..errors import InputError, ParameterError
from ..registry import Operator, load_operators
from ..store.open import open_store
from ..store.write import write


def operators() -> Mapping[str, Operator]:
    """All operators by name, those of plug-ins included."""
    for package in (process, products):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    return load_operators()


def apply(
    name: str,
    store: str | os.PathLike[str],
    nodes: Sequence[str],
    output: str | os.PathLike[str],
    parameters: Mapping[str, Any],
    *,
    cluster: str | None = None,
    overwrite: bool = False,
) -> None:
    """Run an operator on nodes of a store and write what comes out.

    Parameters
    ----------
    name
        Of the operator.
    store, nodes
        Where its Datasets are, in the order of its parameters.
    output
        Path or URL of the result.
    parameters
        Its options.
    cluster
        Where to compute.
    overwrite
        Replace ``output``.
    """
    known = operators()
    if name not in known:
        raise ParameterError(f"no operator {name!r}: use one of {', '.join(sorted(known))}")
    tree = open_store(store)
    paths = {node.path.strip("/") for node in tree.subtree}
    missing = [node for node in nodes if node.strip("/") not in paths]
    if missing:
        raise InputError(f"no node {', '.join(missing)} in the store: ces inspect lists them")
    result = known[name].function(*(tree[node].to_dataset() for node in nodes), **parameters)
    with compute.connect(cluster):
        write(result, output, overwrite=overwrite)
