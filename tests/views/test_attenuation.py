"""Peaks beside a model against distance, and response spectra: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pytest
from product import make_product

from pangeo_ces import views
from pangeo_ces.errors import ParameterError
from pangeo_ces.products.ground_motion_models import ground_motion_residuals


@pytest.fixture
def product():
    return make_product(2, 20)["observed"].to_dataset()


def test_points_are_the_measured_values_and_their_residuals(product):
    figure = views.plot_attenuation(product, event=1, measures=["pga", "psa_1s"])
    residuals = ground_motion_residuals(product)
    upper, lower = figure.axes[:2], figure.axes[2:4]
    km = product["epicentral_distance"].values[1] / 1e3
    psa = product["psa"].sel(period=1.0, component="geometric_mean").isel(event=1)
    drawn = upper[1].lines[1]
    np.testing.assert_allclose(drawn.get_xdata(), km)
    ratio = drawn.get_ydata() / psa.values  # in a unit for the eye
    np.testing.assert_allclose(ratio[np.isfinite(ratio)], np.nanmean(ratio))
    np.testing.assert_allclose(
        lower[0].lines[1].get_ydata(), residuals["pga_residual"].isel(event=1).values
    )
    assert [ax.get_title() for ax in upper] == ["PGA, geometric mean", "PSA 1 s, geometric mean"]


def test_the_curve_is_the_model(product):
    figure = views.plot_attenuation(product, event=0, measures=["pgv"], model="CY14")
    x, y = figure.axes[0].lines[0].get_data()
    one = product.isel(event=[0], station=[0])
    place = int(np.argmin(abs(x - 60)))
    one["epicentral_distance"] = (("event", "station"), [[x[place] * 1e3]])
    expected = float(ground_motion_residuals(one, model="CY14")["pgv_predicted"].item())
    units = {"cm/s": 1e2, "µm/s": 1e6, "nm/s": 1e9}
    factor = next(f for unit, f in units.items() if unit in figure.axes[0].get_ylabel())
    assert y[place] == pytest.approx(expected * factor)


def test_no_such_measure_or_model(product):
    with pytest.raises(ParameterError, match="use one of pga"):
        views.plot_attenuation(product, measures=["psa_7s"])
    with pytest.raises(ParameterError, match="use one of ASB14"):
        views.plot_attenuation(product, model="GMPE")


def test_spectra_of_the_strongest_stations(product):
    figure = views.plot_response_spectra(product, components=["N", "larger"])
    assert [ax.get_title() for ax in figure.axes] == ["N", "larger"]
    values = product["psa"].isel(event=0).sel(component=["N", "larger"])
    largest = (
        values.max(["component", "period"])
        .fillna(0)
        .sortby(values.max(["component", "period"]).fillna(0), ascending=False)
    )
    best = str(largest["station"].values[0])
    x, y = figure.axes[1].lines[0].get_data()
    np.testing.assert_allclose(x, product["period"])
    expected = product["psa"].isel(event=0).sel(component="larger", station=best).values
    ratio = y / expected
    np.testing.assert_allclose(ratio, ratio[0])


def test_a_single_period_is_no_spectrum(product):
    with pytest.raises(ParameterError, match="two or more periods"):
        views.plot_response_spectra(product.isel(period=[0]))
