"""Recorded data: a day at three stations, and an earthquake at fifty."""

from __future__ import annotations

import json

import numpy as np
import obspy
import pytest
import xarray as xr
from obspy.core.inventory import Channel, Inventory, Network, Station

import pangeo_ces as ces
from pangeo_ces.catalog import build_catalog, open_catalog
from pangeo_ces.testing import assert_lazy

PLACES = {"UV05": (-21.24, 55.71), "UV06": (-21.23, 55.75), "UV10": (-21.27, 55.72)}


@pytest.fixture(scope="module")
def days(data, tmp_path_factory):
    """The SDS day files, their store, and its catalogue."""
    sds = data("03_noise/ya_uv_20100901/SDS")
    folder = tmp_path_factory.mktemp("ya")
    stations = [
        Station(code, *place, 2000.0, channels=[Channel("HHZ", "00", *place, 2000.0, 0.0)])
        for code, place in PLACES.items()
    ]
    inventory = Inventory([Network("YA", stations=stations)])
    inventory.write(str(folder / "stations.xml"), format="STATIONXML")
    store = str(folder / "ya.zarr")
    ces.convert(sds, store, stations=folder / "stations.xml")
    build_catalog(store, folder / "stac")
    return sds, store, folder / "stac"


def test_days_are_what_obspy_reads(days, check):
    sds, _, folder = days
    assert check(folder) == 3
    found = {item["properties"]["seis:stations"][0]: item for item in open_catalog(folder).search()}
    for file in sds.rglob("*.244"):
        stream = obspy.read(str(file), headonly=True).sort()
        item = found[f"YA.{stream[0].stats.station}"]
        fields = item["properties"]
        start = min(trace.stats.starttime for trace in stream)
        end = max(trace.stats.endtime for trace in stream)
        assert abs(obspy.UTCDateTime(fields["start_datetime"]) - start) <= 1e-6
        assert abs(obspy.UTCDateTime(fields["end_datetime"]) - end) <= 2e-6
        samples = sum(trace.stats.npts for trace in stream)
        whole = round((end - start) * 100) + 1
        assert fields["seis:completeness"] == pytest.approx(100 * samples / whole, abs=1e-4)
        assert fields["seis:gaps"] == len(stream.get_gaps())
        assert fields["seis:channels"] == [stream[0].id]
        latitude, longitude = PLACES[stream[0].stats.station]
        assert item["geometry"] == {"type": "Point", "coordinates": [longitude, latitude]}
        time = item["assets"]["100Hz"]["cube:dimensions"]["time"]
        assert time["step"] == "PT0.01S" and time["extent"][0] == fields["start_datetime"]
        assert item["id"] == f"YA.{stream[0].stats.station}.00.HH-100Hz-2010"


def test_ten_minutes_of_one_station(days):
    _, store, folder = days
    span = ("2010-09-01T10:00:00", "2010-09-01T10:10:00")
    ds = open_catalog(folder).search(station="UV06", time=span).open()
    assert_lazy(ds)
    whole = ces.open_store(store)["continuous/100Hz"].to_dataset()
    wanted = whole.isel(station=[list(whole.station.values).index("YA.UV06.00.HH")])
    xr.testing.assert_identical(ds.compute(), wanted.sel(time=slice(*span)).compute())
    assert ds.sizes["time"] in (60_000, 60_001) and not np.isnan(ds["counts"]).any()
    assert len(open_catalog(folder).search(time="2010-09-03/..")) == 0


def test_earthquake(data, tmp_path, check):
    folder = data("01_strong_motion/cwb_20210418_hualien")
    store = str(tmp_path / "hualien.zarr")
    ces.convert(folder / "mseed", store, stations=folder / "stations.xml",
                event=folder / "event.xml")  # fmt: skip
    build_catalog(store, tmp_path / "stac")
    check(tmp_path / "stac")
    catalog = open_catalog(tmp_path / "stac")
    found = catalog.search(
        kind="windows", magnitude=(5, 7), bbox=(121, 23, 122, 25), time="2021-04-18"
    )
    (item,) = found
    event = obspy.read_events(str(folder / "event.xml"))[0]
    origin = event.preferred_origin() or event.origins[0]
    fields = item["properties"]
    assert fields["datetime"] == str(origin.time)
    assert fields["seis:depth"] == origin.depth
    headers = [obspy.read(str(file), headonly=True) for file in (folder / "mseed").iterdir()]
    ids = {trace.id for stream in headers for trace in stream}
    assert set(fields["seis:channels"]) == ids and fields["seis:traces"] == len(ids)
    first = min(trace.stats.starttime for stream in headers for trace in stream)
    assert abs(obspy.UTCDateTime(fields["start_datetime"]) - first) <= 1e-6
    tree = found.open()
    nodes = [tree] if isinstance(tree, xr.Dataset) else [d for _, d in ces.waveforms(tree, "")]
    assert sum(ds.sizes["station"] for ds in nodes) == len({id_[:-1] for id_ in ids})
    station = fields["seis:stations"][7]
    one = open_catalog(tmp_path / "stac").search(station=station).open()
    assert all(label.startswith(f"{station}.") for label in one["station"].values)
    json.dumps(item, allow_nan=False)
