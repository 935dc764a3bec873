"""Chunks as bit planes: every Blosc reads them, and parts of them are read alone."""

from __future__ import annotations

import struct

import numcodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pangeo_ces.errors import StoreError
from pangeo_ces.memory import scratch
from pangeo_ces.store import planes

BLOSC = numcodecs.Blosc("zstd", 1, numcodecs.Blosc.BITSHUFFLE, 2 << 20)


def encoded(chunk: np.ndarray) -> bytes:
    return b"".join(planes.encode(chunk))


def record(size: int, deviation: float, seed: int = 0) -> np.ndarray:
    """Counts as an instrument has them: slow changes below noise."""
    random = np.random.default_rng(seed)
    return (np.cumsum(random.normal(size=size)) + deviation * random.normal(size=size)).astype("i4")


@pytest.mark.parametrize("dtype", ["u4", "u8"])
@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_samples_come_back_from_blosc_and_in_parts(dtype, data):
    number = data.draw(st.integers(1, 60)) * 8
    values = data.draw(arrays.arrays(dtype, number, elements=arrays.from_dtype(np.dtype(dtype))))
    chunk = np.cumsum(values).view(dtype.replace("u", data.draw(st.sampled_from("if"))))
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, number)] * 2)))
    for content in (encoded(chunk), bytes(BLOSC.encode(chunk))):
        if content:
            assert bytes(BLOSC.decode(content)) == chunk.tobytes()
        if content and planes.is_planes(content, number, chunk.dtype):
            part = planes.decode(content, number, chunk.dtype, first, last)
            assert part.tobytes() == chunk[first:last].tobytes()


@pytest.mark.parametrize("size", [8, 64, 72, 60_000, 120_000])
@pytest.mark.parametrize("deviation", [0, 1, 300, 1e6])
def test_counts_of_every_size(size, deviation):
    """From a flat line to full scale, with and without the value that means a gap."""
    for gap in (False, True):
        chunk = record(size, deviation)
        chunk[: size // 4] = -(2**31) if gap else chunk[: size // 4]
        content = encoded(chunk)
        if size == 60_000:
            assert content
            assert planes.is_planes(content, size, chunk.dtype)
        for first, last in [(0, size), (1, size - 1), (size // 3, size // 2)]:
            if content:
                part = planes.decode(content, size, chunk.dtype, first, last)
                np.testing.assert_array_equal(part, chunk[first:last])
                assert bytes(BLOSC.decode(content)) == chunk.tobytes()


@pytest.mark.parametrize("deviation", [1, 30, 300, 3000])
def test_it_is_no_larger_than_what_blosc_writes(deviation):
    """1 % is left for chance: noise is told by a sample of each plane."""
    chunk = record(60_000, deviation)
    assert len(encoded(chunk)) < 1.01 * len(BLOSC.encode(chunk))


def test_planes_are_bits_of_equal_weight():
    chunk = record(1000, 50)
    out = np.empty(chunk.nbytes, "u1")
    distinct = planes.to_planes(chunk, out)
    weights = np.arange(32, dtype="u4")[:, None]
    expected = np.packbits((chunk.view("u4") >> weights) & 1, axis=1, bitorder="little")
    np.testing.assert_array_equal(out.reshape(32, -1), expected)
    assert distinct == int(abs(chunk).max()).bit_length() + 1  # and the sign


def test_what_is_left_to_blosc():
    random = np.random.default_rng(1)
    assert not planes.encode(np.zeros(12, "i4"))  # Blosc would not shuffle it
    assert not planes.encode(np.zeros(16, "i2"))
    assert not planes.encode(np.zeros(0, "i4"))
    assert not planes.encode(random.integers(-(2**31), 2**31, 6000).astype("i4"))  # does not shrink


def test_other_bytes_are_not_taken_for_planes():
    chunk = record(800, 5)
    content = encoded(chunk)
    assert planes.is_planes(content, 800, chunk.dtype)
    assert not planes.is_planes(content, 808, chunk.dtype)
    assert not planes.is_planes(content, 400, np.dtype("f8"))
    assert not planes.is_planes(content[:-1], 800, chunk.dtype)
    assert not planes.is_planes(content[:10], 800, chunk.dtype)
    other = bytes(numcodecs.Blosc("lz4", 1, numcodecs.Blosc.BITSHUFFLE).encode(chunk))
    assert not planes.is_planes(other, 800, chunk.dtype)
    stored = bytes(numcodecs.Blosc("zstd", 0, numcodecs.Blosc.BITSHUFFLE).encode(chunk))
    assert not planes.is_planes(stored, 800, chunk.dtype)


def test_a_chunk_that_is_too_short_is_an_error():
    chunk = record(800, 5)
    head, *_ = planes.encode(chunk)
    rest = numcodecs.zstd.compress(chunk[:100], 1)
    content = head[:12] + struct.pack("<III", 24 + len(rest), 20, len(rest)) + rest
    assert planes.is_planes(content, 800, chunk.dtype)
    with pytest.raises(StoreError, match="not as long"):
        planes.decode(content, 800, chunk.dtype, 0, 800)


def test_memory_is_used_again_only_when_nobody_holds_it():
    first = scratch("test", 10, np.dtype("f4"))
    address = first.ctypes.data
    part = first[3:5]
    del first
    assert scratch("test", 10, np.dtype("f4")).ctypes.data != address
    del part
    second = scratch("test", 10, np.dtype("f4"))
    address = second.ctypes.data
    del second
    assert scratch("test", 4, np.dtype("i2")).ctypes.data == address
