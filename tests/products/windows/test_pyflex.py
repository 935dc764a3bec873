"""Window for window as Pyflex and FLEXWIN."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import obspy
import pytest

from pangeo_ces.products.windows.select import select_windows

TABLE = json.loads(Path(__file__).with_name("pyflex_table.json").read_text())
ABKT = "02_misfit/flexwin_abkt"


@pytest.fixture(scope="module")
def selected(table, windows_of, found):
    """``selected(number, emulate)``: our windows of a pair of the table."""

    def run(number, emulate):
        observed, synthetic, about = table.pair(number)
        config, place = table.parameters(number, about)
        one, two = (windows_of(x, about["dt"], **place or {}) for x in (observed, synthetic))
        windows = select_windows(one, two, **config, emulate_pyflex=emulate, max_candidates=0)
        return found(windows), config, about

    return run


@pytest.mark.parametrize("tens", range(len(TABLE) // 10))
def test_window_for_window(tens, selected):
    """All rules, both strategies, with travel times for a third; Pyflex printed 9 decimals."""
    for number in range(10 * tens, 10 * tens + 10):
        if TABLE[number] is None:  # where Pyflex raises, see the head of the table
            continue
        ours, _, about = selected(number, True)
        theirs = np.array(TABLE[number]).reshape(-1, 5)
        assert ours[:, :2].tolist() == theirs[:, :2].tolist(), number
        np.testing.assert_allclose(ours[:, 2] / about["dt"], theirs[:, 2], atol=1e-9)
        np.testing.assert_allclose(ours[:, 3:5], theirs[:, 3:], atol=1e-9)


def test_what_differs_by_default(selected, table):
    """Only what the docstring of ``emulate_pyflex`` says: the total weight is never smaller."""
    better = 0
    for number, rows in enumerate(TABLE):
        _, place = table.parameters(number, table.pair(number)[2])
        if rows is None or place is not None:
            continue
        ours, config, about = selected(number, False)
        theirs = np.array(rows).reshape(-1, 5)
        if ours[:, :2].tolist() == theirs[:, :2].tolist():
            continue
        assert config["resolution_strategy"] == "interval_scheduling"
        lengths = (theirs[:, 1] - theirs[:, 0]) * about["dt"] / config["min_period"]
        assert ours[:, 5].sum() > (lengths * theirs[:, 3]).sum()
        better += 1
    assert better >= 3


@pytest.fixture(scope="module")
def abkt(data, windows_of):
    """The pair of FLEXWIN's example, filtered as the reference says, and the reference."""
    reference = json.loads((data(ABKT) / "reference.json").read_text())
    sides = []
    for name in ("1995.122.05.32.16.0000.II.ABKT.00.LHZ.D.SAC", "ABKT.II.LHZ.semd.sac"):
        trace = obspy.read(data(ABKT) / name)[0]
        sac = trace.stats.sac
        trace.data = trace.data.astype(float)
        trace.detrend("linear").taper(0.05, type="hann")
        trace.filter("bandpass", freqmin=1 / 150, freqmax=1 / 50, corners=4, zerophase=True)
        sides.append(
            windows_of(
                trace.data, 1.0, start=-499.9,
                event=(float(sac.evla), float(sac.evlo), 1000 * float(sac.evdp)),
                station=(float(sac.stla), float(sac.stlo)),
            )
        )  # fmt: skip
    return sides, reference


@pytest.mark.parametrize("emulate", [False, True])
def test_reference_of_pyflex(abkt, found, emulate):
    """dlnA is printed to five digits; cc to 8, of which ObsPy's filters moved the last two."""
    sides, reference = abkt
    reference = reference["pyflex"]
    config = reference["config"] | {"emulate_pyflex": emulate}
    ours = found(select_windows(*sides, **config))
    assert ours[:, 0].tolist() == reference["left"]
    assert ours[:, 1].tolist() == reference["right"]
    assert ours[:, 2].tolist() == reference["cc_shift"]
    np.testing.assert_allclose(ours[:, 3], reference["max_cc"], atol=1e-6)
    np.testing.assert_allclose(ours[:, 4], reference["dlnA"], atol=6e-6)
    alone = select_windows(*sides, **config, arrivals=False)
    assert alone["windows"].item() == reference["n_windows_without_event_information"]
    merged = select_windows(*sides, **config, resolution_strategy="merge")
    assert merged["windows"].item() == reference["n_windows_merge_strategy"]


def test_windows_of_flexwin(data, windows_of, found):
    """On FLEXWIN's own filtered traces: its 7 windows, shifts equal, edges to 2 samples.

    But three: it ends window 2 and begins window 3 at 2067.6 s, where Pyflex and we have 2210.6 s,
    and the last window begins 9 s later there.
    """
    folder = data(ABKT) / "flexwin_fortran_reference"
    windows = json.loads((data(ABKT) / "reference.json").read_text())
    config = windows["pyflex"]["config"]
    sides = [
        windows_of(obspy.read(folder / f"ABKT.II.LHZ.{side}_lp.sac")[0].data, 1.0, start=-500.4)
        for side in ("obs", "syn")
    ]
    ours = found(select_windows(*sides, **config))
    edges = ours[:, :2] - 500.4
    close = 0
    for window in windows["flexwin_fortran"]["windows"]:
        theirs = np.array([window["t_start"], window["t_end"]])
        shared = np.minimum(edges[:, 1], theirs[1]) - np.maximum(edges[:, 0], theirs[0])
        same = shared.argmax()
        assert ours[same, 2] == window["tshift"]
        assert ours[same, 3] == pytest.approx(window["cc"], abs=0.012)
        close += (abs(edges[same] - theirs) <= 2).sum()
    assert close == 11
