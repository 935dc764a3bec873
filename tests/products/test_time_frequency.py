"""Time-frequency misfits against ObsPy, the published arrays and closed forms."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
import obspy
import obspy.signal.tf_misfit as authority
import pytest
import xarray as xr
from scipy.signal import hilbert

import pangeo_ces as ces
from pangeo_ces.errors import AxisError, ParameterError, SchemaError, UnitsError
from pangeo_ces.products._pairs import GAP, NO_OBSERVED, NO_OVERLAP, NO_SYNTHETIC, SILENT
from pangeo_ces.products.time_frequency import OUTPUTS, time_frequency_misfit
from pangeo_ces.products.wavelets import bank

SCALARS = OUTPUTS[:4]
BAND = {"fmin": 0.3, "fmax": 30.0, "nf": 17}


def by_obspy(name, one, two, *, dt=0.01, w0=6.0, norm="global", isref=True, **band):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(authority, name)(one, two, dt=dt, w0=w0, norm=norm, st2_isref=isref, **band)


def assert_close(found, expected, name, norm):
    """Ours leave 1e-12 of the largest value away: where a local norm is small, that is more."""
    error = np.abs(np.asarray(found) - expected)
    assert not np.isnan(error).any()
    if norm == "local" and name.startswith("tf"):
        assert np.quantile(error, 0.99) < 1e-9 * max(1.0, np.abs(expected).max()), name
        assert error.max() < 1e-6 * max(1.0, np.abs(expected).max()), name
    else:
        assert error.max() < 1e-9 * max(1.0, np.abs(expected).max()), name


@pytest.fixture(scope="module")
def pair():
    """Two pairs of decaying noise, with an odd number of samples."""
    return [
        ces.testing.synthetic_windows(
            quantity="velocity", seed=seed, samples=601, events=1, stations=2, components="ZN",
            lazy=False,
        )
        for seed in (1, 2)
    ]  # fmt: skip


@pytest.mark.parametrize("norm", ["global", "local"])
@pytest.mark.parametrize("reference", ["synthetic", "observed", "larger"])
@pytest.mark.parametrize("joint", [False, True])
def test_every_output_is_that_of_obspy(pair, norm, reference, joint):
    options = BAND | {"norm": norm, "reference": reference, "joint": joint}
    found = time_frequency_misfit(*pair, outputs=OUTPUTS, **options)
    other = time_frequency_misfit(*pair, outputs=["tpm"], **options | {"reference": "smaller"})
    x, y = (ds.velocity.values[0] for ds in pair)
    if reference == "observed":
        x, y = y, x
    isref = reference != "larger"
    for name in OUTPUTS:
        ours = found[name].values[0]
        if name in ("tpm", "tpg") and not isref:
            # ObsPy's tpm alone takes the smaller one.
            ours = other["tpm"].values[0]
            ours = ours if name == "tpm" else 10 * (1 - abs(ours))
        for station in range(2):
            if joint:
                expected = by_obspy(name, x[station], y[station], norm=norm, isref=isref, **BAND)
                assert_close(ours[station], expected, name, norm)
            else:
                for row in range(2):
                    one, two = x[station, row], y[station, row]
                    expected = by_obspy(name, one, two, norm=norm, isref=isref, **BAND)
                    assert_close(ours[station, row], expected, name, norm)
    assert found.status.values.tolist() == [[[0, 0], [0, 0]]]


def test_smaller_and_larger_are_the_two_references(pair):
    """Of one pair each is what it is with that record as the reference, but for signs."""
    found = {
        reference: time_frequency_misfit(*pair, reference=reference, outputs=OUTPUTS, **BAND)
        for reference in ("synthetic", "observed", "larger", "smaller")
    }
    for name in OUTPUTS:
        one, two = (abs(found[r][name]).values for r in ("synthetic", "observed"))
        larger, smaller = (abs(found[r][name]).values for r in ("larger", "smaller"))
        for index in np.ndindex(one.shape[:3]):
            sides = [one[index], two[index]]
            assert any(np.allclose(larger[index], side, atol=1e-12) for side in sides)
            assert any(np.allclose(smaller[index], side, atol=1e-12) for side in sides)
            assert not np.array_equal(larger[index], smaller[index])


def canonical():
    """Signal S1 of Kristekova et al. (2006) and its time axis."""
    t = np.linspace(0.0, 3.0, 60)
    after = t - 0.1
    wave = 4.0 * after * np.exp(-2 * after) * np.cos(4 * np.pi * after)
    return t, wave * (np.sign(after) + 1) / 2


def turned(x, phase):
    analytic = hilbert(x)
    return np.real(abs(analytic) * np.exp(1j * (np.angle(analytic) + phase * np.pi)))


def against_arrays(record, observed, reference, folder, case):
    found = time_frequency_misfit(
        record({"Z": observed}, dt=3 / 59, quantity="velocity"),
        record({"Z": reference}, dt=3 / 59, quantity="velocity"),
        fmin=1.0, fmax=3.0, nf=3, outputs=OUTPUTS,
    ).isel(station=0, component=0)  # fmt: skip
    for name in ("tfem", "tfpm", "tem", "tpm", "fem", "fpm", "em", "pm"):
        expected = np.loadtxt(folder / f"{name.upper()}_11{case}.dat")
        np.testing.assert_allclose(found[name], expected, atol=4e-7, rtol=1e-5)  # six digits
    return found


def test_published_phase_misfit(record, data):
    _, reference = canonical()
    folder = data("02_misfit/tf_kristekova")
    found = against_arrays(record, turned(reference, 0.1), reference, folder, "p")
    # The theory of a shift by 0.1 pi is PM 0.1; the Hilbert transform of 3 s is not quite that.
    assert float(found.pm) == pytest.approx(0.1, abs=3e-4)
    signals = np.loadtxt(folder / "signals.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(signals[:, 1], reference, atol=1e-12)
    np.testing.assert_allclose(signals[:, 2], turned(reference, 0.1), atol=1e-12)


def test_published_amplitude_misfit(record):
    _, reference = canonical()
    folder = Path(obspy.__file__).parent / "signal" / "tests" / "data"
    found = against_arrays(record, 1.1 * reference, reference, folder, "a")
    assert float(found.em) == pytest.approx(0.1, rel=1e-12)


def test_closed_forms(record, shaking):
    x = shaking[0]
    one = record({"Z": x})
    louder = time_frequency_misfit(record({"Z": 1.5 * x}), one, fmin=0.5, fmax=20.0, nf=20)
    assert louder.em.item() == pytest.approx(0.5, rel=1e-12)
    assert louder.pm.item() == pytest.approx(0.0, abs=1e-12)
    assert louder.eg.item() == pytest.approx(10 * math.exp(-0.5), rel=1e-12)
    assert louder.pg.item() == pytest.approx(10.0, rel=1e-12)
    flipped = time_frequency_misfit(
        record({"Z": -x}), one, fmin=0.5, fmax=20.0, nf=20, outputs=OUTPUTS, norm="local"
    )
    assert flipped.em.item() == pytest.approx(0.0, abs=1e-12)
    assert flipped.pm.item() == pytest.approx(1.0, rel=1e-12)
    assert flipped.pg.item() == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(abs(flipped.tfpm), 1.0, rtol=1e-6)
    same = time_frequency_misfit(one, one, fmin=0.5, fmax=20.0, nf=20, outputs=OUTPUTS)
    for name in OUTPUTS:
        np.testing.assert_allclose(same[name], 10.0 if name[-1] == "g" else 0.0, atol=1e-12)
    # Earlier than the reference is ahead of it: positive phase, in proportion to frequency.
    early = time_frequency_misfit(
        record({"Z": np.roll(x, -1)}), one, fmin=1.0, fmax=4.0, nf=3, outputs=["fpm"], norm="local"
    )
    np.testing.assert_allclose(early.fpm[0, 0], 2 * 0.01 * early.frequency, rtol=0.1)


def test_recorded_waveforms(record, data):
    """The example of pyadjoint: 3,600 samples of 1 Hz of three components, 20 to 200 s."""
    names = ("R", "T", "Z")
    sides = []
    for side in ("observed", "synthetic"):
        stream = obspy.read(data(f"02_misfit/pyadjoint_example/{side}_processed.mseed"))
        traces = {name: stream.select(component=name)[0].data.astype(float) for name in names}
        sides.append(record(traces, dt=1.0, quantity="displacement", dip=[0.0, 0.0, -90.0]))
    band = {"fmin": 1 / 200, "fmax": 1 / 20, "nf": 30}
    wanted = (*SCALARS, "tem", "tpm", "fem", "fpm", "tfem", "tfpm")
    found = time_frequency_misfit(*sides, **band, outputs=wanted)
    x, y = (ds.displacement.values[0] for ds in sides)
    for name in wanted:
        for row in range(3):
            expected = by_obspy(name, x[row], y[row], dt=1.0, **band)
            assert_close(found[name][0, row], expected, name, "global")
    joint = time_frequency_misfit(*sides, **band, joint=True)
    for name in SCALARS:
        assert_close(joint[name][0], by_obspy(name, x, y, dt=1.0, **band), name, "global")


def direct(x, dt, f, w0):
    """The transform as its sum, without any FFT."""
    m = np.arange(x.size)
    a = w0 / (2 * np.pi * f)
    s = (m[None, :] - m[:, None] + 0.5) * dt / a
    psi = np.pi**-0.25 * np.exp(1j * w0 * s - s**2 / 2)
    return (psi.conj() @ x) * dt / math.sqrt(a)


@pytest.mark.parametrize(
    ("n", "dt", "fmin", "fmax", "w0"),
    [
        (600, 0.01, 1.0, 10.0, 6.0),
        (601, 0.01, 0.05, 50.0, 6.0),  # from many records long to the Nyquist frequency
        (400, 0.05, 0.02, 9.9, 10.0),
        (400, 0.05, 3.0, 9.9, 20.0),  # spectra of long steps that reach beyond Nyquist's frequency
        (400, 0.05, 0.3, 9.9, 2.0),
        (57, 0.5, 0.02, 1.0, 6.0),
        (2, 1.0, 0.1, 0.5, 6.0),
        (7, 1.0, 0.001, 0.4, 6.0),
    ],
)
def test_the_transform_is_its_sum(record, n, dt, fmin, fmax, w0):
    random = np.random.default_rng(n)
    x, y = random.standard_normal(n), np.cumsum(random.standard_normal(n))
    found = time_frequency_misfit(
        record({"Z": x}, dt=dt), record({"Z": y}, dt=dt), fmin=fmin, fmax=fmax, nf=12, w0=w0,
        outputs=["em", "pm", "tfem", "tfpm"],
    ).isel(station=0, component=0)  # fmt: skip
    f = np.geomspace(fmin, fmax, 12)
    np.testing.assert_allclose(found.frequency, f, rtol=1e-12)
    one, two = (np.array([direct(z, dt, each, w0) for each in f]) for z in (x, y))
    envelope, phase = abs(one) - abs(two), abs(two) * np.angle(one / two) / np.pi
    # 1e-12 of what the record holds, whose energy may lie outside of the band.
    tolerance = 1e-11 * max(1.0, np.linalg.norm(y) / np.linalg.norm(two) * math.sqrt(12))
    np.testing.assert_allclose(found.tfem, envelope / abs(two).max(), atol=tolerance)
    # Of two values on either side of pi either is right.
    apart = abs(found.tfpm.values - phase / abs(two).max())
    at_pi = abs(abs(np.angle(one / two)) - np.pi) < 1e-6
    assert apart[~at_pi].max() < tolerance
    norm = np.linalg.norm(two)
    assert found.em.item() == pytest.approx(np.linalg.norm(envelope) / norm, abs=10 * tolerance)
    assert found.pm.item() == pytest.approx(np.linalg.norm(phase) / norm, abs=10 * tolerance)


def test_low_frequencies_take_the_short_way():
    steps = [band.step for band in bank(2400, 0.01, 0.1, 40.0, 100, 6.0)]
    assert steps == [256, 128, 64, 32, 16, 8, 4, 2, 1]
    assert [b.step for b in bank(300, 0.01, 1e-3, 1e-2, 10, 6.0)] == [1]  # 60 records long


def test_float32_is_measured_in_float64(pair):
    narrow = [ds.astype("float32") for ds in pair]
    wide = [ds.astype("float64") for ds in narrow]
    found, expected = (time_frequency_misfit(*both, **BAND) for both in (narrow, wide))
    xr.testing.assert_identical(found, expected)
    assert found.em.dtype == "float64"


def test_missing_ends_are_as_trimmed(pair):
    one, two = (ds.copy(deep=True) for ds in pair)
    one.velocity[..., :50] = np.nan
    two.velocity[..., 560:] = np.nan
    whole = time_frequency_misfit(one, two, outputs=OUTPUTS, **BAND)
    inside = {"time": slice(50, 560)}
    trimmed = time_frequency_misfit(
        pair[0].isel(inside), pair[1].isel(inside), outputs=OUTPUTS, **BAND
    )
    for name in OUTPUTS:
        values = whole[name]
        if "time" in values.dims:
            assert np.isnan(values.isel(time=slice(0, 50))).all()
            assert np.isnan(values.isel(time=slice(560, None))).all()
            values = values.isel(inside)
        np.testing.assert_array_equal(values, trimmed[name])
    xr.testing.assert_identical(whole["time"], pair[0]["time"])


def test_what_is_wrong_with_a_pair(record, shaking):
    x = shaking[0][:400]
    nothing = np.full_like(x, np.nan)
    gap, early, late = x.copy(), x.copy(), x.copy()
    gap[100], early[200:], late[:200] = np.nan, np.nan, np.nan
    cases = {
        0: (x, x), NO_OBSERVED: (nothing, x), NO_SYNTHETIC: (x, nothing),
        NO_OVERLAP: (early, late), GAP: (gap, x), SILENT: (x, 0 * x),
    }  # fmt: skip
    names = [f"c{code}" for code in cases]
    one, two = (
        record({name: sides[k] for name, sides in zip(names, cases.values(), strict=True)})
        for k in range(2)
    )
    for joint in (False, True):
        found = time_frequency_misfit(
            one, two, fmin=1.0, fmax=10.0, nf=5, outputs=OUTPUTS, joint=joint
        )
        assert found.status.values[0].tolist() == list(cases)
        for name in OUTPUTS:
            missing = np.isnan(found[name].values[0].reshape(len(cases), -1))
            assert not missing[0].any() and missing[1:].all()


def test_blocks_do_not_matter():
    one, two = (
        ces.testing.synthetic_windows(quantity="velocity", seed=seed, samples=300, lazy=False)
        for seed in (1, 2)
    )
    one.velocity[0, 1, 2, :30] = np.nan
    for options in ({}, {"joint": True, "reference": "larger"}):
        options = BAND | options | {"outputs": OUTPUTS}
        expected = time_frequency_misfit(one, two, **options)
        for left, right in (
            ({"station": 1}, {"station": 1}),
            ({"component": 1}, {"station": 2}),
            ({"time": 70}, {}),
        ):
            lazy = time_frequency_misfit(one.chunk(left), two.chunk(right), **options)
            ces.testing.assert_lazy(lazy)
            xr.testing.assert_identical(lazy.compute(), expected)
    assert expected.tfem.dims == ("event", "station", "component", "frequency", "time")
    assert expected["dip"].dims == ("event", "station", "component")
    assert expected.em.attrs == {"units": "1", "long_name": "envelope misfit"}
    assert expected.frequency.attrs["units"] == "Hz"


def test_misuse(record, shaking, pair):
    one = record({"Z": shaking[0]})
    good = {"fmin": 1.0, "fmax": 10.0}
    for wrong, message in (
        ({"fmin": 10.0, "fmax": 1.0}, "give rising frequencies above 0"),
        ({"fmin": 0.0}, "give rising frequencies above 0"),
        ({"fmax": 51.0}, "up to the Nyquist frequency of these records, 50 Hz"),
        ({"nf": 0}, "whole number of frequencies from 1 up"),
        ({"nf": 2.5}, "whole number of frequencies from 1 up"),
        ({"w0": 0.0}, "give a positive number, such as 6"),
        ({"norm": "none"}, "use 'global' or 'local'"),
        ({"reference": "both"}, "use one of synthetic, observed, larger, smaller"),
        ({"outputs": ["em", "xm"]}, "name any of em, pm"),
        ({"outputs": []}, "each once"),
        ({"outputs": ["em", "em"]}, "each once"),
    ):
        with pytest.raises(ParameterError, match=message):
            time_frequency_misfit(one, one, **good | wrong)
    with pytest.raises(SchemaError, match="give them along component"):
        time_frequency_misfit(*(ds.isel(component=0, drop=True) for ds in pair), joint=True, **good)
    with pytest.raises(UnitsError, match=r"ces\.integrate"):
        time_frequency_misfit(one, record({"Z": shaking[0]}, quantity="velocity"), **good)
    with pytest.raises(AxisError, match=r"ces\.interpolate"):
        time_frequency_misfit(one, record({"Z": shaking[0]}, dt=0.02), **good)
