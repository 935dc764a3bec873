"""Stored samples come back bit by bit, or not at all; and how large they are."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import sys
import warnings

import numpy as np
import obspy
import pytest
import zarr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from zarr.storage import MemoryStore

from pangeo_ces.conventions import INT_FILL
from pangeo_ces.errors import ParameterError
from pangeo_ces.store.codecs import CHUNK_MULTIPLE, PROFILES, compressors
from pangeo_ces.store.shards import fill_value

SPECIFICATION = {
    "bytes", "blosc", "zstd", "gzip", "crc32c", "sharding_indexed", "transpose",
}  # fmt: skip
SAMPLES = ("int32", "int64", "float32", "float64")
profiles = pytest.mark.parametrize("profile", PROFILES)


def make(data: np.ndarray, profile: str, chunk: int, *, chunks: int = 4, store=None) -> MemoryStore:
    """Samples as an array of one channel, several chunks to a shard."""
    store = MemoryStore() if store is None else store
    array = zarr.create_array(
        store, shape=(1, 1, data.size), dtype=data.dtype, chunks=(1, 1, chunk),
        shards=(1, 1, chunks * chunk), fill_value=fill_value(data.dtype),
        config={"write_empty_chunks": True},  # Zarr takes any NaN for the fill value
        **compressors(profile, data.dtype),
    )  # fmt: skip
    array[:] = data[None, None]
    return store


def bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


def size(store: MemoryStore) -> int:
    return sum(len(value) for key, value in store._store_dict.items() if "zarr.json" not in key)


def any_bits(dtype: str) -> st.SearchStrategy[np.ndarray]:
    """Samples of every bit pattern, runs of equal ones among them."""
    whole = np.dtype(f"u{np.dtype(dtype).itemsize}")
    lengths = st.integers(1, 300)
    return arrays.arrays(whole, lengths, elements=arrays.from_dtype(whole)).map(
        lambda values: values.view(dtype)
    )


@profiles
@pytest.mark.parametrize("dtype", SAMPLES)
def test_every_bit_comes_back(profile, dtype):
    @settings(max_examples=25, deadline=None)
    @given(data=any_bits(dtype), chunk=st.sampled_from([8, 16, 19, 64, 512]))
    def check(data, chunk):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # numpy compares signalling NaN
            back = zarr.open_array(make(data, profile, chunk), mode="r")[0, 0]
        assert back.dtype == data.dtype
        np.testing.assert_array_equal(bits(back), bits(data))

    check()


@profiles
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_extremes_and_gaps(profile, dtype):
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    assert INT_FILL[dtype] == low
    data = np.array([low, high, 0, -1, 1, low + 1, high - 1, low] * 40, dtype)
    data[50:200] = low
    back = zarr.open_array(make(data, profile, 64), mode="r")[0, 0]
    np.testing.assert_array_equal(back, data)


@profiles
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_payloads_infinities_and_zeros(profile, dtype):
    width = np.dtype(dtype).itemsize * 8
    quiet = int(bits(np.array([np.nan], dtype))[0])
    patterns = [quiet, quiet | 1, quiet | 12345, quiet | 1 << (width - 1)]
    data = np.concatenate(
        [
            np.array(patterns, f"u{width // 8}").view(dtype),
            np.array([np.inf, -np.inf, 0.0, -0.0], dtype),
            np.array([np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max], dtype),
        ]
    )
    data = np.tile(data, 20)
    back = zarr.open_array(make(data, profile, 48), mode="r")[0, 0]
    np.testing.assert_array_equal(bits(back), bits(data))


@profiles
@given(kind=st.integers(0, 3), seed=st.integers(0, 2**32 - 1))
@example(kind=0, seed=0)
@settings(max_examples=15, deadline=None)
def test_what_instruments_record_comes_back(profile, kind, seed):
    """Noise, drift, a constant with a spike, multiples: what a codec has modes for."""
    random = np.random.default_rng(seed)
    noise = random.normal(0, 10 ** random.uniform(0, 8), 1500)
    data = [noise, np.cumsum(noise), np.where(np.arange(1500) == 700, 1e9, 7), 250 * noise // 1][
        kind
    ]
    data = np.clip(data, -(2**31) + 1, 2**31 - 1).astype("int32")
    back = zarr.open_array(make(data, profile, 400), mode="r")[0, 0]
    np.testing.assert_array_equal(back, data)


@profiles
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "float16", "complex64"])
def test_other_arrays_are_stored_too(profile, dtype):
    data = np.arange(100).astype(dtype)
    store = MemoryStore()
    array = zarr.create_array(
        store, shape=100, dtype=dtype, chunks=16, shards=64, **compressors(profile, dtype)
    )
    array[:] = data
    np.testing.assert_array_equal(zarr.open_array(store, mode="r")[:], data)


def codec_names(metadata: object) -> set[str]:
    """Names of all codecs in a ``zarr.json``, inner and index codecs of shards included."""
    if isinstance(metadata, list):
        return set(itertools.chain.from_iterable(map(codec_names, metadata)))
    if not isinstance(metadata, dict):
        return set()
    found = {codec["name"] for key, value in metadata.items() if key.endswith("codecs")
             for codec in value}  # fmt: skip
    return found.union(*map(codec_names, metadata.values()))


@pytest.mark.parametrize("dtype", SAMPLES)
def test_core_is_within_the_specification(dtype, tmp_path):
    make(np.arange(100).astype(dtype), "core", 16, store=tmp_path / "a.zarr")
    metadata = json.loads((tmp_path / "a.zarr/zarr.json").read_text())
    names = codec_names(metadata)
    assert names <= SPECIFICATION
    assert {"sharding_indexed", "bytes", "blosc", "crc32c"} <= names
    inner = metadata["codecs"][0]["configuration"]["codecs"]
    assert inner[1]["configuration"]["typesize"] == np.dtype(dtype).itemsize


@pytest.mark.parametrize("dtype", SAMPLES)
def test_archive_is_pcodec_with_a_checksum(dtype, tmp_path):
    make(np.arange(100).astype(dtype), "archive", 16, store=tmp_path / "a.zarr")
    metadata = json.loads((tmp_path / "a.zarr/zarr.json").read_text())
    inner = metadata["codecs"][0]["configuration"]["codecs"]
    assert [codec["name"] for codec in inner] == ["numcodecs.pcodec", "crc32c"]


@profiles
def test_a_fresh_interpreter_reads_without_imports_and_warnings(profile, tmp_path):
    make(np.arange(100, dtype="int32"), profile, 16, store=tmp_path / "a.zarr")
    code = "import sys, zarr; print(zarr.open_array(sys.argv[1], mode='r')[:].sum())"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, tmp_path / "a.zarr"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == ("4950", "")


@profiles
def test_a_damaged_chunk_is_an_error_and_never_wrong_samples(profile):
    random = np.random.default_rng(0)
    data = np.cumsum(random.integers(-50, 50, 4000)).astype("int32")
    store = make(data, profile, 4000, chunks=1)
    key = next(key for key in store._store_dict if key != "zarr.json")
    whole = store._store_dict[key].to_bytes()
    for bit in random.integers(0, 8 * len(whole), 300):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        store._store_dict[key] = zarr.core.buffer.default_buffer_prototype().buffer.from_bytes(
            bytes(damaged)
        )
        with pytest.raises(ValueError, match="checksum"):
            zarr.open_array(store, mode="r")[:]


def test_chunks_of_another_length_are_larger():
    """Why the length of a chunk must be a multiple of ``CHUNK_MULTIPLE``."""
    data = np.cumsum(np.random.default_rng(0).integers(-9, 9, 12_000)).astype("int32")
    even, odd = (size(make(data, "core", 12_000 + more, chunks=1)) for more in (CHUNK_MULTIPLE, 1))
    assert odd > 1.1 * even


def test_no_other_profile():
    with pytest.raises(ParameterError, match="use core or archive"):
        compressors("best", "int32")


REAL = {
    "03_noise/ya_uv_20100901/SDS": "**/*.244",
    "01_strong_motion/cwb_20210418_hualien/mseed": "*.mseed",
    "01_strong_motion/usgs_ci38457511/raw": "*.mseed",
    "02_misfit/pypaw_C200912240023A/obs": "*.mseed",
    "05_quality/eida_nl_hgn_lhz/SDS": "**/*.2017.*",
}


@pytest.fixture(scope="module")
def counts(data) -> list[tuple[np.ndarray, int]]:
    """Recorded counts and their bytes in Steim2, in records of 4096 bytes as ObsPy writes them."""
    found = []
    for folder, pattern in REAL.items():
        for file in sorted(data(folder).glob(pattern)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                stream = obspy.read(str(file))
            for trace in stream:
                buffer = io.BytesIO()
                trace.write(buffer, format="MSEED", encoding="STEIM2", reclen=4096)
                found.append((trace.data, len(buffer.getvalue())))
    assert sum(len(samples) for samples, _ in found) > 30_000_000
    return found


@pytest.mark.parametrize("profile, target", [("core", 1.13), ("archive", 0.83)])
def test_sizes_against_steim2(counts, profile, target):
    stored = 0
    for samples, _ in counts:
        chunk = -(-min(len(samples), 180_000) // CHUNK_MULTIPLE) * CHUNK_MULTIPLE
        chunks = -(-len(samples) // chunk)
        stored += size(make(samples, profile, chunk, chunks=chunks))
    assert stored <= target * sum(steim for _, steim in counts)
