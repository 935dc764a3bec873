"""Products that the tests of the views share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import xarray as xr

sys.path.insert(0, str(Path(__file__).parent))

from product import make_product, make_waveforms


@pytest.fixture
def product() -> xr.DataTree:
    return make_product(1, 5)


@pytest.fixture
def three_events() -> xr.DataTree:
    return make_product(3, 5)


@pytest.fixture
def waveforms(three_events: xr.DataTree) -> dict[str, xr.Dataset]:
    return make_waveforms(three_events)
