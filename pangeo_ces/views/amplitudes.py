"""The product as amplitudes in QuakeML."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr
from obspy import UTCDateTime
from obspy.core.event import (
    Amplitude,
    Catalog,
    Comment,
    Event,
    Magnitude,
    Origin,
    ResourceIdentifier,
    WaveformStreamID,
)

from pangeo_ces.storage import write_bytes
from pangeo_ces.views import contents

_PREFIX = "smi:local/pangeo_ces"
_UNITS = {"pga": "m/(s*s)", "pgv": "m/s", "pgd": "m", "psa": "m/(s*s)"}


def to_catalog(tree: xr.DataTree, *, source: str = "observed") -> Catalog:
    """Events with the peaks of every recorded component as amplitudes.

    Parameters
    ----------
    tree : xarray.DataTree
        The rapid-assessment product.
    source : str, default "observed"
        ``observed`` or ``synthetic/<model>``.

    Returns
    -------
    obspy.core.event.Catalog
        An event for each of the product, with its origin and magnitude, and an Amplitude for each
        channel and measure: ``type`` PGA, PGV, PGD or PSA, SI units, ``period`` of a spectral
        one with the damping in a comment, ``category`` other, ``evaluation_mode`` automatic.
        Identifiers follow from what they name, so that the same product gives the same document.

    Examples
    --------
    >>> catalog = to_catalog(tree)  # doctest: +SKIP
    >>> catalog[0].amplitudes[0].type, catalog[0].amplitudes[0].unit  # doctest: +SKIP
    ('PGA', 'm/(s*s)')
    """
    ds = contents.source(tree, source)
    events = []
    for number in range(ds.sizes["event"]):
        event = _event(ds, number)
        event.amplitudes = list(_amplitudes(ds, number, source))
        events.append(event)
    return Catalog(events, resource_id=ResourceIdentifier(f"{_PREFIX}/amplitudes/{source}"))


def write_quakeml(catalog: Catalog, path_or_url: str | os.PathLike[str]) -> None:
    """Write a catalogue as QuakeML 1.2.

    Examples
    --------
    >>> write_quakeml(to_catalog(tree), "amplitudes.xml")  # doctest: +SKIP
    """
    buffer = io.BytesIO()
    catalog.write(buffer, format="QUAKEML")
    write_bytes(path_or_url, buffer.getvalue())


def _event(ds: xr.Dataset, number: int) -> Event:
    def known(name: str) -> float | None:
        value = float(ds[name].values[number]) if name in ds.coords else np.nan
        return value if np.isfinite(value) else None

    name = str(ds["event"].values[number])
    resource = str(ds["event_resource_id"].values[number]) if "event_resource_id" in ds else ""
    event = Event(resource_id=ResourceIdentifier(resource or f"{_PREFIX}/event/{name}"))
    time = ds["origin_time"].values[number] if "origin_time" in ds.coords else np.datetime64("NaT")
    if not pd.isna(time):
        event.origins = [
            Origin(
                resource_id=ResourceIdentifier(f"{_PREFIX}/origin/{name}"),
                time=UTCDateTime(ns=int(time.astype("datetime64[ns]").astype(int))),
                latitude=known("event_latitude"), longitude=known("event_longitude"),
                depth=known("event_depth"),
            )
        ]  # fmt: skip
    if (size := known("magnitude")) is not None:
        identifier = ResourceIdentifier(f"{_PREFIX}/magnitude/{name}")
        event.magnitudes = [Magnitude(resource_id=identifier, mag=size)]
    return event


def _amplitudes(ds: xr.Dataset, number: int, source: str) -> Iterator[Amplitude]:
    name = str(ds["event"].values[number])
    single = [c for c, label in enumerate(ds["component"].values) if len(str(label)) == 1]
    damping = float(ds["damping"]) if "damping" in ds.coords else None
    for measure in contents.measure_names(ds):
        kind, _, period = measure.partition("_")
        values = contents.measure(ds, measure).transpose("event", "station", "component").values
        for s, c in np.argwhere(np.isfinite(values[number][:, single])).tolist():
            label, component = str(ds["station"].values[s]), str(ds["component"].values[single[c]])
            network, station, location, band = contents.station_codes(label)
            path = f"{source}/{name}/{label}{component}/{measure}".replace(" ", "_")
            amplitude = Amplitude(
                resource_id=ResourceIdentifier(f"{_PREFIX}/amplitude/{path}"),
                generic_amplitude=float(values[number, s, single[c]]),
                type=kind.upper(), category="other", unit=_UNITS[kind],
                evaluation_mode="automatic",
                waveform_id=WaveformStreamID(network, station, location, band + component),
            )  # fmt: skip
            if period:
                amplitude.period = float(period[:-1])
                if damping is not None:
                    text = f"{100 * damping:g} % of critical damping"
                    identifier = ResourceIdentifier(f"{_PREFIX}/comment/{path}")
                    amplitude.comments = [Comment(text=text, resource_id=identifier)]
            yield amplitude
