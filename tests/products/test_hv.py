"""Horizontal to vertical ratios: a plain loop, closed forms, windows."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from obspy.signal.konnoohmachismoothing import konno_ohmachi_smoothing

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError, UnitsError
from pangeo_ces.products.hv import hv_ratio


def hv_by_loops(x, dt, targets, length, step, mean) -> np.ndarray:
    """Window by window with NumPy and ObsPy, log-averaged."""
    curves = []
    taper = np.ones(length)
    size = int(0.05 * length + 0.5)
    taper[:size] = 0.5 * (1 - np.cos(np.pi * np.arange(size) / (size - 1)))
    taper[-size:] = taper[:size][::-1]
    frequencies = np.fft.rfftfreq(length, dt)
    rows = np.searchsorted(frequencies, targets)
    for start in range(0, x.shape[1] - length + 1, step):
        piece = x[:, start : start + length]
        if np.isnan(piece).any():
            continue
        line = np.arange(length)
        piece = np.array([row - np.polyval(np.polyfit(line, row, 1), line) for row in piece])
        z, n, e = konno_ohmachi_smoothing(
            np.abs(np.fft.rfft(piece * taper)), frequencies, 40.0, normalize=True,
            enforce_no_matrix=True,
        )[:, rows]  # fmt: skip
        horizontal = {
            "quadratic_mean": np.sqrt((n**2 + e**2) / 2),
            "larger": np.maximum(n, e),
            "arithmetic_mean": (n + e) / 2,
            "geometric_mean": np.sqrt(n * e),
        }[mean]
        curves.append(np.log(horizontal / z))
    return np.array(curves)


@pytest.mark.parametrize("mean", ["quadratic_mean", "larger", "arithmetic_mean", "geometric_mean"])
@pytest.mark.parametrize("overlap, step", [(0.0, 600), (0.5, 300), (0.75, 150)])
def test_hv_against_loops(record, mean, overlap, step):
    x = np.random.default_rng(3).standard_normal((3, 4100))
    x[1] += 5 + np.arange(4100) * 0.01
    x[2, 1300] = np.nan
    targets = np.fft.rfftfreq(600, 0.01)[[6, 12, 60, 200]]
    ours = hv_ratio(record(dict(zip("ZNE", x, strict=True))), frequencies=targets,
                    window_length=6.0, overlap=overlap, mean=mean).isel(station=0)  # fmt: skip
    curves = hv_by_loops(x, 0.01, targets, 600, step, mean)
    assert int(ours.windows) == len(curves)
    np.testing.assert_allclose(ours.hv, np.exp(curves.mean(axis=0)), rtol=1e-9)
    np.testing.assert_allclose(ours.hv_sigma, curves.std(axis=0, ddof=1), rtol=1e-8)


def test_hv_of_scaled_copies(record, shaking):
    """N = 3 Z, E = 4 Z: the same ratio at every frequency and in every window."""
    z = np.random.default_rng(0).standard_normal(6000)
    ds = record({"N": 3 * z, "Z": z, "E": 4 * z})
    for mean, ratio in (("quadratic_mean", 12.5**0.5), ("arithmetic_mean", 3.5), ("larger", 4),
                        ("geometric_mean", 12**0.5)):  # fmt: skip
        ours = hv_ratio(ds, frequencies=[1.0, 2.0, 5.0], window_length=10.0, mean=mean)
        np.testing.assert_allclose(ours.hv, ratio, rtol=1e-12)
        np.testing.assert_allclose(ours.hv_sigma, 0, atol=1e-12)
        assert float(ours.peak_ratio[0]) == pytest.approx(ratio, rel=1e-12)


def test_hv_peak(record):
    """Horizontals that resonate at 2 Hz."""
    random = np.random.default_rng(0)
    n = 60_000
    f = np.fft.rfftfreq(n, 0.01)
    gain = np.abs(1 / (1 - (f / 2) ** 2 + 0.4j * f / 2))
    z, h1, h2 = np.fft.irfft(np.fft.rfft(random.standard_normal((3, n))) * [1 + 0 * f, gain, gain])
    targets = np.logspace(-0.5, 1, 61)
    ours = hv_ratio(record({"Z": z, "N": h1, "E": h2}), frequencies=targets).isel(station=0)
    assert float(ours.peak_frequency) == pytest.approx(2.0, rel=0.06)
    assert float(ours.peak_ratio) == pytest.approx(2.5, rel=0.1)
    assert int(ours.windows) == 10
    default = hv_ratio(record({"Z": z, "N": h1, "E": h2})).hv.frequency.values
    np.testing.assert_allclose(default[[0, -1]], [10 / 60, 50])


def test_hv_anti_trigger(record):
    """A burst, and a silence, each on one component, take their windows out."""
    x = np.random.default_rng(0).standard_normal((3, 5000))
    x[1, 1700:1750] *= 30
    x[2, 3600:3720] = 0
    ds = record(dict(zip("ZNE", x, strict=True)))
    options = {"frequencies": [2.0, 5.0], "window_length": 10.0}
    strict = hv_ratio(ds, **options, anti_trigger=(1.0, 5.0, 0.2, 2.0)).isel(station=0)
    assert int(strict.windows) == 3
    kept = [hv_ratio(ds.isel(time=slice(n * 1000, (n + 1) * 1000)), **options) for n in (0, 2, 4)]
    expected = np.exp(np.mean([np.log(one.hv[0]) for one in kept], axis=0))
    np.testing.assert_allclose(strict.hv, expected, rtol=1e-12)
    lax = hv_ratio(ds, **options, anti_trigger=(1.0, 5.0, 0.0, 100.0)).isel(station=0)
    xr.testing.assert_identical(lax.hv, hv_ratio(ds, **options).hv[0])
    only_loud = hv_ratio(ds, **options, anti_trigger=(1.0, 5.0, 0.0, 2.0))
    assert int(only_loud.windows[0]) == 4


def test_hv_needs_three_components(record, shaking):
    z, n, e = shaking
    for components in ({"N": n, "E": e}, {"Z": z, "N": n, "E": e * np.nan}):
        ours = hv_ratio(record(components), frequencies=[1.0], window_length=10.0)
        assert np.isnan(ours.hv).all() and np.isnan(ours.peak_frequency).all()
        assert int(ours.windows[0]) == 0


def test_blocks_and_precision():
    ds = ces.testing.synthetic_windows(quantity="acceleration", events=2, stations=3, lazy=False)
    options = {"frequencies": np.logspace(0.3, 1.5, 20), "window_length": 5.0, "overlap": 0.5}
    expected = hv_ratio(ds, **options)
    for chunks in ({"event": 1, "station": 1}, {"component": 1}, {"time": 300}):
        lazy = hv_ratio(ds.chunk(chunks), **options)
        ces.testing.assert_lazy(lazy)
        # Means over the windows may add in another order.
        xr.testing.assert_allclose(lazy.compute(), expected, rtol=1e-12)
    single = hv_ratio(ds.astype({"acceleration": "float32"}), **options)
    np.testing.assert_allclose(single.hv, expected.hv, rtol=1e-5)
    assert hv_ratio(ds.isel(station=slice(0, 0)), **options).hv.shape == (2, 0, 20)


@pytest.mark.parametrize(
    "options, fix",
    [
        ({"frequencies": [0.0, 1.0]}, "above 0"),
        ({"frequencies": []}, "rising"),
        ({}, "hold no segment of 60.0 s"),
        ({"frequencies": [1.0], "window_length": 0.001}, "no samples"),
        ({"frequencies": [1.0], "window_length": 10.0, "overlap": 0.45}, "give 0, 1/2"),
        ({"frequencies": [1.0], "window_length": 10.0, "overlap": 1.0}, "give 0, 1/2"),
        ({"frequencies": [1.0], "taper": 0.7}, "from 0 to 0.5"),
        ({"frequencies": [1.0], "mean": "rms"}, "use some of"),
        ({"window_length": 10.0, "anti_trigger": (1, 30, 0.2, 2)}, "within the window"),
    ],
)
def test_misuse(record, shaking, options, fix):
    ds = record(dict(zip("ZNE", shaking, strict=True)))
    with pytest.raises(ParameterError, match=fix):
        hv_ratio(ds, **options)


def test_hv_of_pressure(record, shaking):
    with pytest.raises(UnitsError):
        hv_ratio(record({"Z": shaking[0]}, quantity="pressure"), frequencies=[1.0])
