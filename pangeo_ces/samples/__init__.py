"""Sample data that come with the package; licences and sources in the README beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import InputError

#: What fits these records: see the README of the sample.
GERMAN_EVENTS: dict[str, Any] = {
    "freqmin": 0.03,
    "freqmax": 0.08,
    "corners": 3,
    "zerophase": True,
    "pre_filt": (0.008, 0.015, 4.0, 8.0),
    "quantity": "velocity",
    "periods": (15.0, 20.0, 25.0),
}


def path(name: str) -> Path:
    """Path of a sample file or folder.

    >>> path("german_events/stations.xml").name
    'stations.xml'
    """
    found = Path(__file__).parent / name
    if not found.exists():
        raise InputError(f"no sample {name}: there is german_events/")
    return found


def german_events(store: str = "memory://german_events") -> str:
    """Convert the three German earthquakes, recorded and simulated, into a store; its URL.

    >>> german_events("memory://doc-samples")
    'memory://doc-samples'
    """
    from ..store.convert import convert

    convert(
        path("german_events/observed"),
        store,
        stations=path("german_events/stations.xml"),
        event=path("german_events/events.xml"),
    )
    convert(
        path("german_events/synthetic"),
        store,
        event=path("german_events/events.xml"),
        as_="synthetic/specfem",
    )
    return store
