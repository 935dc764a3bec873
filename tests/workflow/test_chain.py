"""Chains of operators as data."""

from __future__ import annotations

import json

import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces import lineage
from pangeo_ces.errors import ParameterError
from pangeo_ces.workflow import chain

STEPS = [
    {"operator": "detrend", "parameters": {"type": "constant"}},
    {"operator": "taper", "parameters": {"max_percentage": 0.1}, "side": "observed"},
    {"operator": "highpass", "parameters": {"freq": 0.5}, "side": "synthetic"},
    {"operator": "bandpass", "parameters": {"freqmin": 0.5, "freqmax": 8.0}},
]


def test_order_and_sides_are_those_given():
    ds = ces.testing.synthetic_windows(quantity="velocity")
    steps = chain.parse(json.loads(json.dumps(STEPS)))
    observed = chain.run(steps, ds, "observed")
    expected = (
        ds.pipe(ces.detrend, type="constant").pipe(ces.taper, max_percentage=0.1)
        .pipe(ces.bandpass, freqmin=0.5, freqmax=8.0)
    )  # fmt: skip
    xr.testing.assert_identical(observed.compute(), expected.compute())
    synthetic = chain.run(steps[::-1], ds, "synthetic")
    assert [step["operator"] for step in lineage.steps(synthetic)] == [
        "bandpass", "highpass", "detrend",
    ]  # fmt: skip


def test_ground_motion_has_no_instrument_to_take_off():
    ds = ces.testing.synthetic_windows(quantity="velocity")
    band = (0.1, 0.2, 20.0, 30.0)
    steps = chain.parse([{"operator": "remove_response", "parameters": {"pre_filt": band}},
                         {"operator": "remove_sensitivity"}])  # fmt: skip
    xr.testing.assert_identical(chain.run(steps, ds, "observed").compute(),
                                ces.prefilter(ds, pre_filt=band).compute())  # fmt: skip


@pytest.mark.parametrize(
    "step, message",
    [
        ({"operator": "filter"}, "no operator 'filter'.*bandpass"),
        ({"operator": "peak_motion"}, "no operator"),
        ({"operator": "taper", "side": "left"}, "side 'left': use both"),
        ({"operator": "taper", "parameters": {"width": 3}}, "has no width: use max_percentage"),
        ({"name": "taper"}, "give operator, parameters and side"),
        ("taper", "give operator"),
    ],
)
def test_misuse(step, message):
    with pytest.raises(ParameterError, match=message):
        chain.parse([{"operator": "detrend"}, step])
