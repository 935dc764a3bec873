"""Command-line commands generated from the signatures and docstrings of functions."""

from __future__ import annotations

import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from .clusters import CLUSTER_OPTIONS


def recipe_command(
    name: str, function: Callable[..., Any], run: Callable[..., None], presets: Iterable[str]
) -> click.Command:
    """A command whose options are the keyword parameters of a recipe.

    Parameters
    ----------
    name
        Of the command.
    function
        The recipe; its docstring is the help.
    run
        Called with the store, the output folder, ``preset``, ``cluster``, ``workers``, the flags
        ``as_json``, ``quiet`` and ``strict``, and those parameters that were given.
    presets
        Names of the parameter sets.
    """
    doc = (inspect.getdoc(function) or "").partition("\n")[0]
    hints = typing.get_type_hints(function)
    parameters = {
        p.name: p.replace(annotation=hints.get(p.name, str))
        for p in inspect.signature(function).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    }
    descriptions = _numpydoc_parameters(function)

    def callback(**values: Any) -> None:
        given = {key: values.pop(key) for key in list(values) if key in parameters}
        chosen = {
            key: _typed(parameters[key], text) for key, text in given.items() if text is not None
        }
        run(
            values.pop("input"),
            values.pop("output"),
            as_json=values.pop("json"),
            **values,
            **chosen,
        )

    options: list[click.Parameter] = [
        click.Option(["--input"], required=True, metavar="STORE", help="Store with event windows."),
        click.Option(["--output"], required=True, metavar="DIR", help="Folder for the results."),
        *(click.Option([flag], help=text) for flag, text in CLUSTER_OPTIONS.items()),
        click.Option(
            ["--preset"], default="default", show_default=True, help=" or ".join(presets) + "."
        ),
    ]
    for key, parameter in parameters.items():
        default = "" if parameter.default is None else f"  [default: {_shown(parameter.default)}]"
        options.append(
            click.Option(
                [f"--{key.replace('_', '-')}", key],
                metavar=_metavar(parameter),
                help=descriptions.get(key, "") + default,
            )
        )
    flags = {
        "strict": "Exit with 1 if anything was rejected.",
        "json": "Print the report as JSON.",
        "quiet": "No progress bars.",
    }
    for flag, text in flags.items():
        options.append(click.Option([f"--{flag}"], is_flag=True, help=text))
    return click.Command(name, params=options, callback=callback, help=doc)


def _typed(parameter: inspect.Parameter, text: str) -> Any:
    """An option's text as the recipe's annotation wants it; ``none`` for None, commas for lists."""
    annotation = _without_none(parameter.annotation)
    if text.lower() == "none" and annotation is not parameter.annotation:
        return None
    origin = typing.get_origin(annotation)
    flag = f"--{parameter.name.replace('_', '-')}"
    try:
        if annotation is bool:
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
                text.lower()
            ]
        if annotation in (int, float, str):
            return annotation(text)
        if origin is typing.Literal:
            if text not in typing.get_args(annotation):
                raise ValueError(f"use one of {', '.join(typing.get_args(annotation))}")
            return text
        item = typing.get_args(annotation)[0]
        if Mapping in (origin, typing.get_origin(item)):
            return _from_json(text)
        return tuple(item(part) for part in text.split(",") if part.strip())
    except (KeyError, ValueError, OSError) as error:
        raise click.BadParameter(f"{text!r}: {error}", param_hint=flag) from None


def _from_json(text: str) -> Any:
    """JSON as such, or the name of a file that holds it."""
    return json.loads(text if text.lstrip()[:1] in ("{", "[") else Path(text).read_text())


def _metavar(parameter: inspect.Parameter) -> str:
    annotation = _without_none(parameter.annotation)
    names = {bool: "YES|NO", int: "INTEGER", float: "NUMBER", str: "TEXT"}
    if typing.get_origin(annotation) is typing.Literal:
        return "|".join(typing.get_args(annotation))
    item = (*typing.get_args(annotation), None)[0]
    if Mapping in (typing.get_origin(annotation), typing.get_origin(item)):
        return "JSON|FILE"
    return names.get(annotation, "A,B,…")


def _without_none(annotation: Any) -> Any:
    """``X`` of ``X | None``."""
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation
    return next(kind for kind in typing.get_args(annotation) if kind is not types.NoneType)


def plain(text: str) -> str:
    """A docstring's text without its markup."""
    return re.sub(r":\w+:`~?(?:pangeo_ces\.)?([^`]*)`|``([^`]*)``", r"\1\2", text)


def _shown(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ",".join(item if isinstance(item, str) else f"{item:g}" for item in value)
    return (
        {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    )


def _numpydoc_parameters(function: Callable[..., Any]) -> dict[str, str]:
    """Parameter texts of a numpydoc docstring."""
    lines = (inspect.getdoc(function) or "").splitlines()
    try:
        start = lines.index("Parameters") + 2
    except ValueError:
        return {}
    found: dict[str, str] = {}
    names: list[str] = []
    for line in lines[start:]:
        if line.startswith("---") or line in ("Returns", "Raises", "Notes"):
            break
        if line and not line.startswith(" "):
            names = [part.strip() for part in line.split(",")]
        elif line.strip():
            for name in names:
                found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return {name: plain(text) for name, text in found.items()}
