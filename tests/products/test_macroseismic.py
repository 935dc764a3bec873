"""Macroseismic intensity: published relations, by values of other programs and by their lines."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError, SchemaError, UnitsError
from pangeo_ces.products.macroseismic import RELATIONS, instrumental_intensity

ACCELERATION = [0.005, 0.05, 0.5, 2.0, 8.0]
VELOCITY = [1e-4, 1e-3, 1e-2, 0.1, 0.8]
#: What the USGS package gmice 1.0.1 (of ShakeMap) gives for the above, to four digits; its
#: "3 s" of Faenza & Michelini is the relation that they published for 2 s.
USGS = {
    ("worden2012", "pga"): [1.0839, 2.8634, 4.6862, 6.9138, 9.1414],
    ("worden2012", "pgv"): [1.0, 2.31, 3.78, 6.05, 8.9038],
    ("worden2012", 0.3): [1.0, 2.4413, 4.1313, 5.3763, 7.8688],
    ("worden2012", 1.0): [2.0454, 3.5554, 5.127, 6.873, 8.619],
    ("worden2012", 3.0): [3.4578, 4.6278, 7.1039, 8.9161, 10.0],
    ("wald1999", "pga"): [1.0, 2.5377, 4.7377, 6.7618, 8.9653],
    ("wald1999", "pgv"): [1.0, 1.3, 3.4, 5.82, 8.9537],
    ("faenza2010", "pga"): [1.0, 3.4833, 6.0633, 7.6167, 9.17],
    ("faenza2010", "pgv"): [1.0, 2.76, 5.11, 7.46, 9.5823],
    ("faenza2010", 0.3): [1.0, 2.9665, 5.4365, 6.9235, 8.4106],
    ("faenza2010", 1.0): [2.5029, 4.5529, 6.6029, 7.8371, 9.0713],
    ("faenza2010", 2.0): [3.7079, 5.7079, 7.7079, 8.9121, 10.0],
}
#: The same around the changes of line: log10 of cm/s² or cm/s, and the intensity.
USGS_CHANGES = {
    ("worden2012", "pga"): ([0.11, 0.17, 1.54, 1.6], [1.9388, 2.0435, 4.167, 4.32]),
    ("worden2012", "pgv"): ([-1.24, -1.18, 0.5, 0.56], [1.9292, 2.0454, 4.515, 4.6596]),
    ("worden2012", 0.3): ([0.41, 0.47, 2.18, 2.24], [1.9372, 2.0543, 4.9442, 5.1236]),
    ("worden2012", 1.0): ([-0.36, -0.3, 1.62, 1.68], [1.9288, 2.047, 4.9462, 5.072]),
    ("worden2012", 3.0): ([-1.58, -1.52, 0.96, 1.02], [1.899, 2.0316, 4.9332, 5.0602]),
    ("wald1999", "pga"): ([1.79, 1.85], [4.938, 5.111]),
    ("wald1999", "pgv"): ([0.73, 0.79], [4.933, 5.0913]),
}


def product(acceleration, velocity, periods=(0.3, 1.0, 2.0, 3.0)) -> xr.Dataset:
    spectra = np.repeat(np.asarray(acceleration, float)[:, None], len(periods), axis=1)
    return xr.Dataset(
        {
            "pga": ("station", np.asarray(acceleration, float), {"units": "m s-2"}),
            "pgv": ("station", np.asarray(velocity, float), {"units": "m s-1"}),
            "psa": (("station", "period"), spectra, {"units": "m s-2"}),
        },
        coords={"period": list(periods), "damping": 0.05},
    )


def intensity_of(ours: xr.Dataset, measure: str | float) -> xr.DataArray:
    if isinstance(measure, float):
        return ours.intensity_psa.sel(period=measure)
    return ours[f"intensity_{measure}"]


@pytest.mark.parametrize("relation, measure", USGS)
def test_usgs_values(relation, measure):
    ours = instrumental_intensity(product(ACCELERATION, VELOCITY), relation=relation)
    # Four digits.
    np.testing.assert_allclose(intensity_of(ours, measure), USGS[relation, measure], atol=5.1e-5)


@pytest.mark.parametrize("relation, measure", USGS_CHANGES)
def test_usgs_changes_of_line(relation, measure):
    logarithms, theirs = USGS_CHANGES[relation, measure]
    values = 10 ** np.array(logarithms) / 100
    ours = instrumental_intensity(product(values, values), relation=relation)
    np.testing.assert_allclose(intensity_of(ours, measure), theirs, atol=5.1e-5)


@pytest.mark.parametrize("relation", RELATIONS)
def test_rising_and_clipped(relation):
    ours = instrumental_intensity(
        product(np.logspace(-4, 2, 400), np.logspace(-6, 1, 400)), relation=relation
    )
    for values in ours.data_vars.values():
        assert float(values.min()) == 1 and float(values.max()) == 10
        # The published coefficients have three digits: lines meet to within 0.15 intensities.
        assert (values.diff("station") > -0.15).all()


def test_chain_and_lazy():
    ds = ces.testing.synthetic_windows(quantity="acceleration")
    peaks = ces.peak_motion(ds, periods=(0.3, 0.5, 1.0))
    ours = instrumental_intensity(peaks)
    ces.testing.assert_lazy(ours)
    assert ours.intensity_psa.period.values.tolist() == [0.3, 1.0]
    assert ours.intensity_pga.dims == peaks.pga.dims
    assert ours.intensity_pga.attrs["units"] == "1"
    xr.testing.assert_identical(ours.compute(), instrumental_intensity(peaks.compute()))


def test_missing_and_zero():
    ours = instrumental_intensity(product([np.nan, 0.0], [np.nan, 0.0]))
    for values in ours.data_vars.values():
        assert np.isnan(values[0]).all()
        assert (values[1] == 1).all()


def test_no_period_of_the_relation():
    assert "intensity_psa" not in instrumental_intensity(product([1.0], [0.1], periods=(0.5,)))


def test_misuse():
    peaks = product([1.0], [0.1])
    with pytest.raises(ParameterError, match="use one of worden2012"):
        instrumental_intensity(peaks, relation="mercalli")
    with pytest.raises(SchemaError, match=r"damping=0\.05"):
        instrumental_intensity(peaks.assign_coords(damping=0.1))
    peaks.pga.attrs["units"] = "cm s-2"
    with pytest.raises(UnitsError, match="convert the values"):
        instrumental_intensity(peaks)
    with pytest.raises(SchemaError):
        instrumental_intensity(peaks.drop_vars(["pga", "pgv", "psa"]))
