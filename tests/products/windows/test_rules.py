"""Candidates against all triples tried one by one, resolution against all subsets."""

from __future__ import annotations

import dataclasses
import itertools
import time

import numpy as np
import pytest
import scipy.signal

from pangeo_ces.products.windows import candidates, fit, resolve, stalta
from pangeo_ces.products.windows.pair import Limits, Spans, select
from pangeo_ces.products.windows.rules import PHASE_SEPARATION, PROMINENCE, REASONS, Rules

RULES = Rules(
    dt=1.0, min_period=10.0, max_period=80.0, stalta_waterlevel=0.1, tshift_acceptance_level=5.0,
    tshift_reference=0.0, dlna_acceptance_level=1.0, dlna_reference=0.0, cc_acceptance_level=0.7,
    s2n_limit=1.5, min_surface_wave_velocity=3.0, max_time_before_first_arrival=50.0, c_0=0.8,
    c_1=1.5, c_2=0.1, c_3a=1.5, c_3b=2.0, c_4a=2.0, c_4b=3.0, energy=False, merge=False,
    emulate=False,
)  # fmt: skip
NO_NOISE = Spans(0, None, None, -1, False, 3.5, 3.0)


def noise(seed, samples, rules=RULES, rows=1):
    white = np.random.default_rng(seed).standard_normal((rows, samples))
    frequency = np.fft.rfftfreq(samples, rules.dt)
    band = (frequency > 1 / rules.max_period) & (frequency < 1 / rules.min_period)
    return np.fft.irfft(np.fft.rfft(white) * band, samples)


def triple_by_triple(ratio, maxima, minima, rules):
    """The rules as the paper has them, for every (left, centre, right)."""
    passed, times = [], rules.dt / rules.min_period
    for left, right in itertools.combinations(minima, 2):
        inside = [m for m in maxima if left < m < right]
        lows = [m for m in minima if left <= m <= right]
        seeds = [m for m in inside if ratio[m] > rules.stalta_waterlevel]
        if not seeds or (right - left) * times < rules.c_1:
            continue
        if any(ratio[m] <= rules.c_0 * rules.stalta_waterlevel for m in lows[1:-1]):
            continue
        prominent = separate = False
        for seed in seeds:
            beside = [max(m for m in lows if m < seed), min(m for m in lows if m > seed)]
            drop = min(ratio[seed] - ratio[m] for m in beside)
            prominent |= drop >= rules.c_2 * ratio[seed]
            lowest = min(ratio[m] for m in lows)
            good = True
            for other in set(inside) - {seed}:
                x = abs(other - seed) * times / rules.c_3b - 1
                factor = rules.c_3a * (np.exp(-(x**2)) if x >= 0 else 1)
                good &= ratio[other] - lowest <= factor * (ratio[seed] - lowest)
            separate |= good
        if prominent and separate:
            for seed in seeds:
                begin, end = left, right
                others = [m for m in inside if m != seed]
                if len(others) > 1:
                    if (others[0] - left) * times > rules.c_4a:
                        begin = int(others[0] - rules.c_4a / times)
                    if (right - others[-1]) * times > rules.c_4b:
                        end = int(others[-1] + rules.c_4b / times)
                passed.append((begin, end))
    return sorted(set(passed))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "change",
    [{}, {"c_3a": 1.0}, {"c_3a": 0.5, "c_2": 0.3}, {"stalta_waterlevel": 0.01, "c_4a": 0.5},
     {"c_3b": 30.0, "c_3a": 2.0}],
)  # fmt: skip
def test_candidates_against_all_triples(seed, change):
    rules = RULES._replace(**change)
    ratio = stalta.sta_lta(stalta.envelope(noise(seed, 500)[0]), 1.0, 10.0, 0.0)
    maxima, minima = stalta.extrema(ratio, False)
    expected = triple_by_triple(ratio, maxima.tolist(), minima.tolist(), rules)
    counts, kept = np.zeros(len(REASONS) + 1, np.int64), np.empty((50, 3), np.int64)
    ours, filled = candidates.candidates(
        ratio, maxima, minima, -np.inf, np.inf, rules, counts, kept
    )
    assert ours.tolist() == [list(pair) for pair in expected]
    assert expected
    assert filled == min(50, counts[PROMINENCE] + counts[PHASE_SEPARATION])
    # Every interval with a seed passed or was counted once.
    seeds = maxima[ratio[maxima] > rules.stalta_waterlevel]
    seeded = sum(
        bool(((seeds > a) & (seeds < b)).any()) for a, b in itertools.combinations(minima, 2)
    )
    assert counts.sum() <= seeded
    assert (counts >= 0).all()


def test_sta_lta_against_scipy():
    signal = stalta.envelope(noise(1, 800)[0])
    np.testing.assert_allclose(signal, abs(scipy.signal.hilbert(noise(1, 800)[0])), rtol=1e-9)
    padded = np.concatenate([np.zeros(1000), signal]) + 1e-5 * signal.max()
    short, long = (
        scipy.signal.lfilter([1], [1, -(10 ** (-1 / period))], padded)[1000:]
        for period in (10.0, 120.0)
    )
    np.testing.assert_allclose(stalta.sta_lta(signal, 1.0, 10.0, 0.0), short / long, rtol=1e-12)


def test_extrema():
    """The first sample of a plateau; the ends are none, unless the record is thought periodic."""
    values = np.array([3.0, 3, 1, 1, 2, 2, 0, 5, 4, 4])
    maxima, minima = stalta.extrema(values, False)
    assert (maxima.tolist(), minima.tolist()) == ([4, 7], [2, 6])
    up = np.array([1.0, 1, 2, 1, 0])
    assert [x.tolist() for x in stalta.extrema(up, True)] == [[2], [0]]
    assert [x.tolist() for x in stalta.extrema(up, False)] == [[2], []]


def test_limits_stand_in_for_minima():
    maxima, minima = np.array([2, 6, 10, 14]), np.array([0, 4, 8, 12, 16])
    between = candidates.between_times
    assert [x.tolist() for x in between(maxima, minima, 5, 13)] == [[6, 10], [5, 8, 12, 13]]
    assert [x.tolist() for x in between(maxima, minima, -1, 99)] == [
        maxima.tolist(), minima.tolist(),
    ]  # fmt: skip


@pytest.mark.parametrize("length", [30, 200, 900])
def test_fit_against_numpy(length):
    """Direct sums and Fourier transforms, to their rounding."""
    one, two = noise(3, 3000, rows=2)
    interval = np.array([[100, 99 + length]])
    ((shift, cc, dlna),) = fit.fit(one, two, interval)
    x, y = one[100 : 100 + length], two[100 : 100 + length]
    full = np.correlate(x, y, "full")
    assert shift == full.argmax() - length + 1
    assert cc == pytest.approx(full.max() / np.sqrt(x @ x * (y @ y)), rel=1e-12)
    assert dlna == pytest.approx(0.5 * np.log(x @ x / (y @ y)), rel=1e-12)
    later = fit.fit(np.roll(one, 7), one, interval)
    assert later[0, 0] == 7  # positive: the observed is later


@pytest.mark.parametrize("seed", range(20))
def test_schedule_against_all_subsets(seed):
    random = np.random.default_rng(seed)
    edges = np.sort(random.integers(0, 40, (9, 2)), axis=1) + np.array([0, 1])
    weights = random.random(9)
    best = 0.0
    for size in range(10):
        for subset in itertools.combinations(range(9), size):
            rows = edges[list(subset)]
            rows = rows[np.argsort(rows[:, 0])]
            if (rows[1:, 0] >= rows[:-1, 1]).all():
                best = max(best, weights[list(subset)].sum())
    chosen = resolve.schedule(edges, weights)
    assert weights[chosen].sum() == pytest.approx(best)
    assert (edges[chosen][1:, 0] >= edges[chosen][:-1, 1]).all()


def test_merge_does_not_depend_on_order():
    random = np.random.default_rng(0)
    edges = np.sort(random.integers(0, 400, (40, 2)), axis=1) + np.array([0, 1])
    expected = resolve.merge(edges)
    covered = np.zeros(402, bool)
    for left, right in edges:
        covered[left:right] = True
    starts = np.flatnonzero(np.diff(np.r_[False, covered].astype(int)) == 1)
    assert expected[:, 0].tolist() == starts.tolist()
    for _ in range(20):
        np.testing.assert_array_equal(resolve.merge(random.permutation(edges)), expected)


@pytest.mark.parametrize("seed", range(10))
def test_windows_keep_the_rules(seed):
    one, two = noise(seed, 2000, rows=2)
    rise = np.linspace(0, 1, 2000) ** 2  # so that there is something quieter before
    observed, two = rise * (np.roll(two, 2) + 0.3 * one), rise * two
    found = select(observed, two, Limits(noise_end=200), RULES, NO_NOISE, 100, 100)
    assert found.found == len(found.intervals) > 0
    left, right = found.intervals.T
    assert (left[1:] >= right[:-1]).all()
    assert (right - left >= 15).all()
    shift, cc, dlna, weight = found.measured.T
    assert (abs(shift) < 5).all()
    assert (cc >= 0.7).all()
    assert (abs(dlna) <= 1).all()
    np.testing.assert_allclose(weight, (right - left) / 10 * cc)
    ratio = stalta.sta_lta(stalta.envelope(two), 1.0, 10.0, 0.0)
    peak = abs(observed[:200]).max()
    for a, b in found.intervals:
        assert ratio[a : b + 1].max() > 0.1
        assert abs(observed[a:b]).max() >= 1.5 * peak
    few = select(observed, two, Limits(noise_end=200), RULES, NO_NOISE, 1, 100)
    assert few.found == found.found
    assert few.measured[0, 3] == weight.max()


def test_no_combinatorial_explosion():
    """2,400 maxima all above the water level: 3 million intervals, 10^9 triples."""
    rules = RULES._replace(min_period=4.0, max_period=32.0, stalta_waterlevel=1e-4)
    one, two = noise(0, 20_000, rules, 2)
    arguments = (two + 0.3 * one, two, Limits(), rules, NO_NOISE, 20, 100)
    select(*arguments)  # compiles
    begin = time.perf_counter()
    found = select(*arguments)
    assert time.perf_counter() - begin < 3  # 0.06 s here: CI is shared
    assert found.rejected.sum() > 2e6
    assert len(found.refused) == 100


def test_levels_themselves():
    """As in Pyflex a shift equal to its level is too large; correlation and ratio may equal it."""
    measured = np.array([[5.0, 0.9, 0.0], [-5.0, 0.9, 0.0], [4.0, 0.7, -1.0], [4.0, 0.69, 0.0],
                         [4.0, 0.9, 1.01], [4.0, np.nan, np.nan]])  # fmt: skip
    reasons = np.empty(len(measured), np.int64)
    fit.verdicts(measured, RULES, reasons)
    assert [REASONS.get(reason, "") for reason in reasons] == [
        "time_shift", "time_shift", "", "cross_correlation", "amplitude", "amplitude",
    ]  # fmt: skip


def test_noise_of_windows_and_records():
    """The last sample of a window is no part of its signal, as in Pyflex."""
    observed = np.tile([1.0, -1.0], 50)
    observed[60], observed[80] = 4.0, 40.0
    reasons = np.empty(3, np.int64)
    for energy, passed in ((False, [True, False, True]), (True, [False, False, True])):
        rules = RULES._replace(energy=energy, s2n_limit=3.0)
        noise_level = fit.level(observed[:50], energy)
        assert noise_level == 1.0
        fit.above_noise(observed, np.array([[50, 70], [50, 60], [75, 85]]), noise_level, rules,
                        reasons)  # fmt: skip
        assert (reasons == 0).tolist() == passed
        fit.above_noise(observed, np.array([[50, 70]]), np.nan, rules, reasons)
        assert reasons[0] == 0
    loud = np.ones(100)
    loud[:10], loud[60] = 50.0, 5.0  # before the noise, and signal
    spans = Spans(10, 50, None, -1, True, 1.4, 5.0)
    for change, usable in (
        ({}, True), ({"peak": 5.1}, False), ({"energy": 1.5}, False), ({"signal_end": 60}, False),
        ({"signal_start": 61}, False), ({"noise_end": 10}, False), ({"noise_start": 9}, False),
    ):  # fmt: skip
        checked = dataclasses.replace(spans, **change)
        assert select(loud, loud, Limits(), RULES, checked, 5, 0).usable == usable, change
