"""The pieces STAC documents are made of: plain dictionaries, and the same bytes every time."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from .area import Box, geometry_of

VERSION = "1.1.0"
SITE = "https://stac-extensions.github.io"
CUBE = f"{SITE}/datacube/v2.2.0/schema.json"
STORAGE = f"{SITE}/storage/v2.0.0/schema.json"
VERSIONS = f"{SITE}/version/v1.2.0/schema.json"
ZARR = f"{SITE}/zarr/v1.1.0/schema.json"
#: A name, no address: ``docs/schemas/seis-v1.0.0.json`` has it as its ``$id``.
SEIS = "urn:pangeo-ces:stac:seis:v1.0.0"

ICECHUNK = "application/vnd.zarr+icechunk"
JSON = "application/json"
GEOJSON = "application/geo+json"
XML = "application/xml"
NDJSON = "application/x-ndjson"

KINDS = ("continuous", "windows", "synthetic", "archive")

Document = dict[str, Any]


def instant(ns: int, *, up: bool = False) -> str:
    """A UTC time (ns) as STAC writes it, in microseconds, rounded down, or ``up``.

    >>> instant(1_472_002_592_870_000_001, up=True)
    '2016-08-24T01:36:32.870001Z'
    """
    whole = -(-ns // 1000) if up else ns // 1000
    return f"{np.datetime64(whole, 'us')}Z"


def duration(interval: Fraction) -> str:
    """Seconds as an ISO 8601 duration.

    >>> duration(Fraction(1, 100))
    'PT0.01S'
    """
    return f"PT{np.format_float_positional(float(interval), trim='-')}S"


def encode(document: Document) -> bytes:
    """A document as it is written."""
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def line(document: Document) -> bytes:
    """A document on one line."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\n"


def number(value: Any) -> float | None:
    """A float for JSON; ``None`` where it is not known."""
    value = float(value)
    return value if math.isfinite(value) else None


def known(fields: Document) -> Document:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def safe(text: str) -> str:
    """Text as an id that is also a file name anywhere.

    >>> safe("../GR.BFO..HH 20Hz")
    '_GR.BFO..HH_20Hz'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).lstrip(".") or "_"


def link(rel: str, href: str, type_: str = JSON, **fields: Any) -> Document:
    """A link object."""
    return {"rel": rel, "href": href, "type": type_, **fields}


def item(
    id_: str,
    collection: str,
    box: Box | None,
    properties: Document,
    assets: dict[str, Document],
    links: Iterable[Document] = (),
) -> Document:
    """An Item in the folder of its collection; it names the extensions that it uses."""
    fields = {*properties, *(name for asset in assets.values() for name in asset)}
    uses = {CUBE: "cube:", STORAGE: "storage:schemes", VERSIONS: "version", ZARR: "zarr:"}
    extensions = [uri for uri, start in uses.items() if any(f.startswith(start) for f in fields)]
    return {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": [*extensions, SEIS],
        "id": id_,
        "geometry": geometry_of(box),
        **({} if box is None else {"bbox": box}),
        "properties": properties,
        "links": [
            link("root", "../../catalog.json"),
            link("parent", "./collection.json"),
            link("collection", "./collection.json"),
            *links,
        ],
        "assets": assets,
        "collection": collection,
    }
