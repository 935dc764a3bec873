from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.text import Text
from product import make_product, make_waveforms

from pangeo_ces.errors import ParameterError
from pangeo_ces.views.sections import plot_overlay, plot_section
from pangeo_ces.views.traces import MODEL_COLOURS


def texts(figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_section_draws_each_pair_at_its_distance(waveforms):
    figure = plot_section(waveforms, event="ev1")
    ax = figure.axes[0]
    seen = [
        waveforms[path]["velocity"].isel(event=0).sel(component="Z").notnull().all("time")
        for path in ("observed", "synthetic/specfem")
    ]
    assert len(ax.lines) == sum(int(each.sum()) for each in seen)
    assert {line.get_color() for line in ax.lines} == {"#000000", MODEL_COLOURS[0]}
    km = waveforms["observed"]["epicentral_distance"].values[0] / 1e3
    starts = sorted({round(float(line.get_ydata()[0]), 1) for line in ax.lines})
    assert starts == pytest.approx(sorted(km), abs=1)


def test_section_prints_the_scale_it_divides_by(waveforms):
    figure = plot_section(waveforms)
    at = {"event": "ev1", "station": "GR.BUG..HH", "component": "Z"}
    peak = max(float(np.abs(ds["velocity"].sel(at)).max()) for ds in waveforms.values())
    label = next(text for text in texts(figure) if text.startswith("BUG"))
    assert float(label.split()[1]) == pytest.approx(peak * 1e6, rel=0.01)
    assert label.endswith("µm/s")


def test_section_of_many_stations_says_what_it_leaves_out():
    figure = plot_section(make_waveforms(make_product(1, 60)), max_stations=20)
    assert "20 of 60 stations" in figure.axes[0].get_title(loc="left")
    figure.canvas.draw()
    boxes = [Text.get_window_extent(text) for text in figure.axes[0].texts]
    assert len(boxes) == 20
    for i, box in enumerate(boxes):
        assert not any(box.shrunk(1, 0.9).overlaps(other) for other in boxes[i + 1 :])


def test_overlay_has_a_panel_for_each_station_component_and_event(waveforms):
    figure = plot_overlay(waveforms)
    assert len(figure.axes) == 3 * 5 * 3
    labels = [text for text in texts(figure) if text.endswith(" km")]
    assert len(labels) == 15
    first = [float(text.split()[1]) for text in labels[:5]]
    assert first == sorted(first)


def test_overlay_says_where_there_is_no_record(waveforms):
    missing = waveforms["observed"]["velocity"].isnull().all("time")
    assert texts(plot_overlay(waveforms)).count("no record") == int(missing.sum()) > 0


def test_overlay_prints_fits(waveforms):
    at = {dim: waveforms["observed"][dim] for dim in ("event", "station", "component")}
    blank = xr.DataArray(np.full((3, 5, 3), np.nan), at, tuple(at))
    fits = xr.Dataset({"cc": blank.copy(), "time_shift": blank.copy()})
    fits["cc"][1, 2, 0], fits["time_shift"][1, 2, 0] = 0.934, -1.25
    printed = [text for text in texts(plot_overlay(waveforms, fits=fits)) if "cc" in text]
    assert printed == ["cc 0.93  -1.2 s"]


def test_overlay_of_many_stations_shows_the_nearest():
    waveforms = make_waveforms(make_product(1, 60))
    figure = plot_overlay(waveforms)
    assert len(figure.axes) == 12 * 3
    assert "48 more" in figure.get_supxlabel()
    km = np.sort(waveforms["observed"]["epicentral_distance"].values[0]) / 1e3
    labels = [float(text.split()[1]) for text in texts(figure) if text.endswith(" km")]
    assert labels == pytest.approx(km[:12], abs=0.51)


def test_synthetic_only_has_no_missing_records():
    waveforms = make_waveforms(make_product(1, 5, observed=False))
    assert "no record" not in texts(plot_overlay(waveforms))


def test_bad_calls_say_the_fix(waveforms):
    with pytest.raises(ParameterError, match="no waveforms"):
        plot_section({})
    with pytest.raises(ParameterError, match="Z, N, E"):
        plot_section(waveforms, component="R")
    with pytest.raises(ParameterError, match="assign_coords"):
        plot_section({k: ds.drop_vars("epicentral_distance") for k, ds in waveforms.items()})
    with pytest.raises(ParameterError, match="give 1 or more"):
        plot_overlay(waveforms, max_stations=0)
    with pytest.raises(ParameterError, match="ev1, ev2, ev3"):
        plot_overlay(waveforms, events=["ev9"])
    mixed = dict(waveforms)
    mixed["observed"] = mixed["observed"].rename(velocity="displacement")
    with pytest.raises(ParameterError, match="convert to one"):
        plot_overlay(mixed)
