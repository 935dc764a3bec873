"""A store and its catalogue, and a check of every file of a catalogue."""

from __future__ import annotations

import io
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import obspy
import pystac
import pytest
from pystac.validation import validate_dict

import pangeo_ces as ces
from pangeo_ces.catalog import build_catalog

ROOT = Path(__file__).parents[2]
SEIS = json.loads((ROOT / "docs/schemas/seis-v1.0.0.json").read_text())
SITE = "https://stac-extensions.github.io"
EXTENSIONS = {
    "cube:": f"{SITE}/datacube/v2.2.0/schema.json",
    "storage:": f"{SITE}/storage/v2.0.0/schema.json",
    "version": f"{SITE}/version/v1.2.0/schema.json",
    "zarr:": f"{SITE}/zarr/v1.1.0/schema.json",
}


@pytest.fixture(scope="session")
def quakes(tmp_path_factory) -> tuple[str, str]:
    """The sample store, and a catalogue beside it."""
    folder = tmp_path_factory.mktemp("quakes")
    store = ces.samples.german_events(str(folder / "quakes.zarr"))
    build_catalog(store, folder / "stac")
    return store, str(folder / "stac")


@pytest.fixture
def check(monkeypatch) -> Callable[[str | Path], int]:
    """Validate every document of a catalogue, without the network; the number of items."""

    def refuse(*_: Any) -> None:
        raise AssertionError("validation asked the network")

    def run(folder: str | Path) -> int:
        monkeypatch.setattr(socket.socket, "connect", refuse)
        items = 0
        for path in sorted(Path(folder).rglob("*.json")):
            if ".zarr" in str(path) or path.name.startswith("items-"):
                continue
            document = json.loads(path.read_text())
            validate_dict(document, extensions=[])
            if document["type"] != "Catalog":
                jsonschema.Draft7Validator(SEIS).validate(document)
            check_links(document, path, Path(folder))
            check_extensions(document)
            items += document["type"] == "Feature"
        catalog = pystac.Catalog.from_file(str(Path(folder) / "catalog.json"))
        assert len(list(catalog.get_items(recursive=True))) == items
        for name in Path(folder).glob("items-*.ndjson"):
            lines = [json.loads(line) for line in name.read_text().splitlines()]
            for item in lines:
                twin = Path(folder) / "collections" / item["collection"] / f"{item['id']}.json"
                assert json.loads(twin.read_text()) == item
            assert len(lines) == items
        return items

    return run


def check_links(document: dict[str, Any], path: Path, folder: Path) -> None:
    """Links and metadata assets lead to files of the catalogue."""
    for link in document["links"]:
        if link["type"] != "application/vnd.zarr+icechunk":  # the store may be elsewhere
            assert link["href"].startswith("."), link
            assert (path.parent / link["href"]).resolve().is_relative_to(folder.resolve())
            assert (path.parent / link["href"]).is_file(), link
    for asset in document.get("assets", {}).values():
        if asset["type"] == "application/xml" and "metadata/" in asset["href"]:
            content = (path.parent / asset["href"]).read_bytes()
            read = obspy.read_inventory if asset["title"] == "StationXML" else obspy.read_events
            assert len(read(io.BytesIO(content)))


def check_extensions(document: dict[str, Any]) -> None:
    """The extension fields against the texts of the extensions, since their schemas are online.

    datacube 2.2 (dimensions in the properties or an asset; a temporal one has an extent of texts
    and an ISO 8601 step, an additional one values or an extent of numbers), storage 2.0 (schemes
    with type and platform, refs into them), version 1.2, zarr 1.1.
    """
    properties = document.get("properties", document)
    assets = document.get("assets", {})
    fields = {*properties, *(name for asset in assets.values() for name in asset)}
    for start, uri in EXTENSIONS.items():
        used = any(name.startswith(start) for name in fields)
        assert used == (uri in document.get("stac_extensions", [])), (start, document["id"])
    schemes = properties.get("storage:schemes", {})
    for scheme in schemes.values():
        assert isinstance(scheme["type"], str) and re.match(r"[\w+.-]+://", scheme["platform"])
    if "version" in properties:
        assert isinstance(properties["version"], str)
        assert isinstance(properties.get("deprecated", False), bool)
    for asset in assets.values():
        assert set(asset.get("storage:refs", [])) <= set(schemes)
        if not asset["type"].startswith("application/vnd.zarr"):
            continue
        assert asset["zarr:zarr_format"] == 3 and asset["zarr:consolidated"] is False
        assert asset["zarr:node_type"] == "group"
        assert isinstance(asset["version"], str)
        dimensions = asset["cube:dimensions"]
        for name, dimension in dimensions.items():
            assert dimension["type"] not in ("spatial", "geometry") and "axis" not in dimension
            if dimension["type"] == "temporal":
                assert all(isinstance(edge, str) for edge in dimension["extent"])
                assert re.fullmatch(r"PT[\d.]+S", dimension["step"])
            elif name == "time":
                assert all(isinstance(edge, float) for edge in dimension["extent"])
            else:
                assert len(dimension["values"]) > 0
        for variable in asset["cube:variables"].values():
            assert variable["dimensions"] == list(dimensions)
            assert variable["type"] == "data" and variable["unit"]
