"""The operator registry: one decorator gives checks, lineage, and the record that command line,
recipes and services are generated from.

An operator is a pure function ``Dataset -> Dataset``.  Its leading positional parameters are
Datasets, of which the last ones may be ``None`` by default; everything else is keyword-only and
can be written as JSON.  Given trees, it works on every node that holds data.  Other packages add
theirs through the entry-point group ``pangeo_ces.operators``.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import xarray as xr

from . import conventions, lineage
from .errors import ParameterError, SchemaError

OPERATORS: dict[str, Operator] = {}
ENTRY_POINTS = "pangeo_ces.operators"
#: What a parameter named ``windows`` holds: labels of the first and the last sample of each.
WINDOW_EDGES = ("window_start", "window_end")


@dataclasses.dataclass(frozen=True)
class Operator:
    """What is known of an operator without running it."""

    name: str
    function: Callable[..., xr.Dataset]
    needs: tuple[str, ...]
    gives: tuple[str, ...]

    @property
    def inputs(self) -> list[str]:
        """Names of the Dataset parameters."""
        return [p.name for p in _parameters(self.function) if p.kind is p.POSITIONAL_OR_KEYWORD]

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """The keyword-only parameters, annotations resolved."""
        hints = typing.get_type_hints(self.function)
        return {
            p.name: p.replace(annotation=hints.get(p.name, Any))
            for p in _parameters(self.function)
            if p.kind is p.KEYWORD_ONLY
        }

    @property
    def doc(self) -> str:
        """First paragraph of the docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n\n")[0].replace("\n", " ")

    def schema(self) -> dict[str, Any]:
        """JSON schema of the parameters."""
        properties = {}
        required = []
        for name, option in self.options.items():
            properties[name] = json_type(option.annotation)
            if option.default is option.empty:
                required.append(name)
            else:
                properties[name]["default"] = option.default
        return {
            "title": self.name,
            "description": self.doc,
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }


def operator(
    *, needs: str | Iterable[str] = (), gives: str | Iterable[str] = ()
) -> Callable[[Callable[..., xr.Dataset]], Callable[..., xr.Dataset]]:
    """Register a function as an operator.

    Parameters
    ----------
    needs
        Waveform quantities (or product variables) one of which every input must hold, in the
        units of the conventions; checked before the function runs.
    gives
        Variables of the result, for the catalogue.
    """
    wanted = (needs,) if isinstance(needs, str) else tuple(needs)
    made = (gives,) if isinstance(gives, str) else tuple(gives)

    def decorate(function: Callable[..., xr.Dataset]) -> Callable[..., xr.Dataset]:
        entry = Operator(function.__name__, function, wanted, made)
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checked(*datasets: xr.Dataset, **parameters: Any) -> xr.Dataset:
            try:
                bound = signature.bind(*datasets, **parameters)
            except TypeError as error:
                raise ParameterError(
                    f"{entry.name}: {error}; the call is {entry.name}{signature}"
                ) from None
            if any(isinstance(argument, xr.DataTree) for argument in bound.args):
                return _over_trees(entry, checked, bound)
            bound.apply_defaults()
            given = [
                name
                for name in entry.inputs
                if bound.arguments[name] is not None
                or signature.parameters[name].default is not None
            ]
            for name in given:
                _check_input(entry, name, bound.arguments[name])
            result = function(*bound.args, **bound.kwargs)
            options = {name: _plain(bound.arguments[name]) for name in entry.options}
            inputs = tuple(bound.arguments[name] for name in given)
            return lineage.record(result, entry.name, options, inputs)

        OPERATORS[entry.name] = dataclasses.replace(entry, function=checked)
        return checked

    return decorate


def load_operators() -> Mapping[str, Operator]:
    """All operators, those of installed plug-ins included."""
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        point.load()
    return OPERATORS


def json_type(annotation: Any) -> dict[str, Any]:
    """JSON schema of a parameter annotation."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        kinds = [json_type(a) for a in args if a is not type(None)]
        if type(None) in args:
            kinds.append({"type": "null"})
        return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    if origin is typing.Literal:
        return {"enum": list(args)}
    if origin in (list, tuple, Iterable) or annotation in (list, tuple):
        items = [a for a in args if a is not Ellipsis]
        schema: dict[str, Any] = {"type": "array"}
        if origin is tuple and items and Ellipsis not in args:
            return schema | {"prefixItems": [json_type(a) for a in items], "minItems": len(items),
                             "maxItems": len(items)}  # fmt: skip
        return schema | ({"items": json_type(items[0])} if items else {})
    if origin is not None and issubclass(origin, Iterable):
        return {"type": "array", "items": json_type(args[0])} if args else {"type": "array"}
    simple = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return {"type": simple[annotation]} if annotation in simple else {}


def _parameters(function: Callable[..., Any]) -> Iterable[inspect.Parameter]:
    return inspect.signature(function).parameters.values()


def _over_trees(
    entry: Operator, function: Callable[..., xr.Dataset], bound: inspect.BoundArguments
) -> Any:
    """The operator at every node that holds data, of trees with the same nodes."""
    trees = [argument for argument in bound.args if argument is not None]
    if not all(isinstance(tree, xr.DataTree) for tree in trees):
        raise SchemaError(f"{entry.name}: a tree beside a Dataset: give trees for all, or none")

    if not any(node.data_vars for node in trees[0].subtree):
        raise SchemaError(f"{entry.name}: the tree holds no data: give one of ces.open_store")

    def at_node(*nodes: xr.Dataset) -> xr.Dataset:
        return function(*nodes, **bound.kwargs) if nodes[0].data_vars else nodes[0]

    try:
        return xr.map_over_datasets(at_node, *trees)
    except xr.TreeIsomorphismError as error:
        raise SchemaError(
            f"{entry.name}: the trees have different nodes ({error}): give those whose sampling "
            "rates are the same, or single Datasets"
        ) from error


def _check_input(entry: Operator, name: str, ds: Any) -> None:
    if not isinstance(ds, xr.Dataset):
        hint = ".to_dataset()" if isinstance(ds, xr.DataArray) else " a Dataset"
        raise SchemaError(f"{entry.name}: {name} is a {type(ds).__name__}: give{hint}")
    waveforms = [need for need in entry.needs if need in conventions.QUANTITIES]
    if name == "windows":
        missing = [edge for edge in WINDOW_EDGES if edge not in ds.data_vars]
        if missing:
            raise SchemaError(
                f"{entry.name}: windows has no {' and no '.join(missing)}: give a Dataset with "
                "both, in seconds after the origin time"
            )
    elif waveforms:
        conventions.quantity_of(ds, waveforms)
    elif entry.needs and not set(entry.needs) & set(map(str, ds.data_vars)):
        raise SchemaError(
            f"{entry.name}: {name} has none of {', '.join(entry.needs)}: compute one of them first"
        )


def _plain(value: Any) -> Any:
    """A parameter as JSON has it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    raise ParameterError(f"parameter {value!r} cannot be written as JSON: give plain numbers")
