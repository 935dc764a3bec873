"""Kernels over blocks: coordinates, graphs, and what may be gathered."""

from __future__ import annotations

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.blocks import consolidate, consolidate_together, map_blocks, map_time
from pangeo_ces.errors import ParameterError
from pangeo_ces.timeaxis import time_index


def lazy_windows(stations: int, samples: int = 1000, events: int = 1) -> xr.Dataset:
    """Windows whose samples are one task a station, as from a store."""
    ds = ces.testing.synthetic_windows(
        events=events, stations=stations, samples=4, quantity="velocity", lazy=False
    )
    axis = ces.testing.synthetic_windows(stations=1, events=1, samples=samples, lazy=False)
    values = da.zeros((events, stations, 3, samples), chunks=(1, 1, 3, samples), dtype="float32")
    attrs = ds.velocity.attrs
    ds = ds.drop_vars(["velocity", "time"])
    ds["velocity"] = (("event", "station", "component", "time"), values, attrs)
    return ds.assign_coords(xr.Coordinates.from_xindex(axis.xindexes["time"]))


def chain(ds: xr.Dataset) -> xr.Dataset:
    return (
        ds.pipe(ces.detrend).pipe(ces.taper).pipe(ces.bandpass, freqmin=0.5, freqmax=5.0)
        .pipe(ces.rotate, to="ZRT").pipe(ces.peak_motion, periods=(0.3, 1.0, 3.0))
    )  # fmt: skip


def tasks(ds: xr.Dataset) -> int:
    (optimised,) = dask.optimize(ds)
    return len(dict(optimised.__dask_graph__()))


def test_tasks_per_shard_do_not_grow():
    """What one more station costs is the same for the tenth as for the three hundredth."""
    counts = {n: tasks(chain(lazy_windows(n))) for n in (10, 20, 150, 300)}
    print(counts)
    per_station = (counts[20] - counts[10]) / 10
    assert (counts[300] - counts[150]) / 150 == pytest.approx(per_station, rel=0.1)
    # A chunk of data with all kernels, and what takes the measures apart.
    assert per_station <= 3
    assert counts[300] < 2000


def test_the_chain_costs_no_more_than_its_ends():
    """Kernels in a row fuse: five operators on a block are hardly more tasks than one."""
    ds = lazy_windows(50)
    one = tasks(ces.detrend(ds))
    row = tasks(
        ds.pipe(ces.detrend).pipe(ces.taper).pipe(ces.highpass, freq=1.0)
        .pipe(ces.differentiate).pipe(ces.cut, start=0.0)
    )  # fmt: skip
    assert row <= one + 55


def test_whole_chain_reads_each_sample_once():
    seen = []

    def source(block_info=None):
        location = block_info[None]
        seen.append(location["chunk-location"])
        return np.random.default_rng(0).standard_normal(location["chunk-shape"])

    ds = lazy_windows(4)
    ds["velocity"] = ds.velocity.copy(
        data=da.map_blocks(source, chunks=ds.velocity.data.chunks, dtype="float64")
    )
    seen.clear()  # Dask calls it once to see what it gives
    chain(ds).compute(scheduler="synchronous")
    assert len(seen) == len(set(seen)) == 4


def test_building_a_graph_reads_nothing():
    def fail(*_, **__):
        raise AssertionError("computed while building")

    with dask.config.set(scheduler=fail):
        ces.testing.assert_lazy(chain(lazy_windows(3)))


@pytest.mark.parametrize("lazy", [False, True])
def test_coordinates_stay(lazy):
    ds = ces.testing.synthetic_windows(quantity="velocity", lazy=lazy)
    data = ds.velocity
    same = map_time(np.negative, data)
    xr.testing.assert_identical(same.coords.to_dataset(), data.coords.to_dataset())
    assert time_index(same).equals(time_index(data))
    np.testing.assert_array_equal(same, -data)
    peaks = map_blocks(
        lambda block: block.max(-1), data, dims=("event", "station", "component"), dtype="float64"
    )
    kept = {name for name, coord in data.coords.items() if "time" not in coord.dims}
    assert set(peaks.coords) == kept
    np.testing.assert_array_equal(peaks, data.max("time"))


@pytest.mark.parametrize("lazy", [False, True])
def test_channel_arrays_come_cut_to_the_block(lazy):
    ds = ces.testing.synthetic_windows(quantity="velocity", stations=5, lazy=False)
    data = ds.velocity.chunk(station=2, component=1) if lazy else ds.velocity
    gain = xr.DataArray(np.arange(15.0).reshape(3, 5), dims=("component", "station"))
    shapes = []

    def scale(block, factors):
        shapes.append((block.shape, factors.shape))
        return block * factors[..., None]

    ours = map_time(scale, data, gain)
    xr.testing.assert_allclose(ours, ds.velocity * gain.transpose("station", "component"))
    assert all(block[1:3] == factors for block, factors in shapes)


def test_channel_arrays_travel_inside_the_tasks():
    """A block stays one task whatever its kernel is given; other gains are another result."""
    lazy = lazy_windows(6).velocity + np.float32(1)
    gains = [xr.DataArray(np.arange(6.0) * n, dims="station") for n in (1, 2)]
    ours = [map_time(lambda block, gain: block * gain[:, None, None], lazy, gain) for gain in gains]
    (optimised,) = dask.optimize(ours[0].data)
    assert len(dict(optimised.dask)) == 6
    for made, gain in zip(dask.compute(*ours), gains, strict=True):
        np.testing.assert_array_equal(made, np.broadcast_to(gain.values[:, None, None], made.shape))
    # A table that all tasks would carry is kept once.
    table = xr.DataArray(np.ones(100_000), dims="frequency")
    whole = map_time(lambda block, table: block * table.mean(), lazy, table)
    assert any("array" in str(key) for key in whole.__dask_graph__())
    xr.testing.assert_allclose(whole.compute(), lazy.compute())


def test_channel_arrays_over_dimensions_that_end():
    """A contracted dimension comes whole, in the samples and in what goes with them."""
    ds = ces.testing.synthetic_windows(quantity="velocity", stations=5, lazy=False)
    lazy = ds.velocity.chunk(station=2, component=1)
    weight = xr.DataArray(np.arange(15.0).reshape(3, 5), dims=("component", "station"))
    made = map_blocks(
        lambda block, weights: (block.max(-1) * weights).sum(-1),
        lazy, weight, dims=("event", "station"), dtype="float64",
    )  # fmt: skip
    xr.testing.assert_allclose(made, (ds.velocity.max("time") * weight).sum("component"))


def test_gather_has_a_limit():
    ds = lazy_windows(3, samples=100_000).chunk(time=10_000)
    with dask.config.set({"ces.max-whole-record-bytes": "1 MB"}):
        with pytest.raises(ParameterError, match=r"one block of them is 1\.14 MiB.*\.sel\(time="):
            ces.detrend(ds)
        assert ces.bandpass(ds, freqmin=1.0, freqmax=2.0).velocity.chunks[-1] == (10_000,) * 10
    assert ces.detrend(ds).velocity.chunks[-1] == (100_000,)


def test_overlap_longer_than_the_record():
    ds = ces.testing.synthetic_windows(quantity="velocity", samples=1000, lazy=False)
    ours = ces.highpass(ds.chunk(time=100), freq=0.01, zerophase=True)
    np.testing.assert_allclose(
        ours.velocity, ces.highpass(ds, freq=0.01, zerophase=True).velocity, atol=1e-9
    )


def test_chunks_of_a_product_are_complete_after_few_shards(monkeypatch):
    """A chunk that needed a part of every shard would keep all of them waiting."""

    def chunks(shape, cut):
        array = xr.DataArray(da.ones(shape, chunks=cut), dims=("event", "station", "value"))
        return consolidate(array).chunks

    monkeypatch.setattr("pangeo_ces.blocks._PRODUCT_BLOCKS", 20)
    assert chunks((50, 4, 3), (1, 2, 3)) == ((10,) * 5, (4,), (3,))
    assert chunks((2, 100, 3), (1, 4, 3)) == ((1, 1), (80, 20), (3,))
    # Of so many bytes, but never less than a block.
    monkeypatch.setattr("pangeo_ces.blocks._PRODUCT_BYTES", 1000)
    assert chunks((50, 4, 3), (1, 2, 3)) == ((10,) * 5, (4,), (3,))
    assert chunks((50, 4, 3), (1, 4, 3)) == ((10,) * 5, (4,), (3,))
    assert chunks((2, 100, 3), (1, 8, 3)) == ((1, 1), (40, 40, 20), (3,))
    assert chunks((2, 100, 3), (1, 60, 3)) == ((1, 1), (60, 40), (3,))
    assert consolidate(xr.DataArray(da.ones((), chunks=()))).shape == ()
    assert consolidate(xr.DataArray(da.ones((0, 3), chunks=1))).shape == (0, 3)


def test_consolidate_changes_no_number():
    ds = ces.testing.synthetic_windows(stations=40, events=1)
    peaks = ds.counts.max("time")
    ours = consolidate(peaks)
    assert peaks.data.npartitions == 40 and ours.data.npartitions == 1
    xr.testing.assert_identical(ours.compute(), peaks.compute())
    assert consolidate(peaks.compute()).equals(peaks)


def test_variables_of_one_block_are_one_result():
    dims, rng = ("event", "station", "component"), np.random.default_rng(0)
    shape = (3, 4, 2)
    ds = xr.Dataset(
        {
            "start": ((*dims, "window"), rng.normal(size=(*shape, 5)), {"units": "s"}),
            "left": ((*dims, "window"), rng.integers(-1, 2**31 - 1, (*shape, 5), "int32")),
            # In another order, and without a further dimension.
            "rejected": (("reason", *dims), rng.integers(0, 9, (7, *shape)).astype("int8")),
            "status": (dims, rng.integers(-1, 5, shape).astype("int8"), {"units": "1"}),
        },
        {"event": ["a", "b", "c"], "reason": np.arange(7)},
    )
    ds["start"][0, 0, 0, 3:] = np.nan
    ds["known"] = "event", [1.0, 2.0, 3.0]
    in_blocks = ds.chunk(event=1, station=2).assign(known=ds["known"])
    ours = consolidate_together(in_blocks, dims)
    assert not isinstance(ours["known"].data, da.Array)
    for name, one in ds.data_vars.items():
        got = ours[name].compute()
        xr.testing.assert_identical(got.transpose(*one.dims), one)
        assert got.dtype == one.dtype
    xr.testing.assert_identical(consolidate_together(ds, dims), ds)
    assert {one.data.npartitions for one in ours.drop_vars("known").data_vars.values()} == {1}
