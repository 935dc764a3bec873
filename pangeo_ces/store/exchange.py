"""Stores as plain Zarr and back, key by key, and their checksum."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import zarr
from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from ..errors import StoreError
from . import repo
from .open import COMPLETE
from .urls import plain_group, root_group, storage_fault, zarr_store


def export_zarr(
    url: str | os.PathLike[str], target: str | os.PathLike[str], *, overwrite: bool = False
) -> int:
    """Copy a version of a store to plain Zarr v3, which needs no Icechunk to be read.

    Parameters
    ----------
    url
        Store, with ``@version`` or the newest.
    target
        Path or fsspec URL.
    overwrite
        Replace what is there.

    Returns
    -------
    int
        Number of objects written.

    Raises
    ------
    StoreError
        When there is something at ``target`` and ``overwrite`` is not set.
    """
    source = root_group(url)
    address = os.fspath(target)
    if not overwrite and _exists(address):
        raise StoreError(f"{address} exists: choose another place, or overwrite=True")
    with storage_fault(address):
        root = plain_group(address, "w")
        root.attrs[COMPLETE] = False
        count = 0
        for key, value in _objects(source.store, source.path):
            if key != "zarr.json":
                sync(_put(root.store, key, value))
                count += 1
        # The marker goes last: a copy that was interrupted is not taken for a whole one.
        root.attrs.update({**dict(source.attrs), COMPLETE: True})
    return count + 1


def import_zarr(
    source: str | os.PathLike[str],
    store: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    tag: str | None = None,
) -> repo.Version:
    """Publish plain Zarr that follows the waveform conventions as a version of a store.

    Parameters
    ----------
    source
        Path or fsspec URL of the plain Zarr.
    store
        Where to; made, or given a next version with ``overwrite``.
    overwrite
        Publish it although the store has versions; they stay.
    tag
        Name for the version.

    Raises
    ------
    StoreError
        When it is no whole CES store, or the store has versions and ``overwrite`` is not set.
    """
    root = plain_group(os.fspath(source), "r")
    if "Conventions" not in root.attrs or root.attrs.get(COMPLETE) is False:
        raise StoreError(f"{os.fspath(source)} is no whole CES store: export or convert it again")
    address, version = repo.split_version(store)
    if version:
        raise StoreError(f"{address}@{version}: versions never change, leave out @{version}")
    repository = repo.obtain(address)
    if repo.versions(repository) and not overwrite:
        raise StoreError(f"{address} exists: choose another place, or overwrite=True")
    if tag:
        repo.check_tag(repository, address, tag)
    draft = repo.Draft.begin(address, repo.draft_name("import"))
    try:
        with storage_fault(address):
            target = zarr.open_group(draft.session.store, mode="w", zarr_format=3)
            for key, value in _objects(root.store, root.path):
                sync(_put(target.store, key, value))
            group = zarr.open_group(draft.session.store, mode="a", zarr_format=3)
            group.attrs.pop(COMPLETE, None)
        return draft.publish("import plain Zarr", {"source": os.fspath(source)}, tag)
    except BaseException:
        draft.discard()
        raise


def digest(url: str | os.PathLike[str]) -> str:
    """SHA-256 over all keys and bytes of a version: equal for equal content, wherever it lies and
    however it came about."""
    root = root_group(url)
    total = hashlib.sha256()
    for key, value in _objects(root.store, root.path):
        total.update(f"{key}\n{hashlib.sha256(value).hexdigest()}\n".encode())
    return total.hexdigest()


def _exists(address: str) -> bool:
    if repo.find(address) is not None:
        return True
    try:
        zarr.open(zarr_store(address, read_only=True), mode="r")
    except (FileNotFoundError, StoreError):
        return False
    return True


def _objects(store: Store, path: str) -> Iterator[tuple[str, bytes]]:
    """All keys below a group with their bytes, one after the other: what describes groups and
    arrays first, outer ones before inner ones, since Icechunk wants to know of an array first."""
    prefix = f"{path}/" if path else ""
    keys = sync(_list(store, prefix))
    for key in sorted(keys, key=lambda k: (not k.endswith("zarr.json"), k.count("/"), k)):
        yield key.removeprefix(prefix), sync(_get(store, key))


async def _list(store: Store, prefix: str) -> list[str]:
    names: AsyncIterator[str] = store.list_prefix(prefix)
    return [name async for name in names]


async def _get(store: Store, key: str) -> bytes:
    value = await store.get(key, default_buffer_prototype())
    if value is None:
        raise StoreError(f"{key} went away while it was being copied: do it again")
    return value.to_bytes()


async def _put(store: Store, key: str, value: bytes) -> Any:
    await store.set(key, default_buffer_prototype().buffer.from_bytes(value))
