"""Reading miniSEED beside ObsPy and libmseed, in one run.

    python -m benchmarks.mseed [FILE ...] [--repeat 5]

Day files of 100 Hz (given, or made) and the same records as files of about ten minutes are read
from memory with 1 and 2 threads by

- ``decode`` and ``headers``: the source of this package, with and without samples;
- ``obspy``: ``obspy.read``;
- ``libmseed``: pymseed's record list, unpacked into an array for each trace.

Methods take turns, and the best of the repetitions counts; compilation is left out.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import obspy
import pymseed

from pangeo_ces.sources import SourceFile
from pangeo_ces.sources.mseed import SOURCE

RATE, DAY = 100.0, 86_400
RECORD, TEN_MINUTES = 4096, 24


def made_day(seed: int) -> bytes:
    """A day of noise in counts with two-byte steps now and then, as Steim-2."""
    random = np.random.default_rng(seed)
    size = int(RATE * DAY)
    steps = random.normal(0, 30, size) * (1 + 20 * (random.random(size) < 0.05))
    header = {"network": "XX", "station": f"S{seed}", "channel": "HHZ", "sampling_rate": RATE}
    buffer = io.BytesIO()
    values = np.cumsum(steps - steps.mean()).astype("i4")
    obspy.Trace(values, header).write(buffer, format="MSEED", reclen=RECORD, encoding="STEIM2")
    return buffer.getvalue()


def short(days: list[bytes], files: int = 100) -> list[bytes]:
    """Pieces of the first records of each day."""
    step = RECORD * TEN_MINUTES
    return [day[at : at + step] for day in days for at in range(0, len(day), step)][: 3 * files]


def decode(content: bytes) -> None:
    SOURCE.read(SourceFile("x", content), samples=True, report=_quiet)


def headers(content: bytes) -> None:
    SOURCE.read(SourceFile("x", content), samples=False, report=_quiet)


def with_obspy(content: bytes) -> None:
    obspy.read(io.BytesIO(content), format="MSEED")


def with_libmseed(content: bytes) -> None:
    for trace in pymseed.MS3TraceList.from_buffer(content, record_list=True):
        for segment in trace:
            segment.create_numpy_array_from_recordlist()


def _quiet(trace: str, reason: str) -> None:
    pass


METHODS: dict[str, Callable[[bytes], None]] = {
    "decode": decode, "headers": headers, "obspy": with_obspy, "libmseed": with_libmseed,
}  # fmt: skip


class Mseed:
    """Time of one day file of 100 Hz, and of a hundred short ones."""

    def setup(self):
        self.day = made_day(0)
        self.short = short([self.day], 33)
        for method in METHODS.values():
            method(self.short[0])

    def time_day(self):
        decode(self.day)

    def time_day_headers(self):
        headers(self.day)

    def time_day_obspy(self):
        with_obspy(self.day)

    def time_short(self):
        for content in self.short:
            decode(content)

    def time_short_obspy(self):
        for content in self.short:
            with_obspy(content)


def measure(contents: list[bytes], threads: int, repeat: int) -> dict[str, float]:
    """Best wall seconds of each method for all files."""
    best = dict.fromkeys(METHODS, float("inf"))
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(repeat):
            for name, method in METHODS.items():
                begin = time.perf_counter()
                list(pool.map(method, contents))
                best[name] = min(best[name], time.perf_counter() - begin)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="day files; made where none is given")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    days = [path.read_bytes() for path in options.files] or [made_day(seed) for seed in range(3)]
    for method in METHODS.values():
        method(days[0])
    print("| files | threads | " + " | ".join(f"{name}, ms/file" for name in METHODS)
          + " | x obspy | x libmseed | headers x decode | GB/s of headers |")  # fmt: skip
    print("|" + "---|" * (len(METHODS) + 6))
    for kind, contents in (("day", days), ("10 min", short(days))):
        for threads in (1, 2):
            took = measure(contents, threads, options.repeat)
            size = sum(map(len, contents)) / 1e9
            cells = [f"{1e3 * took[name] / len(contents):.2f}" for name in METHODS]
            cells += [f"{took[name] / took['decode']:.1f}" for name in ("obspy", "libmseed")]
            cells += [f"{took['decode'] / took['headers']:.1f}", f"{size / took['headers']:.1f}"]
            print(f"| {kind} | {threads} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
