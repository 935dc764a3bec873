"""The station and event documents of a store, whole again: one inventory, one catalogue."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable

import numpy as np
import obspy
import zarr
from obspy.core.event import Catalog
from obspy.core.inventory import Channel, Inventory, Network, Station

from ..sources.base import Trace, nominal_rate
from .traces import Stored
from .urls import array_of, group_of

_EPOCH = obspy.UTCDateTime(0)


def inventory_of(
    root: zarr.Group, traces: Iterable[Stored], report: Callable[[str, str], None]
) -> Inventory:
    """StationXML of what was converted; channels it lacks with what the store knows of them.

    Parameters
    ----------
    root
        The store.
    traces
        What the inventory has to describe.
    report
        Called with the id of a channel and what is not known of it.
    """
    merged = Inventory(networks=[], source="pangeo_ces", created=_EPOCH)
    missing: dict[str, Trace] = {}
    bases: dict[str, set[str]] = {}
    for stored in traces:
        if stored.base not in bases:
            found = _parse(root, stored.base, "stationxml", obspy.read_inventory)
            bases[stored.base] = _channel_codes(found)
            merged.networks.extend(found.networks if found else [])
        if stored.header.id not in bases[stored.base]:
            missing.setdefault(stored.header.id, stored.header)
    described = _channel_codes(merged)
    # Stations without channels, as SPECFEM's STATIONS gives them, are made anew with theirs.
    for network in merged.networks:
        network.stations = [station for station in network.stations if station.channels]
    merged.networks = [network for network in merged.networks if network.stations]
    for code, trace in sorted(missing.items()):
        if code not in described:
            _add(merged, trace, report)
    return merged


def catalog_of(root: zarr.Group, traces: Iterable[Stored]) -> Catalog:
    """QuakeML of what was converted, each event once."""
    merged = Catalog(resource_id="smi:local/pangeo_ces/catalog")
    known: set[str] = set()
    for base in dict.fromkeys(stored.base for stored in traces):
        for event in _parse(root, base, "quakeml", obspy.read_events) or ():
            if str(event.resource_id) not in known:
                known.add(str(event.resource_id))
                merged.append(event)
    return merged


def quakeml(catalog: Catalog) -> bytes:
    """A catalogue as QuakeML."""
    stream = io.BytesIO()
    catalog.write(stream, format="QUAKEML")
    return stream.getvalue()


def _parse[Document](
    root: zarr.Group, base: str, name: str, reader: Callable[..., Document]
) -> Document | None:
    """A document stored with a conversion, or ``None``."""
    path = f"metadata/{base}"
    if path not in root or name not in group_of(root, path):
        return None
    return reader(io.BytesIO(np.asarray(array_of(group_of(root, path), name)[:]).tobytes()))


def _channel_codes(inventory: Inventory | None) -> set[str]:
    return {
        f"{network.code}.{station.code}.{channel.location_code or ''}.{channel.code}"
        for network in inventory or ()
        for station in network
        for channel in station
    }


def _add(inventory: Inventory, trace: Trace, report: Callable[[str, str], None]) -> None:
    """A channel without response, as far as the store knows it."""
    site = trace.site
    if not (math.isfinite(site.latitude) and math.isfinite(site.longitude)):
        report(trace.id, "no coordinates in the store: not in the StationXML")
        return
    if not math.isfinite(site.elevation):
        report(trace.id, "elevation unknown: 0 m in the StationXML")
    elevation = site.elevation if math.isfinite(site.elevation) else 0.0
    place = (site.latitude, site.longitude, elevation)
    channel = Channel(
        trace.channel, trace.location, *place, site.depth if math.isfinite(site.depth) else 0.0,
        azimuth=site.azimuth % 360.0 if math.isfinite(site.azimuth) else None,
        dip=site.dip if math.isfinite(site.dip) else None,
        sample_rate=nominal_rate(trace.interval),
    )  # fmt: skip
    for network in inventory:
        for station in network:
            if (network.code, station.code) == (trace.network, trace.station):
                station.channels.append(channel)
                return
    station = Station(trace.station, *place, channels=[channel], creation_date=_EPOCH)
    network = next((n for n in inventory if n.code == trace.network), None)
    if network is None:
        inventory.networks.append(network := Network(trace.network))
    network.stations.append(station)
