"""The recipe beside a per-trace ObsPy loop and a batched NumPy floor, in one run.

    python -m benchmarks.rapid_assessment [--stations 300] [--threads 2] [--output FILE]

The same stations x 3 components x 20 min at 50 Hz, observed and synthetic, go through

- ``recipe``: store to table, response removal, filter, rotation, peaks of all components;
- ``recipe, velocity in``: the same on records that are velocity already, as the floor has them;
- ``obspy loop``: miniSEED, trace by trace, the same steps with ``peak_ground_motion``;
- ``numpy floor``: miniSEED of the horizontals, batches of 50, no response and no filter.

Every method runs in a process of its own; times leave out imports and compilation, peak memory
does not.  The loop is timed on a part of the stations and scaled.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PERIODS, DAMPING = (0.3, 1.0, 3.0), 0.1
BAND = {"freqmin": 0.1, "freqmax": 2.0, "corners": 3}
LOOP_STATIONS = 20


def recipe(folder: Path, stations: int, threads: int, velocity: bool = False) -> int:
    import dask

    import pangeo_ces as ces
    from pangeo_ces.workflow.rapid_assessment import rapid_assessment

    steps = {**BAND, "zerophase": False, "quantity": "velocity", "axes": "ZRT",
             "pre_filt": (0.005, 0.01, 8.0, 10.0)}  # fmt: skip
    if velocity:
        # What the floor does: measure records as they are.
        steps = {"freqmin": None, "freqmax": 24.0, "max_percentage": 0.0, "quantity": "velocity"}
    tree = ces.open_store(folder / "store.zarr")
    if velocity:
        tree = tree.filter(lambda node: "observed" not in node.path)
    product = rapid_assessment(tree, periods=PERIODS, damping=DAMPING, **steps).product
    flat = {node.path: node.to_dataset(inherit=False) for node in product.subtree}
    (done,) = dask.compute(flat, scheduler="threads", num_workers=threads)
    sides = [path for path in done if path.split("/")[1] in ("observed", "synthetic")]
    sides = [path for path in sides if "pga" in done[path]]
    assert all(done[path]["psa"].notnull().all() for path in sides)
    return 3 * stations * len(sides)


def obspy_loop(folder: Path, stations: int, threads: int) -> int:
    import obspy
    from obspy.signal.freqattributes import peak_ground_motion

    inventory = obspy.read_inventory(folder / "observed.xml")
    count = min(stations, LOOP_STATIONS)
    for kind in ("observed", "synthetic"):
        for path in sorted((folder / kind).glob("*.mseed"))[:count]:
            stream = obspy.read(path)
            stream.detrend("linear")
            stream.taper(0.05)
            if kind == "observed":
                stream.remove_response(inventory, output="VEL", pre_filt=(0.005, 0.01, 8, 10),
                                       zero_mean=False, taper=False)  # fmt: skip
            stream.filter("bandpass", **BAND)
            stream.rotate("NE->RT", back_azimuth=30.0)
            for trace in stream:
                for period in PERIODS:
                    peak_ground_motion(trace.data, trace.stats.delta, 1 / period, DAMPING)
                displacement = trace.copy().integrate()
                np.abs(displacement.data).max()
    return 6 * count


def numpy_floor(folder: Path, stations: int, threads: int) -> int:
    """Horizontals of 50 stations at a time: gradient, trapezoid, oscillators by padded FFT."""
    import obspy
    import scipy.fft
    from scipy.integrate import cumulative_trapezoid

    done = 0
    for kind in ("observed", "synthetic"):
        paths = sorted((folder / kind).glob("*.mseed"))
        for start in range(0, len(paths), 50):
            rows = []
            for path in paths[start : start + 50]:
                rows += [tr.data.astype("f8") for tr in obspy.read(path) if tr.id[-1] in "NE"]
            v = np.array(rows).reshape(-1, 2, len(rows[0]))
            dt = 0.02
            a = np.gradient(v, dt, axis=-1)
            u = cumulative_trapezoid(v, dx=dt, axis=-1, initial=0)
            for motion in (a, v, u):
                np.abs(motion).max(axis=(1, 2))
                np.sqrt((motion**2).sum(axis=1)).max(axis=-1)
            nfft = scipy.fft.next_fast_len(2 * v.shape[-1], real=True)
            spectrum = scipy.fft.rfft(a, nfft, axis=-1)
            s = 2j * np.pi * scipy.fft.rfftfreq(nfft, dt)
            for period in PERIODS:
                w = 2 * np.pi / period
                x = scipy.fft.irfft(spectrum * (w * w / (s * s + 2 * DAMPING * w * s + w * w)),
                                    nfft, axis=-1)[..., : v.shape[-1]]  # fmt: skip
                np.abs(x).max(axis=(1, 2))
                np.sqrt((x**2).sum(axis=1)).max(axis=-1)
            done += 3 * len(v)
    return done


METHODS = {
    "recipe": recipe,
    "recipe, velocity in": lambda *arguments: recipe(*arguments, velocity=True),
    "obspy loop": obspy_loop,
    "numpy floor": numpy_floor,
}


def child(method: str, folder: Path, stations: int, threads: int) -> None:
    if method.startswith("recipe"):
        # Compile, and evaluate nothing that the run itself should pay for.
        from benchmarks.data import convert, make

        with tempfile.TemporaryDirectory() as small:
            make(Path(small), 1, samples=3000)
            convert(Path(small))
            METHODS[method](Path(small), 1, threads)
    begin, cpu = time.perf_counter(), time.process_time()
    traces = METHODS[method](folder, stations, threads)
    print(json.dumps({
        "method": method, "stations": stations, "threads": threads, "traces": traces,
        "seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - cpu,
        "peak_mb": peak_megabytes(),
    }))  # fmt: skip


def peak_megabytes() -> float:
    """Most memory this process ever held; unlike ru_maxrss it forgets what started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def run(method: str, folder: Path, stations: int, threads: int) -> dict:
    command = [sys.executable, "-m", "benchmarks.rapid_assessment", "--child", method, "--folder",
               str(folder), "--stations", str(stations), "--threads", str(threads)]  # fmt: skip
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    row = json.loads(out.splitlines()[-1])
    row["traces_per_second"] = row["traces"] / row["seconds"]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stations", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--child")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.folder, options.stations, options.threads)
        return
    from benchmarks.data import convert, make

    rows = []
    with tempfile.TemporaryDirectory() as name:
        for part in (4, 2, 1):
            folder = Path(name) / str(part)
            stations = max(options.stations // part, 1)
            make(folder, stations)
            begin = time.perf_counter()
            convert(folder)
            print(f"{stations} stations converted in {time.perf_counter() - begin:.1f} s")
            plan = [("recipe", options.threads)]
            if part == 1:
                plan += [("recipe", 1), ("recipe, velocity in", options.threads)]
                plan += [(name, 1) for name in METHODS if name != "recipe"]
            for method, threads in plan:
                rows.append(run(method, folder, stations, threads))
                print_row(rows[-1])
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1) + "\n")
    (loop,) = (row["traces_per_second"] for row in rows if row["method"] == "obspy loop")
    for row in rows[2:]:
        ratio = row["traces_per_second"] / loop
        print(f"{row['method']}, {row['threads']} threads: {ratio:.1f} x the ObsPy loop")


def print_row(row: dict) -> None:
    print(
        f"{row['method']:22s} {row['stations']:4d} stations {row['threads']} threads  "
        f"{row['seconds']:7.2f} s  {row['traces_per_second']:7.1f} traces/s  "
        f"CPU {row['cpu_seconds']:6.1f} s  peak {row['peak_mb']:6.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    main()
