"""Simulated seismometers against ObsPy, closed forms and an integrated oscillator."""

from __future__ import annotations

import numpy as np
import pytest
from obspy.signal.invsim import WOODANDERSON, simulate_seismometer
from scipy.integrate import solve_ivp

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError, UnitsError
from pangeo_ces.process.simulate import INSTRUMENTS, simulate

#: A geophone of 4.5 Hz and 0.6 of critical damping.
W, H = 2 * np.pi * 4.5, 0.6
ROOT = W * np.sqrt(1 - H * H)
GEOPHONE = {
    "poles": [(-H * W, ROOT), (-H * W, -ROOT)], "zeros": [(0.0, 0.0), (0.0, 0.0)],
    "gain": 0.9, "sensitivity": 27.0,
}  # fmt: skip
#: ObsPy takes the absolute value at the Nyquist frequency, where next to nothing is left.
NYQUIST = 1e-7


def by_paz(trace, paz) -> None:
    trace.data = simulate_seismometer(
        trace.data, trace.stats.sampling_rate, paz_simulate=paz, zero_mean=False, taper=False,
        pitsasim=False, nfft_pow2=False,
    )  # fmt: skip


def smooth(ds):
    return ces.taper(ces.lowpass(ces.detrend(ds), freq=10.0, zerophase=True), max_percentage=0.1)


def paz_of(options) -> dict:
    complexes = {name: [complex(*pair) for pair in options[name]] for name in ("poles", "zeros")}
    return {**complexes, "gain": options["gain"], "sensitivity": options["sensitivity"]}


@pytest.mark.parametrize("samples", [1000, 2500])
def test_against_obspy(noise, by_obspy, assert_equal, samples):
    ds = smooth(noise(samples, quantity="velocity"))
    ours = simulate(ds, **GEOPHONE).counts
    assert_equal(ours, by_obspy(ds, lambda trace: by_paz(trace, paz_of(GEOPHONE))), NYQUIST)
    ours = simulate(ds, instrument="wood-anderson").displacement
    assert_equal(ours, by_obspy(ds, lambda trace: by_paz(trace, WOODANDERSON)), NYQUIST)
    assert paz_of(INSTRUMENTS["wood-anderson"]) == WOODANDERSON


@pytest.mark.parametrize("samples", [999, 1001])
def test_run_by_run(noise, by_obspy, assert_equal, samples):
    """Other lengths of the transform; ObsPy's are even."""
    ds = noise(samples, quantity="velocity", gaps=True)
    ours = simulate(ds, **GEOPHONE).counts
    alone = simulate(ds.isel(time=slice(601, None)), **GEOPHONE).counts[0, 0, 0]
    np.testing.assert_array_equal(ours[0, 0, 0, 601:], alone)
    ds = smooth(noise(samples, quantity="velocity"))
    theirs = by_obspy(ds, lambda trace: by_paz(trace, paz_of(GEOPHONE)))
    assert_equal(simulate(ds, **GEOPHONE).counts, theirs, 1e-6)


def test_any_ground_motion_gives_the_same(noise):
    """Away from the ends, where integration starts from another constant."""
    ds = smooth(noise(4000, quantity="acceleration", stations=1))
    ds = ces.taper(ces.highpass(ds, freq=0.5, zerophase=True), max_percentage=0.1)
    records = [ds, ces.integrate(ds, method="frequency")]
    records.append(ces.integrate(records[1], method="frequency"))
    traces = [simulate(x, instrument="wood-anderson").displacement.values for x in records]
    scale = np.abs(traces[0]).max()
    for trace in traces[1:]:
        assert np.abs(trace - traces[0])[..., 500:3500].max() < 1e-3 * scale


def test_wood_anderson_is_an_oscillator(noise):
    """x'' + 2 h w x' + w² x = V u'' for a pulse of ground displacement u."""
    t = np.arange(2000) / 100
    centre, width = 8.0, 0.4

    def ground(time, order):
        z = (time - centre) / width
        pulse = np.exp(-(z**2) / 2)
        return {0: pulse, 1: -z / width * pulse, 2: (z**2 - 1) / width**2 * pulse}[order]

    w, h = 7.854, 0.8
    solution = solve_ivp(
        lambda time, y: [y[1], 2080 * ground(time, 2) - 2 * h * w * y[1] - w * w * y[0]],
        (0, t[-1]), [0.0, 0.0], t_eval=t, rtol=1e-9, atol=1e-9,
    ).y[0]  # fmt: skip
    for order, quantity in enumerate(("displacement", "velocity", "acceleration")):
        ds = noise(2000, quantity=quantity, stations=1)
        attrs = ds[quantity].attrs
        ds[quantity] = (ds[quantity] * 0 + ground(t, order)).assign_attrs(attrs)
        ours = simulate(ds, instrument="wood-anderson").displacement.values[0, 0, 0]
        np.testing.assert_allclose(ours, solution, atol=2e-4 * np.abs(solution).max())


@pytest.mark.parametrize(
    "options, fix",
    [
        ({}, "either the name"),
        ({"instrument": "wood-anderson", "poles": [(1.0, 0.0)]}, "either the name"),
        ({"instrument": "wwssn"}, "use one of wood-anderson"),
        ({"poles": [(np.nan, 0.0)]}, "finite"),
        ({"poles": [(-1.0, 0.0)], "gain": np.inf}, "finite"),
        ({"poles": [(-1.0, 0.0)], "response_to": "jerk"}, "use one of displacement"),
        ({"poles": [(-1.0, 0.0)], "output": "volts"}, "use one of displacement"),
    ],
)
def test_misuse(noise, options, fix):
    with pytest.raises(ParameterError, match=fix):
        simulate(noise(10, quantity="velocity"), **options)
    with pytest.raises(UnitsError, match="remove_response"):
        simulate(noise(10), instrument="wood-anderson")
