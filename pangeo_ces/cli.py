"""``ces``: every verb is one library call.

Exit status: 0 done, 1 failed (or something was refused, with ``--strict``), 2 misused.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from . import __version__
from .commands import plain, recipe_command
from .errors import CesError

OUT, ERR = Console(), Console(stderr=True)


class _Group(click.Group):
    """Errors of ours become one clear line, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CesError as error:
            if os.environ.get("CES_DEBUG"):
                raise
            ERR.print(f"[bold red]error:[/] {_escape(str(error))}", soft_wrap=True)
            ctx.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ces")
def main() -> None:
    """Seismic waveforms as lazy, chunked Zarr; ground motion of records and simulations."""


@main.command()
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
    from .store.convert import convert as call
    from .store.report import Report

    outcome = Report(store=store)
    try:
        call(list(inputs), store, stations=list(stations) or None, event=list(event) or None,
             as_=as_, name=name, overwrite=overwrite,
             progress=_watched(quiet or as_json), report=outcome)  # fmt: skip
    finally:
        if report:
            outcome.write(report)
    if as_json:
        click.echo(json.dumps(outcome.to_dict()))
    else:
        _print_report(outcome)
    if strict and outcome.count("rejected"):
        raise SystemExit(1)


@main.command("inspect")
@click.argument("store")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def inspect_(store: str, as_json: bool) -> None:
    """Show the tree, axes, stations, gaps and bytes of a STORE."""
    from .store.inspect import inspect_store

    facts = inspect_store(store)
    if as_json:
        click.echo(json.dumps(facts))
        return
    top = Tree(
        f"[bold]{_escape(facts['url'])}[/] · {facts['conventions']} · {_size(facts['bytes'])}"
    )
    for node in facts["nodes"]:
        leaf = top.add(f"[bold]{node['path']}[/] · {', '.join(node['quantities'])}")
        leaf.add(" × ".join(f"{n} {dim}" for dim, n in node["dims"].items()))
        unit = "" if isinstance(node["start"], str) else " s after origin"
        leaf.add(f"{node['sampling_rate']:g} Hz, {node['start']} to {node['end']}{unit}")
        leaf.add(f"stations: {_few(node['stations'])}; components: {' '.join(node['components'])}")
        if node["events"]:
            leaf.add(f"events: {_few(node['events'])}")
        if "segments" in node:
            leaf.add(
                f"{node['segments']} segments, {node['gaps']} gaps ({node['missing_samples']} "
                f"samples), {node['overlaps']} overlaps ({node['differing_overlaps']} differing)"
            )
        leaf.add(f"{_size(node['raw_bytes'])} raw; chunk {node['chunk']}, shard {node['shard']}")
    OUT.print(top)


@main.group()
def run() -> None:
    """Run a recipe."""


@main.command()
@click.option("--output", default="demo-output", show_default=True, help="Folder for the results.")
@click.option("--cluster", help="Where to compute: a name under ces.clusters.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def demo(output: str, cluster: str | None, quiet: bool) -> None:
    """Three German earthquakes, recorded and simulated, from files to maps.  No network needed."""
    from .workflow.demo import demo as call

    outcome = call(output, cluster=cluster, progress=_watched(quiet), say=_say)
    _print_outcome(outcome)


@main.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON schemas.")
def operators(name: str | None, as_json: bool) -> None:
    """List the operators, or describe the one called NAME."""
    from .workflow.catalogue import operators as known

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
        table.add_row(key, _escape(plain(entry.doc)), ", ".join(entry.needs))
    OUT.print(table)


@main.command("apply", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("store")
@click.argument("node")
@click.argument("output")
@click.option("--set", "settings", multiple=True, metavar="KEY=JSON",
              help="A parameter, its value as JSON; repeatable.")  # fmt: skip
@click.option("--with", "others", multiple=True, metavar="NODE", help="Further input nodes.")
@click.option("--cluster", help="Where to compute: a name under ces.clusters.")
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT.")
def apply_(
    name: str,
    store: str,
    node: str,
    output: str,
    settings: tuple[str, ...],
    others: tuple[str, ...],
    cluster: str | None,
    overwrite: bool,
) -> None:
    """Run the operator NAME on a NODE of a STORE and write OUTPUT.

    \b
    ces apply bandpass norcia.zarr windows/main/observed/100Hz filtered.zarr \\
        --set freqmin=0.1 --set freqmax=2
    """
    from .workflow.catalogue import apply

    parameters = dict(_setting(item) for item in settings)
    apply(name, store, [node, *others], output, parameters, cluster=cluster, overwrite=overwrite)
    _say(f"wrote {output}")


def _setting(item: str) -> tuple[str, Any]:
    key, sign, value = item.partition("=")
    if not sign:
        raise click.UsageError(f"--set {item}: write KEY=VALUE, as in --set freqmin=0.1")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value


def _watched(quiet: bool) -> bool:
    """Whether progress bars make sense: a person looks on, and did not ask for silence."""
    return not quiet and sys.stdout.isatty()


def _print_report(report: Any) -> None:
    verb = "holds already" if report.unchanged else "wrote"
    _say(
        f"{verb} {', '.join(report.nodes)} in {report.store}: {report.traces_used} of "
        f"{report.traces_read} traces from {report.files_read} files"
    )
    _print_rows([(row.status, row.file, row.trace, row.reason) for row in report.rows
                 if row.status != "ignored"])  # fmt: skip
    if ignored := report.count("ignored"):
        _say(f"{ignored} files in these folders are no waveforms and were left alone")


def _print_outcome(outcome: Any) -> None:
    counts = outcome.report["counts"]
    _say(", ".join(f"{number} {what}" for what, number in counts.items()) + " (traces; unmatched: "
         "stations and events)")  # fmt: skip
    _print_rows([(r["status"], r["file"], r["trace"], r["reason"]) for r in outcome.report["rows"]
                 if r["status"] != "ignored"])  # fmt: skip
    for row in outcome.report["unmatched"][:10]:
        _say(f"unmatched: {row['station']} of {row['event']}: {row['reason']}")
    if len(outcome.report["unmatched"]) > 10:
        _say(f"… and {len(outcome.report['unmatched']) - 10} more in report.json")
    for note in outcome.report["notes"]:
        _say(f"note: {note}")
    for path in outcome.files:
        _say(f"  {path}")


def _print_rows(rows: list[tuple[str, str, str, str]], most: int = 20) -> None:
    if not rows:
        return
    table = Table("", "file", "trace", "reason")
    for status, file, trace, reason in rows[:most]:
        table.add_row(status, _escape(file.rsplit("/", 1)[-1]), _escape(trace), _escape(reason))
    ERR.print(table)
    if len(rows) > most:
        ERR.print(f"… and {len(rows) - most} more: see the report")


def _say(text: str) -> None:
    OUT.print(text, markup=False, highlight=False, soft_wrap=True)


def _escape(text: str) -> str:
    return text.replace("[", r"\[")


def _few(items: list[str], most: int = 8) -> str:
    shown = ", ".join(items[:most])
    return shown if len(items) <= most else f"{shown} … ({len(items)})"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _add_recipes() -> None:
    from .workflow.rapid_assessment import rapid_assessment
    from .workflow.run import run_rapid_assessment

    def assess(store: str, output: str, *, as_json: bool, quiet: bool, strict: bool,
               **options: Any) -> None:  # fmt: skip
        outcome = run_rapid_assessment(
            store, output, progress=_watched(quiet or as_json), **options
        )
        if as_json:
            click.echo(json.dumps(outcome.report))
        else:
            _print_outcome(outcome)
        if strict and outcome.report["counts"]["rejected"]:
            raise SystemExit(1)

    run.add_command(recipe_command("rapid-assessment", rapid_assessment, assess))


if "run" in sys.argv[1:3] or "pytest" in sys.modules:
    _add_recipes()  # its imports cost a second that the other verbs need not pay
