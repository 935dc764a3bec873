"""What the reports of recipes have in common."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .. import __version__
from ..errors import InputError, ParameterError
from ..storage import write_bytes
from ..store.open import conversion_reports
from .parts import Rejected


def with_preset(
    presets: Mapping[str, Mapping[str, Any]], preset: str, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """The parameters of a named set; those that are given win.

    Raises
    ------
    ParameterError
        When there is no such set.
    """
    if preset not in presets:
        raise ParameterError(f"no preset {preset!r}: use one of {', '.join(presets)}")
    return {**presets[preset], **parameters}


def refuse_empty(report: Mapping[str, Any], count: str, folder: str, what: str) -> None:
    """Write the report of a run that measured nothing, and end it.

    Raises
    ------
    InputError
        When the count is zero.
    """
    if not report["counts"][count]:
        write_bytes(f"{folder}/report.json", as_json(report))
        raise InputError(f"no {what} gave a value: see {folder}/report.json for the reasons")


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
