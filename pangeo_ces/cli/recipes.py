"""Verbs that run recipes, generated from their signatures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import click

from .clusters import cluster_options
from .output import print_rows, say, watched
from .signatures import recipe_command


@click.group()
def run() -> None:
    """Run a recipe."""


@click.command()
@click.option("--output", default="demo-output", show_default=True, help="Folder for the results.")
@cluster_options
@click.option("--quiet", is_flag=True, help="No progress bars.")
def demo(output: str, cluster: str | None, workers: str | None, quiet: bool) -> None:
    """Three German earthquakes, recorded and simulated, from files to maps.  No network needed."""
    from ..compute import connect
    from ..workflow.demo import demo as call

    with connect(cluster, workers=workers):
        outcome = call(output, progress=watched(quiet), say=say)
    _print_outcome(outcome)


def _print_outcome(outcome: Any) -> None:
    counts = outcome.report["counts"]
    say(", ".join(f"{number} {what}" for what, number in counts.items()) + " (traces; unmatched: "
        "stations and events)")  # fmt: skip
    print_rows([(r["status"], r["file"], r["trace"], r["reason"]) for r in outcome.report["rows"]
                if r["status"] != "ignored"])  # fmt: skip
    for row in outcome.report["unmatched"][:10]:
        say(f"unmatched: {row['station']} of {row['event']}: {row['reason']}")
    if len(outcome.report["unmatched"]) > 10:
        say(f"… and {len(outcome.report['unmatched']) - 10} more in report.json")
    for note in outcome.report["notes"]:
        say(f"note: {note}")
    for path in outcome.files:
        say(f"  {path}")


def _command(
    name: str,
    recipe: Callable[..., Any],
    run_recipe: Callable[..., Any],
    presets: Iterable[str],
) -> click.Command:
    def call(store: str, output: str, *, cluster: str | None, workers: str | None, as_json: bool,
             quiet: bool, strict: bool, **options: Any) -> None:  # fmt: skip
        from ..compute import connect

        with connect(cluster, workers=workers):
            outcome = run_recipe(store, output, progress=watched(quiet or as_json), **options)
        if as_json:
            click.echo(json.dumps(outcome.report))
        else:
            _print_outcome(outcome)
        if strict and outcome.report["counts"]["rejected"]:
            raise SystemExit(1)

    return recipe_command(name, recipe, call, presets)


def _rapid_assessment() -> click.Command:
    from ..workflow.rapid_assessment import PRESETS, rapid_assessment
    from ..workflow.run import run_rapid_assessment

    return _command("rapid-assessment", rapid_assessment, run_rapid_assessment, PRESETS)


def _misfit() -> click.Command:
    from ..workflow.misfit import PRESETS, misfit
    from ..workflow.run_misfit import run_misfit

    return _command("misfit", misfit, run_misfit, PRESETS)


run.add_command(_rapid_assessment())
run.add_command(_misfit())
