"""Where waveforms come from: finding files, and finding who reads them."""

from __future__ import annotations

import importlib.metadata
import logging
import posixpath
from collections.abc import Iterable
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from ..errors import InputError
from ..storage import file_system, is_of_client, place, reason
from . import archive, asdf, mseed, specfem_bundles, strong_motion, synthetics
from .base import Problem, Site, Source, SourceFile, Trace, exact_interval

__all__ = [
    "SOURCES", "Problem", "Site", "Source", "SourceFile", "Trace", "exact_interval", "expand",
    "locate", "source_for",
]  # fmt: skip


def _plugins() -> list[Source]:
    """Sources of other packages; one that cannot be imported is left out and logged."""
    found = []
    for point in importlib.metadata.entry_points(group="pangeo_ces.sources"):
        try:
            found.append(point.load())
        except Exception as error:
            logging.getLogger(__name__).warning("source %s left out: %s", point.name, error)
    return found


#: Asked in this order; the first that matches reads the file.
SOURCES: list[Source] = [
    *_plugins(), synthetics.SOURCE, specfem_bundles.SOURCE, asdf.SOURCE, strong_motion.SOURCE,
    mseed.SOURCE, archive.SOURCE,
]  # fmt: skip


def source_for(file: SourceFile) -> Source | None:
    """The source that reads a file, judged by its name and first bytes."""
    return next((source for source in SOURCES if source.matches(file)), None)


def locate(item: str | Path) -> tuple[list[str], bool]:
    """Files behind a path, a folder (with all below it), a glob or an fsspec URL.

    Returns
    -------
    urls : list of str
        Sorted; hidden files are left out.
    named : bool
        Whether ``item`` names one file, rather than a folder or a pattern.

    Raises
    ------
    InputError
        If nothing is there, or it cannot be reached.
    """
    text = str(item)
    try:
        fs, path = file_system(text)
        if fs.isdir(path):
            names = _walk(fs, path)
        elif fs.exists(path):
            return [path if isinstance(fs, LocalFileSystem) else text], True
        elif any(sign in path for sign in "*?["):
            hits = [name for name in sorted(fs.glob(path)) if not _hidden(name, "")]
            names = [f for hit in hits for f in (_walk(fs, hit) if fs.isdir(hit) else [hit])]
        else:
            raise InputError(f"no such file or folder: {text}: check the path")
    except Exception as error:
        known = isinstance(error, OSError | ImportError | ValueError) or is_of_client(error)
        if isinstance(error, InputError) or not known:
            raise
        if place(text) is not None:
            raise InputError(f"cannot reach {text}: {reason(text, error)}") from error
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"cannot reach {text} ({said}): check the address") from error
    if not names:
        raise InputError(f"no files match {text}: check the folder or pattern")
    if not isinstance(fs, LocalFileSystem):
        names = [fs.unstrip_protocol(name) for name in names]
    return list(dict.fromkeys(names)), False


def _hidden(name: str, root: str) -> bool:
    parts = name.removeprefix(root).split("/") if root else [posixpath.basename(name)]
    return any(part.startswith(".") for part in parts)


def _walk(fs: fsspec.AbstractFileSystem, root: str) -> list[str]:
    return sorted(name for name in fs.find(root) if not _hidden(name, root))


def expand(inputs: Iterable[str | Path]) -> tuple[list[SourceFile], list[Problem]]:
    """The waveform files among some inputs, and a report of the files that are none.

    Parameters
    ----------
    inputs
        Files, folders, globs and fsspec URLs (``s3://``, ``memory://``, ``https://`` …).

    Returns
    -------
    files : list of SourceFile
        In the order of the inputs, sorted within each, without repetition.
    problems : list of Problem
        What no source reads: ``rejected`` if it was named, ``ignored`` if it was come across.

    Raises
    ------
    InputError
        If an input matches nothing.
    """
    files: dict[str, SourceFile] = {}
    problems: dict[str, Problem] = {}
    for item in [inputs] if isinstance(inputs, str | Path) else inputs:
        urls, named = locate(item)
        status = "rejected" if named else "ignored"
        for url in urls:
            if url in files or (url in problems and not named):
                continue
            file = SourceFile(url)
            try:
                if source_for(file):
                    files[url] = file
                else:
                    reason = archive.describe(archive.peek(file))
                    problems[url] = Problem(url, "", status, reason)
            except OSError as error:
                reason = f"cannot be opened ({error.strerror or error}): check its permissions"
                problems[url] = Problem(url, "", "rejected", reason)
    return list(files.values()), list(problems.values())
