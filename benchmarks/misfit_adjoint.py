"""Misfits and adjoint sources beside pyadjoint's: 2,400 samples, four windows a pair, one core.

    python benchmarks/misfit_adjoint.py --pyadjoint /path/to/python/with/pyadjoint

Both sides run in one go, alternately, in one thread; printed are milliseconds a pair and ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np

SAMPLES, DT, WINDOWS = 2400, 0.05, [(150, 600), (650, 1100), (1200, 1640), (1700, 2250)]
PERIODS = (2.0, 20.0)
MEASURES = ["waveform", "cc_traveltime", "multitaper", "exponentiated_phase"]


def pairs(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Band-limited noise, and the same moved by 0.1 to 0.4 s and scaled."""
    random = np.random.default_rng(seed)
    spectrum = np.fft.rfft(random.standard_normal((count, SAMPLES)))
    frequency = np.fft.rfftfreq(SAMPLES, DT)
    spectrum *= np.exp(-(((frequency - 0.2) / 0.08) ** 2))
    delay = random.uniform(0.1, 0.4, (count, 1))
    moved = spectrum * np.exp(-2j * np.pi * frequency * delay) * random.uniform(0.8, 1.2)
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
    start = time.perf_counter()
    found = [pyadjoint.calculate_adjoint_source(*pair, config, windows) for pair in traces]
    return (time.perf_counter() - start) / count, [source.misfit for source in found]


class MisfitAdjoint:
    """Adjoint sources of a block of 240 pairs."""

    params = MEASURES

    def setup(self, measure: str, count: int = 240):
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

    time_adjoint_source.__test__ = False


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
    print(f"{'measure':22} {'ours':>10} {'pyadjoint':>10} {'ratio':>7}  largest difference")
    for measure in MEASURES:
        bench = MisfitAdjoint()
        bench.setup(measure)
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            found = bench.time_adjoint_source(measure)
            seconds.append((time.perf_counter() - start) / found["misfit"].size)
        ours = min(seconds)
        line = f"{measure:22} {1e3 * ours:8.4f}ms"
        if options.pyadjoint:
            call = [
                options.pyadjoint,
                __file__,
                "--theirs",
                "240" if measure != "multitaper" else "40",
                measure,
            ]  # noqa: E501
            answer = subprocess.run(call, capture_output=True, check=True, text=True).stdout
            other, misfits = json.loads(answer)
            mine = found["misfit"].values.ravel()[: len(misfits)]
            # A run of fewer pairs draws other noise: compare what both drew.
            bench.setup(measure, len(misfits))
            mine = bench.time_adjoint_source(measure)["misfit"].values.ravel()
            worst = np.abs(mine / np.array(misfits) - 1).max()
            line += f" {1e3 * other:8.3f}ms {other / ours:7.1f}  {worst:.1e}"
        print(line)


if __name__ == "__main__":
    sys.exit(main())
