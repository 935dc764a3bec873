"""What is read of a local store straight from its files is what Icechunk reads."""

from __future__ import annotations

import shutil

import icechunk
import numpy as np
import pytest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

import pangeo_ces as ces
from pangeo_ces.store import chunk_files, samples
from pangeo_ces.store.urls import array_of, group_of, root_group


@pytest.fixture
def grown(tmp_path, day, places):
    """A store of three versions: later, then earlier days; shards are shifted and rewritten."""
    store = tmp_path / "store"
    for number in (300, 500, 0):
        ces.convert(day(number), store, stations=places)
    return store


def arrays_of(url):
    root = root_group(url)
    group = group_of(root, "continuous/1Hz")
    return [array_of(group, name) for name, array in group.arrays() if array.ndim == 3]


def places_of(array):
    shape = array.shards or array.chunks
    return np.ndindex(*(-(-n // s) for n, s in zip(array.shape, shape, strict=True)))


def test_every_shard_of_every_version(grown):
    found = 0
    for version in (1, 2, 3):
        for array in arrays_of(f"{grown}@{version}"):
            files = chunk_files.chunk_files(str(grown), array)
            assert files is not None
            for place in places_of(array):
                key = f"{array.path}/{array.metadata.encode_chunk_key(place)}"
                content = sync(array.store.get(key, default_buffer_prototype()))
                ours = files.read(place, 0, None)
                assert ours == (None if content is None else content.to_bytes())
                if ours is not None:
                    found += 1
                    assert files.read(place, -20, None) == ours[-20:]
                    assert files.read(place, 5, 25) == ours[5:25]
    assert found >= 6


def test_samples_are_the_same_with_and_without(grown):
    for array in arrays_of(grown):
        files = chunk_files.chunk_files(str(grown), array)
        one, two = samples.Samples(array, files), samples.Samples(array)
        window = (slice(None), slice(None), slice(1000, array.shape[-1] - 77))
        np.testing.assert_array_equal(one[window], two[window])
        assert np.isfinite(one[window]).any()


@pytest.mark.parametrize("chunked", [True, False])
def test_opened_with_and_without_dask(grown, chunked):
    counts = ces.open_store(grown, chunked=chunked)["continuous/1Hz"]["counts"]
    assert (counts.chunks is not None) == chunked
    expected = ces.open_store(grown)["continuous/1Hz"]["counts"].compute()
    np.testing.assert_array_equal(counts[..., 10:90000:7].values, expected[..., 10:90000:7])
    np.testing.assert_array_equal(counts[0, 0, [5, 3, 9]].values, expected[0, 0, [5, 3, 9]])


def test_a_manifest_of_another_kind_is_left_to_icechunk(grown, monkeypatch):
    expected = ces.open_store(grown)["continuous/1Hz"]["counts"].values
    monkeypatch.setattr(chunk_files, "_SPECIFICATIONS", (99,))
    chunk_files._refs.cache_clear()
    (array,) = arrays_of(grown)
    assert chunk_files.chunk_files(str(grown), array).read((0, 0, 0), 0, None) is None
    np.testing.assert_array_equal(
        ces.open_store(grown)["continuous/1Hz"]["counts"].values, expected
    )


def test_a_store_that_lies_elsewhere_is_left_to_icechunk(grown, tmp_path):
    """As for a worker that does not see the folder."""
    (array,) = arrays_of(grown)
    files = chunk_files.chunk_files(str(grown), array)
    expected = samples.Samples(array)[0:1, 0:1, 0:1000]
    files.folder = str(tmp_path / "nowhere")
    np.testing.assert_array_equal(samples.Samples(array, files)[0:1, 0:1, 0:1000], expected)


def test_a_damaged_manifest_is_an_error_of_icechunk(grown):
    (array,) = arrays_of(grown)
    files = chunk_files.chunk_files(str(grown), array)
    for manifest in files.manifests:
        path = grown / "manifests" / manifest
        path.write_bytes(path.read_bytes()[:60])
    chunk_files._refs.cache_clear()
    assert files.read((0, 0, 0), 0, None) is None


def test_only_versions_of_local_stores(tmp_path, day, places, grown):
    ces.convert(day(0), "memory://chunk-files", stations=places)
    (array,) = arrays_of("memory://chunk-files")
    assert chunk_files.chunk_files("memory://chunk-files", array) is None
    ces.export_zarr(grown, tmp_path / "plain")
    (array,) = arrays_of(tmp_path / "plain")
    assert chunk_files.chunk_files(str(tmp_path / "plain"), array) is None
    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(str(grown)))
    session = repository.writable_session("main")
    writable = samples.zarr.open_array(session.store, path="continuous/1Hz/counts", mode="r+")
    assert chunk_files.chunk_files(str(grown), writable) is None


def test_a_store_begun_anew_at_the_same_place(tmp_path, day, places):
    """Numbers of manifests are never used twice, so that nothing kept is wrong."""
    store = tmp_path / "store"
    ces.convert(day(0, seed=1), store, stations=places)
    before = ces.open_store(store)["continuous/1Hz"]["counts"].values
    shutil.rmtree(store)
    ces.convert(day(0, seed=2), store, stations=places)
    after = ces.open_store(store)["continuous/1Hz"]["counts"].values
    assert not np.array_equal(before, after, equal_nan=True)
