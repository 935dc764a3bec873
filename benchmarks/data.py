"""Made data of any size: records in counts and simulations, as miniSEED with StationXML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import obspy
from obspy.core.event import Catalog, Event, Origin
from obspy.core.inventory import Channel, Inventory, Network, Station
from obspy.core.inventory.response import Response

ORIGIN = obspy.UTCDateTime("2016-10-30T06:40:18")
#: STS-2: 120 s to the Nyquist frequency, 1500 V s/m into 2.6e-6 V a count.
POLES = [-0.037 + 0.037j, -0.037 - 0.037j, -251.3, -131.0 + 467.3j, -131.0 - 467.3j]
RATE, SAMPLES = 50.0, 60_000


def make(folder: Path, stations: int, samples: int = SAMPLES, rate: float = RATE) -> None:
    """Write ``observed/``, ``synthetic/``, their StationXML and the event."""
    counts = Response.from_paz([0, 0], POLES, stage_gain=5.8e8)
    physical = Response.from_paz([], [], stage_gain=1.0, output_units="M/S")
    random = np.random.default_rng(0)
    envelope = np.exp(-np.abs(np.arange(samples) - 0.2 * samples) / (0.08 * samples))
    inventories: dict[str, list[Station]] = {"observed": [], "synthetic": []}
    angle = random.uniform(0, 2 * np.pi, stations)
    place = random.uniform(0.1, 1.5, stations)
    latitudes, longitudes = 42.8 + place * np.cos(angle), 13.1 + place * np.sin(angle)
    for kind, response in (("observed", counts), ("synthetic", physical)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(stations):
            code = f"S{number:03d}"
            stream, channels = obspy.Stream(), []
            for component, azimuth, dip in (("Z", 0, -90), ("N", 0, 0), ("E", 90, 0)):
                values = np.cumsum(random.standard_normal(samples)) * envelope * 300
                counted = kind == "observed"
                values = values.astype("int32") if counted else (values * 1e-8).astype("f4")
                header = {"network": "XX", "station": code, "channel": f"HH{component}",
                          "starttime": ORIGIN - 100, "sampling_rate": rate}  # fmt: skip
                stream.append(obspy.Trace(values, header))
                channels.append(
                    Channel(f"HH{component}", "", latitudes[number], longitudes[number], 0.0, 0.0,
                            azimuth=azimuth, dip=dip, response=response)
                )  # fmt: skip
            stream.write(str(folder / kind / f"XX.{code}.mseed"), format="MSEED")
            inventories[kind].append(
                Station(code, latitudes[number], longitudes[number], 0.0, channels=channels)
            )
        inventory = Inventory([Network("XX", inventories[kind])])
        inventory.write(str(folder / f"{kind}.xml"), format="STATIONXML")
    quake = Event(origins=[Origin(time=ORIGIN, latitude=42.8, longitude=13.1, depth=9000.0)])
    Catalog([quake]).write(str(folder / "event.xml"), format="QUAKEML")


def convert(folder: Path) -> str:
    """Convert both sides into ``store.zarr``; its path."""
    import pangeo_ces as ces

    store = str(folder / "store.zarr")
    for kind, name in (("observed", "observed"), ("synthetic", "synthetic/model")):
        ces.convert(folder / kind, store, stations=folder / f"{kind}.xml",
                    event=folder / "event.xml", as_=name)  # fmt: skip
    return store
