"""Verbs on what changes with time: history, diff, tag, gc, import."""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict

import click

from .output import say, size


@click.command()
@click.argument("target")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def history(target: str, as_json: bool) -> None:
    """List the versions of a store, or the stages of an archive."""
    from ..store.versions import history as call

    rows = call(target)
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        if "stage" in row:
            counts = ", ".join(f"{number} {what}" for what, number in row["counts"].items())
            counts += f", {row['problems']} problems"
            say(f"{row['stage']:>4}  {row['created'][:19]}  {counts}: {row['request']}")
        else:
            tags = f"  [{', '.join(row['tags'])}]" if row["tags"] else ""
            say(f"{row['version']:>4}  {row['time'][:19]}  {row['snapshot']}{tags}  "
                f"{row['message']}")  # fmt: skip


@click.command()
@click.argument("before")
@click.argument("after")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def diff(before: str, after: str, as_json: bool) -> None:
    """List the files that differ between BEFORE and AFTER, as store@1 and store@2."""
    from ..store.versions import diff as call

    rows = call(before, after)
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows]))
        return
    for row in rows:
        say(f"{row.state:8} {row.before[:8]:8} {row.after[:8]:8} {row.name}")
    say(f"{len(rows)} files differ")


@click.command()
@click.argument("store")
@click.argument("name")
def tag(store: str, name: str) -> None:
    """Give a version of a STORE a NAME that stays: the newest, or the one of store@3."""
    from ..store.versions import tag as call

    call(store, name)
    say(f"{store} is called {name}")


@click.command()
@click.argument("store")
@click.option("--expire", metavar="DATE", help="Forget versions without a tag before this (UTC).")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def gc(store: str, expire: str | None, dry_run: bool, as_json: bool) -> None:
    """Delete what no version of a STORE needs; tagged versions and the newest always stay."""
    from ..store.versions import collect_garbage

    try:
        when = datetime.datetime.fromisoformat(expire) if expire else None
    except ValueError as error:
        raise click.UsageError(f"--expire {expire}: write a date as 2026-01-31") from error
    gone = collect_garbage(store, expire=when, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(gone))
        return
    verb = "would go" if dry_run else "went"
    names = ("drafts", "versions", "chunks", "manifests", "snapshots")
    counts = ", ".join(f"{gone[name]} {name}" for name in names)
    say(f"{counts} {verb}: {size(gone['bytes'])}")


@click.command("import")
@click.argument("source")
@click.argument("store")
@click.option("--tag", "name", metavar="NAME", help="Name for the version.")
@click.option("--overwrite", is_flag=True, help="Make it the next version of a STORE with some.")
def import_(source: str, store: str, name: str | None, overwrite: bool) -> None:
    """Make plain Zarr at SOURCE, as ces export writes it, a version of a STORE."""
    from ..store.exchange import import_zarr

    version = import_zarr(source, store, tag=name, overwrite=overwrite)
    say(f"wrote version {version.number} of {store}")
