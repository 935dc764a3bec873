"""Stations and earthquakes: StationXML, dataless SEED, QuakeML, CMTSOLUTION and relatives."""

from __future__ import annotations

import io
import json
import math
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import lxml.etree
import obspy
from obspy import UTCDateTime
from obspy.core import event as oe
from obspy.core.inventory import Inventory, Network, Station

from ..errors import FormatError, InputError
from . import asdf, locate
from .archive import unpack
from .base import Problem, SourceFile
from .salvage import listen
from .specfem import PointSource, read_cmtsolution, read_stations

Paths = str | Path | Iterable[str | Path]


def read_inventory(urls: Paths) -> Inventory:
    """Stations of one or several files as a single inventory.

    Parameters
    ----------
    urls
        Paths, folders, globs or fsspec URLs of StationXML, dataless SEED, RESP, FDSN station text,
        ASDF or SPECFEM ``STATIONS`` (stations without channels; degrees and metres).

    Raises
    ------
    InputError
        If a file is missing or cannot be understood.
    """
    fix = "give --stations FILE with StationXML or dataless SEED"
    merged = Inventory(networks=[], source="pangeo_ces")
    for url, content in _documents(urls, "StationXML", fix):
        try:
            part = _specfem_inventory(content) or _parse(obspy.read_inventory, content)
        except (Exception, SystemExit) as error:
            raise InputError(f"{url} is no station metadata ({_cause(error)}): {fix}") from error
        if not any(network.stations for network in part):
            raise InputError(f"{url} holds no stations: {fix}")
        merged.networks.extend(part.networks)
    return merged


def read_catalog(urls: Paths, report: Callable[[Problem], None] | None = None) -> oe.Catalog:
    """Earthquakes of one or several files, in order of their origin times.

    The preferred origin of each event has time, latitude and longitude.  From a CMTSOLUTION it is
    that of the PDE line; the centroid, later by the time shift, is the event's second origin.

    Parameters
    ----------
    urls
        Paths, folders, globs or fsspec URLs of QuakeML, CMTSOLUTION, GeoJSON or ``event.json`` of
        the USGS, ASDF, or another format ObsPy reads.
    report
        Called with every event that has no usable origin; without it they are warned of.

    Raises
    ------
    InputError
        If a file is missing or cannot be understood, or no usable event is left.
    """
    fix = "give --event FILE with QuakeML or CMTSOLUTION"
    events: list[oe.Event] = []
    for url, content in _documents(urls, "QuakeML", fix):
        try:
            found = _events(content)
        except (Exception, SystemExit) as error:
            raise InputError(f"{url} is no event file ({_cause(error)}): {fix}") from error
        for event in found:
            if reason := _unusable(event):
                problem = Problem(url, str(event.resource_id), "rejected", reason)
                if report is None:
                    warnings.warn(f"{url}: {problem.trace}: {reason}", stacklevel=2)
                else:
                    report(problem)
            else:
                events.append(event)
    if not events:
        raise InputError(f"no event with time, latitude and longitude: {fix}")
    return oe.Catalog(sorted(events, key=lambda event: event.preferred_origin().time))


def _documents(urls: Paths, kind: str, fix: str) -> Iterable[tuple[str, bytes]]:
    """Every file with its content; for an ASDF file, every document of the kind within it."""
    seen: set[str] = set()
    for item in [urls] if isinstance(urls, str | Path) else urls:
        try:
            found = locate(item)[0]
        except InputError as error:
            if str(error).startswith("no such file"):
                raise InputError(f"no such file: {item}; {fix}") from None
            raise
        for url in found:
            if url in seen:
                continue
            seen.add(url)
            try:
                content = unpack(SourceFile(url).content)
                inside = asdf.documents(content, kind)
            except (OSError, FormatError) as error:
                raise InputError(f"{url} cannot be read ({_cause(error)}): {fix}") from error
            if not content.strip():
                raise InputError(f"{url} is empty: {fix}")
            yield from ((url, document) for document in inside or [content])


def _parse(reader: Callable[..., Any], content: bytes) -> Any:
    """An ObsPy reader on bytes that are safe to parse."""
    if _is_xml(content):
        _check_xml(content)
    return listen(lambda: reader(io.BytesIO(content)))[0]


def _is_xml(content: bytes) -> bool:
    head = content[:200].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    return head.startswith(b"<")


def _check_xml(content: bytes) -> None:
    """ObsPy's parser expands entities, even ones that name local files: let none through."""
    parser = lxml.etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True
    )
    tree = lxml.etree.parse(io.BytesIO(content), parser)
    if tree.docinfo.doctype or tree.docinfo.internalDTD is not None:
        raise ValueError("XML with a document type or entities is not accepted")


def _cause(error: BaseException) -> str:
    """What a parser complains of, on one line."""
    text = " ".join(str(error).split())
    if isinstance(error, TypeError) and "Unknown format" in text:
        return "no format it could be is recognised"
    if isinstance(error, UnicodeDecodeError):
        return "binary data"
    if isinstance(error, KeyError):
        return f"no {text}"
    return (text or type(error).__name__)[:200].rstrip(" .:")


def _specfem_inventory(content: bytes) -> Inventory | None:
    """SPECFEM's STATIONS, recognised by six columns of which four are numbers."""
    number = rb"[-+]?\d+\.?\d*(?:[deDE][-+]?\d+)?"
    if not re.match(
        rb"\s*(?:#[^\n]*\n\s*)*\S+\s+\S+(?:[ \t]+" + number + rb"){4}\s*(\n|$)", content
    ):
        return None
    networks: dict[str, Network] = {}
    for (code, name), site in read_stations(content).items():
        if not (abs(site.latitude) <= 90 and abs(site.longitude) <= 360):
            raise ValueError(f"{code}.{name} has coordinates in metres, not degrees")
        station = Station(name, site.latitude, site.longitude, site.elevation)
        networks.setdefault(code, Network(code)).stations.append(station)
    return Inventory(networks=list(networks.values()), source="SPECFEM STATIONS")


def _events(content: bytes) -> list[oe.Event]:
    text = content.lstrip()
    if text[:1] in b"{[":
        return _json_events(json.loads(content))
    if re.search(rb"(?im)^\s*time shift\s*:", content[:2000]):
        return [_cmt_event(source) for source in read_cmtsolution(content)]
    return list(_parse(obspy.read_events, content))


def _json_events(document: Any) -> list[oe.Event]:
    """USGS GeoJSON (one feature or a collection), or its flat ``event.json``."""
    events = []
    for item in document.get("features", [document]) if isinstance(document, dict) else document:
        time: UTCDateTime
        if "geometry" in item:
            values = item["properties"]
            longitude, latitude, depth = [*item["geometry"]["coordinates"], None][:3]
            time, magnitude = UTCDateTime(ns=int(values["time"]) * 10**6), values.get("mag")
        else:
            latitude, longitude = item["latitude"], item["longitude"]
            depth, magnitude = item.get("depth_km"), item.get("magnitude")
            time = UTCDateTime(item["time"])
        origin = oe.Origin(
            time=time, latitude=latitude, longitude=longitude,
            depth=None if depth is None else depth * 1000.0,
        )  # fmt: skip
        event = oe.Event(origins=[origin], resource_id=_resource(item["id"], "event"))
        if magnitude is not None:
            event.magnitudes.append(oe.Magnitude(mag=magnitude, origin_id=origin.resource_id))
        event.preferred_origin_id = origin.resource_id
        events.append(event)
    return events


def _resource(name: Any, kind: str) -> oe.ResourceIdentifier:
    clean = re.sub(r"[^\w.-]", "_", str(name)) or "unnamed"
    return oe.ResourceIdentifier(f"smi:local/{clean}/{kind}")


def _cmt_event(source: PointSource) -> oe.Event:
    """An event with hypocentre, centroid, Mw and moment tensor (N m)."""
    latitude, longitude, depth = source.hypocenter
    time = UTCDateTime(ns=source.origin)
    hypocenter = oe.Origin(
        resource_id=_resource(source.name, "hypocenter"), time=time, latitude=latitude,
        longitude=longitude, depth=depth * 1000.0, origin_type="hypocenter", region=source.region,
    )  # fmt: skip
    latitude, longitude, depth = source.centroid
    centroid = oe.Origin(
        resource_id=_resource(source.name, "centroid"),
        time=UTCDateTime(ns=source.origin + round(source.time_shift * 10**9)),
        latitude=latitude, longitude=longitude, depth=depth * 1000.0, origin_type="centroid",
    )  # fmt: skip
    mrr, mtt, mpp, mrt, mrp, mtp = (component * 1e-7 for component in source.tensor)
    moment = math.sqrt((mrr**2 + mtt**2 + mpp**2) / 2 + mrt**2 + mrp**2 + mtp**2)
    tensor = oe.MomentTensor(
        resource_id=_resource(source.name, "moment_tensor"),
        derived_origin_id=centroid.resource_id, scalar_moment=moment,
        tensor=oe.Tensor(m_rr=mrr, m_tt=mtt, m_pp=mpp, m_rt=mrt, m_rp=mrp, m_tp=mtp),
        source_time_function=oe.SourceTimeFunction(
            type="triangle", duration=2.0 * source.half_duration
        ),
    )  # fmt: skip
    event = oe.Event(
        resource_id=_resource(source.name, "event"), event_type="earthquake",
        origins=[hypocenter, centroid],
        event_descriptions=[oe.EventDescription(text=source.name, type="earthquake name")],
        focal_mechanisms=[oe.FocalMechanism(moment_tensor=tensor)],
    )  # fmt: skip
    if moment > 0:
        magnitude = oe.Magnitude(
            mag=round(2 / 3 * (math.log10(moment) - 9.1), 2), magnitude_type="Mw"
        )
        event.magnitudes.append(magnitude)
        event.preferred_magnitude_id = magnitude.resource_id
    event.preferred_origin_id = hypocenter.resource_id
    return event


def _unusable(event: oe.Event) -> str:
    """Why an event cannot be used; makes sure that it has a preferred origin."""
    origin = event.preferred_origin() or (event.origins[0] if event.origins else None)
    if origin is None:
        return "no origin"
    for name in ("time", "latitude", "longitude"):
        if getattr(origin, name) is None:
            return f"its origin has no {name}"
    if not (abs(origin.latitude) <= 90 and abs(origin.longitude) <= 360):
        return f"origin at {origin.latitude}, {origin.longitude}: not degrees"
    event.preferred_origin_id = origin.resource_id
    return ""
