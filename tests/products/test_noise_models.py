"""Peterson's models against the tables of ObsPy."""

from __future__ import annotations

import numpy as np
import pytest
from obspy.signal.spectral_estimation import get_nhnm, get_nlnm

from pangeo_ces.products.noise_models import noise_model


@pytest.mark.parametrize("which, theirs", [("low", get_nlnm), ("high", get_nhnm)])
def test_noise_models(which, theirs):
    periods, values = theirs()
    # ObsPy prints four to six digits, at periods a hair beside those of the table.
    periods = np.minimum(periods * (1 + 1e-9), 100_000)
    np.testing.assert_allclose(noise_model(periods, which), values, rtol=0, atol=7e-4)
    assert np.isnan(noise_model(np.array([0.09, 1.1e5]), which)).all()
