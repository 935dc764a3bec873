"""Pairs on one axis, against a signal that is known everywhere."""

from __future__ import annotations

import numpy as np
import pytest

import pangeo_ces as ces
from pangeo_ces.errors import AxisError, ParameterError
from pangeo_ces.testing import assert_lazy, synthetic_windows
from pangeo_ces.timeaxis import sampling_interval


def wave(seconds):
    """Band-limited below 2 Hz, over long before either record ends."""
    return np.exp(-(((seconds - 12) / 4) ** 2)) * np.sin(2 * np.pi * 1.3 * seconds)


def recorded(rate, samples, shift=0.0, **options):
    ds = synthetic_windows(
        sampling_rate=rate, samples=samples, quantity="velocity", events=1, **options
    )
    values = np.broadcast_to(wave(ds["time"].values + shift), ds["velocity"].shape)
    ds["velocity"] = ds["velocity"].copy(data=values.copy()).chunk(station=1)
    return ds.assign_coords(time_offset=ds["time_offset"] + shift)


@pytest.mark.parametrize("rates", [(100.0, 20.0), (20.0, 100.0), (200.0, 7.5), (50.0, 50.0)])
def test_both_sides_are_the_signal_at_the_same_times(rates):
    """Nothing is delayed by the anti-alias filter, though only one side needs it."""
    one, two = (recorded(rate, int(rate * 25)) for rate in rates)
    one, two = ces.sync_cut(one, two)
    assert_lazy(one)
    assert sampling_interval(one) == sampling_interval(two)
    assert float(1 / sampling_interval(one)) == min(rates)
    np.testing.assert_array_equal(one["time"], two["time"])
    expected = wave(one["time"].values)
    for side in (one, two):
        values = side["velocity"].values[0, 0, 0]
        there = np.isfinite(values)
        assert there.sum() > 20 * min(rates)
        # Ripple of the filter in its pass band, 1 dB at its very edge; ends of the kernel.
        np.testing.assert_allclose(values[there], expected[there], atol=2e-3)


def test_only_what_both_have_and_sub_sample_starts():
    one = recorded(40.0, 1000, shift=0.011)
    two = recorded(40.0, 600)
    two["data_end"][0, 1] = 9.0
    one, two = ces.sync_cut(one, two)
    for side in (one, two):
        finite = np.isfinite(side["velocity"].values[0, :, 0])
        assert finite[0].sum() > finite[1].sum()
        assert side["time"].values[finite[1]][-1] == pytest.approx(9.0)
        np.testing.assert_allclose(side["data_end"].values[0, 1], 9.0)
    both = np.isfinite(one["velocity"].values) & np.isfinite(two["velocity"].values)
    np.testing.assert_allclose(one["velocity"].values[both], two["velocity"].values[both],
                               atol=1e-4)  # fmt: skip


def test_rates_far_apart_and_a_given_one():
    one, _ = ces.sync_cut(recorded(500.0, 12500), recorded(20.0, 500), sampling_rate=10.0)
    assert float(1 / sampling_interval(one)) == 10.0
    values = one["velocity"].values[0, 0, 0]
    there = np.isfinite(values)
    np.testing.assert_allclose(values[there], wave(one["time"].values)[there], atol=2e-3)


def test_misuse():
    one, two = recorded(40.0, 500), recorded(20.0, 250)
    with pytest.raises(ParameterError, match="give that or less"):
        ces.sync_cut(one, two, sampling_rate=40.0)
    with pytest.raises(AxisError, match=r"ces\.match"):
        ces.sync_cut(one, two.isel(station=[0]))
    apart = two.assign_coords(data_start=two["data_start"] + 900, data_end=two["data_end"] + 900)
    with pytest.raises(AxisError, match="no pair has time in common"):
        ces.sync_cut(one, apart)
