"""Power spectral densities against ObsPy's PPSD and closed forms."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import obspy
import pytest
import xarray as xr
from obspy.core import inventory
from obspy.signal import PPSD

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError, SchemaError
from pangeo_ces.products.ppsd import probabilistic_psd
from pangeo_ces.products.psd import power_spectral_density
from pangeo_ces.timeaxis import time_coords

START = obspy.UTCDateTime("2010-09-01")


def stations_of(label: str, rate: float, path) -> obspy.Inventory:
    """A 30 s seismometer in front of an ADC of 1e9 counts a m/s."""
    network, name, location, channel = label.split(".")
    response = inventory.Response.from_paz(
        zeros=[0j, 0j], poles=[-0.1486 + 0.1486j, -0.1486 - 0.1486j], stage_gain=1e9
    )
    response.instrument_sensitivity.value = 1e9
    sensor = inventory.Channel(
        channel, location, -21.2, 55.7, 2000.0, 0.0, azimuth=0.0, dip=-90.0, sample_rate=rate,
        response=response, start_date=START - 1e7,
    )  # fmt: skip
    site = inventory.Station(name, -21.2, 55.7, 2000.0, channels=[sensor], start_date=START - 1e7)
    result = inventory.Inventory([inventory.Network(network, stations=[site])])
    result.write(str(path), "STATIONXML")
    return result


@pytest.fixture(scope="module")
def day(data, tmp_path_factory):
    """A day at 100 Hz of Piton de la Fournaise: Dataset, ObsPy's stream, and its PPSD."""
    path = data("03_noise/ya_uv_20100901") / "SDS/2010/YA/UV06/HHZ.D/YA.UV06.00.HHZ.D.2010.244"
    tmp = tmp_path_factory.mktemp("psd")
    stations = stations_of("YA.UV06.00.HHZ", 100.0, tmp / "stations.xml")
    report = ces.convert(path, tmp / "store", stations=tmp / "stations.xml")
    ds = ces.open_store(tmp / "store")[report.nodes[0]].to_dataset()
    stream = obspy.read(path)
    theirs = PPSD(stream[0].stats, stations)
    theirs.add(stream)
    return ds, theirs


def test_day_of_noise_is_obspys(day):
    ds, theirs = day
    psd = power_spectral_density(ds)
    ces.testing.assert_lazy(psd)
    ours = psd.psd.compute()[0, 0].transpose("time", "period")
    np.testing.assert_allclose(ours.period, theirs.period_bin_centers, rtol=1e-14)
    starts = [np.datetime64(t.datetime, "ns") for t in theirs.times_processed]
    np.testing.assert_array_equal(ours.time.values, starts)
    deviation = np.abs(ours.values - np.array(theirs.psd_values)).max()
    print(f"{ours.size} values, worst deviation {deviation:.1e} dB")
    # Both are rounded to float32 at some 150 dB: 1.5e-5 dB a step.
    assert ours.shape == (47, 121)
    assert deviation < 3.1e-5
    assert ours.attrs["units"] == "dB"


def test_probabilities_are_obspys(day):
    ds, theirs = day
    psd = power_spectral_density(ds)
    ours = probabilistic_psd(psd, percentiles=(0, 5, 50, 90, 100))
    ces.testing.assert_lazy(ours[["histogram", "percentile_psd", "mode_psd", "mean_psd"]])
    ours = ours.compute().isel(station=0, component=0)
    np.testing.assert_array_equal(ours.histogram, theirs.current_histogram)
    np.testing.assert_array_equal(ours.mode_psd, theirs.get_mode()[1])
    assert int(ours.segments) == 47
    # Ours are of the values, ObsPy's of the bins, 1 dB wide: lower edges, and centres.
    np.testing.assert_allclose(ours.mean_psd, theirs.get_mean()[1], rtol=0, atol=0.5)
    for percentile in (5, 50, 90):
        edges = theirs.get_percentile(percentile)[1]
        values = ours.percentile_psd.sel(percentile=percentile).values
        assert np.median(np.abs(values - edges - 0.5)) < 0.5
    values = psd.psd[0, 0].values.T
    np.testing.assert_allclose(ours.percentile_psd.sel(percentile=50), np.median(values, axis=0))
    np.testing.assert_allclose(ours.percentile_psd.sel(percentile=0), values.min(axis=0))


@pytest.mark.parametrize("chunk", [1_000_000, 180_000, 777_777])
def test_chunks_of_time(day, chunk):
    ds = day[0].isel(time=slice(0, 1_500_000))
    expected = power_spectral_density(ds.load())
    lazy = power_spectral_density(ds.chunk(time=chunk))
    ces.testing.assert_lazy(lazy)
    xr.testing.assert_identical(lazy.compute(), expected)


def test_full_responses_of_event_windows():
    """20 Hz records with FIR stages: 42 channels of three events, minutes of them."""
    tree = ces.open_store(ces.samples.german_events("memory://psd-tests"))
    ds = tree["windows/main/observed/20Hz"].to_dataset()
    ours = power_spectral_density(ds, ppsd_length=100.0).compute()
    stations = obspy.read_inventory(str(ces.samples.path("german_events/stations.xml")))
    count = 0
    for event in (0, 2):
        for station, label in enumerate(ds.station.values):
            network, name, location, band = label.split(".")
            for component, letter in enumerate(ds.component.values):
                x = ds.counts[event, station, component].values.astype(float)
                if np.isnan(x).any():
                    continue
                origin = obspy.UTCDateTime(str(ds.origin_time.values[event]))
                header = {"network": network, "station": name, "location": location,
                          "channel": band + letter, "sampling_rate": 20.0,
                          "starttime": origin - 10}  # fmt: skip
                trace = obspy.Trace(x, header)
                theirs = PPSD(trace.stats, stations, ppsd_length=100.0)
                theirs.add(trace)
                np.testing.assert_allclose(
                    # Rounding to float32, and the response kept as polynomials (1e-9).
                    ours.psd[event, station, component].T, np.array(theirs.psd_values), rtol=0,
                    atol=3.1e-5,
                )  # fmt: skip
                count += 1
    assert count > 20


@pytest.mark.parametrize(
    "options",
    [
        # Half an octave holds no period of the transform where these are longest: NaN.
        {"period_smoothing_width_octaves": 0.5, "period_step_octaves": 0.25},
        {"period_limits": (0.1, 20.0)},
        {"ppsd_length": 200.0, "overlap": 0.75},
        {"ppsd_length": 300.0, "overlap": 0.0},
    ],
)
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value encountered")
def test_options_are_obspys(tmp_path, options):
    """White noise of 20 minutes, at 20 Hz, in counts of a seismometer."""
    options = {"ppsd_length": 400.0} | options
    x = np.random.default_rng(0).standard_normal(24_001) * 1000
    stations = stations_of("XX.ONE..BHZ", 20.0, tmp_path / "stations.xml")
    header = {"network": "XX", "station": "ONE", "channel": "BHZ", "sampling_rate": 20.0,
              "starttime": START}  # fmt: skip
    trace = obspy.Trace(x.astype("int32"), header)
    trace.write(str(tmp_path / "one.mseed"), "MSEED")
    report = ces.convert(tmp_path / "one.mseed", tmp_path / "s", stations=tmp_path / "stations.xml")
    ds = ces.open_store(tmp_path / "s")[report.nodes[0]].to_dataset()
    theirs = PPSD(trace.stats, stations, **options)
    theirs.add(trace)
    ours = power_spectral_density(ds, **options).psd.isel(station=0, component=0)
    ours = ours.dropna("time", how="all")
    assert len(theirs.times_processed) == ours.sizes["time"]
    np.testing.assert_allclose(ours.period, theirs.period_bin_centers, rtol=1e-14)
    np.testing.assert_allclose(ours.T, np.array(theirs.psd_values), rtol=0, atol=3.1e-5)


def continuous(values: np.ndarray, quantity: str, rate: int = 20) -> xr.Dataset:
    ds = ces.testing.synthetic_windows(
        events=1, stations=1, components="Z", samples=len(values), sampling_rate=rate,
        quantity=quantity, lazy=False,
    ).isel(event=0)  # fmt: skip
    axis = time_coords(
        samples=len(values), interval=Fraction(1, rate), origin=np.datetime64("2020-01-01")
    )
    ds = ds.drop_vars("time").assign({quantity: ds[quantity].copy(data=values[None, None])})
    return ds.assign_coords(axis)


def test_white_acceleration():
    """Variance v at interval dt: one-sided density 2 v dt; its logarithm lies 10 C/ln 10 lower."""
    values = 1e-6 * np.random.default_rng(0).standard_normal(20 * 36_000)
    psd = power_spectral_density(continuous(values, "acceleration")).psd.isel(station=0)
    short = psd.sel(period=slice(0.2, 2.0)).mean()
    # Periodograms of 17 overlapping, tapered pieces: the mean of their dB is a quarter dB low.
    assert float(short) == pytest.approx(10 * np.log10(2 * 1e-12 / 20), abs=0.4)
    assert float(short) < 10 * np.log10(2 * 1e-12 / 20)


def test_quantities_agree():
    """A sine as displacement, velocity and acceleration."""
    t = np.arange(20 * 7200) / 20
    w = 2 * np.pi * 0.5
    sine = np.sin(w * t)
    densities = [
        power_spectral_density(continuous(w**power * sine, quantity))
        .psd.sel(period=2.0, method="nearest").values
        for power, quantity in enumerate(("displacement", "velocity", "acceleration"))
    ]  # fmt: skip
    for other in densities[1:]:
        # The band is an octave wide, and most of it holds what leaks from the sine.
        np.testing.assert_allclose(other, densities[0], atol=0.6)


def test_gaps_and_dead_channels():
    values = np.random.default_rng(0).standard_normal(20 * 3600 * 3)
    values[20 * 4000] = np.nan
    psd = power_spectral_density(continuous(values, "acceleration")).psd.isel(
        station=0, component=0
    )
    # Segments begin every half hour; the gap, 4000 s on, lies in those from 1800 and 3600 s.
    assert np.isnan(psd).all("period").values.tolist() == [False, True, True, False, False]
    assert psd.time.values[1] == np.datetime64("2020-01-01T00:30")
    dead = power_spectral_density(continuous(np.zeros(72_000), "acceleration")).psd
    assert np.isfinite(dead).all() and (dead < -3000).all()
    histogram = probabilistic_psd(psd.expand_dims("station").to_dataset())
    assert int(histogram.segments[0]) == 3
    nothing = probabilistic_psd(psd.isel(time=[1, 2]).to_dataset())
    assert int(nothing.segments) == 0 and np.isnan(nothing.mode_psd).all()
    assert np.isnan(nothing.percentile_psd).all()


def test_segments_of_odd_rates():
    """Half a segment is no whole number of samples: cut short, and its label stays exact."""
    interval = Fraction(1001, 20_000)
    values = np.random.default_rng(0).standard_normal(30_000)
    ds = continuous(values, "acceleration")
    ds = ds.drop_vars("time").assign_coords(
        time_coords(samples=30_000, interval=interval, origin=np.datetime64("2020-01-01"))
    )
    psd = power_spectral_density(ds, ppsd_length=500.0).psd[0, 0]
    half = int(250 / interval)
    assert psd.dims == ("period", "time") and psd.sizes["time"] == 30_000 // half - 1
    np.testing.assert_array_equal(psd.time.values, ds.time.values[half * np.arange(5)])
    alone = power_spectral_density(ds.isel(time=slice(2 * half, None)), ppsd_length=500.0).psd
    np.testing.assert_array_equal(alone[0, 0], psd[:, 2:])


def test_kept_in_a_store(tmp_path):
    """With its time axis, as waveforms are."""
    values = np.random.default_rng(0).standard_normal(20 * 3600 * 2)
    psd = power_spectral_density(continuous(values, "acceleration"))
    for number, product in enumerate((psd, probabilistic_psd(psd))):
        ces.write(product, tmp_path / str(number))
        again = ces.open_store(tmp_path / str(number)).to_dataset()
        for name in product.data_vars:
            np.testing.assert_array_equal(again[name], product[name])
    kept = ces.open_store(tmp_path / "0").to_dataset()
    np.testing.assert_array_equal(kept.time.values, psd.time.values)


def test_no_response_no_density(day):
    ds = day[0].isel(time=slice(0, 400_000))
    unknown = ds.assign_coords(response_id=ds.response_id * 0 - 1)
    assert np.isnan(power_spectral_density(unknown).psd).all()


def test_float32_records():
    values = 1e-3 * np.random.default_rng(0).standard_normal(72_000)
    double = power_spectral_density(continuous(values, "velocity")).psd
    single = power_spectral_density(continuous(values.astype("float32"), "velocity")).psd
    # White rounding noise 150 dB below.
    np.testing.assert_allclose(single, double, rtol=0, atol=1e-4)


def test_histogram_edges():
    """On an edge counts below, beyond counts at the ends."""
    values = np.array([-200.0, -199.5, -199.0, -198.9, -500.0, -50.0, 0.0, np.nan], "float32")
    product = xr.Dataset(
        {"psd": (("time", "period"), values[:, None], {"units": "dB"})}, coords={"period": [1.0]}
    )
    histogram = probabilistic_psd(product).histogram.isel(period=0)
    assert int(histogram[0]) == 4 and int(histogram[1]) == 1 and int(histogram[-1]) == 2
    assert int(histogram.sum()) == 7
    coarse = probabilistic_psd(product, db_bins=(-200, -100, 50)).histogram
    assert coarse.level.values.tolist() == [-175, -125]


@pytest.mark.parametrize(
    "options, fix",
    [
        ({"ppsd_length": 7200.0}, "hold no segment"),
        ({"ppsd_length": 0.5}, "16 or more"),
        ({"overlap": -0.1}, "give 0, 1/2"),
        ({"period_step_octaves": 0.0}, "positive"),
        ({"period_limits": (5.0, 1.0)}, "two rising"),
    ],
)
def test_misuse(options, fix):
    ds = continuous(np.zeros(72_000), "acceleration")
    with pytest.raises(ParameterError, match=fix):
        power_spectral_density(ds, **options)


def test_misuse_of_counts_and_histograms():
    with pytest.raises(SchemaError, match="stations="):
        power_spectral_density(continuous(np.zeros(72_000), "counts"))
    psd = power_spectral_density(continuous(np.zeros(72_000), "acceleration"))
    with pytest.raises(ParameterError, match="width in dB"):
        probabilistic_psd(psd, db_bins=(-50, -200, 1))
    with pytest.raises(ParameterError, match="0 to 100"):
        probabilistic_psd(psd, percentiles=[101])
    with pytest.raises(SchemaError, match="none of psd"):
        probabilistic_psd(continuous(np.zeros(10), "acceleration"))
