"""The event axis of a store."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import xarray as xr
from obspy.core.event import Catalog
from obspy.geodetics import gps2dist_azimuth, locations2degrees

from ..conventions import VARIABLES
from ..timeaxis import NANO

#: Two origins within this time (s) and distance (degrees) are estimates of one earthquake.
SAME_TIME, SAME_PLACE = 30.0, 1.0
#: A record that starts this long (s) after an origin still belongs to the event.
LONGEST_DELAY = 1800.0
#: The origin time of a catalogue and that of a simulation of the event differ by at most this (s).
LONGEST_SHIFT = 60.0
#: A record that ends this long (s) before an origin is the event's noise.
LONGEST_LEAD = 600.0


@dataclasses.dataclass(frozen=True)
class Event:
    """What the store needs of an earthquake; ``time`` in nanoseconds since 1970."""

    id: str
    time: int
    latitude: float
    longitude: float
    depth: float
    magnitude: float
    name: str
    resource_id: str

    def is_same(self, other: Event) -> bool:
        """Whether both are estimates of one earthquake."""
        place = locations2degrees(self.latitude, self.longitude, other.latitude, other.longitude)
        return abs(self.time - other.time) <= SAME_TIME * NANO and place <= SAME_PLACE


def to_rows(events: list[Event]) -> list[dict[str, Any]]:
    """Events as JSON has them; what is not known is null, so that equal rows compare equal."""
    return [
        {key: None if value != value else value for key, value in dataclasses.asdict(e).items()}
        for e in events
    ]


def from_rows(rows: list[dict[str, Any]]) -> list[Event]:
    """The inverse of :func:`to_rows`."""
    known: list[dict[str, Any]] = [
        {key: math.nan if value is None else value for key, value in row.items()} for row in rows
    ]
    return [Event(**row) for row in known]


def events_of(catalog: Catalog) -> list[Event]:
    """The events of a catalogue in order of origin time, with readable unique ids."""
    events: list[Event] = []
    for item in sorted(catalog, key=lambda e: (e.preferred_origin() or e.origins[0]).time):
        origin = item.preferred_origin() or item.origins[0]
        size = item.preferred_magnitude() or (item.magnitudes[0] if item.magnitudes else None)
        name = next((d.text for d in item.event_descriptions if d.text), "") or origin.region or ""
        events.append(
            Event(
                id=origin.time.strftime("%Y%m%dT%H%M%S"),
                time=origin.time._ns,
                latitude=float(origin.latitude),
                longitude=float(origin.longitude),
                depth=math.nan if origin.depth is None else float(origin.depth),
                magnitude=math.nan if size is None or size.mag is None else float(size.mag),
                name=name.strip(),
                resource_id=str(item.resource_id),
            )
        )
    return distinct(events)


def distinct(events: list[Event]) -> list[Event]:
    """Events with a number added to ids that would be equal; the first keeps its own."""
    used: set[str] = set()
    result = []
    for event in events:
        name, number = event.id, 1
        while name in used:
            number += 1
            name = f"{event.id}-{number}"
        used.add(name)
        result.append(dataclasses.replace(event, id=name))
    return result


def merge(axis: list[Event], new: list[Event]) -> list[Event]:
    """The event axis ``axis`` with those of ``new`` appended that it does not hold yet."""
    return distinct([*axis, *(e for e in new if not any(e.is_same(old) for old in axis))])


def belongs(events: list[Event], start: int, end: int) -> list[int]:
    """Numbers of the events that a record from ``start`` to ``end`` (ns) belongs to.

    Every event whose origin lies in the record; else the latest one before it, if the record
    starts within half an hour of it; else the next one, if the record ends within ten minutes
    before it.
    """
    inside = [i for i, event in enumerate(events) if start <= event.time <= end]
    if inside:
        return inside
    before = [i for i, e in enumerate(events) if 0 < start - e.time <= LONGEST_DELAY * NANO]
    if before:
        return [max(before, key=lambda i: events[i].time)]
    after = [i for i, e in enumerate(events) if 0 < e.time - end <= LONGEST_LEAD * NANO]
    return [min(after, key=lambda i: events[i].time)] if after else []


def simulated(events: list[Event], start: int, end: int, origin: int | None) -> list[int]:
    """Number of the one event that a synthetic was computed for, if it is among ``events``.

    That is the event at its ``origin``; where the file does not tell, of those in the record the
    one nearest to its start, since a simulation starts just before its source.
    """
    if origin is not None:
        near = [i for i, e in enumerate(events) if abs(e.time - origin) <= LONGEST_SHIFT * NANO]
        return [min(near, key=lambda i: abs(events[i].time - origin))] if near else []
    inside = belongs(events, start, end)
    return [min(inside, key=lambda i: abs(events[i].time - start))] if inside else []


def event_coords(events: list[Event]) -> xr.Dataset:
    """The event axis as coordinates."""

    def column(name: str, values: list, dtype: str | None = None) -> tuple:
        return ("event", np.array(values, dtype=dtype), VARIABLES[name].attrs)

    times = np.array([event.time for event in events], "int64").astype("datetime64[ns]")
    return xr.Dataset(
        coords={
            "event": ("event", np.array([event.id for event in events], dtype=object)),
            "origin_time": ("event", times, {"long_name": "origin time, UTC"}),
            "event_latitude": column("event_latitude", [e.latitude for e in events]),
            "event_longitude": column("event_longitude", [e.longitude for e in events]),
            "event_depth": column("event_depth", [e.depth for e in events]),
            "magnitude": column("magnitude", [e.magnitude for e in events]),
            "event_name": ("event", np.array([e.name for e in events], dtype=object)),
            "event_resource_id": ("event", np.array([e.resource_id for e in events], dtype=object)),
        }
    )


def geometry(
    events: list[Event], latitudes: np.ndarray, longitudes: np.ndarray
) -> dict[str, tuple]:
    """Epicentral distance (m) and back-azimuth (degrees), event by station, on WGS84."""
    shape = (len(events), len(latitudes))
    distance, back_azimuth = np.full(shape, np.nan), np.full(shape, np.nan)
    for i, event in enumerate(events):
        for j, (latitude, longitude) in enumerate(zip(latitudes, longitudes, strict=True)):
            if math.isfinite(latitude) and math.isfinite(longitude):
                distance[i, j], _, back_azimuth[i, j] = gps2dist_azimuth(
                    event.latitude, event.longitude, latitude, longitude
                )
    dims = ("event", "station")
    return {
        name: (dims, values, VARIABLES[name].attrs)
        for name, values in (("epicentral_distance", distance), ("back_azimuth", back_azimuth))
    }
