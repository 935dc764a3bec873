"""Misfits and adjoint sources beside pyadjoint's: 2,400 samples, four windows a pair, one core.

    python -m benchmarks.misfit_adjoint --pyadjoint /path/to/python/with/pyadjoint

Both sides run in one go, alternately, in one thread; printed are milliseconds of processor time a
pair and ratios, of the kernel over a block of 240 pairs (median and least), and of the operator on
a Dataset of 960, where xarray and memory that was never touched (19 kB a pair) cost as much as the
kernel of the simplest measure.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import json
import os
import statistics
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np

SAMPLES, DT, WINDOWS = 2400, 0.05, [(150, 600), (650, 1100), (1200, 1640), (1700, 2250)]
PERIODS = (2.0, 20.0)
MEASURES = ["waveform", "cc_traveltime", "multitaper", "exponentiated_phase"]


def pairs(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Band-limited noise, and the same moved by 0.1 to 0.4 s and scaled."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal((count, SAMPLES)))
    frequency = np.fft.rfftfreq(SAMPLES, DT)
    spectrum *= np.exp(-(((frequency - 0.2) / 0.08) ** 2))
    delay = np.random.default_rng(1).uniform(0.1, 0.4, (count, 1))
    moved = 1.2 * spectrum * np.exp(-2j * np.pi * frequency * delay)
    return np.fft.irfft(moved, SAMPLES), np.fft.irfft(spectrum, SAMPLES)


def theirs(count: int, measure: str) -> tuple[float, list[float]]:
    """Seconds a pair and misfits; runs where pyadjoint is installed."""
    import logging
    import warnings

    import obspy
    import pyadjoint

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    head = {"delta": DT, "network": "XX", "station": "ONE", "channel": "BXZ"}
    observed, synthetic = pairs(count)
    windows = [((a + 1e-3) * DT, (b + 2e-3) * DT) for a, b in WINDOWS]
    config = pyadjoint.get_config(measure, *PERIODS)
    traces = [
        [obspy.Trace(x, head) for x in pair] for pair in zip(observed, synthetic, strict=True)
    ]
    pyadjoint.calculate_adjoint_source(*traces[0], config, windows)
    start = time.process_time()
    found = [pyadjoint.calculate_adjoint_source(*pair, config, windows) for pair in traces]
    return (time.process_time() - start) / count, [source.misfit for source in found]


class MisfitAdjoint:
    """Adjoint sources of a block of 960 pairs."""

    params = MEASURES

    def setup(self, measure: str, count: int = 960):
        import xarray as xr

        from pangeo_ces.conventions import VARIABLES
        from pangeo_ces.timeaxis import time_coords

        axis = time_coords(samples=SAMPLES, interval=Fraction(DT).limit_denominator(1000))
        names = {"station": [f"XX.{n}..BX" for n in range(count)], "component": ["Z"]}
        dims = ("station", "component", "time")
        self.sides = [
            xr.Dataset(
                {"velocity": (dims, x[:, None], VARIABLES["velocity"].attrs)}, coords=names
            ).assign_coords(axis)
            for x in pairs(count)
        ]
        edge = np.broadcast_to(np.array(WINDOWS).T[:, None, None] * DT, (2, count, 1, 4))
        self.windows = xr.Dataset(
            {
                name: (("station", "component", "window"), values)
                for name, values in zip(("window_start", "window_end"), edge, strict=True)
            },
            coords=names,
        )
        self.time_adjoint_source(measure)

    def time_adjoint_source(self, measure: str):
        from pangeo_ces.products.adjoint import adjoint_source

        return adjoint_source(
            *self.sides, self.windows, measure=measure, min_period=PERIODS[0], max_period=PERIODS[1]
        )


def kernel_seconds(measure: str, count: int = 240, repeat: int = 15) -> tuple[float, float]:
    """Median and least seconds a pair of the kernel alone."""
    from pangeo_ces.products import adjoint
    from pangeo_ces.products.misfit._options import Options

    given = {name: p.default for name, p in inspect.signature(adjoint.adjoint_source).parameters
             .items() if p.kind is p.KEYWORD_ONLY}  # fmt: skip
    given |= {"measure": measure, "min_period": PERIODS[0], "max_period": PERIODS[1]}
    options = Options.of(given | {"amplitude": "rms"}, windows=True)
    edges = [np.full((count, 4), np.array(side) * DT) for side in zip(*WINDOWS, strict=True)]
    seconds = []
    for _ in range(1 + (3 if measure == "multitaper" else repeat)):
        start = time.process_time()
        adjoint._packed(*pairs_of(count), *edges, options=options, dt=DT, start=0.0)
        seconds.append((time.process_time() - start) / count)
    return statistics.median(seconds[1:]), min(seconds[1:])


@functools.cache
def pairs_of(count: int) -> tuple[np.ndarray, np.ndarray]:
    return pairs(count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pyadjoint", help="interpreter that has pyadjoint 0.2.3")
    parser.add_argument("--theirs", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.theirs:
        print(json.dumps(theirs(int(options.theirs[0]), options.theirs[1])))
        return
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    head = "".join(f"{name:>11}" for name in ("kernel", "least", "operator", "pyadjoint"))
    print(f"{'measure':20}{head} {'ratios':>14}  largest difference")
    for measure in MEASURES:
        bench = MisfitAdjoint()
        bench.setup(measure)
        seconds = []
        for _ in range(5):
            start = time.process_time()
            found = bench.time_adjoint_source(measure)["misfit"].values.ravel()
            seconds.append((time.process_time() - start) / found.size)
        ours = min(seconds)
        kernel, least = kernel_seconds(measure)
        line = f"{measure:20} {1e3 * kernel:8.4f}ms {1e3 * least:8.4f}ms {1e3 * ours:8.4f}ms"
        if options.pyadjoint:
            count = "40" if measure == "multitaper" else "240"
            answer = subprocess.run(
                [options.pyadjoint, __file__, "--theirs", count, measure],
                capture_output=True, check=True, text=True,
            ).stdout  # fmt: skip
            other, misfits = json.loads(answer)
            worst = np.abs(found[: len(misfits)] / np.array(misfits) - 1).max()
            line += f" {1e3 * other:8.3f}ms {other / kernel:6.1f} {other / ours:6.1f}  {worst:.1e}"
        print(line)


if __name__ == "__main__":
    sys.exit(main())
