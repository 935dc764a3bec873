"""Codecs of stored waveforms on real records: size against Steim2, speed against ObsPy.

``python -m benchmarks.codecs`` prints the tables of ``docs/adr/0014-codecs.md``.  Sizes are bytes
of Zarr shards, index and checksums included.  Speeds are samples by processor time, the best of
several turns, so that other work on the machine shows little.
"""

from __future__ import annotations

import io
import math
import os
import time
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numcodecs.blosc
import numpy as np
import obspy
import pymseed
import zarr
from numcodecs import Blosc
from numcodecs.pcodec import PCodec
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec
from zarr.codecs import numcodecs as extension
from zarr.storage import MemoryStore

from pangeo_ces import samples
from pangeo_ces.store.codecs import CHUNK_MULTIPLE, PROFILES, compressors

DATA = Path(os.environ.get("CES_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
DAY = "03_noise/ya_uv_20100901/SDS/2010/YA/UV10/HHZ.D/YA.UV10.00.HHZ.D.2010.244"
#: Recorded counts, by place; the first is three days at 100 Hz, most others are events.
COUNTS = {
    "Réunion, days": "03_noise/ya_uv_20100901/SDS/**/*.244",
    "Netherlands, LHZ days": "05_quality/eida_nl_hgn_lhz/SDS/**/*.2017.*",
    "Taiwan": "01_strong_motion/cwb_20210418_hualien/mseed/*.mseed",
    "Ridgecrest": "01_strong_motion/usgs_ci38457511/raw/*.mseed",
    "South Napa": "01_strong_motion/usgs_nc72282711_southnapa/raw_BK.CMB/*.mseed",
    "New Zealand": "02_misfit/pyatoa_nz_bfz_2018p130600/SDS/**/*.049",
    "Central Asia": "02_misfit/pypaw_C200912240023A/obs/*.mseed",
    "Abruzzo": "04_specfem/dare_abruzzo_20130216/**/*.mseed",
    "Arizona": "07_metadata/asdf_small_sample/*.mseed",
}
FLOATS = "04_specfem_own/amatrice/OUTPUT_FILES/*.sem{}"
MINUTES = (15, 20, 30, 60)
Traces = list[tuple[np.ndarray, float]]


def traces(files: Iterable[Path]) -> Traces:
    """Integer samples and sampling rates of all traces."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [trace for file in sorted(files) for trace in obspy.read(str(file))]
    return [(t.data, t.stats.sampling_rate) for t in found if t.data.dtype == "i4" and len(t)]


def recorded(folder: Path) -> dict[str, Traces]:
    """All recorded counts; the German events come with the package."""
    sets = {name: traces(folder.glob(pattern)) for name, pattern in COUNTS.items()}
    return {**sets, "Germany": traces([samples.path("german_events/observed/GR.mseed")])}


def simulated(folder: Path) -> dict[str, Traces]:
    """SPECFEM3D seismograms as float32, by quantity."""
    return {
        f"SPECFEM {name}": [
            (np.loadtxt(file, usecols=1, dtype="f4"), 25.0)
            for file in sorted(folder.glob(FLOATS.format(letter)))
        ]
        for letter, name in (("d", "displacement"), ("v", "velocity"), ("a", "acceleration"))
    }


def steim2(data: np.ndarray, rate: float, length: int) -> bytes:
    """The samples as whole miniSEED 2 records of this length, headers included."""
    records = pymseed.MS3TraceList()
    records.add_data("FDSN:XX_STA__H_H_Z", data, "i", rate, starttime_str="2020-01-01T00:00:00Z")
    packed = records.generate(
        max_record_length=length, encoding=pymseed.DataEncoding.STEIM2, format_version=2
    )
    return b"".join(packed)


def stored(data: np.ndarray, chunk: int, codecs: dict[str, Any]) -> tuple[zarr.Array[Any], int]:
    """The samples as one shard in memory, and its bytes."""
    store, chunk = MemoryStore(), -(-min(chunk, len(data)) // CHUNK_MULTIPLE) * CHUNK_MULTIPLE
    shard = math.ceil(len(data) / chunk) * chunk
    fill = np.nan if data.dtype.kind == "f" else np.iinfo(data.dtype).min
    array = zarr.create_array(
        store, shape=(1, 1, len(data)), dtype=data.dtype, chunks=(1, 1, chunk),
        shards=(1, 1, shard), fill_value=fill, **codecs,
    )  # fmt: skip
    array[:] = data[None, None]
    return array, sum(len(v) for k, v in store._store_dict.items() if not k.endswith("zarr.json"))


def sizes(sets: dict[str, Traces], minutes: float, codecs: dict[str, Any]) -> dict[str, int]:
    """Bytes of each set in chunks of so many minutes."""
    return {
        name: sum(stored(data, round(minutes * 60 * rate), codecs)[1] for data, rate in members)
        for name, members in sets.items()
    }


def race(works: dict[Any, Callable[[], object]], turns: int = 6) -> dict[Any, float]:
    """Processor time (s) of each work, the best of some turns; all take turns with each other."""
    best = dict.fromkeys(works, math.inf)
    for _ in range(turns):
        for name, work in works.items():
            begin = time.process_time()
            work()
            best[name] = min(best[name], time.process_time() - begin)
    return best


def candidates() -> dict[str, dict[str, Any]]:
    """Codecs by name, as keywords of ``zarr.create_array``; our two profiles first."""

    def blosc(cname: Any, level: int, shuffle: Any, block: int = 0) -> dict[str, Any]:
        codec = BloscCodec(
            cname=cname, clevel=level, shuffle=shuffle, typesize=4, blocksize=block << 10
        )
        return {"compressors": codec}

    def pco(**config: Any) -> dict[str, Any]:
        return {"serializer": extension.PCodec(**config), "compressors": None}

    consecutive = "try_consecutive"
    return {
        **{f"**{profile}**": compressors(profile, "int32") for profile in PROFILES},
        "blosc zstd 1, bitshuffle": blosc("zstd", 1, "bitshuffle"),
        "blosc zstd 1, bitshuffle, 512 KiB": blosc("zstd", 1, "bitshuffle", 512),
        "blosc zstd 2, bitshuffle, 2 MiB": blosc("zstd", 2, "bitshuffle", 2048),
        "blosc zstd 3, bitshuffle": blosc("zstd", 3, "bitshuffle"),
        "blosc zstd 5, bitshuffle": blosc("zstd", 5, "bitshuffle"),
        "blosc zstd 1, shuffle, 2 MiB": blosc("zstd", 1, "shuffle", 2048),
        "blosc zstd 2, shuffle, 2 MiB": blosc("zstd", 2, "shuffle", 2048),
        "blosc zstd 5, shuffle": blosc("zstd", 5, "shuffle"),
        "blosc lz4 5, bitshuffle, 2 MiB": blosc("lz4", 5, "bitshuffle", 2048),
        "zstd 3": {"compressors": ZstdCodec(level=3)},
        "gzip 5": {"compressors": GzipCodec(level=5)},
        "pcodec 4": pco(level=4),
        "pcodec 6": pco(level=6),
        "pcodec 8": pco(level=8),
        "pcodec 12": pco(level=12),
        "pcodec 8, classic": pco(level=8, mode_spec="classic"),
        "pcodec 8, first differences": pco(level=8, delta_spec=consecutive, delta_encoding_order=1),
        "pcodec 8, second differences": pco(
            level=8, delta_spec=consecutive, delta_encoding_order=2
        ),
        "no codec": {"compressors": None},
    }


def write_and_read(name: str, array: zarr.Array[Any], data: np.ndarray) -> dict[Any, Callable]:
    """Writing and reading a shard through Zarr, to be raced."""
    return {
        (name, "write"): lambda: array.__setitem__(slice(None), data[None, None]),
        (name, "read"): lambda: array[:],
    }


def windows(array: zarr.Array[Any], samples: int = 60_000) -> Callable[[], object]:
    """Reading ten minutes from 20 places of a day."""
    starts = np.random.default_rng(0).integers(0, array.shape[-1] - samples, 20)
    return lambda: [array[..., start : start + samples] for start in starts]


def held(call: Callable[[Any], object], item: Any, turns: int = 10) -> float:
    """Longest pause of another Python thread while a call lasts, as a share of it.

    It is 1 where the call holds the interpreter's lock, and near 0 where it releases it.
    """
    shares = []
    with ThreadPoolExecutor(1) as pool:
        for _ in range(turns):
            begin = last = time.perf_counter()
            future, pause = pool.submit(call, item), 0.0
            while not future.done():
                now = time.perf_counter()
                pause, last = max(pause, now - last), now
            end = time.perf_counter()
            shares.append(max(pause, end - last) / (end - begin))
    return min(shares)


def _row(*cells: object) -> None:
    texts = [f"{c:.3f}" if isinstance(c, float) and c < 20 else f"{c:.0f}" if isinstance(c, float)
             else str(c) for c in cells]  # fmt: skip
    print(f"| {' | '.join(texts)} |", flush=True)


def _header(*cells: str) -> None:
    print()
    _row(*cells)
    print("|" + "---|" * len(cells))


def table_of_codecs(sets: dict[str, Traces], data: np.ndarray) -> None:
    codecs, works = candidates(), {}
    forms = {
        "as archived (Steim1, 4096 bytes)": (DATA / DAY).read_bytes(),
        "Steim2, 4096 bytes": steim2(data, 100.0, 4096),
        "Steim2, 512 bytes": steim2(data, 100.0, 512),
    }
    for form, content in forms.items():
        works[form] = lambda content=content: obspy.read(io.BytesIO(content))
    for name, keywords in codecs.items():
        works |= write_and_read(name, stored(data, 360_000, keywords)[0], data)
    speed = {name: len(data) / 1e6 / seconds for name, seconds in race(works).items()}
    for form in forms:
        print(f"obspy.read of the day, {form}: {speed[form]:.0f} Msamples/s")
    bare = speed[next(iter(forms))]
    _header("chunks of 1 h", "x Steim2", "worst set", "write", "read", "write / obspy.read")
    steim = {name: sum(len(steim2(*t, 4096)) for t in members) for name, members in sets.items()}
    for name, keywords in codecs.items():
        found = sizes(sets, 60, keywords)
        worst = max(found[place] / steim[place] for place in sets)
        total = sum(found.values()) / sum(steim.values())
        write, read = speed[name, "write"], speed[name, "read"]
        _row(name, total, worst, write, read, write / bare)


def table_of_sets(sets: dict[str, Traces]) -> None:
    long, short = (
        {n: sum(len(steim2(*t, r)) for t in m) for n, m in sets.items()} for r in (4096, 512)
    )
    columns = {(p, m): sizes(sets, m, compressors(p, "int32")) for p in PROFILES for m in MINUTES}
    _header("x Steim2 in 4096 bytes", "Msamples", "Steim2 in 512 bytes",
            *(f"{profile} {minutes} min" for profile, minutes in columns))  # fmt: skip
    for name, members in sets.items():
        count = sum(len(data) for data, _ in members) / 1e6
        ratios = (found[name] / long[name] for found in columns.values())
        _row(name, count, short[name] / long[name], *ratios)
    whole = sum(long.values())
    count = sum(len(data) for members in sets.values() for data, _ in members) / 1e6
    ratios = (sum(found.values()) / whole for found in columns.values())
    _row("all", count, sum(short.values()) / whole, *ratios)


def table_of_floats(sets: dict[str, Traces]) -> None:
    _header("float32, x raw", *PROFILES)
    columns = [sizes(sets, 60, compressors(profile, "float32")) for profile in PROFILES]
    for name, members in sets.items():
        raw = sum(data.nbytes for data, _ in members)
        _row(name, *(found[name] / raw for found in columns))


def table_of_chunks(data: np.ndarray) -> None:
    works: dict[Any, Callable[[], object]] = {}
    names = {f"{p}, {m} min": (p, m) for p in PROFILES for m in MINUTES}
    for name, (profile, minutes) in names.items():
        array, _ = stored(data, minutes * 6000, compressors(profile, "int32"))
        works |= write_and_read(name, array, data)
        works[name, "windows"] = windows(array)
    seconds, count = race(works), len(data) / 1e6
    _header("one day at 100 Hz", "write", "read", "10 min window, ms")
    for name in names:
        write, read = count / seconds[name, "write"], count / seconds[name, "read"]
        _row(name, write, read, seconds[name, "windows"] / 20 * 1e3)


def table_of_threads(data: np.ndarray) -> None:
    parts = list(data[: len(data) // 180_000 * 180_000].reshape(-1, 180_000))
    alone = {"core": Blosc("zstd", 1, Blosc.BITSHUFFLE, 2 << 20, typesize=4), "archive": PCodec(8)}
    works: dict[Any, Callable[[], object]] = {}
    for name, codec in alone.items():
        encoded = [codec.encode(part) for part in parts]
        works[name, "encode"] = lambda codec=codec: [*map(codec.encode, parts)]
        works[name, "decode"] = lambda codec=codec, encoded=encoded: [*map(codec.decode, encoded)]
    seconds, count = race(works, 15), sum(map(len, parts)) / 1e6
    _header("codec alone, 30 min", "encode", "decode", "lock held: encoding", "decoding")
    for name, codec in alone.items():
        locks = held(codec.encode, data), held(codec.decode, codec.encode(data))
        _row(name, count / seconds[name, "encode"], count / seconds[name, "decode"], *locks)


def main() -> None:
    numcodecs.blosc.use_threads = False
    sets = recorded(DATA)
    data = obspy.read(str(DATA / DAY))[0].data
    table_of_codecs(sets, data)
    table_of_sets(sets)
    table_of_floats(simulated(DATA))
    table_of_chunks(data)
    table_of_threads(data)


class Codecs:
    """The profiles on the German events, which come with the package."""

    params = tuple(PROFILES)
    param_names = ("profile",)

    def setup(self, profile: str) -> None:
        self.codecs = compressors(profile, "int32")
        self.sets = {"Germany": traces([samples.path("german_events/observed/GR.mseed")])}
        self.data = np.concatenate([data for data, _ in self.sets["Germany"]] * 10)
        self.array, _ = stored(self.data, 360_000, self.codecs)

    def time_write(self, profile: str) -> None:
        self.array[:] = self.data[None, None]

    def time_read(self, profile: str) -> None:
        self.array[:]

    def track_size_by_steim2(self, profile: str) -> float:
        members = self.sets["Germany"]
        found = sum(sizes(self.sets, 60, self.codecs).values())
        return found / sum(len(steim2(*trace, 4096)) for trace in members)


if __name__ == "__main__":
    main()
