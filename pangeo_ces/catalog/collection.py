"""A collection: its items, and the document that sums them up."""

from __future__ import annotations

import dataclasses
from typing import Any

from . import area, stac
from .stac import Document

#: Fields of items -> what a collection says of them all.
_LISTED = ("seis:networks", "seis:stations", "seis:sampling_rates")
_SAME = ("seis:kind", "seis:window", "seis:model")
_RANGE = ("seis:magnitude", "seis:depth", "seis:completeness")


@dataclasses.dataclass
class Collection:
    """What is to become a STAC collection.

    Attributes
    ----------
    properties
        Fields of its own: version, storage.
    documents
        Files that come with it, by name within the catalogue.
    items
        STAC items.
    """

    id: str
    title: str
    description: str
    properties: Document
    links: list[Document]
    assets: dict[str, Document]
    documents: dict[str, bytes]
    items: list[Document] = dataclasses.field(default_factory=list)

    def document(self, license_: str) -> Document:
        """The collection as STAC has it."""
        fields = [item["properties"] for item in self.items]
        names = {*self.properties}
        extensions = [stac.VERSIONS] * ("version" in names)
        extensions += [stac.STORAGE] * ("storage:schemes" in names)
        return {
            "type": "Collection",
            "stac_version": stac.VERSION,
            "stac_extensions": [*extensions, stac.SEIS],
            "id": self.id,
            "title": self.title,
            "description": self.description,
            "license": license_,
            **self.properties,
            "extent": {
                "spatial": {"bbox": [self._box()]},
                "temporal": {"interval": [_extent(fields)]},
            },
            "summaries": _summaries(fields),
            "links": [
                stac.link("root", "../../catalog.json"),
                stac.link("parent", "../../catalog.json"),
                *self.links,
                *(stac.link("item", f"./{item['id']}.json", stac.GEOJSON) for item in self.items),
            ],
            **({"assets": self.assets} if self.assets else {}),
        }

    def _box(self) -> area.Box:
        boxes = [item["bbox"] for item in self.items if "bbox" in item]
        return area.around(boxes) or [-180.0, -90.0, 180.0, 90.0]


def _extent(fields: list[Document]) -> list[str]:
    """First and last time of all items; texts of one form sort as times do."""
    starts = [f.get("start_datetime") or f["datetime"] for f in fields]
    ends = [f.get("end_datetime") or f["datetime"] for f in fields]
    return [min(starts), max(ends)]


def _summaries(fields: list[Document]) -> Document:
    found: dict[str, Any] = {}
    for name in _SAME:
        if name in fields[0]:
            found[name] = [fields[0][name]]
    for name in _LISTED:
        values = {value for f in fields for value in f.get(name, ())}
        if values:
            found[name] = sorted(values)
    for name in _RANGE:
        numbers = [f[name] for f in fields if name in f]
        if numbers:
            found[name] = {"minimum": min(numbers), "maximum": max(numbers)}
    return found
