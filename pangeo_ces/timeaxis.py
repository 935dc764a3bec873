"""A lazy, exact, evenly spaced time coordinate: a year at 100 Hz costs nothing.

The label of sample *i* is ``origin + offset + i * interval`` with ``offset`` and ``interval`` as
exact fractions of a second, so labels never drift and slices of slices stay exact.  Two kinds:

- *UTC* axes have an ``origin`` (integer nanoseconds since 1970) and ``datetime64[ns]`` labels;
- *relative* axes have none, and ``float64`` labels in seconds after an event's origin time.

>>> ds = xr.Dataset(coords=time_coords(samples=3_153_600_000, interval=Fraction(1, 100),
...                                    origin=np.datetime64("2020-01-01T00:00", "ns")))
>>> str(ds.time.isel(time=-1).values)[:22]
'2020-12-30T23:59:59.99'
>>> ds.sel(time=slice("2020-03-01", "2020-03-02")).sizes["time"]
17280000
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Self

import numpy as np
import pandas as pd
import xarray as xr
from xarray.core.indexes import CoordinateTransformIndex, PandasIndex
from xarray.core.indexing import IndexSelResult
from xarray.indexes import CoordinateTransform, Index

from .errors import AxisError

NANO = 1_000_000_000
#: Labels may miss a sample by this much (s) and still name it: half a nanosecond for UTC labels,
#: and what float64 holds of a relative label.
_UTC_TOLERANCE = Fraction(1, 2 * NANO)
_RELATIVE_TOLERANCE = Fraction(1, 10**6)


class TimeTransform(CoordinateTransform):
    """The affine rule of a time axis: sample number to label and back."""

    def __init__(
        self,
        samples: int,
        interval: Fraction,
        offset: Fraction = Fraction(0),
        origin: int | None = None,
        name: Hashable = "time",
        dim: str = "time",
    ):
        dtype = np.dtype("float64" if origin is None else "datetime64[ns]")
        super().__init__([name], {dim: samples}, dtype=dtype)
        if interval <= 0:
            raise AxisError(f"sampling interval {interval} s is not positive: give a rate > 0 Hz")
        self.samples = samples
        self.interval = Fraction(interval)
        self.offset = Fraction(offset)
        self.origin = origin

    def generate_coords(self, dims: tuple[str, ...] | None = None) -> dict[Hashable, Any]:
        # The default goes through np.meshgrid of float64, which is neither exact nor small.
        return self.forward({self.dims[0]: np.arange(self.samples, dtype="int64")})

    def forward(self, dim_positions: dict[str, Any]) -> dict[Hashable, Any]:
        index = np.asarray(dim_positions[self.dims[0]]).astype("int64")
        if self.origin is None:
            scale = math.lcm(self.interval.denominator, self.offset.denominator)
            step, first = int(self.interval * scale), int(self.offset * scale)
            labels = (first + index * step) / scale
        else:
            labels = _nanoseconds(index, self.interval * NANO, self.offset * NANO, self.origin)
        return {self.coord_names[0]: labels}

    def reverse(self, coord_labels: dict[Hashable, Any]) -> dict[str, Any]:
        labels = np.asarray(coord_labels[self.coord_names[0]])
        return {self.dims[0]: np.array([float(self.position(x)) for x in labels.ravel()])}

    def position(self, label: Any) -> Fraction:
        """Exact, possibly fractional sample number of a label."""
        return (self._seconds(label) - self.offset) / self.interval

    def _seconds(self, label: Any) -> Fraction:
        """Seconds of a label after ``origin`` (UTC) or zero (relative)."""
        try:
            if self.origin is None:
                if isinstance(label, np.timedelta64 | pd.Timedelta):
                    return Fraction(int(np.timedelta64(label, "ns").astype("int64")), NANO)
                return Fraction(float(label))
            return Fraction(utc_ns(label) - self.origin, NANO)
        except (TypeError, ValueError) as error:
            kind = "seconds after the origin time" if self.origin is None else "a UTC time"
            raise AxisError(f"{label!r} is not a label of this time axis: give {kind}") from error

    def equals(
        self, other: CoordinateTransform, *, exclude: frozenset[Hashable] | None = None
    ) -> bool:
        return (
            isinstance(other, TimeTransform)
            and (self.samples, self.interval) == (other.samples, other.interval)
            and self.start == other.start
            and (self.origin is None) == (other.origin is None)
        )

    @property
    def start(self) -> Fraction:
        """Exact label of the first sample in seconds (since 1970 on a UTC axis)."""
        return self.offset + Fraction(self.origin or 0, NANO)

    def slice(self, selection: slice) -> TimeTransform:
        chosen = range(self.samples)[selection]
        if chosen.step < 0:
            raise AxisError("a time axis only runs forward: use a positive step")
        return TimeTransform(
            len(chosen),
            self.interval * chosen.step,
            self.offset + chosen.start * self.interval,
            self.origin,
            self.coord_names[0],
            self.dims[0],
        )


class TimeIndex(CoordinateTransformIndex):
    """xarray index over a :class:`TimeTransform`: lazy, exact, refusing to align unequal axes."""

    transform: TimeTransform

    @property
    def interval(self) -> Fraction:
        """Exact sampling interval in seconds."""
        return self.transform.interval

    @property
    def dim(self) -> str:
        return self.transform.dims[0]

    def isel(self, indexers: Mapping[Any, Any]) -> Index | None:
        indexer = indexers[self.dim]
        if isinstance(indexer, slice):
            return TimeIndex(self.transform.slice(indexer))
        values = np.asarray(getattr(indexer, "values", indexer))
        if values.ndim != 1:
            return None
        if values.dtype == bool:
            values = np.flatnonzero(values)
        values = np.where(values < 0, values + self.transform.samples, values)
        # An even run of numbers is still an affine axis; anything else needs its labels.
        steps = np.diff(values)
        if values.size > 1 and steps[0] > 0 and (steps == steps[0]).all():
            run = slice(int(values[0]), int(values[-1]) + 1, int(steps[0]))
            return TimeIndex(self.transform.slice(run))
        labels = self.transform.forward({self.dim: values})[self.transform.coord_names[0]]
        dim = indexer.dims[0] if isinstance(indexer, xr.Variable) else self.dim
        return PandasIndex(pd.Index(labels, name=self.dim), dim, coord_dtype=self.transform.dtype)

    def sel(
        self, labels: dict[Any, Any], method: str | None = None, tolerance: Any = None
    ) -> IndexSelResult:
        ((_, label),) = labels.items()
        if isinstance(label, slice):
            if label.step is not None:
                raise AxisError("a slice of labels has no step: resample instead")
            first = 0 if label.start is None else math.ceil(self._position(label.start))
            # A date without a time of day means the whole day, as in pandas.
            last = (
                self.transform.samples - 1
                if label.stop is None
                else math.floor(self._position(_end_of_day(label.stop, self.transform)))
            )
            first = min(max(first, 0), self.transform.samples)
            return IndexSelResult({self.dim: slice(first, max(first, last + 1))})
        if isinstance(label, xr.DataArray | xr.Variable | np.ndarray | list | tuple):
            values = np.asarray(getattr(label, "values", label))
            found = np.array([self._nearest(x, method, tolerance) for x in values.ravel()], "int64")
            numbers = found.reshape(values.shape)
            if isinstance(label, xr.DataArray):
                return IndexSelResult({self.dim: xr.DataArray(numbers, dims=label.dims)})
            if isinstance(label, xr.Variable):
                return IndexSelResult({self.dim: xr.Variable(label.dims, numbers)})
            return IndexSelResult({self.dim: numbers})
        return IndexSelResult({self.dim: self._nearest(label, method, tolerance)})

    def _position(self, label: Any) -> Fraction:
        """Sample number of a slice bound, snapped when it names a sample within tolerance."""
        position = self.transform.position(label)
        near = round(position)
        if abs(position - near) * self.interval <= self._tolerance:
            return Fraction(near)
        return position

    @property
    def _tolerance(self) -> Fraction:
        return _RELATIVE_TOLERANCE if self.transform.origin is None else _UTC_TOLERANCE

    def _nearest(self, label: Any, method: str | None, tolerance: Any) -> int:
        if method not in (None, "nearest"):
            raise AxisError(f"method {method!r} is not known to a time axis: use 'nearest'")
        position = self.transform.position(label)
        number = round(position)
        miss = abs(position - number) * self.interval
        if tolerance is not None:
            allowed = _seconds_of(tolerance)
        else:
            allowed = self.interval if method == "nearest" else self._tolerance
        if not (0 <= number < self.transform.samples) or miss > allowed:
            raise KeyError(
                f"no sample at {label!r} (the nearest is {float(miss):.6g} s off): use "
                "method='nearest', a slice, or a time on the axis"
            )
        return number

    def join(self, other: Index, how: str = "inner") -> Self:
        raise AxisError(_unequal(self, other))

    def reindex_like(self, other: Index) -> dict[Hashable, Any]:
        raise AxisError(_unequal(self, other))

    @classmethod
    def concat(
        cls,
        indexes: Sequence[Self],
        dim: Hashable,
        positions: Iterable[Iterable[int]] | None = None,
    ) -> Self:
        """Join axes that follow each other without gap or overlap."""
        first = indexes[0].transform
        samples = 0
        for index in indexes:
            expected = first.start + samples * first.interval
            if index.interval != first.interval or index.transform.start != expected:
                raise AxisError(
                    f"time axes do not follow each other: expected a start of {float(expected)} s "
                    f"and an interval of {first.interval} s, got {float(index.transform.start)} s "
                    f"and {index.interval} s; put gaps into one store with ces.convert"
                )
            samples += index.transform.samples
        return cls(
            TimeTransform(
                samples, first.interval, first.offset, first.origin, first.coord_names[0],
                first.dims[0],
            )
        )  # fmt: skip

    def __repr__(self) -> str:
        rate = float(1 / self.interval)
        return f"TimeIndex({self.transform.samples} samples at {rate:g} Hz)"

    _repr_inline_ = lambda self, max_width: repr(self)[:max_width]  # noqa: E731


def time_coords(
    *,
    samples: int,
    interval: Fraction,
    offset: Fraction = Fraction(0),
    origin: int | np.datetime64 | None = None,
) -> xr.Coordinates:
    """Lazy ``time`` coordinate with its index.

    Parameters
    ----------
    samples
        Length of the axis.
    interval
        Exact sampling interval in seconds.
    offset
        Label of the first sample in seconds after ``origin``.
    origin
        Time that the axis counts from (nanoseconds since 1970, or ``datetime64``); ``None`` for
        seconds relative to an event's origin time.
    """
    reference = None if origin is None else utc_ns(origin)
    transform = TimeTransform(samples, Fraction(interval), Fraction(offset), reference)
    attrs = {"standard_name": "time", "long_name": "UTC"}
    if reference is None:
        attrs = {"units": "s", "long_name": "time after origin"}
    coords = xr.Coordinates.from_xindex(TimeIndex(transform))
    coords["time"].attrs.update(attrs)
    return coords


def time_index(ds: xr.Dataset | xr.DataArray) -> TimeIndex:
    """The time index of a waveform Dataset."""
    index = ds.xindexes.get("time")
    if not isinstance(index, TimeIndex):
        raise AxisError(
            "this Dataset has no even time axis: open it with ces.open_store, or build the "
            "coordinate with pangeo_ces.timeaxis.time_coords"
        )
    return index


def sampling_interval(ds: xr.Dataset | xr.DataArray) -> Fraction:
    """Exact sampling interval of a waveform Dataset in seconds."""
    return time_index(ds).interval


def utc_ns(label: Any) -> int:
    """Nanoseconds since 1970 of a UTC time: ``datetime64``, ISO string, or anything pandas reads.

    >>> utc_ns("1970-01-01T00:00:01Z")
    1000000000
    """
    if isinstance(label, int | np.integer):
        return int(label)
    if isinstance(label, np.ndarray):
        label = label[()]
    stamp = pd.Timestamp(label)
    if pd.isna(stamp):
        raise ValueError("not a time")
    if stamp.tz is not None:
        stamp = stamp.tz_convert(None)
    return int(stamp.as_unit("ns").value)


def _nanoseconds(
    index: np.ndarray, interval: Fraction, offset: Fraction, origin: int
) -> np.ndarray:
    """``origin + round(offset + index * interval)`` in 64-bit integers without overflow."""
    scale = math.lcm(interval.denominator, offset.denominator)
    step, first = int(interval * scale), int(offset * scale)
    whole, part = divmod(step, scale)
    base, rest = divmod(first, scale)
    if index.size and part and int(np.abs(index).max()) * part > 2**62:
        rounded = np.array([(2 * (rest + int(i) * part) + scale) // (2 * scale) for i in index])
    else:
        rounded = (2 * (rest + index * part) + scale) // (2 * scale)
    return (origin + base + index * whole + rounded).astype("datetime64[ns]")


def _seconds_of(tolerance: Any) -> Fraction:
    if isinstance(tolerance, int | float | Fraction):
        return Fraction(tolerance)
    return Fraction(int(pd.Timedelta(tolerance).value), NANO)


def _end_of_day(label: Any, transform: TimeTransform) -> Any:
    if transform.origin is None or not isinstance(label, str) or len(label.strip()) != 10:
        return label
    return utc_ns(label) + 86_400 * NANO - 1


def _unequal(one: TimeIndex, other: Index) -> str:
    return (
        f"time axes differ: {one!r} and {other!r}; bring both onto one axis with ces.interpolate "
        "or cut both with .sel(time=slice(...))"
    )
