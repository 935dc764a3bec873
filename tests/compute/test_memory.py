"""Data larger than a worker go through it, and it grows by little more than its programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

#: Megabytes: of the one worker, of the data, and what the worker may have had at most.  Programs
#: and compiled kernels are 350 to 420, so a fifth of the data held at a time would be too much.
LIMIT, DATA, MOST = 600, 720, 500


@pytest.mark.parametrize("recipe", ["motion", "misfit", "convert"])
def test_data_larger_than_the_worker(recipe):
    from benchmarks.memory import pieces

    command = [sys.executable, "-m", "benchmarks.memory", "--recipe", recipe, "--workers", "1",
               "--limit", str(LIMIT), "--child", str(pieces(recipe, DATA))]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["made"] > 0
    assert told["restarts"] == 0
    assert told["worker_mb"] < MOST
