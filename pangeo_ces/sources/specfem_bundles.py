"""Many seismograms of SPECFEM3D Cartesian in one file: Seismic Unix, HDF5, and one long ASCII.

They hold the numbers of the single ASCII files, and even less of their time and place: all of it
comes from the documents of the run.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator

import h5py
import numpy as np

from ..errors import FormatError
from .archive import unpack
from .base import SourceFile, Trace
from .hdf5 import checked, is_hdf5, unsafe
from .salvage import Report
from .specfem import beside
from .specfem_run import QUANTITIES, Run, time_axis
from .synthetics import NAME, named, two_columns

_SU = re.compile(r"\d+_(?P<kind>[dva])(?P<axis>[xyz])_SU")
_ASCII = re.compile(r"all_seismograms_(?P<kind>[dvap])_(?:node_\d+|main)\.ascii(?:\.gz|\.bz2)?")
_TITLE = re.compile(rb"^[ \t]*([^\s.]*\.\S+\.sem[dvap])[ \t]*\n", re.MULTILINE)
_HDF5 = {"displ": "displacement", "veloc": "velocity", "accel": "acceleration",
         "press": "pressure"}  # fmt: skip
_SU_HEADER = 240
_BLEW_UP = "rejected: NaN or infinite values: the run blew up, use a smaller DT"


class BundleSource:
    """Reads ``<rank>_dx_SU``, ``seismograms.h5`` and ``all_seismograms_*.ascii``."""

    name = "specfem-bundle"

    def matches(self, file: SourceFile) -> bool:
        name = file.name
        if _SU.fullmatch(name) or _ASCII.fullmatch(name):
            return True
        return name.endswith(".h5") and is_hdf5(file, ("network", "station", "channel", "time"))

    def read(self, file: SourceFile, *, samples: bool, report: Report) -> list[Trace]:
        run = Run.of(file)
        reader: Callable[..., Iterator[Trace]]
        if _SU.fullmatch(file.name):
            reader = read_su
        elif _ASCII.fullmatch(file.name):
            reader = read_long_ascii
        else:
            reader = read_hdf5
        content = unpack(file.content)
        if not content.strip(b" \n"):
            raise FormatError("empty file: the run was stopped before it wrote seismograms")
        if run.log and "End of the simulation" not in run.log:
            report("", "the run did not end: output_solver.txt has no 'End of the simulation'")
        traces = []
        for trace in reader(file, content, run, report):
            if np.isfinite(np.asarray(trace.data)).all():
                trace.data = trace.data if samples else None
                traces.append(trace)
            else:
                report(trace.id, _BLEW_UP)
        return traces


def read_su(file: SourceFile, content: bytes, run: Run, report: Report) -> Iterator[Trace]:
    """One axis of the stations of a rank; a header has the number of the station, not its name.

    Its interval is in microseconds, or in milliseconds where those are too many for 16 bits: that
    of the Par_file is taken.
    """
    name = _SU.fullmatch(file.name)
    assert name is not None
    listed = beside(file, "output_list_stations.txt", _listed)
    if not listed:
        raise FormatError("no station names: put output_list_stations.txt of the run beside it")
    if run.interval is None:
        raise FormatError("no interval: put the Par_file of the run into DATA/ beside OUTPUT_FILES")
    order, samples = _su_layout(content, run)
    record = np.dtype([("number", f"{order}i4"), ("rest", "V76"), ("x", f"{order}i4"),
                       ("y", f"{order}i4"), ("more", "V26"), ("count", f"{order}u2"),
                       ("dt", f"{order}u2"), ("tail", f"V{_SU_HEADER - 118}"),
                       ("data", f"{order}f4", (samples,))])  # fmt: skip
    start = run.zero + round(run.start * 10**9)
    for row in np.frombuffer(content, record):
        number = int(row["number"])
        if not 1 <= number <= len(listed):
            report("", f"rejected: station number {number}, output_list_stations.txt has "
                       f"{len(listed)}: it is of another run")  # fmt: skip
            continue
        network, station, x, y = listed[number - 1]
        codes = (network, station, run.channel(name["axis"]))
        # Headers have whole metres.
        if abs(x - int(row["x"])) > 1.0 or abs(y - int(row["y"])) > 1.0:
            report(
                f"{network}.{station}..{codes[2]}",
                f"rejected: at x {row['x']}, y {row['y']} m, not {x:.0f}, {y:.0f} m as in "
                "output_list_stations.txt: it is of another run",
            )
            continue
        if int(row["dt"]) not in (round(run.interval * 10**6), round(run.interval * 10**3)):
            report(f"{network}.{station}..{codes[2]}",
                   f"interval of {row['dt']} in the header, {float(run.interval)} s in Par_file: "
                   "that is taken")  # fmt: skip
        data = row["data"].astype(np.float32)
        yield run.trace(codes, QUANTITIES[name["kind"]], start, run.interval, data, report)


def _su_layout(content: bytes, run: Run) -> tuple[str, int]:
    """Byte order and samples of a trace; more than 65535 do not fit the header."""
    field = content[114:116].ljust(2, b"\0")
    stated = [(order, int(np.frombuffer(field, f"{order}u2")[0])) for order in "<>"]
    for order, samples in (*stated, ("<", run.samples)):
        if samples and len(content) % (_SU_HEADER + 4 * samples) == 0:
            return order, samples
    raise FormatError("not a whole number of Seismic Unix traces: copy it again")


def _listed(content: bytes) -> list[tuple[str, str, float, float]]:
    """Network, station, x and y (m) of each line of output_list_stations.txt."""
    rows = [line.split() for line in content.decode("latin-1").splitlines() if line.strip()]
    try:
        return [(row[1], row[0], float(row[2]), float(row[3])) for row in rows]
    except (IndexError, ValueError) as error:
        reason = f"output_list_stations.txt is damaged ({error}): copy it again"
        raise FormatError(reason) from error


def read_long_ascii(file: SourceFile, content: bytes, run: Run, report: Report) -> Iterator[Trace]:
    """Seismograms one below the other, each after its name."""
    pieces = _TITLE.split(content)
    if len(pieces) < 3:
        raise FormatError("no name of a seismogram in it: copy it again")
    for title, body in zip(pieces[1::2], pieces[2::2], strict=True):
        name = NAME.fullmatch(title.decode("latin-1"))
        if name is None:
            report("", f"rejected: {title.decode('latin-1')[:60]!r} is no name of a seismogram")
            continue
        try:
            codes = named(name, run)
            trace = f"{codes[0]}.{codes[1]}..{codes[2]}"
            start, interval, data = two_columns(body, run, trace, report)
        except FormatError as error:
            report(title.decode("latin-1"), f"rejected: {error}")
            continue
        yield run.trace(codes, QUANTITIES[name["kind"]], run.zero + round(start * 10**9), interval,
                        data, report)  # fmt: skip


def read_hdf5(file: SourceFile, content: bytes, run: Run, report: Report) -> Iterator[Trace]:
    """``displ``, ``veloc`` and ``accel`` (station, time, axis) of a whole run."""
    with checked(), h5py.File(io.BytesIO(content), "r") as root:
        for name in ("network", "station", "channel", "time", *_HDF5):
            if name in root and (reason := unsafe(root[name], len(content))):
                raise FormatError(f"{name}: {reason}: copy it again")
        networks, stations, channels = (
            [value.decode("latin-1").strip("\0 ") for value in root[name][:].tolist()]
            for name in ("network", "station", "channel")
        )
        start, interval, _ = time_axis(root["time"][:].astype(float), run.interval)
        first = run.zero + round(start * 10**9)
        shape = (len(stations), root["time"].size, len(channels))
        for name, quantity in _HDF5.items():
            if name not in root:
                continue
            if root[name].shape != shape or len(networks) != len(stations):
                raise FormatError(f"{name} has shape {root[name].shape}, not {shape}: damaged")
            for row, codes in enumerate(zip(networks, stations, strict=True)):
                block = root[name][row].astype(np.float32)
                for column, channel in enumerate(channels):
                    yield run.trace((*codes, channel), quantity, first, interval,
                                    np.ascontiguousarray(block[:, column]), report)  # fmt: skip


SOURCE = BundleSource()
