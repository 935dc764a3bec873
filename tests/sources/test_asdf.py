"""ASDF against pyasdf, on real files and on files it wrote here."""

from __future__ import annotations

import shutil
import warnings
from fractions import Fraction
from pathlib import Path

import fsspec
import h5py
import numpy as np
import obspy
import pytest

import pangeo_ces as ces
from pangeo_ces.errors import FormatError, InputError
from pangeo_ces.sources import SourceFile, Trace, expand, source_for
from pangeo_ces.sources.asdf import SOURCE
from pangeo_ces.sources.metadata import read_catalog, read_inventory
from pangeo_ces.store.traces import read_traces

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pyasdf = pytest.importorskip("pyasdf")

NAPA = "01_strong_motion/usgs_nc72282711_southnapa/asdf_CE.68150_workspace.h5"
PYATOA = "02_misfit/pyatoa_nz_bfz_2018p130600/test_ASDFDataSet.h5"
SMALL = "07_metadata/asdf_small_sample"

pytestmark = pytest.mark.filterwarnings("ignore")


def read(path: Path | str, samples: bool = True) -> tuple[list[Trace], list[str]]:
    reasons: list[str] = []
    file = SourceFile(str(path))
    assert source_for(file) is SOURCE
    return SOURCE.read(file, samples=samples, report=lambda _, why: reasons.append(why)), reasons


def by_pyasdf(path: Path, tag: str) -> obspy.Stream:
    with pyasdf.ASDFDataSet(str(path), mode="r", mpi=False) as file:
        return sum((s[tag] for s in file.waveforms if tag in s), obspy.Stream())


def assert_same(traces: list[Trace], stream: obspy.Stream) -> None:
    assert len(traces) == len(stream) > 0
    for trace in traces:
        (other,) = (
            t for t in stream
            if t.id == trace.id and abs(t.stats.starttime.ns - trace.start) < 1000
            and np.array_equal(t.data, trace.data)
        )  # fmt: skip
        assert trace.data.dtype == other.data.dtype
        assert float(1 / trace.interval) == other.stats.sampling_rate


@pytest.fixture
def made(data, tmp_path):
    """An ASDF file by pyasdf: raw and processed records of one event, with all documents."""

    def make(tags=("raw_recording",), name: str = "x.h5") -> Path:
        folder, path = data(SMALL), tmp_path / name
        with pyasdf.ASDFDataSet(str(path), mode="w", mpi=False, compression="gzip-3") as file:
            for document in sorted(folder.rglob("*.xml")):
                if "event" in document.name.lower() or "quake" in document.name.lower():
                    file.add_quakeml(str(document))
                else:
                    file.add_stationxml(str(document))
            event = file.events[0] if len(file.events) else None
            for record in sorted(folder.rglob("*.mseed"))[:3]:
                stream = obspy.read(str(record))
                for tag in tags:
                    file.add_waveforms(stream, tag=tag, event_id=event)
                    for trace in stream:
                        trace.data = trace.data * 1.5
        return path

    return make


def test_south_napa_raw(data):
    """The USGS workspace: raw counts by default, what is left out is said."""
    traces, reasons = read(data(NAPA))
    assert_same(traces, by_pyasdf(data(NAPA), "nc72282711_unprocessed"))
    assert [(t.id, t.quantity, t.samples) for t in traces] == [
        (f"CE.68150..HN{c}", "counts", 23800) for c in "ENZ"
    ]
    assert traces[0].start == 1408875621000000000 and traces[0].interval == Fraction(1, 200)
    assert reasons == [
        "3 traces tagged 'nc72282711_default' left out: asdf://nc72282711_default::FILE reads them"
    ]
    assert traces[0].site.latitude == pytest.approx(38.27, abs=0.1)
    assert traces[0].site.azimuth == 90.0  # this StationXML has no dip


def test_south_napa_processed_is_in_si(data):
    """cm/s² by the provenance in the file: PGA as the USGS's own metrics in it."""
    path = data(NAPA)
    traces, reasons = read(f"asdf://nc72282711_default::{path}")
    assert reasons == [] and {t.quantity for t in traces} == {"acceleration"}
    stream = by_pyasdf(path, "nc72282711_default")
    for trace in traces:
        (other,) = stream.select(id=trace.id)
        np.testing.assert_allclose(trace.data * 100, other.data, rtol=1e-15)
        assert trace.origin == obspy.UTCDateTime("2014-08-24T10:20:44.070").ns
        pga = np.abs(trace.data).max() / 9.80665
        assert 0.01 < pga < 1.0


def test_pyatoa(data):
    path = data(PYATOA)
    traces, reasons = read(path)
    assert_same(traces, by_pyasdf(path, "observed"))
    assert traces[0].start == 1518939808128393984  # as the file says, in whole nanoseconds
    assert reasons[0].startswith("3 traces tagged 'synthetic_i01s00' left out")
    synthetic, reasons = read(f"asdf://synthetic_i01s00/displacement::{path}")
    assert {t.quantity for t in synthetic} == {"displacement"} and reasons == []


def test_small_sample_of_pyasdf(made):
    path = made()
    traces, reasons = read(path)
    assert reasons == []
    assert_same(traces, by_pyasdf(path, "raw_recording"))
    headers, _ = read(path, samples=False)
    assert [(t.id, t.start, t.samples) for t in headers] == [
        (t.id, t.start, t.samples) for t in traces
    ]
    assert all(t.data is None for t in headers)


def test_one_file_gives_records_stations_and_events(data, tmp_path):
    """``ces convert x.h5 store --stations x.h5 --event x.h5``"""
    path = str(data(NAPA))
    report = ces.convert(path, tmp_path / "s.zarr", stations=path, event=path)
    assert report.traces_used == 3 and report.count("rejected") == 0
    ds = ces.open_store(tmp_path / "s.zarr")["windows/main/observed/200Hz"].to_dataset()
    assert str(ds.origin_time.values[0])[:22] == "2014-08-24T10:20:44.07"
    assert (ds.sensitivity > 0).all() and (ds.input_quantity == "acceleration").all()
    # The processed traces go beside the raw ones, under the same channel.
    ces.convert(f"asdf://nc72282711_default::{path}", tmp_path / "p.zarr", stations=path,
                event=path)  # fmt: skip
    back = list(read_traces(tmp_path / "p.zarr"))
    assert {t.quantity for t in back} == {"acceleration"} and len(back) == 3


def test_documents_in_memory(data):
    memory = fsspec.filesystem("memory")
    memory.pipe("/asdf/x.h5", data(NAPA).read_bytes())
    inventory = read_inventory("memory://asdf/x.h5")
    assert [n.code for n in inventory] == ["CE"]
    (event,) = read_catalog("memory://asdf/x.h5")
    assert str(event.resource_id) == "smi:local/nc72282711"
    traces, _ = read("memory://asdf/x.h5")
    tagged, _ = read("asdf://nc72282711_unprocessed::memory://asdf/x.h5")
    assert [t.id for t in traces] == [t.id for t in tagged]
    files, problems = expand(["asdf://nc72282711_default::memory://asdf/x.h5", "memory://asdf"])
    assert len(files) == 2 and problems == []


def test_round_trip_through_a_store(data, tmp_path):
    """ASDF in, ASDF out, ASDF in again: the same traces to the nanosecond, units kept."""
    path = str(data(NAPA))
    store = tmp_path / "s.zarr"
    ces.convert(path, store, stations=path, event=path)
    from pangeo_ces.store.export import export

    export(store, tmp_path / "out", format="asdf")
    again, reasons = read(tmp_path / "out/waveforms.h5")
    first, _ = read(path)
    assert reasons == []
    for one, two in zip(first, again, strict=True):
        assert (one.id, one.start, one.interval, one.quantity, one.origin) == (
            two.id, two.start, two.interval, two.quantity, two.origin,
        )  # fmt: skip
        np.testing.assert_array_equal(one.data, two.data)
    german = ces.samples.german_events("memory://asdf-german")
    export(german, tmp_path / "german", format="asdf")
    synthetic, _ = read(f"asdf://synthetic_specfem_velocity::{tmp_path}/german/waveforms.h5")
    assert {t.quantity for t in synthetic} == {"velocity"} and len(synthetic) == 45


@pytest.mark.parametrize(
    ("tags", "read_tags", "left"),
    [
        (["processed_1"], 1, 0),
        (["raw_recording", "processed_1", "synthetic"], 1, 2),
        (["ci1_unprocessed", "ci2_unprocessed", "ci1_default"], 2, 1),
    ],
)
def test_choice_of_tags(made, tags, read_tags, left):
    path = made(tags)
    traces, reasons = read(path)
    with pyasdf.ASDFDataSet(str(path), mode="r", mpi=False) as file:
        each = sum(len(s[tags[0]]) for s in file.waveforms)
    assert len(traces) == each * read_tags
    assert sum("left out" in reason for reason in reasons) == left


def test_tags_of_which_none_is_raw(made):
    path = made(["processed_1", "processed_2"])
    with pytest.raises(FormatError, match="tags processed_1, processed_2, none of them raw"):
        read(path)
    assert read(f"asdf://processed_2::{path}")[0]
    with pytest.raises(FormatError, match="no waveforms tagged 'other'"):
        read(f"asdf://other::{path}")
    with pytest.raises(FormatError, match="'speed' in its URL"):
        read(f"asdf://processed_1/speed::{path}")
    assert "no units for tag 'processed_2'" in read(f"asdf://processed_2::{path}")[1][0]


def _dataset(file: h5py.File) -> h5py.Dataset:
    station = next(iter(file["Waveforms"].values()))
    return next(v for k, v in station.items() if k != "StationXML")


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("starttime", 1.5e18, "no start time in whole nanoseconds"),
        ("starttime", np.int64(2**63 - 1), "outside the years"),
        ("sampling_rate", 0.0, "sampling rate is 0.0 Hz"),
        ("sampling_rate", float("nan"), "sampling rate is nan Hz"),
        ("sampling_rate", "fast", "sampling rate is fast Hz"),
    ],
)
def test_bad_attributes_cost_one_trace(made, attribute, value, reason):
    path = made()
    whole, _ = read(path)
    with h5py.File(path, "r+") as file:
        _dataset(file).attrs[attribute] = value
    traces, reasons = read(path)
    assert len(traces) == len(whole) - 1
    assert len(reasons) == 1 and reasons[0].startswith(f"rejected: {reason}")


def test_nothing_outside_the_file_is_read(made, tmp_path):
    """Links and storage in other files could show an attacker's victim any file of the machine."""
    path = made()
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret bytes" * 100)
    shutil.copy(path, tmp_path / "other.h5")
    whole, _ = read(path)
    with h5py.File(path, "r+") as file:
        station, group = next(iter(file["Waveforms"].items()))
        name = next(k for k in group if k != "StationXML")
        attrs = dict(group[name].attrs)
        del group[name]
        stolen = group.create_dataset(name, (100,), "int32", external=[(str(secret), 0, 400)])
        stolen.attrs.update(attrs)
        file["Waveforms"]["XX.LINK"] = h5py.ExternalLink(str(tmp_path / "other.h5"),
                                                         f"/Waveforms/{station}")  # fmt: skip
        file["Waveforms"]["XX.SOFT"] = h5py.SoftLink(f"/Waveforms/{station}")
        layout = h5py.VirtualLayout((5,), "int32")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), f"/Waveforms/{station}/{name}",
                                       (5,))  # fmt: skip
        virtual = group.create_virtual_dataset(name.replace("raw_recording", "raw"), layout)
        virtual.attrs.update(attrs)
    traces, reasons = read(path)
    assert len(traces) == len(whole) - 1
    assert [r for r in reasons if "its samples are in another file" in r] == reasons != []


def test_a_bomb_is_not_unpacked(made):
    path = made()
    with h5py.File(path, "r+") as file:
        group = next(iter(file["Waveforms"].values()))
        name = next(k for k in group if k != "StationXML")
        attrs = dict(group[name].attrs)
        del group[name]
        bomb = group.create_dataset(name, (2**40,), "float64", chunks=(2**20,))
        bomb.attrs.update(attrs)
    assert "rejected: 8796093022208 bytes in a file of" in read(path)[1][0]


def test_damaged(made, tmp_path):
    path = made()
    content = path.read_bytes()
    short = tmp_path / "short.h5"
    for size in (9, 100, 2000, len(content) // 2, len(content) - 10):
        short.write_bytes(content[:size])
        with pytest.raises(FormatError, match="damaged HDF5 file"):
            read(short)
        with pytest.raises(InputError, match="copy it again"):
            read_inventory(str(short))
    empty = tmp_path / "empty.h5"
    with h5py.File(empty, "w") as file:
        file.attrs["file_format"] = np.bytes_("ASDF")
        file.attrs["file_format_version"] = np.bytes_("2.0.0")
        file.create_group("Waveforms")
    with pytest.raises(FormatError, match=r"version '2.0.0', not 1.x"):
        read(empty)
    with h5py.File(empty, "r+") as file:
        file.attrs["file_format_version"] = np.bytes_("1.0.3")
    with pytest.raises(FormatError, match="without waveforms"):
        read(empty)


def test_bytes_flipped_at_random(made):
    """Damage is an error of ours or a trace, never another exception."""
    path = made()
    content = bytearray(path.read_bytes())
    random = np.random.default_rng(3)
    for _ in range(60):
        damaged = bytearray(content)
        for at in random.integers(0, len(content), 30):
            damaged[at] = random.integers(256)
        file = SourceFile("x.h5", bytes(damaged))
        try:
            SOURCE.read(file, samples=True, report=lambda *_: None)
        except FormatError as error:
            assert ":" in str(error)
