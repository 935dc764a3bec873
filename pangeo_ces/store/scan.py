"""What is in the files of an input, from their headers."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..archive.archive import Archive, is_archive
from ..compute import mapped
from ..errors import FormatError, InputError
from ..sources import expand, source_for
from ..sources.base import Problem, SourceFile, Trace
from ..storage import Settings, current, using
from .partition import stored_dtype
from .reader import READER

#: Files that one task looks through.
_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Origin:
    """A file of the input: what it is called, where it lies, where it came from, what it holds.

    ``stamp`` tells a local file that was not written again, without reading it.
    """

    name: str
    url: str
    source: str
    sha256: str
    size: int
    stamp: str = ""


@dataclasses.dataclass
class Scan:
    """All files of an input, the headers of their traces, and what is wrong with any of them.

    ``traces`` are (file, number of the trace in it, trace without samples, dtype in a store).
    ``gone`` are names of files that were staged once and are there no more; ``beside`` are URLs
    of staged files by name.
    """

    origins: list[Origin] = dataclasses.field(default_factory=list)
    traces: list[tuple[int, int, Trace, str]] = dataclasses.field(default_factory=list)
    problems: list[Problem] = dataclasses.field(default_factory=list)
    stations: list[str] = dataclasses.field(default_factory=list)
    events: list[str] = dataclasses.field(default_factory=list)
    gone: list[str] = dataclasses.field(default_factory=list)
    beside: dict[str, str] | None = None
    read: int = 0


def scan(inputs: str | Path | Sequence[str | Path], *, progress: bool = False) -> Scan:
    """Look through files, folders, globs, URLs and staged archives.

    Raises
    ------
    InputError
        When an input does not exist.
    """
    result = Scan()
    files: list[SourceFile] = []
    sources: dict[str, str] = {}
    for item in [inputs] if isinstance(inputs, str | Path) else inputs:
        address = str(item)
        if is_archive(address.rpartition("@")[0] or address) or is_archive(address):
            files += _staged(address, result, sources)
        else:
            found, problems = expand([item])
            files += found
            result.problems += problems
    named: dict[str, SourceFile] = {}
    for file in files:
        name = file.called or file.url
        if named.setdefault(name, file).url != file.url:
            raise InputError(
                f"{name} is in two of the inputs: convert them one after the other, into two stores"
            )
    files = list(named.values())
    batches = [files[at : at + _BATCH] for at in range(0, len(files), _BATCH)]
    looked = mapped(_look, [(batch, current()) for batch in batches], progress=progress)
    for file, (origin, headers, problems) in zip(files, _flat(looked), strict=True):
        result.problems += problems
        if origin is None:
            continue
        number = len(result.origins)
        name = file.called or file.url
        result.origins.append(
            dataclasses.replace(origin, name=name, source=sources.get(name, file.url))
        )
        result.read += 1
        result.traces += [(number, position, *header) for position, header in enumerate(headers)]
    return result


def _staged(address: str, result: Scan, sources: dict[str, str]) -> list[SourceFile]:
    """The files of a stage, as they are called in it."""
    archive, stage = Archive.parse(address)
    entries = [entry for entry in archive.files(stage) if entry.state != "removed"]
    if not entries:
        raise InputError(f"{address} holds no files at this stage: stage some, or check the number")
    beside = {entry.name: entry.url for entry in entries}
    result.beside = {**(result.beside or {}), **beside}
    result.gone += sorted(
        {
            entry.name
            for number in archive.stages()
            if number <= stage
            for entry in archive.files(number)
        }
        - set(beside)
    )
    files = []
    for entry in entries:
        if entry.kind == "stations":
            result.stations.append(entry.url)
        elif entry.kind == "events":
            result.events.append(entry.url)
        else:
            file = SourceFile(entry.url, None, entry.name, beside)
            if source_for(file) is not None:
                sources[entry.name] = entry.source
                files.append(file)
            elif entry.kind == "waveform":
                reason = "no known waveform format"
                result.problems.append(Problem(entry.name, "", "rejected", reason))
    return files


def _look(
    files: list[SourceFile], settings: Settings
) -> list[tuple[Origin | None, list, list[Problem]]]:
    """Headers of some files."""
    with using(settings):
        return [_look_at(file) for file in files]


def _look_at(file: SourceFile) -> tuple[Origin | None, list[tuple[Trace, str]], list[Problem]]:
    name = file.called or file.url
    problems: list[Problem] = []
    note = noting(name, problems.append)
    try:
        stamp = file.stamp()
        content = file.content
        checksum = hashlib.sha256(content).hexdigest()
        source = source_for(file)
        if source is None:
            raise FormatError("no known waveform format")
        early: list[tuple[str, str]] = []
        traces = source.read(file, samples=False, report=lambda *row: early.append(row))
        if any(trace.dtype is None for trace in traces):  # these headers do not tell
            early = []
            traces = source.read(file, samples=True, report=lambda *row: early.append(row))
        for row in early:
            note(*row)
        headers = []
        for trace in traces:
            assert trace.dtype is not None
            dtype = np.dtype(trace.dtype)
            try:
                assert trace.data is None or isinstance(trace.data, np.ndarray)
                stored = str(stored_dtype(dtype, trace.data))
            except FormatError as error:
                note(trace.id, f"rejected: {error}")
                continue
            native = dtype.newbyteorder("=")
            headers.append((dataclasses.replace(trace, data=None, dtype=native), stored))
        if any(trace.data is not None for trace in traces):
            READER.keep(file.url, checksum, traces, [])
    except (FormatError, OSError) as error:
        reason = str(error) if isinstance(error, FormatError) else f"cannot be read: {error}"
        return None, [], [*problems, Problem(name, "", "rejected", reason)]
    finally:
        file.forget()
    return Origin(name, file.url, "", checksum, len(content), stamp), headers, problems


def noting(name: str, add: Callable[[Problem], Any]) -> Callable[[str, str], None]:
    """A source's ``report`` that makes rows."""

    def note(trace: str, reason: str) -> None:
        status, _, said = reason.partition(": ")
        if status == "rejected":
            add(Problem(name, trace, "rejected", said))
        else:
            add(Problem(name, trace, "warning", reason))

    return note


def _flat(batches: Iterable[list]) -> list:
    return [item for batch in batches for item in batch]
