"""Data larger than a worker go through it, and it grows by little more than its programs."""

from __future__ import annotations

import pytest

#: Megabytes: of the one worker, of the data, and what the worker may have had at most.  Programs
#: and compiled kernels are 350 to 420, so a fifth of the data held at a time would be too much.
LIMIT, DATA, MOST = 600, 720, 500


@pytest.mark.timeout(900)
@pytest.mark.parametrize("recipe", ["motion", "misfit", "convert"])
def test_data_larger_than_the_worker(recipe):
    from benchmarks.memory import compiled, pieces, went_through

    compiled(recipe, LIMIT)
    told = went_through(recipe, pieces(recipe, DATA), 1, LIMIT)
    assert told["made"] > 0
    assert told["restarts"] == 0
    assert told["worker_mb"] < MOST
