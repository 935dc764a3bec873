"""The largest correlation is that of all lags, however few of them are looked at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from pangeo_ces.products.misfit import _lags
from pangeo_ces.products.misfit._windows import cut


def smooth(seed: int, samples: int, width: float) -> np.ndarray:
    """Two records of noise, filtered over ``width`` samples."""
    noise = np.random.default_rng(seed).standard_normal((2, samples))
    return gaussian_filter1d(noise, width) if width > 0.1 else noise


def correlated(pair: np.ndarray, percentage: float) -> tuple[float, np.ndarray]:
    """The lag found in one window, and the correlation at all lags."""
    x, y = (side[None] for side in pair)
    cuts, _ = cut(x, y, [], 1.0, 0.0, percentage, "hann")
    (lag,) = _lags.best_lags(x, y, cuts)
    return lag, np.correlate(x[0] * cuts.tapers, y[0] * cuts.tapers, "full")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_it_is_the_largest_of_all(data):
    samples = data.draw(st.integers(4, 700))
    pair = smooth(data.draw(st.integers(0, 2**32 - 1)), samples, data.draw(st.floats(0, 20)))
    alike = data.draw(st.floats(0, 1))
    pair[0] += alike * np.roll(pair[1], data.draw(st.integers(-30, 30)))
    lag, correlation = correlated(pair, data.draw(st.sampled_from([0.0, 0.05, 0.3, 1.0])))
    norm = np.abs(correlation).max()
    assert correlation[int(lag) + samples - 1] == pytest.approx(
        correlation.max(), rel=0, abs=1e-12 * norm
    )


@pytest.mark.parametrize("samples", [4, 37, 500])
def test_of_negative_correlations_it_is_the_smallest(samples):
    pair = 1.0 + np.abs(smooth(1, samples, 3))
    lag, correlation = correlated(pair * [[1], [-1]], 0.0)
    assert correlation.max() < 0
    assert lag == correlation.argmax() - samples + 1


def test_of_records_that_are_not_alike_all_samples_are_used():
    """Too many lags may be the largest, as far as the coarse ones tell."""
    unclear = []
    search = _lags._search
    for seed in range(8):
        pair = smooth(seed, 4000, 6)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_lags, "_search", lambda *a: unclear.append(search(*a)) or unclear[-1])
            lag, correlation = correlated(pair, 0.1)
        assert lag == correlation.argmax() - 3999
    assert not all(found.all() for found in unclear)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(20, 600), st.floats(1, 30))
def test_coarse_lags_are_as_near_as_they_say(seed, samples, width):
    x, y = (side[None] for side in smooth(seed, samples, width))
    cuts, _ = cut(x, y, [], 1.0, 0.0, 0.5, "hann")
    steps, bounds = np.zeros(1, np.int64), np.empty((1, 4))
    _lags._resolve(x, y, *cuts.places, cuts.longest, steps, bounds)
    (step,), (one, two, error, bend) = steps, bounds[0]
    d, s = one * x[0] * cuts.tapers, two * y[0] * cuts.tapers
    every = np.correlate(d, s, "full")
    coarse = step * np.correlate(d[::step], s[::step], "full")
    half = len(coarse) // 2
    true = every[samples - 1 - half * step :: step][: len(coarse)]
    assert np.square(d).sum() == pytest.approx(1)
    assert np.abs(coarse - true).max() <= error + 1e-12
    assert np.abs(np.diff(np.pad(every, 2), 2)).max() <= bend + 1e-12
    assert error + bend * (step**2 // 4) / 2 <= _lags._APART or step == 1


def test_filtered_records_are_looked_at_coarsely():
    x, y = smooth(3, 2000, 20)[:, None]
    cuts, _ = cut(x, y, [], 1.0, 0.0, 0.3, "hann")
    steps = np.zeros(1, np.int64)
    _lags._resolve(x, y, *cuts.places, cuts.longest, steps, np.empty((1, 4)))
    assert steps[0] >= 8


def test_windows_of_many_lengths_do_not_matter_to_each_other():
    x, y = np.concatenate([smooth(seed, 900, 5)[:, None] for seed in range(12)], axis=1)
    start = np.random.default_rng(1).uniform(0, 400, (12, 5))
    limits = start, start + np.random.default_rng(2).uniform(3, 480, (12, 5))
    cuts, _ = cut(x, y, limits, 1.0, 0.0, 0.3, "hann")
    together = _lags.best_lags(x, y, cuts)
    one_by_one = [_lags.best_lags(x, y, cuts.take([n]))[0] for n in range(len(cuts))]
    np.testing.assert_array_equal(together, one_by_one)
