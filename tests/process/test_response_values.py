"""Responses between the places where evalresp was asked, and records divided by them."""

from __future__ import annotations

import copy
import io
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import obspy
import pytest
from obspy.core.inventory import Network, Station

import pangeo_ces as ces
from pangeo_ces.errors import InputError
from pangeo_ces.process import response_division, response_values
from pangeo_ces.process.response_values import Kept

RIDGECREST = "01_strong_motion/usgs_ci38457511/raw"


def document(channel) -> str:
    buffer = io.BytesIO()
    station = Station("A", 0, 0, 0, [channel])
    obspy.Inventory([Network("A", [station])]).write(buffer, "STATIONXML")
    return buffer.getvalue().decode()


def evalresp(channel, nfft: int, dt: float, units: str) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return channel.response.get_evalresp_response(dt, nfft, output=units)[0]


@pytest.fixture(scope="module")
def fir_heavy(data):
    """A digitiser with five FIR stages, up to 173 coefficients."""
    return obspy.read_inventory(data(f"{RIDGECREST}/CI.WNM.xml"))[0][0][0]


@pytest.mark.parametrize("units", ["DISP", "VEL", "ACC"])
@pytest.mark.parametrize(
    "path",
    [f"{RIDGECREST}/CI.WNM.xml", f"{RIDGECREST}/CI.WBM.xml", f"{RIDGECREST}/CI.CCC.xml",
     "02_misfit/pypaw_C200912240023A/stationxml/II.AAK.xml",
     "07_metadata/stationxml/IRIS_single_channel_with_response.xml"],
)  # fmt: skip
def test_values_between_the_nodes(data, path, units):
    channel = obspy.read_inventory(data(path))[0][0][0]
    dt = 1 / channel.sample_rate
    for nfft in (1000, 6144):
        theirs = evalresp(channel, nfft, dt, units)
        ours = response_values.response_values(document(channel), nfft, dt, units)
        deviation, size = abs(ours - theirs), abs(theirs)
        # What a water level of 60 dB divides by unchanged; checked at other places to 1e-9.
        assert (deviation <= 3e-9 * np.maximum(size, 1e-3 * size.max())).all()
        assert (deviation <= 1e-6 * size)[size > 1e-9 * size.max()].all()


def test_values_of_german_stations(stations_xml):
    for channel in stations_xml[0][0]:
        dt = 1 / channel.sample_rate
        theirs = evalresp(channel, 5000, dt, "VEL")
        ours = response_values.response_values(document(channel), 5000, dt, "VEL")
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_unsmooth_intervals_are_left_to_evalresp(fir_heavy, monkeypatch):
    monkeypatch.setattr(response_values, "TOLERANCE", 0.0)
    monkeypatch.setattr(response_values, "_smooth", Kept(limit=9))
    ours = response_values.response_values(document(fir_heavy), 600, 0.01, "ACC")
    theirs = evalresp(fir_heavy, 600, 0.01, "ACC")
    # Frequencies differ in the last bit.
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13 * abs(theirs).max())


def test_frequencies_below_all_intervals(stations_xml):
    """Records of more than 2**20 samples reach below them."""
    channel = stations_xml[0][0][0]
    nfft = 2**23
    ours = response_values.response_values(document(channel), nfft, 0.05, "VEL")
    few = np.array([1, 2, 3, 7, 8, 9, 1000]) / (nfft * 0.05)
    theirs = channel.response.get_evalresp_response_for_frequencies(few, output="VEL")
    np.testing.assert_allclose(ours[[1, 2, 3, 7, 8, 9, 1000]], theirs, rtol=1e-9)


def test_evalresp_is_asked_once_for_all_lengths_and_threads(fir_heavy, monkeypatch):
    fits, fit = [], response_values._fit
    monkeypatch.setattr(response_values, "_smooth", Kept(limit=9))
    monkeypatch.setattr(response_values, "_fit", lambda *a: fits.append(a) or fit(*a))
    barrier = threading.Barrier(4)
    text = document(fir_heavy)

    def ask(nfft):
        barrier.wait()
        # Another string of the same text, as another task would bring it.
        return response_values.response_values("".join(list(text)), nfft, 0.01, "VEL").shape

    with ThreadPoolExecutor(4) as pool:
        shapes = list(pool.map(ask, [1000, 1000, 2000, 3000]))
    assert shapes == [(501,), (501,), (1001,), (1501,)]
    assert len(fits) == 1


def test_kept_forgets_the_oldest_by_size_and_no_failure():
    made = []

    def make(name):
        made.append(name)
        return name

    kept = Kept(limit=10, size=len)
    for name in ("aaaa", "bbbb", "aaaa", "cccc", "aaaa", "bbbb"):
        assert kept.get(name, lambda name=name: make(name)) == name
    assert made == ["aaaa", "bbbb", "cccc", "bbbb"]
    with pytest.raises(ZeroDivisionError):
        kept.get("x", lambda: 1 / 0)
    assert kept.get("x", lambda: "x") == "x"


def test_evalresp_failure_names_the_remedy(stations_xml):
    broken = copy.deepcopy(stations_xml[0][0][0])
    broken.response.response_stages[0].stage_gain = 0.0
    text = document(broken)
    for _ in range(2):  # a failure is not kept as a result
        with pytest.raises(InputError, match=r"ces\.remove_sensitivity"):
            response_values.response_values(text, 100, 0.05, "VEL")


OPTIONS = {"dt": 0.05, "units": "VEL", "water_level": 60.0, "pre_filt": None, "mean": True,
           "fraction": 0.05}  # fmt: skip


@pytest.fixture
def documents(stations_xml) -> tuple[str, ...]:
    return tuple(document(c) for s in stations_xml[0][:2] for c in s)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("samples", [999, 1500])
def test_a_record_is_divided_as_if_it_were_alone(documents, dtype, samples):
    """Whatever is transformed beside it, to the last bit."""
    x = (1e5 * np.random.default_rng(0).standard_normal((7, samples))).astype(dtype)
    ids = np.array([5, 0, -1, 3, 0, 1, 2]) % len(documents)
    ids[2] = -1
    together = response_division.deconvolve(x, ids, documents, **OPTIONS)
    assert together.dtype == dtype and np.isnan(together[2]).all()
    for row in range(7):
        alone = response_division.deconvolve(x[[row]], ids[[row]], documents, **OPTIONS)
        np.testing.assert_array_equal(together[[row]], alone)


@pytest.mark.parametrize("options", [
    {"pre_filt": (0.5, 1.0, 5.0, 8.0)}, {"pre_filt": (0.5, 1.0, 5.0, 8.0), "mean": False},
    {"units": "DISP", "water_level": None}, {"units": "ACC"}, {},
], ids=str)  # fmt: skip
def test_single_precision_where_it_suffices(documents, options, monkeypatch):
    """Drifts a thousand times the signal are taken off in float64, without being asked."""
    random = np.random.default_rng(1)
    noise = random.standard_normal((6, 3000)) * np.exp(-np.arange(3000) / 300)
    drift = np.cumsum(np.cumsum(random.standard_normal((6, 3000)), axis=1), axis=1)
    drift *= np.array([0, 0, 1, 10, 100, 1000])[:, None] / abs(drift).max(axis=1, keepdims=True)
    x = np.round(1000 * (noise + drift)).astype("float32")
    ids = np.arange(6) % len(documents)
    kwargs = OPTIONS | options
    double = response_division.deconvolve(x.astype("float64"), ids, documents, **kwargs)

    def worst():
        single = response_division.deconvolve(x, ids, documents, **kwargs)
        assert single.dtype == "float32"
        return (abs(single - double).max(axis=1) / abs(double).max(axis=1)).max()

    assert worst() <= 1e-6
    if "pre_filt" in options:
        # Without the test for rounding, float32 alone is not good enough here.
        monkeypatch.setattr(response_division, "_ROUNDINGS", 0.0)
        assert worst() > 1e-6


@pytest.mark.parametrize("samples", [999, 4000])
def test_prefilter_in_single_precision(samples):
    random = np.random.default_rng(samples)
    x = random.standard_normal((5, samples)) * np.exp(-np.arange(samples) / 200)
    x[4] += 1e4  # which the filter takes off: float32 would leave its rounding
    single = response_division.shape(x.astype("float32"), dt=0.05, pre_filt=(0.5, 1, 5, 8))
    double = response_division.shape(
        x.astype("float32").astype("float64"), dt=0.05, pre_filt=(0.5, 1, 5, 8)
    )
    assert single.dtype == "float32"
    worst = abs(single - double).max(axis=1) / abs(double).max(axis=1)
    assert (worst <= 1e-6).all() and worst[:4].max() > 0


def test_lengths_of_transforms():
    for n in (1, 2, 3, 499, 1000, 4096, 60_000, 99_991):
        nfft = response_division.transform_length(n)
        assert nfft % 2 == 0 and 2 * n <= nfft <= 2.2 * n + 2


def test_chunked_is_whole(recorded):
    eager = ces.remove_response(recorded).velocity
    lazy = ces.remove_response(recorded.chunk(event=1, station=2)).velocity
    np.testing.assert_array_equal(lazy.compute(), eager)
