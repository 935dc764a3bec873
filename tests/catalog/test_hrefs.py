"""What a catalogue may refer to."""

from __future__ import annotations

import pytest

from pangeo_ces.catalog.hrefs import absolute, inside, refer, resolve
from pangeo_ces.errors import StoreError

NAME = "collections/a/1.json"


@pytest.mark.parametrize("home", ["/data/stac", "s3://ces/stac", "memory://x/stac"])
@pytest.mark.parametrize("where", ["inside", "beside", "far"])
def test_there_and_back(home, where):
    parent = home.rpartition("/")[0]
    store = {"inside": f"{home}/q.zarr", "beside": f"{parent}/q.zarr", "far": "s3://b/q.zarr"}[
        where
    ]
    href = refer(store, home, NAME)
    assert href.startswith("s3://b/" if where == "far" else "../..")
    assert resolve(f"{href}@v1", home, NAME) == f"{store}@v1"


@pytest.mark.parametrize("href", ["ssh://host/x", "simplecache::s3://b/x", "s3://b::file:///etc/x",
                                  "://x", "gs://b/x", "github://x", "reference://x"])  # fmt: skip
@pytest.mark.parametrize("home", ["/data/stac", "s3://ces/stac", "https://host/stac"])
def test_only_schemes_of_stores(href, home):
    with pytest.raises(StoreError, match="build the catalogue again"):
        resolve(href, home, NAME)


@pytest.mark.parametrize("href", ["/etc/store", "file:///etc/store", "memory://secret"])
def test_a_catalogue_from_elsewhere_names_nothing_here(href):
    assert resolve(href, "/data/stac", NAME) == href
    for home in ("s3://ces/stac", "https://host/stac"):
        with pytest.raises(StoreError, match="own machine"):
            resolve(href, home, NAME)


@pytest.mark.parametrize("home", ["s3://ces/stac", "https://host/stac"])
def test_relative_stays_on_its_server(home):
    with pytest.raises(StoreError, match="outside of its server"):
        resolve("../../../../../other/q.zarr", home, NAME)


@pytest.mark.parametrize("href", ["/etc/passwd", "../../../x.json", "https://host/x.json",
                                  "file:///etc/x.json", "a::b"])  # fmt: skip
def test_links_stay_inside(href):
    with pytest.raises(StoreError, match="self-contained"):
        inside(href, NAME)


def test_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("q.zarr") == str(tmp_path / "q.zarr") == absolute(f"file://{tmp_path}/q.zarr")
    assert absolute("s3://b/q/") == "s3://b/q"


def test_buckets_are_not_beside_each_other():
    assert refer("s3://one", "s3://two", NAME) == "s3://one"
