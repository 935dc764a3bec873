"""Time-frequency misfits beside ObsPy's ``tf_misfit``, in one run.

    python -m benchmarks.misfit_time_frequency [--pairs 200] [--samples 2400] [--frequencies 100]
                                               [--repeat 5] [--output FILE]

Pairs of decaying noise (float32, 100 Hz; the second is the first, louder, later and with noise) go
through the misfits from 1 to 10 Hz and from 0.1 to 40 Hz:

- ``scalars``: EM, PM, EG, PG;
- ``all``: all 16 outputs, the time-frequency planes among them;

as :func:`time_frequency_misfit` measures them, with one thread and with two, and by ObsPy's
functions one after the other, on as many pairs as a few seconds allow.  Every method runs in a
process of its own; times leave out imports, compilation and the first bank of wavelets, peak memory
does not.  The median of the repetitions counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.rapid_assessment import peak_megabytes

DT = 0.01
BANDS = {"1-10 Hz": (1.0, 10.0), "0.1-40 Hz": (0.1, 40.0)}
SCALARS = ("em", "pm", "eg", "pg")
TASKS = ("scalars", "all")
METHODS = ("ces", "obspy")
#: So many pairs of what takes long.
SLOW = 2


def signals(pairs: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """(pair, time) of both sides."""
    random = np.random.default_rng(0)
    decay = np.exp(-np.arange(samples) / (0.3 * samples))
    one = random.standard_normal((pairs, samples)) * decay
    two = 1.2 * np.roll(one, 2, axis=1) + 0.3 * random.standard_normal((pairs, samples)) * decay
    return one.astype("f4"), two.astype("f4")


def outputs_of(task: str) -> tuple[str, ...]:
    from pangeo_ces.products.time_frequency import OUTPUTS

    return SCALARS if task == "scalars" else OUTPUTS


def ours(one: np.ndarray, two: np.ndarray, task: str, band: str, nf: int, threads: int) -> list:
    """EM and PM of every pair."""
    from pangeo_ces.products.time_frequency import _misfits

    def measure(rows: slice) -> np.ndarray:
        return _misfits(
            one[rows], two[rows], dt=DT, band=(*BANDS[band], nf, 6.0), local=False,
            reference="synthetic", joint=False, outputs=outputs_of(task),
        )[:, 1:3].copy()  # fmt: skip

    parts = [slice(start, start + 3) for start in range(0, len(one), 3)]
    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(measure, parts))).tolist()


def obspy_loop(one: np.ndarray, two: np.ndarray, task: str, band: str, nf: int) -> list:
    import obspy.signal.tf_misfit as authority

    fmin, fmax = BANDS[band]
    found = []
    for x, y in zip(one[:SLOW].astype(float), two[:SLOW].astype(float), strict=True):
        values = [
            getattr(authority, name)(x, y, dt=DT, fmin=fmin, fmax=fmax, nf=nf)
            for name in outputs_of(task)
        ]
        found.append(values[:2])
    return found


def child(options: argparse.Namespace) -> None:
    one, two = signals(options.pairs, options.samples)
    arguments = (one, two, options.task, options.band, options.frequencies)

    def run() -> list:
        if options.child == "obspy":
            return obspy_loop(*arguments)
        return ours(*arguments, options.threads)

    if options.child == "ces":
        ours(one[:1], two[:1], *arguments[2:], 1)  # compile
    times = []
    for _ in range(options.repeat):
        begin = time.perf_counter()
        found = run()
        times.append(time.perf_counter() - begin)
    print(json.dumps({
        "task": options.task, "band": options.band, "method": options.child,
        "threads": options.threads, "samples": options.samples, "nf": options.frequencies,
        "ms_a_pair": 1e3 * statistics.median(times) / len(found), "found": found[:SLOW],
        "peak_mb": peak_megabytes(), "records_mb": (one.nbytes + two.nbytes) / 2**20,
    }))  # fmt: skip


def run(task: str, band: str, method: str, threads: int, options: argparse.Namespace) -> dict:
    command = [
        sys.executable, "-m", "benchmarks.misfit_time_frequency", "--child", method,
        "--task", task, "--band", band, "--threads", str(threads),
        "--repeat", str(options.repeat), "--pairs", str(options.pairs),
        "--samples", str(options.samples), "--frequencies", str(options.frequencies),
    ]  # fmt: skip
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--samples", type=int, default=2400)
    parser.add_argument("--frequencies", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--child", choices=METHODS)
    parser.add_argument("--task", choices=TASKS)
    parser.add_argument("--band", choices=BANDS)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.child:
        child(options)
        return
    rows = []
    for task in TASKS:
        for band in BANDS:
            plan = (("ces", 1), ("ces", 2), ("obspy", 1))
            together = [run(task, band, method, threads, options) for method, threads in plan]
            expected = np.array(together[-1].pop("found"))
            for row in together:
                found = np.array(row.pop("found", expected))
                row["difference"] = float(abs(found / expected - 1).max())
                row["ratio"] = together[-1]["ms_a_pair"] / row["ms_a_pair"]
                print(
                    f"{task:8s} {band:10s} {row['method']:6s} {row['threads']} threads "
                    f"{row['ms_a_pair']:9.2f} ms a pair {row['ratio']:7.1f} x  EM and PM differ by "
                    f"{row['difference']:.0e}  peak {row['peak_mb']:5.0f} MB of which records "
                    f"{row['records_mb']:.0f}",
                    flush=True,
                )
            rows += together
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
