"""Verbs on archives of raw files: stage, checkout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import click
from dask.utils import parse_bytes

from .output import print_rows, say, watched


@click.group()
def stage() -> None:
    """Stage raw files into an archive: each run is a numbered version that never changes."""


def _common(command: Callable[..., None]) -> Callable[..., None]:
    """The options that all ways of staging share."""
    options = (
        click.option("--threads", type=click.IntRange(1, 16), default=3, show_default=True,
                     help="Files or requests at the same time."),
        click.option("--quota", metavar="SIZE", help="Most the archive may hold, as 20GB."),
        click.option("--restart", is_flag=True, help="Forget what an interrupted run has got."),
        click.option("--dry-run", is_flag=True, help="Say what would be asked for."),
        click.option("--strict", is_flag=True, help="Exit with 1 if anything could not be had."),
        click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON."),
        click.option("--quiet", is_flag=True, help="No progress bars."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _codes(command: Callable[..., None]) -> Callable[..., None]:
    """SEED codes and a time."""
    for name in ("channel", "location", "station", "network"):
        command = click.option(
            f"--{name}", default="*", show_default=True, help="Code, with * ? and commas."
        )(command)
    command = click.option("--end", "endtime", metavar="TIME", help="UTC.")(command)
    return click.option("--start", "starttime", metavar="TIME", help="UTC.")(command)


def _bucket(command: Callable[..., None]) -> Callable[..., None]:
    """How to reach buckets."""
    command = click.option("--endpoint", metavar="URL", help="S3 server, if not Amazon's.")(command)
    return click.option("--anon", is_flag=True, help="Open buckets: no credentials.")(command)


@stage.command("fdsn")
@click.argument("archive")
@click.option("--provider", multiple=True, required=True,
              help="Name, URL, eida-routing or iris-federator; repeatable.")  # fmt: skip
@_codes
@click.option("--event", multiple=True, metavar="FILE", help="Windows around these earthquakes.")
@click.option("--minmagnitude", type=float, help="Windows around an event service's earthquakes.")
@click.option("--maxmagnitude", type=float, help="Largest magnitude of these.")
@click.option("--event-box", metavar="S,N,W,E", help="Where they are (degrees).")
@click.option("--event-circle", metavar="LAT,LON,MIN,MAX", help="Where they are (degrees).")
@click.option("--event-provider", help="Whose event service; else the first provider's.")
@click.option("--before", type=float, default=60.0, show_default=True,
              help="Seconds of a window before the origin time.")  # fmt: skip
@click.option("--after", type=float, default=600.0, show_default=True,
              help="Seconds of a window after the origin time.")  # fmt: skip
@click.option("--box", metavar="S,N,W,E", help="Where the stations are (degrees).")
@click.option("--circle", metavar="LAT,LON,MIN,MAX", help="Where the stations are (degrees).")
@click.option("--channel-priorities", metavar="A,B,…", help='As "HH[ZNE],BH[ZNE]".')
@click.option("--location-priorities", metavar="A,B,…", help='As "--,00,10".')
@click.option("--minimum-length", type=click.FloatRange(0, 1), default=0.0, show_default=True,
              help="Smallest part of the time that a file must cover.")  # fmt: skip
@click.option("--reject-gaps", is_flag=True, help="Leave out files with gaps or overlaps.")
@click.option("--user", envvar="CES_FDSN_USER", help="For restricted data.  [env: CES_FDSN_USER]")
@click.option("--password", envvar="CES_FDSN_PASSWORD", help="[env: CES_FDSN_PASSWORD]")
@click.option("--timeout", type=float, default=60.0, show_default=True,
              help="Seconds without a byte before a request is repeated.")  # fmt: skip
@_common
def fdsn(archive: str, **options: Any) -> None:
    """From FDSN web services into ARCHIVE.

    \b
    ces stage fdsn norcia --provider INGV --network IV --channel HH? \\
        --start 2016-10-30 --end 2016-10-31 --circle 42.8,13.1,0,1
    ces stage fdsn windows --provider eida-routing --channel HHZ --minmagnitude 6 \\
        --event-provider INGV --start 2016-08-01 --end 2016-11-01 --box 40,45,10,16
    """
    from ..archive.fdsn import stage_fdsn

    query = {key: options.pop(key) for key in ("minmagnitude", "maxmagnitude")}
    query["domain"] = _domain(options.pop("event_box"), options.pop("event_circle"))
    files = list(options.pop("event"))
    asked = any(value is not None for value in query.values())
    if files and asked:
        raise click.UsageError("give --event FILE, or --minmagnitude and relatives, not both")
    for key in ("channel_priorities", "location_priorities"):
        options[key] = None if options[key] is None else options[key].split(",")
    options |= {
        "provider": list(options["provider"]),
        "events": files or (query if asked else None),
        "domain": _domain(options.pop("box"), options.pop("circle")),
    }
    _stage(stage_fdsn, archive, options)


@stage.command("sds")
@click.argument("archive")
@click.argument("root")
@_codes
@_bucket
@_common
def sds(archive: str, **options: Any) -> None:
    """From day files NET.STA.LOC.CHA.D.YEAR.DAY anywhere below ROOT into ARCHIVE.

    \b
    ces stage sds archive /data/sds --network NL --start 2017-01-01 --end 2017-02-01
    """
    from ..archive.sds import stage_sds

    _stage(stage_sds, archive, options)


@stage.command("files")
@click.argument("archive")
@click.argument("inputs", nargs=-1, metavar="[INPUT]...")
@click.option("--urls", metavar="FILE", help="JSON array of URLs from a discovery service.")
@_bucket
@_common
def files(archive: str, **options: Any) -> None:
    """From files, folders, globs and URLs into ARCHIVE.

    \b
    ces stage files archive 'data/*.mseed' stations.xml
    ces stage files s3://mine/archive s3://open-bucket/continuous/2019/ --anon
    """
    from ..archive.files import stage_files

    _stage(stage_files, archive, {**options, "inputs": list(options["inputs"])})


def _stage(call: Callable[..., Any], archive: str, options: dict[str, Any]) -> None:
    as_json, quiet, strict = (options.pop(key) for key in ("as_json", "quiet", "strict"))
    try:
        options["quota"] = None if options["quota"] is None else parse_bytes(options["quota"])
    except ValueError:
        hint = f"{options['quota']!r}: write a size as 20GB"
        raise click.BadParameter(hint, param_hint="--quota") from None
    done = call(archive, progress=watched(quiet or as_json), **options)
    if as_json:
        click.echo(json.dumps(done.to_dict()))
    elif done.stage is None:
        for source in done.asked:
            say(source)
        say(f"{len(done.asked)} files would be asked for")
    else:
        counts = ", ".join(f"{number} {state}" for state, number in done.counts.items())
        say(f"stage {done.stage} of {done.archive}: {counts}")
    if not as_json:
        print_rows([(p.status, p.file, p.trace, p.reason) for p in done.problems])
    if strict and any(problem.status == "rejected" for problem in done.problems):
        sys.exit(1)


def _domain(box: str | None, circle: str | None) -> dict[str, float] | None:
    if box and circle:
        raise click.UsageError("give a box or a circle, not both")
    names = ("minlatitude", "maxlatitude", "minlongitude", "maxlongitude")
    if circle:
        names = ("latitude", "longitude", "minradius", "maxradius")
    text = box or circle
    if not text:
        return None
    try:
        return dict(zip(names, map(float, text.split(",")), strict=True))
    except ValueError:
        raise click.UsageError(f"{text!r}: give four numbers, {', '.join(names)}") from None


@click.command()
@click.argument("target")
@click.argument("folder")
def checkout(target: str, folder: str) -> None:
    """Lay out a stage, as archive@3, as read-only files in FOLDER (hard links where possible)."""
    from ..archive.history import checkout as call

    say(str(call(target, folder)))
