"""What a cluster costs and gives: strong scaling, cost of a task, memory of client and scheduler.

    python -m benchmarks.scaling [--kernels 24] [--tasks 1000 10000 100000]

Workers are processes of this machine with one thread each, so two of them need two free cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

import dask
import numpy as np
import psutil
import xarray as xr

import pangeo_ces as ces

from .memory import Watch

#: Records of 3 components, and their response spectra at 100 periods: a kernel of about a second.
SAMPLES, RATE, STATIONS = 30_000, 100.0, 96


def records(blocks: int) -> xr.Dataset:
    """Accelerograms that a task makes when it needs them."""
    import dask.array as da

    ds = ces.testing.synthetic_windows(
        events=1, stations=2, samples=SAMPLES, sampling_rate=RATE, quantity="acceleration"
    )
    ds = ds.isel(station=np.zeros(blocks * STATIONS, int))
    ds = ds.assign_coords(station=[f"XX.S{n:05d}..HN" for n in range(blocks * STATIONS)])
    noise = da.random.default_rng(0).standard_normal(
        ds["acceleration"].shape, dtype="float32", chunks=(1, STATIONS, 3, SAMPLES)
    )
    variable = xr.Variable(ds["acceleration"].dims, noise, ds["acceleration"].attrs)
    return ds.assign(acceleration=variable)


def kernels(blocks: int) -> xr.Dataset:
    ds = records(blocks).pipe(ces.detrend).pipe(ces.bandpass, freqmin=0.1, freqmax=20.0)
    return ces.peak_motion(ds, periods=np.geomspace(0.05, 10.0, 100).tolist())


def scaling(blocks: int) -> None:
    took = {}
    for workers in (1, 2):
        entry = {"module": "dask.distributed", "class": "LocalCluster",
                 "args": {"threads_per_worker": 1, "dashboard_address": None}}  # fmt: skip
        with (
            dask.config.set({"ces.clusters": {"single": entry}}),
            ces.connect("single", workers=workers),
        ):
            dask.compute(kernels(4 * workers))  # imports and compiled code, on each
            begin = time.perf_counter()
            dask.compute(kernels(blocks))
            took[workers] = time.perf_counter() - begin
        each = workers * took[workers] / blocks
        print(f"{workers} worker(s): {took[workers]:6.1f} s, {each:.2f} s a kernel", flush=True)
    print(f"strong scaling 1 -> 2 workers: {took[1] / took[2]:.2f} x", flush=True)


def nothing(block: np.ndarray) -> np.ndarray:
    return block


def overhead(tasks: int) -> None:
    """A graph of so many tasks that do nothing, in the shape of a recipe: many blocks, then one."""
    import dask.array as da

    from pangeo_ces.compute import computed

    command = [sys.executable, "-m", "pangeo_ces", "cluster", "start", "local", "--workers", "2"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().split()[-1]
        with ces.connect(address) as connection:
            connection.client.wait_for_workers(2)
            scheduler = psutil.Process(server.pid)
            before = sum(scheduler.cpu_times()[:2])
            both = [psutil.Process(), scheduler]
            watch = Watch(lambda: both)
            watch.start()
            begin = time.perf_counter()
            blocks = da.ones(tasks, chunks=1, dtype="float32").map_blocks(nothing)
            (whole,) = computed(blocks.rechunk(tasks))
            took = time.perf_counter() - begin
            watch.ended.set()
            assert whole.shape == (tasks,)
            busy = sum(scheduler.cpu_times()[:2]) - before
        client, held = (watch.peaks[process.pid] for process in both)
        print(f"{tasks:7d} tasks: {took:6.1f} s, {1e3 * took / tasks:.2f} ms a task, "
              f"{1e3 * busy / tasks:.2f} of it the scheduler's; client {client:.0f} MB, "
              f"scheduler {held:.0f} MB", flush=True)  # fmt: skip
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kernels", type=int, default=24)
    parser.add_argument("--tasks", type=int, nargs="*", default=[1000, 10_000, 100_000])
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB")
    if options.kernels:
        scaling(options.kernels)
    for tasks in options.tasks:
        overhead(tasks)


if __name__ == "__main__":
    main()
