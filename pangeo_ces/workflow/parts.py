"""Which records take part in an assessment, and over what time.

A part is a Dataset with one waveform variable at one sampling rate, in which ``data_start`` is NaN
for every channel that takes no part.  Whatever is left out gets a row with the reason.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import xarray as xr

from ..conventions import MOTION, QUANTITIES
from ..errors import InputError
from ..process.window import partners
from ..store.open import waveforms
from ..timeaxis import sampling_interval

#: A component shorter than this fraction of its station's longest one is left out: it would cut
#: the others to its own length.
SHORTEST_COMPONENT = 0.5
#: Simulations are trusted up to this fraction of their Nyquist frequency, if nothing else is known.
TRUSTED = 0.8
Span = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Rejected:
    """A channel, or with ``component`` empty a station, that takes no part."""

    side: str
    event: str
    station: str
    component: str
    reason: str


class Spans(dict[tuple[str, str], Span]):
    """First and last label (s) that count, for every event and station label."""

    def arrays(self, ds: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
        """Spans on the axes of a part, NaN for channels that take no part."""
        events, stations = ds["event"].values.tolist(), ds["station"].values.tolist()
        nothing = (np.nan, np.nan)
        table = np.array([[self.get((e, s), nothing) for s in stations] for e in events])
        table = table.reshape(len(events), len(stations), 2)
        there = ds["data_start"].notnull().drop_vars(list(ds["data_start"].coords))
        first, last = (xr.DataArray(table[..., i], dims=("event", "station")) for i in (0, 1))
        return first.where(there), last.where(there)

    def shared_with(self, other: Spans) -> Spans:
        """The intersection, for what both have and where it is not empty."""
        common = Spans()
        for key in self.keys() & other.keys():
            start, stop = max(self[key][0], other[key][0]), min(self[key][1], other[key][1])
            if start < stop:
                common[key] = (start, stop)
        return common


def take_part(
    nodes: list[xr.Dataset],
    side: str,
    quantity: str,
    by_sensor: bool,
    rejected: list[Rejected],
) -> list[xr.Dataset]:
    """The parts of some nodes, the highest sampling rate first.

    Left out: components much shorter than the others of their station, records that end before
    the origin, and stations that an earlier part holds already.
    """
    taken: set[tuple[str, str]] = set()
    parts = []
    for node in sorted(nodes, key=sampling_interval):
        for part in _one_quantity_each(node, quantity, by_sensor):
            part = _without(part, _too_short(part), side, "much shorter than the other components "
                            "of the station", rejected)  # fmt: skip
            if side == "observed":
                early = (part["data_end"] < 0).transpose("event", "station", "component").values
                part = _without(part, early, side, "the record ends before the origin", rejected)
            again = _again(part, taken)
            part = _without(part, again, side, "the station is taken from another sampling rate "
                            "or quantity", rejected)  # fmt: skip
            if part["data_start"].notnull().any():
                parts.append(part)
    return parts


def spans_of(parts: list[xr.Dataset]) -> Spans:
    """The time in which all components of a station that take part have samples."""
    spans = Spans()
    for part in parts:
        start = part["data_start"].max("component").transpose("event", "station").values
        stop = part["data_end"].min("component").transpose("event", "station").values
        for i, event in enumerate(part["event"].values.tolist()):
            for j, label in enumerate(part["station"].values.tolist()):
                if np.isfinite(start[i, j]) and start[i, j] <= stop[i, j]:
                    spans[event, label] = (float(start[i, j]), float(stop[i, j]))
    return spans


def relabelled(ds: xr.Dataset, observed: list[xr.Dataset]) -> xr.Dataset:
    """Synthetics under the labels of the records they belong to, the rest under their own."""
    row_of: dict[str, int] = {}
    for records in observed:
        rows, labels = partners(records, ds)
        row_of |= dict(zip(labels, rows, strict=True))
    paired = set(row_of.values())
    row_of |= {str(s): row for row, s in enumerate(ds["station"].values) if row not in paired}
    return ds.isel(station=[*row_of.values()]).assign_coords(station=[*row_of])


def _one_quantity_each(ds: xr.Dataset, quantity: str, by_sensor: bool) -> Iterator[xr.Dataset]:
    """One part for each quantity that some channel is best read from.

    That is counts where there are counts, else the ground motion nearest to ``quantity``; with
    ``by_sensor`` counts are split by what the sensor measures, too.
    """
    here = [name for name in QUANTITIES if name in ds.data_vars]
    dims = ("event", "station", "component")
    recorded = np.full([ds.sizes[d] for d in dims], ",".join(here), dtype=object)
    if "recorded" in ds.coords:
        recorded = ds["recorded"].transpose(*dims).values
    best = np.vectorize(lambda names: _best(str(names).split(","), quantity), otypes=[str])(
        recorded
    )
    sensor = np.full(best.shape, "", dtype=object)
    if by_sensor and "input_quantity" in ds.coords:
        sensor = np.where(best == "counts", ds["input_quantity"].transpose(*dims).values, "")
    there = ds["data_start"].transpose(*dims).notnull().values
    for name in here:
        for kind in np.unique(sensor[there & (best == name)].astype(str)):
            part = ds.drop_vars([other for other in here if other != name])
            yield _masked(part, (best == name) & (sensor == kind))


def _best(names: list[str], quantity: str) -> str:
    motion = [name for name in names if name in MOTION]
    if "counts" in names or not motion:
        return "counts" if "counts" in names else names[0]
    return min(motion, key=lambda name: abs(MOTION.index(name) - MOTION.index(quantity)))


def _too_short(part: xr.Dataset) -> np.ndarray:
    length = part["data_end"] - part["data_start"]
    short = length < SHORTEST_COMPONENT * length.max("component")
    return short.transpose("event", "station", "component").values


def _again(part: xr.Dataset, taken: set[tuple[str, str]]) -> np.ndarray:
    """Channels of stations in ``taken``, which grows by the others."""
    there = part["data_start"].transpose("event", "station", "component").notnull().values
    again = np.zeros_like(there)
    new = set()
    for i, event in enumerate(part["event"].values.tolist()):
        for j, label in enumerate(part["station"].values.tolist()):
            if (event, label) in taken:
                again[i, j] = there[i, j]
            elif there[i, j].any():
                new.add((event, label))
    taken |= new
    return again


def _without(
    part: xr.Dataset, channels: np.ndarray, side: str, reason: str, rejected: list[Rejected]
) -> xr.Dataset:
    events, stations, components = (
        part[axis].values.tolist() for axis in ("event", "station", "component")
    )
    for i, j, k in np.argwhere(channels):
        rejected.append(Rejected(side, events[i], stations[j], components[k], reason))
    return _masked(part, ~channels) if channels.any() else part


def _masked(part: xr.Dataset, kept: np.ndarray) -> xr.Dataset:
    mask = xr.DataArray(kept, dims=("event", "station", "component"))
    coords = {name: part[name].where(mask) for name in ("data_start", "data_end")}
    if "input_quantity" in part.coords:
        coords["input_quantity"] = part["input_quantity"].where(mask, "")
    return part.assign_coords(coords)


def reject_where(
    part: xr.Dataset, wrong: Callable[[xr.Dataset], str], side: str, rejected: list[Rejected]
) -> bool:
    """Whether a part as a whole cannot be processed, with a row for every station of it."""
    reason = wrong(part)
    if not reason:
        return False
    there = part["data_start"].notnull().any("component").transpose("event", "station").values
    for i, j in np.argwhere(there):
        event, label = str(part["event"].values[i]), str(part["station"].values[j])
        rejected.append(Rejected(side, event, label, "", reason))
    return True


def models_of(
    tree: xr.DataTree, name: str, models: Sequence[str] | None
) -> dict[str, list[xr.Dataset]]:
    """The nodes of every model (or of those named) of a window set."""
    base = f"windows/{name}/synthetic"
    found: dict[str, list[xr.Dataset]] = {}
    for path, ds in waveforms(tree, base):
        model = path.removeprefix(f"{base}/").rpartition("/")[0]
        found.setdefault(model, []).append(ds)
    missing = [model for model in models or [] if model not in found]
    if missing:
        raise InputError(
            f"no synthetics {', '.join(missing)} here: use {', '.join(found) or 'none'}"
        )
    return {model: nodes for model, nodes in found.items() if models is None or model in models}


def window_sets(tree: xr.DataTree) -> list[str]:
    """Names of the window sets of a store."""
    return sorted(tree["windows"].children) if "windows" in tree.children else []
