"""Differentiation and integration against ObsPy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError, UnitsError


def skip_single(trace, method):
    # One sample has no derivative: we give zero, ObsPy an error.
    trace.data = np.zeros(1) if len(trace) == 1 else getattr(trace.copy(), method)().data


@pytest.mark.parametrize("samples", [1, 2, 3, 1001])
@pytest.mark.parametrize(
    "call, old, new",
    [
        ("differentiate", "displacement", "velocity"),
        ("differentiate", "velocity", "acceleration"),
        ("integrate", "acceleration", "velocity"),
        ("integrate", "velocity", "displacement"),
    ],
)
def test_against_obspy(noise, by_obspy, assert_equal, call, old, new, samples):
    ds = noise(samples, quantity=old, gaps=samples > 3)
    theirs = by_obspy(ds, lambda trace: skip_single(trace, call))
    ours = getattr(ces, call)(ds)
    assert_equal(ours[new], theirs, 1e-13)  # sums in the same order
    assert ours[new].attrs["units"] == {"velocity": "m s-1", "acceleration": "m s-2",
                                        "displacement": "m"}[new]  # fmt: skip
    assert old not in ours


def test_closed_forms(noise):
    """x = t²: the central difference is exact inside; the trapezoid of 2t is t² exactly."""
    ds = noise(101, quantity="velocity")
    t = np.arange(101) / 100
    ds["velocity"] = ds.velocity * 0 + t**2
    ds.velocity.attrs["units"] = "m s-1"
    inside = ces.differentiate(ds).acceleration.values[..., 1:-1]
    np.testing.assert_allclose(inside, np.broadcast_to(2 * t[1:-1], inside.shape), atol=1e-12)
    ds["velocity"] = ds.velocity * 0 + 2 * t
    ds.velocity.attrs["units"] = "m s-1"
    integral = ces.integrate(ds).displacement.values
    np.testing.assert_allclose(integral, np.broadcast_to(t**2, integral.shape), atol=1e-14)


@pytest.mark.parametrize("samples", [1000, 999])
def test_spectral_is_exact_for_a_period(noise, samples):
    """A sine of 40 Hz at 100 Hz: its central difference is 77 % low."""
    w = 2 * np.pi * round(40 * samples / 100) / samples * 100
    t = np.arange(samples) / 100
    ds = noise(samples, quantity="velocity")
    ds["velocity"] = ds.velocity * 0 + (np.sin(w * t) + 5)
    ds.velocity.attrs["units"] = "m s-1"
    ours = ces.differentiate(ds, method="frequency").acceleration
    np.testing.assert_allclose(ours / w, np.broadcast_to(np.cos(w * t), ours.shape), atol=1e-11)
    assert float(abs(ces.differentiate(ds).acceleration[..., 1:-1]).max()) < 0.25 * w
    ours = ces.integrate(ds, method="frequency").displacement
    np.testing.assert_allclose(ours * w, np.broadcast_to(-np.cos(w * t), ours.shape), atol=1e-11)


@pytest.mark.parametrize("samples", [1000, 1001])
def test_spectral_there_and_back(noise, samples):
    """Without the mean, and the Nyquist frequency of an even run; run by run between gaps."""
    ds = noise(samples, quantity="acceleration", gaps=True)
    back = ces.differentiate(ces.integrate(ds, method="frequency"), method="frequency")
    row, again = (x.acceleration.values[0, 0, 0] for x in (ds, back))
    np.testing.assert_array_equal(np.isnan(row), np.isnan(again))
    run = row[601:] - row[601:].mean()
    if len(run) % 2 == 0:
        sign = 1 - 2 * (np.arange(len(run)) % 2)
        run = run - sign * np.mean(run * sign)
    np.testing.assert_allclose(again[601:], run, atol=1e-9 * np.abs(run).max())


def test_spectral_agrees_with_the_time_domain(recorded):
    """Recorded ground motion, tapered, well below the Nyquist frequency of 10 Hz."""
    ds = recorded.rename(counts="velocity").pipe(lambda ds: ds.assign(velocity=ds.velocity * 1.0))
    ds.velocity.attrs = {"units": "m s-1"}
    ds = ces.taper(ces.bandpass(ces.detrend(ds), freqmin=0.05, freqmax=0.5), max_percentage=0.2)
    for call in (ces.differentiate, ces.integrate):
        name = "acceleration" if call is ces.differentiate else "displacement"
        time, frequency = call(ds)[name], call(ds, method="frequency")[name]
        time = time - time.mean("time")
        # The band's upper end is seen 1.6 % low by central differences, 0.8 % by trapezoids.
        scale = abs(time).max("time")
        assert float((abs(time - frequency).max("time") / scale).max()) < 0.03


def test_to_motion_takes_the_nearest(noise):
    ds = noise(101, quantity="velocity")
    assert set(ces.to_motion(ds, quantity="velocity").data_vars) == {"velocity"}
    ours = ces.to_motion(ds, quantity="displacement")
    assert ours.displacement.equals(ces.integrate(ds).displacement)
    both = ds.assign(displacement=ours.displacement * 0)
    chosen = ces.to_motion(both, quantity="acceleration")
    assert chosen.acceleration.equals(ces.differentiate(ds).acceleration)
    twice = ces.to_motion(ours, quantity="acceleration")
    assert twice.acceleration.equals(ces.differentiate(ces.differentiate(ours)).acceleration)


def test_integral_of_float32_is_summed_in_float64(noise):
    single = noise(100_001, quantity="velocity", dtype="float32")
    ours = ces.integrate(single).displacement
    exact = ces.integrate(single.astype({"velocity": "float64"})).displacement
    assert ours.dtype == "float32"
    assert float((abs(ours - exact) / abs(exact).max()).max()) < 6e-8  # one rounding


def test_misuse(noise):
    with pytest.raises(UnitsError, match="remove_response or"):
        ces.integrate(noise(10))
    with pytest.raises(UnitsError, match="differentiate"):
        ces.integrate(noise(10, quantity="displacement"))
    with pytest.raises(ParameterError, match="use one of displacement"):
        ces.to_motion(noise(10, quantity="velocity"), quantity="jerk")
    with pytest.raises(UnitsError, match="remove_response"):
        ces.to_motion(noise(10), quantity="velocity")
    for call in (ces.integrate, ces.differentiate):
        with pytest.raises(ParameterError, match="'time' or 'frequency'"):
            call(noise(10, quantity="velocity"), method="spline")
    wrong = noise(10, quantity="velocity")
    wrong.velocity.attrs["units"] = "cm/s"
    with pytest.raises(UnitsError, match="convert the values"):
        ces.integrate(wrong)
