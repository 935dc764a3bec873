"""Selection of time windows beside Pyflex, in one run.

    python -m benchmarks.misfit_windows [--pairs 60] [--pyflex PYTHON]

Pairs of 2,400 samples at 4 Hz (wavelets that are shifted and scaled, noise; by formula), band 5 to
50 s, one core:

- ``ours``: the operator on one block of pairs, without arrivals;
- ``ours, arrivals``: with the first arrival of every pair, from curves made once a depth;
- ``pyflex``, ``pyflex, arrivals``: the same by Pyflex in an interpreter that has it.

Both must select the same windows.  Times leave out imports and compilation.
"""

from __future__ import annotations

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SAMPLES, DT = 2400, 0.25
CONFIG = {"min_period": 5.0, "max_period": 50.0}
EVENT, STATION = (10.0, 20.0, 33_000.0), (10.0, 32.0)


def pairs(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Observed and synthetic, ``(count, samples)``."""
    random = np.random.RandomState(1)
    t = np.arange(SAMPLES) * DT
    frequency = np.fft.rfftfreq(2 * SAMPLES, DT)
    band = (frequency > 1 / CONFIG["max_period"]) & (frequency < 1 / CONFIG["min_period"])
    white = np.fft.rfft(random.standard_normal((2, count, 2 * SAMPLES))) * band
    observed, synthetic = np.fft.irfft(white)[..., SAMPLES // 2 : -SAMPLES // 2]
    observed *= 0.03 / observed.std()
    synthetic *= 0.003 / synthetic.std()
    for row in range(count):
        for _ in range(12):
            centre, period = random.uniform(50, 580), random.uniform(5.5, 20)
            width, size = period * random.uniform(0.6, 3), random.lognormal(0, 0.8)
            phase, shift = random.uniform(0, 6.28), 0.1 * period * random.randn()
            for trace, late, gain in (
                (synthetic, 0, 1),
                (observed, shift, random.lognormal(0, 0.3)),
            ):
                u = t - centre - late
                trace[row] += (
                    size * gain * np.exp(-((u / width) ** 2)) * np.cos(6.2832 * u / period + phase)
                )
    ends = np.minimum(1, np.minimum(np.arange(SAMPLES), np.arange(SAMPLES)[::-1]) / 120)
    return observed * ends, synthetic * ends


def ours(observed: np.ndarray, synthetic: np.ndarray, arrivals: bool) -> tuple[float, list]:
    """Seconds, and the windows of each pair."""
    from fractions import Fraction

    import xarray as xr

    from pangeo_ces.products.windows.select import select_windows
    from pangeo_ces.timeaxis import time_coords

    dims = ("event", "station", "component", "time")
    count = len(observed)
    sides = []
    for rows in (observed, synthetic):
        ds = xr.Dataset(
            {"velocity": (dims, rows[None, :, None], {"units": "m s-1"})},
            coords={"event": ["one"], "station": [f"XX.S{k}..HH" for k in range(count)],
                    "component": ["Z"], "event_depth": ("event", [EVENT[2]]),
                    "event_latitude": ("event", [EVENT[0]]),
                    "event_longitude": ("event", [EVENT[1]]),
                    "latitude": ("station", np.full(count, STATION[0])),
                    "longitude": ("station", np.full(count, STATION[1]))},
        )  # fmt: skip
        sides.append(
            ds.assign_coords(time_coords(samples=SAMPLES, interval=Fraction(1, 4), offset=0))
        )

    def run():
        return select_windows(*sides, **CONFIG, arrivals=arrivals, emulate_pyflex=True)

    run()
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        windows = run()
        seconds.append(time.perf_counter() - begin)
    edges = np.stack([windows[name].values.reshape(count, -1) for name in ("left", "right")], -1)
    return min(seconds), [row[row[:, 0] >= 0].tolist() for row in edges]


def pyflex(file: str) -> None:
    """In the other interpreter: pickled pairs in, seconds and windows out."""
    import logging
    import warnings

    import obspy
    from pyflex import Config, Event, Station, select_windows

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    arrivals, observed, synthetic = pickle.loads(Path(file).read_bytes())
    header = {"delta": DT, "network": "XX", "station": "S", "channel": "BHZ"}
    known = {}
    if arrivals:
        known = {"event": Event(*EVENT, obspy.UTCDateTime(0)), "station": Station(*STATION)}
    found, begin = [], 0.0
    for row in [0, *range(len(observed))]:  # the first once to warm up
        if len(found) == 1 and begin == 0.0:
            found, begin = [], time.perf_counter()
        sides = [obspy.Trace(rows[row], header) for rows in (observed, synthetic)]
        try:
            windows = select_windows(*sides, Config(**CONFIG), **known)
            found.append(sorted([int(w.left), int(w.right)] for w in windows))
        except IndexError:  # where a maximum of STA/LTA comes first and another last
            found.append(None)
    seconds = time.perf_counter() - begin
    Path(file).write_bytes(pickle.dumps((seconds, found)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--pyflex", metavar="PYTHON", help="an interpreter that has pyflex")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        pyflex(options.child)
        return
    observed, synthetic = pairs(options.pairs)
    for arrivals in (False, True):
        name = ", arrivals" if arrivals else ""
        seconds, windows = ours(observed, synthetic, arrivals)
        each = 1e3 * seconds / options.pairs
        count = sum(map(len, windows))
        print(f"ours{name:12} {each:9.3f} ms a pair, {count} windows")
        if not options.pyflex:
            continue
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "pairs"
            file.write_bytes(pickle.dumps((arrivals, observed, synthetic)))
            subprocess.run(
                [options.pyflex, __file__, "--child", str(file)],
                check=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
            )  # fmt: skip
            theirs, found = pickle.loads(file.read_bytes())
        usable = [number for number, rows in enumerate(found) if rows is not None]
        same = sum(found[number] == windows[number] for number in usable)
        other = 1e3 * theirs / options.pairs
        print(f"pyflex{name:12} {other:7.1f} ms a pair, {other / each:.0f} times ours; "
              f"the same windows in {same} of {len(usable)} pairs")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
