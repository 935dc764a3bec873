"""Largest values in every direction, against brute force, pyrotd and gmprocess."""

from __future__ import annotations

import json

import numpy as np
import obspy
import pytest

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError
from pangeo_ces.products.peak_motion import ALL_COMBINATIONS
from pangeo_ces.products.rotated import DIRECTIONS, combine
from pangeo_ces.products.sweep import Oscillator, largest

ANGLES = np.deg2rad(np.arange(DIRECTIONS))
#: cm/s² in a percent of g.
GRAVITY = 9.80665
ROTATED = ("rotd00", "rotd50", "rotd100", "gmroti50")


def brute(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Largest projections of all samples on all angles."""
    turned = np.outer(np.cos(ANGLES), one) + np.outer(np.sin(ANGLES), two)
    return np.nanmax(np.abs(turned), axis=1)


def hulls_of(x: np.ndarray) -> np.ndarray:
    pairs = np.arange(len(x)).reshape(-1, 2)
    return largest(x, pairs, (), dt=0.01, order=2, spectrum="psa", rotated=True).hulls[:, 2]


def paths() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    white = random.standard_normal((2, 4001))
    t = np.arange(4001) / 200
    return {
        "white": white, "walk": white.cumsum(axis=1), "drift": white.cumsum(axis=1).cumsum(axis=1),
        "circle": np.stack([np.cos(t), np.sin(t)]),
        "thin": np.stack([white[0], 1e-7 * white[1]]),
        "line": np.stack([white[0], -0.3 * white[0]]), "one axis": white * [[1.0], [0.0]],
        "other axis": white * [[0.0], [1.0]], "still": 0 * white, "tiny": 1e-30 * white,
        "huge": 1e30 * white, "spike": np.where(np.arange(4001) == 777, white, 0.0),
        "square": np.sign(white), "single": white[:, :1],
    }  # fmt: skip


@pytest.mark.parametrize("name", paths())
def test_every_direction_by_brute_force(name):
    x = paths()[name]
    expected = brute(*x)
    np.testing.assert_allclose(hulls_of(x)[0], expected, rtol=1e-13, atol=1e-15 * expected.max())


def test_many_pairs_and_gaps():
    x = np.stack([path[:, :4001] for path in paths().values() if path.shape[1] == 4001])
    x = x.reshape(-1, 4001)
    x[0:6:2, 1000:1700] = np.nan
    x[3, 1650:] = np.nan
    x[8] = np.nan
    found = hulls_of(x)
    for hull, one, two in zip(found, x[::2], x[1::2], strict=True):
        together = np.isfinite(one) & np.isfinite(two)
        if not together.any():
            assert np.isnan(hull).all()
            continue
        expected = brute(one[together], two[together])
        np.testing.assert_allclose(hull, expected, rtol=1e-13, atol=1e-15 * expected.max())


def test_oscillators_in_every_direction(shaking):
    """The oscillator is linear: rotated records give rotated responses."""
    _, n, e = shaking
    oscillators = [Oscillator(period, 0.05) for period in (0.1, 0.3, 1.0)]
    options = {"dt": 0.01, "order": 2, "spectrum": "psa"}
    for exact in (True, False):
        hulls = largest(np.stack([n, e]), np.array([[0, 1]]), oscillators, rotated=True,
                        exact=exact, **options).hulls[0, 3:]  # fmt: skip
        turned = np.outer(np.cos(ANGLES), n) + np.outer(np.sin(ANGLES), e)
        expected = largest(turned, np.zeros((0, 2), int), oscillators, rotated=False, exact=exact,
                           **options).peaks[:, 3:].T  # fmt: skip
        # Between samples, both look beside other samples: 8 places each, (pi / 12 / 16)² / 2.
        np.testing.assert_allclose(hulls, expected, rtol=2e-3 if exact else 1e-11)


def test_definitions(record, shaking):
    _, n, e = shaking
    hull = brute(n, e)
    peaks = ces.peak_motion(record({"N": n, "E": e}), combinations=ALL_COMBINATIONS).isel(station=0)
    pga = {str(c): float(peaks.pga.sel(component=c)) for c in peaks.component.values}
    north, east = abs(n).max(), abs(e).max()
    assert pga["larger"] == max(north, east)
    assert pga["arithmetic_mean"] == pytest.approx((north + east) / 2, rel=1e-14)
    assert pga["geometric_mean"] == pytest.approx((north * east) ** 0.5, rel=1e-14)
    assert pga["quadratic_mean"] == pytest.approx(((north**2 + east**2) / 2) ** 0.5, rel=1e-14)
    assert pga["vector"] == pytest.approx(np.hypot(n, e).max(), rel=1e-14)
    assert pga["rotd00"] == pytest.approx(hull.min(), rel=1e-13)
    assert pga["rotd50"] == pytest.approx(np.median(hull), rel=1e-13)
    assert pga["rotd100"] == pytest.approx(hull.max(), rel=1e-13)
    # By whole degrees, the direction of the resultant is missed by half a degree at most.
    assert np.cos(np.deg2rad(0.5)) * pga["vector"] <= pga["rotd100"] <= pga["vector"] * (1 + 1e-12)


def test_independent_of_the_axes(record, shaking):
    """Sensors turned by 30 whole degrees see the same, but for the order of directions."""
    _, n, e = shaking
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    options = {"combinations": (*ROTATED, "vector"), "oversampling": 1}
    one = ces.peak_motion(record({"N": n, "E": e}), **options).isel(component=slice(2, None))
    two = ces.peak_motion(record({"N": c * n + s * e, "E": c * e - s * n}), **options)
    for name in ("pga", "pgv", "pgd", "psa"):
        np.testing.assert_allclose(one[name], two[name].isel(component=slice(2, None)), rtol=1e-10)


def test_gmroti50_by_the_paper(record, shaking):
    """One angle for all periods, straight from the definition."""
    _, n, e = shaking
    periods = (0.1, 0.2, 0.5, 1.0, 2.0)
    ds = record({"N": n, "E": e})
    ours = ces.peak_motion(ds, periods=periods, combinations=["gmroti50"], oversampling=1)
    means = []
    for angle in ANGLES[:90]:
        turned = record({"N": np.cos(angle) * n + np.sin(angle) * e,
                         "E": np.cos(angle) * e - np.sin(angle) * n})  # fmt: skip
        peaks = ces.peak_motion(turned, periods=periods, combinations=["geometric_mean"],
                                oversampling=1).isel(station=0, component=-1)  # fmt: skip
        means.append([float(peaks.pga), float(peaks.pgv), *peaks.psa.values])
    means = np.array(means)
    penalty = ((means[:, 2:] / np.median(means[:, 2:], axis=0) - 1) ** 2).mean(axis=1)
    expected = means[penalty.argmin()]
    ours = ours.isel(station=0, component=-1)
    np.testing.assert_allclose([float(ours.pga), float(ours.pgv), *ours.psa], expected, rtol=1e-10)


@pytest.mark.parametrize("damping", [0.05, 0.2])
def test_pyrotd(record, shaking, damping):
    pyrotd = pytest.importorskip("pyrotd")
    periods = np.array([0.1, 0.3, 1.0, 3.0])
    n, e = (np.concatenate([x, np.zeros(8000)]) for x in shaking[1:])
    theirs = pyrotd.calc_rotated_spec_accels(
        0.01, n, e, 1 / periods, damping, percentiles=[0, 50, 100], max_freq_ratio=50
    )
    peaks = ces.peak_motion(record({"N": n, "E": e}), periods=periods, damping=damping,
                            combinations=ROTATED[:3])  # fmt: skip
    for number, name in enumerate(ROTATED[:3]):
        ours = peaks.psa.isel(station=0).sel(component=name).values
        expected = theirs.spec_accel.reshape(-1, 3)[:, number]
        # It multiplies spectra and looks for the maximum at its own samples, 50 a period or more.
        np.testing.assert_allclose(ours, expected, rtol=4e-3)


def test_gmprocess(data):
    """RotD50 and RotD100 of PGA and of absolute spectra of ten stations of the Ridgecrest event."""
    folder = data("01_strong_motion/usgs_ci38457511")
    reference = json.loads((folder / "reference_gmprocess.json").read_text())["stations"]
    periods = (None, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0)
    oscillators = [Oscillator(period, 0.05) for period in periods[1:]]
    deviations = []
    for path in sorted((folder / "processed_gmprocess").glob("*.mseed")):
        stream = obspy.read(path)
        site = stream[0].stats.station
        (metrics,) = (v["metrics"] for k, v in reference.items() if k.split(".")[1] == site)
        pair = np.stack([stream.select(component=c)[0].data for c in "EN"])
        hulls = largest(pair, np.array([[0, 1]]), oscillators, dt=0.01, order=2, spectrum="sa",
                        rotated=True, exact=False).hulls[0, 2:] / GRAVITY  # fmt: skip
        for metric in metrics:
            if metric["type"] in ("PGA", "SA"):
                values = hulls[periods.index(metric["attributes"].get("period"))]
                # It counts 180 degrees as well, which is 0 degrees again.
                theirs = [metric["values"][f"RotD(percentile={p}.0)"] for p in (50, 100)]
                its = np.median([*values, values[0]]), values.max()
                deviations.append(np.divide(its, theirs) - 1)
                assert abs(np.median(values) / theirs[0] - 1) < 7e-3
    print(f"{np.size(deviations)} values, worst deviation {np.abs(deviations).max():.1e}")
    assert np.size(deviations) == 160
    # float32 records.
    assert np.abs(deviations).max() < 1e-6


def test_only_what_is_asked_for(record, shaking):
    ds = record(dict(zip("ZNE", shaking, strict=True)))
    peaks = ces.peak_motion(ds, combinations=("rotd50",))
    assert peaks.component.values.tolist() == ["Z", "N", "E", "rotd50"]
    none = ces.peak_motion(ds, combinations=())
    assert none.component.values.tolist() == ["Z", "N", "E"]
    assert combine((), np.ones((1, 2, 3)), np.ones((1, 3)), np.zeros((0, 3, 180)), 3).shape == (
        1, 0, 3,
    )  # fmt: skip


def test_several_dampings(record, shaking):
    ds = record(dict(zip("ZNE", shaking, strict=True)))
    several = ces.peak_motion(ds, damping=[0.02, 0.05, 0.2], combinations=("rotd50", "vector"))
    assert several.psa.dims == ("station", "component", "damping", "period")
    for damping in (0.02, 0.05, 0.2):
        one = ces.peak_motion(ds, damping=damping, combinations=("rotd50", "vector"))
        np.testing.assert_array_equal(several.psa.sel(damping=damping), one.psa)
    assert ces.peak_motion(ds, damping=[0.05]).psa.sizes["damping"] == 1


@pytest.mark.parametrize("spectrum, power", [("psa", 2), ("psv", 1), ("sd", 0)])
def test_pseudo_spectra_are_one(record, shaking, spectrum, power):
    ds, periods = record({"Z": shaking[0]}), np.array([0.1, 1.0, 5.0])
    sd = ces.peak_motion(ds, periods=periods, spectrum="sd").sd
    ours = ces.peak_motion(ds, periods=periods, spectrum=spectrum)[spectrum]
    np.testing.assert_allclose(ours, sd * (2 * np.pi / periods) ** power, rtol=1e-12)
    assert ours.attrs["units"] == {"psa": "m s-2", "psv": "m s-1", "sd": "m"}[spectrum]


def test_dask_is_numpy():
    lazy = ces.testing.synthetic_windows(quantity="velocity", dtype="float32", samples=999)
    options = {"combinations": ALL_COMBINATIONS, "damping": (0.05, 0.1)}
    ours = ces.peak_motion(lazy, **options)
    ces.testing.assert_lazy(ours)
    whole = ces.peak_motion(lazy.compute(), **options)
    for name in ("pga", "pgv", "pgd", "psa"):
        np.testing.assert_array_equal(ours[name], whole[name])


@pytest.mark.parametrize(
    "options, fix",
    [
        ({"combinations": ("rotd42",)}, "rotd100"),
        ({"combinations": ("vector", "vector")}, "once"),
        ({"combinations": ("gmroti50",), "periods": ()}, "give periods"),
        ({"damping": ()}, "fractions between 0 and 1"),
        ({"damping": (0.05, 5.0)}, "fractions between 0 and 1"),
    ],
)
def test_misuse(record, options, fix):
    with pytest.raises(ParameterError, match=fix):
        ces.peak_motion(record({"Z": np.ones(10)}), **options)
