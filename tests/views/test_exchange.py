"""Station lists for ShakeMap and amplitudes in QuakeML: every number and nothing else."""

from __future__ import annotations

import io
import json

import numpy as np
import obspy
import pytest
import xarray as xr
from product import make_product

from pangeo_ces import views
from pangeo_ces.errors import ParameterError

GRAVITY = 9.80665


@pytest.fixture
def tree() -> xr.DataTree:
    return make_product(2, 12)


def test_station_list_has_every_recorded_component_in_its_units(tree):
    ds = tree["observed"].to_dataset().isel(event=1)
    stations = views.to_station_list(tree, event="ev2")
    assert stations["type"] == "FeatureCollection"
    assert stations["metadata"] == {"eventid": "ev2"}
    count = 0
    for feature in stations["features"]:
        network, code = feature["id"].split(".")
        assert feature["properties"]["network"] == network
        label = next(s for s in ds["station"].values if s.startswith(f"{network}.{code}."))
        here = ds.sel(station=label)
        assert feature["geometry"]["coordinates"] == pytest.approx(
            [float(here["longitude"]), float(here["latitude"])], abs=1e-6
        )
        peaks = {}
        for channel in feature["properties"]["channels"]:
            location, _, name = channel["name"].partition(".")
            assert name[:2] == label.split(".")[3]
            assert location == (label.split(".")[2] or "--")
            values = {a["name"]: a for a in channel["amplitudes"]}
            assert set(values) == {"pga", "pgv", "sa(0.3)", "sa(1.0)", "sa(3.0)"}
            row = here.sel(component=name[2])
            expected = {
                "pga": (float(row["pga"]) / GRAVITY * 100, "%g"),
                "pgv": (float(row["pgv"]) * 100, "cm/s"),
                "sa(1.0)": (float(row["psa"].sel(period=1.0)) / GRAVITY * 100, "%g"),
            }
            for key, (value, units) in expected.items():
                assert values[key]["value"] == pytest.approx(value, rel=1e-5)  # six digits
                assert values[key]["units"] == units
                count += 1
            peaks[name[2]] = values["pga"]["value"]
        assert feature["properties"]["pga"] == max(peaks["N"], peaks["E"])
    assert count == 9 * int(ds["pga"].sel(component="N").notnull().sum())


def test_two_instruments_of_a_station_are_one_feature(tree):
    labels = list(tree["observed"]["station"].values)
    labels[1] = labels[0].replace("..HH", ".10.HN")
    groups = {
        node.path: node.to_dataset(inherit=False).assign_coords(station=labels)
        for node in tree.subtree if node.has_data
    }  # fmt: skip
    stations = views.to_station_list(xr.DataTree.from_dict(groups), event=0)
    (feature,) = [f for f in stations["features"] if f["id"] == "GR.BFO"]
    names = [channel["name"] for channel in feature["properties"]["channels"]]
    assert names == ["--.HHZ", "--.HHN", "--.HHE", "10.HNZ", "10.HNN", "10.HNE"]


def test_spectra_of_another_damping_are_left_out(tree):
    groups = {
        node.path: node.to_dataset(inherit=False).assign_coords(damping=0.1)
        for node in tree.subtree if node.has_data
    }  # fmt: skip
    stations = views.to_station_list(xr.DataTree.from_dict(groups))
    names = {a["name"] for f in stations["features"] for c in f["properties"]["channels"]
             for a in c["amplitudes"]}  # fmt: skip
    assert names == {"pga", "pgv"}


def test_a_written_station_list_is_strict_json(tree, tmp_path):
    path = tmp_path / "current" / "ces_dat.json"
    views.write_station_list(views.to_station_list(tree, source="synthetic/specfem"), path)
    found = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert found["features"]
    with pytest.raises(ParameterError, match="use one of observed"):
        views.to_station_list(tree, source="synthetic/other")
    with pytest.raises(ParameterError, match="no event"):
        views.to_station_list(tree, event="nothing")


def test_amplitudes_are_read_back_by_obspy(tree, tmp_path):
    ds = tree["observed"].to_dataset()
    catalog = views.to_catalog(tree)
    views.write_quakeml(catalog, tmp_path / "amplitudes.xml")
    again = obspy.read_events(tmp_path / "amplitudes.xml")
    assert len(again) == 2
    for number, event in enumerate(again):
        assert event.origins[0].latitude == pytest.approx(float(ds["event_latitude"][number]))
        assert event.magnitudes[0].mag == float(ds["magnitude"][number])
        one = ds.isel(event=number).sel(component=["Z", "N", "E"])
        expected = sum(int(one[name].notnull().sum()) for name in ("pga", "pgv", "pgd", "psa"))
        assert len(event.amplitudes) == expected
        for amplitude in event.amplitudes[::7]:
            codes = amplitude.waveform_id
            label = f"{codes.network_code}.{codes.station_code}.{codes.location_code or ''}."
            row = one.sel(station=label + codes.channel_code[:2], component=codes.channel_code[2])
            value = row[amplitude.type.lower()]
            if amplitude.type == "PSA":
                value = value.sel(period=amplitude.period)
                assert amplitude.comments[0].text.endswith("% of critical damping")
            assert amplitude.generic_amplitude == float(value)
            units = {"PGA": "m/(s*s)", "PSA": "m/(s*s)", "PGV": "m/s", "PGD": "m"}
            assert amplitude.unit == units[amplitude.type]


def test_the_same_product_gives_the_same_quakeml(tree):
    def content() -> bytes:
        stream = io.BytesIO()
        views.to_catalog(tree).write(stream, format="QUAKEML")
        return b"\n".join(
            line for line in stream.getvalue().splitlines() if b"creationTime" not in line
        )

    assert content() == content()


def test_identifiers_are_all_different(tree):
    catalog = views.to_catalog(tree)
    names = [str(a.resource_id) for event in catalog for a in event.amplitudes]
    assert len(set(names)) == len(names)
    assert np.all([name.startswith("smi:local/pangeo_ces/amplitude/") for name in names])
