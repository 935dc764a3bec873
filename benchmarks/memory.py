"""Memory of the recipes on data that no memory holds.

    python -m benchmarks.memory [--limit 800] [--workers 2] [--times 1 5 20]
                                [--recipe motion|misfit|convert] [--figure FILE]

Every size runs on a cluster of its own: ``workers`` processes of ``limit`` MB each, whose nannies
end them when they grow beyond.  A size of 20 is 20 times the memory of all workers, in samples.
Records are made when a task asks for them, 20 stations an earthquake in shards of 5 (3.6 MB where
records are long), so that nothing but the recipe's own appetite is seen; only for ``convert`` they
are files: miniSEED, Steim-2, a day each. ``motion``: the rapid assessment with its pictures, 20
minutes at 50 Hz; ``misfit``: windows, waveform misfits and traveltime shifts of pairs of
24,000 samples at 40 Hz.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import psutil

from .rapid_assessment import peak_megabytes

#: Samples and sampling rate (Hz).
SHAPES = {"motion": (60_000, 50.0), "misfit": (24_000, 40.0)}
STATIONS, IN_A_SHARD = 20, 5
DAY = 8_640_000


def waves(recipe: str, events: int, seed: int = 0):
    """Velocity of so many earthquakes, lazily."""
    import dask.array as da
    import xarray as xr

    import pangeo_ces as ces

    samples, rate = SHAPES[recipe]
    ds = ces.testing.synthetic_windows(
        events=1, stations=STATIONS, samples=samples, sampling_rate=rate, quantity="velocity"
    )
    ds = ds.isel(event=np.zeros(events, int))
    shape = (events, STATIONS)
    ds = ds.assign_coords(
        event=[f"e{n:06d}" for n in range(events)],
        event_name=("event", [f"earthquake {n}" for n in range(events)]),
        event_depth=("event", np.full(events, 8e3)),
        magnitude=("event", np.full(events, 5.0)),
        epicentral_distance=(("event", "station"), np.full(shape, 3e4)),
    )
    random = da.random.default_rng(seed).standard_normal(
        tuple(ds["velocity"].shape), dtype="float32", chunks=(1, IN_A_SHARD, 3, samples)
    )
    variable = xr.Variable(ds["velocity"].dims, random, ds["velocity"].attrs)
    return ds.assign(velocity=variable).assign_attrs(sampling_interval=f"1/{rate:.0f}")


def motion(events: int) -> int:
    import xarray as xr

    import pangeo_ces as ces
    from pangeo_ces.workflow import pictures
    from pangeo_ces.workflow.run import together

    tree = xr.DataTree.from_dict({"windows/main/observed/50Hz": waves("motion", events)})
    made = ces.rapid_assessment(tree, freqmin=0.1, freqmax=10.0, quantity="velocity",
                                periods=[0.3, 1.0, 3.0])  # fmt: skip
    shown = pictures.of_events(made.waveforms, pictures.busiest(made.waveforms, 5))
    overlay = pictures.overlay(shown, pictures.nearest(made.waveforms, 12))
    product, *_ = together(made.product, pictures.thumbnails(made.waveforms), overlay)
    return int(product["observed"]["pgv"].notnull().sum())


def misfit(events: int) -> int:
    import xarray as xr

    import pangeo_ces as ces
    from pangeo_ces.workflow.run import together

    synthetic, noise = waves("misfit", events), waves("misfit", events, seed=1)
    both = (synthetic["velocity"] + 0.3 * noise["velocity"]).assign_attrs(noise["velocity"].attrs)
    tree = {
        "windows/main/observed/4Hz": noise.assign(velocity=both),
        "windows/main/synthetic/model/4Hz": synthetic,
    }
    made = ces.misfit(
        xr.DataTree.from_dict(tree), min_period=5.0, max_period=50.0,
        measures=["waveform", "cc_traveltime"], quantity="velocity",
    )  # fmt: skip
    (product,) = together(made.product)
    return int(product["measures/model"]["misfit_waveform"].notnull().sum())


def convert(days: int) -> int:
    import pangeo_ces as ces

    with tempfile.TemporaryDirectory(prefix="ces-memory-") as name:
        folder = Path(name)
        stations = _write_days(folder, days)
        report = ces.convert(folder / "days", folder / "store.zarr", stations=stations)
        return report.traces_used


def _write_days(folder: Path, days: int) -> Path:
    """So many days of one channel as miniSEED files, the bytes of one day under other dates."""
    import obspy
    from obspy.core.inventory import Channel, Inventory, Network, Site, Station

    start = obspy.UTCDateTime(2020, 1, 1)
    place = {"latitude": 42.0, "longitude": 13.0, "elevation": 0.0}
    channel = Channel("HHZ", "", **place, depth=0.0, azimuth=0.0, dip=-90.0, sample_rate=100.0)
    station = Station("S", **place, site=Site("x"), channels=[channel])
    path = folder / "stations.xml"
    Inventory([Network("XX", [station])], source="benchmark").write(path, "STATIONXML")
    (folder / "days").mkdir()
    samples = np.random.default_rng(0).normal(0, 300, DAY).astype("int32")
    head = {"network": "XX", "station": "S", "channel": "HHZ", "sampling_rate": 100.0}
    first = folder / "first.mseed"
    trace = obspy.Trace(samples, head | {"starttime": start})
    trace.write(str(first), "MSEED", encoding="STEIM2", reclen=4096)
    records = np.fromfile(first, "u1").reshape(-1, 4096)
    for day in range(days):
        date = start + 86400 * day
        records[:, 20:24] = np.array([date.year, date.julday], ">u2").view("u1")
        records.tofile(folder / "days" / f"{day:04d}.mseed")
    return path


RECIPES = {"motion": motion, "misfit": misfit, "convert": convert}


def pieces(recipe: str, megabytes: float) -> int:
    """Earthquakes or days that hold so much."""
    if recipe == "convert":
        return max(1, round(megabytes * 1e6 / (4 * DAY)))
    sides = 2 if recipe == "misfit" else 1
    return max(1, round(megabytes * 1e6 / (sides * STATIONS * 3 * 4 * SHAPES[recipe][0])))


class Watch(threading.Thread):
    """Largest resident memory of processes by their numbers, in MB, until ``ended`` is set."""

    def __init__(self, processes: Callable[[], Iterable[psutil.Process]]) -> None:
        super().__init__(daemon=True)
        self._processes, self.ended = processes, threading.Event()
        self.peaks: dict[int, float] = {}

    def run(self) -> None:
        while not self.ended.wait(0.05):
            for process in self._processes():
                with contextlib.suppress(psutil.Error):
                    now = process.memory_info().rss / 1e6
                    self.peaks[process.pid] = max(now, self.peaks.get(process.pid, 0.0))


def _workers() -> Iterator[psutil.Process]:
    """Those that run now."""
    for one in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "spawn_main" in " ".join(one.cmdline()):
                yield one


def child(recipe: str, count: int, workers: int, limit: float) -> None:
    import dask

    import pangeo_ces as ces
    from pangeo_ces.compute import find

    args = find("local").args | {
        "n_workers": workers, "threads_per_worker": 1, "memory_limit": int(limit * 1e6),
        "dashboard_address": None,
    }  # fmt: skip
    entry = {"module": "dask.distributed", "class": "LocalCluster", "args": args}
    with dask.config.set({"ces.clusters": {"small": entry}}), ces.connect("small"):
        watch = Watch(_workers)
        watch.start()
        begin = time.perf_counter()
        made = RECIPES[recipe](count)
        row = {
            "seconds": time.perf_counter() - begin, "made": made,
            "worker_mb": max(watch.peaks.values()), "driver_mb": peak_megabytes(),
            "restarts": len(watch.peaks) - workers,
        }  # fmt: skip
    print(json.dumps(row))


def went_through(recipe: str, count: int, workers: int, limit: float) -> dict:
    """A run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", "--recipe", recipe, "--child", str(count),
               "--workers", str(workers), "--limit", str(limit)]  # fmt: skip
    folder = Path(__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def compiled(recipe: str, limit: float) -> None:
    """Compile the recipe's kernels, which takes more memory than they do."""
    went_through(recipe, 1, 1, 4 * limit)


def drawn(rows: list[dict], limit: float, path: str) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for recipe in dict.fromkeys(row["recipe"] for row in rows):
        some = [row for row in rows if row["recipe"] == recipe]
        sizes = [row["times"] for row in some]
        (line,) = axes.plot(sizes, [row["worker_mb"] for row in some], "o-", label=recipe)
        axes.plot(sizes, [row["driver_mb"] for row in some], "s--", color=line.get_color(), lw=0.8)
    axes.axhline(limit, color="0.5", lw=0.8)
    axes.text(1, limit, " limit of a worker", va="bottom", fontsize="small")
    axes.set(xlabel="samples / memory of all workers", ylabel="largest resident memory (MB)",
             xscale="log", ylim=(0, None),
             title="line: the larger of the workers; dashed: client and scheduler")  # fmt: skip
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axes.minorticks_off()
    axes.title.set_fontsize("small")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--limit", type=float, default=800.0, help="MB of a worker")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--times", type=float, nargs="+", default=[1.0, 5.0, 20.0])
    parser.add_argument("--recipe", choices=sorted(RECIPES), nargs="+", default=["motion"])
    parser.add_argument("--figure", help="draw the table here")
    parser.add_argument("--child", type=int)
    options = parser.parse_args()
    if options.child:
        child(options.recipe[0], options.child, options.workers, options.limit)
        return
    rows = []
    for recipe in options.recipe:
        compiled(recipe, options.limit)
        for times in options.times:
            megabytes = times * options.limit * options.workers
            count = pieces(recipe, megabytes)
            row = went_through(recipe, count, options.workers, options.limit)
            row |= {"recipe": recipe, "times": times}
            rows.append(row)
            print(
                f"{recipe:8s} {times:5.1f} x {options.limit * options.workers:.0f} MB  "
                f"{count:6d} {'days' if recipe == 'convert' else 'earthquakes'}  "
                f"{row['seconds']:6.1f} s  worker {row['worker_mb']:.0f} MB, client and scheduler "
                f"{row['driver_mb']:.0f} MB, {row['restarts']} workers restarted",
                flush=True,
            )
            if options.figure:
                drawn(rows, options.limit, options.figure)


if __name__ == "__main__":
    main()
