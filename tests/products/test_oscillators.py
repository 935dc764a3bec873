"""Recursive oscillators and the vectors they run in, against SciPy's filter and dense sampling."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.signal import lfilter

from pangeo_ces.products.oscillators import SPECTRA, coefficients, doublings, midpoint_filters
from pangeo_ces.products.peak_motion import _finer
from pangeo_ces.products.sweep import Oscillator, largest

NONE = np.zeros((0, 2), int)


def noise(channels: int, samples: int, rate: float, highest: float, seed: int = 0) -> np.ndarray:
    """Random acceleration up to a fraction of the Nyquist frequency, under an envelope."""
    random = np.random.default_rng(seed)
    frequency = np.fft.rfftfreq(samples, 1 / rate)
    spectrum = np.fft.rfft(random.standard_normal((channels, samples))) * (frequency > 0.1)
    spectrum /= 1 + (frequency / (highest * rate / 2)) ** 40
    t = np.arange(samples) / rate
    return np.fft.irfft(spectrum, samples) * (t / 5 * np.exp(1 - t / 5)) ** 2


def spectra(x, periods, damping=0.05, *, dt, spectrum="psa", pairs=NONE, **options):
    oscillators = [Oscillator(period, damping) for period in periods]
    found = largest(x, pairs, oscillators, dt=dt, order=2, spectrum=spectrum,
                    rotated=bool(len(pairs)), **options)  # fmt: skip
    return found.peaks[:, 3:], found.squares[:, 3:], found.hulls[:, 3:]


def by_states(x: np.ndarray, period: float, damping: float, dt: float) -> dict[str, float]:
    """Nigam & Jennings by the closed form of one step, sample by sample, from rest."""
    w = 2 * np.pi / period
    wd = w * np.sqrt(1 - damping**2)
    u = v = 0.0
    motion = [(0.0, 0.0)]
    for before, after in itertools.pairwise(x):
        # -a(t) = -(before + slope t): a particular solution, and the free one that is left.
        slope = (after - before) / dt
        p1 = -slope / w**2
        p0 = (-before - 2 * damping * w * p1) / w**2
        c, s = u - p0, (v - p1 + damping * w * (u - p0)) / wd
        decay, cosine, sine = np.exp(-damping * w * dt), np.cos(wd * dt), np.sin(wd * dt)
        u = decay * (c * cosine + s * sine) + p0 + p1 * dt
        v = decay * (wd * (s * cosine - c * sine) - damping * w * (c * cosine + s * sine)) + p1
        motion.append((u, v))
    u, v = np.transpose(motion)
    return {
        "sd": abs(u).max(), "sv": abs(v).max(), "psv": w * abs(u).max(),
        "psa": w**2 * abs(u).max(), "sa": abs(w**2 * u + 2 * damping * w * v).max(),
    }  # fmt: skip


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("period, damping", [(0.013, 0.05), (0.3, 0.02), (2.0, 0.3), (20.0, 0.7)])
def test_recursion_against_states(spectrum, period, damping):
    x = noise(1, 1500, 100.0, 0.8)
    (ours,) = spectra(x, [period], damping, dt=0.01, spectrum=spectrum, exact=False)[0]
    # The difference equation loses (T / 2 pi dt)² of the sixteen digits: 1e-11 at 20 s.
    assert ours[0] == pytest.approx(by_states(x[0], period, damping, 0.01)[spectrum], rel=1e-10)


def test_difference_equation_is_a_filter():
    """SciPy's lfilter with our coefficients, on a record that begins with zeros."""
    x = noise(1, 5000, 100.0, 0.8)
    x[0, :3] = 0.0
    for period in (0.1, 1.0, 10.0):
        c0, c1, c2, t, minus_d, _ = coefficients([period], [0.05], 0.01, "psa")[0]
        theirs = abs(lfilter([c0, c1, c2], [1, -t, -minus_d], x[0])).max()
        ours = spectra(x, [period], dt=0.01, exact=False)[0][0, 0]
        assert ours == pytest.approx(theirs, rel=1e-12)


def test_very_long_periods_keep_their_digits():
    """At 10 000 s the oscillator stays where it is: x is the displacement of the ground."""
    t = np.arange(4000) * 0.01
    x = np.sin(2 * np.pi * t)[None]
    ground = (t - np.sin(2 * np.pi * t) / (2 * np.pi)) / (2 * np.pi)
    ours = spectra(x, [1e4], 1e-3, dt=0.01, spectrum="sd", exact=False)[0][0, 0]
    # The spring pulls by (2 pi 40 / 1e4)² / 6 = 1e-4, straight lines by (pi dt)² / 3 = 3.3e-4.
    assert ours == pytest.approx(ground[-1], rel=5e-4)


@pytest.mark.parametrize("spectrum", ["psa", "sa", "sv"])
@pytest.mark.parametrize("rate", [20.0, 50.0, 100.0, 200.0])
def test_converged_at_any_rate(rate, spectrum):
    """Within 0.5 % of what 200 samples a period give, for T ≥ 0.05 s and also for long periods."""
    x = noise(6, int(40 * rate), rate, 0.8, seed=int(rate))
    periods = (0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.3, 0.5, 0.7, 0.99, 1.5, 3.0, 10.0)
    pairs = np.arange(6).reshape(-1, 2)
    ours = spectra(x, periods, dt=1 / rate, spectrum=spectrum, pairs=pairs)
    factor = int(np.ceil(200 / (0.05 * rate)))
    dense = spectra(_finer(x, factor), periods, dt=1 / rate / factor, spectrum=spectrum,
                    pairs=pairs, exact=False)  # fmt: skip
    # Noise to 0.8 of the Nyquist frequency is more than anti-alias filters let through; with a
    # recorded earthquake the worst is 0.2 %.
    components, squares, hulls = (abs(a / b - 1).max() for a, b in zip(ours, dense, strict=True))
    print(f"{rate} Hz {spectrum}: {components:.2%}, any direction {hulls:.2%}")
    assert components < 5e-3
    assert squares < 1e-2
    # A weak direction of a long ellipse sees what is short beside its own largest value.
    assert hulls < 1.5e-2


def test_the_plain_recursion_is_not_that_good():
    x = noise(2, 4000, 100.0, 0.8)
    dense = spectra(_finer(x, 40), [0.05], dt=0.01 / 40, exact=False)[0]
    plain = spectra(x, [0.05], dt=0.01, exact=False)[0]
    exact = spectra(x, [0.05], dt=0.01)[0]
    assert abs(plain / dense - 1).max() > 0.1
    assert abs(exact / dense - 1).max() < 5e-3


@pytest.mark.parametrize("exact", [True, False])
def test_float32_is_enough(exact):
    x = noise(3, 6000, 100.0, 0.5)
    periods = (0.05, 0.3, 1.0, 10.0)
    double = spectra(x, periods, dt=0.01, exact=exact)[0]
    single = spectra(x.astype("f4"), periods, dt=0.01, exact=exact)[0]
    # Samples are rounded, by 6e-8 of each; all arithmetic is float64.
    np.testing.assert_allclose(single, double, rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 8, 15, 16, 17, 33])
def test_any_number_of_channels(channels):
    """However channels and oscillators fill the vectors, each is as it is alone."""
    x = noise(channels, 700, 100.0, 0.8)
    periods = (0.05, 0.11, 0.3, 0.7, 1.0, 2.0, 5.0)
    together = spectra(x, periods, dt=0.01)[0]
    alone = np.concatenate([spectra(row[None], periods, dt=0.01)[0] for row in x])
    np.testing.assert_array_equal(together, alone)
    one_by_one = np.stack([spectra(x[:1], [p], dt=0.01)[0][0, 0] for p in periods])
    np.testing.assert_array_equal(together[0], one_by_one)


@pytest.mark.parametrize("samples", [1, 2, 3, 7, 63, 64, 65, 127, 128, 129, 257])
def test_any_length(samples):
    """Beside a longer record of zeros, which changes where blocks end."""
    x = noise(1, samples, 100.0, 0.8, seed=samples) + 1.0
    longer = np.full((1, samples + 300), np.nan)
    longer[:, 171 : 171 + samples] = x
    for exact in (True, False):
        short = spectra(x, (0.05, 0.2, 2.0), dt=0.01, exact=exact)[0]
        np.testing.assert_allclose(
            spectra(longer, (0.05, 0.2, 2.0), dt=0.01, exact=exact)[0], short, rtol=1e-12
        )
    if samples > 1:
        assert spectra(x, [0.2], dt=0.01, exact=False)[0][0, 0] == pytest.approx(
            by_states(x[0], 0.2, 0.05, 0.01)["psa"], rel=1e-11
        )


def test_gaps_of_the_neighbours_do_not_matter():
    x = noise(20, 2000, 100.0, 0.8)
    random = np.random.default_rng(3)
    for row in range(0, 20, 2):
        for start in random.integers(0, 1900, 3):
            x[row, start : start + random.integers(1, 90)] = np.nan
    x[4] = np.nan
    x[6, 5:] = np.nan
    periods = (0.05, 0.3, 2.0)
    together = spectra(x, periods, dt=0.01)[0]
    alone = np.concatenate([spectra(row[None], periods, dt=0.01)[0] for row in x])
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    assert np.isnan(together[4]).all() and np.isfinite(together[6]).all()


def test_interpolating_filters():
    """A wave halfway between samples, up to 0.9 of the Nyquist frequency; later steps to half."""
    taps, reach, margin = midpoint_filters(4)
    for k, highest in enumerate((0.45, 0.25, 0.25, 0.25)):
        place = np.arange(reach[k]) + 0.5
        for frequency in np.linspace(0.0, highest, 40):
            gain = 2 * (taps[k, : reach[k]] * np.cos(2 * np.pi * frequency * place)).sum()
            assert gain == pytest.approx(1.0, abs=1.5e-3)
    assert all(margin[k] >= margin[k + 1] // 2 + reach[k] for k in range(4))


@pytest.mark.parametrize(
    "period, spectrum, expected",
    [(1.0, "psa", -1), (0.99, "psa", 0), (0.12, "psa", 0), (0.119, "psa", 1), (0.05, "psa", 2),
     (0.01, "psa", 4), (5.0, "sa", 0), (5.0, "sv", 1), (0.05, "sv", 2)],
)  # fmt: skip
def test_doublings(period, spectrum, expected):
    assert doublings(period, 0.05, 0.01, spectrum) == expected
