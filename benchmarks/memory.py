"""Memory of the steps of the recipe on data that no memory holds.

    python -m benchmarks.memory [--limit 500] [--times 1 5 20]

Records are made when a task asks for them, so that nothing but the graph's own appetite is seen:
band-pass, response-free motion, rotation and peaks of ``times`` x ``limit`` MB of float32, on two
threads, each size in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

import numpy as np

from .rapid_assessment import peak_megabytes

SAMPLES, STATIONS_A_CHUNK = 60_000, 20


def waves(stations: int):
    """Velocity of so many stations, lazily."""
    import dask.array as da
    import xarray as xr

    import pangeo_ces as ces

    ds = ces.testing.synthetic_windows(
        events=1, stations=2, samples=SAMPLES, sampling_rate=50.0, quantity="velocity"
    )
    ds = ds.isel(station=np.zeros(stations, int))
    ds = ds.assign_coords(station=[f"XX.S{n:05d}..HH" for n in range(stations)])
    shape = tuple(ds["velocity"].shape)
    random = da.random.default_rng(0).standard_normal(
        shape, dtype="float32", chunks=(1, STATIONS_A_CHUNK, 3, SAMPLES)
    )
    return ds.assign(velocity=xr.Variable(ds["velocity"].dims, random, ds["velocity"].attrs))


def child(stations: int) -> None:
    import dask

    import pangeo_ces as ces

    ds = waves(stations).pipe(ces.detrend).pipe(ces.taper, max_percentage=0.05)
    ds = ds.pipe(ces.bandpass, freqmin=0.1, freqmax=10.0, zerophase=True)
    peaks = ces.peak_motion(ds.pipe(ces.rotate, to="ZRT"), periods=[0.3, 1.0, 3.0])
    begin = time.perf_counter()
    (peaks,) = dask.compute(peaks, scheduler="threads", num_workers=2)
    assert peaks["pgv"].notnull().all()
    print(json.dumps({"seconds": time.perf_counter() - begin, "peak_mb": peak_megabytes()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--limit", type=float, default=500.0, help="MB")
    parser.add_argument("--times", type=float, nargs="+", default=[1.0, 5.0, 20.0])
    parser.add_argument("--child", type=int)
    options = parser.parse_args()
    if options.child:
        child(options.child)
        return
    for times in options.times:
        stations = int(times * options.limit * 1e6 / (3 * 4 * SAMPLES))
        command = [sys.executable, "-m", "benchmarks.memory", "--child", str(stations)]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        row = json.loads(out.splitlines()[-1])
        print(
            f"{times:5.1f} x {options.limit:.0f} MB  {stations:6d} stations  "
            f"{row['seconds']:6.1f} s  peak {row['peak_mb']:.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
