from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import LogNorm
from product import make_product

from pangeo_ces.errors import InputError, ParameterError
from pangeo_ces.views.files import write_figure
from pangeo_ces.views.maps import plot_map, plot_rapid_assessment


def artists(ax, gid):
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def stations(ax) -> PathCollection:
    return artists(ax, "stations")[0]


def map_axes(figure):
    return [ax for ax in figure.axes if artists(ax, "stations")]


def test_every_value_is_a_dot_and_every_gap_a_hollow_marker(product):
    values = product["observed"]["pgv"].sel(component="larger").isel(event=0)
    ax = plot_map(product["observed"]["pgv"])
    known = values.notnull().values
    assert 0 < known.sum() < 5
    assert len(stations(ax).get_offsets()) == known.sum()
    assert len(artists(ax, "stations-without-value")[0].get_offsets()) == (~known).sum()
    assert sorted(stations(ax).get_array()) == pytest.approx(sorted(values.values[known] * 1e6))
    places = np.column_stack([values.longitude, values.latitude])[known]
    assert sorted(map(tuple, stations(ax).get_offsets())) == sorted(map(tuple, places))
    star = artists(ax, "event")[0]
    assert star.get_xydata().tolist() == [[6.19, 50.89]]


def test_positive_measures_are_logarithmic_in_display_units(product):
    ax = plot_map(product["observed"]["pgv"], units="nm/s", limits=(1e-6, 1e-4))
    scatter = stations(ax)
    assert isinstance(scatter.norm, LogNorm)
    assert scatter.get_clim() == pytest.approx((1e3, 1e5))
    assert "(nm/s)" in scatter.colorbar.ax.get_xlabel()


def test_differences_are_centred_at_zero(product):
    scatter = stations(plot_map(product["difference/specfem"]["pgv"]))
    low, high = scatter.get_clim()
    assert low == -high and high == pytest.approx(np.abs(scatter.get_array()).max())
    assert stations(plot_map(product["log_ratio/specfem"]["pgv"])).get_cmap().name == "PuOr_r"


def test_labels_ticks_and_scale_bar(product):
    ax = plot_map(product["synthetic/specfem"]["pgv"])
    texts = [text.get_text() for text in ax.texts]
    assert {"BFO", "TNS", "FUR", "BUG", "CLZ"} <= set(texts)
    assert "100 km" in texts
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["6°E", "8°E", "10°E"]
    assert "Alsdorf, 2002-07-22 05:45:04 UTC, M 4.9" in ax.get_title()
    assert ax.get_aspect() == pytest.approx(1 / np.cos(np.radians(50)), rel=0.02)


def test_labels_do_not_overlap(product):
    ax = plot_map(product["synthetic/specfem"]["pgv"])
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text() != "100 km"]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_many_stations_have_no_labels():
    ax = plot_map(make_product(1, 60)["observed"]["pgv"])
    assert [text.get_text() for text in ax.texts] == ["100 km"]


def test_all_nan_is_still_a_map(product):
    ax = plot_map(product["observed"]["pgv"] * np.nan)
    assert len(artists(ax, "stations-without-value")[0].get_offsets()) == 5
    ax.figure.canvas.draw()


def test_stations_on_both_sides_of_the_antimeridian(product):
    values = product["synthetic/specfem"]["pgv"].copy()
    values = values.assign_coords(
        longitude=("station", [178.0, -179, 179, -178, 180]), event_longitude=("event", [-179.5])
    )
    ax = plot_map(values)
    assert np.ptp(ax.get_xlim()) < 10
    assert np.ptp(stations(ax).get_offsets()[:, 0]) == pytest.approx(4)


def test_bad_calls_say_the_fix(product, three_events):
    with pytest.raises(ParameterError, match=r"isel\(event=0\)"):
        plot_map(three_events["observed"]["pgv"])
    with pytest.raises(ParameterError, match="component="):
        plot_map(product["observed"]["pgv"].sel(component=["Z", "N"]))
    with pytest.raises(ParameterError, match=r"sel\(period"):
        plot_map(product["observed"]["psa"])
    with pytest.raises(ParameterError, match="positive"):
        plot_map(product["observed"]["pgv"], limits=(0, 1))


def test_assessment_of_one_event_has_a_row_for_each_measure(product):
    figure = plot_rapid_assessment(product)
    axes = map_axes(figure)
    assert len(axes) == 6 * 3
    for row in range(6):
        observed, synthetic, difference = axes[3 * row : 3 * row + 3]
        assert stations(observed).get_clim() == stations(synthetic).get_clim()
        assert stations(difference).get_clim()[0] == -stations(difference).get_clim()[1]
    assert [ax.get_title() for ax in axes[:3]] == [
        "Observed", "Synthetic (specfem)", "Difference (specfem)",
    ]  # fmt: skip
    assert [ax.get_ylabel() for ax in axes[::3]][-1] == "PSA 3 s"
    assert "Alsdorf, 2002-07-22 05:45:04 UTC, M 4.9" in figure.get_suptitle()


def test_assessment_of_several_events_has_a_row_for_each_event(three_events):
    axes = map_axes(plot_rapid_assessment(three_events))
    assert len(axes) == 3 * 3
    assert [ax.get_ylabel().split("\n")[0] for ax in axes[::3]] == [
        "Alsdorf", "Rambervillers", "Waldkirch",
    ]  # fmt: skip
    assert len({ax.get_xlim() for ax in axes}) == 1


def test_assessment_without_synthetics_or_recordings():
    figure = plot_rapid_assessment(make_product(1, 5, models=()), measures=["pgv"])
    assert [ax.get_title() for ax in map_axes(figure)] == ["PGV"]
    assert "Observed, component: larger" in figure.get_suptitle()
    figure = plot_rapid_assessment(make_product(1, 5, observed=False), measures="pgv")
    assert "Synthetic (specfem)" in figure.get_suptitle()


def test_one_side_fills_a_grid():
    figure = plot_rapid_assessment(make_product(1, 5, models=()))
    axes = map_axes(figure)
    assert len(axes) == 6
    assert len({round(ax.get_position().x0, 3) for ax in axes}) == 3
    assert figure.get_figwidth() > 0.6 * figure.get_figheight()


def test_assessment_choices(three_events):
    figure = plot_rapid_assessment(
        three_events, event="ev2", measures=["psa"], comparison="log_ratio"
    )
    assert len(map_axes(figure)) == 9
    assert "Rambervillers" in figure.get_suptitle()
    with pytest.raises(ParameterError, match="ev1, ev2, ev3"):
        plot_rapid_assessment(three_events, event="ev9")
    with pytest.raises(ParameterError, match="choose event="):
        plot_rapid_assessment(three_events, measures=("pga", "pgv"))
    with pytest.raises(ParameterError, match="pga, pgv"):
        plot_rapid_assessment(three_events, measures=("pgx",))
    with pytest.raises(ParameterError, match="choose model= one of a, b"):
        plot_rapid_assessment(make_product(1, 5, models=("a", "b")))
    with pytest.raises(InputError, match="observed"):
        plot_rapid_assessment(type(three_events)())


@pytest.mark.parametrize("models", [(), ("specfem",)])
@pytest.mark.parametrize("events", [1, 3])
def test_nothing_overlaps_in_the_assessment(events, models):
    figure = plot_rapid_assessment(make_product(events, 5, models))
    figure.canvas.draw()
    boxes = [ax.get_tightbbox() for ax in figure.axes]
    for i, box in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width + 1
        assert not any(box.shrunk(0.99, 0.97).overlaps(other) for other in boxes[i + 1 :])


def test_figures_are_written_whole(product, tmp_path):
    figure = plot_rapid_assessment(product, measures=["pgv"])
    write_figure(figure, tmp_path / "new" / "map.png", dpi=50)
    assert (tmp_path / "new" / "map.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["map.png"]
    with pytest.raises(ParameterError, match=r"\.png, \.pdf, \.svg"):
        write_figure(figure, tmp_path / "map.gif")
