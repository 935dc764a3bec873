"""Which version of a store a catalogue is about, and where it lies."""

from __future__ import annotations

import contextlib
import dataclasses
import os

import zarr

from ..errors import StoreError
from ..storage import place
from ..store import repo
from ..store.urls import root_group
from .hrefs import absolute, refer
from .stac import Document


@dataclasses.dataclass(frozen=True)
class Reference:
    """A version of a store, and how items name it."""

    address: str
    version: str
    number: int
    newest: bool
    schemes: Document

    @classmethod
    def of(cls, target: str | os.PathLike[str], catalogue: str) -> Reference:
        """The version that a target names: by its tag, if it is one; else by its snapshot."""
        given, version = repo.split_version(target)
        address = absolute(given)
        repository = repo.find(address)
        if repository is None:
            raise StoreError(
                f"{address} is no store with versions, which a catalogue refers to: check the "
                "path, or make a store of plain Zarr with ces import"
            )
        snapshot = repo.reading(repository, address, version).snapshot_id
        versions = repo.versions(repository)
        found = next((v for v in versions if v.snapshot == snapshot), None)
        if found is None:
            raise StoreError(f"{address} is empty, or {version} was never published: ces history "
                             "lists what was")  # fmt: skip
        name = version if version in found.tags else snapshot
        newest = snapshot == versions[-1].snapshot
        schemes = {} if refer(address, catalogue, "catalog.json") != address else storage(address)
        return cls(address, name, found.number, newest, schemes)

    @property
    def url(self) -> str:
        """The version, as ``open_store`` takes it."""
        return f"{self.address}@{self.version}"

    def properties(self) -> Document:
        """Fields of every item and collection made of it."""
        fields: Document = {"version": str(self.number), "deprecated": not self.newest}
        return fields | ({"storage:schemes": self.schemes} if self.schemes else {})

    def before(self) -> zarr.Group | None:
        """The version before this one, if it is not forgotten."""
        with contextlib.suppress(StoreError):
            return root_group(f"{self.address}@{self.number - 1}")
        return None


def storage(address: str) -> Document:
    """The storage extension's scheme of a place: an S3 server, or this machine's disk."""
    if "://" not in address:
        return {"file": {"type": "file", "platform": "file:///"}}
    where = place(address)
    if where is None or where.family != "s3":
        return {}
    fields = {"bucket": where.bucket, "region": where.region or "us-east-1"}
    if where.endpoint:
        return {"s3": {"type": "custom-s3", "platform": where.endpoint, **fields}}
    return {"s3": {"type": "aws-s3", "platform": "https://{bucket}.s3.{region}.amazonaws.com",
                   **fields}}  # fmt: skip
