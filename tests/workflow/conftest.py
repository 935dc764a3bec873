"""Made-up stations and simulations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import obspy
import pytest
from obspy.core.event import Catalog, Event, Origin
from obspy.core.inventory import Channel, Inventory, Network, Station
from obspy.core.inventory.response import Response

ORIGIN = obspy.UTCDateTime("2020-01-01T00:00:00")
ORIENTATION = {"Z": (0, -90), "N": (0, 0), "E": (90, 0), "1": (None, 0), "2": (None, 0)}


class Scene:
    """Files of a small earthquake, written as asked for."""

    def __init__(self, folder: Path):
        self.folder, self.network, self.times = folder, {}, [ORIGIN]
        (folder / "observed").mkdir()

    def record(self, station="A", components="ZNE", start=-5.0, samples=6000, rate=100.0,
               scale=1.0, units="M/S", folder="observed", name=""):  # fmt: skip
        """Records of decaying noise, in units of 1e-9 ``units`` a count."""
        code = f"{'HN' if '**' in units else 'HH'}"
        known = self.network.setdefault(station, {})
        for component in components:
            random = np.random.default_rng(ord(component))
            n = samples[component] if isinstance(samples, dict) else samples
            values = random.standard_normal(n) * np.exp(-np.arange(n) / rate / 10) * 1e5 * scale
            header = {"network": "XX", "station": station, "channel": code + component,
                      "starttime": ORIGIN + start, "sampling_rate": rate}  # fmt: skip
            path = self.folder / folder / f"{station}.{code}{component}.{rate:g}{name}.mseed"
            obspy.Trace(values.astype("int32"), header).write(str(path), format="MSEED")
            azimuth, dip = ORIENTATION[component]
            known[code + component] = Channel(
                code + component, "", 42.0 + len(self.network) / 10, 13.0, 0.0, 0.0,
                azimuth=azimuth, dip=dip,
                response=Response.from_paz([], [], stage_gain=1e9, input_units=units),
            )  # fmt: skip
        return self

    def simulation(self, name, origin=ORIGIN, peak=1.0, kinds="v", stations="A", dt=0.05, end=60.0):
        """A SPECFEM run with a pulse of ``peak`` on every component."""
        run = self.folder / name
        for part in ("DATA", "OUTPUT_FILES"):
            (run / part).mkdir(parents=True)
        seconds = origin.second + origin.microsecond / 1e6
        stamp = origin.strftime("%Y %m %d %H %M ") + f"{seconds:.2f}"
        lines = [f" PDE {stamp} 42.0 13.0 10.0 5.0 5.0 MADE UP", f"event name: {name}",
                 "time shift: 0.0", "half duration: 1.0", "latorUTM: 42.0", "longorUTM: 13.0",
                 "depth: 10.0"]  # fmt: skip
        lines += [f"M{axis}: 1.0e+23" for axis in ("rr", "tt", "pp", "rt", "rp", "tp")]
        (run / "DATA" / "CMTSOLUTION").write_text("\n".join(lines) + "\n")
        rows = [f"{s} XX {42.1 + i / 10} 13.0 0.0 0.0" for i, s in enumerate(stations)]
        (run / "DATA" / "STATIONS").write_text("\n".join(rows) + "\n")
        times = np.arange(-3.0, end, dt)
        values = peak * np.exp(-(((times - 15) / 1.5) ** 2)) * np.sin(2 * np.pi * 0.3 * times)
        for station, kind in zip(stations, kinds * len(stations), strict=False):
            for component in "ZNE":
                path = run / "OUTPUT_FILES" / f"XX.{station}.BX{component}.sem{kind}"
                np.savetxt(path, np.stack([times, values], axis=1), fmt="%.7e")
        return run

    def event(self, *times):
        """QuakeML of the earthquake, or of those at ``times``."""
        events = [Event(origins=[Origin(time=t, latitude=42.0, longitude=13.0, depth=1e4)])
                  for t in times or [ORIGIN]]  # fmt: skip
        path = self.folder / "quake.xml"
        Catalog(events).write(str(path), format="QUAKEML")
        return str(path)

    def stations(self):
        found = [
            Station(code, next(iter(channels.values())).latitude, 13.0, 0.0,
                    channels=list(channels.values()))
            for code, channels in self.network.items()
        ]  # fmt: skip
        path = self.folder / "stations.xml"
        Inventory([Network("XX", found)]).write(str(path), format="STATIONXML")
        return str(path)

    def convert(self, *runs, event=None):
        """Store with the records and every run as a model of its name."""
        import pangeo_ces as ces

        store = str(self.folder / "store.zarr")
        event = event or self.event()
        if self.network:
            ces.convert(self.folder / "observed", store, stations=self.stations(), event=event)
        for run in runs:
            ces.convert(run, store, event=event, as_=f"synthetic/{run.name}")
        return store


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)
