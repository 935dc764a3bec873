"""Corrected strong-motion records: against those of gmprocess, and step by step."""

from __future__ import annotations

import json

import h5py
import numpy as np
import obspy
import pandas as pd
import pytest
import xarray as xr
from obspy.core import event as quakeml
from obspy.signal.konnoohmachismoothing import konno_ohmachi_smoothing_window

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError, UnitsError
from pangeo_ces.process import corners
from pangeo_ces.process.corners import REASONS
from pangeo_ces.process.correct import correct_record

GRAVITY = 9.80665
PERIODS = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0)
#: gmprocess numbers the horizontals in the order in which it was given them.
GMPROCESS = {"E": "H1", "N": "H2", "Z": "Z"}
CHANNEL = ("station", "component")


@pytest.fixture(scope="module")
def ridgecrest(data, tmp_path_factory) -> tuple[xr.Dataset, dict]:
    """Raw counts with the windows and corners of the reference beside them, and its metrics."""
    folder = data("01_strong_motion/usgs_ci38457511")
    tmp = tmp_path_factory.mktemp("ridgecrest")
    reference = json.loads((folder / "reference_gmprocess.json").read_text())
    event = reference["event"]
    origin = quakeml.Origin(
        time=obspy.UTCDateTime(event["time"]), latitude=event["latitude"],
        longitude=event["longitude"], depth=1000 * event["depth_km"],
    )  # fmt: skip
    obspy.Catalog([quakeml.Event(origins=[origin])]).write(str(tmp / "event.xml"), "QUAKEML")
    report = ces.convert(
        folder / "raw" / "*.mseed", tmp / "store", stations=folder / "raw" / "*.xml",
        event=tmp / "event.xml",
    )  # fmt: skip
    counts = ces.open_store(tmp / "store")[report.nodes[0]].to_dataset().isel(event=0).load()
    stations = {key.split(".")[1]: entry for key, entry in reference["stations"].items()}
    stated = np.full((counts.sizes["station"], 3, 4), np.nan)
    for i, station in enumerate(site(s) for s in counts.station.values):
        for j, c in enumerate(counts.component.values):
            channel = stations[station]["channels"][f"CI.{station}..HN{c}"]
            start = obspy.UTCDateTime(channel["starttime"]) - origin.time
            found = channel.get("corner_frequencies", {})
            stated[i, j] = (
                start - 0.004, start + (channel["npts"] - 1) * channel["delta"] + 0.004,
                found.get("highpass", np.nan), found.get("lowpass", np.nan),
            )  # fmt: skip
    names = ("first", "last", "reference_highpass", "reference_lowpass")
    counts = counts.assign({name: (CHANNEL, stated[..., n]) for n, name in enumerate(names)})
    # The reference cuts 30 s before what it takes for the beginning of the signal.
    return counts.assign(split=counts["first"] + 30.0), stations


def site(label: str) -> str:
    return str(label).split(".")[1]


def deviations(corrected: xr.Dataset, stations: dict) -> pd.DataFrame:
    """Worst relative deviation of each measure from those of gmprocess, all channels."""
    peaks = ces.peak_motion(
        corrected[["acceleration"]], periods=PERIODS, spectrum="absolute", oversampling=1
    ).compute()
    rows = []
    for station in corrected.station.values:
        for metric in stations[site(station)].get("metrics", []):
            period = metric["attributes"].get("period")
            if metric["type"] not in ("PGA", "PGV", "SA"):
                continue
            measure = {"PGA": 100 / GRAVITY * peaks.pga, "PGV": 100 * peaks.pgv}.get(
                metric["type"], 100 / GRAVITY * peaks.sa.sel(period=period or PERIODS[0])
            )
            for c, theirs in GMPROCESS.items():
                ours = float(measure.sel(station=station, component=c))
                ratio = ours / metric["values"][f"Channels(component={theirs})"]
                rows.append((metric["type"], period or 0.0, site(station), c, abs(ratio - 1)))
    table = pd.DataFrame(rows, columns=["type", "period", "station", "component", "deviation"])
    worst = table.loc[table.groupby(["type", "period"]).deviation.idxmax()]
    print(f"\n{worst.to_string(index=False)}\n{len(table)} values")
    measured = set(map(site, corrected.station.values)) - {"SLA"}
    assert len(table) == len(measured) * 3 * (2 + len(PERIODS))
    return worst.set_index("type").deviation.groupby("type").max()


@pytest.mark.parametrize("baseline_order", [None, 6])
def test_corrected_records_of_gmprocess(ridgecrest, baseline_order):
    """With its windows and corners: the same chain, from counts to peaks and spectra."""
    counts, stations = ridgecrest
    corrected = correct_record(
        counts, start="first", stop="last", highpass="reference_highpass",
        lowpass="reference_lowpass", baseline_order=baseline_order,
    )  # fmt: skip
    worst = deviations(corrected, stations)
    # Ends of the taper a few samples elsewhere, filters padded to other lengths.
    assert worst["PGA"] < 4e-3 and worst["SA"] < 3e-3
    # Its velocity is integrated in the frequency domain, without the mean; ours by trapezoid.
    assert worst["PGV"] < 0.02


def test_corners_of_its_own(ridgecrest):
    """The channel that gmprocess rejects is rejected here, and no other."""
    counts, stations = ridgecrest
    corrected = correct_record(counts, start="first", stop="last", split="split").compute()
    reasons = corrected.reason.to_series()
    assert dict(reasons[reasons != ""]) == {("CI.SLA..HN", "N"): "signal-to-noise ratio too low"}
    assert not corrected.passed.sel(station="CI.SLA..HN", component="N")
    assert int(corrected.passed.sum()) == 32
    ratio = corrected.highpass_corner / counts.reference_highpass
    # Two agree to a digit; where the taper of the noise or the drift decide, up to a factor 2.3.
    assert float(ratio.sel(station="CI.CLC..HN", component="Z")) == pytest.approx(1, abs=1e-6)
    assert float(ratio.sel(station="CI.LRL..HN", component="Z")) == pytest.approx(1, abs=1e-6)
    assert float(ratio.min()) > 0.4 and float(ratio.max()) < 2.3
    assert float(corrected.lowpass_corner.max()) == 37.5
    level = corrected.sel(component=["N", "E"])
    assert (level.highpass_corner.std("component") == 0).all()
    worst = deviations(corrected, stations)
    # Peaks depend little on corners of some 0.03 Hz; 3 s do at CI.MPM, which is cut off in the
    # middle of the shaking (0.14 Hz here, 0.21 Hz there).
    assert worst["PGA"] < 0.01 and worst["SA"] < 0.11
    whole = deviations(corrected.drop_sel(station="CI.MPM..HN"), stations)
    assert whole["PGA"] < 0.01 and whole["SA"] < 0.02


def test_a_record_that_stops_early_is_flagged(ridgecrest):
    """CI.MPM stops 67 s into the raw files: no window of 150 s is covered."""
    counts, _ = ridgecrest
    corrected = correct_record(counts, start=-20.0, stop=150.0, highpass=0.05, lowpass=37.5)
    failed = corrected.reason.compute().to_series()
    assert set(failed[failed != ""].index.get_level_values("station")) == {"CI.MPM..HN"}
    assert set(failed[failed != ""]) == {"the record does not cover its window"}
    assert np.isfinite(corrected.acceleration.sel(station="CI.MPM..HN")).any("time").all()


def test_sensitivity_alone(ridgecrest):
    counts, stations = ridgecrest
    corrected = correct_record(
        counts, start="first", stop="last", highpass="reference_highpass",
        lowpass="reference_lowpass", response="sensitivity",
    )  # fmt: skip
    worst = deviations(corrected, stations)
    # What the responses do near 37.5 Hz is left in: 12 % of CI.CLC's vertical PGA.
    assert 4e-3 < worst["PGA"] < 0.13 and worst["SA"] < 0.09


@pytest.fixture
def shaking() -> xr.Dataset:
    """Two stations of acceleration: noise for 15 s, then a hundred times as much, decaying."""
    ds = ces.testing.synthetic_windows(
        events=1, stations=2, samples=6001, quantity="acceleration", lazy=False
    )
    quiet = xr.where(ds.time < 15, 0.01, 1.0)
    ds["acceleration"] = (ds["acceleration"] * quiet).assign_attrs(ds["acceleration"].attrs)
    return ds


@pytest.mark.parametrize("order", [2, 5])
def test_butterworth_is_zero_phase_and_has_its_gain(order):
    time = np.arange(20_000) * 0.01
    window = np.hanning(time.size)
    for frequency in (0.5, 1.0, 3.0, 20.0, 30.0):
        wave = np.sin(2 * np.pi * frequency * time) * window
        ours = corners.butterworth(wave[None], 1.0, 20.0, dt=0.01, order=order)[0]
        gain = (
            (1 + (1 / frequency) ** (2 * order)) * (1 + (frequency / 20) ** (2 * order))
        ) ** -0.5
        # The window makes the line 0.01 Hz wide.
        np.testing.assert_allclose(ours, gain * wave, atol=0.05 * gain)
        assert abs(np.vdot(ours, wave) / np.vdot(wave, wave) - gain) < 2e-3 * gain
    same = corners.butterworth(wave[None], np.nan, np.nan, dt=0.01, order=order)[0]
    np.testing.assert_allclose(same, wave, atol=1e-14)


def test_baseline_takes_off_polynomials_only():
    t = np.linspace(0, 1, 5001)
    # Accelerations of displacement t**2, t**4 and t**6: within the fit.
    drift = 2 + 12 * t**2 - 30 * t**4
    wave = np.sin(2 * np.pi * 40 * t) * np.hanning(t.size)
    ours = corners.baseline(np.stack([drift, drift + 5 * wave]), order=6)
    assert abs(ours[0]).max() < 1e-4 * abs(drift).max()
    assert abs(ours[1] - 5 * wave).max() < 0.02
    np.testing.assert_array_equal(corners.baseline(np.ones((1, 5)), order=6), np.ones((1, 5)))


def test_konno_ohmachi_weights():
    centres, weights = corners._konno_ohmachi(1024, 0.01, 20.0)
    frequencies = np.arange(513) / 10.24
    assert (centres[0], centres[-1]) == (pytest.approx(1 / 10.24), pytest.approx(50))
    for row in (10, 150, 290):
        theirs = konno_ohmachi_smoothing_window(frequencies, centres[row], 20.0)
        near = abs(np.log10(np.maximum(frequencies, 1e-9) / centres[row])) <= 3 / 20
        theirs = np.where(near, theirs, 0)
        np.testing.assert_allclose(weights.toarray()[row], theirs / theirs.sum(), atol=1e-12)


def test_signal_to_noise_of_white_noise_is_that_of_amplitudes():
    random = np.random.default_rng(0)
    x = np.concatenate([random.standard_normal(4000), 300 * random.standard_normal(12_000)])
    frequencies, ratio = corners.signal_to_noise(x, 4000, 0.01, 20.0)
    assert np.isnan(ratio[frequencies < 1 / 120]).all()
    # Amplitudes of noise grow with the root of its duration, and are scaled by the duration.
    expected = 300 * np.sqrt(3) / 3 - 1
    assert np.median(ratio[frequencies > 1]) == pytest.approx(expected, rel=0.05)


def test_reasons(shaking):
    values = shaking.acceleration.values
    values[0, 0, 0] = np.nan
    values[0, 0, 1, 3000:3010] = np.nan
    values[0, 0, 2, 5000:] = np.nan
    values[0, 1, 0] = np.random.default_rng(0).standard_normal(6001)
    split = xr.zeros_like(shaking.acceleration.isel(time=0, drop=True)) + 15.0
    split[0, 1, 1] = 0.0
    ds = shaking.assign(
        begins=split, first=xr.full_like(split, 0.0), last=xr.full_like(split, 59.0)
    )
    corrected = correct_record(
        ds, start="first", stop="last", split="begins", same_horizontals=False
    )
    assert corrected.reason.values[0].tolist() == [
        ["no samples in the window", "gaps in the window", "the record does not cover its window"],
        ["signal-to-noise ratio too low", "noise shorter than 1 s or signal shorter than 5 s", ""],
    ]
    np.testing.assert_array_equal(corrected.passed, corrected.reason == "")
    crossed = correct_record(ds, highpass=30.0, lowpass=20.0)
    assert (crossed.reason.values[0, 1] == "high-pass corner not below low-pass corner").all()
    assert set(corrected.reason.values.ravel()) < set(REASONS)


def test_windows_by_name_by_number_and_open(shaking):
    corners_hz = {"highpass": 0.1, "lowpass": 30.0}
    named = shaking.assign(onset=("station", [5.0, 5.0]), end=("station", [50.0, 50.0]))
    by_name = correct_record(named, start="onset", stop="end", **corners_hz)
    by_number = correct_record(shaking, start=5.0, stop=50.0, **corners_hz)
    np.testing.assert_array_equal(by_name.acceleration, by_number.acceleration)
    for options, first, last in [
        ({"start": 5.0}, 5.0, 59.95), ({"stop": 50.0}, -0.05, 50.0), ({}, -0.05, 59.95)
    ]:  # fmt: skip
        one = correct_record(shaking, **options, **corners_hz)
        assert one.time.values[[0, -1]].tolist() == [first, last]
        assert one.passed.all() and np.isfinite(one.acceleration).all()


def test_drift_raises_the_high_pass_corner(shaking):
    options = {"split": 15.0, "snr_band": (0.5, 5.0), "same_horizontals": False}
    calm = correct_record(shaking, max_drift=None, **options)
    held = correct_record(shaking, max_drift=1e-3, **options)
    assert (held.highpass_corner >= calm.highpass_corner).all()
    assert (held.highpass_corner > calm.highpass_corner).any()
    never = correct_record(shaking, max_drift=1e-12, **options)
    assert set(never.reason.values.ravel()) == {"displacement drifts whatever the high-pass corner"}


def test_chunked_lazy_and_single_precision(shaking):
    eager = correct_record(shaking, start=0.0, stop=59.0, split=15.0)
    lazy = correct_record(shaking.chunk(station=1, component=1), start=0.0, stop=59.0, split=15.0)
    for name in ("acceleration", "highpass_corner", "lowpass_corner", "passed", "reason"):
        assert lazy[name].chunks is not None and eager[name].chunks is None
        np.testing.assert_array_equal(lazy[name].compute(), eager[name])
    single = correct_record(
        shaking.astype({"acceleration": "float32"}),
        start=0.0,
        stop=59.0,
        highpass=0.1,
        lowpass=30.0,
    )
    double = correct_record(shaking, start=0.0, stop=59.0, highpass=0.1, lowpass=30.0)
    assert single.acceleration.dtype == "float32"
    difference = abs(single.acceleration - double.acceleration).max("time")
    # Rounding once a step, of records with an offset of a few peaks.
    assert (difference < 2e-6 * abs(double.acceleration).max("time")).all()


def test_misuse(shaking):
    for options, match in [
        ({}, "need split="),
        ({"split": 5.0, "response": "none"}, "'full' or 'sensitivity'"),
        ({"split": 5.0, "min_snr": 0.0}, "above 0"),
        ({"split": 5.0, "snr_band": (5.0, 0.2)}, "rising"),
        ({"split": 5.0, "max_lowpass": 1.5}, "fraction of the Nyquist"),
        ({"split": 5.0, "order": 0}, "at least 1"),
        ({"split": 5.0, "baseline_order": 1}, "2 or more"),
        ({"split": "onset"}, "assign it"),
        ({"split": "time"}, "has dimensions"),
    ]:
        with pytest.raises(ParameterError, match=match):
            correct_record(shaking, **options)
    with pytest.raises(UnitsError, match="needs one of counts"):
        correct_record(ces.integrate(shaking), highpass=1.0, lowpass=2.0)


@pytest.fixture(scope="module")
def south_napa(data, tmp_path_factory) -> tuple[xr.Dataset, dict]:
    """CE.68150, 7 km from the M 6.0 of 2014: counts, and what the USGS published of the record."""
    folder = data("01_strong_motion/usgs_nc72282711_southnapa")
    tmp = tmp_path_factory.mktemp("napa")
    start = obspy.UTCDateTime("2014-08-24T10:20:21")
    with h5py.File(folder / "asdf_CE.68150_workspace.h5") as workspace:
        (tmp / "event.xml").write_bytes(bytes(workspace["QuakeML"][...]))
        (tmp / "stations.xml").write_bytes(bytes(workspace["Waveforms/CE.68150/StationXML"][...]))
        for name, array in workspace["Waveforms/CE.68150"].items():
            if name.endswith("_unprocessed"):
                _, _, channel = name.partition("__")[0].rpartition(".")
                header = {"network": "CE", "station": "68150", "channel": channel,
                          "delta": 0.005, "starttime": start}  # fmt: skip
                trace = obspy.Trace(array[...], header)
                trace.write(str(tmp / f"{channel}.mseed"), "MSEED")
    report = ces.convert(tmp / "*.mseed", tmp / "store", stations=tmp / "stations.xml",
                         event=tmp / "event.xml")  # fmt: skip
    counts = ces.open_store(tmp / "store")[report.nodes[0]].to_dataset().isel(event=0).load()
    reference = json.loads((folder / "reference_usgs_metrics_CE.68150.json").read_text())
    (metrics,) = reference["metrics"].values()
    return counts, metrics


#: Window, beginning of the signal and corners as the workspace of the USGS has them.
NAPA = {"start": "2014-08-24T10:20:43.32", "stop": "2014-08-24T10:21:18.30",
        "split": "2014-08-24T10:20:45.321962", "highpass": 0.041109969167523124,
        "lowpass": 40.0}  # fmt: skip


def napa_deviations(corrected: xr.Dataset, metrics: list[dict]) -> pd.Series:
    peaks = ces.peak_motion(
        corrected[["acceleration"]], periods=(0.3, 1.0, 3.0), spectrum="absolute", oversampling=1
    ).isel(station=0)
    measures = ces.intensity_measures(corrected[["acceleration"]]).isel(station=0)
    rows = []
    for metric in metrics:
        kind, period = metric["type"], float(metric.get("period", "0.3"))
        ours = {
            "pga": lambda: 100 / GRAVITY * peaks.pga,
            "pgv": lambda: 100 * peaks.pgv,
            "sa": lambda period=period: 100 / GRAVITY * peaks.sa.sel(period=period),
            "cav": lambda: measures.cav / GRAVITY,
        }.get(kind)
        if ours is None:
            continue
        # H1 is the east component here: 37.28 %g, as both say.
        for c, theirs in GMPROCESS.items():
            rows.append((kind, c, float(ours().sel(component=c)) / metric["values"][theirs] - 1))
    table = pd.DataFrame(rows, columns=["type", "component", "deviation"])
    worst = table.deviation.abs().groupby(table["type"]).max()
    print(f"\n{worst.to_string()}")
    return worst


def seconds_after(counts: xr.Dataset, label: str) -> float:
    return float((np.datetime64(label) - counts.origin_time.values) / np.timedelta64(1, "ns") / 1e9)


def test_another_earthquake_with_its_corners(south_napa):
    counts, metrics = south_napa
    window = {k: seconds_after(counts, NAPA[k]) for k in ("start", "stop")}
    given = {k: NAPA[k] for k in ("highpass", "lowpass")}
    worst = napa_deviations(correct_record(counts, **window, **given), metrics)
    # Padding and ends of tapers; its velocity is integrated in the frequency domain.
    assert worst["pga"] < 2e-4 and worst["sa"] < 2e-3 and worst["cav"] < 2e-3
    assert worst["pgv"] < 0.015


def test_another_earthquake_with_corners_of_our_own(south_napa):
    counts, metrics = south_napa
    window = {k: seconds_after(counts, NAPA[k]) for k in ("start", "stop", "split")}
    corrected = correct_record(counts, **window)
    assert corrected.passed.all()
    # Two seconds of noise: a low corner up to three times its, no upper one below the limit.
    assert ((corrected.highpass_corner / NAPA["highpass"]) < 3).all()
    worst = napa_deviations(corrected, metrics)
    assert worst["pga"] < 3e-3 and worst["sa"] < 6e-3 and worst["cav"] < 3e-3
    assert worst["pgv"] < 0.04
