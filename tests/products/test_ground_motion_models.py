"""Published models beside measured peaks: medians as pygmm gives them, in our units."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pygmm
import pytest

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError, SchemaError
from pangeo_ces.products.ground_motion_models import MODELS, ground_motion_residuals, predict


@pytest.fixture(scope="module")
def peaks():
    store = ces.samples.german_events("memory://residuals")
    ds = ces.open_store(store)["windows/main/observed/20Hz"].to_dataset()
    return ces.peak_motion(ces.remove_sensitivity(ds), periods=[0.3, 1.0])


def test_medians_are_those_of_pygmm():
    """Also printed by Boore et al.: M 6, 20 km, 760 m/s, unspecified: 0.095 g, 5.26 cm/s."""
    median, sigma = predict("BSSA14", np.array(6.0), np.array(20.0), np.array(10.0), [0.3, 1.0])
    model = pygmm.BooreStewartSeyhanAtkinson2014(
        pygmm.Scenario(mag=6, dist_jb=20, v_s30=760, mechanism="U")
    )
    expected = [model.pga * 9.80665, model.pgv / 100, *model.interp_spec_accels([0.3, 1]) * 9.80665]
    np.testing.assert_allclose(median, expected, rtol=1e-12)
    np.testing.assert_allclose(sigma[:2], [model.ln_std_pga, model.ln_std_pgv])
    np.testing.assert_allclose(median[:2], [0.0954 * 9.80665, 0.0526], rtol=2e-3)


@pytest.mark.parametrize("model", MODELS)
def test_all_models_agree_on_what_an_earthquake_is(model):
    """Independent data and authors: medians of M 6 at 30 km lie within a factor of two."""
    point = [np.array(6.0), np.array(30.0), np.array(8.0)]
    median, sigma = predict(model, *point, [0.3, 1.0, 3.0])
    other, _ = predict("BSSA14", *point, [0.3, 1.0, 3.0])
    assert np.all((median / other > 0.5) & (median / other < 2))
    assert np.all((sigma > 0.4) & (sigma < 1))


def test_residuals_are_logarithms_of_ratios(peaks):
    done = ground_motion_residuals(peaks, v_s30=500.0, mechanism="NS").compute()
    measured = peaks.sel(component="geometric_mean").compute()
    median, _ = predict(
        "BSSA14", peaks["magnitude"].values[:, None],
        peaks["epicentral_distance"].values / 1e3, peaks["event_depth"].values[:, None] / 1e3,
        [0.3, 1.0], 500.0, "NS",
    )  # fmt: skip
    expected = np.log(measured["psa"].values / median[..., 2:])
    np.testing.assert_allclose(done["psa_residual"].values, expected)
    assert done["psa_predicted"].attrs["units"] == peaks["psa"].attrs["units"]
    far = peaks["epicentral_distance"] > 300e3
    assert done["pga_residual"].where(far).isnull().all()
    assert done["pga_residual"].notnull().any()


def test_lazy_and_the_same(peaks):
    lazy = ground_motion_residuals(peaks)
    assert isinstance(lazy["pga_residual"].data, da.Array)
    ready = ground_motion_residuals(peaks.compute())
    np.testing.assert_array_equal(lazy["pga_residual"], ready["pga_residual"])


def test_nothing_is_said_outside_the_range_of_a_model():
    where = [(2.0, 20.0), (9.0, 20.0), (6.0, 400.0), (np.nan, 20.0), (6.0, np.nan)]
    for magnitude, distance in where:
        for model in MODELS:
            median, _ = predict(
                model, np.array(magnitude), np.array(distance), np.array(10.0), [1.0]
            )
            assert np.isnan(median).all()
    median, _ = predict("BSSA14", np.array(6.0), np.array(20.0), np.array(10.0), [1.0, 30.0])
    assert np.isfinite(median[:3]).all()
    assert np.isnan(median[3])


def test_what_is_missing_is_named(peaks):
    with pytest.raises(SchemaError, match="magnitude"):
        ground_motion_residuals(peaks.drop_vars("magnitude"))
    with pytest.raises(ParameterError, match="choose one of"):
        ground_motion_residuals(peaks, component="rotd100")
    with pytest.raises(ParameterError, match="ground-motion model"):
        ground_motion_residuals(peaks, model="XYZ")
