"""Peak motion and response spectra: closed forms, an oracle, definitions, convergence."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError, UnitsError
from pangeo_ces.products.peak_motion import _finer


def spectrum_of(ds, periods, **options) -> np.ndarray:
    name = "sa" if options.get("spectrum") == "absolute" else "psa"
    return ces.peak_motion(ds, periods=periods, **options)[name].isel(station=0, component=0).values


def transfer(period: float, drive: float, damping: float) -> complex:
    """Relative displacement of the oscillator for acceleration of unit amplitude."""
    w, d = 2 * np.pi / period, 2 * np.pi / drive
    return 1 / (w**2 - d**2 + 2j * damping * w * d)


@pytest.mark.parametrize("damping", [0.02, 0.05, 0.2])
@pytest.mark.parametrize("period", [0.3, 1.0, 3.0])
def test_steady_state_of_a_sine(record, period, damping):
    """The drive grows so slowly that no free oscillation is left: |H| is what remains."""
    drive, dt = 1.1, 0.005
    t = np.arange(0, 400, dt)
    rise = np.clip(t / 300, 0, 1)
    ds = record({"Z": np.sin(2 * np.pi * t / drive) * (10 * rise**3 - 15 * rise**4 + 6 * rise**5)},
                dt=dt)  # fmt: skip
    w, d = 2 * np.pi / period, 2 * np.pi / drive
    h = transfer(period, drive, damping)
    # Straight lines between samples take (pi dt/drive)²/3 = 7e-5 off the drive, and looking for
    # the maximum at samples only up to half of (pi dt/drive)² = 1e-4.
    assert spectrum_of(ds, [period], damping=damping)[0] == pytest.approx(w**2 * abs(h), rel=2e-4)
    absolute = abs(h) * abs(w**2 + 2j * damping * w * d)
    ours = spectrum_of(ds, [period], damping=damping, spectrum="absolute")[0]
    assert ours == pytest.approx(absolute, rel=2e-4)


@pytest.mark.parametrize("damping", [0.02, 0.05, 0.5])
def test_impulse(record, damping):
    """A pulse much shorter than the period is a step in velocity: the free response follows."""
    dt, period = 0.001, 5.0
    pulse = np.zeros(10_000)
    pulse[1] = 1 / dt  # a triangle of unit area
    w, root = 2 * np.pi / period, np.sqrt(1 - damping**2)
    peak = np.exp(-damping / root * np.arccos(damping)) / w
    ours = spectrum_of(record({"Z": pulse}, dt=dt), [period], damping=damping)[0]
    # The peak lies between samples: (w dt)²/2 = 8e-7; the triangle has the width 2 dt.
    assert ours == pytest.approx(w**2 * peak, rel=1e-6)


@pytest.mark.parametrize("damping", [0.05, 0.3])
def test_step(record, damping):
    """Constant acceleration from rest overshoots to 1 + exp(-pi z / sqrt(1 - z²))."""
    dt = 0.001
    ours = spectrum_of(record({"Z": np.ones(4000)}, dt=dt), [1.0], damping=damping)[0]
    overshoot = 1 + np.exp(-np.pi * damping / np.sqrt(1 - damping**2))
    # The peak lies between samples: (w dt)²/8 = 5e-6.
    assert ours == pytest.approx(overshoot, rel=1e-5)


def test_short_and_long_periods(record, shaking):
    """A stiff oscillator follows the ground, a soft one stays where it is."""
    ds = record({"Z": shaking[0]})
    peaks = ces.peak_motion(ds, periods=(0.01, 100.0), spectrum="absolute", damping=0.7)
    # 100 Hz against a record that ends near 30 Hz: amplified by the square of the ratio at most.
    assert float(peaks.sa[0, 0, 0]) == pytest.approx(float(peaks.pga[0, 0]), rel=0.02)
    soft = ces.peak_motion(ds, periods=(1000.0,), damping=0.05)
    relative = float(soft.psa[0, 0, 0]) / (2 * np.pi / 1000.0) ** 2
    assert relative == pytest.approx(float(soft.pgd[0, 0]), rel=0.02)


@pytest.mark.parametrize("damping", [0.05, 0.10])
def test_pyrotd(record, shaking, damping):
    """Against an oracle that solves the oscillator in the frequency domain."""
    pyrotd = pytest.importorskip("pyrotd")
    periods = np.array([0.5, 1.0, 2.0, 3.0, 5.0, 10.0])
    padded = np.concatenate([shaking[0], np.zeros(60_000)])  # it is periodic there
    theirs = pyrotd.calc_spec_accels(0.01, padded, 1 / periods, damping, max_freq_ratio=50)
    ours = spectrum_of(record({"Z": padded}), periods, damping=damping, oversampling=8)
    # It interpolates to other samples than we, both to a maximum between samples.
    np.testing.assert_allclose(ours, theirs.spec_accel, rtol=1e-3)


@pytest.mark.parametrize("spectrum", ["pseudo", "absolute"])
def test_oversampling_converges(record, shaking, spectrum):
    """Each doubling leaves about a quarter of the error: the recursion is of second order."""
    ds, periods = record({"Z": shaking[0]}), (0.1, 0.2, 0.5, 1.0)
    exact = spectrum_of(ds, periods, oversampling=64, spectrum=spectrum)
    errors = [
        np.abs(spectrum_of(ds, periods, oversampling=k, spectrum=spectrum) / exact - 1).max()
        for k in (1, 2, 4, 8, 16)
    ]
    print(errors)
    assert errors[0] < 0.05 and errors[3] < 2e-3
    assert all(fine < 0.6 * coarse for coarse, fine in pairwise(errors))


def test_default_oversampling(record, shaking):
    """Where a period has a hundred samples, none; and the periods do not see each other."""
    ds = record({"Z": shaking[0]})
    for period in (1.0, 3.0):
        np.testing.assert_array_equal(
            spectrum_of(ds, [period]), spectrum_of(ds, [period], oversampling=1)
        )
    together = spectrum_of(ds, [1.0, 0.01, 0.1, 0.05])
    one_by_one = [spectrum_of(ds, [period])[0] for period in (1.0, 0.01, 0.1, 0.05)]
    np.testing.assert_array_equal(together, one_by_one)


@pytest.mark.parametrize("samples", [1, 2, 999, 1000, 5000])
@pytest.mark.parametrize("factor", [2, 3, 8])
def test_oversampling_keeps_the_samples(samples, factor):
    """White noise, full to the Nyquist frequency, with a gap."""
    x = np.random.default_rng(samples).standard_normal((2, samples))
    x[1, samples // 3 : samples // 2] = np.nan
    fine = _finer(x, factor)
    assert fine.shape == (2, (samples - 1) * factor + 1)
    np.testing.assert_allclose(fine[:, ::factor], x, rtol=0, atol=1e-13)


def test_band_limited_interpolation_is_exact_at_samples(record, shaking):
    """Oversampling does not move what is there: a stiff oscillator still sees the peak."""
    ds = record({"Z": shaking[0]})
    fine = spectrum_of(ds, [0.002], oversampling=64, spectrum="absolute", damping=0.7)[0]
    assert fine >= 0.999 * float(ces.peak_motion(ds, periods=()).pga[0, 0])


def test_peaks_by_quantity(record, shaking):
    """One motion given as acceleration, as velocity or as displacement."""
    acceleration = record({"Z": shaking[0], "N": shaking[1], "E": shaking[2]})
    velocity = ces.integrate(acceleration)
    displacement = ces.integrate(velocity)
    one, two, three = (
        ces.peak_motion(ds, periods=(1.0, 3.0)) for ds in (acceleration, velocity, displacement)
    )
    # Integrals agree exactly where both are trapezoids ...
    np.testing.assert_allclose(one.pgv, two.pgv, rtol=1e-13)
    np.testing.assert_allclose(one.pgd, three.pgd, rtol=1e-13)
    np.testing.assert_allclose(one.pgv[0, :3], abs(velocity.velocity).max("time")[0], rtol=1e-13)
    # ... and central differences smooth what the record has above some 10 Hz.
    np.testing.assert_allclose(one.psa, two.psa, rtol=0.02)
    np.testing.assert_allclose(one.psa, three.psa, rtol=0.05)
    assert two.pga.attrs["method"] == "central differences"
    assert one.pgd.attrs["method"] == "two cumulative trapezoids from zero"
    assert one.pga.attrs["units"] == "m s-2" and two.pgv.attrs["units"] == "m s-1"


def test_combinations(record, shaking):
    z, n, e = shaking
    peaks = ces.peak_motion(record({"Z": z, "N": n, "E": e}), periods=(1.0,)).isel(station=0)
    for name, resultant in (("pga", np.hypot(n, e).max()), ("psa", None)):
        values = peaks[name].isel(period=0) if name == "psa" else peaks[name]
        north, east = float(values.sel(component="N")), float(values.sel(component="E"))
        combined = {c: float(values.sel(component=c))
                    for c in ("larger", "geometric_mean", "vector")}  # fmt: skip
        assert combined["larger"] == max(north, east)
        assert combined["geometric_mean"] == pytest.approx((north * east) ** 0.5, rel=1e-15)
        assert max(north, east) <= combined["vector"] <= np.hypot(north, east)
        if resultant is not None:
            assert combined["vector"] == pytest.approx(resultant, rel=1e-15)


def test_vector_does_not_depend_on_the_axes(record, shaking):
    """Rotated by 45 degrees, the peak components change and the resultant does not."""
    _, n, e = shaking
    turned = record({"1": (n + e) / 2**0.5, "2": (e - n) / 2**0.5})
    one = ces.peak_motion(record({"N": n, "E": e})).sel(component="vector")
    two = ces.peak_motion(turned).sel(component="vector")
    for name in ("pga", "pgv", "pgd", "psa"):
        np.testing.assert_allclose(one[name], two[name], rtol=1e-12)


def test_horizontal_is_what_lies_level(record, shaking):
    """By dip, not by letter, and whatever the order of the components."""
    z, n, e = shaking
    expected = ces.peak_motion(record({"Z": z, "N": n, "E": e}))
    turned = ces.peak_motion(record({"E": e, "Z": z, "N": n}))
    lettered = ces.peak_motion(record({"U": e, "Q": z, "Z": n}, dip=[3.0, 90.0, -14.0]))
    lettered = lettered.assign_coords(
        component=["E", "Z", "N", "larger", "geometric_mean", "vector"]
    )
    for ours in (turned, lettered):
        xr.testing.assert_allclose(
            ours.sel(component=expected.component).reset_coords(drop=True),
            expected.reset_coords(drop=True), rtol=1e-15,
        )  # fmt: skip


@pytest.mark.parametrize("dips", [(-90.0, 0.0, 40.0), (-90.0, -90.0, 0.0), (0.0, 0.0, 0.0)])
def test_no_combination_without_two_horizontals(record, shaking, dips):
    ds = record(dict(zip("ABC", shaking, strict=True)), dip=dips)
    peaks = ces.peak_motion(ds)
    assert np.isnan(peaks.pga[0, 3:]).all() and np.isnan(peaks.psa[0, 3:]).all()
    assert np.isfinite(peaks.pga[0, :3]).all()


def test_missing_horizontal(record, shaking):
    z, n, _ = shaking
    peaks = ces.peak_motion(record({"Z": z, "N": n, "E": n * np.nan}))
    assert np.isfinite(peaks.pga[0]).values.tolist() == [True, True, False, False, False, False]
    assert np.isfinite(peaks.psa[0, :, 0]).values.tolist() == [
        True, True, False, False, False, False,
    ]  # fmt: skip


def test_horizontals_recorded_at_different_times(record, shaking):
    """The resultant exists only while both record; the larger and the mean are of their peaks."""
    z, n, e = shaking.copy()
    n[:2000], e[2000:] = np.nan, np.nan
    peaks = ces.peak_motion(record({"Z": z, "N": n, "E": e}), periods=(1.0,)).isel(station=0)
    assert float(peaks.pga.sel(component="larger")) == max(
        float(peaks.pga.sel(component=c)) for c in "NE"
    )
    for name in ("pga", "pgv", "psa"):
        assert np.isnan(peaks[name].sel(component="vector")).all(), name


def test_runs_start_from_rest(record, shaking):
    """A gap does not ring on: the peak is that of the runs, each by itself."""
    x = shaking[0].copy()
    x[1500:1600] = np.nan
    ours = spectrum_of(record({"Z": x}), (0.05, 0.5, 2.0))
    alone = [spectrum_of(record({"Z": part}), (0.05, 0.5, 2.0)) for part in (x[:1500], x[1600:])]
    np.testing.assert_allclose(ours, np.max(alone, axis=0), rtol=1e-12)


def test_constant_and_zero(record):
    zero = ces.peak_motion(record({"N": np.zeros(500), "E": np.zeros(500)}))
    for name in ("pga", "pgv", "pgd", "psa"):
        assert (zero[name] == 0).all()
    ones = ces.peak_motion(record({"Z": np.ones(501)}), periods=())
    assert float(ones.pga[0, 0]) == 1.0
    assert float(ones.pgv[0, 0]) == pytest.approx(5.0, rel=1e-12)
    assert float(ones.pgd[0, 0]) == pytest.approx(12.5, rel=1e-12)


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_shortest_records(record, samples):
    peaks = ces.peak_motion(record({"N": np.ones(samples), "E": -np.ones(samples)}),
                            periods=(0.01, 1.0))  # fmt: skip
    assert (peaks.pga[0, :3] == 1).all()
    assert np.isfinite(peaks.psa).all()


def test_no_periods(record, shaking):
    peaks = ces.peak_motion(record({"Z": shaking[0]}), periods=())
    assert peaks.psa.shape == (1, 4, 0)
    assert np.isfinite(peaks.pga[0, 0])


def test_linear_in_amplitude_and_blind_to_sign(record, shaking):
    one = ces.peak_motion(record({"N": shaking[1], "E": shaking[2]}))
    two = ces.peak_motion(record({"N": -3 * shaking[1], "E": -3 * shaking[2]}))
    for name in ("pga", "pgv", "pgd", "psa"):
        np.testing.assert_allclose(two[name], 3 * one[name], rtol=1e-12)


def test_blocks_do_not_matter():
    ds = ces.testing.synthetic_windows(quantity="acceleration", stations=5, events=3, lazy=False)
    expected = ces.peak_motion(ds)
    for chunks in ({"event": 1, "station": 2}, {"component": 1}, {"time": 300}):
        lazy = ces.peak_motion(ds.chunk(chunks))
        ces.testing.assert_lazy(lazy)
        xr.testing.assert_identical(lazy.compute(), expected)
    empty = ces.peak_motion(ds.isel(station=slice(0, 0)))
    assert empty.pga.shape == (3, 0, 6)


@pytest.mark.parametrize(
    "options, fix",
    [
        ({"damping": 0.0}, "between 0 and 1"),
        ({"damping": 5.0}, "such as 0.05"),
        ({"damping": np.nan}, "between 0 and 1"),
        ({"periods": (0.0,)}, "positive seconds"),
        ({"periods": (1.0, np.inf)}, "positive seconds"),
        ({"spectrum": "relative"}, "pseudo, absolute"),
        ({"oversampling": 0}, "from 1 up"),
        ({"oversampling": 2.5}, "whole number"),
    ],
)
def test_misuse(record, options, fix):
    with pytest.raises(ParameterError, match=fix):
        ces.peak_motion(record({"Z": np.ones(10)}), **options)


def test_counts_are_refused():
    with pytest.raises(UnitsError, match="remove_response"):
        ces.peak_motion(ces.testing.synthetic_windows())


def test_no_samples():
    ds = ces.testing.synthetic_windows(quantity="acceleration").isel(time=slice(0, 0))
    for empty in (ds, ds.compute()):
        peaks = ces.peak_motion(empty, periods=(1.0,))
        assert peaks.psa.shape == (2, 3, 6, 1) and np.isnan(peaks.psa).all()
        fit = ces.waveform_fit(empty, empty)
        assert fit.cc.shape == (2, 3, 3) and np.isnan(fit.cc).all()


@pytest.mark.parametrize("samples", [1, 2, 3, 120, 121, 128, 129, 130, 1000])
@pytest.mark.parametrize("quantity, steps", [("velocity", 1), ("displacement", 2)])
def test_derivatives_are_those_of_differentiate(record, quantity, steps, samples):
    """To the last digit, at the ends of runs too, where random samples have their largest."""
    x = np.random.default_rng(samples).standard_normal((1, samples))
    x[0, samples // 2 : samples // 2 + samples // 100] = np.nan
    ds = record({"Z": x[0]}, quantity=quantity)
    acceleration = ds
    for _ in range(steps):
        acceleration = ces.differentiate(acceleration)
    ours, theirs = (ces.peak_motion(d, periods=(0.5, 2.0)) for d in (ds, acceleration))
    for name in ("pga", "psa"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-13)
