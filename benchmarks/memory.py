"""Memory of the steps of the recipe on data that no memory holds.

    python -m benchmarks.memory [--limit 500] [--times 1 5 20] [--recipe motion|misfit]

Records are made when a task asks for them, so that nothing but the graph's own appetite is seen:
``times`` x ``limit`` MB of float32, on two threads, each size in a process of its own.
``motion``: detrend, taper, band-pass, rotation and peaks of 20 minutes at 50 Hz; ``misfit``: pairs
of 2,400 samples at 4 Hz through the same filter, window selection, traveltime shifts and
time-frequency misfits in the windows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

import numpy as np

from .rapid_assessment import peak_megabytes

#: Samples, sampling rate (Hz), stations a chunk.
SHAPES = {"motion": (60_000, 50.0, 20), "misfit": (2_400, 4.0, 20)}


def waves(recipe: str, stations: int, seed: int = 0):
    """Velocity of so many stations, lazily."""
    import dask.array as da
    import xarray as xr

    import pangeo_ces as ces

    samples, rate, together = SHAPES[recipe]
    ds = ces.testing.synthetic_windows(
        events=1, stations=2, samples=samples, sampling_rate=rate, quantity="velocity"
    )
    ds = ds.isel(station=np.zeros(stations, int))
    ds = ds.assign_coords(station=[f"XX.S{n:05d}..HH" for n in range(stations)])
    random = da.random.default_rng(seed).standard_normal(
        tuple(ds["velocity"].shape), dtype="float32", chunks=(1, together, 3, samples)
    )
    return ds.assign(velocity=xr.Variable(ds["velocity"].dims, random, ds["velocity"].attrs))


def motion(stations: int):
    import pangeo_ces as ces

    ds = waves("motion", stations).pipe(ces.detrend).pipe(ces.taper, max_percentage=0.05)
    ds = ds.pipe(ces.bandpass, freqmin=0.1, freqmax=10.0, zerophase=True)
    return ces.peak_motion(ds.pipe(ces.rotate, to="ZRT"), periods=[0.3, 1.0, 3.0])


def misfit(stations: int):
    import xarray as xr

    import pangeo_ces as ces

    synthetic = waves("misfit", stations)
    noise = waves("misfit", stations, seed=1)["velocity"]
    observed = synthetic.assign(
        velocity=(synthetic["velocity"] + 0.3 * noise).assign_attrs(synthetic["velocity"].attrs)
    )
    observed, synthetic = (
        ds.pipe(ces.taper).pipe(ces.bandpass, freqmin=0.02, freqmax=0.2, zerophase=True)
        for ds in (observed, synthetic)
    )
    band = {"min_period": 5.0, "max_period": 50.0}
    windows = ces.select_windows(observed, synthetic, **band)
    shifts = ces.waveform_misfit(observed, synthetic, windows, measure="cc_traveltime", **band)
    inside = (ces.window_waveforms(ds, windows) for ds in (observed, synthetic))
    planes = ces.time_frequency_misfit(*inside, fmin=0.02, fmax=0.2)
    return xr.Dataset({"pgv": shifts["status"], "cc": windows["cc"], "em": planes["em"]})


def child(recipe: str, stations: int) -> None:
    import dask

    made = {"motion": motion, "misfit": misfit}[recipe](stations)
    begin = time.perf_counter()
    (made,) = dask.compute(made, scheduler="threads", num_workers=2)
    assert made["pgv"].notnull().all()
    print(json.dumps({"seconds": time.perf_counter() - begin, "peak_mb": peak_megabytes()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--limit", type=float, default=500.0, help="MB")
    parser.add_argument("--times", type=float, nargs="+", default=[1.0, 5.0, 20.0])
    parser.add_argument("--recipe", choices=sorted(SHAPES), default="motion")
    parser.add_argument("--child", type=int)
    options = parser.parse_args()
    if options.child:
        child(options.recipe, options.child)
        return
    for times in options.times:
        sides = 2 if options.recipe == "misfit" else 1
        stations = int(times * options.limit * 1e6 / (3 * 4 * sides * SHAPES[options.recipe][0]))
        command = [sys.executable, "-m", "benchmarks.memory", "--recipe", options.recipe,
                   "--child", str(stations)]  # fmt: skip
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        row = json.loads(out.splitlines()[-1])
        print(
            f"{times:5.1f} x {options.limit:.0f} MB  {stations:6d} stations  "
            f"{row['seconds']:6.1f} s  peak {row['peak_mb']:.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
