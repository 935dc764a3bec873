"""``ces catalog``."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from pangeo_ces.cli import main


def run(*words: str, status: int = 0) -> str:
    outcome = CliRunner().invoke(main, ["catalog", *map(str, words)])
    assert outcome.exit_code == status, outcome.output
    return outcome.output


def test_build(quakes, tmp_path):
    text = run("build", quakes[0], "--output", tmp_path / "stac", "--title", "Quakes")
    assert "6 items" in text and "13 written" in text
    done = json.loads(run("build", quakes[0], "--output", tmp_path / "stac", "--title", "Quakes",
                          "--json"))  # fmt: skip
    assert (done["written"], done["items"]) == (0, 6)
    assert json.loads((tmp_path / "stac/catalog.json").read_text())["title"] == "Quakes"


def test_search(quakes):
    text = run("search", quakes[1], "--event", "germany", "--bbox", "-10", "40", "10", "55")
    assert "20020722T054504" in text and "2 of 6 items" in text
    found = json.loads(run("search", quakes[1], "--kind", "windows", "--min-magnitude", "5.5",
                           "--time", "2002/2003", "--network", "GR", "--station", "T*",
                           "--channel", "HH?", "--json"))  # fmt: skip
    assert found["type"] == "FeatureCollection"
    assert [item["id"] for item in found["features"]] == ["20020722T054504", "20030222T204104"]
    assert "0 of 6 items" in run("search", quakes[1], "--max-magnitude", "1")


@pytest.mark.parametrize("words, status", [
    (["search", "/no/such"], 1), (["search"], 2), (["build", "x"], 2),
    (["build", "/no/such", "--output", "/tmp/never"], 1), (["search", "x", "--bbox", "1"], 2),
])  # fmt: skip
def test_failed_and_misused(words, status):
    run(*words, status=status)
