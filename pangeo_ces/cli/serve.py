"""The verb that makes a data centre of a store or an archive."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

import click
from dask.utils import parse_bytes
from rich.progress import track

from .output import ERR, say, watched


def _bytes(ctx: click.Context, option: click.Parameter, text: str) -> int:
    try:
        return int(parse_bytes(text))
    except ValueError as error:
        raise click.BadParameter(f"{error}; write a size as 2GiB") from None


@click.command("serve-fdsn")
@click.argument("target", required=False, metavar="STORE|ARCHIVE")
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Where to listen; 0.0.0.0 lets everyone on the network in.")  # fmt: skip
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535),
              help="0 takes a free one.")  # fmt: skip
@click.option("--users", type=click.Path(dir_okay=False),
              help="File of users; with it there is queryauth.")  # fmt: skip
@click.option("--add-user", metavar="NAME",
              help="Ask for a password, put NAME into --users, and end.")  # fmt: skip
@click.option("--restricted", multiple=True, metavar="NET[.STA]",
              help="Samples of these need a password; repeatable.")  # fmt: skip
@click.option("--max-bytes", default="2GiB", show_default=True, callback=_bytes,
              help="Largest answer of dataselect, before compression.")  # fmt: skip
@click.option("--max-lines", default=20_000, show_default=True, type=click.IntRange(1),
              help="Most lines of a POST.")  # fmt: skip
@click.option("--max-seconds", default=600.0, show_default=True, type=click.FloatRange(1),
              help="Longest time for one answer.")  # fmt: skip
@click.option("--follow", type=click.FloatRange(0.1), metavar="SECONDS",
              help="Look for a newer version every so often, and serve it.")  # fmt: skip
@click.option("--cache", type=click.Path(file_okay=False),
              help="Folder for an archive's index.  [default: ~/.cache/pangeo_ces]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the URL and the access log as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def serve_fdsn(
    target: str | None,
    host: str,
    port: int,
    users: str | None,
    add_user: str | None,
    restricted: tuple[str, ...],
    max_bytes: int,
    max_lines: int,
    max_seconds: float,
    follow: float | None,
    cache: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Serve a STORE or an ARCHIVE to FDSN clients such as ObsPy's, until Ctrl-C.

    \b
    ces serve-fdsn norcia.zarr
    ces serve-fdsn raw@3 --port 0 --users users.txt --restricted XX
    ces serve-fdsn --users users.txt --add-user anna
    """
    try:
        from ..service.access import add_user as add
        from ..service.app import Limits
        from ..service.serve import serve_fdsn as call
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise click.UsageError(
            f"{error.name} is missing: pip install 'pangeo_ces[serve]'"
        ) from None

    if add_user is not None:
        if users is None:
            raise click.UsageError("--add-user needs --users FILE")
        add(users, add_user, _password(add_user))
        say(f"{add_user} may use queryauth of a server with --users {users}")
        return
    if target is None:
        raise click.UsageError("name a store or an archive")

    def started(url: str) -> None:
        if as_json:
            click.echo(json.dumps({"url": url, "target": target}))
        else:
            say(f"{target} is served at {url} until Ctrl-C.  With ObsPy:")
            say(f'  from obspy.clients.fdsn import Client; client = Client("{url}")')
        sys.stdout.flush()

    def progress(objects: list[str]) -> Iterable[str]:
        return track(objects, "indexing records", console=ERR,
                     disable=not objects or not watched(quiet or as_json))  # fmt: skip

    call(
        target, host=host, port=port, users=users, restricted=restricted,
        limits=Limits(data=max_bytes, lines=max_lines, seconds=max_seconds),
        follow=follow, cache=cache, as_json=as_json, progress=progress,
        started=started,
    )  # fmt: skip


def _password(user: str) -> str:
    """From the terminal, twice and unseen; from a pipe, its first line."""
    if sys.stdin.isatty():
        answer: Any = click.prompt(f"Password of {user}", hide_input=True, confirmation_prompt=True)
        return str(answer)
    return sys.stdin.readline().rstrip("\n")
