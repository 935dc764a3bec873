"""Every hostile miniSEED file: what is read, what is said, and that the samples are right."""

from __future__ import annotations

import io
import json
import warnings

import numpy as np
import obspy
import pymseed
import pytest

from pangeo_ces.errors import FormatError
from pangeo_ces.sources import SourceFile, source_for
from pangeo_ces.sources.archive import unpack
from pangeo_ces.sources.mseed import SOURCE
from pangeo_ces.sources.mseed_records import record_index

HOSTILE = "06_hostile"
#: Samples of each trace, or the error; then the rows of the report (the first two of many).
EXPECTED: dict[str, tuple[list[int] | str, list[str]]] = {
    "bizarre/32bitInt.NoBlkt1000.seed": ([1008], []),
    "bizarre/3x256.mseed": ([30], []),
    "bizarre/endiantest.be-header.le-data.mseed": ([11947], []),
    "bizarre/log.V04C.mseed": (
        [19848, 19848, 15630, 15585, 15269],
        ["TA.V04C..LOG: rejected: text (a log record), not samples"],
    ),
    "bizarre/mixtest-mixed.mseed": ([72000, 72000], []),
    "bizarre/simple.gap.mseed": ([49, 457], []),
    "bizarre/simple.overlap.mseed": (
        [736],
        ["bytes 2048 to 2559 repeat records before them: skipped"],
    ),
    "bizarre/unapplied-timecorrection.mseed": ([11947], []),
    "crafted/bitflips_in_data_frames.mseed": (
        [4300, 4059],
        ["record at byte 10240: fewer samples than its header says: skipped"],
    ),
    "crafted/clipped.mseed": ([2000], []),
    "crafted/clock_backwards.mseed": ([4300, 4273], []),
    "crafted/duplicate_records.mseed": (
        [8573],
        ["bytes 12288 to 14335 repeat records before them: skipped"],
    ),
    "crafted/far_future_2099.mseed": (
        [219],
        ["NL.HGN.02.LHZ: starts on 2099-12-31: was the clock right?"],
    ),
    "crafted/flatline.mseed": ([2000], []),
    "crafted/gap_three_records.mseed": ([4300, 3640], []),
    "crafted/garbage_between_records.mseed": (
        [8573],
        ["bytes 10240 to 10376 are no miniSEED record: skipped"],
    ),
    "crafted/gzipped_named_mseed.mseed": ([8573], []),
    "crafted/leap_second_23_59_60.mseed": (
        [219],
        ["record at byte 0: starts within a leap second: read as the second after it"],
    ),
    "crafted/mixed_encoding_one_channel.mseed": ([500, 500, 1000], []),
    "crafted/mixed_record_length.mseed": ([2000], []),
    "crafted/mixed_sampling_rate_one_channel.mseed": ([1000, 200], []),
    "crafted/nan_inf_float32.mseed": (
        [1000],
        ["XX.HOST..HHZ: 3 of 1000 samples are NaN or infinite: kept"],
    ),
    "crafted/overlap_conflicting_values.mseed": ([1000, 1000], []),
    "crafted/records_reversed.mseed": ([8573], []),
    "crafted/sampling_rate_drift.mseed": ([1000, 1000], []),
    "crafted/subsample_gap.mseed": ([2000], []),
    "crafted/text_named_mseed.mseed": (
        "an HTML page (a server's error message?), not a waveform",
        [],
    ),
    "crafted/truncated_mid_record.mseed": ([8362], ["record at byte 19968: cut short: skipped"]),
    "crafted/two_stations_one_file.mseed": ([1000, 1000], []),
    "crafted/year_1900.mseed": (
        [219],
        ["NL.HGN.02.LHZ: starts on 1900-01-01: was the clock right?"],
    ),
    "crafted/zero_length.mseed": ("empty file: copy it again", []),
    "libmseed/reference-testdata-oddrate.mseed2": ([500], []),
    "libmseed/testdata-3channel-signal.mseed3": ([4200, 4200, 4200], []),
    "libmseed/testdata-no-blockette1000-steim1.mseed2": ([7312], []),
    "libmseed/testdata-oneseries-mixedlengths-mixedorder.mseed2": ([3952], []),
    "libmseed/testdata-oneseries-mixedlengths-mixedorder.mseed3": ([3952], []),
    "obspy/BW.BGLD.__.EHE.D.2008.001.first_10_records": ([4120], []),
    "obspy/CDSN_encoding.mseed": ([100], []),
    "obspy/DWWSSN_encoding.mseed": ([200], []),
    "obspy/GEOSCOPE16_4_encoding.mseed": ([200], []),
    "obspy/SRO_encoding.mseed": ([2016, 2016, 2016], []),
    "obspy/blockette310.mseed": ([10], []),
    "obspy/brokenlastrecord.mseed": (
        [5980],
        ["bytes 4096 to 6301 are no miniSEED record: skipped"],
    ),
    "obspy/corrupt_one_extra_byte_at_end.mseed": (
        [412],
        ["bytes 512 to 512 are no miniSEED record: skipped"],
    ),
    "obspy/float32_Float32_bigEndian.mseed": ([50], []),
    "obspy/fullASCII_bigEndian.mseed": (
        [],
        ["XX.TEST..BHE: rejected: text (a log record), not samples"],
    ),
    "obspy/fullseed.mseed": ([602, 623, 610], []),
    "obspy/infinite-loop.mseed": (
        [136],
        [
            "record at byte 0: check value differs: skipped",
            "record at byte 512: fewer samples than its header says: skipped",
        ],
    ),
    "obspy/int16_INT16_littleEndian.mseed": ([50], []),
    "obspy/int32_Steim2_bigEndian.mseed": ([50], []),
    "obspy/microsecond_wrap.mseed": ([277], []),
    "obspy/nan_float32.mseed": ([], ["...: rejected: no station code in the header"]),
    "obspy/not.mseed": ("SEED without waveforms (dataless): give it as stations", []),
    "obspy/not2.mseed": ("SEED without waveforms (dataless): give it as stations", []),
    "obspy/not3.mseed": ("SEED without waveforms (dataless): give it as stations", []),
    "obspy/not4.mseed": ("SEED without waveforms (dataless): give it as stations", []),
    "obspy/one_record_already_applied_time_correction.mseed": ([412], []),
    "obspy/record_with_invalid_word_order.mseed": ([1267], []),
    "obspy/rt130_sr0_cropped.mseed": (
        [],
        ["GR.FUR..LOG: rejected: text (a log record), not samples"],
    ),
    "obspy/single_record_plus_noise_record.mseed": (
        [277],
        ["bytes 512 to 1023 are no miniSEED record: skipped"],
    ),
    "obspy/three_records_zero_data_in_middle.mseed": (
        [412, 412],
        ["BW.BGLD..EHE: rejected: no samples"],
    ),
    "obspy/two_channels.mseed": ([386, 386], []),
}
#: Read as 32-bit integers, which fill it: the Steim-1 that ObsPy sees fails its check value.
MISREAD = "bizarre/32bitInt.NoBlkt1000.seed"


def one_by_one(content: bytes) -> list[np.ndarray]:
    """Samples of each record as ObsPy, or libmseed for miniSEED 3, reads it alone; copies once."""
    found: dict[bytes, np.ndarray] = {}
    for row in record_index(content):
        record = content[row["offset"] : row["offset"] + row["length"]]
        key = record[6:]
        if row["version"] == 3:
            found[key] = pymseed.MS3Record.parse(record, unpack_data=True).np_datasamples.copy()
            continue
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message=".*integrity.*")
                warnings.filterwarnings("ignore", message="(?!.*integrity).*")
                (trace,) = obspy.read(io.BytesIO(record), format="MSEED")
        except Exception:
            if not row["leap"]:
                continue
            early = record[:26] + b"\x3b" + record[27:]  # 23:59:59, which ObsPy reads
            (trace,) = obspy.read(io.BytesIO(early), format="MSEED")
        if trace.data.dtype.kind in "if" and trace.stats.station:
            found[key] = trace.data
    return list(found.values())


@pytest.mark.parametrize("name", EXPECTED)
def test_hostile(data, name):
    file = SourceFile(str(data(f"{HOSTILE}/{name}")))
    expected, rows = EXPECTED[name]
    assert source_for(file) is SOURCE
    reports: list[str] = []

    def report(trace: str, reason: str) -> None:
        reports.append(f"{trace}: {reason}" if trace else reason)

    if isinstance(expected, str):
        with pytest.raises(FormatError) as error:
            SOURCE.read(file, samples=True, report=report)
        assert expected in str(error.value) and "\n" not in str(error.value)
        return
    traces = SOURCE.read(file, samples=True, report=report)
    assert [trace.samples for trace in traces] == expected
    assert reports[: len(rows) or None] == rows
    assert len(reports) == len(rows) or len(rows) == 2
    for trace in traces:
        assert trace.data.size == trace.samples and trace.data.dtype == trace.dtype
        assert trace.data.dtype.isnative and trace.data.dtype.kind in "if"
    if name != MISREAD:
        pieces = one_by_one(unpack(file.content))
        assert sum(piece.size for piece in pieces) == sum(expected)
        sums = [
            sum(np.nansum(np.where(np.isfinite(x), x, 0), dtype="f8") for x in arrays)
            for arrays in (pieces, [trace.data for trace in traces])
        ]
        assert sums[0] == sums[1]


def test_all_hostile_files_are_here(data):
    files = json.loads((data(HOSTILE) / "EXPECT.json").read_text())["files"]
    assert set(EXPECTED) == set(files)


#: Traces that differ from ObsPy's: joined, split, left out or not read by it; see ``EXPECTED``.
UNLIKE_OBSPY = {
    "bizarre/log.V04C.mseed", "bizarre/mixtest-mixed.mseed", "bizarre/simple.overlap.mseed",
    "crafted/bitflips_in_data_frames.mseed", "crafted/duplicate_records.mseed",
    "crafted/garbage_between_records.mseed", "crafted/gzipped_named_mseed.mseed",
    "crafted/leap_second_23_59_60.mseed", "crafted/records_reversed.mseed",
    "crafted/sampling_rate_drift.mseed", "libmseed/testdata-3channel-signal.mseed3",
    "libmseed/testdata-oneseries-mixedlengths-mixedorder.mseed2",
    "libmseed/testdata-oneseries-mixedlengths-mixedorder.mseed3",
    "obspy/fullASCII_bigEndian.mseed", "obspy/infinite-loop.mseed", "obspy/nan_float32.mseed",
    "obspy/rt130_sr0_cropped.mseed", "obspy/three_records_zero_data_in_middle.mseed",
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [n for n, (read, _) in EXPECTED.items() if isinstance(read, list) and n not in UNLIKE_OBSPY],
)
@pytest.mark.parametrize("samples", [True, False])
def test_the_rest_is_as_obspy_reads_it(data, name, samples):
    files = json.loads((data(HOSTILE) / "EXPECT.json").read_text())["files"]
    theirs = [
        (t["id"], t["npts"], obspy.UTCDateTime(t["start"]).ns, t["dtype"], t["fs"])
        for t in files[name]["obspy_1_5_1"]["auto"]["traces"]
    ]
    file = SourceFile(str(data(f"{HOSTILE}/{name}")))
    traces = SOURCE.read(file, samples=samples, report=lambda trace, reason: None)
    ours = [(t.id, t.samples, t.start, str(t.dtype), float(1 / t.interval)) for t in traces]
    assert ours == theirs
    assert all((trace.data is not None) == samples for trace in traces)


def test_leap_second_is_the_next_second(data):
    (trace,) = SOURCE.read(
        SourceFile(str(data(f"{HOSTILE}/crafted/leap_second_23_59_60.mseed"))),
        samples=True, report=lambda trace, reason: None,
    )  # fmt: skip
    assert trace.start == obspy.UTCDateTime(2017, 1, 1, 0, 0, 0, 500_038).ns


def test_plain_integers_without_blockette_1000(data):
    path = data(f"{HOSTILE}/{MISREAD}")
    (trace,) = SOURCE.read(SourceFile(str(path)), samples=True, report=lambda *row: None)
    np.testing.assert_array_equal(trace.data, np.frombuffer(path.read_bytes()[64:], ">i4"))
    assert np.abs(np.diff(trace.data)).max() < 200  # a smooth record, which ObsPy's is not


def test_libmseed_agrees_on_miniseed_3(data):
    path = data(f"{HOSTILE}/libmseed/testdata-3channel-signal.mseed3")
    traces = SOURCE.read(SourceFile(str(path)), samples=True, report=lambda *row: None)
    theirs = pymseed.MS3TraceList.from_file(str(path), unpack_data=True)
    assert len(traces) == len(theirs)
    for ours, (segment,) in zip(traces, theirs, strict=True):
        assert (ours.start, ours.samples) == (segment.starttime, segment.samplecnt)
        np.testing.assert_array_equal(ours.data, segment.np_datasamples)
