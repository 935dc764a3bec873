"""Instrument correction against ObsPy, with real StationXML."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import obspy
import pytest
import xarray as xr
from obspy.signal.invsim import cosine_sac_taper

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError, SchemaError, UnitsError

OUTPUT = {"displacement": "DISP", "velocity": "VEL", "acceleration": "ACC"}
BAND = (0.008, 0.015, 4.0, 8.0)


@pytest.fixture(scope="module")
def counts(recorded) -> xr.Dataset:
    """Cut to 4096 samples, for which ObsPy and we pad to the same length."""
    return recorded.isel(time=slice(0, 4096)).astype({"counts": "float64"})


@pytest.fixture(scope="module")
def restituted(stations_xml) -> Callable[..., np.ndarray]:
    """ObsPy's ``remove_response`` on every channel; its own look-up of the response."""

    def apply(ds: xr.Dataset, **options) -> np.ndarray:
        result = np.full(ds.counts.shape, np.nan)
        rate = float(ds.attrs["sampling_interval"].split("/")[-1])
        for index in np.ndindex(ds.counts.shape[:-1]):
            record = ds.counts.values[index]
            if np.isnan(record).any():
                continue
            event, station, component = index
            network, name, location, band = str(ds.station.values[station]).split(".")
            trace = obspy.Trace(record.astype("float64"), {
                "network": network, "station": name, "location": location,
                "channel": band + str(ds.component.values[component]), "sampling_rate": rate,
                "starttime": obspy.UTCDateTime(str(ds.origin_time.values[event])),
            })  # fmt: skip
            result[index] = trace.remove_response(stations_xml, **options).data
        return result

    return apply


@pytest.mark.parametrize("output", OUTPUT)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"water_level": 20.0},
        {"water_level": None},
        {"water_level": None, "pre_filt": BAND},
        {"pre_filt": BAND},
        {"pre_filt": BAND, "zero_mean": False, "taper": False},
        {"pre_filt": BAND, "taper_fraction": 0.3},
        {"pre_filt": BAND, "taper_fraction": 1.0},
    ],
    ids=str,
)
def test_remove_response(counts, restituted, assert_equal, output, options):
    theirs = restituted(counts, output=OUTPUT[output], **options)
    ours = ces.remove_response(counts, output=output, **options)
    # The same transform length; evalresp between its nodes is known to 1e-9 of each value.
    assert_equal(ours[output], theirs, 2e-9)
    assert np.isfinite(theirs).any(axis=-1).sum() == 42  # TNS did not record in 2004


def test_remove_response_of_any_length(recorded, restituted, assert_equal):
    """Other lengths are padded a little differently, which shows below the pre-filter only."""
    ds = recorded.astype({"counts": "float64"})
    theirs = restituted(ds, output="VEL", pre_filt=(0.02, 0.03, 4.0, 8.0))
    ours = ces.remove_response(ds, pre_filt=(0.02, 0.03, 4.0, 8.0))
    # 9204 against 9216 samples: the same band is sampled at other frequencies.
    assert_equal(ours.velocity, theirs, 1e-6)


def test_remove_response_run_by_run(counts):
    """Each run is what it would be alone."""
    gappy = counts.copy(deep=True)
    gappy.counts.values[0, 0, 0, 1000:1100] = np.nan
    ours = ces.remove_response(gappy).velocity[0, 0, 0]
    for run in (slice(0, 1000), slice(1100, None)):
        alone = ces.remove_response(counts.isel(time=run)).velocity[0, 0, 0]
        np.testing.assert_array_equal(ours[run], alone)
    assert np.isnan(ours[1000:1100]).all()


def test_float32_counts(counts):
    double = ces.remove_response(counts, pre_filt=BAND).velocity
    single = ces.remove_response(counts.astype({"counts": "float32"}), pre_filt=BAND).velocity
    assert single.dtype == "float32"
    # Promised of every channel, whatever the transforms were made in.
    assert float((abs(single - double).max("time") / abs(double).max("time")).max()) < 1e-6


def test_remove_sensitivity(counts, stations_xml):
    ours = ces.remove_sensitivity(counts)
    trace = obspy.Trace(counts.counts.values[0, 0, 0].copy(), {
        "network": "GR", "station": "BFO", "channel": "HHZ",
        "starttime": obspy.UTCDateTime("2002-07-22T05:45:04"), "sampling_rate": 20.0,
    })  # fmt: skip
    theirs = trace.remove_sensitivity(stations_xml).data
    np.testing.assert_allclose(ours.velocity[0, 0, 0], theirs, rtol=1e-15)
    assert ours.velocity.attrs["units"] == "m s-1"
    assert np.isnan(ours.velocity.sel(station="GR.TNS..HH").isel(event=2)).all()


def test_channels_without_response_are_nan(counts):
    ds = counts.copy()
    ids = ds.response_id.copy(deep=True)
    ids[0, 0] = -1
    ours = ces.remove_response(ds.assign_coords(response_id=ids)).velocity
    assert np.isnan(ours[0, 0]).all() and np.isfinite(ours[0, 1]).all()


@pytest.mark.parametrize("samples", [500, 999, 1001])
def test_prefilter(noise, assert_equal, samples):
    ds = noise(samples, quantity="velocity")
    ours = ces.prefilter(ds, pre_filt=(0.5, 1.0, 10.0, 20.0)).velocity
    # A long transform: what ObsPy's taper does without any padding in the way.
    nfft = 2**15
    band = cosine_sac_taper(np.fft.rfftfreq(nfft, 0.01), flimit=(0.5, 1.0, 10.0, 20.0))
    theirs = np.fft.irfft(np.fft.rfft(ds.velocity.values, nfft) * band, nfft)[..., :samples]
    # Twice the length of padding against sixteen times: the tails of the filter fold over.
    assert_equal(ours, theirs, 2e-3)


def test_prefilter_is_that_of_remove_response(counts):
    """Deconvolution with and without ``pre_filt`` differ by ``prefilter``, in the passband."""
    options = {"water_level": None, "zero_mean": True, "taper": True}
    both = ces.remove_response(counts, pre_filt=(0.5, 1.0, 4.0, 8.0), **options).velocity
    wide = ces.remove_response(counts, pre_filt=(0.2, 0.3, 8.5, 9.5), **options)
    after = ces.prefilter(wide, pre_filt=(0.5, 1.0, 4.0, 8.0)).velocity
    inside = slice(400, -400)  # the first transform's tails beyond the record are cut
    deviation = abs(both - after).isel(time=inside).max("time") / abs(both).max("time")
    assert float(deviation.max()) < 1e-3


def test_misuse(noise, counts):
    with pytest.raises(SchemaError, match="stations="):
        ces.remove_response(noise(10))
    with pytest.raises(SchemaError, match="stations="):
        ces.remove_sensitivity(noise(10))
    with pytest.raises(ParameterError, match="use one of displacement"):
        ces.remove_response(counts, output="VEL")
    with pytest.raises(UnitsError, match="needs one of counts"):
        ces.remove_response(noise(10, quantity="velocity"))
    for corners in ((1, 2, 3), (1, 2, 2, 3), (4, 3, 2, 1), (-1, 1, 2, 3), (1, 2, 3, np.nan)):
        with pytest.raises(ParameterError, match="four rising frequencies"):
            ces.remove_response(counts, pre_filt=corners)
        with pytest.raises(ParameterError, match="four rising frequencies"):
            ces.prefilter(counts, pre_filt=corners)
    for fraction in (-0.1, 1.1):
        with pytest.raises(ParameterError, match="from 0 to 1"):
            ces.remove_response(counts, taper_fraction=fraction)
    mixed = counts.assign_coords(input_quantity=counts.input_quantity.copy(deep=True))
    mixed.input_quantity[0, 0] = "acceleration"
    with pytest.raises(SchemaError, match="select stations of one kind"):
        ces.remove_sensitivity(mixed)
