"""Samples to records and back, whatever they are."""

from __future__ import annotations

import io

import numpy as np
import obspy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pangeo_ces.service.miniseed import scan, speakable
from pangeo_ces.sources.mseed_write import records

START = 1_283_299_200_123_456_000
ANY = hnp.arrays(
    st.sampled_from(["int32", "float32", "float64"]),
    st.integers(1, 3000),
    elements={},
    fill=st.nothing(),
)
WALK = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 5000), st.integers(0, 30)).map(
    lambda p: np.cumsum(
        np.random.default_rng(p[0]).integers(-(2 ** p[2]), 2 ** p[2] + 1, p[1])
    ).astype("int32")
)


@settings(max_examples=60, deadline=None)
@given(st.one_of(ANY, WALK), st.sampled_from([100.0, 1.0, 0.1, 62.5, 1 / 3, 200.0]),
       st.sampled_from(["D", "R", "Q", "M", ""]))  # fmt: skip
def test_encode_and_read_back(samples, rate, quality):
    content = b"".join(records(("XX", "ABC", "00", "HHZ"), START, rate, quality, samples))
    assert len(content) % 512 == 0
    found = obspy.read(io.BytesIO(content), format="MSEED")
    assert len(found) == 1 and found[0].id == "XX.ABC.00.HHZ"
    assert found[0].data.tobytes() == samples.tobytes()
    assert found[0].data.dtype == samples.dtype
    assert found[0].stats.starttime.ns == START
    assert abs(found[0].stats.sampling_rate - rate) <= 1e-7 * rate
    assert found[0].stats.mseed.dataquality == (quality or "D")
    found_records = list(scan(content))
    assert found_records[0].start == START
    assert sum(r.length for r in found_records) == len(content)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 5), st.data())
def test_scan_survives_anything(noise, position, data):
    counts = np.arange(3000, dtype="int32")
    good = b"".join(records(("XX", "ABC", "", "HHZ"), START, 100.0, "D", counts))
    content = bytearray(good)
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content[position * 512 : position * 512] = noise
    reached = 0
    for record in scan(bytes(content)):
        assert reached <= record.offset < record.offset + record.length <= len(content)
        reached = record.offset + record.length


def test_codes_that_have_no_room():
    assert speakable(("", "A", "", "HHZ"))
    for codes in (("ABC", "A", "", "HHZ"), ("XX", "ABCDEF", "", "HHZ"), ("XX", "", "", "HHZ"),
                  ("XX", "A", "000", "HHZ"), ("XX", "A", "", "Z")):  # fmt: skip
        assert not speakable(codes)
