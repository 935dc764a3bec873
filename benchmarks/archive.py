"""Archives beside ObsPy: conversion, size, opening, windows; in one run.

    python -m benchmarks.archive --data SDS [--stations 8] [--windows 34] [--output FILE]

Day files of 100 Hz below ``--data`` (miniSEED of records of one length) are copied under made-up
codes to an SDS archive of so many stations with three components.

- ``convert``: ``ces.convert`` with one and two threads beside ``obspy.read`` of the same files, as
  they are and as Steim-2 in records of 512 bytes; peak memory beside what the plan promises.
- ``size``: chunks of both profiles beside Steim-2 in records of 4096 and 512 bytes.
- ``open``: a store of 1,000 channels and a year at 100 Hz with one short trace a channel.
- ``window``: ten minutes of 100 channels from the SDS archive with ObsPy's client and from the
  store, warm, cold (page cache dropped, for root only), and on the S3 server of the environment's
  ``AWS_ENDPOINT_URL``, if there is one.

What is timed runs in processes of its own; times leave out imports and compilation.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

COMPONENTS = "ZNE"


def make_archive(data: Path, root: Path, stations: int) -> None:
    """Copies of the day files under the codes XX.S000.00.HHZ …, and their StationXML."""
    from obspy.core.inventory import Channel, Inventory, Network, Station

    days = sorted(p for p in data.rglob("*") if p.is_file() and p.stat().st_size > 1_000_000)
    listed = []
    for number in range(stations):
        code = f"S{number:03d}"
        for k, component in enumerate(COMPONENTS):
            content = np.frombuffer(days[(number + k) % len(days)].read_bytes(), "u1")
            records = content.reshape(-1, 4096).copy()
            records[:, 8:20] = np.frombuffer(f"{code} 00HH{component}XX".encode(), "u1")
            folder = root / "2010" / "XX" / code / f"HH{component}.D"
            folder.mkdir(parents=True)
            records.tofile(folder / f"XX.{code}.00.HH{component}.D.2010.244")
        channels = [Channel(f"HH{c}", "00", -21.2, 55.7, 2000, 0, azimuth=90 * (c == "E"),
                            dip=-90 * (c == "Z")) for c in COMPONENTS]  # fmt: skip
        listed.append(Station(code, -21.2, 55.7, 2000, channels=channels))
    Inventory([Network("XX", listed)]).write(str(root / "stations.xml"), format="STATIONXML")


def to_steim2(root: Path, target: Path) -> None:
    """The same samples as Steim-2 in records of 512 bytes."""
    import obspy

    for path in sorted(root.rglob("*.244")):
        place = target / path.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        obspy.read(path).write(str(place), format="MSEED", encoding="STEIM2", reclen=512)
    shutil.copy(root / "stations.xml", target)


def peak() -> float:
    """Most memory this process held (MB); ``getrusage`` would count what its parent had."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


class Taken:
    """Time since it was made: by the clock, of the processor, and of that outside the kernel."""

    def __init__(self) -> None:
        self.begin, self.usage = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)

    def times(self) -> dict:
        wall, now = time.perf_counter() - self.begin, resource.getrusage(resource.RUSAGE_SELF)
        user, kernel = now.ru_utime - self.usage.ru_utime, now.ru_stime - self.usage.ru_stime
        return {"seconds": wall, "cpu": user + kernel, "user": user}


# --- each of these runs in a process of its own ------------------------------------------------


def run_obspy(root: str, store: str, threads: int, profile: str) -> dict:
    import obspy

    files = sorted(Path(root).rglob("*.244"))
    obspy.read(files[0])
    taken = Taken()
    for path in files:
        obspy.read(path)
    return taken.times()


def run_convert(root: str, store: str, threads: int, profile: str) -> dict:
    import dask

    import pangeo_ces as ces

    stations = f"{root}/stations.xml"
    first = sorted(Path(root).rglob("*.244"))[0]
    ces.convert(first, f"{store}-warm", stations=stations, profile=profile)  # compiles
    taken = Taken()
    with dask.config.set(scheduler="threads", num_workers=threads):
        plan = ces.plan(f"{root}/2010", stations=stations, profile=profile)
        ces.convert(plan, store)
    done = taken.times()
    # Every worker keeps its own grid; the interpreter and the decoded files are shared.
    promise = plan.totals()["peak_memory"]
    chunks = [p.stat().st_size for p in (Path(store) / "chunks").iterdir()]
    return {**done, "promise_mb": promise / 1e6, "bytes": sum(chunks)}


def run_size(root: str, store: str, threads: int, profile: str) -> dict:
    import obspy

    total = {512: 0, 4096: 0}
    for path in sorted(Path(root).rglob("*.244")):
        stream = obspy.read(path)
        for length in total:
            buffer = io.BytesIO()
            stream.write(buffer, format="MSEED", encoding="STEIM2", reclen=length)
            total[length] += buffer.tell()
    return {str(length): size for length, size in total.items()}


def run_year(root: str, store: str, threads: int, profile: str) -> dict:
    """Opening and a first window of a year of 1,000 channels."""
    import pangeo_ces as ces

    begin = time.perf_counter()
    tree = ces.open_store(store)
    opened = time.perf_counter() - begin
    ds = tree["continuous/100Hz"].to_dataset()
    channels = ds.sizes["station"] * ds.sizes["component"]
    cut = ds["counts"].sel(time=slice("2010-07-01T12:00:00", "2010-07-01T12:10:00"))
    begin = time.perf_counter()
    cut.isel(station=slice(0, 34)).values  # noqa: B018
    window = time.perf_counter() - begin
    return {"channels": channels, "samples": ds.sizes["time"], "open": opened, "window": window}


def make_year(store: str) -> None:
    """A short trace for each of 1,002 channels, on any day of a year."""
    import dask
    import obspy
    from obspy.core.inventory import Channel, Inventory, Network, Station

    import pangeo_ces as ces

    random = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        listed = []
        for number in range(334):
            code = f"Y{number:03d}"
            day = [0, 364][number] if number < 2 else int(random.integers(365))
            for component in COMPONENTS:
                header = {"network": "XX", "station": code, "channel": f"HH{component}",
                          "sampling_rate": 100.0,
                          "starttime": obspy.UTCDateTime(2010, 1, 1) + 86400 * day}  # fmt: skip
                data = random.integers(-999, 999, 6000).astype("i4")
                obspy.Trace(data, header).write(f"{folder}/{code}{component}", format="MSEED")
            channels = [Channel(f"HH{c}", "", 0, 0, 0, 0, azimuth=0, dip=0) for c in COMPONENTS]
            listed.append(Station(code, 0, 0, 0, channels=channels))
        places = f"{folder}/stations.xml"
        Inventory([Network("XX", listed)]).write(places, format="STATIONXML")
        with dask.config.set(scheduler="threads", num_workers=2):
            ces.convert(f"{folder}/Y*", store, stations=places)


def _times() -> list:
    import obspy

    return [obspy.UTCDateTime(2010, 9, 1, 3, 0, 12, 340000) + 4000 * k for k in range(8)]


def run_window_sds(root: str, store: str, threads: int, profile: str) -> dict:
    from obspy.clients.filesystem.sds import Client

    client = Client(root)
    codes = sorted(p.name for p in (Path(root) / "2010" / "XX").iterdir())
    taken = []
    for start in _times():
        _drop(profile)
        begin = time.perf_counter()
        count = sum(
            len(client.get_waveforms("XX", code, "00", f"HH{c}", start, start + 600))
            for code in codes
            for c in COMPONENTS
        )
        taken.append(time.perf_counter() - begin)
        assert count == 3 * len(codes)
    return {"seconds": min(taken[1:])}


def run_window_s3_sds(root: str, store: str, threads: int, profile: str) -> dict:
    """SDS files in a bucket, as ObsPy's users read them: whole, then cut."""
    import obspy
    import s3fs

    fs = s3fs.S3FileSystem()
    paths = fs.glob(f"{root}/2010/XX/*/*/*.244")
    taken = []
    for start in _times()[:3]:
        begin = time.perf_counter()
        for path in paths:
            content = io.BytesIO(fs.cat_file(path))
            obspy.read(content, format="MSEED", starttime=start, endtime=start + 600)
        taken.append(time.perf_counter() - begin)
    return {"seconds": min(taken)}


def run_window_store(root: str, store: str, threads: int, profile: str) -> dict:
    import dask

    import pangeo_ces as ces

    tree = ces.open_store(store, chunked=threads > 0)
    counts = tree["continuous/100Hz"].to_dataset()["counts"]
    taken = []
    with dask.config.set(scheduler="threads", num_workers=threads or None):
        for start in _times():
            _drop(profile)
            begin = time.perf_counter()
            first = np.datetime64(start.isoformat())
            window = counts.sel(time=slice(first, first + np.timedelta64(600, "s"))).values
            taken.append(time.perf_counter() - begin)
            assert np.isfinite(window).all()
    return {"seconds": min(taken[1:]), "first": taken[0]}


def _drop(profile: str) -> None:
    if profile == "cold":
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("3")


# --- the run -----------------------------------------------------------------------------------


def measure(what: str, root: str, store: str, threads: int = 1, profile: str = "") -> dict:
    """Run one of the above in a process of its own; its result with its peak memory."""
    code = (
        "import json, sys; from benchmarks import archive; "
        "r = getattr(archive, 'run_' + sys.argv[1])(sys.argv[2], sys.argv[3], int(sys.argv[4]), "
        "sys.argv[5]); r['peak_mb'] = archive.peak(); print(json.dumps(r))"
    )
    command = [sys.executable, "-c", code, what, root, store, str(threads), profile]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _convert(root: Path, folder: Path, rows: list[dict]) -> None:
    files = sorted(root.rglob("*.244"))
    for kind, place in (("as they are", root), ("Steim-2, 512 bytes", folder / "steim2")):
        if place != root:
            to_steim2(root, place)
        base = measure("obspy", str(place), "")
        rows.append({"what": f"obspy.read, {kind}", "files": len(files), **base})
        for profile, threads in (("core", 1), ("core", 2), ("archive", 2)):
            store = folder / f"{profile}{threads}{kind[:2].strip()}"
            done = measure("convert", str(place), str(store), threads, profile)
            rows.append(
                {"what": f"convert {profile}, {threads} threads, {kind}", **done,
                 "x obspy": base["seconds"] / done["seconds"],
                 "x obspy a core": base["cpu"] / done["cpu"],
                 "x obspy a core, without the kernel": base["user"] / done["user"]}
            )  # fmt: skip


def _windows(root: Path, store: Path, rows: list[dict]) -> None:
    for state in ("warm", "cold"):
        if state == "cold" and not os.access("/proc/sys/vm/drop_caches", os.W_OK):
            continue
        sds = measure("window_sds", str(root), "", 1, state)
        rows.append({"what": f"window, SDS with ObsPy, disk, {state}", **sds})
        for threads, how in ((1, "Dask, 1 thread"), (2, "Dask, 2 threads"), (0, "without Dask")):
            ours = measure("window_store", "", str(store), threads, state)
            rows.append({"what": f"window, store, disk, {state}, {how}", **ours,
                         "x obspy": sds["seconds"] / ours["seconds"]})  # fmt: skip


def _windows_on_s3(root: Path, rows: list[dict]) -> None:
    import s3fs

    import pangeo_ces as ces

    fs = s3fs.S3FileSystem()
    fs.mkdir("bench")
    fs.put(str(root / "2010"), "bench/sds/2010", recursive=True)
    ces.convert(root / "2010", "s3://bench/store", stations=str(root / "stations.xml"))
    sds = measure("window_s3_sds", "bench/sds", "")
    rows.append({"what": "window, SDS files on S3", **sds})
    for threads, how in ((2, "Dask, 2 threads"), (0, "without Dask")):
        ours = measure("window_store", "", "s3://bench/store", threads)
        rows.append({"what": f"window, store on S3, {how}", **ours,
                     "x obspy": sds["seconds"] / ours["seconds"],
                     "x obspy, first": sds["seconds"] / ours["first"]})  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--stations", type=int, default=8, help="to convert")
    parser.add_argument("--windows", type=int, default=34, help="stations for the windows")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large = folder / "small", folder / "large"
        make_archive(given.data, small, given.stations)
        _convert(small, folder, rows)
        size = measure("size", str(small), "")
        for row in list(rows):
            if row["what"].endswith("as they are") and "bytes" in row:
                row["x Steim-2 4096"] = row["bytes"] / size["4096"]
                row["x Steim-2 512"] = row["bytes"] / size["512"]
        make_year(str(folder / "year"))
        rows.append({"what": "open 1,002 channels x 1 year",
                     **measure("year", "", str(folder / "year"))})  # fmt: skip
        make_archive(given.data, large, given.windows)
        measure("convert", str(large), str(folder / "windows"), 2, "core")
        _windows(large, folder / "windows", rows)
        if os.environ.get("AWS_ENDPOINT_URL"):
            _windows_on_s3(large, rows)
    for row in rows:
        print(row["what"])
        print("   ", ", ".join(f"{k} {v:.3g}" for k, v in row.items() if k != "what"))
    if given.output:
        given.output.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
