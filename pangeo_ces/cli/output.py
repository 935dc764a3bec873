"""What the commands print: tables, lines, sizes, and whether anyone looks on."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

OUT, ERR = Console(), Console(stderr=True)


def watched(quiet: bool) -> bool:
    """Whether progress bars make sense: a person looks on, and did not ask for silence."""
    return not quiet and sys.stdout.isatty()


def print_rows(rows: list[tuple[str, str, str, str]], most: int = 20) -> None:
    """A table of problems on standard error: status, file, trace, reason."""
    if not rows:
        return
    table = Table("", "file", "trace", "reason")
    for status, file, trace, reason in rows[:most]:
        table.add_row(status, escape(file.rsplit("/", 1)[-1]), escape(trace), escape(reason))
    ERR.print(table)
    if len(rows) > most:
        ERR.print(f"… and {len(rows) - most} more: see the report")


def say(text: str) -> None:
    """One line as it stands, however long."""
    OUT.print(text, markup=False, highlight=False, soft_wrap=True)


def escape(text: str) -> str:
    """Text in which rich sees no markup."""
    return text.replace("[", r"\[")


def few(items: list[str], most: int = 8) -> str:
    """The first of many names, and how many there are."""
    shown = ", ".join(items[:most])
    return shown if len(items) <= most else f"{shown} … ({len(items)})"


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
