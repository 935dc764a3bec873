"""Out of a store, into the files of ObsPy's users: miniSEED, SAC and ASDF."""

from __future__ import annotations

import dataclasses
import functools
import os
import posixpath
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from ..errors import InputError, ParameterError, StoreError
from ..sources.base import Problem
from ..storage import file_system
from ..timeaxis import utc_ns
from . import export_asdf, export_mseed, export_sac
from .documents import catalog_of, inventory_of, quakeml
from .finalise import stationxml
from .pieces import Piece, Selection
from .traces import stored_traces
from .urls import root_group

FORMATS = ("mseed", "mseed3", "sac", "asdf")
_RECORD_LENGTHS = tuple(2**power for power in range(7, 17))


@dataclasses.dataclass
class Export:
    """Outcome of an export.

    Attributes
    ----------
    folder, format
        Where to, and as what.
    files
        Paths below ``folder`` in the order they were written, documents last.
    traces, samples
        Traces of the store that were written, wholly or in part, and samples in the files.
    rows
        What a format cannot hold: ``rejected`` was not written, ``warning`` was.
    """

    folder: str
    format: str
    files: list[str] = dataclasses.field(default_factory=list)
    traces: int = 0
    samples: int = 0
    rows: list[Problem] = dataclasses.field(default_factory=list)

    def count(self, status: str) -> int:
        """Number of rows of one status."""
        return sum(row.status == status for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        facts = dataclasses.asdict(self)
        return {**facts, "rejected": self.count("rejected"), "warnings": self.count("warning")}

    def note(self, file: str, trace: str, reason: str) -> None:
        """Add a row; a reason that starts with ``rejected:`` says that it was left out."""
        status, _, said = reason.partition(": ")
        if status != "rejected":
            status, said = "warning", reason
        self.rows.append(Problem(file, trace, status, said))


def export(
    url: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    format: str = "mseed",
    path: str = "",
    network: str = "*",
    station: str = "*",
    location: str = "*",
    channel: str = "*",
    starttime: Any = None,
    endtime: Any = None,
    record_length: int = 4096,
    progress: bool = False,
) -> Export:
    """Write the converted traces of a store as files, sample for sample.

    Parameters
    ----------
    url
        Path or URL of the store.
    folder
        Path or fsspec URL of the output folder; made if need be.
    format
        ``mseed`` (miniSEED 2), ``mseed3``, ``sac`` or ``asdf``.
    path
        Node to export, with all below it; the whole store by default.
    network, station, location, channel
        Codes, with ``*`` and ``?``; ``--`` is an empty location.
    starttime, endtime
        UTC; samples from ``starttime`` to before ``endtime``.
    record_length
        Bytes of a miniSEED record, a power of two from 128 to 65536; the most in miniSEED 3.
    progress
        Show a progress bar.

    Returns
    -------
    Export
        Files, counts, and a row for everything the format cannot hold.

    Raises
    ------
    StoreError
        When there is no store, or a node holds no converted records.
    ParameterError
        When an argument is not of its kind.
    InputError
        When nothing is selected.

    Notes
    -----
    Below ``folder`` the files lie as the nodes lie below ``path``: event windows in a folder for
    each event; continuous data in the year, network, station and channel folders of an SDS archive
    with a file for each UTC day; data in physical units below a folder called after their
    quantity.  An ASDF export is the one file ``waveforms.h5``.  Other formats have
    ``stations.xml`` and ``events.xml`` beside them.  Each file appears whole or not at all, and
    running it again writes the same bytes.

    Examples
    --------
    >>> store = pangeo_ces.samples.german_events("memory://doc-export")
    >>> done = export(store, "memory://doc-exported", path="windows/main/observed")
    >>> done.traces, done.files[0]
    (42, '20020722T054504/GR.BFO..HHE.mseed')
    """
    if format not in FORMATS:
        raise ParameterError(f"format {format!r}: use one of {', '.join(FORMATS)}")
    if record_length not in _RECORD_LENGTHS:
        raise ParameterError(f"record length {record_length}: use a power of two, 128 to 65536")
    wanted = Selection(network, station, location, channel, _time(starttime), _time(endtime))
    pieces = [piece for stored in stored_traces(url, path) if (piece := wanted.cut(stored))]
    if not pieces:
        raise InputError(
            f"nothing in {os.fspath(url)} is selected: check node, codes and times against "
            "ces inspect"
        )
    done, out = Export(os.fspath(folder), format), _Folder(os.fspath(folder))
    root, stored = root_group(url), [piece.stored for piece in pieces]
    inventory = inventory_of(root, stored, functools.partial(done.note, "stations.xml"))
    catalog = catalog_of(root, stored)
    if format == "asdf":
        with out.file("waveforms.h5") as temporary:
            written = export_asdf.write(temporary, _track(pieces, progress), inventory, catalog)
        done.files.append("waveforms.h5")
    else:
        written = _write_files(pieces, path, record_length, done, out, progress)
        if inventory.networks:
            out.write("stations.xml", stationxml(inventory))
            done.files.append("stations.xml")
        if len(catalog):
            out.write("events.xml", quakeml(catalog))
            done.files.append("events.xml")
    done.traces = len({piece.key for piece in written})
    done.samples = sum(piece.end - piece.begin for piece in written)
    return done


def _write_files(
    pieces: list[Piece], path: str, record_length: int, done: Export, out: _Folder, progress: bool
) -> list[Piece]:
    """One file after the other, so that no more than one is in memory."""
    encode: Callable[..., bytes | None]
    if done.format == "sac":
        name, encode = export_sac.name, export_sac.encode
    else:
        version = 3 if done.format == "mseed3" else 2
        name = export_mseed.name
        encode = functools.partial(
            export_mseed.encode, version=version, record_length=record_length
        )
    targets = _targets(pieces, functools.partial(name, path=path), single=done.format == "sac")
    written = []
    for target, members in _track(sorted(targets.items()), progress):
        note = functools.partial(done.note, target)
        encoded = [(piece, encode(piece, note)) for piece in members]
        kept = [(piece, content) for piece, content in encoded if content is not None]
        if kept:
            out.write(target, b"".join(content for _, content in kept))
            done.files.append(target)
            written += [piece for piece, _ in kept]
    return written


def _targets(
    pieces: list[Piece], name: Callable[[Piece], str], single: bool
) -> dict[str, list[Piece]]:
    """The pieces of every file, continuous ones day by day; one each where ``single``."""
    targets: dict[str, list[Piece]] = {}
    for whole in pieces:
        for piece in [whole] if whole.stored.event is not None else whole.daily():
            target, number = name(piece), 1
            stem, end = posixpath.splitext(target)
            while single and target in targets:
                number += 1
                target = f"{stem}-{number}{end}"
            targets.setdefault(target, []).append(piece)
    return targets


class _Folder:
    """A folder on any file system, in which files appear whole."""

    def __init__(self, url: str):
        try:
            self.fs, self.root = file_system(url)
        except (ImportError, ValueError) as error:
            raise InputError(f"cannot write to {url} ({error}): use a path or s3://") from error
        self.local = isinstance(self.fs, LocalFileSystem)

    def write(self, name: str, content: bytes) -> None:
        """A file from memory: one PUT, or a temporary file and a rename."""
        path = self._path(name)
        if not self.local:
            self.fs.pipe_file(path, content)
            return
        with self._renamed(path) as temporary:
            temporary.write_bytes(content)

    @contextmanager
    def file(self, name: str) -> Iterator[Path]:
        """A temporary local path for a file that needs seeking; moved into place at the end."""
        path = self._path(name)
        if self.local:
            with self._renamed(path) as temporary:
                yield temporary
            return
        with tempfile.TemporaryDirectory() as scratch:
            temporary = Path(scratch, posixpath.basename(name))
            yield temporary
            self.fs.put_file(str(temporary), path)

    def _path(self, name: str) -> str:
        """Names come from codes in the store: none may lead out of the folder."""
        if any(part in ("", ".", "..") or "\\" in part for part in name.split("/")):
            raise StoreError(f"{name!r} is no safe file name: check the codes in the store")
        path = posixpath.join(self.root, name)
        self.fs.makedirs(posixpath.dirname(path), exist_ok=True)
        return path

    @contextmanager
    def _renamed(self, path: str) -> Iterator[Path]:
        final = Path(path)
        temporary = final.with_name(f".{final.name}.part")
        try:
            yield temporary
            os.replace(temporary, final)
        finally:
            temporary.unlink(missing_ok=True)


def _time(time: Any) -> int | None:
    try:
        return None if time is None else utc_ns(getattr(time, "datetime", time))
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{time!r} is no UTC time: write 2016-08-24T01:36:32") from error


def _track[Item](items: Iterable[Item], progress: bool) -> Iterable[Item]:
    if not progress:
        return items
    from rich.progress import track

    return track(items, "writing")
