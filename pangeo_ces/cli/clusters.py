"""Verbs on clusters, and the options by which other verbs choose one."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from typing import Any

import click
from rich.table import Table

from .output import OUT, escape, say

#: Options and their help, for commands that are written and those that are generated.
CLUSTER_OPTIONS = {
    "--cluster": "Where to compute: ces cluster list names them.",
    "--workers": "How many workers: 4, or 0:40 as the work needs them.",
}


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--cluster`` and ``--workers``, where something is computed."""
    for flag, text in reversed(CLUSTER_OPTIONS.items()):
        command = click.option(flag, help=text)(command)
    return command


@click.group()
def cluster() -> None:
    """List, check and start the clusters of the configuration."""


@cluster.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print names and what hinders them as JSON.")
def list_(as_json: bool) -> None:
    """All clusters: what they are, and whether anything is missing here."""
    from .. import config
    from ..compute import cluster_names, find, missing

    rows = [(name, find(name).kind, missing(name)) for name in cluster_names()]
    if as_json:
        click.echo(json.dumps([{"name": n, "kind": k, "missing": m} for n, k, m in rows]))
        return
    default = config.get("cluster")
    table = Table("cluster", "here")
    for name, _, lacks in rows:
        here = "ready" if not lacks else escape(lacks[0])
        table.add_row(f"{name} (default)" if name == default else name, here)
    OUT.print(table)


@cluster.command("check")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def check(name: str, as_json: bool) -> None:
    """Say what the cluster NAME lacks and how to mend it; exit with 1 if it lacks anything."""
    from ..compute import missing

    lacks = missing(name)
    if as_json:
        click.echo(json.dumps(lacks))
    for line in [] if as_json else lacks:
        say(f"missing: {line}")
    if not lacks and not as_json:
        say(f"{name}: nothing is missing")
    raise SystemExit(bool(lacks))


@cluster.command("start")
@click.argument("name")
@click.option("--workers", help=CLUSTER_OPTIONS["--workers"])
def start(name: str, workers: str | None) -> None:
    """Start the cluster NAME and keep it until Ctrl-C; others use it by the address printed."""
    from ..compute import connect
    from ..errors import ClusterError

    with connect(name, workers=workers) as connection:
        if connection.client is None:
            raise ClusterError(
                f"{name!r} lives in the process that computes: give --cluster {name} to ces run"
            )
        say(f"scheduler {connection.client.scheduler.address}")
        if connection.dashboard_link:
            say(f"dashboard {connection.dashboard_link}")
        say("Ctrl-C ends it")
        ended = threading.Event()
        previous = signal.signal(signal.SIGINT, lambda *_: ended.set())
        try:
            ended.wait()
        finally:
            signal.signal(signal.SIGINT, previous)
