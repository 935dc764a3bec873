"""HDF5 files of anyone: opened wherever they lie, and nothing outside of them is read."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import h5py

from ..errors import FormatError
from ..storage import open_url
from .archive import peek
from .base import SourceFile

MAGIC = b"\x89HDF\r\n\x1a\n"
#: Files so called are waveforms to their owner: what cannot be read is rejected, not ignored.
SUFFIXES = (".h5", ".hdf5", ".asdf")
#: HDF5's own compression never does better than this on the data of a whole file.
_EXPANSION = 2000


@contextlib.contextmanager
def opened(file: SourceFile) -> Iterator[h5py.File]:
    """An HDF5 file of any file system, read-only; of it no more is read than is asked for."""
    with contextlib.ExitStack() as stack:
        if file._content is not None:
            stream: Any = io.BytesIO(file._content)
        else:
            stream = stack.enter_context(open_url(file.url))
        yield stack.enter_context(h5py.File(stream, "r"))


def is_hdf5(file: SourceFile, marks: tuple[str, ...]) -> bool:
    """Whether it is HDF5 with these attributes or members; a damaged one by what it is called."""
    if not peek(file).startswith(MAGIC):
        return False
    try:
        with opened(file) as root:
            return all(mark in root.attrs or mark in root for mark in marks)
    except (OSError, RuntimeError, ValueError, KeyError):
        return "file_format" in marks and file.name.lower().endswith(SUFFIXES)


@contextlib.contextmanager
def checked() -> Iterator[None]:
    """Whatever h5py raises on damaged bytes, as one of ours."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
        # Errors of the operating system or network have a number; HDF5's own have none.
        if isinstance(error, FormatError) or getattr(error, "errno", None) is not None:
            raise
        reason = " ".join(str(error).split())[:200]
        raise FormatError(f"damaged HDF5 file ({reason}): copy it again") from error


def members[Kind](group: h5py.Group, name: str, kind: type[Kind]) -> dict[str, Kind]:
    """Members of a group within a group; links to other files are not followed."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        return {}
    inside = group[name]
    names = [n for n in inside if isinstance(inside.get(n, getlink=True), h5py.HardLink)]
    return {n: member for n in names if isinstance(member := inside[n], kind)}


def text(group: h5py.Group, name: str, size: int) -> bytes:
    """A document, stored as bytes; empty where there is none."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        return b""
    dataset = group[name]
    bytewise = isinstance(dataset, h5py.Dataset) and dataset.dtype.itemsize == 1
    return dataset[()].tobytes() if bytewise and not unsafe(dataset, size) else b""


def unsafe(dataset: h5py.Dataset, size: int) -> str:
    """Why a dataset is not read: its bytes lie elsewhere, or there are far too many."""
    if dataset.external or dataset.is_virtual:
        return "its samples are in another file"
    if dataset.nbytes > max(size, 4096) * _EXPANSION:
        return f"{dataset.nbytes} bytes in a file of {size}"
    return ""
