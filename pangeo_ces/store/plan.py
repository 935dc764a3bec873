"""The plan of a conversion: what is read, where it goes, and what that takes.

A plan is data: written as JSON it can be looked at, edited, and carried out somewhere else.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from fractions import Fraction
from typing import Any

import numpy as np

from .. import config
from ..conventions import QUANTITIES
from ..errors import InputError, ParameterError
from ..sources.base import Problem, Site, Trace
from ..storage import open_url
from .codecs import PROFILES
from .layout import Node
from .partition import stored_dtype
from .scan import Origin, Scan

FORMAT = "CES-plan-1"
_KIND = re.compile(r"observed|synthetic/[A-Za-z0-9][A-Za-z0-9_.-]*")
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
            key: sum(int(node.get(key, 0)) for node in self.nodes)
            for key in ("partitions", "raw_bytes")
        }  # fmt: skip
        facts["input_bytes"] = sum(origin.size for origin in self.scan.origins)
        facts["files"] = len(self.scan.origins)
        facts["traces"] = len(self.scan.traces)
        facts["peak_memory"] = max(
            (int(node.get("peak_memory", 0)) for node in self.nodes), default=0
        )
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
            plan = cls(
                str(facts["as"]), str(facts["name"]), str(facts["profile"]), bool(facts["windows"]),
                [str(url) for url in facts["stations"]], [str(url) for url in facts["event"]],
                Scan(
                    origins=[_origin(row) for row in facts["files"]],
                    traces=_traces(facts["traces"], len(facts["files"])),
                    problems=[Problem(**row) for row in facts["problems"]],
                    gone=[str(name) for name in facts["gone"]],
                    read=len(facts["files"]),
                ),
                # All else follows from these, and is not read back.
                [{key: node[key] for key in ("path", "chunks", "shards")}
                 for node in facts["nodes"]],
            )  # fmt: skip
            if plan.windows and not plan.event:
                raise ValueError("event windows without an event")
            plan.shapes()
        except InputError:
            raise
        except Exception as error:  # whatever a person's edit may lead to
            reason = f"{type(error).__name__}: {error}"[:200]
            raise InputError(f"no conversion plan ({reason}): make one with ces plan") from error
        check(plan.as_, plan.name, plan.profile)
        return plan

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write as JSON to a path or URL."""
        with open_url(path, "w") as stream:
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
            with open_url(path) as stream:
                return cls.from_json(stream.read())
        except (OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"cannot read the plan {path}: {error}; check the path") from error


def check(as_: str, name: str, profile: str) -> None:
    """Raise :class:`~pangeo_ces.errors.ParameterError` on names that cannot be."""
    if not _KIND.fullmatch(as_):
        raise ParameterError(f"as {as_!r}: use 'observed' or 'synthetic/NAME'")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ParameterError(f"window set {name!r}: use letters, digits, '.', '_' and '-'")
    if profile not in PROFILES:
        raise ParameterError(f"profile {profile!r}: use one of {', '.join(PROFILES)}")


def _origin(row: dict[str, Any]) -> Origin:
    origin = Origin(**row)
    texts = (origin.name, origin.url, origin.source, origin.sha256, origin.stamp)
    if not all(isinstance(text, str) for text in texts) or type(origin.size) is not int:
        raise TypeError(f"file {origin.name}")
    return origin


def _traces(columns: dict[str, list], files: int) -> list[tuple[int, int, Trace, str]]:
    """Headers from columns of one length, each value of its type."""
    if len({len(columns[name]) for name in (*_TRACE, "file", "number", "interval", "dtype",
                                            "stored_as", "site")}) != 1:  # fmt: skip
        raise ValueError("columns of traces differ in length")
    traces = []
    for row in range(len(columns["file"])):
        trace = Trace(
            interval=Fraction(str(columns["interval"][row])),
            site=Site(*columns["site"][row]),
            dtype=np.dtype(str(columns["dtype"][row])),
            **{name: columns[name][row] for name in _TRACE},
        )
        whole = (columns["file"][row], columns["number"][row], trace.start, trace.samples)
        texts = (trace.network, trace.station, trace.location, trace.channel, trace.quality)
        assert trace.dtype is not None
        stored = np.dtype(str(columns["stored_as"][row]))
        if (
            any(type(number) is not int for number in whole)
            or not all(isinstance(text, str) for text in texts)
            or not 0 <= whole[0] < files
            or min(whole[1], trace.samples) < 0
            or abs(trace.start) >= 2**63
            or not 0 < trace.interval < 10**9
            or trace.quantity not in QUANTITIES
            or stored not in {stored_dtype(trace.dtype, None), np.dtype("int64")}
            or stored.kind != stored_dtype(trace.dtype, None).kind
        ):
            raise ValueError(f"trace {row} makes no sense")
        traces.append((*whole[:2], trace, str(stored)))
    return traces


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

    The shard as it is encoded, twice, at worst not smaller than its samples, and a mask where few
    of them are known; a file, and its samples, which Steim packs at most seven into four bytes; the
    decoded files that are kept; and the interpreter with its libraries.
    """
    kept = config.get_bytes("cache-bytes")
    return int(2.25 * shard + 8 * largest + kept + 300e6)
