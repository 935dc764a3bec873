"""Verbs on catalogues: build and search."""

from __future__ import annotations

import dataclasses
import json

import click

from .output import few, say, watched


@click.group()
def catalog() -> None:
    """Static STAC catalogues of stores and archives."""


@catalog.command()
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option("--output", required=True, metavar="DIR", help="Folder or URL of the catalogue.")
@click.option("--title", default="", help="Of the catalogue.")
@click.option("--description", default="", help="Of the catalogue.")
@click.option("--license", "license_", default="other", show_default=True,
              help="SPDX identifier of the data's licence.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def build(
    targets: tuple[str, ...],
    output: str,
    title: str,
    description: str,
    license_: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a STAC catalogue of stores and archives; the same content gives the same files.

    TARGET is a store or an archive; with @tag, a store is referred to by its tag.

    \b
    ces catalog build norcia.zarr raw --output stac
    ces catalog build s3://ces/norcia@v1 --output s3://ces/stac --license CC-BY-4.0
    """
    from ..catalog import build_catalog

    done = build_catalog(targets, output, title=title, description=description, license=license_,
                         progress=watched(quiet or as_json))  # fmt: skip
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(done)))
    else:
        say(
            f"{done.items} items in {done.url}: {few(list(done.collections))}; files: "
            f"{done.written} written, {done.unchanged} as they were, {done.removed} removed"
        )


@catalog.command()
@click.argument("catalog")
@click.option("--event", multiple=True, help="Id, or part of the name; repeatable.")
@click.option("--bbox", nargs=4, type=float, metavar="W S E N",
              help="Degrees; W > E crosses the date line.")  # fmt: skip
@click.option("--time", metavar="INTERVAL", help="2016-08-24/2016-09-01, ../2016, a day (UTC).")
@click.option("--network", multiple=True, help="Codes, with * and ?; repeatable.")
@click.option("--station", multiple=True, help="BFO, GR.BFO, with * and ?; repeatable.")
@click.option("--channel", multiple=True, help="HHZ, with * and ?; repeatable.")
@click.option("--kind", multiple=True, help="continuous, windows, synthetic, archive; repeatable.")
@click.option("--min-magnitude", type=float, help="Weakest event.")
@click.option("--max-magnitude", type=float, help="Strongest event.")
@click.option("--json", "as_json", is_flag=True, help="Print the items as a FeatureCollection.")
def search(
    catalog: str,
    event: tuple[str, ...],
    bbox: tuple[float, float, float, float] | None,
    time: str | None,
    network: tuple[str, ...],
    station: tuple[str, ...],
    channel: tuple[str, ...],
    kind: tuple[str, ...],
    min_magnitude: float | None,
    max_magnitude: float | None,
    as_json: bool,
) -> None:
    """List what a CATALOG has that fits all of what is asked.

    \b
    ces catalog search stac --event norcia --kind windows
    ces catalog search stac --bbox 10 40 15 45 --time 2016-08-24/2016-09-01 --channel "HH?"
    """
    from ..catalog import open_catalog

    magnitude = (min_magnitude, max_magnitude)
    found = open_catalog(catalog).search(
        event=event or None, bbox=bbox, time=time, network=network or None,
        station=station or None, channel=channel or None, kind=kind or None,
        magnitude=None if magnitude == (None, None) else magnitude,
    )  # fmt: skip
    if as_json:
        click.echo(json.dumps({"type": "FeatureCollection", "features": list(found)}))
    else:
        say(found.listing())
        say(f"{len(found)} of {found.total} items")
