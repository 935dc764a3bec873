"""From a URL to a Zarr store: local paths, ``memory://`` and whatever fsspec knows."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import zarr
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from icechunk import IcechunkError
from zarr.abc.store import Store
from zarr.core.metadata import ArrayV3Metadata
from zarr.storage import FsspecStore, LocalStore

from ..errors import StoreError
from ..storage import file_system, has_bucket, is_of_client, kind_of, place, reason
from . import repo


def zarr_store(url: str | os.PathLike[str], *, read_only: bool = False) -> Store:
    """The Zarr store behind a path or URL.

    Where buckets are, and how they are read, is asked of :mod:`pangeo_ces.storage`.
    """
    text = os.fspath(url)
    if "://" not in text or text.startswith("file://"):
        return LocalStore(Path(text.removeprefix("file://")).expanduser(), read_only=read_only)
    try:
        fs, path = file_system(text)
        if fs.async_impl:
            fs, path = file_system(text, asynchronous=True)
        else:
            fs = AsyncFileSystemWrapper(fs, asynchronous=True)
    except (ImportError, ValueError) as error:
        raise StoreError(f"cannot open {text}: {error}; use a path, memory:// or s3://") from error
    return FsspecStore(fs, path=path, read_only=read_only)


def array_of(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """An array of a group."""
    found = group[name]
    if not isinstance(found, zarr.Array):
        raise StoreError(f"{group.path}/{name} is no array: the store is damaged, convert again")
    return found


def group_of(group: zarr.Group, path: str) -> zarr.Group:
    """A group below a group."""
    found = group[path]
    if not isinstance(found, zarr.Group):
        raise StoreError(f"{group.path}/{path} is no group: the store is damaged, convert again")
    return found


def dims_of(array: zarr.Array[Any]) -> tuple[str, ...]:
    """Dimension names of an array."""
    names = array.metadata.dimension_names if isinstance(array.metadata, ArrayV3Metadata) else None
    return tuple(str(name) for name in names or ())


def root_group(url: str | os.PathLike[str]) -> zarr.Group:
    """The root group of a store, to be read: of the newest version, or of the one named.

    Parameters
    ----------
    url
        Path or URL of an Icechunk repository, ``@version`` after it or not, or of plain Zarr.

    Raises
    ------
    StoreError
        When there is no store or no such version, or it cannot be reached.
    """
    address, version = repo.split_version(url)
    repository = repo.find(address)
    if repository is not None:
        session = repo.reading(repository, address, version)
        try:
            with storage_fault(address, disk=False):
                return zarr.open_group(session.store, mode="r", zarr_format=3)
        except FileNotFoundError as error:
            raise StoreError(
                f"the store {address} is empty, nothing was converted into it yet: run ces convert"
            ) from error
    if version:
        raise StoreError(f"{address} has no versions: leave out @{version}, or check the path")
    return plain_group(address, "r")


def plain_group(url: str, mode: Literal["r", "w"]) -> zarr.Group:
    """The root group of a plain Zarr hierarchy, without versions."""
    try:
        return zarr.open_group(zarr_store(url, read_only=mode == "r"), mode=mode, zarr_format=3)
    except FileNotFoundError as error:
        where = place(url)
        if where is not None and not has_bucket(url):
            raise StoreError(
                f"no store at {url}: there is no bucket {where.bucket} at {where.server()}; make "
                "it, or check the name"
            ) from error
        raise StoreError(
            f"no store at {url}: check the path, or make one with ces convert"
        ) from error
    except Exception as error:
        if not (isinstance(error, OSError | ValueError | KeyError) or is_of_client(error)):
            raise
        raise StoreError(f"cannot open the store {url}: {reason(url, error)}") from error


@contextlib.contextmanager
def storage_fault(url: str, *, disk: bool = True) -> Iterator[None]:
    """Faults of the storage as errors of ours; those of files as well, unless ``disk`` is not set,
    where they may be other files."""
    try:
        yield
    except Exception as error:
        known = isinstance(error, (IcechunkError, OSError) if disk else IcechunkError)
        if not (known or is_of_client(error)):
            raise
        if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error):
            raise StoreError(
                f"no space left for {url}: free some and run this again; what was published "
                "before is intact"
            ) from error
        raise StoreError(
            f"cannot reach {url}: {reason(url, error)} (what was published before is intact)"
        ) from error


@contextlib.contextmanager
def damage(path: str) -> Iterator[None]:
    """Faults of stored bytes, while reading, as errors of ours."""
    try:
        yield
    except Exception as error:
        known = isinstance(error, IcechunkError | OSError | ValueError | RuntimeError)
        if not (known or is_of_client(error)):
            raise
        lines = [line for line in str(error).splitlines() if line.strip()]
        said = lines[0] if lines else type(error).__name__
        if kind_of(error):
            raise StoreError(
                f"{path} cannot be read ({said}): check the server, the network and the "
                "credentials, those of the workers too, then run this again"
            ) from error
        raise StoreError(
            f"{path} cannot be read ({said}): copy the store again, or open an earlier version of "
            "it"
        ) from error
