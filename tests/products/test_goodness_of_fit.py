"""Scores of strong motion against closed forms and against the formulas in plain SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.signal
import xarray as xr
from scipy.special import erfc

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError, UnitsError
from pangeo_ces.products._pairs import GAP, NO_OBSERVED, SILENT
from pangeo_ces.products.goodness_of_fit import BANDS, CRITERIA, goodness_of_fit

DT = 0.01
TESTED = ((0.5, 1.0), (1.0, 5.0), (0.2, 20.0))


def criteria_of(found, band=0):
    values = found.score.isel(station=0, component=0, band=band)
    return dict(zip(found.criterion.values.tolist(), values.values.tolist(), strict=True))


@pytest.mark.parametrize("quantity", ["acceleration", "velocity", "displacement"])
@pytest.mark.parametrize("method", ["anderson", "olsen_mayhew"])
@pytest.mark.parametrize("bands", [(), TESTED])
def test_identical_records(record, shaking, quantity, method, bands):
    one = record({"Z": shaking[0]}, quantity=quantity)
    found = goodness_of_fit(one, one, method=method, bands=bands)
    best = 10.0 if method == "anderson" else 100.0
    np.testing.assert_allclose(found.score, best, rtol=1e-12)
    np.testing.assert_allclose(found.band_score, best, rtol=1e-12)
    np.testing.assert_allclose(found.mean_score, best, rtol=1e-12)
    assert found.score.sizes["criterion"] == len(CRITERIA[method])


@pytest.mark.parametrize("factor", [0.6, 1.1, 1.7])
@pytest.mark.parametrize("bands", [(), TESTED])
def test_a_factor_on_the_amplitude(record, shaking, factor, bands):
    """Integrals of squares have its square; shapes and correlation do not notice."""
    one, two = record({"Z": factor * shaking[0]}), record({"Z": shaking[0]})

    def score(f):
        return 10 * math.exp(-(((f - 1) / min(f, 1)) ** 2))

    def error_score(f):
        return 100 * erfc(2 * abs(f - 1) / (f + 1))

    found = goodness_of_fit(one, two, bands=bands)
    for band in range(found.sizes["band"]):
        for name, value in criteria_of(found, band).items():
            shape = name in ("arias_duration", "energy_duration", "cross_correlation")
            square = name in ("arias_intensity", "energy_integral")
            expected = 10.0 if shape else score(factor ** (2 if square else 1))
            assert value == pytest.approx(expected, rel=1e-9), name
    found = goodness_of_fit(one, two, bands=bands, method="olsen_mayhew")
    for band in range(found.sizes["band"]):
        for name, value in criteria_of(found, band).items():
            shape = name in ("energy_duration", "cross_correlation")
            square = name == "energy_integral"
            expected = 100.0 if shape else error_score(factor ** (2 if square else 1))
            assert value == pytest.approx(expected, rel=1e-9), name


def test_the_other_sign(record, shaking):
    one, two = record({"Z": -shaking[0]}), record({"Z": shaking[0]})
    for method, best in (("anderson", 10.0), ("olsen_mayhew", 100.0)):
        found = criteria_of(goodness_of_fit(one, two, method=method))
        assert found.pop("cross_correlation") == 0.0
        np.testing.assert_allclose(list(found.values()), best, rtol=1e-12)


def through(x, low, high):
    """Two corners, forward and backward from rest."""
    sos = scipy.signal.butter(2, [low, high], "bandpass", fs=1 / DT, output="sos")
    once = scipy.signal.sosfilt(sos, x)
    return scipy.signal.sosfilt(sos, once[::-1])[::-1]


def integral(x):
    return scipy.integrate.cumulative_trapezoid(x, dx=DT, initial=0)


def pseudo_acceleration(a, period):
    """Duhamel's integral with the impulse response of the oscillator, 8 times oversampled."""
    fine = scipy.signal.resample(np.pad(a, (0, 2000)), 8 * (a.size + 2000))
    dt, w = DT / 8, 2 * np.pi / period
    t = np.arange(fine.size) * dt
    damped = w * math.sqrt(1 - 0.05**2)
    response = np.exp(-0.05 * w * t) * np.sin(damped * t) / damped
    u = scipy.signal.fftconvolve(fine, response)[: 8 * a.size] * dt
    return w**2 * abs(u).max()


PERIODS = (0.25, 0.4, 0.7, 1.2, 2.0)


def by_formulas(x, y, low, high, method):
    """All criteria of two records of acceleration."""
    best = 10.0 if method == "anderson" else 100.0

    def judge(p, q):
        p, q = np.asarray(p), np.asarray(q)
        if method == "anderson":
            return (10 * np.exp(-(((p - q) / np.minimum(p, q)) ** 2))).mean()
        return (100 * erfc(2 * abs(p - q) / (p + q))).mean()

    a = [through(z, low, high) for z in (x, y)]
    v = [integral(z) for z in a]
    u = [integral(z) for z in v]
    squares = {"arias": [integral(z**2) for z in a], "energy": [integral(z**2) for z in v]}
    periods = [t for t in PERIODS if 1 / high <= t <= 1 / low]
    f = np.fft.rfftfreq(x.size, DT)
    inside = (f >= low) & (f <= high)
    spectra = [abs(np.fft.rfft(z)) for z in (x, y)]
    if method == "olsen_mayhew":
        reach = int(0.1 * DT * x.size + 1)
        spectra = [
            np.array([s[max(i - reach, 0) : i + reach + 1].mean() for i in range(s.size)])
            for s in spectra
        ]
    result = {
        "pga": judge(*(abs(z).max() for z in a)),
        "pgv": judge(*(abs(z).max() for z in v)),
        "pgd": judge(*(abs(z).max() for z in u)),
        "arias_intensity": judge(*(z[-1] for z in squares["arias"])),
        "energy_integral": judge(*(z[-1] for z in squares["energy"])),
        "response_spectrum": judge(
            *([pseudo_acceleration(z, t) for t in periods] for z in (x, y))
        ) if periods else math.nan,
        "fourier_spectrum": judge(*(s[inside] for s in spectra)),
        "cross_correlation": best * max(0, (a[0] @ a[1]) / math.sqrt(a[0] @ a[0] * (a[1] @ a[1]))),
    }  # fmt: skip
    for name, (one, two) in squares.items():
        result[f"{name}_duration"] = 10 * (1 - abs(one / one[-1] - two / two[-1]).max())
    if method == "olsen_mayhew":
        t = np.arange(x.size) * DT
        # Fractions of energy on straight lines between samples.
        durations = [
            np.interp(0.75, z / z[-1], t) - np.interp(0.05, z / z[-1], t) for z in squares["energy"]
        ]
        result["energy_duration"] = judge(*durations)
    return result


@pytest.mark.parametrize("method", ["anderson", "olsen_mayhew"])
def test_against_the_formulas(record, shaking, method):
    x, y = shaking[0], 0.8 * shaking[0] + 0.4 * shaking[1]
    found = goodness_of_fit(
        record({"Z": x}), record({"Z": y}), method=method, bands=TESTED, periods=PERIODS
    )
    means = []
    for number, band in enumerate(TESTED):
        expected = by_formulas(x, y, *band, method)
        for name, value in criteria_of(found, number).items():
            # Spectra from straight lines between fine samples, and Duhamel's sum: 1e-3 of each.
            rel = 5e-3 if name == "response_spectrum" else 1e-6
            assert value == pytest.approx(expected[name], rel=rel, abs=1e-9, nan_ok=True), name
        means.append(np.nanmean(list(criteria_of(found, number).values())))
        assert found.band_score.values[0, 0, number] == pytest.approx(means[-1], rel=1e-12)
    assert found.mean_score.item() == pytest.approx(np.mean(means), rel=1e-12)
    assert 0 < found.mean_score.item() < (10 if method == "anderson" else 100)


def test_from_velocity_and_displacement(record, shaking):
    """The other motions follow by trapezoid and central differences."""
    x, y = integral(shaking[0]), integral(shaking[1])
    found = criteria_of(
        goodness_of_fit(
            *(record({"Z": z}, quantity="velocity") for z in (x, y)), method="olsen_mayhew"
        )
    )
    expected = {
        "pga": [abs(np.gradient(z, DT)).max() for z in (x, y)],
        "pgv": [abs(z).max() for z in (x, y)],
        "pgd": [abs(integral(z)).max() for z in (x, y)],
    }
    for name, (p, q) in expected.items():
        assert found[name] == pytest.approx(100 * erfc(2 * abs(p - q) / (p + q)), rel=1e-9)
    cc = x @ y / math.sqrt(x @ x * (y @ y))
    assert found["cross_correlation"] == pytest.approx(100 * max(cc, 0), abs=1e-9)


def test_bands_of_the_broadband_platform(record, shaking):
    one, two = record({"Z": shaking[0]}), record({"Z": shaking[1]})
    found = goodness_of_fit(one, two, bands="anderson").isel(station=0, component=0)
    assert found.band.values.tolist() == [
        "0.1-0.2", "0.2-0.5", "0.5-1", "1-2", "2-5", "5-10", "10-20", "20-50", "50-100", "0.1-100",
    ]  # fmt: skip
    there = ~np.isnan(found.band_score.values)
    assert there.tolist() == [high <= 50 for _, high in BANDS]
    assert float(found.mean_score) == pytest.approx(found.band_score.values[there].mean())
    # None of the default periods is shorter than 0.1 s.
    spectrum = found.score.sel(criterion="response_spectrum")
    assert np.isnan(spectrum.sel(band="20-50")) and not np.isnan(spectrum.sel(band="5-10"))


def test_missing_ends_are_as_trimmed(record, shaking):
    x, y = shaking[0].copy(), shaking[1].copy()
    x[:150], y[3500:] = np.nan, np.nan
    for method in CRITERIA:
        whole = goodness_of_fit(record({"Z": x}), record({"Z": y}), method=method, bands=TESTED)
        trimmed = goodness_of_fit(
            record({"Z": x[150:3500]}), record({"Z": y[150:3500]}), method=method, bands=TESTED
        )
        xr.testing.assert_equal(whole, trimmed)


def test_what_is_wrong_with_a_pair(record, shaking):
    x = shaking[0]
    gap = x.copy()
    gap[1000] = np.nan
    one = record({"Z": x, "N": gap, "E": x * np.nan, "R": x})
    two = record({"Z": x, "N": x, "E": x, "R": 0 * x})
    found = goodness_of_fit(one, two)
    assert found.status.values[0].tolist() == [0, GAP, NO_OBSERVED, SILENT]
    assert np.isnan(found.mean_score.values[0]).tolist() == [False, True, True, True]
    assert np.isnan(found.score.values[0, 1:]).all()


def test_blocks_do_not_matter():
    one, two = (
        ces.testing.synthetic_windows(
            quantity="acceleration", seed=seed, samples=900, lazy=False, dtype="float32"
        )
        for seed in (1, 2)
    )
    one.acceleration[0, 1, 2, :30] = np.nan
    for method in CRITERIA:
        options = {"method": method, "bands": [(0.5, 2.0), (1.0, 60.0)], "periods": [1.0, 0.5]}
        expected = goodness_of_fit(one, two, **options)
        for left, right in (
            ({"station": 1}, {"station": 1}), ({"event": 1}, {"station": 2}), ({"time": 200}, {}),
        ):  # fmt: skip
            lazy = goodness_of_fit(one.chunk(left), two.chunk(right), **options)
            ces.testing.assert_lazy(lazy)
            xr.testing.assert_identical(lazy.compute(), expected)
        assert expected.score.attrs == {
            "units": "1", "long_name": "goodness of fit", "method": method,
        }  # fmt: skip


def test_misuse(record, shaking):
    one = record({"Z": shaking[0]})
    for wrong, message in (
        ({"method": "best"}, "use one of anderson, olsen_mayhew"),
        ({"bands": "all"}, "use 'anderson', or pairs of frequencies"),
        ({"bands": [(2.0, 1.0)]}, "give two rising frequencies above 0"),
        ({"bands": [(0.0, 1.0)]}, "give two rising frequencies above 0"),
        ({"bands": [(1.0, 60.0)]}, "Nyquist frequency of these records, 50 Hz: give one below"),
        ({"periods": [0.0]}, "give positive seconds"),
        ({"damping": 1.0}, "between 0 and 1, such as 0.05"),
    ):
        with pytest.raises(ParameterError, match=message):
            goodness_of_fit(one, one, **wrong)
    with pytest.raises(UnitsError, match=r"ces\.integrate"):
        goodness_of_fit(one, record({"Z": shaking[0]}, quantity="velocity"))
