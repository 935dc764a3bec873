"""Where the tests find real data, and what they do without it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

DATA = Path(os.environ.get("CES_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def data() -> Callable[[str], Path]:
    """``data("01_strong_motion/…")``: a path of the reference data, or a skip with the reason."""

    def find(relative: str) -> Path:
        path = DATA / relative
        if not path.exists():
            pytest.skip(f"reference data not here: {path} (set CES_TEST_DATA)")
        return path

    return find
