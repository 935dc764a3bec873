"""The recipe: matching, windows, laziness, schedulers, outputs."""

from __future__ import annotations

import json

import dask
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.errors import InputError, ParameterError
from pangeo_ces.workflow.rapid_assessment import PRESETS, rapid_assessment
from pangeo_ces.workflow.run import run_rapid_assessment

BAND = ces.samples.GERMAN_EVENTS


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ces.samples.german_events(str(tmp_path_factory.mktemp("ra") / "german.zarr"))


@pytest.fixture(scope="module")
def outcome(store, tmp_path_factory):
    return run_rapid_assessment(store, tmp_path_factory.mktemp("out"), **BAND)


def test_lazy_until_written(store, monkeypatch):
    """Building the graph reads no sample."""
    tree = ces.open_store(store)

    def refuse(*args, **kwargs):
        raise AssertionError("computed while the graph was built")

    with dask.config.set(scheduler=refuse):
        assessment = rapid_assessment(tree, **BAND)
    for node in assessment.product.subtree:
        ces.testing.assert_lazy(node.to_dataset())


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_schedulers_agree_bit_for_bit(store, scheduler):
    product = rapid_assessment(ces.open_store(store), **BAND).product
    flat = {node.path: node.to_dataset(inherit=False) for node in product.subtree}
    (one,), (two,) = (
        dask.compute(flat, scheduler=how) for how in ("synchronous", scheduler)
    )  # fmt: skip
    for path, ds in one.items():
        xr.testing.assert_identical(ds, two[path])


def test_peaks_of_the_sample(outcome):
    """PGV of the sample's own table (its README: obs peak µm/s at 0.03-0.08 Hz), within 3 %.

    Ours are cut to the common window and tapered by 5 %, theirs by 7 s; ours are rotated from the
    UTM grid to true north.
    """
    fits = pd.read_csv(ces.samples.path("german_events/fits.csv"))
    fits = fits[fits.band_hz == "0.03-0.08"]
    for row in fits.itertuples():
        pgv = {
            side: float(outcome.product[f"{side}/pgv"].sel(
                event=next(e for e in outcome.product["observed"]["event"].values
                           if str(e).startswith(str(row.event))),
                station=f"GR.{row.station}..HH", component=row.component))
            for side in ("observed", "synthetic/specfem")
        }  # fmt: skip
        assert pgv["observed"] * 1e6 == pytest.approx(row.obs_peak_um_s, rel=0.03)
        assert pgv["synthetic/specfem"] * 1e6 == pytest.approx(row.syn_peak_um_s, rel=0.09)


def test_differences(outcome):
    tree = outcome.product
    observed, synthetic = tree["observed"].to_dataset(), tree["synthetic/specfem"].to_dataset()
    for name in ("pga", "pgv", "pgd", "psa"):
        one, two = observed[name].values, synthetic[name].values
        np.testing.assert_array_equal(tree[f"difference/specfem/{name}"], one - two)
        np.testing.assert_array_equal(
            tree[f"relative_difference/specfem/{name}"], (one - two) / one
        )
        np.testing.assert_allclose(tree[f"log_ratio/specfem/{name}"], np.log(one / two), rtol=1e-12)


def test_unmatched_is_listed_not_dropped(outcome):
    (row,) = outcome.report["unmatched"]
    assert row["station"] == "GR.TNS..BX"
    assert row["event"].startswith("20041205")
    assert "no observed of this station for this event" in row["reason"]
    place = {"event": row["event"], "station": "GR.TNS..HH", "component": "larger"}
    # Measured all the same, beside an empty record.
    assert np.isfinite(outcome.product["synthetic/specfem/pgv"].sel(place))
    assert np.isnan(outcome.product["observed/pgv"].sel(place))


def test_outputs(outcome):
    names = {path.rsplit("/", 1)[-1] for path in outcome.files}
    assert {"map.png", "map.html", "stations.geojson", "stations.csv", "peak_motion.zarr",
            "report.json", "amplitudes.xml", "20030222T204104_dat.json",
            "spectra.png"} <= names  # fmt: skip
    # No peak of a record below 0.08 Hz is that of the ground.
    assert not any(name.startswith("attenuation") for name in names)
    files = {path.rsplit("/", 1)[-1]: path for path in outcome.files}
    again = ces.open_store(files["peak_motion.zarr"])
    xr.testing.assert_equal(
        again["observed"].to_dataset(), outcome.product["observed"].to_dataset()
    )
    with open(files["report.json"]) as stream:
        report = json.load(stream)
    assert report["counts"] == {
        "read": 87, "used": 87, "unmatched": 1, "rejected": 0, "warnings": 0,
    }  # fmt: skip
    with open(files["stations.geojson"]) as stream:
        collection = json.load(stream)
    assert collection["type"] == "FeatureCollection"
    places = {
        f["properties"]["station"]: f["geometry"]["coordinates"][:2] for f in collection["features"]
    }
    assert places["BFO"] == [8.3303, 48.3311]
    table = pd.read_csv(files["stations.csv"])
    assert {"pga_observed", "pgv_synthetic_specfem", "psa_15s_observed"} <= set(table.columns)


def test_network_counts_in_matching(store):
    """A synthetic of another network with the same station code is no partner."""
    tree = ces.open_store(store)
    observed = tree["windows/main/observed/20Hz"].to_dataset()
    synthetic = tree["windows/main/synthetic/specfem/2.5Hz"].to_dataset()
    moved = synthetic.assign_coords(
        station=[s.replace("GR.BFO", "XX.BFO") for s in synthetic["station"].values]
    )
    pairs = ces.match(observed, moved)
    assert "GR.BFO..HH" not in pairs.observed["station"].values
    reasons = {(r["station"], r["side"]): r["reason"] for r in pairs.unmatched}
    assert "GR.BFO" in reasons["GR.BFO..HH", "observed"]
    assert "XX.BFO" in reasons["XX.BFO..BX", "synthetic"]


def test_presets():
    assert PRESETS["dare"]["periods"] == (pytest.approx(1 / 0.3), 1.0, pytest.approx(1 / 3))
    assert PRESETS["dare"]["damping"] == 0.1


def test_mixed_rates_and_lone_sides(tmp_path, data):
    """Strong motion at 200 Hz and broadband at 20 Hz in one run, synthetics of a few only."""
    store = str(tmp_path / "s.zarr")
    folder = data("01_strong_motion/itaca_20090406_laquila")
    ces.convert(folder / "mseed", store, stations=folder / "stations.xml",
                event=folder / "event.xml")  # fmt: skip
    outcome = run_rapid_assessment(store, tmp_path / "out", freqmin=None, max_percentage=0.0)
    larger = outcome.product["observed/pga"].sel(component="larger").isel(event=0)
    assert larger.notnull().all()
    with open(folder / "reference.json") as stream:
        reference = json.load(stream)["stations"]
    for label, value in zip(larger["station"].values, larger.values, strict=True):
        channels = reference[str(label).split(".")[1]]["channels"]
        peak = max(abs(channels[c]["pga"]) for c in ("HNN", "HNE"))
        # The recipe takes a linear trend off, which these corrected records hardly have.
        assert value == pytest.approx(peak, rel=2e-3)


def test_misuse(store, tmp_path):
    tree = ces.open_store(store)
    with pytest.raises(InputError, match="no event windows 'other'.*main"):
        rapid_assessment(tree, name="other")
    with pytest.raises(InputError, match="no synthetics nowhere.*specfem"):
        rapid_assessment(tree, models=["nowhere"])
    with pytest.raises(ParameterError, match="response.*sensitivity"):
        rapid_assessment(tree, correction="none")
    with pytest.raises(ParameterError, match="default, dare"):
        run_rapid_assessment(store, tmp_path, preset="best")


def test_band_is_noted_when_not_given(store):
    assessment = rapid_assessment(ces.open_store(store))
    assert any("no freqmax given" in note and "1 Hz" in note for note in assessment.notes)


def test_several_models_and_window_sets(tmp_path, store):
    """A second model gets its own map and differences; another window set stays apart."""
    both = ces.samples.german_events(str(tmp_path / "s.zarr"))
    ces.convert(ces.samples.path("german_events/synthetic/20020722"), both, as_="synthetic/other")
    ces.convert(ces.samples.path("german_events/synthetic/20020722"), both, name="second",
                as_="synthetic/other")  # fmt: skip
    outcome = run_rapid_assessment(both, tmp_path / "out", **BAND)
    assert any(path.endswith("map_specfem.png") for path in outcome.files)
    one, two = (
        outcome.product[f"difference/{model}/pgv"].isel(event=0) for model in ("other", "specfem")
    )
    np.testing.assert_array_equal(one, two)
    assert outcome.product["synthetic/other/pgv"].isel(event=1).isnull().all()
    lone = run_rapid_assessment(both, tmp_path / "lone", name="second", **BAND)
    assert list(lone.product.children) == ["synthetic"]
    assert lone.product["synthetic/other"].sizes["event"] == 1
    assert lone.report["unmatched"] == []


def test_counts_and_physical_units_in_one_node(tmp_path, data):
    """Stations in counts and stations in m/s² at one rate: both are measured."""
    folder, esm = data("01_strong_motion/cwb_20210418_hualien"), tmp_path / "acc"
    esm.mkdir()
    import obspy

    inventory = obspy.read_inventory(folder / "stations.xml")
    stream = obspy.read(folder / "mseed" / "TW.ESL.mseed")
    for trace in stream:
        trace.data = (trace.data * 1e-5).astype("float32")
        trace.stats.station = "ACC"
    stream.write(str(esm / "acc.mseed"), format="MSEED")
    for station in inventory[0]:
        if station.code == "ESL":
            import copy

            twin = copy.deepcopy(station)
            twin.code = "ACC"
            for channel in twin:
                channel.response = obspy.core.inventory.Response.from_paz(
                    [], [], stage_gain=1.0, input_units="M/S**2", output_units="M/S**2"
                )
    inventory[0].stations.append(twin)
    inventory.write(str(tmp_path / "s.xml"), format="STATIONXML")
    store = str(tmp_path / "s.zarr")
    ces.convert([esm, folder / "mseed" / "TW.ESL.mseed"], store, stations=tmp_path / "s.xml",
                event=folder / "event.xml")  # fmt: skip
    outcome = run_rapid_assessment(store, tmp_path / "out")
    pga = outcome.product["observed/pga"].isel(event=0)
    np.testing.assert_allclose(
        pga.sel(station="TW.ACC..HN"), pga.sel(station="TW.ESL..HN"), rtol=1e-4
    )
    assert outcome.report["counts"]["used"] == 6


def test_peaks_of_the_whole_band_are_compared_with_a_published_model(store, tmp_path):
    outcome = run_rapid_assessment(store, tmp_path, models=[], freqmin=0.05, periods=[1.0, 3.0])
    names = {path.rsplit("/", 1)[-1] for path in outcome.files}
    assert {"attenuation.png", "attenuation_20030222T204104.png"} <= names
    again = run_rapid_assessment(
        store, tmp_path / "low", models=[], freqmin=0.5, freqmax=2.0, periods=[0.3, 1.0]
    )
    names = {path.rsplit("/", 1)[-1] for path in again.files}
    assert "attenuation.png" in names  # of the spectrum at 1 s alone
