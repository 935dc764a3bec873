"""Removing responses beside the transforms it cannot do without, and beside ObsPy.

``python -m benchmarks.response`` prints milliseconds a record of ten minutes at 100 Hz, the best
of several turns on one core.  Responses: a digitiser with five FIR stages if the reference data
are there (``CES_TEST_DATA``), else those of the German sample stations.
"""

from __future__ import annotations

import io
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import obspy
import scipy.fft
from obspy.core.inventory import Channel, Network, Station

from pangeo_ces import samples
from pangeo_ces.process import response_division, response_values

DATA = Path(os.environ.get("CES_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
FIR_HEAVY = DATA / "01_strong_motion/usgs_ci38457511/raw/CI.WNM.xml"
RECORDS, SAMPLES, DT = 30, 60_000, 0.01
BANDS = {"no pre-filter": None, "pre-filter": (0.02, 0.05, 40.0, 45.0)}


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    path = FIR_HEAVY if FIR_HEAVY.exists() else samples.path("german_events/stations.xml")
    channel = obspy.read_inventory(str(path))[0][0][0]
    text = document(channel)
    random = np.random.default_rng(0)
    # An earthquake's envelope, and an offset.
    envelope = np.exp(-np.arange(SAMPLES) / (0.1 * SAMPLES))
    counts = np.round(1e5 * random.standard_normal((RECORDS, SAMPLES)) * envelope) + 3e4
    nfft = response_division.transform_length(SAMPLES)
    evaluate(channel, text, nfft)
    for dtype in ("float64", "float32"):
        x = counts.astype(dtype)
        floor = best(lambda x=x: scipy.fft.irfft(scipy.fft.rfft(x, nfft), nfft)) / RECORDS
        print(f"{dtype}: rfft and irfft {floor:.2f} ms")
        for name, band in BANDS.items():
            ours = best(lambda x=x, band=band: remove(x, text, band)) / RECORDS
            print(f"{dtype}: response removal, {name}: {ours:.2f} ms, {ours / floor:.2f} x")
    trace = obspy.Trace(counts[0].copy(), {"delta": DT})
    trace.stats.response = channel.response
    theirs = best(lambda: trace.copy().remove_response(output="VEL"), turns=3)
    print(f"ObsPy: {theirs:.1f} ms")


def document(channel: Channel) -> str:
    """StationXML of one channel."""
    buffer = io.BytesIO()
    station = Station("A", 0, 0, 0, [channel])
    obspy.Inventory([Network("A", [station])]).write(buffer, "STATIONXML")
    return buffer.getvalue().decode()


def evaluate(channel: Channel, text: str, nfft: int) -> None:
    """What a response costs the first time, and for another length of record."""
    response_values.response_values(text, 64, 2 * DT, "VEL")  # compiled
    turns = [clock(lambda n=n: response_values.response_values(text, n, DT, "VEL"))
             for n in (nfft, nfft // 2)]  # fmt: skip
    theirs = clock(lambda: channel.response.get_evalresp_response(DT, nfft, output="VEL"))
    print(f"response: first {turns[0]:.1f} ms, another length {turns[1]:.1f} ms, "
          f"evalresp {theirs:.0f} ms")  # fmt: skip


def remove(x: np.ndarray, text: str, band: tuple[float, ...] | None) -> np.ndarray:
    """What ``ces.remove_response`` does with a block."""
    return response_division.deconvolve(
        x, np.zeros(len(x), int), (text,), dt=DT, units="VEL", water_level=60.0, pre_filt=band,
        mean=True, fraction=0.05,
    )  # fmt: skip


def best(work: Callable[[], object], turns: int = 9) -> float:
    """Milliseconds of the quickest turn, the first left out."""
    work()
    return min(clock(work) for _ in range(turns))


def clock(work: Callable[[], object]) -> float:
    """Milliseconds."""
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


if __name__ == "__main__":
    main()
