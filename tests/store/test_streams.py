"""Opened Datasets, processed or not, as ObsPy Streams."""

from __future__ import annotations

import io

import numpy as np
import obspy
import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.errors import CesError
from pangeo_ces.testing import synthetic_windows


@pytest.fixture(scope="module")
def german() -> str:
    return ces.samples.german_events("memory://streams-german")


def by_start(stream: obspy.Stream) -> dict:
    return {(t.id, t.stats.starttime.ns): t for t in stream}


@pytest.mark.parametrize("what", ["tree", "dataset"])
def test_opened_is_what_was_stored(german, what):
    """Absolute, sub-sample starts included; counts as floats."""
    tree = ces.open_store(german)
    node = "windows/main/observed/20Hz"
    stream = ces.to_stream(tree, node) if what == "tree" else ces.to_stream(tree[node].to_dataset())
    stored = by_start(ces.to_stream(german, node))
    found = by_start(stream)
    assert sorted(found) == sorted(stored) and len(found) == 42
    for key, trace in found.items():
        np.testing.assert_array_equal(trace.data, stored[key].data)
        assert trace.data.dtype == np.float32
        assert trace.stats.sampling_rate == stored[key].stats.sampling_rate


def test_processed(german):
    """Velocity after removal of the response: values of the Dataset, history and places told."""
    ds = ces.open_store(german)["windows/main/observed/20Hz"].to_dataset().isel(event=[0])
    velocity = ces.bandpass(
        ces.remove_response(ces.detrend(ds), pre_filt=(0.008, 0.015, 4.0, 8.0)),
        freqmin=0.03, freqmax=0.08,
    )  # fmt: skip
    stream = ces.to_stream(velocity)
    trace = stream.select(id="GR.BFO..HHZ")[0]
    values = velocity["velocity"].sel(station="GR.BFO..HH", component="Z").isel(event=0).values
    np.testing.assert_array_equal(trace.data, values[~np.isnan(values)])
    stats = trace.stats
    assert (stats.ces.quantity, stats.ces.units) == ("velocity", "m s-1")
    assert stats.ces.event == str(ds.event.values[0])
    assert stats.coordinates.latitude == 48.3311
    assert stats.distance == float(ds.epicentral_distance.sel(station="GR.BFO..HH")[0])
    assert [step.split("(")[0] for step in stats.processing] == [
        "ces: detrend", "ces: remove_response", "ces: bandpass",
    ]  # fmt: skip
    assert "freqmax=0.08::freqmin=0.03" in stats.processing[-1]
    # ObsPy's own functions find what they look for.
    buffer = io.BytesIO()
    stream.write(buffer, format="MSEED")
    buffer.seek(0)
    assert len(obspy.read(buffer)) == len(stream)
    stream.select(station="BFO").rotate("NE->RT")


def test_gaps_become_traces():
    ds = synthetic_windows()
    name = next(str(v) for v in ds.data_vars)
    data = ds[name].values.copy()
    data[0, 0, 0, :3] = np.nan
    data[0, 0, 0, 10:12] = np.nan
    data[0, 1, 0] = np.nan
    made = ds.assign({name: ds[name].copy(data=data)})
    stream = ces.to_stream(made)
    whole = ces.to_stream(ds)
    assert len(stream) == len(whole)  # one more for the gap, one less for the empty channel
    own = [t for t in stream if t.id == whole[0].id][:2]
    delta = own[0].stats.delta
    assert own[0].stats.starttime == whole[0].stats.starttime + 3 * delta
    assert own[0].stats.npts == 7
    assert own[1].stats.starttime == whole[0].stats.starttime + 12 * delta
    np.testing.assert_array_equal(own[1].data, data[0, 0, 0, 12:])
    origin = ds.origin_time.values[0].astype("datetime64[ns]").astype("int64")
    first = origin + round(float(ds.time.values[0]) * 1e9)
    assert abs(whole[0].stats.starttime.ns - first) <= 1


def test_continuous(german):
    from fractions import Fraction

    from pangeo_ces.timeaxis import time_coords

    origin = np.datetime64("2020-01-01T00:00:00", "ns")
    ds = xr.Dataset(
        {"velocity": (("station", "component", "time"), np.arange(6.0).reshape(1, 1, 6),
                      {"units": "m s-1"})},
        coords={"station": ["XX.A.00.HH"], "component": ["Z"]},
    ).assign_coords(time_coords(samples=6, interval=Fraction(1, 30), origin=origin))  # fmt: skip
    (trace,) = ces.to_stream(ds.isel(time=slice(2, None)))
    assert trace.id == "XX.A.00.HHZ" and trace.stats.sampling_rate == 30.0
    assert trace.stats.starttime.ns == 1577836800000000000 + 66_666_667
    np.testing.assert_array_equal(trace.data, [2, 3, 4, 5])


def test_chunks_are_computed_once(german):
    """However many stations a chunk holds."""
    ds = ces.open_store(german)["windows/main/observed/20Hz"].to_dataset()
    calls = []

    def seen(block):
        calls.append(block.shape)
        return block

    lazy = ds["counts"].copy(data=ds["counts"].data.map_blocks(seen, dtype="float32"))
    calls.clear()
    ces.to_stream(ds.assign(counts=lazy))
    assert len(calls) == 3


def test_refused():
    with pytest.raises(CesError, match="open a waveform node"):
        ces.to_stream(xr.Dataset({"pga": 1.0}))
