"""Fourier spectra, their smoothing, and H/V: closed forms, ObsPy, plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from obspy.signal.konnoohmachismoothing import konno_ohmachi_smoothing

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError
from pangeo_ces.products.smoothing import konno_ohmachi
from pangeo_ces.products.spectra import fourier_spectrum

PLAIN = {"bandwidth": None, "taper": 0.0}


def by_obspy(spectra: np.ndarray, frequencies: np.ndarray, bandwidth: float) -> np.ndarray:
    """ObsPy's window by window: its matrix is normalised along the wrong axis."""
    return konno_ohmachi_smoothing(
        spectra, frequencies, bandwidth, normalize=True, enforce_no_matrix=True
    )


@pytest.mark.parametrize("bandwidth", [10.0, 40.0, 188.5])
@pytest.mark.parametrize("size", [2, 600, 1001])
def test_smoothing_is_obspys(bandwidth, size):
    spectra = np.random.default_rng(0).random((3, size)) * np.logspace(0, 6, size)
    frequencies = np.fft.rfftfreq(2 * (size - 1), 0.01)
    ours = konno_ohmachi(spectra, frequencies, frequencies, bandwidth)
    theirs = by_obspy(spectra, frequencies, bandwidth)
    # Sums in another order, sines by the rule for differences.
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    some = frequencies[::7]
    np.testing.assert_allclose(konno_ohmachi(spectra, frequencies, some, bandwidth), ours[:, ::7],
                               rtol=1e-13)  # fmt: skip


def test_smoothing_near_and_between_frequencies():
    """A target a hair beside a frequency, where the sine of a difference loses its digits."""
    spectra = np.random.default_rng(0).random((1, 1001))
    frequencies = np.fft.rfftfreq(2000, 0.01)
    at = konno_ohmachi(spectra, frequencies, frequencies[200:202], 40.0)
    for shift in (1e-15, 1e-9, 1e-6, 1e-5, 1e-4):
        beside = konno_ohmachi(spectra, frequencies, frequencies[200:202] * (1 + shift), 40.0)
        assert np.abs(beside / at - 1).max() < 20 * shift + 1e-13
    # From the definition, on both sides of where the series takes over.
    for centre in (10.123, frequencies[200] * (1 + 5e-5), frequencies[200] * (1 + 6.5e-5)):
        x = 40 * np.log10(frequencies[1:] / centre)
        weights = np.sinc(x / np.pi) ** 4
        expected = weights @ spectra[0, 1:] / weights.sum()
        ours = konno_ohmachi(spectra, frequencies, np.array([centre]), 40.0)[0, 0]
        assert ours == pytest.approx(expected, rel=1e-12)


def test_smoothing_cut():
    """Fewer side lobes are another window: what it costs is stated, and falls."""
    spectra = np.random.default_rng(0).random((3, 4001))
    frequencies = np.fft.rfftfreq(8000, 0.01)
    targets = np.logspace(-0.3, 1.6, 50)
    whole = konno_ohmachi(spectra, frequencies, targets)
    errors = [
        np.abs(konno_ohmachi(spectra, frequencies, targets, lobes=n) / whole - 1).max()
        for n in (0, 1, 3, 10)
    ]
    print(errors)
    assert errors[0] < 0.03 and errors[1] < 5e-3 and errors[2] < 1.5e-3
    assert all(np.diff(errors) < 0)


def test_smoothing_keeps_a_constant_and_rows_apart():
    frequencies = np.fft.rfftfreq(2000, 0.01)
    spectra = np.ones((4, 1001))
    spectra[1] = np.nan
    spectra[2, 3] = np.nan
    ours = konno_ohmachi(spectra, frequencies, frequencies)
    np.testing.assert_allclose(ours[[0, 3]], 1, rtol=1e-13)
    assert np.isnan(ours[1]).all() and np.isnan(ours[2, 1:]).all()


def test_energy(record, shaking):
    """Parseval: the integral of 2 |X|² over frequency is that of x² over time."""
    for samples in (3375, 3999, 4000):
        ds = record({"Z": shaking[0][:samples]})
        fas = fourier_spectrum(ds, **PLAIN).fas.isel(station=0, component=0)
        step = float(fas.frequency[1])
        weights = np.full(fas.size, 2.0)
        weights[0] = 1
        if round(100 / step) % 2 == 0:  # the Nyquist frequency stands for itself
            weights[-1] = 1
        energy = (weights * fas.values**2).sum() * step
        assert energy == pytest.approx((shaking[0][:samples] ** 2).sum() * 0.01, rel=1e-12)


@pytest.mark.parametrize("offset", [0, 500])
def test_gaussian(record, offset):
    """exp(-t²/2s²) has the spectrum s sqrt(2 pi) exp(-2 pi² s² f²), wherever it is."""
    s = 0.2
    t = (np.arange(4001) - 2000 - offset) * 0.01
    fas = fourier_spectrum(record({"Z": np.exp(-((t / s) ** 2) / 2)}), **PLAIN).fas[0, 0]
    exact = s * np.sqrt(2 * np.pi) * np.exp(-2 * (np.pi * s * fas.frequency) ** 2)
    np.testing.assert_allclose(fas, exact, rtol=0, atol=1e-12)
    assert fas.attrs["units"] == "m s-1"


def test_whole_chain_against_numpy_and_obspy(record, shaking):
    ds = record(dict(zip("ZNE", shaking, strict=True)))
    frequencies = np.fft.rfftfreq(4000, 0.01)
    ours = fourier_spectrum(ds, taper=0.1, bandwidth=30.0, frequencies=frequencies).fas[0]
    window = np.ones(4000)
    window[:400] = 0.5 * (1 - np.cos(np.pi * np.arange(400) / 399))
    window[-400:] = window[:400][::-1]
    spectra = np.abs(np.fft.rfft(shaking * window)) * 0.01
    spectra = np.vstack([spectra, np.sqrt((spectra[1] ** 2 + spectra[2] ** 2) / 2)])
    np.testing.assert_array_equal(ours.frequency, frequencies)
    assert ours.component.values.tolist() == ["Z", "N", "E", "quadratic_mean"]
    np.testing.assert_allclose(ours, by_obspy(spectra, frequencies, 30.0), rtol=1e-9)
    some = fourier_spectrum(ds, taper=0.1, bandwidth=30.0, frequencies=frequencies[[0, 8, 40]])
    np.testing.assert_allclose(some.fas[0], ours.isel(frequency=[0, 8, 40]), rtol=1e-12)


def test_default_frequencies(record, shaking):
    """100 to the decade: lines between their logarithms miss 2 % where the window is well filled.

    From 1 Hz on it holds a dozen frequencies of this record.
    """
    ds = record({"Z": shaking[0]})
    default = fourier_spectrum(ds).fas[0, 0]
    np.testing.assert_allclose(default.frequency[[0, -1]], [0.025, 50], rtol=1e-12)
    np.testing.assert_allclose(np.diff(np.log10(default.frequency)), 0.01, rtol=2e-3)
    between = np.sqrt(default.frequency.values[1:] * default.frequency.values[:-1])
    between = between[between > 1]
    exact = fourier_spectrum(ds, frequencies=between).fas[0, 0]
    guess = np.exp(np.interp(np.log(between), np.log(default.frequency), np.log(default)))
    assert np.abs(guess / exact.values - 1).max() < 0.02


def test_gaps_and_missing_components(record, shaking):
    z, n, e = shaking.copy()
    z[1000] = np.nan  # a gap
    n[:100], n[3900:] = np.nan, np.nan  # a shorter record
    fas = fourier_spectrum(record({"Z": z, "N": n, "E": e}), **PLAIN).fas[0]
    assert np.isnan(fas[0]).all() and np.isfinite(fas[1:]).all()
    zeros = np.where(np.isnan(n), 0, n)
    np.testing.assert_allclose(fas[1], np.abs(np.fft.rfft(zeros)) * 0.01, rtol=0, atol=1e-12)
    one = fourier_spectrum(record({"N": n, "E": e * np.nan}), **PLAIN).fas[0]
    assert np.isfinite(one[0]).all() and np.isnan(one[1:]).all()


@pytest.mark.parametrize(
    "quantity, units",
    [("counts", "s"), ("velocity", "m"), ("displacement", "m s"), ("pressure", "Pa s")],
)
def test_units(record, shaking, quantity, units):
    ds = record({"Z": shaking[0]}, quantity=quantity)
    assert fourier_spectrum(ds, **PLAIN).fas.attrs["units"] == units


def test_blocks_and_precision():
    ds = ces.testing.synthetic_windows(quantity="acceleration", events=2, stations=3, lazy=False)
    targets = np.logspace(-0.5, 1.5, 20)
    expected = fourier_spectrum(ds, frequencies=targets)
    for chunks in ({"event": 1, "station": 1}, {"component": 1}, {"time": 300}):
        lazy = fourier_spectrum(ds.chunk(chunks), frequencies=targets)
        ces.testing.assert_lazy(lazy)
        xr.testing.assert_identical(lazy.compute(), expected)
    single = fourier_spectrum(ds.astype({"acceleration": "float32"}), frequencies=targets)
    # Rounding noise lies 150 dB below the record.
    np.testing.assert_allclose(single.fas, expected.fas, rtol=2e-6)
    empty = ds.isel(station=slice(0, 0))
    assert fourier_spectrum(empty, frequencies=targets).fas.shape == (2, 0, 4, 20)


@pytest.mark.parametrize(
    "options, fix",
    [
        ({"bandwidth": 0.0}, "positive"),
        ({"lobes": -1}, "0 or more"),
        ({"frequencies": [1.0], "bandwidth": None}, "give a bandwidth"),
        ({"frequencies": [2.0, 1.0]}, "rising"),
        ({"frequencies": [60.0]}, "Nyquist frequency of these records, 50"),
        ({"combinations": ["vector"]}, "use some of"),
        ({"taper": 0.6}, "from 0 to 0.5"),
    ],
)
def test_misuse(record, shaking, options, fix):
    ds = record(dict(zip("ZNE", shaking, strict=True)))
    with pytest.raises(ParameterError, match=fix):
        fourier_spectrum(ds, **options)


def test_written_spectra_stay_variables(record, shaking, tmp_path):
    """Units that depend on the waveforms make no coordinate of a measure."""
    spectra = fourier_spectrum(record(dict(zip("ZNE", shaking, strict=True))))
    ces.write(spectra, tmp_path / "fas.zarr")
    again = ces.open_store(tmp_path / "fas.zarr").to_dataset()
    assert set(again.data_vars) == set(spectra.data_vars)
    np.testing.assert_array_equal(again["fas"], spectra["fas"])
