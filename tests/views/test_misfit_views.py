"""Pictures and documents of misfits: what they show is what the data says."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError
from pangeo_ces.products._pairs import STATUS_ATTRS
from pangeo_ces.views import (
    plot_misfit_histogram,
    plot_section,
    plot_time_frequency_misfit,
    plot_windows,
    write_misfit_report,
)

CHANNEL = ("event", "station", "component")
PAIR = {"station": "XX.S001..HH", "component": "N"}


@pytest.fixture(scope="module")
def pair() -> tuple[xr.Dataset, xr.Dataset]:
    ds = ces.testing.synthetic_windows(samples=1200, sampling_rate=20.0, quantity="velocity")
    distance = (("event", "station"), np.array([[1e4, 5e4, 9e4], [2e4, 4e4, 6e4]]))
    ds = ds.assign_coords(epicentral_distance=distance)
    observed = ces.bandpass(ds, freqmin=0.2, freqmax=2.0)
    later = 0.8 * observed["velocity"].roll(time=6)
    return observed, observed.assign(velocity=later.assign_attrs(units="m s-1"))


@pytest.fixture(scope="module")
def windows(pair) -> xr.Dataset:
    """Two windows of the pair that is drawn, and one rejected candidate."""
    shape = (2, 3, 3, 4)
    values = {name: np.full(shape, np.nan) for name in
              ("window_start", "window_end", "cc", "shift", "dlna")}  # fmt: skip
    values["window_start"][0, 1, 1, :2] = [5.0, 20.0]
    values["window_end"][0, 1, 1, :2] = [12.0, 31.0]
    values["cc"][0, 1, 1, :2] = [0.91, 0.83]
    values["shift"][0, 1, 1, :2] = [1.5, -0.5]
    values["dlna"][0, 1, 1, :2] = [0.25, -0.4]
    ds = xr.Dataset({name: ((*CHANNEL, "window"), array) for name, array in values.items()})
    starts, ends = np.full(shape, np.nan), np.full(shape, np.nan)
    reasons = np.zeros(shape, "int8")
    starts[0, 1, 1, 0], ends[0, 1, 1, 0], reasons[0, 1, 1, 0] = 2.0, 40.0, 2
    for name, array in (("start", starts), ("end", ends), ("reason", reasons)):
        ds[f"candidate_{name}"] = ((*CHANNEL, "candidate"), array)
    ds["candidate_reason"].attrs["flag_meanings"] = "ok water_level cross_correlation"
    return ds.assign_coords({dim: pair[0][dim] for dim in CHANNEL})


@pytest.fixture(scope="module")
def product(pair, windows) -> xr.DataTree:
    """Measures of one model; one pair without a value."""
    observed, _ = pair
    random = np.random.default_rng(0)
    values = random.lognormal(size=(2, 3, 3))
    values[1, 2, 0] = np.nan
    status = np.where(np.isfinite(values), 0, 4).astype("int8")
    coords = {name: c for name, c in observed.coords.items() if "time" not in c.dims}
    ds = xr.Dataset(
        {
            "misfit_waveform": (CHANNEL, values, {"units": "m2 s-1", "long_name": "misfit"}),
            "status": (CHANNEL, status, STATUS_ATTRS),
            "score": ((*CHANNEL, "band"), values[..., None]),
        },
        coords=coords,
    )
    plain = windows.assign_coords({n: c for n, c in coords.items() if n not in windows.coords})
    return xr.DataTree.from_dict({"measures/m1": ds, "windows/m1": plain})


def texts(figure):
    found = [text.get_text() for ax in figure.axes for text in ax.texts]
    return found + [ax.get_title() for ax in figure.axes]


def test_panel_shows_the_misfits_of_the_pair(pair):
    figure = plot_time_frequency_misfit(*pair, **PAIR, event=1, fmin=0.2, fmax=2.0, nf=30)
    one, two = (ds.isel(event=[1]).sel(station=["XX.S001..HH"], component=["N"]) for ds in pair)
    expected = ces.time_frequency_misfit(
        one, two, fmin=0.2, fmax=2.0, nf=30, outputs=["em", "pm", "tfem", "tfpm"]
    ).squeeze()
    shown = " ".join(texts(figure))
    assert f"EM = {100 * float(expected['em']):.1f} %" in shown
    assert f"PM = {100 * float(expected['pm']):.1f} %" in shown
    images = [ax.images[0].get_array() for ax in figure.axes if ax.images]
    for image, name in zip(images[:2], ("tfem", "tfpm"), strict=True):
        np.testing.assert_array_equal(image, np.squeeze(expected[name].values))
    assert "XX.S001..HH  N  40 km" in figure.get_suptitle()


def test_panel_of_a_pair_that_cannot_be_measured(pair):
    observed, synthetic = pair
    silent = synthetic * 0
    with pytest.raises(ParameterError, match=r"no_signal.*choose another pair"):
        plot_time_frequency_misfit(observed, silent, **PAIR, fmin=0.2, fmax=2.0)
    with pytest.raises(ParameterError, match="no station 'S9'; use one of XX"):
        plot_time_frequency_misfit(*pair, station="S9", component="N", fmin=0.2, fmax=2.0)


def test_windows_are_where_the_table_says(pair, windows):
    figure = plot_windows(*pair, windows, **PAIR)
    above, _ = figure.axes
    spans = [patch.get_extents().transformed(above.transData.inverted()) for patch in above.patches]
    assert [(round(s.x0, 6), round(s.x1, 6)) for s in spans] == [(5.0, 12.0), (20.0, 31.0)]
    shown = " ".join(texts(figure))
    assert "cc 0.91" in shown and "-0.5 s" in shown and "dlnA +0.25" in shown
    assert "rejected: cross correlation 1" in shown
    assert "2 windows" in figure.get_suptitle()
    none = plot_windows(*pair, windows, station="XX.S000..HH", component="Z")
    assert "no window" in none.get_suptitle() and not none.axes[0].patches


def test_section_with_windows(pair, windows):
    waves = {"observed": pair[0], "synthetic/m1": pair[1]}
    (ax,) = plot_section(waves, component="N", windows=windows).axes
    bars = [c.get_paths()[0].get_extents() for c in ax.collections]
    assert [(b.x0, b.x1) for b in bars] == [(5.0, 12.0), (20.0, 31.0)]
    assert all(b.y0 < 50 < b.y1 for b in bars)
    (plain,) = plot_section(waves, component="N").axes
    assert not plain.collections


def test_histogram_counts_every_value(product):
    values = product["measures/m1"]["misfit_waveform"]
    figure = plot_misfit_histogram(values, bins=7)
    for c, ax in enumerate(figure.axes):
        row = values.isel(component=c).values.ravel()
        finite = row[np.isfinite(row)]
        assert sum(patch.get_height() for patch in ax.patches) == finite.size
        assert f"{finite.size} of {row.size}" in ax.get_title()
        assert ax.lines[0].get_xdata()[0] == pytest.approx(np.median(finite))
    constant = xr.ones_like(values)
    assert plot_misfit_histogram(constant).axes[0].patches
    with pytest.raises(ParameterError, match="over"):
        plot_misfit_histogram(values.isel(component=0, drop=True))
    with pytest.raises(ParameterError, match="give 1 or more"):
        plot_misfit_histogram(values, bins=0)


def test_tables_and_geojson(product):
    table = ces.to_misfit_table(product)
    ds = product["measures/m1"].to_dataset()
    assert len(table) == 18 and table.attrs["units"] == {"misfit_waveform": "m2 s-1"}
    np.testing.assert_array_equal(
        table["misfit_waveform"].values, ds["misfit_waveform"].values.ravel()
    )
    bad = table[table["status"] != "ok"]
    assert bad[["event", "station", "component", "status"]].values.tolist() == [
        ["event1", "S002", "Z", "gap"]
    ]
    rows = ces.to_windows_table(product)
    assert rows[["event", "station", "component", "window"]].values.tolist() == [
        ["event0", "S001", "N", 0], ["event0", "S001", "N", 1],
    ]  # fmt: skip
    assert rows["window_end"].tolist() == [12.0, 31.0] and "candidate_start" not in rows
    collection = json.loads(json.dumps(ces.to_misfit_geojson(product), allow_nan=False))
    feature = collection["features"][2]
    here = feature["properties"]["events"]["event1"]["m1"]
    assert here["Z"] == {"misfit_waveform": None, "status": "gap"}
    assert here["E"]["misfit_waveform"] == float(ds["misfit_waveform"][1, 2, 2])
    assert collection["units"]["misfit_waveform"] == "m2 s-1"
    with pytest.raises(ParameterError, match="run_misfit"):
        ces.to_windows_table(xr.DataTree())


def test_report_is_one_page_and_escapes(product, tmp_path):
    table = ces.to_misfit_table(product)
    table.loc[0, "station"] = "<script>alert(1)</script>"
    figure = plot_misfit_histogram(product["measures/m1"]["misfit_waveform"])
    report = {"counts": {"pairs": 18}, "notes": ["a < b"], "parameters": {"x": "</pre>"},
              "rows": [{"status": "rejected", "trace": "", "file": "<b>", "reason": "&"}],
              "unmatched": []}  # fmt: skip
    write_misfit_report(tmp_path / "r.html", table, {"Maps": [("<i>", figure)], "None": []}, report)
    page = (tmp_path / "r.html").read_text()
    assert "<script" not in page and "<i>" not in page and "a &lt; b" in page
    assert page.count("data:image/png;base64,") == 1 and "<h2>None" not in page
    good = table[(table["status"] == "ok") & (table["component"] == "N")]
    assert f"{good['misfit_waveform'].median():.3g}" in page
    assert "src='http" not in page and "href" not in page


def test_long_tables_are_cut(product, tmp_path):
    table = ces.to_misfit_table(product)
    units = table.attrs["units"]
    many = pd.concat([table] * 30, ignore_index=True)
    many.attrs["units"] = units
    report = {"counts": {}, "notes": [], "parameters": {}, "rows": [], "unmatched": []}
    write_misfit_report(tmp_path / "r.html", many, {}, report)
    assert "140 more in misfit.csv" in (tmp_path / "r.html").read_text()
