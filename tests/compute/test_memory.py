"""Data larger than what a worker has left go through it, and it grows by little."""

from __future__ import annotations

import pytest

#: Megabytes: of the one worker, of the data, and what the worker may have had at most.  Programs
#: and compiled kernels are 350 to 420, so a third of the data held at a time would be too much.
LIMIT, DATA, MOST = 600, 400, 500


@pytest.mark.timeout(900)
@pytest.mark.parametrize("recipe", ["motion", "misfit", "convert"])
def test_data_larger_than_what_is_left_to_a_worker(recipe):
    from benchmarks.memory import compiled, pieces, went_through

    compiled(recipe, LIMIT)
    told = went_through(recipe, pieces(recipe, DATA), 1, LIMIT)
    assert told["made"] > 0
    assert told["restarts"] == 0
    assert told["worker_mb"] < MOST
