"""Awkward stations and simulations: nothing is mixed up, nothing is lost without a row."""

from __future__ import annotations

import numpy as np
import pytest

import pangeo_ces as ces
from pangeo_ces.workflow.run import run_rapid_assessment

from .conftest import ORIGIN


def assess(store, tmp_path, **parameters):
    return run_rapid_assessment(store, tmp_path / "out", **{"freqmin": None, **parameters})


def reasons(outcome):
    return " | ".join(row["reason"] for row in outcome.report["rows"])


def test_simulations_of_a_main_and_an_aftershock_stay_apart(scene, tmp_path):
    """The aftershock's origin lies inside the main shock's simulation."""
    later = ORIGIN + 30
    main, after = scene.simulation("one", peak=1.0), scene.simulation("two", later, peak=0.01)
    event = scene.event(ORIGIN, later)
    ces.convert([main, after], tmp_path / "s.zarr", event=event, as_="synthetic/m")
    product = assess(tmp_path / "s.zarr", tmp_path, freqmax=5.0).product
    pgv = product["synthetic/m/pgv"].sel(component="Z").values.ravel()
    assert pgv[0] == pytest.approx(100 * pgv[1], rel=1e-3)


def test_simulation_of_an_unknown_event_is_refused(scene, tmp_path):
    run = scene.simulation("one", ORIGIN + 3600)
    with pytest.raises(ces.errors.InputError, match="nothing could be used"):
        ces.convert(run, tmp_path / "s.zarr", event=scene.event(), as_="synthetic/m")


def test_a_stub_component_does_not_cut_the_station(scene, tmp_path):
    whole = scene.record(samples={"Z": 6000, "N": 6000, "E": 3}).convert()
    outcome = assess(whole, tmp_path)
    pgv = outcome.product["observed/pgv"].isel(event=0, station=0)
    assert float(pgv.sel(component="Z")) > 1e-5
    assert np.isnan(pgv.sel(component="E"))
    assert "much shorter" in reasons(outcome)


def test_each_station_from_the_quantity_it_has(scene, tmp_path):
    run = scene.simulation("m", kinds="vd", stations="AB")
    outcome = assess(scene.convert(run), tmp_path, freqmin=0.1, freqmax=5.0, quantity="velocity")
    pgv = outcome.product["synthetic/m/pgv"].sel(component="Z").isel(event=0)
    assert pgv.notnull().all()
    assert outcome.report["counts"]["rejected"] == 0


def test_a_shorter_model_changes_neither_record_nor_other_model(scene, tmp_path):
    long, short = scene.simulation("long"), scene.simulation("short", end=6.0)
    event = scene.record(start=-2.0, samples=5000).event()
    alone = assess(scene.convert(long, event=event), tmp_path, freqmax=5.0)
    both = assess(scene.convert(long, short, event=event), tmp_path, freqmax=5.0)
    for path in ("observed/pgv", "synthetic/long/pgv", "difference/long/pgv"):
        np.testing.assert_array_equal(alone.product[path], both.product[path])
    assert any("short does not last as long" in note for note in both.report["notes"])
    common = both.product["observed_common/short/pgv"]
    difference = common.values - both.product["synthetic/short/pgv"].values
    np.testing.assert_array_equal(both.product["difference/short/pgv"], difference)


def test_freqmax_above_the_simulation_is_lowered_for_both(scene, tmp_path):
    coarse = scene.simulation("coarse", dt=0.25)
    outcome = assess(scene.record().convert(coarse), tmp_path, freqmax=5.0)
    assert any("1.6 Hz" in note and "both sides" in note for note in outcome.report["notes"])


def test_events_of_the_same_second(scene, tmp_path):
    event = scene.event(ORIGIN, ORIGIN + 0.5, ORIGIN + 0.9)
    tree = ces.open_store(scene.record().convert(event=event))
    assert tree["windows/main"]["event"].values.tolist() == [
        "20200101T000000", "20200101T000000-2", "20200101T000000-3",
    ]  # fmt: skip


def test_horizontals_without_azimuth_are_reported(scene, tmp_path):
    outcome = assess(scene.record(components="Z12").convert(), tmp_path)
    assert "2 of 3 components without a value" in reasons(outcome)


def test_two_sensors_under_one_label(scene, tmp_path):
    outcome = assess(scene.record(components="ZNE12").convert(), tmp_path)
    pgv = outcome.product["observed/pgv"].isel(event=0, station=0)
    assert pgv.sel(component=["Z", "N", "E", "larger"]).notnull().all()
    assert "2 of 5 components" in reasons(outcome)


def test_one_station_at_two_rates(scene, tmp_path):
    scene.record(rate=100.0).record(rate=20.0, samples=1200)
    outcome = assess(scene.convert(), tmp_path)
    assert "another sampling rate" in reasons(outcome)
    assert outcome.report["counts"]["used"] == 3


def test_noise_before_the_origin_is_no_ground_motion(scene, tmp_path):
    scene.record("A").record("B", start=-100.0)
    outcome = assess(scene.convert(), tmp_path)
    assert "ends before the origin" in reasons(outcome)
    assert (
        outcome.product["observed"]["station"].values.tolist() == ["XX.A..HH"]
        or np.isnan(outcome.product["observed/pgv"].sel(station="XX.B..HH")).all()
    )


def test_a_slow_station_does_not_stop_the_others(scene, tmp_path):
    scene.record("A").record("B", rate=1.0, samples=600)
    outcome = assess(scene.convert(), tmp_path, freqmin=1.0, freqmax=5.0)
    assert "not below the Nyquist frequency 0.5 Hz" in reasons(outcome)
    assert outcome.report["counts"]["used"] == 3


def test_sensors_of_two_kinds_by_sensitivity(scene, tmp_path):
    scene.record("A").record("B", units="M/S**2")
    outcome = assess(scene.convert(), tmp_path, freqmin=0.1, correction="sensitivity")
    assert outcome.report["counts"]["used"] == 6


def test_infinite_sample_is_a_gap(scene, tmp_path):
    import obspy

    store = scene.record("A", name="x")
    path = next((scene.folder / "observed").glob("A.HHN*"))
    (trace,) = obspy.read(path)
    trace.data = trace.data.astype("float32")
    trace.data[3000] = np.inf
    trace.stats.pop("mseed")
    trace.write(str(path), format="MSEED")
    outcome = assess(store.convert(), tmp_path)
    assert outcome.product["observed/pgv"].sel(component=["Z", "N", "E"]).notnull().all()
