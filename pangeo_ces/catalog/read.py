"""Reading the items of a catalogue: from its index, or one by one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator

from ..archive.folder import Folder
from ..errors import StoreError
from .build import ROOT, index_of
from .hrefs import absolute, inside
from .stac import Document

#: A document, and an index, that are larger are no part of a sane catalogue.
LARGEST_DOCUMENT, LARGEST_INDEX = 64 * 2**20, 2**30
#: A catalogue of catalogues deeper than this goes in circles.
_DEEPEST = 8


class Reader:
    """The files of a catalogue."""

    def __init__(self, url: str | os.PathLike[str]) -> None:
        address = absolute(url)
        self.url = address.removesuffix(f"/{ROOT}")
        self.place = Folder(self.url)
        with self.place.errors():
            self.place.fs.invalidate_cache()
        self.root = self.document(ROOT)

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Name within the catalogue and JSON of every item."""
        name = index_of(self.root)
        try:
            index = None if name is None else self.read(name, LARGEST_INDEX)
        except FileNotFoundError:  # the catalogue was built again just now
            index = None
        if name and index and hashlib.sha256(index).hexdigest().startswith(name[6:22]):
            for line in index.splitlines():
                item = parse(line, name)
                yield f"collections/{item.get('collection')}/{item.get('id')}.json", line
        else:
            yield from self._walk(ROOT, self.root, 0)

    def _walk(self, name: str, document: Document, depth: int) -> Iterator[tuple[str, bytes]]:
        for link in document.get("links", ()):
            rel = link.get("rel")
            if rel not in ("child", "item"):
                continue
            target = inside(str(link.get("href")), name)
            if rel == "item":
                yield target, self._required(target)
            elif depth < _DEEPEST:
                yield from self._walk(target, parse(self._required(target), target), depth + 1)

    def document(self, name: str) -> Document:
        """A JSON document."""
        return parse(self._required(name), f"{self.url}/{name}")

    def _required(self, name: str) -> bytes:
        try:
            return self.read(name, LARGEST_DOCUMENT)
        except FileNotFoundError:
            fix = (
                "check the address, or make one with ces catalog build"
                if name == ROOT
                else "the catalogue was built again meanwhile or is incomplete: open it again"
            )
            raise StoreError(f"there is no {self.url}/{name}: {fix}") from None

    def read(self, name: str, most: int) -> bytes:
        """A file, if it is not larger than ``most`` bytes."""
        with self.place.errors(), self.place.fs.open(self.place.path(name), "rb") as stream:
            content = stream.read(most + 1)
        if len(content) > most:
            raise StoreError(f"{self.url}/{name} is larger than {most} bytes: that is no catalogue")
        return content


def parse(content: bytes, name: str) -> Document:
    """A JSON object out of a file."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StoreError(
            f"{name} is damaged ({str(error)[:80]}): build the catalogue again"
        ) from error
    if not isinstance(found, dict):
        raise StoreError(f"{name} is no STAC document: build the catalogue again")
    return found
