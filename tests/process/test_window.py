"""Cutting and pairing."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError, SchemaError
from pangeo_ces.process.window import cut_each


def test_cut_keeps_both_ends(noise):
    ours = ces.cut(noise(1000), start=0.5, stop=1.25)
    assert ours.time.values[[0, -1]].tolist() == [0.5, 1.25]
    assert ours.sizes["time"] == 76
    assert ces.cut(noise(1000), start=2.0).time.values[0] == 2.0
    assert ces.cut(noise(1000), start=50.0, stop=60.0).sizes["time"] == 0


def test_cut_each(noise):
    ds = noise(1000)
    start = xr.DataArray([[0.1, np.nan]], dims=("event", "station"))
    stop = xr.DataArray([[2.0, 3.0]], dims=("event", "station"))
    ours = cut_each(ds, start, stop)
    kept = np.isfinite(ours.counts[0, 0, 0])
    assert ours.time.values[kept][[0, -1]].tolist() == [0.1, 2.0]
    assert kept.sum() == 191
    assert np.isnan(ours.counts[0, 1]).all()
    inside = ds.counts.sel(time=slice(0.1, 2.0))[0, 0]
    np.testing.assert_array_equal(ours.counts[0, 0].sel(time=slice(0.1, 2.0)), inside)
    assert ours.data_start[0, 0].values == pytest.approx(0.1)
    assert ours.data_end[0, 0].values == pytest.approx(2.0)


def labelled(ds: xr.Dataset, stations: list[str], events: list[str]) -> xr.Dataset:
    return ds.assign_coords(station=stations, event=events)


def test_match(noise):
    observed = labelled(noise(10, stations=3), ["AA.ONE..HH", "AA.TWO..HH", "AA.TWO.10.HN"], ["e1"])
    synthetic = labelled(noise(20, stations=3), ["BB.ONE..BX", "AA.TWO..BX", "AA.SIX..BX"], ["e1"])
    pair = ces.match(observed, synthetic)
    assert pair.observed.station.values.tolist() == ["AA.TWO..HH", "AA.TWO.10.HN"]
    assert pair.synthetic.station.values.tolist() == ["AA.TWO..HH", "AA.TWO.10.HN"]
    for row in range(2):  # both instruments get the one synthetic of their station
        np.testing.assert_array_equal(
            pair.synthetic.counts.isel(station=row), synthetic.counts.isel(station=1)
        )
    found = {(row["side"], row["station"]): row["reason"] for row in pair.unmatched}
    assert found == {
        ("observed", "AA.ONE..HH"): "no synthetic of network and station AA.ONE",
        ("synthetic", "BB.ONE..BX"): "no observed of network and station BB.ONE",
        ("synthetic", "AA.SIX..BX"): "no observed of network and station AA.SIX",
    }


def test_match_other_event(noise):
    observed = labelled(noise(10, stations=1), ["AA.ONE..HH"], ["e1"])
    synthetic = labelled(noise(10, stations=1), ["AA.ONE..BX"], ["e2"])
    pair = ces.match(observed, synthetic)
    assert pair.observed.sizes["event"] == 0
    assert {row["reason"] for row in pair.unmatched} == {
        "no synthetic of this event", "no observed of this event",
    }  # fmt: skip


def test_misuse(noise):
    ds = noise(10)
    with pytest.raises(ParameterError, match="event="):
        ces.match(ds.isel(event=0), ds)
    with pytest.raises(SchemaError, match=r"NET\.STA\.LOC\.BI"):
        ces.match(ds.assign_coords(station=["one", "two"]), ds)
