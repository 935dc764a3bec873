"""The plan of a conversion: what is read, where it goes, and what that takes.

A plan is data: written as JSON it can be looked at, edited, and carried out somewhere else.
"""

from __future__ import annotations

import dataclasses
import json
import os
from fractions import Fraction
from typing import Any

import fsspec
import numpy as np

from .. import config
from ..errors import InputError, ParameterError
from ..sources.base import Problem, Site, Trace
from .codecs import PROFILES
from .layout import Node
from .scan import Origin, Scan

FORMAT = "CES-plan-1"
_TRACE = ("network", "station", "location", "channel", "start", "samples", "quantity", "quality",
          "origin")  # fmt: skip


@dataclasses.dataclass
class Plan:
    """A conversion before it is done.

    Attributes
    ----------
    as_, name, profile
        As :func:`~pangeo_ces.store.convert.convert` has them.
    stations, event
        Metadata documents.
    scan
        Files, headers of their traces, problems.
    nodes
        Facts of each waveform node: axes, chunks and shards, partitions, bytes, memory.  Of these
        ``chunks`` and ``shards`` may be edited; the rest follows from them.
    """

    as_: str
    name: str
    profile: str
    windows: bool
    stations: list[str]
    event: list[str]
    scan: Scan
    nodes: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def totals(self) -> dict[str, int]:
        """Sums over the nodes."""
        facts: dict[str, int] = {
            key: sum(int(node[key]) for node in self.nodes)
            for key in ("partitions", "raw_bytes")
        }  # fmt: skip
        facts["input_bytes"] = sum(origin.size for origin in self.scan.origins)
        facts["files"] = len(self.scan.origins)
        facts["traces"] = len(self.scan.traces)
        facts["peak_memory"] = max((int(node["peak_memory"]) for node in self.nodes), default=0)
        return facts

    def shapes(self) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
        """Chunk and shard shapes by node, as they are planned."""
        return {
            str(node["path"]): (tuple(node["chunks"]), tuple(node["shards"]))
            for node in self.nodes
        }  # fmt: skip

    def to_json(self) -> str:
        """As text."""
        scan = self.scan
        traces: dict[str, list] = {
            "file": [t[0] for t in scan.traces],
            "number": [t[1] for t in scan.traces],
            "interval": [str(t[2].interval) for t in scan.traces],
            "dtype": [str(t[2].dtype) for t in scan.traces],
            "stored_as": [t[3] for t in scan.traces],
            "site": [dataclasses.astuple(t[2].site) for t in scan.traces],
            **{name: [getattr(t[2], name) for t in scan.traces] for name in _TRACE},
        }
        return json.dumps(
            {
                "format": FORMAT,
                "as": self.as_,
                "name": self.name,
                "profile": self.profile,
                "windows": self.windows,
                "stations": self.stations,
                "event": self.event,
                "totals": self.totals(),
                "nodes": self.nodes,
                "files": [dataclasses.asdict(origin) for origin in scan.origins],
                "gone": scan.gone,
                "problems": [dataclasses.asdict(problem) for problem in scan.problems],
                "traces": traces,
            },
            indent=1,
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Plan:
        """The inverse of :meth:`to_json`, for text that a person may have edited.

        Raises
        ------
        InputError
            When it is no plan, or makes no sense any more.
        """
        try:
            facts = json.loads(text)
            if facts["format"] != FORMAT:
                raise InputError(f"this plan is {facts['format']}, not {FORMAT}: make it again")
            columns = facts["traces"]
            traces = []
            for row in range(len(columns["file"])):
                values = {name: columns[name][row] for name in _TRACE}
                trace = Trace(
                    interval=Fraction(columns["interval"][row]),
                    site=Site(*columns["site"][row]),
                    dtype=np.dtype(columns["dtype"][row]),
                    **values,
                )
                traces.append((columns["file"][row], columns["number"][row], trace,
                               columns["stored_as"][row]))  # fmt: skip
            scan = Scan(
                origins=[Origin(**origin) for origin in facts["files"]],
                traces=traces,
                problems=[Problem(**problem) for problem in facts["problems"]],
                gone=facts["gone"],
                read=len(facts["files"]),
            )
            plan = cls(
                facts["as"], facts["name"], facts["profile"], bool(facts["windows"]),
                facts["stations"], facts["event"], scan, facts["nodes"],
            )  # fmt: skip
            if any(not 0 <= t[0] < len(scan.origins) for t in traces):
                raise ValueError("a trace of a file that is not listed")
            plan.shapes()
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError) as error:
            raise InputError(f"no conversion plan ({error}): make one with ces plan") from error
        if plan.profile not in PROFILES:
            raise ParameterError(f"profile {plan.profile!r}: use one of {', '.join(PROFILES)}")
        return plan

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write as JSON to a path or URL."""
        with fsspec.open(os.fspath(path), "w") as stream:
            stream.write(self.to_json())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Plan:
        """Read JSON from a path or URL.

        Raises
        ------
        InputError
            When there is none, or it is no plan.
        """
        try:
            with fsspec.open(os.fspath(path), "rb") as stream:
                return cls.from_json(stream.read())
        except OSError as error:
            raise InputError(f"cannot read the plan {path}: {error}; check the path") from error


def describe(node: Node, partitions: int, largest: int) -> dict[str, Any]:
    """Facts of a node for a plan; ``largest`` is the size of the largest input file (bytes)."""
    dtypes = node.dtypes()
    wide = max(dtype.itemsize for dtype in dtypes.values())
    shard = int(np.prod(node.shards, dtype="int64")) * wide
    return {
        "path": node.path,
        "sampling_interval": str(node.interval),
        "dims": dict(zip(node.dims, node.shape, strict=True)),
        "first_sample": node.first,
        "time_origin": node.origin,
        "stations": node.stations,
        "components": node.components,
        "quantities": {name: str(dtype) for name, dtype in dtypes.items()},
        "chunks": list(node.chunks),
        "shards": list(node.shards),
        "partitions": partitions,
        "raw_bytes": sum(
            p.trace.samples * dtypes[p.trace.quantity].itemsize
            for p in node.placements
            if p.found.row < 0
        ),
        "peak_memory": peak_memory(shard, largest),
    }


def peak_memory(shard: int, largest: int) -> int:
    """Bytes a worker needs for a shard of so many raw bytes from files of at most ``largest``.

    The grid, a mask of a quarter of it, and the shard as it is encoded, at worst not smaller than
    the grid; a file, and its samples, which Steim packs at most seven into four bytes; the decoded
    files that are kept; and the interpreter with its libraries.
    """
    kept = config.get_bytes("cache-bytes")
    return int(2.25 * shard + 8 * largest + kept + 300e6)
