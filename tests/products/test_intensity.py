"""CAV, Arias intensity, durations and JMA intensity: closed forms, loops, other authorities."""

from __future__ import annotations

import json

import numpy as np
import obspy
import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError, UnitsError
from pangeo_ces.products.intensity import GRAVITY, intensity_measures, jma_intensity

NAMES = ("cav", "cav_std", "arias", "duration")


def first(ds: xr.Dataset, name: str, **where) -> float:
    return float(intensity_measures(ds)[name].isel(station=0, component=0).sel(**where))


def by_loops(x: np.ndarray, dt: float, low: float, high: float) -> tuple[float, ...]:
    """Plain NumPy on one channel, run by run."""
    edges = np.flatnonzero(np.diff(np.isnan(x), prepend=True, append=True))
    spans = zip(edges[::2], edges[1::2], strict=True)
    cav, strong, steps, times = 0.0, 0.0, [], []
    for begin, end in spans:
        run = np.abs(x[begin:end])
        cav += np.trapezoid(run, dx=dt)
        whole = round(1 / dt)
        for start in range(0, len(run), whole):
            second = run[start : start + whole + 1]
            if second.max() > 0.025 * GRAVITY:
                strong += np.trapezoid(second, dx=dt)
        steps += list(dt * (run[1:] ** 2 + run[:-1] ** 2) / 2)
        times += list((begin + np.arange(len(run) - 1)) * dt)
    energy = np.concatenate([[0], np.cumsum(steps)])

    def moment(fraction):
        step = min(np.searchsorted(energy, fraction * energy[-1]), len(steps)) - 1
        part = (fraction * energy[-1] - energy[step]) / steps[step]
        return times[step] + part * dt

    return cav, strong, np.pi / 2 / GRAVITY * energy[-1], moment(high) - moment(low)


def test_gmprocess(data):
    """Channels of ten stations of the Ridgecrest M 7.1 earthquake, processed by gmprocess 2.8.0."""
    folder = data("01_strong_motion/usgs_ci38457511")
    reference = json.loads((folder / "reference_gmprocess.json").read_text())["stations"]
    worst: dict[str, float] = {}
    count = 0
    for label, entry in reference.items():
        if not entry["passed"]:
            continue
        stream = obspy.read(folder / "processed_gmprocess" / f"{label}.processed_cm_s2.mseed")
        printed = {
            (m["type"], m["attributes"].get("interval")): m["values"] for m in entry["metrics"]
        }
        for trace in stream:
            # gmprocess numbers the horizontals in the order in which it was given them.
            theirs = {"E": "H1", "N": "H2", "Z": "Z"}[trace.stats.channel[-1]]
            ds = record_of(trace.data / 100.0, trace.stats.delta)
            ours = intensity_measures(ds).isel(station=0, component=0)
            deviations = {}
            for name, kind, scale in (("arias", "Arias", 1.0), ("cav", "CAV", GRAVITY)):
                value = scale * printed[kind, None][f"Channels(component={theirs})"]
                deviations[name] = abs(float(ours[name]) / value - 1)
            for interval in ("5-75", "5-95"):
                value = printed["Duration", interval][f"Channels(component={theirs})"]
                deviations[interval] = abs(float(ours.duration.sel(interval=interval)) - value)
            worst = {name: max(worst.get(name, 0), d) for name, d in deviations.items()}
            count += 1
    print(f"{count} channels, worst deviations {worst}")
    assert count == 30
    # Sums in another order, of float32 records.
    assert worst["arias"] < 1e-7
    assert worst["cav"] < 1e-7
    # It takes the next sample (0.01 s), we what lies between two.
    assert max(worst["5-75"], worst["5-95"]) < 0.01


def record_of(x: np.ndarray, dt: float) -> xr.Dataset:
    ds = ces.testing.synthetic_windows(
        events=1, stations=1, components="Z", samples=len(x), sampling_rate=1 / dt,
        quantity="acceleration", lazy=False,
    ).isel(event=0)  # fmt: skip
    return ds.assign(acceleration=ds.acceleration.copy(data=np.asarray(x, float)[None, None]))


def test_constant_acceleration(record):
    ds = record({"Z": np.full(1001, -0.5)})
    assert first(ds, "cav") == pytest.approx(5.0, rel=1e-12)
    assert first(ds, "cav_std") == pytest.approx(5.0, rel=1e-12)
    assert first(ds, "arias") == pytest.approx(np.pi / 2 / 9.80665 * 0.25 * 10, rel=1e-12)
    for interval, fraction in (("5-75", 0.7), ("5-95", 0.9), ("2.5-97.5", 0.95)):
        assert first(ds, "duration", interval=interval) == pytest.approx(10 * fraction, rel=1e-9)


def test_sine(record):
    """20 periods of a sine: CAV = 2A/pi T, Arias = pi/4g A² T."""
    t = np.arange(0, 20.0005, 0.001)
    ds = record({"Z": 3 * np.sin(2 * np.pi * t)}, dt=0.001)
    # The trapezoid on |sin| is (pi dt)²/3 low; on sin² over whole periods it is exact.
    assert first(ds, "cav") == pytest.approx(2 * 3 / np.pi * 20, rel=4e-6)
    assert first(ds, "arias") == pytest.approx(np.pi / 4 / 9.80665 * 9 * 20, rel=1e-12)


def test_interval_of_all(record, shaking):
    """0 to 100 %: from the first motion to the last."""
    x = np.concatenate([np.zeros(300), shaking[0][1:2001], np.zeros(700)])
    measures = intensity_measures(record({"Z": x}), durations=[(0, 100)])
    assert measures.duration.sizes["interval"] == 1
    # The trapezoid of x² begins one sample before the first that moves, and ends one after.
    assert float(measures.duration[0, 0, 0]) == pytest.approx(20.01, abs=1e-9)


@pytest.mark.parametrize("dt", [0.01, 0.005, 1 / 30])
def test_against_loops(record, shaking, dt):
    x = 3 * shaking.copy()
    x[1, 700:950], x[1, 3990:] = np.nan, np.nan
    x[2, :100] = np.nan
    ds = record(dict(zip("ZNE", x, strict=True)), dt=dt)
    ours = intensity_measures(ds, durations=[(5, 95)]).isel(station=0)
    for row, component in zip(x, "ZNE", strict=True):
        theirs = by_loops(row, float(ds.time[1] - ds.time[0]), 0.05, 0.95)
        assert theirs[1] < theirs[0]
        for name, value in zip(NAMES, theirs, strict=True):
            mine = float(ours[name].sel(component=component).squeeze())
            assert mine == pytest.approx(value, rel=1e-9), (component, name)


def test_standardised_cav_leaves_weak_seconds_out(record):
    """0.025 g is the threshold, second by second."""
    x = np.full(501, 0.2)
    x[250] = 0.3
    ds = record({"Z": x})
    inside = 1 * 0.2 + 0.1 * 0.01
    assert first(ds, "cav") == pytest.approx(1.0 + 0.1 * 0.01, rel=1e-12)
    assert first(ds, "cav_std") == pytest.approx(inside, rel=1e-12)


def test_combinations(record, shaking):
    z, n, e = shaking
    means = ("arithmetic_mean", "geometric_mean", "quadratic_mean", "larger")
    ds = intensity_measures(record({"Z": z, "N": n, "E": e}), combinations=means).isel(station=0)
    assert ds.component.values.tolist() == ["Z", "N", "E", *means]
    for name in NAMES:
        north, east = (ds[name].sel(component=c).values for c in "NE")
        expected = ((north + east) / 2, np.sqrt(north * east),
                    np.sqrt((north**2 + east**2) / 2), np.maximum(north, east))  # fmt: skip
        for mean, value in zip(means, expected, strict=True):
            np.testing.assert_allclose(ds[name].sel(component=mean), value, rtol=1e-14)


def test_no_record_and_no_pair(record, shaking):
    ds = record({"Z": shaking[0], "N": shaking[1], "E": shaking[2] * np.nan})
    measures = intensity_measures(ds).isel(station=0)
    for name in ("cav", "cav_std", "arias"):
        assert np.isfinite(measures[name]).values.tolist() == [True, True, False, False]
    three = record(dict(zip("ABC", shaking, strict=True)), dip=[0.0, 0.0, 0.0])
    assert np.isnan(intensity_measures(three).cav[0]).values.tolist() == [False] * 3 + [True]
    zeros = intensity_measures(record({"Z": np.zeros(100)})).isel(station=0, component=0)
    assert float(zeros.cav) == float(zeros.arias) == 0
    assert np.isnan(zeros.duration).all()


def test_blocks_and_precision():
    ds = ces.testing.synthetic_windows(quantity="acceleration", events=3, stations=5, lazy=False)
    expected, intensity = intensity_measures(ds), jma_intensity(ds)
    for chunks in ({"event": 1, "station": 2}, {"component": 1}, {"time": 300}):
        lazy = intensity_measures(ds.chunk(chunks))
        ces.testing.assert_lazy(lazy)
        xr.testing.assert_identical(lazy.compute(), expected)
        lazy = jma_intensity(ds.chunk(chunks))
        ces.testing.assert_lazy(lazy)
        xr.testing.assert_identical(lazy.compute(), intensity)
    single = ds.astype({"acceleration": "float32"})
    for name in NAMES:
        # One rounding to float32 a sample, of either sign.
        np.testing.assert_allclose(intensity_measures(single)[name], expected[name], rtol=1e-6)
    np.testing.assert_allclose(
        jma_intensity(single).jma_intensity, intensity.jma_intensity, atol=1e-6
    )
    empty = ds.isel(station=slice(0, 0))
    assert intensity_measures(empty).cav.shape == (3, 0, 4)
    assert jma_intensity(empty).jma_intensity.shape == (3, 0)


def jma_by_the_book(record: np.ndarray, dt: float) -> float:
    """The announcement step by step, by a complex transform and sorting."""
    f = np.abs(np.fft.fftfreq(record.shape[1], dt))
    y = f / 10
    low = np.sqrt(1 - np.exp(-((f / 0.5) ** 3)))
    high = (1 + 0.694 * y**2 + 0.241 * y**4 + 0.0557 * y**6 + 0.009664 * y**8
            + 0.00134 * y**10 + 0.000155 * y**12) ** -0.5  # fmt: skip
    period = np.sqrt(1 / np.where(f > 0, f, np.inf))
    filtered = np.fft.ifft(np.fft.fft(100 * record) * period * high * low).real
    resultant = np.sort(np.sqrt((filtered**2).sum(axis=0)))[::-1]
    return 2 * np.log10(resultant[round(0.3 / dt) - 1]) + 0.94


@pytest.mark.parametrize("samples, dt", [(4000, 0.01), (3999, 0.01), (3001, 0.02)])
def test_jma_against_the_announcement(record, shaking, samples, dt):
    x = shaking[:, :samples]
    ds = record(dict(zip("ZNE", x, strict=True)), dt=dt)
    ours = float(jma_intensity(ds).jma_intensity[0])
    # The low-cut cancels near zero frequency in the book's form.
    assert ours == pytest.approx(jma_by_the_book(x, dt), abs=1e-9)


@pytest.mark.parametrize("frequency", [0.1, 0.5, 1.0, 5.0, 20.0])
def test_jma_of_circular_motion(record, frequency):
    """The resultant is constant, so that a is the amplitude times the gain of the filter."""
    y = frequency / 10
    polynomial = (1 + 0.694 * y**2 + 0.241 * y**4 + 0.0557 * y**6 + 0.009664 * y**8
                  + 0.00134 * y**10 + 0.000155 * y**12)  # fmt: skip
    exact = np.sqrt((1 - np.exp(-((frequency / 0.5) ** 3))) / frequency / polynomial)
    t = np.arange(4000) * 0.01
    motion = {"Z": np.zeros(4000), "N": np.cos(2 * np.pi * frequency * t),
              "E": np.sin(2 * np.pi * frequency * t)}  # fmt: skip
    ours = float(jma_intensity(record(motion)).jma_intensity[0])
    assert ours == pytest.approx(2 * np.log10(100 * exact) + 0.94, abs=1e-9)


def test_jma_needs_three_components(record, shaking):
    z, n, e = shaking.copy()
    assert np.isnan(jma_intensity(record({"N": n, "E": e})).jma_intensity).all()
    assert np.isnan(jma_intensity(record({"Z": z * np.nan, "N": n, "E": e})).jma_intensity).all()
    short = {c: x[:29] for c, x in zip("ZNE", shaking, strict=True)}
    assert np.isnan(jma_intensity(record(short)).jma_intensity).all()
    turned = {"A": (n + e) / 2**0.5, "B": (n - e) / 2**0.5, "Z": z}
    np.testing.assert_allclose(
        jma_intensity(record(turned)).jma_intensity,
        jma_intensity(record({"Z": z, "N": n, "E": e})).jma_intensity, atol=1e-9,
    )  # fmt: skip
    gapped = dict(zip("ZNE", shaking.copy(), strict=True))
    gapped["N"][500] = np.nan
    longest = {c: x[501:] for c, x in gapped.items()}
    np.testing.assert_array_equal(
        jma_intensity(record(gapped)).jma_intensity, jma_intensity(record(longest)).jma_intensity
    )


def test_jma_rounding(record):
    """To two decimals first, then cut to one: 4.9951 is published as 5.0, 4.9949 as 4.9."""
    t = np.arange(4000) * 0.01
    plain = {"Z": 0 * t, "N": np.cos(2 * np.pi * t), "E": np.sin(2 * np.pi * t)}
    base = float(jma_intensity(record(plain)).jma_intensity[0])
    for wanted, published in ((4.9451, 4.9), (4.9951, 5.0), (4.9949, 4.9), (3.0001, 3.0)):
        scaled = {c: x * 10 ** ((wanted - base) / 2) for c, x in plain.items()}
        assert float(jma_intensity(record(scaled), rounded=True).jma_intensity[0]) == published


@pytest.mark.parametrize(
    "options, fix",
    [
        ({"durations": [(75, 5)]}, "rising percentages"),
        ({"durations": [(5, 101)]}, "from 0 to 100"),
        ({"combinations": ["mean"]}, "use some of arithmetic_mean"),
    ],
)
def test_misuse(record, shaking, options, fix):
    with pytest.raises(ParameterError, match=fix):
        intensity_measures(record({"Z": shaking[0]}), **options)


def test_needs_acceleration(record, shaking):
    ds = record({"Z": shaking[0]}, quantity="velocity")
    for operator in (intensity_measures, jma_intensity):
        with pytest.raises(UnitsError):
            operator(ds)
