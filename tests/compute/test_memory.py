"""Data that the memory of a whole cluster does not hold, with workers of 500 MB."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT = 500.0


def run(recipe: str, times: float) -> dict:
    """One worker; its nanny would end it at 95 % of the limit."""
    from benchmarks.memory import pieces

    command = [sys.executable, "-m", "benchmarks.memory", "--recipe", recipe, "--workers", "1",
               "--limit", str(LIMIT), "--child", str(pieces(recipe, times * LIMIT))]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("recipe, small, large", [("motion", 0.3, 3.0), ("misfit", 0.02, 0.2)])
def test_memory_does_not_grow_with_the_data(recipe, small, large, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    few, many = run(recipe, small), run(recipe, large)
    assert many["restarts"] == few["restarts"] == 0
    assert many["made"] > 5 * few["made"]
    # Ten times the data; what grows is the results themselves, and what malloc keeps.
    assert many["worker_mb"] < few["worker_mb"] + 40
    assert many["driver_mb"] < few["driver_mb"] + 60
    assert many["worker_mb"] < 0.95 * LIMIT
