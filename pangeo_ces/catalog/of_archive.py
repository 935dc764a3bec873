"""The stages of an archive, as STAC items."""

from __future__ import annotations

import contextlib
import datetime
import io
import os
import posixpath
from typing import Any

import obspy
from obspy.core.inventory import Inventory

from ..archive.archive import Archive, Entry, manifest_name, object_name
from ..archive.selection import parse_sds_name
from ..timeaxis import NANO
from . import area, stac
from .collection import Collection
from .hrefs import absolute, refer
from .reference import storage
from .stac import Document, instant

_DAY = 86_400 * NANO
_METADATA = {"stations": "StationXML", "events": "QuakeML"}


def describe(target: str | os.PathLike[str], name: str, catalogue: str) -> list[Collection]:
    """The collection of an archive: an item for each stage, up to the one that is named.

    Parameters
    ----------
    target
        Archive, ``@stage`` after it or not.
    name
        Id of the collection.
    catalogue
        Where the catalogue will be.

    Raises
    ------
    StoreError
        When there is no such archive or stage.
    """
    archive, last = Archive.parse(target)
    stages = [number for number in archive.stages() if number <= last]
    title = f"Raw files of the archive {name}"
    home = Collection(
        name, title, f"{title}: an item for each of {len(stages)} stages",
        {"version": str(last)}, [], {}, {},
    )  # fmt: skip
    maker = _Maker(archive, home, absolute(archive.url), catalogue, stages)
    home.items += [maker.item(number) for number in stages]
    return [home]


class _Maker:
    """Items of an archive."""

    def __init__(
        self, archive: Archive, home: Collection, address: str, catalogue: str, stages: list[int]
    ) -> None:
        self.archive, self.home, self.address = archive, home, address
        self.catalogue, self.stages = catalogue, stages
        near = refer(address, catalogue, "catalog.json") != address
        self.schemes = {} if near else storage(address)
        self._places: dict[str, tuple[list[float], list[float]]] = {}

    def item(self, number: int) -> Document:
        """One stage."""
        manifest, files = self.archive.manifest(number), self.archive.files(number)
        ids, first, last = _content(files)
        box = self._box(files)
        created = _ns(manifest["created"])
        spanned = {"datetime": None, "start_datetime": instant(first),
                   "end_datetime": instant(last)}  # fmt: skip
        properties = {
            **(spanned if ids else {"datetime": instant(created)}),
            "created": instant(created),
            "seis:kind": "archive",
            "seis:stage": number,
            "seis:networks": sorted({id_.split(".")[0] for id_ in ids}),
            "seis:stations": sorted({".".join(id_.split(".")[:2]) for id_ in ids}),
            "seis:channels": ids,
            "seis:files": manifest["counts"],
            "seis:bytes": sum(entry.size for entry in files),
            "seis:problems": len(manifest["problems"]),
            "version": str(number),
            "deprecated": number != self.archive.latest,
            **({"storage:schemes": self.schemes} if self.schemes else {}),
        }
        name = _item_name(number)
        return stac.item(name, self.home.id, box, properties,
                         self._assets(number, files), self._links(number))  # fmt: skip

    def _assets(self, number: int, files: list[Entry]) -> dict[str, Document]:
        place = f"collections/{self.home.id}/{_item_name(number)}.json"
        refs = {"storage:refs": sorted(self.schemes)} if self.schemes else {}

        def asset(address: str, type_: str, title: str) -> Document:
            return {"href": refer(self.address, self.catalogue, place) + address, "type": type_,
                    "title": title, "roles": ["metadata"], **refs}  # fmt: skip

        found = {"manifest": asset(f"/{manifest_name(number)}", stac.JSON,
                                   f"Files of stage {number}, with their checksums")}  # fmt: skip
        for entry in files:
            if entry.kind in _METADATA:
                title = f"{_METADATA[entry.kind]}: {entry.name}"
                found[entry.name] = asset(f"/{object_name(entry.sha256)}", stac.XML, title)
        return found

    def _links(self, number: int) -> list[Document]:
        """The stages before and after, and the newest."""
        at = self.stages.index(number)
        found = []
        if at:
            found.append(_link("predecessor-version", self.stages[at - 1]))
        if at + 1 < len(self.stages):
            found.append(_link("successor-version", self.stages[at + 1]))
            found.append(_link("latest-version", self.stages[-1]))
        return found

    def _box(self, files: list[Entry]) -> area.Box | None:
        """Around the stations of the StationXML files, if any is there."""
        longitudes: list[float] = []
        latitudes: list[float] = []
        for entry in files:
            if entry.kind == "stations":
                if entry.sha256 not in self._places:
                    self._places[entry.sha256] = self._read_places(entry)
                longitudes += self._places[entry.sha256][0]
                latitudes += self._places[entry.sha256][1]
        return area.box_of(longitudes, latitudes)

    def _read_places(self, entry: Entry) -> tuple[list[float], list[float]]:
        """Longitudes and latitudes of a document; none where it cannot be read."""
        found: Any = Inventory()
        content = self.archive.folder.read(object_name(entry.sha256))
        with contextlib.suppress(Exception):  # whatever a damaged document makes a parser raise
            found = obspy.read_inventory(io.BytesIO(content), level="station")
        stations = [station for network in found for station in network]
        return [float(s.longitude) for s in stations], [float(s.latitude) for s in stations]


def _content(files: list[Entry]) -> tuple[list[str], int, int]:
    """Channels of the day files, and the first and last microsecond (ns) of their days."""
    ids: set[str] = set()
    days: set[int] = set()
    for entry in files:
        if entry.kind == "waveform" and (found := parse_sds_name(posixpath.basename(entry.name))):
            ids.add(".".join(found[0]))
            days.add(found[1]._ns)
    return sorted(ids), min(days, default=0), max(days, default=0) + _DAY - 1000


def _ns(text: str) -> int:
    moment = datetime.datetime.fromisoformat(text)
    since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (since // datetime.timedelta(microseconds=1)) * 1000


def _item_name(number: int) -> str:
    return f"stage-{number:05d}"


def _link(rel: str, number: int) -> Document:
    return stac.link(rel, f"./{_item_name(number)}.json", stac.GEOJSON)
