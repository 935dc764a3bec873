"""ASDF: the HDF5 files of pyasdf, SPECFEM and the USGS, with waveforms, stations and events.

A file holds several versions of its waveforms, told apart by *tags*.  The records as they came from
the station are read, whatever the archive calls them (``raw_recording``, ``observed``,
``nc72282711_unprocessed``); the URL ``asdf://TAG::FILE`` reads another tag, and
``asdf://TAG/velocity::FILE`` says which SI quantity it is where the file does not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import fsspec
import h5py
import lxml.etree
import numpy as np
import obspy

from ..errors import FormatError
from .archive import EARLIEST, LATEST
from .base import Site, SourceFile, Trace, exact_interval
from .hdf5 import MAGIC, checked, is_hdf5, members, opened, text, unsafe
from .salvage import Report
from .strong_motion import si_units

_URL = re.compile(r"asdf://(?P<tag>[^/:]+)(?:/(?P<quantity>\w+))?::")
_QUANTITIES = ("counts", "displacement", "velocity", "acceleration", "pressure")
_RAW = re.compile(r"(^|_)(raw|unprocessed|observed|obs|recorded|recording)(_|$)")
_PROCESSED = re.compile(r"(^|_)(pre)?processed(_|$)")
_UNITS = re.compile(rb"<[^<>/]*output_units[^<>]*>\s*([^<]+?)\s*<")


class TaggedFile(fsspec.AbstractFileSystem):
    """``asdf://TAG::URL`` to fsspec: the file at ``URL``; the source takes the tag from that."""

    protocol = "asdf"
    cachable = False

    def __init__(
        self,
        fo: str = "",
        target_protocol: str = "file",
        target_options: dict[str, Any] | None = None,
        **options: Any,
    ):
        super().__init__(**options)
        self.fo = fo
        self.target = fsspec.filesystem(target_protocol, **(target_options or {}))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        tag, *rest = path.split("/")
        if not tag or rest not in ([], *([name] for name in _QUANTITIES)):
            raise FileNotFoundError(f"{path}: write asdf://TAG::FILE or asdf://TAG/velocity::FILE")
        return {"name": path, "type": "file", "size": self.target.info(self.fo)["size"]}

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        return [self.info(path) if detail else path]

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        return self.target.open(self.fo, mode)

    def ukey(self, path: str) -> str:
        return self.target.ukey(self.fo)


fsspec.register_implementation("asdf", TaggedFile, clobber=True)


def documents(content: bytes, kind: str) -> list[bytes]:
    """The ``StationXML`` of each station of an ASDF file, or its ``QuakeML``; none if not HDF5."""
    if not content.startswith(MAGIC):
        return []
    with checked(), h5py.File(io.BytesIO(content), "r") as root:
        groups = [root] if kind == "QuakeML" else members(root, "Waveforms", h5py.Group).values()
        found = [text(group, kind, len(content)) for group in groups]
        return [document for document in found if document.strip(b"\0 \n")]


@dataclasses.dataclass(frozen=True)
class _Waveform:
    dataset: h5py.Dataset
    station: str
    id: str
    tag: str


class AsdfSource:
    """Reads ASDF 1.0: the raw records of a file, or those of a tag (``asdf://TAG::FILE``)."""

    name = "asdf"

    def matches(self, file: SourceFile) -> bool:
        return is_hdf5(file, ("file_format", "Waveforms"))

    def read(self, file: SourceFile, *, samples: bool, report: Report) -> list[Trace]:
        asked = _URL.match(file.url)
        tag, quantity = (asked["tag"], asked["quantity"]) if asked else (None, None)
        if quantity is not None and quantity not in _QUANTITIES:
            raise FormatError(f"{quantity!r} in its URL: use one of {', '.join(_QUANTITIES)}")
        with checked(), opened(file) as root:
            size = root.id.get_filesize()
            version = _plain(root.attrs.get("file_format_version", ""))
            if not version.startswith("1."):
                raise FormatError(f"ASDF version {version!r}, not 1.x: convert it with pyasdf")
            found = list(_waveforms(root))
            chosen = _choose(sorted({w.tag for w in found}), tag)
            if tag is None:
                _say_what_is_left(found, chosen, report)
            origins = _origins(text(root, "QuakeML", size))
            places = _Places(root, size)
            traces = []
            for waveform in found:
                if waveform.tag in chosen:
                    reason = _unusable(waveform, size)
                    if reason:
                        report(waveform.id, f"rejected: {reason}")
                    else:
                        trace = _trace(root, waveform, quantity, samples, report)
                        trace.origin = _origin(waveform, origins)
                        trace.site = places.find(waveform, trace)
                        traces.append(trace)
        return traces


def _plain(value: Any) -> str:
    """An attribute that is text, however HDF5 has it."""
    if isinstance(value, np.ndarray):
        value = value.tobytes()
    return value.decode("utf-8", "replace").strip("\0 ") if isinstance(value, bytes) else str(value)


def _waveforms(root: h5py.File) -> Iterator[_Waveform]:
    for station in members(root, "Waveforms", h5py.Group):
        for name, dataset in members(root["Waveforms"], station, h5py.Dataset).items():
            parts = name.split("__", 3)  # NET.STA.LOC.CHA__start__end__tag
            if len(parts) == 4 and parts[0].count(".") == 3:
                yield _Waveform(dataset, station, parts[0], parts[3])


def _choose(tags: list[str], asked: str | None) -> list[str]:
    """The tags to read: the one asked for, else what came from the stations, else the only one."""
    if asked is not None:
        if asked not in tags:
            raise FormatError(f"no waveforms tagged {asked!r}: it has {', '.join(tags) or 'none'}")
        return [asked]
    raw = [tag for tag in tags if _RAW.search(tag) and not _PROCESSED.search(tag)]
    if not tags:
        raise FormatError("an ASDF file without waveforms: give it as stations or events")
    if not raw and len(tags) > 1:
        raise FormatError(f"tags {', '.join(tags)}, none of them raw: choose with asdf://TAG::FILE")
    return raw or tags


def _say_what_is_left(found: list[_Waveform], chosen: list[str], report: Report) -> None:
    left: dict[str, int] = defaultdict(int)
    for waveform in found:
        if waveform.tag not in chosen:
            left[waveform.tag] += 1
    for tag, count in sorted(left.items()):
        report("", f"{count} traces tagged {tag!r} left out: asdf://{tag}::FILE reads them")


def _unusable(waveform: _Waveform, size: int) -> str:
    """Why a dataset is no time series, or an empty string."""
    dataset = waveform.dataset
    if dataset.ndim != 1 or dataset.dtype.kind not in "iuf" or not dataset.size:
        return f"no samples: shape {dataset.shape}, type {dataset.dtype}"
    if reason := unsafe(dataset, size):
        return reason
    start, rate = (dataset.attrs.get(name) for name in ("starttime", "sampling_rate"))
    if not isinstance(start, np.integer):
        return "no start time in whole nanoseconds"
    if not (isinstance(rate, np.number) and np.isfinite(rate) and rate > 0):
        return f"sampling rate is {rate} Hz"
    if not EARLIEST <= int(start) <= int(start) + dataset.size / float(rate) * 1e9 < LATEST:
        return "outside the years 1900 to 2262: the clock or the header is wrong"
    return ""


def _trace(
    root: h5py.File, waveform: _Waveform, quantity: str | None, samples: bool, report: Report
) -> Trace:
    dataset, factor = waveform.dataset, 1.0
    if quantity is None:
        quantity, factor = _quantity(root, waveform, report)
    data, dtype = None, dataset.dtype.newbyteorder("=") if factor == 1.0 else np.dtype("float64")
    if samples:
        data = dataset[:].astype(dtype, copy=False)
        data = data if factor == 1.0 else data * factor
        bad = data.size - np.count_nonzero(np.isfinite(data)) if data.dtype.kind == "f" else 0
        if bad:
            report(waveform.id, f"{bad} of {data.size} samples are NaN or infinite: kept")
    network, station, location, channel = waveform.id.split(".")
    interval = exact_interval(float(dataset.attrs["sampling_rate"]))
    return Trace(network, station, location, channel, int(dataset.attrs["starttime"]), interval,
                 dataset.size, data, quantity, dtype=dtype)  # fmt: skip


def _quantity(root: h5py.File, waveform: _Waveform, report: Report) -> tuple[str, float]:
    """Quantity and factor to SI, from an attribute or from the last step of the provenance."""
    stated = _plain(waveform.dataset.attrs.get("units", "")) or _processed_units(root, waveform)
    if stated:
        return si_units(stated)
    if waveform.dataset.dtype.kind == "f" and not _RAW.search(waveform.tag):
        report(waveform.id, f"no units for tag {waveform.tag!r}: taken as counts; name them as in "
                            f"asdf://{waveform.tag}/velocity::FILE")  # fmt: skip
    return "counts", 1.0


def _processed_units(root: h5py.File, waveform: _Waveform) -> str:
    """``output_units`` of the SEIS-PROV document of a waveform."""
    label = _plain(waveform.dataset.attrs.get("provenance_id", "")).rpartition("}")[2]
    for name in members(root, "Provenance", h5py.Dataset):
        document = text(root["Provenance"], name, 2**20)
        own = name == f"{waveform.id}_{waveform.tag}" or (label and label.encode() in document)
        if own and (units := _UNITS.findall(document)):
            return units[-1].decode("utf-8", "replace")
    return ""


def _xml(content: bytes) -> Any:
    """The root element of a document, or ``None``; no entity is expanded."""
    parser = lxml.etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False,
                                  huge_tree=True)  # fmt: skip
    try:
        return lxml.etree.fromstring(content.rstrip(b"\0"), parser)
    except lxml.etree.XMLSyntaxError:
        return None


def _child(element: Any, path: str) -> str:
    """Text at a path of local names, whatever their namespace."""
    steps = "/".join(f"*[local-name()='{name}']" for name in path.split("/"))
    return str(element.xpath(f"string({steps})")).strip()


def _origins(quakeml: bytes) -> dict[str, int]:
    """Origin time (ns) of each event by its id: of the preferred origin, else of the first."""
    root, found = _xml(quakeml), {}
    for event in [] if root is None else root.iter("{*}event"):
        origins = {o.get("publicID"): _child(o, "time/value") for o in event.iter("{*}origin")}
        time = origins.get(_child(event, "preferredOriginID")) or next(iter(origins.values()), "")
        with contextlib.suppress(ValueError, TypeError):
            found[str(event.get("publicID"))] = obspy.UTCDateTime(time).ns
    return found


def _origin(waveform: _Waveform, origins: dict[str, int]) -> int | None:
    """Origin time of the one event that a waveform refers to."""
    names = _plain(waveform.dataset.attrs.get("event_id", "")).split(",")
    if len(names) != 1:
        return None
    # ObsPy puts the prefix before ids that are none of QuakeML's.
    return origins.get(names[0].strip(), origins.get(f"smi:local/{names[0].strip()}"))


class _Places:
    """Coordinates and orientations from the StationXML beside the waveforms."""

    def __init__(self, root: h5py.File, size: int) -> None:
        self.root, self.size = root, size
        self.parsed: dict[str, Any] = {}

    def find(self, waveform: _Waveform, trace: Trace) -> Site:
        """The epoch of the channel that a trace starts in, else the place of its station."""
        if waveform.station not in self.parsed:
            group = self.root["Waveforms"][waveform.station]
            self.parsed[waveform.station] = _xml(text(group, "StationXML", self.size) or b"<x/>")
        document = self.parsed[waveform.station]
        stations = [] if document is None else list(document.iter("{*}Station"))
        stations = [s for s in stations if s.get("code") == trace.station]
        channels = [
            c for station in stations for c in station.iter("{*}Channel")
            if (c.get("code"), (c.get("locationCode") or "").strip(" -"))
            == (trace.channel, trace.location) and _covers(c, trace.start)
        ]  # fmt: skip
        for element in [*channels, *stations]:
            names = ("Latitude", "Longitude", "Elevation", "Depth", "Azimuth", "Dip")
            values = [_child(element, name) for name in names]
            with contextlib.suppress(ValueError):
                latitude, longitude, elevation, depth, azimuth, dip = (
                    float(value or "nan") for value in values
                )
                return Site(latitude, longitude, elevation, depth, azimuth, dip)
        return Site()


def _covers(channel: Any, start: int) -> bool:
    """Whether the epoch of a channel has begun at a time (ns), and not ended."""
    try:
        begin = obspy.UTCDateTime(channel.get("startDate") or "1900-01-01").ns
        end = obspy.UTCDateTime(channel.get("endDate") or "2262-01-01").ns
    except (ValueError, TypeError):
        return False
    return begin <= start <= end


SOURCE = AsdfSource()
