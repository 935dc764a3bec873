from __future__ import annotations

import json
import subprocess
import sys

import fsspec
import numpy as np
import pandas as pd
import pytest
from product import make_product

from pangeo_ces.errors import InputError, ParameterError
from pangeo_ces.views.documents import to_geojson, to_table, write_geojson, write_table


def test_geojson_is_a_strict_feature_collection(three_events, tmp_path):
    write_geojson(to_geojson(three_events), tmp_path / "p.geojson")
    text = (tmp_path / "p.geojson").read_text()
    assert "NaN" not in text and "Infinity" not in text
    collection = json.loads(text)
    assert collection["type"] == "FeatureCollection"
    assert "crs" not in collection
    observed = three_events["observed"]
    assert len(collection["features"]) == 5
    for i, feature in enumerate(collection["features"]):
        assert feature["type"] == "Feature"
        assert feature["geometry"] == {
            "type": "Point",
            "coordinates": [
                round(float(observed.longitude[i]), 6), round(float(observed.latitude[i]), 6),
            ],
        }  # fmt: skip
    assert collection["bbox"] == [7.27, 48.16, 11.28, 51.84]
    assert collection["units"] == {"pga": "m s-2", "pgv": "m s-1", "pgd": "m", "psa": "m s-2"}
    assert collection["damping"] == 0.05
    assert collection["events"][1]["name"] == "Rambervillers"
    assert collection["events"][1]["depth_km"] == 12


def test_geojson_holds_the_values_of_the_tree(three_events):
    collection = to_geojson(three_events)
    for feature in collection["features"]:
        properties = feature["properties"]
        for event, here in properties["events"].items():
            at = {"event": event, "station": properties["id"]}
            for component in ("Z", "larger"):
                for kind in ("observed", "synthetic", "difference", "log_ratio"):
                    path = kind if kind == "observed" else f"{kind}/specfem"
                    shown = here[kind] if kind == "observed" else here[kind]["specfem"]
                    ds = three_events[path].to_dataset().sel(at | {"component": component})
                    expected = float(ds["pgv"])
                    got = shown[component]["pgv"]
                    assert got == expected or (got is None and np.isnan(expected))
                    expected = float(ds["psa"].sel(period=0.3))
                    got = shown[component]["psa"]["0.3"]
                    assert got == expected or (got is None and np.isnan(expected))
    gaps = collection["features"][1]["properties"]["events"]["ev3"]
    assert gaps["observed"]["Z"]["pga"] is None
    assert gaps["synthetic"]["specfem"]["Z"]["pga"] > 0


def test_geojson_properties(product):
    properties = to_geojson(product)["features"][0]["properties"]
    assert (properties["network"], properties["station"]) == ("GR", "BFO")
    assert (properties["location"], properties["channel"]) == ("", "HH")
    here = properties["events"]["ev1"]
    assert here["origin_time"] == "2002-07-22T05:45:04Z"
    distance = float(product["observed"]["epicentral_distance"][0, 0])
    assert here["epicentral_distance_km"] == pytest.approx(distance / 1e3, abs=1e-6)


def test_geojson_box_across_the_antimeridian(product):
    lons = ("station", [178.0, -179, 179, -178, 540.5])
    tree = product.map_over_datasets(
        lambda ds: ds.assign_coords(longitude=lons) if "station" in ds.dims else ds
    )
    collection = to_geojson(tree)
    assert collection["bbox"][0] == 178 and collection["bbox"][2] == -178
    assert collection["features"][4]["geometry"]["coordinates"][0] == -179.5


def test_groups_of_other_stations_are_refused(product):
    tree = product.copy()
    tree["synthetic/specfem"] = tree["synthetic/specfem"].isel(station=slice(3))
    with pytest.raises(InputError, match="align"):
        to_geojson(tree)


def test_table_has_a_row_for_each_event_station_and_component(three_events):
    table = to_table(three_events)
    assert len(table) == 3 * 5 * 6
    row = table[
        (table.event == "ev2") & (table.station == "FUR") & (table.component == "vector")
    ].iloc[0]
    at = {"event": "ev2", "station": "GR.FUR..HH", "component": "vector"}
    ds = three_events["synthetic/specfem"].to_dataset().sel(at)
    assert row.pgv_synthetic_specfem == float(ds["pgv"])
    assert row["psa_0.3s_synthetic_specfem"] == float(ds["psa"].sel(period=0.3))
    assert row.epicentral_distance_km == float(ds["epicentral_distance"]) / 1e3
    assert table.attrs["units"]["pga_relative_difference_specfem"] == "1"
    assert table.attrs["units"]["psa_3s_observed"] == "m s-2"


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_tables_read_back_as_they_were(three_events, tmp_path, name):
    table = to_table(three_events)
    write_table(table, tmp_path / name)
    first = (tmp_path / name).read_bytes()
    write_table(table, tmp_path / name)
    assert (tmp_path / name).read_bytes() == first
    if name.endswith("csv"):
        back = pd.read_csv(
            tmp_path / name, keep_default_na=False, na_values={c: [""] for c in table.columns[8:]}
        )
        for column in table.columns[8:]:
            np.testing.assert_array_equal(back[column], table[column])
        assert back["origin_time"][0] == "2002-07-22T05:45:04.000000Z"
    else:
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / name), table)


def test_csv_quotes_what_needs_it(product, tmp_path):
    tree = product.map_over_datasets(
        lambda ds: ds.assign_coords(station=['a,"b"', *ds.station.values[1:]]) if ds.sizes else ds
    )
    write_table(to_table(tree), tmp_path / "t.csv")
    assert pd.read_csv(tmp_path / "t.csv")["station"][0] == 'a,"b"'


def test_writers_take_urls_and_refuse_what_they_cannot_write(product, tmp_path):
    table = to_table(product)
    write_table(table, "memory://views/t.csv")
    assert fsspec.filesystem("memory").cat_file("/views/t.csv").startswith(b"event,")
    with pytest.raises(ParameterError, match=r"\.csv, \.parquet"):
        write_table(table, tmp_path / "t.xlsx")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose a folder"):
        write_table(table, tmp_path / "file" / "t.csv")


def test_a_failed_write_leaves_the_old_file(product, tmp_path, monkeypatch):
    write_table(to_table(product), tmp_path / "t.csv")
    before = (tmp_path / "t.csv").read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(InputError, match="disk full"):
        write_table(to_table(make_product(1, 6)), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_importing_the_views_is_cheap():
    code = (
        "import sys, pangeo_ces.views as v; v.to_geojson; "
        "sys.exit(any(name in sys.modules for name in ('matplotlib', 'bokeh')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_is_there():
    from pangeo_ces import views

    for name in views.__all__:
        assert callable(getattr(views, name))
    with pytest.raises(AttributeError, match="plot_nothing"):
        views.plot_nothing  # noqa: B018
