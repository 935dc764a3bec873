"""``ces``: every verb is one library call.

Exit status: 0 done, 1 failed (or something was refused, with ``--strict``), 2 misused.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import click

from .. import __version__
from ..errors import CesError
from .output import ERR, escape

#: Verb -> module and name of its command; imported when first asked for, since some are slow to.
_VERBS = {
    "apply": "operators:apply_",
    "catalog": "catalog:catalog",
    "checkout": "archives:checkout",
    "cluster": "clusters:cluster",
    "convert": "stores:convert",
    "convert-finalise": "stores:convert_finalise",
    "convert-init": "stores:convert_init",
    "convert-partition": "stores:convert_partition",
    "demo": "recipes:demo",
    "diff": "versions:diff",
    "export": "exchange:export",
    "gc": "versions:gc",
    "history": "versions:history",
    "import": "versions:import_",
    "inspect": "stores:inspect_",
    "operators": "operators:operators",
    "plan": "stores:plan",
    "run": "recipes:run",
    "serve-fdsn": "serve:serve_fdsn",
    "stage": "archives:stage",
    "tag": "versions:tag",
}


class _Group(click.Group):
    """Errors of ours become one clear line, never a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            return None
        module, _, command = _VERBS[name].partition(":")
        return getattr(importlib.import_module(f"{__name__}.{module}"), command)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _orderly_end():
                return super().invoke(ctx)
        except KeyboardInterrupt:  # click would say 1, as of an error
            ctx.exit(128 + signal.SIGINT)
        except CesError as error:
            if os.environ.get("CES_DEBUG"):
                raise
            ERR.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
            ctx.exit(1)


@contextlib.contextmanager
def _orderly_end() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does: jobs, pods and workers end with it."""

    def leave(number: int, frame: Any) -> None:
        sys.exit(128 + number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP: so do we
                before[number] = signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ces")
def main() -> None:
    """Seismic waveforms as lazy, chunked Zarr; ground motion of records and simulations."""
