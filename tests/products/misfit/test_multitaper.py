"""Parts of the multitaper measurement; the whole of it is in test_pyadjoint.py."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangeo_ces.products.misfit._band import Band
from pangeo_ces.products.misfit.measure import waveform_misfit
from pangeo_ces.products.misfit.multitaper import _unwrap


@settings(deadline=None)  # compiled when first called
@given(
    samples=st.integers(1, 300), first=st.integers(0, 400), count=st.integers(1, 400),
    power=st.integers(10, 12),
)  # fmt: skip
def test_band_is_part_of_the_long_transform(samples, first, count, power):
    size = 2**power
    random = np.random.default_rng(samples + 1000 * count)
    x = random.standard_normal((3, samples))
    some = Band(samples, first, count, size)
    expected = np.fft.fft(x, size)[:, np.arange(first, first + count) % size]
    np.testing.assert_allclose(some.forward(x.copy()), expected, atol=1e-10)
    spectrum = random.standard_normal((2, count)) + 1j * random.standard_normal((2, count))
    k, t = np.arange(first, first + count), np.arange(samples)
    matrix = np.exp(2j * np.pi / size * np.outer(k, t))
    np.testing.assert_allclose(some.adjoint(spectrum), (spectrum @ matrix).real, atol=1e-9)


@pytest.mark.parametrize("slope", [-1.2, -0.4, 0.3, 1.4])
def test_skipped_cycles(slope):
    line = slope * np.arange(60)
    phase = np.angle(np.exp(1j * line))
    _unwrap(phase, 1.5)
    np.testing.assert_allclose(phase, line, atol=1e-12)


def test_steps_below_the_largest_are_left():
    phase = np.array([0.0, 1.4, 2.8, -2.0, -0.6])
    expected = phase.copy()
    _unwrap(phase, 5.0)
    np.testing.assert_array_equal(phase, expected)


def test_dispersion_is_found(record, windows_of):
    """Shift and amplitude that vary with frequency: the mean over the band."""
    n, dt = 2001, 0.1
    f = np.fft.rfftfreq(n, dt)
    spectrum = np.exp(-(((f - 0.1) / 0.03) ** 2)) * np.exp(-2j * np.pi * f * 100.0)
    delay = 1.0 + 4.0 * (f - 0.1)
    observed = np.fft.irfft(0.7 * spectrum * np.exp(-2j * np.pi * f * delay), n)
    synthetic = np.fft.irfft(spectrum, n)
    sides = [record({"Z": x}, dt=dt) for x in (observed, synthetic)]
    options = {"measure": "multitaper", "min_period": 7.0, "max_period": 15.0,
               "use_cc_error": False}  # fmt: skip
    found = waveform_misfit(*sides, windows_of(sides[0], [(400, 1600)]), **options)
    assert found["multitaper_windows"].item() == 1
    middle = (1 / 7 + 1 / 15) / 2
    assert found["time_shift"].item() == pytest.approx(1.0 + 4.0 * (middle - 0.1), abs=0.01)
    assert found["dlna"].item() == pytest.approx(np.log(0.7), abs=1e-3)
    # The mean of the squares over the band of a shift that changes linearly; 1 % of the shift,
    # which leakage between the tapers' bands may cost, is 2 % of its square.
    ends = 1.0 + 4.0 * (np.array([1 / 7, 1 / 15]) - 0.1)
    mean_square = (ends**2).mean() - np.ptp(ends) ** 2 / 6
    assert found["misfit"].item() == pytest.approx(0.5 * mean_square, rel=0.03)
    # There is nothing beside a whole record to move it into.
    assert waveform_misfit(*sides, **options)["multitaper_windows"].item() == 0
