"""Verbs that make and show stores: plan, convert in one go or by parts, inspect."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click
from rich.tree import Tree

from .clusters import cluster_options
from .output import OUT, escape, few, print_rows, say, size, watched


def _what(command: Callable[..., None]) -> Callable[..., None]:
    """What is converted, and as what."""
    options = (
        click.option("--stations", multiple=True,
                     help="StationXML, dataless SEED or STATIONS; repeatable."),
        click.option("--event", multiple=True, help="QuakeML or CMTSOLUTION; repeatable."),
        click.option("--as", "as_", default="observed", show_default=True,
                     help="What it is: observed, or synthetic/NAME."),
        click.option("--name", default="main", show_default=True,
                     help="Window set, below windows/."),
        click.option("--profile", type=click.Choice(["core", "archive"]), default="core",
                     show_default=True, help="How samples are compressed: every Zarr reader opens "
                     "core; archive is a quarter smaller."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _outcome(command: Callable[..., None]) -> Callable[..., None]:
    """What is told about it."""
    options = (
        click.option("--report", type=click.Path(dir_okay=False),
                     help="Write the report here as JSON."),
        click.option("--strict", is_flag=True, help="Exit with 1 if anything was rejected."),
        click.option("--json", "as_json", is_flag=True, help="Print the report as JSON."),
        click.option("--quiet", is_flag=True, help="No progress bars."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.argument("store")
@_what
@click.option("--overwrite", is_flag=True, help="Begin the group anew instead of adding to it.")
@click.option("--tag", metavar="NAME", help="Name for the version.")
@cluster_options
@_outcome
def convert(inputs: tuple[str, ...], store: str, overwrite: bool, tag: str | None,
            cluster: str | None, workers: str | None, **options: Any) -> None:  # fmt: skip
    """Put waveform files, stations and earthquakes into the next version of a STORE.

    INPUT is a file, a folder, a glob or a URL, a staged archive, or a plan that ces plan wrote;
    STORE a path, memory:// or s3://.  With an event, records become event windows; without one,
    continuous data.

    \b
    ces convert data/*.mseed norcia.zarr --stations stations.xml --event quake.xml
    ces convert run1/OUTPUT_FILES norcia.zarr --as synthetic/specfem
    ces convert archive@3 norcia.zarr --tag 2016a
    ces convert plan.json norcia.zarr
    """
    from ..compute import connect
    from ..store.convert import convert as call

    def run(outcome: Any) -> None:
        with connect(cluster, workers=workers):
            call(_plan_or(inputs), store, **_call(options), overwrite=overwrite, tag=tag,
                 progress=watched(options["quiet"] or options["as_json"]),
                 report=outcome)  # fmt: skip

    _tell(store, run, options)


@click.command("plan")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@_what
@click.option("--store", help="Where it will go; what that holds already is left out.")
@click.option("--output", metavar="FILE", help="Write the plan here as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def plan(inputs: tuple[str, ...], store: str | None, output: str | None, as_json: bool,
         quiet: bool, **options: Any) -> None:  # fmt: skip
    """Say what ces convert would do: nodes, chunks and shards, partitions, bytes, memory.

    The JSON may be edited (chunks and shards of new nodes) and given to ces convert or to
    ces convert-init.
    """
    from ..store.convert import plan as call

    found = call(list(inputs), **_call(options), store=store, progress=watched(quiet or as_json))
    if output:
        found.write(output)
    if as_json:
        click.echo(found.to_json())
        return
    for node in found.nodes:
        leaf = Tree(f"[bold]{escape(node['path'])}[/]")
        leaf.add(" × ".join(f"{n} {dim}" for dim, n in node["dims"].items()))
        leaf.add(f"chunk {node['chunks']}, shard {node['shards']}")
        leaf.add(f"{node['partitions']} partitions, {size(node['raw_bytes'])} raw; a worker needs "
                 f"at most {size(node['peak_memory'])}")  # fmt: skip
        OUT.print(leaf)
    totals = found.totals()
    say(f"{totals['traces']} traces from {totals['files']} files ({size(totals['input_bytes'])}), "
        f"{totals['partitions']} partitions, profile {found.profile}")  # fmt: skip
    print_rows([(row.status, row.file, row.trace, row.reason) for row in found.scan.problems
                if row.status != "ignored"])  # fmt: skip


@click.command("convert-init")
@click.argument("plan_file", metavar="PLAN")
@click.argument("store")
@click.option("--overwrite", is_flag=True, help="Begin the group anew instead of adding to it.")
@click.option("--tag", metavar="NAME", help="Name for the version.")
def convert_init(plan_file: str, store: str, overwrite: bool, tag: str | None) -> None:
    """Begin what a PLAN says, without a scheduler; prints the number of partitions.

    \b
    n=$(ces convert-init plan.json s3://bucket/store)
    sbatch --array=0-$((n-1)) --wrap 'ces convert-partition s3://bucket/store $SLURM_ARRAY_TASK_ID'
    ces convert-finalise s3://bucket/store
    """
    from ..store.plan import Plan
    from ..store.steps import begin

    job = begin(Plan.read(plan_file), store, overwrite=overwrite, tag=tag)
    click.echo(0 if job is None else job.partitions)


@click.command("convert-partition")
@click.argument("store")
@click.argument("numbers", nargs=-1, required=True, metavar="N|N-M...")
def convert_partition(store: str, numbers: tuple[str, ...]) -> None:
    """Write partitions of the conversion into STORE that is under way; repeat them as you like."""
    from ..store.steps import under_way
    from ..store.work import run_partition

    chosen: list[int] = []
    for text in numbers:
        first, _, last = text.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise click.UsageError(f"{text}: write a number, or two as 0-99")
        chosen += range(int(first), int(last or first) + 1)
    work = under_way(store)
    for number in chosen:
        run_partition(work, number)


@click.command("convert-finalise")
@click.argument("store")
@_outcome
def convert_finalise(store: str, **options: Any) -> None:
    """Publish the conversion into STORE that is under way, when all its partitions are written."""
    from ..store.steps import finish

    _tell(store, lambda outcome: finish(store, outcome), options)


def _plan_or(inputs: tuple[str, ...]) -> Any:
    """A plan, where the only input is one."""
    from ..store.plan import Plan

    if len(inputs) == 1 and inputs[0].endswith(".json"):
        return Plan.read(inputs[0])
    return list(inputs)


def _call(options: dict[str, Any]) -> dict[str, Any]:
    """Options as the library has them."""
    names = ("stations", "event", "as_", "name", "profile")
    return {n: options[n] if n in names[2:] else list(options[n]) or None for n in names}


def _tell(store: str, run: Callable[[Any], Any], options: dict[str, Any]) -> None:
    """Run, and tell what came of it, also where it failed half-way."""
    from ..store.report import Report

    outcome = Report(store=store)
    try:
        run(outcome)
    finally:
        if options["report"]:
            outcome.write(options["report"])
    if options["as_json"]:
        click.echo(json.dumps(outcome.to_dict()))
    else:
        _print_report(outcome)
    if options["strict"] and outcome.count("rejected"):
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
