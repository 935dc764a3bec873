from __future__ import annotations

import numpy as np
import pytest

from pangeo_ces.errors import ParameterError
from pangeo_ces.views.units import display_unit, number


@pytest.mark.parametrize(
    "units, largest, label, shown",
    [
        ("m s-2", 9.80665, "%g", 100),
        ("m s-2", 2e-5, "µm/s²", 20),
        ("m s-1", 0.02, "cm/s", 2),
        ("m s-1", 2e-5, "µm/s", 20),
        ("m s-1", 2e-8, "nm/s", 20),
        ("m", 0.02, "cm", 2),
        ("m", 2e-8, "nm", 20),
        ("1", 3.0, "", 3),
    ],
)
def test_unit_fits_the_size(units, largest, label, shown):
    unit = display_unit(units, [np.nan, -largest, 0])
    assert unit.label == label
    assert unit.factor * largest == pytest.approx(shown)


def test_unit_can_be_chosen():
    assert display_unit("m s-1", 1.0, label="mm/s") == ("mm/s", 1e3)
    with pytest.raises(ParameterError, match="cm/s"):
        display_unit("m s-1", 1.0, label="%g")


def test_nothing_to_show_takes_the_first_unit():
    assert display_unit("m s-1", [np.nan]).label == "cm/s"
    assert display_unit("m s-2", 1.0, trace=True).label == "cm/s²"


def test_numbers_have_few_digits():
    assert [number(x) for x in (1234.5, 0.00012345, 2.0, -0.5, 1e-9)] == [
        "1230", "0.000123", "2", "-0.5", "1e-09",
    ]  # fmt: skip
