"""Peaks and spectra beside ObsPy, SciPy and pyrotd, in one run.

    python -m benchmarks.ground_motion [--traces 600] [--samples 60000] [--repeat 5] [--output FILE]

The same three-component acceleration (float32, 100 Hz, shaking under an envelope) goes through

- ``peaks``: PGA, PGV, PGD and 3 SA of every channel and the default combinations;
- ``rotd``: 3 SA, RotD00, 50 and 100 of the horizontals;
- ``hundred``: SA at 100 periods from 0.05 to 10 s of every channel;

each as ``peak_motion`` computes it by default (maxima between samples) and as the plain recursion
(``oversampling=1``), with one thread and with two, and with ObsPy's ``peak_ground_motion``, SciPy's
``lfilter`` and pyrotd on as many traces as a second allows.  Every method runs in a process of its
own; times leave out imports and compilation, peak memory does not.  The best of the repetitions
counts, since memory that is touched for the first time is slow.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.rapid_assessment import peak_megabytes

RATE = 100.0
PERIODS = {"peaks": (0.3, 1.0, 3.0), "rotd": (0.3, 1.0, 3.0),
           "hundred": tuple(np.geomspace(0.05, 10.0, 100))}  # fmt: skip
COMBINATIONS = {"peaks": ("larger", "geometric_mean", "vector"), "hundred": (),
                "rotd": ("rotd00", "rotd50", "rotd100")}  # fmt: skip
DAMPING = 0.05
#: So many traces or pairs of what takes long.
SLOW = 6


def records(stations: int, samples: int) -> np.ndarray:
    """(station, component, time), the first ones different and then repeated."""
    random = np.random.default_rng(0)
    kinds = min(stations, 20)
    frequency = np.fft.rfftfreq(samples, 1 / RATE)
    t = np.arange(samples) / RATE
    envelope = (t / 60 * np.exp(1 - t / 60)) ** 2
    x = np.empty((stations, 3, samples), "f4")
    for k in range(kinds):
        spectrum = np.fft.rfft(random.standard_normal((3, samples)))
        spectrum *= np.exp(-((frequency / 12) ** 2)) * (frequency > 0.1)
        x[k::kinds] = np.fft.irfft(spectrum, samples) * envelope
    return x


def ours(x: np.ndarray, task: str, threads: int, oversampling: int | None) -> int:
    from pangeo_ces.products.peak_motion import _peaks_of_block
    from pangeo_ces.products.rotated import combine
    from pangeo_ces.products.sweep import Oscillator, largest

    oscillators = tuple(Oscillator(period, DAMPING) for period in PERIODS[task])
    options = {"order": 2, "dt": 1 / RATE, "spectrum": "psa"}
    level = np.array([False, True, True])

    def measure(part: np.ndarray) -> None:
        _peaks_of_block(
            part, np.broadcast_to(level, part.shape[:2]), oscillators=oscillators,
            oversampling=oversampling, combinations=COMBINATIONS[task], **options,
        )  # fmt: skip

    def rotate(part: np.ndarray) -> None:
        """The spectra alone, which is all that pyrotd has."""
        pairs = 3 * np.arange(len(part))[:, None] + [1, 2]
        rows = part.reshape(-1, part.shape[-1])
        found = largest(
            rows[pairs.ravel()], np.arange(pairs.size).reshape(-1, 2), oscillators, rotated=True,
            motions=False, exact=oversampling is None, **options,
        )  # fmt: skip
        combine(COMBINATIONS[task], found.peaks.reshape(-1, 2, found.peaks.shape[-1]),
                found.squares, found.hulls, 3)  # fmt: skip

    parts = [x[start : start + 16] for start in range(0, len(x), 16)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(rotate if task == "rotd" else measure, parts))
    return x.shape[0] * (1 if task == "rotd" else x.shape[1])


def obspy_loop(x: np.ndarray, task: str) -> int:
    from obspy.signal.freqattributes import peak_ground_motion

    rows = x.reshape(-1, x.shape[-1])[:SLOW]
    for row in rows:
        for period in PERIODS[task]:
            peak_ground_motion(row.astype(float), 1 / RATE, 1 / period, DAMPING)
    return len(rows)


def scipy_loop(x: np.ndarray, task: str) -> int:
    from scipy.integrate import cumulative_trapezoid
    from scipy.signal import lfilter

    from pangeo_ces.products.oscillators import coefficients

    rows = x.reshape(-1, x.shape[-1])[:SLOW].astype(float)
    table = coefficients(PERIODS[task], [DAMPING] * len(PERIODS[task]), 1 / RATE, "psa")
    for row in rows:
        if task == "peaks":
            velocity = cumulative_trapezoid(row, dx=1 / RATE, initial=0)
            for motion in (row, velocity, cumulative_trapezoid(velocity, dx=1 / RATE, initial=0)):
                np.abs(motion).max()
        for c0, c1, c2, t, minus_d, _ in table:
            np.abs(lfilter([c0, c1, c2], [1, -t, -minus_d], row)).max()
    return len(rows)


def pyrotd_loop(x: np.ndarray, task: str) -> int:
    import pyrotd

    pyrotd.processes = 1
    frequencies = 1 / np.array(PERIODS[task])
    for _, one, two in x[:SLOW].astype(float):
        pyrotd.calc_rotated_spec_accels(
            1 / RATE, one, two, frequencies, DAMPING, percentiles=[0, 50, 100]
        )
    return min(len(x), SLOW)


METHODS: dict[str, Callable[..., int]] = {
    "ces": lambda x, task, threads: ours(x, task, threads, None),
    "ces, at samples": lambda x, task, threads: ours(x, task, threads, 1),
    "obspy": lambda x, task, threads: obspy_loop(x, task),
    "scipy lfilter": lambda x, task, threads: scipy_loop(x, task),
    "pyrotd": lambda x, task, threads: pyrotd_loop(x, task),
}
PLAN = {"peaks": ("obspy", "scipy lfilter"), "rotd": ("pyrotd",), "hundred": ("scipy lfilter",)}


def child(options: argparse.Namespace) -> None:
    x = records(options.traces // 3, options.samples)
    method = METHODS[options.child]
    method(x[:16, :, :500], options.task, options.threads)  # compile
    best, cpu, done = np.inf, np.inf, 0
    for _ in range(options.repeat):
        begin, begin_cpu = time.perf_counter(), time.process_time()
        done = method(x, options.task, options.threads)
        best = min(best, time.perf_counter() - begin)
        cpu = min(cpu, time.process_time() - begin_cpu)
    print(json.dumps({
        "task": options.task, "method": options.child, "threads": options.threads, "done": done,
        "samples": options.samples, "seconds": best, "cpu_seconds": cpu,
        "peak_mb": peak_megabytes(), "records_mb": x.nbytes / 2**20,
    }))  # fmt: skip


def run(task: str, method: str, threads: int, options: argparse.Namespace) -> dict:
    command = [
        sys.executable, "-m", "benchmarks.ground_motion", "--child", method, "--task", task,
        "--threads", str(threads), "--repeat", str(options.repeat),
        "--traces", str(options.traces), "--samples", str(options.samples),
    ]  # fmt: skip
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    row = json.loads(out.splitlines()[-1])
    row["per_second"] = row["done"] / row["seconds"]
    row["ns"] = 1e9 * row["cpu_seconds"] / row["done"] / row["samples"] / len(PERIODS[task])
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--traces", type=int, default=600)
    parser.add_argument("--samples", type=int, default=60_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--child")
    parser.add_argument("--task")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.child:
        child(options)
        return
    rows = []
    for task, others in PLAN.items():
        plan = [("ces", 1), ("ces", 2), ("ces, at samples", 1), *((name, 1) for name in others)]
        of_task = [run(task, method, threads, options) for method, threads in plan]
        rows += of_task
        slowest = min(row["per_second"] for row in of_task)
        for row in of_task:
            print(
                f"{task:8s} {row['method']:16s} {row['threads']} threads "
                f"{row['per_second']:8.1f} {'pairs' if task == 'rotd' else 'traces'}/s "
                f"{row['per_second'] / slowest:7.1f} x  CPU {row['ns']:7.2f} ns a sample and period"
                f"  peak {row['peak_mb']:5.0f} MB of which records {row['records_mb']:.0f}",
                flush=True,
            )
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
