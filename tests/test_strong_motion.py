"""Peak motion and spectra against numbers of other authorities, through the public path."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
import pytest
import xarray as xr
from obspy.core import event as quakeml
from obspy.core.inventory import Response

import pangeo_ces as ces
from pangeo_ces.timeaxis import time_coords, time_index

ROOT = "01_strong_motion"
GRAVITY = 9.80665
COLUMNS = ["station", "component", "measure", "ours", "reference"]


def write_event(path: Path, time: str, latitude: float, longitude: float, depth_km: float) -> Path:
    origin = quakeml.Origin(
        time=obspy.UTCDateTime(time), latitude=latitude, longitude=longitude, depth=depth_km * 1e3
    )
    obspy.Catalog([quakeml.Event(origins=[origin])]).write(str(path), "QUAKEML")
    return path


def opened(inputs, store: Path, **where) -> xr.Dataset:
    """Convert to a store and open its only node, which is of a single event."""
    report = ces.convert(inputs, store, **where)
    (path,) = report.nodes
    return ces.open_store(store)[path].to_dataset().isel(event=0)


def site(label: str) -> str:
    return label.split(".")[1]


def assert_close(rows: Iterable[tuple], tolerance: float, count: int) -> None:
    """Print station by station, and hold the worst relative deviation against the tolerance."""
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["deviation"] = table.ours / table.reference - 1
    print(f"\n{table.to_string(index=False, formatters={'deviation': '{:+.1e}'.format})}")
    worst = table.deviation.abs().max(skipna=False)
    print(f"{len(table)} values, worst deviation {worst:.1e} (tolerance {tolerance:.1e})")
    assert len(table) == count
    assert worst < tolerance


def test_cwb_hualien_pga(data, tmp_path):
    folder = data(f"{ROOT}/cwb_20210418_hualien")
    counts = opened(
        folder / "mseed", tmp_path / "store",
        stations=folder / "stations.xml", event=folder / "event.xml",
    )  # fmt: skip
    peaks = ces.peak_motion(ces.remove_sensitivity(counts), periods=()).compute()
    reference = json.loads((folder / "reference.json").read_text())["stations"]
    rows = [
        (site(station), c, "pga", 100 * float(peaks.pga.sel(station=station, component=c)),
         reference[site(station)]["channels"][f"HN{c}"]["pga_gal"])
        for station in peaks.station.values for c in "ZNE"
    ]  # fmt: skip
    # Counts are whole units of 0.001 gal; dividing them in float32 costs one rounding, 6e-8.
    assert_close(rows, 1e-6, count=156)
    for station in peaks.station.values:
        larger = 100 * float(peaks.pga.sel(station=station, component="larger"))
        assert larger == pytest.approx(reference[site(station)]["pga_max_horizontal_gal"], rel=1e-6)


@pytest.fixture(scope="module")
def laquila(data, tmp_path_factory):
    folder = data(f"{ROOT}/itaca_20090406_laquila")
    acceleration = opened(
        folder / "mseed", tmp_path_factory.mktemp("laquila") / "store",
        stations=folder / "stations.xml", event=folder / "event.xml",
    )  # fmt: skip
    return acceleration, json.loads((folder / "reference.json").read_text())["stations"]


def channels(reference: dict, peaks: xr.Dataset):
    for station in peaks.station.values:
        for code, values in reference[site(station)]["channels"].items():
            yield station, code[-1], values, peaks.sel(station=station, component=code[-1])


def test_itaca_laquila_pga_and_pgv(laquila):
    acceleration, reference = laquila
    peaks = ces.peak_motion(acceleration, periods=()).compute()
    rows = [
        (site(station), c, name, float(ours[name]), values[name])
        for station, c, values, ours in channels(reference, peaks) for name in ("pga", "pgv")
    ]  # fmt: skip
    # The records are stored as float32; both sides integrate by trapezoid from zero.
    assert_close(rows, 1e-6, count=42)


def worst_spectra(acceleration: xr.Dataset, reference: dict, periods: list[float], damping: float):
    """The worst of the periods, for every station and component."""
    printed = reference["AQG"]["channels"]["HNN"]["psa"]["period_s"]
    rows = [printed.index(period) for period in periods]
    peaks = ces.peak_motion(acceleration, periods=periods, damping=damping, oversampling=1)
    for station, c, values, ours in channels(reference, peaks.compute()):
        theirs = np.array(values["psa"][f"damping_{100 * damping:02.0f}pct"])[rows]
        worst = int(np.abs(ours.psa.values / theirs - 1).argmax())
        yield site(station), c, f"psa({periods[worst]} s)", float(ours.psa[worst]), theirs[worst]


@pytest.mark.parametrize(
    "damping, tolerance",
    # Both solve the oscillator exactly for acceleration linear between samples; we look for the
    # maximum at the samples only, which misses up to 1 - cos(pi dt/T) = 0.14 % at 0.3 s.
    [(0.05, 1e-3), (0.10, 1.5e-3)],
)
def test_itaca_laquila_pseudo_spectra(laquila, damping, tolerance):
    acceleration, reference = laquila
    periods = [p for p in reference["AQG"]["channels"]["HNN"]["psa"]["period_s"] if p >= 0.3]
    assert len(periods) == 56
    assert_close(worst_spectra(acceleration, reference, periods, damping), tolerance, count=21)


@pytest.mark.parametrize("damping", [0.05, 0.10])
def test_itaca_laquila_pseudo_spectra_of_short_periods(laquila, damping):
    """ITACA looks for the maximum between samples too, on straight lines between them."""
    acceleration, reference = laquila
    periods = [p for p in reference["AQG"]["channels"]["HNN"]["psa"]["period_s"] if 0 < p < 0.3]
    assert len(periods) == 21
    fine = subdivided(acceleration, 10)
    # ITACA's own subdivision depends on the period and is not printed.
    assert_close(worst_spectra(fine, reference, periods, damping), 5e-3, count=21)


def subdivided(ds: xr.Dataset, factor: int) -> xr.Dataset:
    """Straight lines between the samples."""
    values = ds["acceleration"].values.astype(float)
    places = np.arange((values.shape[-1] - 1) * factor + 1) / factor
    records = values.reshape(-1, values.shape[-1])
    fine = np.stack([np.interp(places, np.arange(row.size), row) for row in records])
    fine = fine.reshape(*values.shape[:-1], -1)
    axis = time_coords(samples=places.size, interval=time_index(ds).interval / factor)
    data = (("station", "component", "time"), fine, {"units": "m s-2"})
    return ds.drop_dims("time").assign(acceleration=data).assign_coords(axis)


@pytest.fixture(scope="module")
def ridgecrest(data, tmp_path_factory):
    """Processed traces of the reference, its numbers by station, and the event file."""
    folder = data(f"{ROOT}/usgs_ci38457511")
    tmp = tmp_path_factory.mktemp("ridgecrest")
    reference = json.loads((folder / "reference_gmprocess.json").read_text())
    event = reference["event"]
    place = (event["time"], event["latitude"], event["longitude"], event["depth_km"])
    event_file = write_event(tmp / "event.xml", *place)
    inventory = obspy.Inventory()
    for path in sorted((folder / "raw").glob("*.xml")):
        inventory += obspy.read_inventory(path)
    for channel in (c for network in inventory for station in network for c in station):
        # The processed traces are in cm/s²: 100 counts a m/s².
        channel.response = Response.from_paz([], [], 100.0, input_units="M/S**2")
    inventory.write(str(tmp / "stations.xml"), "STATIONXML")
    counts = opened(
        folder / "processed_gmprocess", tmp / "store", stations=tmp / "stations.xml",
        event=event_file,
    )  # fmt: skip
    metrics = {site(key): entry for key, entry in reference["stations"].items()}
    return ces.remove_sensitivity(counts), metrics, event_file, folder


#: gmprocess numbers the horizontals in the order in which it was given them.
GMPROCESS = {"E": "H1", "N": "H2", "Z": "Z"}


def compared(peaks: xr.Dataset, metrics: dict, kind: str, period: float | None = None):
    """Rows of one gmprocess metric, every station and component."""
    name, scale = {"PGA": ("pga", 100 / GRAVITY), "PGV": ("pgv", 100.0),
                   "SA": ("sa", 100 / GRAVITY)}[kind]  # fmt: skip
    chosen = peaks[name] if period is None else peaks[name].sel(period=period)
    for station in peaks.station.values:
        (values,) = (
            m["values"] for m in metrics[site(station)]["metrics"]
            if m["type"] == kind and m["attributes"].get("period") == period
        )  # fmt: skip
        for c, theirs in GMPROCESS.items():
            ours = scale * float(chosen.sel(station=station, component=c))
            label = kind if period is None else f"{kind}({period} s)"
            yield site(station), c, label, ours, values[f"Channels(component={theirs})"]


def test_gmprocess_pga_of_processed_records(ridgecrest):
    acceleration, metrics, *_ = ridgecrest
    peaks = ces.peak_motion(acceleration, periods=()).compute()
    # float32 records, scaled once more in float32.
    assert_close(compared(peaks, metrics, "PGA"), 1e-6, count=30)


def test_gmprocess_absolute_spectra_of_processed_records(ridgecrest):
    acceleration, metrics, *_ = ridgecrest
    periods = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0)
    peaks = ces.peak_motion(
        acceleration, periods=periods, spectrum="absolute", oversampling=1
    ).compute()
    rows = [row for period in periods for row in compared(peaks, metrics, "SA", period)]
    # The same recursion on both sides (ObsPy's and ours), on float32 records.
    assert_close(rows, 1e-6, count=210)


def test_gmprocess_pgv_of_processed_records(ridgecrest):
    """The trapezoid keeps the offset that a frequency-domain integral drops."""
    acceleration, metrics, *_ = ridgecrest
    peaks = ces.peak_motion(acceleration, periods=()).compute()
    # Two definitions of velocity, which lie up to 15 % apart on these records.
    assert_close(compared(peaks, metrics, "PGV"), 0.16, count=30)


def test_gmprocess_pgv_by_its_own_integral(ridgecrest):
    """With velocity integrated as gmprocess does, the 15 % above are gone."""
    acceleration, metrics, *_ = ridgecrest
    velocity = xr.full_like(acceleration["acceleration"], np.nan).compute()
    for record, out in zip(
        acceleration["acceleration"].values.reshape(-1, velocity.sizes["time"]),
        velocity.values.reshape(-1, velocity.sizes["time"]), strict=True,
    ):  # fmt: skip
        there = np.flatnonzero(np.isfinite(record))
        run = slice(there[0], there[-1] + 1)
        spectrum = np.fft.rfft(record[run].astype(float))
        frequency = np.fft.rfftfreq(run.stop - run.start, 0.01)
        spectrum[0] = 0.0
        spectrum[1:] /= 2j * np.pi * frequency[1:]
        out[run] = np.fft.irfft(spectrum, run.stop - run.start)
    integrated = acceleration.drop_vars("acceleration").assign(
        velocity=velocity.assign_attrs(units="m s-1")
    )
    peaks = ces.peak_motion(integrated, periods=()).compute()
    # 0.52 % remain: gmprocess pads and high-passes once more around its integral.
    assert_close(compared(peaks, metrics, "PGV"), 6e-3, count=30)


def test_gmprocess_pga_of_raw_records(ridgecrest, tmp_path):
    _, metrics, event, folder = ridgecrest
    counts = opened(
        folder / "raw" / "*.mseed", tmp_path / "store", stations=folder / "raw" / "*.xml",
        event=event,
    )  # fmt: skip
    acceleration = counts.pipe(ces.detrend, type="constant").pipe(ces.remove_sensitivity)
    passed = [s for s in acceleration.station.values if metrics[site(s)]["passed"]]
    peaks = ces.peak_motion(acceleration.sel(station=passed), periods=()).compute()
    # gmprocess filters (corners of 0.03 to 0.1 Hz and up to 37.5 Hz) and we do not: a sanity band.
    assert_close(compared(peaks, metrics, "PGA"), 0.15, count=30)


V2 = {
    "lahabra": ("cisn_ci15481673_lahabra/CIWLT.V2.gz", "2014-03-29T04:09:42.17", 33.9325, -117.9158,
                5.09),
    "napa": ("usgs_nc72282711_southnapa/cisn_v2/CE58667.V2.gz", "2014-08-24T10:20:44.07", 38.2152,
             -122.3123, 11.12),
}  # fmt: skip
#: Measure, and its place among the real header values, of each series of a V2 file.
MOTIONS = {"acceleration": ("pga", 65), "velocity": ("pgv", 67), "displacement": ("pgd", 69)}


def cisn(data, tmp_path: Path, name: str) -> tuple[xr.Dataset, list[str], Path]:
    """A V2 file as Dataset, its components in the order of the file, and its path."""
    file, *place = V2[name]
    path = data(f"{ROOT}/{file}")
    ds = opened(path, tmp_path / "store", event=write_event(tmp_path / "event.xml", *place))
    text = gzip.decompress(path.read_bytes()).decode()
    sensors = re.findall(r"^Corrected accelerogram.*Chan\s+\d: +(.*?) {2}", text, re.MULTILINE)
    letters = {"90 Deg": "E", "360 Deg": "N", "0 Deg": "N", "Up": "Z", "H1": "1", "H2": "2"}
    return ds.isel(station=0), [letters[sensor.strip()] for sensor in sensors], path


@pytest.mark.parametrize("name", V2)
def test_cisn_peaks(data, tmp_path, name):
    ds, components, path = cisn(data, tmp_path, name)
    rows = []
    for component, stated in zip(components, real_headers(path), strict=True):
        for quantity, (measure, place) in MOTIONS.items():
            peaks = ces.peak_motion(ds[[quantity]], periods=()).compute()
            ours = 100 * float(peaks[measure].sel(component=component))
            rows.append((path.name[:7], component, measure, ours, abs(stated[place])))
    # La Habra's header has three decimals (cm/s², cm/s, cm), South Napa's eight digits.
    tolerance = {"lahabra": 5.1e-4, "napa": 1e-6}[name]
    for *_, ours, reference in rows:
        assert ours == pytest.approx(reference, rel=1e-6, abs=tolerance)
    assert_close(rows, {"lahabra": 5e-4, "napa": 1e-6}[name], count=9)


def real_headers(path: Path) -> list[np.ndarray]:
    """The hundred real header values of each channel, ten columns each."""
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    data = [n for n, line in enumerate(lines) if "points of accel data" in line]
    return [
        np.array([float("".join(lines[n - 13 : n])[10 * i : 10 * i + 10]) for i in range(100)])
        for n in data
    ]


@pytest.mark.parametrize("spectrum, block", [("pseudo", 3), ("absolute", 2)])
def test_cisn_spectra(data, tmp_path, spectrum, block):
    """V3 files print both: Sa is the absolute and Pssv * w the pseudo-spectral acceleration."""
    ds, components, path = cisn(data, tmp_path, "lahabra")
    tables = v3_tables(path.with_name("CIWLT.V3.gz"))
    rows = []
    for component, (periods, values) in zip(components, tables, strict=True):
        # In inches and g.
        scale = 0.0254 * 2 * np.pi / periods if spectrum == "pseudo" else GRAVITY
        kept = periods >= 0.2
        peaks = ces.peak_motion(
            ds[["acceleration"]], periods=periods[kept], spectrum=spectrum, oversampling=1
        ).compute()
        ours = peaks["psa" if spectrum == "pseudo" else "sa"].sel(component=component).values
        theirs = (values[block] * scale)[kept]
        for period, *pair in zip(periods[kept], ours, theirs, strict=True):
            rows.append(("WLT", component, f"{spectrum}({period} s)", *pair))
    # V3 prints three digits: half of the last one is up to 0.5 %.
    assert_close(rows, 5.1e-3, count=3 * 61)


def v3_tables(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Periods, and Sd, Sv, Sa, Pssv of 5 % damping in inches and g, of each channel."""
    found = []
    for text in gzip.decompress(path.read_bytes()).decode().split("Response and Fourier")[1:]:
        before, _, after = text.partition("Fourier amplitude spectra in in/sec.")
        damped = after.partition("Damping =  .05.")[2]
        printed = before.splitlines()[-13:] + damped.splitlines()[1:53]
        table = np.array([float(x) for line in printed for x in re.findall(r".{10}", line)])
        periods, *values = table.reshape(5, 100)[:, :86]  # the rest are zeros
        found.append((periods, values))
    return found


def test_esm_pga(data, tmp_path):
    folder = data(f"{ROOT}/esm_us60004wsq_greece")
    event = write_event(tmp_path / "event.xml", "2019-07-28T16:09:08", 38.137, 23.551, 10.0)
    peaks = ces.peak_motion(opened(folder / "*.ASC", tmp_path / "store", event=event), periods=())
    rows = []
    for path in sorted(folder.glob("*.ASC")):
        stated = re.search(r"PGA_CM/S\^2: (\S+)", path.read_text())
        component = path.name.split(".")[3][-1]
        ours = 100 * abs(float(peaks.pga.isel(station=0).sel(component=component)))
        rows.append(("ARS1", component, "pga", ours, abs(float(stated[1]))))
    # The header prints what the file holds; metres and back cost a rounding of float64.
    assert_close(rows, 1e-12, count=3)


def test_bbp_northridge_spectra(data, tmp_path):
    """Pseudo-spectra of both horizontals by the Broadband Platform, in g."""
    folder = data(f"{ROOT}/scec_bbp_northridge_gp")
    event = write_event(tmp_path / "event.xml", "1970-01-01T00:00:00", 34.344, -118.515, 5.0)
    ds = opened(folder / "*.acc.bbp", tmp_path / "store", event=event)
    rows = []
    for station in ds.station.values:
        (path,) = folder.glob(f"*.{site(station)}.rd100")
        table = np.loadtxt(path)
        table = table[(table[:, 0] >= 0.1) & (table[:, 0] <= 3.0)]
        peaks = ces.peak_motion(ds.sel(station=station), periods=table[:, 0], oversampling=8)
        for column, component in enumerate("NE", 1):
            ours = peaks.psa.sel(component=component).values / GRAVITY
            for period, *pair in zip(table[:, 0], ours, table[:, column], strict=True):
                rows.append((site(station), component, f"psa({period} s)", *pair))
    # BBP resamples band-limited with a kernel of its own, and prints five digits.
    assert_close(rows, 2e-3, count=198)


@pytest.mark.parametrize("band", [(0.03, 0.08), (0.03, 0.1)])
def test_german_events_fit(band):
    """Recorded against simulated, with the numbers of a comparison by plain ObsPy and NumPy."""
    tree = ces.open_store(ces.samples.german_events("memory://german-fit"))
    pair = ces.match(
        tree["windows/main/observed/20Hz"].to_dataset(),
        tree["windows/main/synthetic/specfem/2.5Hz"].to_dataset(),
    )
    assert [(row["station"], row["event"][:8]) for row in pair.unmatched] == [
        ("GR.TNS..BX", "20041205")
    ]
    velocity = (
        pair.observed.pipe(ces.detrend).pipe(ces.taper, max_percentage=0.03)
        .pipe(ces.remove_response, pre_filt=(0.008, 0.015, 4, 8), zero_mean=False, taper=False)
    )  # fmt: skip
    fit = ces.waveform_fit(in_band(velocity, band), in_band(pair.synthetic, band)).compute()
    reference = pd.read_csv(ces.samples.path("german_events/fits.csv"))
    reference = reference[reference.band_hz == f"{band[0]}-{band[1]}"]
    assert len(reference) == 42
    events = {str(event)[:8]: event for event in fit.event.values}
    ours, theirs = [], []
    for row in reference.itertuples():
        one = fit.sel(event=events[str(row.event)], station=f"GR.{row.station}..HH")
        one = one.sel(component=row.component)
        ours.append([float(one[name]) for name in FIT])
        theirs.append([getattr(row, name) for name in FIT.values()])
    difference = pd.DataFrame(np.subtract(ours, theirs), columns=list(FIT))
    difference["amplitude_ratio"] /= np.array(theirs)[:, 3]
    difference.index = reference.event.astype(str) + " " + reference.station + reference.component
    print(f"\n{difference.round(3).to_string()}\nworst: {difference.abs().max().to_dict()}")
    # The reference resamples with a kernel of its own before it tapers, and prints three digits.
    assert (difference[["cc", "cc_best", "amplitude_ratio"]].abs() < 0.02).all(axis=None)
    assert (difference["time_shift"].abs() < 0.2 + 1e-9).all()  # one sample


FIT = {"cc": "cc_zero_lag", "cc_best": "cc_best", "time_shift": "obs_minus_syn_lag_s",
       "amplitude_ratio": "amp_ratio_syn_over_obs"}  # fmt: skip


def in_band(ds: xr.Dataset, band: tuple[float, float]) -> xr.Dataset:
    return (
        ds.pipe(ces.cut, start=-10.0, stop=219.6)
        .pipe(ces.taper, max_percentage=None, max_length=7.0)
        .pipe(ces.bandpass, freqmin=band[0], freqmax=band[1], corners=3, zerophase=True)
        .pipe(ces.interpolate, sampling_rate=5.0, start=-9.8, stop=219.6)
    )
