"""``ces``: every verb is one library call.

Exit status: 0 done, 1 failed (or something was refused, with ``--strict``), 2 misused.
"""

from __future__ import annotations

import importlib
import os
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
            return super().invoke(ctx)
        except CesError as error:
            if os.environ.get("CES_DEBUG"):
                raise
            ERR.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
            ctx.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ces")
def main() -> None:
    """Seismic waveforms as lazy, chunked Zarr; ground motion of records and simulations."""
