"""Finding files: folders, globs, URLs, and what is not a waveform."""

from __future__ import annotations

import importlib.metadata
import io

import fsspec
import numpy as np
import obspy
import pytest

from pangeo_ces import sources
from pangeo_ces.errors import InputError
from pangeo_ces.sources import SOURCES, Source, SourceFile, expand, source_for


def mseed() -> bytes:
    buffer = io.BytesIO()
    header = {"station": "ABC", "channel": "HHZ"}
    obspy.Stream([obspy.Trace(np.arange(9, dtype="i4"), header)]).write(buffer, format="MSEED")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub/.cache").mkdir(parents=True)
    for name in ("b.mseed", "sub/a.mseed", "sub/record", ".hidden.mseed", "sub/.cache/x.mseed"):
        (tmp_path / name).write_bytes(mseed())
    (tmp_path / "README.md").write_text("# About these data\n")
    (tmp_path / "STATIONS").write_text("AMT IT 42.0 13.0 0.0 0.0\n")
    (tmp_path / "empty.mseed").write_bytes(b"")
    return tmp_path


def test_folder(folder):
    files, problems = expand([folder])
    assert [file.name for file in files] == ["b.mseed", "empty.mseed", "a.mseed", "record"]
    assert [(p.file.rsplit("/")[-1], p.status) for p in problems] == [
        ("README.md", "ignored"),
        ("STATIONS", "ignored"),
    ]


def test_named_file_is_rejected_and_repetition_dropped(folder):
    named = folder / "README.md"
    files, problems = expand([folder, named, folder / "b.mseed", str(folder / "*.mseed")])
    assert len(files) == len({file.url for file in files}) == 4
    assert {p.status for p in problems if p.file.endswith("README.md")} == {"rejected"}
    assert len(problems) == 2 and "text that starts with '# About" in problems[0].reason


def test_order_follows_inputs(folder):
    files, _ = expand([folder / "sub", folder / "b.mseed"])
    assert [file.name for file in files] == ["a.mseed", "record", "b.mseed"]
    assert expand([folder])[0] == expand([str(folder)])[0]


@pytest.mark.parametrize(
    "pattern", ["memory://expand", "memory://expand/*", "memory://expand/*/*.ms"]
)
def test_urls(pattern):
    fs = fsspec.filesystem("memory")
    fs.pipe("/expand/day/a.ms", mseed())
    files, problems = expand([pattern])
    assert [file.url for file in files] == ["memory:///expand/day/a.ms"] and not problems
    source = source_for(files[0])
    assert source is not None
    (trace,) = source.read(files[0], samples=True, report=lambda *_: None)
    assert trace.samples == 9


@pytest.mark.parametrize(
    ("item", "message"),
    [("nowhere.mseed", "no such file"), ("nowhere/*.mseed", "no files match"),
     ("memory://nowhere/x", "no such file"), ("nosuch://bucket/x", "cannot reach")],
)  # fmt: skip
def test_nothing_there(tmp_path, item, message):
    item = item if "://" in item else str(tmp_path / item)
    with pytest.raises(InputError, match=message):
        expand([item])


def test_empty_folder(tmp_path):
    with pytest.raises(InputError, match="check the folder"):
        expand([tmp_path])


def test_whole_data_set_has_no_false_waveforms(data):
    files, problems = expand([data("04_specfem_own/format_samples")])
    marks = (".sem", "_SU", "seismograms")
    assert all(any(mark in f.name for mark in marks) for f in files) and len(files) > 200
    assert {problem.status for problem in problems} == {"ignored"}


def test_sources_follow_the_protocol_and_plugins_come_first(monkeypatch):
    assert all(isinstance(source, Source) for source in SOURCES)

    class Point:
        def __init__(self, name, value):
            self.name, self.value = name, value

        def load(self):
            if self.value is None:
                raise ImportError("broken")
            return self.value

    points = [Point("broken", None), Point("mine", SOURCES[0])]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    assert sources._plugins() == [SOURCES[0]]


def test_only_the_first_bytes_are_read_to_choose(tmp_path):
    path = tmp_path / "big"
    path.write_bytes(mseed() + bytes(1 << 20))
    file = SourceFile(str(path))
    assert source_for(file) is not None
    assert file._content is None
