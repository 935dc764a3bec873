"""What the reports of recipes have in common."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .. import __version__
from ..store.open import conversion_reports
from .parts import Rejected


def heading(
    recipe: str,
    store: str | os.PathLike[str],
    output: str | os.PathLike[str],
    parameters: Mapping[str, Any],
) -> dict[str, Any]:
    """Which recipe, when, from where to where, and how."""
    return {
        "recipe": recipe,
        "version": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "input": os.fspath(store),
        "output": os.fspath(output),
        "parameters": parameters,
    }


def conversions_of(
    store: str | os.PathLike[str], parameters: Mapping[str, Any], sides: Iterable[str]
) -> list[dict[str, Any]]:
    """Reports of the conversions that the sides (``observed``, ``synthetic/MODEL``) come from."""
    wanted = {f"windows/{parameters.get('name', 'main')}/{side}" for side in sides}
    return [report for base, report in conversion_reports(store).items() if base in wanted]


def rejected_rows(rejected: Sequence[Rejected]) -> list[dict[str, str]]:
    """A row for each channel or station that takes no part."""
    return [
        {"file": "", "trace": f"{r.station}{r.component}", "event": r.event, "side": r.side,
         "status": "rejected", "reason": r.reason}
        for r in rejected
    ]  # fmt: skip


def counted(rows: Sequence[Mapping[str, Any]], unmatched: Sequence[Any]) -> dict[str, int]:
    """How much was left out, by kind."""
    return {
        "unmatched": len(unmatched),
        "rejected": sum(row["status"] == "rejected" for row in rows),
        "warnings": sum(row["status"] == "warning" for row in rows),
    }


def as_json(report: Mapping[str, Any]) -> bytes:
    """A report as a file holds it."""
    return json.dumps(report, indent=2, ensure_ascii=False).encode()
