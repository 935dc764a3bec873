"""The interactive page, in a real browser where there is one."""

from __future__ import annotations

import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from product import make_product, make_waveforms

from pangeo_ces.errors import ParameterError
from pangeo_ces.views.envelopes import pack_envelopes
from pangeo_ces.views.interactive import write_html_map

ATTACK = "<img src=x onerror=alert(1)><script>alert(1)</script>$$x$$"
ARGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
# Values of the models of the page, as the reader would see them.
STATE = """() => {
  const doc = Bokeh.documents[0]
  const models = [...doc._all_models.values()]
  const stations = models.find((m) => m.type === "ColumnDataSource" && m.data.station)
  const panels = models.filter((m) => m.type === "Figure" && m.title?.text?.match(/^[ZNE]/))
  return {
    colour: [...stations.data.colour],
    shown: [...stations.data.shown],
    lines: panels.map((p) => p.renderers.map((r) => [...r.data_source.data.y])),
    titles: panels.map((p) => p.title.text),
    bars: models.filter((m) => m.type === "ColorBar" && m.visible).map((m) => m.title),
  }
}"""


# Where a longitude and latitude is on the screen.
PLACE = """([lon, lat]) => {
  const find = (view) => view.model.type === "Figure" ? view
    : (view.child_views ?? []).map(find).find((each) => each)
  const figure = find(Object.values(Bokeh.index.roots ?? Bokeh.index)[0])
  const box = figure.canvas_view.el.getBoundingClientRect()
  return [box.x + figure.frame.x_scale.compute(lon), box.y + figure.frame.y_scale.compute(lat)]
}"""


class References(HTMLParser):
    """Attributes of a page that make a browser load something."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [(tag, k, v) for k, v in attrs if k in ("src", "href", "srcset", "data")]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as running:
        instance = running.chromium.launch(executable_path=path, args=ARGS.split())
        yield instance
        instance.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """Write a page and open it from disk; fails on errors and on requests to anything else."""
    problems: list[str] = []
    page = browser.new_page(viewport={"width": 1320, "height": 950})
    page.on("pageerror", lambda error: problems.append(f"error {error}"))
    page.on("dialog", lambda dialog: (problems.append("dialog"), dialog.dismiss()))
    page.on(
        "console",
        lambda m: problems.append(m.text) if m.type in ("error", "warning") else None,
    )
    page.on(
        "request",
        lambda r: problems.append(r.url) if not r.url.startswith("file://") else None,
    )

    def start(tree, waveforms=None, **options):
        path = tmp_path / "page.html"
        write_html_map(path, tree, waveforms, **options)
        page.goto(path.as_uri())
        page.wait_for_function("window.Bokeh?.documents?.[0]?.is_idle")
        page.wait_for_timeout(300)
        return page

    yield start
    page.close()
    assert problems == []


def choose(page, label, option):
    page.get_by_label(label, exact=True).select_option(index=option)
    page.wait_for_timeout(200)
    return page.evaluate(STATE)


def test_page_needs_no_network(three_events, tmp_path):
    write_html_map(tmp_path / "p.html", three_events, make_waveforms(three_events, 400))
    parser = References()
    parser.feed((tmp_path / "p.html").read_text())
    assert parser.found == []


def test_page_of_many_stations_is_small(tmp_path):
    tree = make_product(3, 300)
    write_html_map(tmp_path / "p.html", tree, make_waveforms(tree, 400))
    assert (tmp_path / "p.html").stat().st_size < 8e6


def test_envelopes_keep_their_extremes(three_events):
    waveforms = make_waveforms(three_events, 400)
    stations = [str(name) for name in three_events["observed"]["station"].values]
    about, arrays = pack_envelopes(waveforms, ["ev1", "ev2", "ev3"], stations)
    rows, samples = arrays[0].reshape(3, 5, 3), arrays[0 + 1].reshape(-1, 400, 2)
    ds = waveforms["observed"]
    for index in np.ndindex(rows.shape):
        high = ds["maximum"].values[index]
        if rows[index] < 0:
            assert np.isnan(high).all()
            continue
        peak = about[0]["peaks"][rows[index]]
        np.testing.assert_allclose(samples[rows[index], :, 1] / 127 * peak, high, atol=peak / 200)


def test_many_envelopes_are_joined_without_losing_peaks(three_events, monkeypatch):
    monkeypatch.setattr("pangeo_ces.views.envelopes.MOST_BYTES", 20_000)
    waveforms = make_waveforms(three_events, 400)
    stations = [str(name) for name in three_events["observed"]["station"].values]
    about, arrays = pack_envelopes(waveforms, ["ev1", "ev2", "ev3"], stations)
    assert arrays[1].size + arrays[3].size <= 20_000
    assert len(about[0]["time"]) < 400
    assert max(about[0]["peaks"]) == pytest.approx(
        float(np.maximum(waveforms["observed"].maximum, -waveforms["observed"].minimum).max()),
        rel=1e-3,
    )


def test_full_waveforms_are_refused(three_events, waveforms, tmp_path):
    with pytest.raises(ParameterError, match="minimum and maximum"):
        write_html_map(tmp_path / "p.html", three_events, waveforms)


def test_first_picture_shows_observed_pgv(open_page, three_events):
    state = open_page(three_events).evaluate(STATE)
    values = three_events["observed"]["pgv"].sel(component="larger").values[0]
    shown = np.array([np.nan if x is None else x for x in state["shown"]], dtype=float)
    np.testing.assert_allclose(shown, values * 1e6, rtol=1e-5)
    assert state["bars"] == ["PGV (µm/s)"]


def test_choices_change_colours(open_page, three_events):
    page = open_page(three_events)
    seen = [page.evaluate(STATE)]
    for label, option in (
        ("Event", 1), ("Source", 1), ("Measure", 3), ("Component", 0), ("Source", 2),
    ):  # fmt: skip
        seen.append(choose(page, label, option))
        assert seen[-1]["shown"] != seen[-2]["shown"], label
        # The measures of this product are proportional: the same colours on another scale.
        assert (seen[-1]["colour"] != seen[-2]["colour"]) == (label != "Measure")
    state = page.evaluate(STATE)
    values = three_events["difference/specfem"]["psa"].sel(component="Z").values[1, :, 0]
    shown = np.array(state["shown"], dtype=float)
    np.testing.assert_allclose(shown, values * 1e6, rtol=1e-5)
    assert state["bars"] == ["PSA 0.3 s (µm/s²)"]


def test_a_click_shows_waveforms_and_values(open_page, three_events):
    waveforms = make_waveforms(three_events, 400)
    page = open_page(three_events, waveforms)
    assert page.evaluate(STATE)["lines"] == [[[], []]] * 3
    page.mouse.click(*page.evaluate(PLACE, [8.33, 48.33]))
    page.wait_for_timeout(500)
    state = page.evaluate(STATE)
    at = {"event": "ev1", "station": "GR.BFO..HH", "component": "Z"}
    peak = float(waveforms["synthetic/specfem"]["maximum"].sel(at).max()) * 1e6
    assert max(state["lines"][0][1]) == pytest.approx(peak, rel=0.02)
    assert len(state["lines"][0][0]) == 800
    assert page.get_by_role("heading", name="GR.BFO..HH").is_visible()
    pgv = float(three_events["observed"]["pgv"].sel(at | {"component": "larger"})) * 1e6
    row = page.get_by_role("row", name="PGV").inner_text().split()
    assert float(row[1]) == pytest.approx(pgv, rel=1e-3) and row[2] == "µm/s"
    assert page.get_by_label("Station", exact=True).input_value() == "GR.BFO..HH"
    other = choose(page, "Station", 4)
    assert other["lines"] != state["lines"]
    assert choose(page, "Event", 2)["lines"] != other["lines"]


def test_events_of_the_same_text_can_be_told_apart(open_page, three_events):
    tree = three_events.map_over_datasets(
        lambda ds: (
            ds.assign_coords(
                event_name=("event", ["same"] * 3),
                magnitude=("event", [5.0] * 3),
                origin_time=("event", ds.origin_time.values[[0, 0, 0]]),
            )
            if ds.sizes
            else ds
        )
    )
    page = open_page(tree)
    assert choose(page, "Event", 1)["shown"] != choose(page, "Event", 2)["shown"]


def test_names_are_never_markup(open_page):
    tree = make_product(1, 5)
    tree = tree.map_over_datasets(
        lambda ds: (
            ds.assign_coords(
                station=[ATTACK, *ds.station.values[1:]], event_name=("event", [ATTACK])
            )
            if ds.sizes
            else ds
        )
    )
    page = open_page(tree, make_waveforms(tree, 400), title=ATTACK)
    choose(page, "Station", 1)
    assert page.title() == ATTACK
    assert page.get_by_role("heading", name=ATTACK).count() == 2
    page.mouse.move(*page.evaluate(PLACE, [8.33, 48.33]))
    page.wait_for_timeout(300)
    assert ATTACK in page.locator(".bk-tooltip-row-value").all_inner_texts()
    assert page.locator("img[src=x]").count() == 0
