"""From a URL to a Zarr store: local paths, ``memory://`` and whatever fsspec knows."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import fsspec
import zarr
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from icechunk import IcechunkError
from zarr.abc.store import Store
from zarr.core.metadata import ArrayV3Metadata
from zarr.storage import FsspecStore, LocalStore

from ..errors import StoreError
from . import repo


def zarr_store(url: str | os.PathLike[str], *, read_only: bool = False) -> Store:
    """The Zarr store behind a path or URL.

    Credentials and endpoints come from where fsspec and the cloud libraries look for them, such as
    ``AWS_ACCESS_KEY_ID`` and ``AWS_ENDPOINT_URL``, or fsspec's own configuration files.
    """
    text = os.fspath(url)
    if "://" not in text or text.startswith("file://"):
        return LocalStore(Path(text.removeprefix("file://")).expanduser(), read_only=read_only)
    try:
        fs, path = fsspec.core.url_to_fs(text)
        if fs.async_impl:
            fs, path = fsspec.core.url_to_fs(text, asynchronous=True)
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
        raise StoreError(
            f"no store at {url}: check the path, or make one with ces convert"
        ) from error
    except Exception as error:
        if not (isinstance(error, OSError | ValueError | KeyError) or _is_of_client(error)):
            raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise StoreError(
            f"cannot open the store {url}: {reason}; check the path and the credentials"
        ) from error


@contextlib.contextmanager
def storage_fault(url: str) -> Iterator[None]:
    """Faults of the storage, while writing, as errors of ours."""
    try:
        yield
    except Exception as error:
        if not (isinstance(error, OSError | IcechunkError) or _is_of_client(error)):
            raise
        lines = [line for line in str(error).splitlines() if line.strip()]
        if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error):
            raise StoreError(
                f"no space left for {url}: free some and run this again; what was published "
                "before is intact"
            ) from error
        raise StoreError(
            f"cannot reach {url}: {lines[0] if lines else type(error).__name__}; check it and "
            "the credentials and run this again, what was published before is intact"
        ) from error


@contextlib.contextmanager
def damage(path: str) -> Iterator[None]:
    """Faults of stored bytes, while reading, as errors of ours."""
    try:
        yield
    except (IcechunkError, ValueError, RuntimeError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise StoreError(
            f"{path} cannot be read ({lines[0] if lines else type(error).__name__}): copy the "
            "store again, or open an earlier version of it"
        ) from error


def _is_of_client(error: Exception) -> bool:
    """Whether an object store's client raised it; clients need not be installed to be known."""
    return type(error).__module__.partition(".")[0] in ("botocore", "aiobotocore", "aiohttp")
