"""Verbs on operators: list, describe, apply."""

from __future__ import annotations

import inspect
import json
from typing import Any

import click
from rich.table import Table

from .clusters import cluster_options
from .output import OUT, escape, say
from .signatures import plain


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON schemas.")
def operators(name: str | None, as_json: bool) -> None:
    """List the operators, or describe the one called NAME."""
    from ..workflow.catalogue import operators as known

    chosen = known()
    if name is not None:
        if name not in chosen:
            raise click.UsageError(f"no operator {name!r}: ces operators lists them")
        chosen = {name: chosen[name]}
    if as_json:
        click.echo(json.dumps({key: entry.schema() for key, entry in chosen.items()}))
        return
    if name is not None:
        entry = chosen[name]
        click.echo(f"{name}{inspect.signature(entry.function)}\n")
        click.echo(inspect.getdoc(entry.function))
        return
    table = Table("operator", "what it does", "needs")
    for key, entry in sorted(chosen.items()):
        table.add_row(key, escape(plain(entry.doc)), ", ".join(entry.needs))
    OUT.print(table)


@click.command("apply", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("store")
@click.argument("node")
@click.argument("output")
@click.option("--set", "settings", multiple=True, metavar="KEY=JSON",
              help="A parameter, its value as JSON; repeatable.")  # fmt: skip
@click.option("--with", "others", multiple=True, metavar="NODE", help="Further input nodes.")
@cluster_options
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT.")
def apply_(
    name: str,
    store: str,
    node: str,
    output: str,
    settings: tuple[str, ...],
    others: tuple[str, ...],
    cluster: str | None,
    workers: str | None,
    overwrite: bool,
) -> None:
    """Run the operator NAME on a NODE of a STORE and write OUTPUT.

    \b
    ces apply bandpass norcia.zarr windows/main/observed/100Hz filtered.zarr \\
        --set freqmin=0.1 --set freqmax=2
    """
    from ..compute import connect
    from ..workflow.catalogue import apply

    parameters = dict(_setting(item) for item in settings)
    with connect(cluster, workers=workers):
        apply(name, store, [node, *others], output, parameters, overwrite=overwrite)
    say(f"wrote {output}")


def _setting(item: str) -> tuple[str, Any]:
    key, sign, value = item.partition("=")
    if not sign:
        raise click.UsageError(f"--set {item}: write KEY=VALUE, as in --set freqmin=0.1")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value
