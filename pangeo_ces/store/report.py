"""What a conversion read, used and refused."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

from ..sources.base import Problem
from ..storage import open_url


@dataclasses.dataclass
class Report:
    """Outcome of a conversion, one row for every problem; nothing is dropped in silence.

    Attributes
    ----------
    files_read, traces_read, traces_used
        Counts over the input; a trace stored for two events is used once.
    rows
        ``file``, ``trace``, ``status`` (``rejected``, ``warning`` or ``ignored``) and ``reason``.
    nodes
        Paths of the groups written.
    unchanged
        The store already held just this; nothing was written.
    version
        Number of the version that was published.
    """

    store: str = ""
    files_read: int = 0
    traces_read: int = 0
    traces_used: int = 0
    rows: list[Problem] = dataclasses.field(default_factory=list)
    nodes: list[str] = dataclasses.field(default_factory=list)
    unchanged: bool = False
    version: int | None = None
    _known: set[Problem] = dataclasses.field(default_factory=set, repr=False)

    def add(self, file: str, trace: str, status: str, reason: str) -> None:
        """Add a row, once."""
        row = Problem(file, trace, status, reason)
        if row not in self._known:
            self._known.add(row)
            self.rows.append(row)

    def count(self, status: str) -> int:
        """Number of rows of one status."""
        return sum(row.status == status for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "store": self.store,
            "files_read": self.files_read,
            "traces_read": self.traces_read,
            "traces_used": self.traces_used,
            "rejected": self.count("rejected"),
            "warnings": self.count("warning"),
            "ignored": self.count("ignored"),
            "nodes": self.nodes,
            "unchanged": self.unchanged,
            "version": self.version,
            "rows": [dataclasses.asdict(row) for row in self.rows],
        }

    def stored(self) -> dict[str, Any]:
        """What of it belongs into the store: the same wherever that is."""
        facts = self.to_dict()
        return {key: facts[key] for key in facts if key not in ("store", "unchanged", "version")}

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write as JSON to a path or URL."""
        with open_url(path, "w") as stream:
            json.dump(self.to_dict(), stream, indent=2)
