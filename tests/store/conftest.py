"""Small inputs made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import obspy
import pytest
from obspy.core.event import Catalog, Event, Magnitude, Origin
from obspy.core.inventory import Channel, Inventory, Network, Response, Station
from obspy.core.inventory.response import InstrumentSensitivity

from pangeo_ces.sources.base import Site, Trace

ORIGIN = obspy.UTCDateTime("2016-08-24T01:36:32.870000Z")
START, DAY = obspy.UTCDateTime("2020-02-28"), 86_400


@pytest.fixture
def origin() -> obspy.UTCDateTime:
    return ORIGIN


@pytest.fixture
def stations(tmp_path: Path) -> str:
    """StationXML of XX.A, XX.B and XX.C with HHZ, HHN and HHE."""
    gain = InstrumentSensitivity(1e9, 1.0, "M/S", "COUNTS")
    response = Response(instrument_sensitivity=gain)
    orientation = {"Z": (0, -90), "N": (0, 0), "E": (90, 0)}

    def channel(code: str, place: tuple[float, float]) -> Channel:
        azimuth, dip = orientation[code]
        return Channel(f"HH{code}", "", *place, 100.0, 0.0, azimuth=azimuth, dip=dip,
                       response=response)  # fmt: skip

    places = {"A": (42.5, 13.0), "B": (42.7, 13.3), "C": (43.0, 13.1)}
    network = Network(
        "XX",
        [
            Station(code, *place, 100.0, [channel(c, place) for c in orientation])
            for code, place in places.items()
        ],
    )
    path = tmp_path / "stations.xml"
    Inventory([network]).write(str(path), format="STATIONXML")
    return str(path)


@pytest.fixture
def quake(tmp_path: Path) -> str:
    return write_catalog(tmp_path / "quake.xml", [ORIGIN])


def write_catalog(path: Path, times: list[obspy.UTCDateTime]) -> str:
    events = [
        Event(origins=[Origin(time=time, latitude=42.7, longitude=13.2, depth=8000.0)],
              magnitudes=[Magnitude(mag=6.2)])
        for time in times
    ]  # fmt: skip
    Catalog(events).write(str(path), format="QUAKEML")
    return str(path)


@pytest.fixture
def catalog_of(tmp_path: Path) -> Callable[..., str]:
    return lambda name, *times: write_catalog(tmp_path / name, list(times))


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Path]:
    """``record(station="A", component="Z", start=-10.0, samples=2000, …)`` writes miniSEED."""

    def write(
        station: str = "A",
        component: str = "Z",
        start: float = -10.0,
        samples: int = 2000,
        rate: float = 100.0,
        data: np.ndarray | None = None,
        name: str | None = None,
    ) -> Path:
        random = np.random.default_rng(abs(hash((station, component))) % 2**32)
        values = random.integers(-9999, 9999, samples, "int32") if data is None else data
        header = {"network": "XX", "station": station, "channel": f"HH{component}",
                  "starttime": ORIGIN + start, "sampling_rate": rate}  # fmt: skip
        path = tmp_path / "in" / (name or f"{station}.{component}.mseed")
        path.parent.mkdir(exist_ok=True)
        obspy.Trace(values, header).write(str(path), format="MSEED")
        return path

    return write


class ListSource:
    """A source whose files are names of lists of traces: what no format can write, a test can."""

    name = "list"

    def __init__(self) -> None:
        self.files: dict[str, list[Trace]] = {}

    def matches(self, file) -> bool:
        return file.name in self.files

    def read(self, file, *, samples, report) -> list[Trace]:
        return self.files[file.name]


@pytest.fixture(scope="module")
def listed() -> ListSource:
    from pangeo_ces import sources

    source = ListSource()
    sources.SOURCES.insert(0, source)
    yield source
    sources.SOURCES.remove(source)


@pytest.fixture(scope="session")
def make_trace() -> Callable[..., Trace]:
    site = Site(42.5, 13.0, 100.0, 0.0, 0.0, -90.0)

    def make(data: np.ndarray, start: int, rate: float = 100.0, channel: str = "HHZ") -> Trace:
        from pangeo_ces.sources.base import exact_interval

        interval = rate if isinstance(rate, Fraction) else exact_interval(rate)
        return Trace("XX", "A", "", channel, start, interval, len(data), data, site=site)

    return make


@pytest.fixture
def day(tmp_path):
    """``day(number, station, component)`` writes a day of a sample a second."""

    def write(number, station="A", component="Z", seconds=DAY, first=0, seed=None, name=None):
        random = np.random.default_rng(seed if seed is not None else [number + 10, first])
        values = random.integers(-9999, 9999, seconds, "int32")
        header = {"network": "XX", "station": station, "channel": f"LH{component}",
                  "starttime": START + number * DAY + first}  # fmt: skip
        path = tmp_path / "in" / (name or f"{station}.{component}.{number}.{first}.mseed")
        path.parent.mkdir(exist_ok=True)
        obspy.Trace(values, header).write(str(path), format="MSEED")
        return path

    return write


@pytest.fixture
def places(tmp_path, stations):
    inventory = obspy.read_inventory(stations)
    for station in inventory[0]:
        for channel in station:
            channel.code = f"LH{channel.code[-1]}"
    path = tmp_path / "places.xml"
    inventory.write(str(path), format="STATIONXML")
    return str(path)
