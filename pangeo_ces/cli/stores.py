"""Verbs on stores: convert and inspect."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.tree import Tree

from .output import OUT, escape, few, print_rows, say, size, watched


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.argument("store")
@click.option(
    "--stations", multiple=True, help="StationXML, dataless SEED or STATIONS; repeatable."
)
@click.option("--event", multiple=True, help="QuakeML or CMTSOLUTION; repeatable.")
@click.option("--as", "as_", default="observed", show_default=True,
              help="What it is: observed, or synthetic/NAME.")  # fmt: skip
@click.option("--name", default="main", show_default=True, help="Window set, below windows/.")
@click.option("--report", type=click.Path(dir_okay=False), help="Write the report here as JSON.")
@click.option("--overwrite", is_flag=True, help="Replace what is there under the same name.")
@click.option("--strict", is_flag=True, help="Exit with 1 if anything was rejected.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def convert(
    inputs: tuple[str, ...],
    store: str,
    stations: tuple[str, ...],
    event: tuple[str, ...],
    as_: str,
    name: str,
    report: str | None,
    overwrite: bool,
    strict: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Put waveform files, stations and earthquakes into one Zarr STORE.

    INPUT is a file, a folder, a glob or a URL; STORE a path, memory:// or s3://.  With an event,
    records become event windows; without one, continuous data.

    \b
    ces convert data/*.mseed norcia.zarr --stations stations.xml --event quake.xml
    ces convert run1/OUTPUT_FILES norcia.zarr --as synthetic/specfem
    """
    from ..store.convert import convert as call
    from ..store.report import Report

    outcome = Report(store=store)
    try:
        call(list(inputs), store, stations=list(stations) or None, event=list(event) or None,
             as_=as_, name=name, overwrite=overwrite,
             progress=watched(quiet or as_json), report=outcome)  # fmt: skip
    finally:
        if report:
            outcome.write(report)
    if as_json:
        click.echo(json.dumps(outcome.to_dict()))
    else:
        _print_report(outcome)
    if strict and outcome.count("rejected"):
        raise SystemExit(1)


@click.command("inspect")
@click.argument("store")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def inspect_(store: str, as_json: bool) -> None:
    """Show the tree, axes, stations, gaps and bytes of a STORE."""
    from ..store.inspect import inspect_store

    facts = inspect_store(store)
    if as_json:
        click.echo(json.dumps(facts))
        return
    top = Tree(f"[bold]{escape(facts['url'])}[/] · {facts['conventions']} · {size(facts['bytes'])}")
    for node in facts["nodes"]:
        leaf = top.add(f"[bold]{node['path']}[/] · {', '.join(node['quantities'])}")
        leaf.add(" × ".join(f"{n} {dim}" for dim, n in node["dims"].items()))
        unit = "" if isinstance(node["start"], str) else " s after origin"
        leaf.add(f"{node['sampling_rate']:g} Hz, {node['start']} to {node['end']}{unit}")
        leaf.add(f"stations: {few(node['stations'])}; components: {' '.join(node['components'])}")
        if node["events"]:
            leaf.add(f"events: {few(node['events'])}")
        if "segments" in node:
            leaf.add(
                f"{node['segments']} segments, {node['gaps']} gaps ({node['missing_samples']} "
                f"samples), {node['overlaps']} overlaps ({node['differing_overlaps']} differing)"
            )
        leaf.add(f"{size(node['raw_bytes'])} raw; chunk {node['chunk']}, shard {node['shard']}")
    OUT.print(top)


def _print_report(report: Any) -> None:
    verb = "holds already" if report.unchanged else "wrote"
    say(
        f"{verb} {', '.join(report.nodes)} in {report.store}: {report.traces_used} of "
        f"{report.traces_read} traces from {report.files_read} files"
    )
    print_rows([(row.status, row.file, row.trace, row.reason) for row in report.rows
                 if row.status != "ignored"])  # fmt: skip
    if ignored := report.count("ignored"):
        say(f"{ignored} files in these folders are no waveforms and were left alone")
