"""What a version of a store holds, as STAC collections and items."""

from __future__ import annotations

import os
from typing import Any, cast

import numpy as np
import pandas as pd
import zarr

from ..conventions import QUANTITIES, VARIABLES, split_label
from ..errors import StoreError
from ..store.urls import array_of, group_of, root_group
from ..timeaxis import time_index
from . import area, stac
from .collection import Collection
from .continuity import completeness
from .hrefs import refer
from .nodes import Node, events_of, nodes_of
from .reference import Reference
from .stac import Document, instant, safe

#: Documents of a conversion -> file in the catalogue, title.
_DOCUMENTS = {
    "stationxml": ("stations.xml", "stations", "StationXML"),
    "quakeml": ("events.xml", "events", "QuakeML"),
}


def describe(target: str | os.PathLike[str], name: str, catalogue: str) -> list[Collection]:
    """The collections of a store: continuous data of each network, each window set, each model.

    Parameters
    ----------
    target
        Store, ``@version`` after it or not.
    name
        What the ids of its collections begin with.
    catalogue
        Where the catalogue will be.

    Raises
    ------
    StoreError
        When there is no such version, or it holds no waveforms.
    """
    reference = Reference.of(target, catalogue)
    root = root_group(reference.url)
    nodes = list(nodes_of(root, reference.url))
    if not nodes:
        raise StoreError(f"{reference.url} holds no waveforms: give a store that ces convert made")
    maker = _Maker(reference, name, catalogue, root)
    bases: dict[str, list[Node]] = {}
    for node in nodes:
        bases.setdefault(node.base, []).append(node)
    found: list[Collection] = []
    for base, group in sorted(bases.items()):  # "observed" comes before "synthetic"
        if base == "continuous":
            found += maker.continuous(base, group)
        else:
            found.append(maker.windows(base, group))
    return found


class _Maker:
    """Collections and items of one version of a store."""

    def __init__(self, reference: Reference, name: str, catalogue: str, root: zarr.Group) -> None:
        self.reference, self.name = reference, name
        self.catalogue, self.root = catalogue, root
        self.before = reference.before()
        self.had: dict[str, bool] = {}
        self.events: dict[tuple[str, str], str] = {}

    def continuous(self, base: str, nodes: list[Node]) -> list[Collection]:
        """A collection for each network; an item for each station, band, rate and year."""
        documents, assets = self._documents(base)
        found: dict[str, Collection] = {}
        for node in nodes:
            labels = node.ds["station"].values
            for key, rows in node.channels.groupby(["station", "year"]):
                station, year = map(int, cast("tuple[int, int]", key))
                label = str(labels[station])
                network = split_label(label)[0]
                if network not in found:
                    found[network] = self._collection(
                        f"continuous-{network}", f"Continuous data of network {network}",
                        base, documents, assets,
                    )  # fmt: skip
                home = found[network]
                box = node.box(rows)
                facts = {"seis:kind": "continuous"}
                start, end = int(rows["start"].min()), int(rows["end"].max())
                times = {
                    "datetime": None, "start_datetime": instant(start),
                    "end_datetime": instant(end, up=True),
                }  # fmt: skip
                name = safe(f"{label}-{node.rate}-{year}")
                home.items.append(self._item(home.id, name, box, times, facts, [(node, rows)],
                                             assets, []))  # fmt: skip
        return [found[network] for network in sorted(found)]

    def windows(self, base: str, nodes: list[Node]) -> Collection:
        """An item for each event, of the records or of one model."""
        _, window, kind, *model = base.split("/")
        observed = kind == "observed"
        run = "/".join(model)
        documents, assets = self._documents(base)
        name, title = (
            (f"windows-{window}", f"Event windows {window}")
            if observed
            else (f"synthetic-{window}-{run}", f"Synthetics of {run} for {window}")
        )
        home = self._collection(name, title, base, documents, assets)
        parts: dict[int, list[tuple[Node, pd.DataFrame]]] = {}
        for node in nodes:
            for key, rows in node.channels.groupby("event"):
                parts.setdefault(int(cast("int", key)), []).append((node, rows))
        events = events_of(nodes[0].ds)  # all nodes of a window set have the same
        for row, group in sorted(parts.items()):
            event = events[row]
            name = safe(event.facts["seis:event_id"])
            facts = {"seis:kind": "windows" if observed else "synthetic", "seis:window": window,
                     **({} if observed else {"seis:model": run}), **event.facts}  # fmt: skip
            links: list[Document] = []
            known_as = window, str(facts["seis:event_id"])
            if observed:
                self.events[known_as] = f"{home.id}/{name}.json"
                box = event.epicentre
            else:
                box = area.around([b for node, rows in group if (b := node.box(rows))])
                if known_as in self.events:
                    links = [stac.link("derived_from", f"../{self.events[known_as]}", stac.GEOJSON)]
            times = {
                "datetime": instant(event.origin),
                "start_datetime": instant(min(int(rows["start"].min()) for _, rows in group)),
                "end_datetime": instant(max(int(rows["end"].max()) for _, rows in group), up=True),
            }
            home.items.append(self._item(home.id, name, box, times, facts, group, assets, links))
        return home

    def _predecessor(self, base: str, name: str) -> list[Document]:
        """A link to the version before, if it had the group ``base``."""
        if base not in self.had:
            self.had[base] = self.before is not None and base in self.before
        if not self.had[base]:
            return []
        store = refer(self.reference.address, self.catalogue, name)
        href = f"{store}@{self.reference.number - 1}"
        return [stac.link("predecessor-version", href, stac.ICECHUNK)]

    def _collection(
        self,
        id_: str,
        title: str,
        base: str,
        documents: dict[str, bytes],
        assets: dict[str, Document],
    ) -> Collection:
        id_ = safe(f"{self.name}-{id_}")
        links = self._predecessor(base, f"collections/{id_}/collection.json")
        return Collection(
            id_, title, f"{title}, in the store {self.name}, version {self.reference.number}",
            self.reference.properties(), links, assets, documents,
        )  # fmt: skip

    def _item(
        self,
        collection: str,
        name: str,
        box: area.Box | None,
        times: Document,
        facts: Document,
        parts: list[tuple[Node, pd.DataFrame]],
        documents: dict[str, Document],
        links: list[Document],
    ) -> Document:
        rows = pd.concat([rows for _, rows in parts], ignore_index=True)
        ids = sorted({id_ for node, own in parts for id_ in node.ids(own)})
        codes = [id_.split(".")[:2] for id_ in ids]
        quantities = [name for name in QUANTITIES if name in set(rows["quantity"])]
        properties = {
            **times, **facts,
            "seis:networks": sorted({network for network, _ in codes}),
            "seis:stations": sorted({".".join(pair) for pair in codes}),
            "seis:channels": ids,
            "seis:sampling_rates": sorted(float(1 / node.interval) for node, _ in parts),
            "seis:quantities": {name: VARIABLES[name].units for name in quantities},
            "seis:traces": len(rows),
            "seis:segments": int(rows["segments"].sum()),
            "seis:gaps": int(rows["gaps"].sum()),
            "seis:completeness": completeness(rows),
            **self.reference.properties(),
        }  # fmt: skip
        place = f"collections/{collection}/{name}.json"
        assets = {node.rate: self._zarr(node, own, facts, times, place) for node, own in parts}
        before = self._predecessor(parts[0][0].base, place)
        return stac.item(name, collection, box, properties, {**assets, **documents},
                         [*before, *links])  # fmt: skip

    def _zarr(
        self, node: Node, rows: pd.DataFrame, facts: Document, times: Document, place: str
    ) -> Document:
        """The asset of a waveform node, and the part of its cube that an item is about."""
        reference = self.reference
        stations, components = node.ds["station"].values, node.ds["component"].values
        dimensions: Document = {
            "station": _labels(stations[sorted(rows["station"].unique())], "station"),
            "component": _labels(components[sorted(rows["component"].unique())], "component"),
        }
        if "seis:event_id" in facts:
            axis = time_index(node.ds).transform
            last = axis.start + (axis.samples - 1) * node.interval
            event = {"event": _labels([facts["seis:event_id"]], "event")}
            dimensions = {**event, **dimensions, "time": {
                "type": "time_since_origin", "unit": "s", "step": float(node.interval),
                "extent": [float(axis.start), float(last)],
            }}  # fmt: skip
        else:
            dimensions["time"] = {
                "type": "temporal", "step": stac.duration(node.interval),
                "extent": [times["start_datetime"], times["end_datetime"]],
            }  # fmt: skip
        held = set(rows["quantity"])
        return {
            "href": f"{refer(reference.address, self.catalogue, place)}@{reference.version}",
            "type": stac.ICECHUNK,
            "title": f"{node.path} of {self.name}",
            "roles": ["data"],
            "version": reference.version,
            "zarr:zarr_format": 3,
            "zarr:node_type": "group",
            "zarr:consolidated": False,
            **({"storage:refs": sorted(reference.schemes)} if reference.schemes else {}),
            "seis:group": node.path,
            "seis:sampling_rate": float(1 / node.interval),
            "cube:dimensions": dimensions,
            "cube:variables": {
                name: {"dimensions": list(dimensions), "type": "data",
                       "description": VARIABLES[name].long_name, "unit": VARIABLES[name].units}
                for name in QUANTITIES if name in held
            },
        }  # fmt: skip

    def _documents(self, base: str) -> tuple[dict[str, bytes], dict[str, Document]]:
        """StationXML and QuakeML of a group, as files of the catalogue and as assets."""
        path = f"metadata/{base}"
        files: dict[str, bytes] = {}
        assets: dict[str, Document] = {}
        if path not in self.root:
            return files, assets
        group = group_of(self.root, path)
        for array, (file, key, title) in _DOCUMENTS.items():
            if array in group:
                where = "/".join(["metadata", *map(safe, [self.name, *base.split("/")]), file])
                files[where] = np.asarray(array_of(group, array)[:]).tobytes()
                assets[key] = {"href": f"../../{where}", "type": stac.XML, "title": title,
                               "roles": ["metadata"]}  # fmt: skip
        return files, assets


def _labels(values: Any, type_: str) -> Document:
    return {"type": type_, "values": [str(value) for value in values]}
