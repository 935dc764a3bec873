"""The command line, as a person and as a script use it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import pangeo_ces as ces
from pangeo_ces.cli import main

RECORDS = str(ces.samples.path("german_events/observed"))
STATIONS = str(ces.samples.path("german_events/stations.xml"))
EVENTS = str(ces.samples.path("german_events/events.xml"))
SYNTHETIC = str(ces.samples.path("german_events/synthetic"))


def ces_command(*words, status=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == status, (result.output, result.stderr, result.exception)
    return result


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "s.zarr"
    ces_command("convert", RECORDS, path, "--stations", STATIONS, "--event", EVENTS, "--quiet")
    ces_command("convert", SYNTHETIC, path, "--as", "synthetic/specfem", "--quiet")
    return path


def test_convert_finds_the_cmtsolutions_of_the_events(store):
    facts = json.loads(ces_command("inspect", store, "--json").stdout)
    observed, synthetic = facts["nodes"]
    assert observed["path"] == "windows/main/observed/20Hz"
    assert synthetic["quantities"] == ["velocity"]
    assert observed["events"] == synthetic["events"]
    assert observed["segments"] == 42
    assert facts["bytes"] > 100_000


def test_inspect_for_people(store):
    text = ces_command("inspect", store).stdout
    for word in ("windows/main/observed/20Hz", "GR.BFO..HH", "42 segments, 0 gaps"):
        assert word in text


def test_convert_report_and_strict(tmp_path):
    bad = tmp_path / "bad.mseed"
    bad.write_bytes(b"")
    words = ["convert", RECORDS, bad, tmp_path / "s.zarr", "--stations", STATIONS, "--event",
             EVENTS, "--report", tmp_path / "r.json", "--quiet"]  # fmt: skip
    ces_command(*words)
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["traces_used"], report["rejected"]) == (42, 1)
    assert report["rows"][0]["file"].endswith("bad.mseed")
    ces_command(*words, "--overwrite", "--strict", status=1)


def test_nothing_usable_fails_with_a_report(tmp_path):
    bad = tmp_path / "bad.mseed"
    bad.write_text("<html>")
    result = ces_command("convert", bad, tmp_path / "s.zarr", "--stations", STATIONS,
                         "--report", tmp_path / "r.json", "--quiet", status=1)  # fmt: skip
    assert "nothing could be used" in result.stderr
    assert "Traceback" not in result.stderr
    assert json.loads((tmp_path / "r.json").read_text())["rejected"] == 1


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["inspect", "/nowhere.zarr"], 1, "no store"),
        (["convert", "/nowhere/*", "/tmp/x.zarr"], 1, "nowhere"),
        (["convert", RECORDS, "/tmp/x.zarr", "--as", "both"], 1, "synthetic/NAME"),
        (["convert", RECORDS], 2, "Missing argument"),
        (["run", "rapid-assessment", "--input", "/nowhere.zarr", "--output", "/tmp/x"], 1, "store"),
        (["run", "rapid-assessment", "--output", "/tmp/x"], 2, "--input"),
        (["run", "rapid-assessment", "--input", "x", "--output", "y", "--freqmin", "low"], 2,
         "--freqmin"),
        (["run", "rapid-assessment", "--input", "x", "--output", "y", "--axes", "NEZ"], 2, "ZNE"),
        (["operators", "nothing"], 2, "ces operators"),
        (["demo", "--cluster", "moon", "--output", "/nowhere/at/all"], 1, "threads"),
    ],
)  # fmt: skip
def test_misuse(words, status, says):
    result = ces_command(*words, status=status)
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_run_with_options(store, tmp_path):
    result = ces_command(
        "run", "rapid-assessment", "--input", store, "--output", tmp_path / "out", "--freqmin",
        "0.03", "--freqmax", "0.08", "--periods", "15,20", "--damping", "0.1", "--axes", "ZRT",
        "--cluster", "synchronous", "--json",
    )  # fmt: skip
    report = json.loads(result.stdout)
    assert report["counts"]["used"] == 87
    assert report["parameters"]["periods"] == [15.0, 20.0]
    product = ces.open_store(tmp_path / "out" / "peak_motion.zarr")
    assert product["observed"]["component"].values.tolist()[:3] == ["Z", "R", "T"]
    assert float(product["observed"]["damping"]) == 0.1


def test_operators_and_apply(store, tmp_path):
    assert "bandpass" in ces_command("operators").stdout
    schema = json.loads(ces_command("operators", "bandpass", "--json").stdout)["bandpass"]
    assert schema["required"] == ["freqmin", "freqmax"]
    node = "windows/main/synthetic/specfem/2.5Hz"
    ces_command("apply", "bandpass", store, node, tmp_path / "f.zarr", "--set", "freqmin=0.03",
                "--set", "freqmax=0.08")  # fmt: skip
    filtered = ces.open_store(tmp_path / "f.zarr").to_dataset()
    assert filtered["velocity"].dims == ("event", "station", "component", "time")
    assert float(filtered["time"][0]) == -20.0
    result = ces_command("apply", "bandpass", store, "nowhere", tmp_path / "g.zarr", status=1)
    assert "ces inspect" in result.stderr


def test_help_teaches():
    text = ces_command("run", "rapid-assessment", "--help").stdout
    assert "--freqmax" in text
    assert "Hz" in text
    assert "--stations" in ces_command("convert", "--help").stdout
