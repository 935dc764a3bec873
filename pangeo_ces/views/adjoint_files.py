"""Adjoint sources as the files that SPECFEM reads: ASCII and ASDF."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Literal, NamedTuple

import h5py
import numpy as np
import xarray as xr
from obspy import UTCDateTime

from ..errors import ParameterError, SchemaError
from ..process._interpolation import at_positions
from ..process.rotate import radial_transverse
from ..sources.specfem_run import BANDS
from ..storage import write_bytes
from ..timeaxis import sampling_interval, time_index, utc_ns
from .files import file_name

_HALF_WIDTH = 20  # samples of the Lanczos kernel
#: Directions of components whose letters say them: up, north, east.
_AXES = {"Z": (1.0, 0.0, 0.0), "N": (0.0, 1.0, 0.0), "E": (0.0, 0.0, 1.0),
         "Y": (0.0, 1.0, 0.0), "X": (0.0, 0.0, 1.0)}  # fmt: skip
_ORDER = {"displacement": 0, "velocity": 1, "acceleration": 2}


class _Axis(NamedTuple):
    """Time axis of a run: first label and interval in seconds, number of samples."""

    start: float
    dt: float
    samples: int


class _Station(NamedTuple):
    """Sources of one station: up, north and east, on the axis of the run."""

    network: str
    code: str
    location: str
    sources: np.ndarray
    misfits: np.ndarray
    place: dict[str, float]


def write_adjoint_sources(
    ds: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    format: Literal["specfem", "asdf"] = "specfem",
    dt: float | None = None,
    nstep: int | None = None,
    t0: float | None = None,
    cartesian: bool = False,
) -> list[str]:
    """Write adjoint sources for SPECFEM3D Cartesian and GLOBE.

    Forward in time, as SPECFEM wants them: it reads them backwards itself.  Sources of R and T
    become north and east; a station with any source gets all three components, zero where there
    is none, and the other stations get nothing.  SPECFEM's sources act on displacement: those of
    velocity are differentiated once with the opposite sign, those of acceleration twice
    (∫ f δv dt = ∫ -ḟ δu dt).

    Parameters
    ----------
    ds
        Result of :func:`adjoint_source` or :func:`double_difference_source`, with ``latitude``
        and ``longitude`` of the stations.
    path
        Folder (``specfem``; a folder in it for each event when there are several) or file
        (``asdf``, one event).
    format
        ``specfem``: ``NET.STA.CHA.adj`` with two columns, time (s) and value, for ``SEM/``, and
        ``STATIONS_ADJOINT``, written last, for ``DATA/``; ``asdf``: one-dimensional
        ``AuxiliaryData/AdjointSources/NET_STA_CHA`` with what they are as attributes.
    dt, nstep, t0
        ``DT`` and ``NSTEP`` of the run and time of its first sample (s after the origin, at most
        zero in SPECFEM); by default those of the sources.  Band-limited interpolation between the
        samples, zero outside.
    cartesian
        Name horizontal components X and Y, as SPECFEM3D does with ``SUPPRESS_UTM_PROJECTION``.

    Returns
    -------
    list of str
        The files.

    Raises
    ------
    ParameterError
        For an axis that cannot be, or several events in one ASDF file.
    SchemaError
        When there are no adjoint sources, places or directions, or two stations have one name.
    InputError
        When a file cannot be written.

    Examples
    --------
    >>> observed, synthetic = (pangeo_ces.testing.synthetic_windows(
    ...     quantity="displacement", seed=n, events=1, stations=1) for n in (1, 2))
    >>> sources = pangeo_ces.adjoint_source(observed, synthetic)
    >>> files = write_adjoint_sources(sources, "SEM")  # doctest: +SKIP
    """
    if format not in ("specfem", "asdf"):
        raise ParameterError(f"format {format!r}: use 'specfem' or 'asdf'")
    for name, where in (("adjoint_source", ds.data_vars), ("latitude", ds.coords),
                        ("longitude", ds.coords)):  # fmt: skip
        if name not in where:
            raise SchemaError(f"no {name} here: give the result of ces.adjoint_source, of stations "
                              "with places")  # fmt: skip
    axis = _axis(ds, dt, nstep, t0)
    events = list(range(ds.sizes["event"])) if "event" in ds.dims else [None]
    if format == "asdf":
        if len(events) > 1:
            raise ParameterError("an ASDF file holds the sources of one event: select one with "
                                 "ds.isel(event=[0])")  # fmt: skip
        write_bytes(path, _asdf(ds if events == [None] else ds.isel(event=0), axis, cartesian))
        return [os.fspath(path)]
    written = []
    for event in events:
        folder = os.fspath(path)
        if len(events) > 1:
            folder = os.path.join(folder, file_name(str(ds["event"].values[event])))
        one = ds if event is None else ds.isel(event=event)
        written += _specfem(one, folder, axis, cartesian)
    return written


def _specfem(ds: xr.Dataset, folder: str, axis: _Axis, cartesian: bool) -> list[str]:
    written, rows = [], []
    times = [f"{axis.start + k * axis.dt:.9g}" for k in range(axis.samples)]
    for station in _stations(ds, axis):
        for channel, source in zip(_channels(axis.dt, cartesian), station.sources, strict=True):
            lines = [f"{time} {value:.12e}\n" for time, value in zip(times, source.tolist(),
                                                                      strict=True)]  # fmt: skip
            name = file_name(f"{station.network}.{station.code}.{channel}.adj")
            name = os.path.join(folder, name)
            write_bytes(name, "".join(lines).encode())
            written.append(name)
        place = station.place
        rows.append(
            f"{station.code:<8} {station.network:<4} {place['latitude']:12.6f} "
            f"{place['longitude']:12.6f} {place['elevation']:9.1f} {place['depth']:9.1f}\n"
        )
    name = os.path.join(folder, "STATIONS_ADJOINT")
    write_bytes(name, "".join(rows).encode())
    return [*written, name]


def _asdf(ds: xr.Dataset, axis: _Axis, cartesian: bool) -> bytes:
    about = ds["adjoint_source"].attrs
    content = io.BytesIO()
    with h5py.File(content, "w", libver=("earliest", "v110")) as file:
        file.attrs["file_format"] = np.bytes_("ASDF")
        file.attrs["file_format_version"] = np.bytes_("1.0.3")
        for name in ("Provenance", "Waveforms"):
            file.create_group(name)
        group = file.create_group("AuxiliaryData/AdjointSources")
        for station in _stations(ds, axis):
            for channel, source, misfit in zip(
                _channels(axis.dt, cartesian), station.sources, station.misfits, strict=True
            ):
                name = f"{station.network}_{station.code}_{channel}"
                dataset = group.create_dataset(name, data=source, fletcher32=True)
                place = station.place
                dataset.attrs.update({
                    "dt": axis.dt, "time_offset": axis.start, "misfit": misfit,
                    "adj_src_type": about["measure"], "component": channel,
                    "network": station.network, "station": station.code,
                    "location": station.location,
                    "station_id": f"{station.network}.{station.code}",
                    "latitude": place["latitude"], "longitude": place["longitude"],
                    "elevation_in_m": place["elevation"], "depth_in_m": place["depth"],
                })  # fmt: skip
                for period in ("min_period", "max_period"):
                    if period in about:
                        dataset.attrs[period] = about[period]
                if "origin_time" in ds.coords:
                    start = utc_ns(ds["origin_time"].values) + round(axis.start * 1e9)
                    dataset.attrs["starttime"] = str(UTCDateTime(ns=start))
    return content.getvalue()


def _axis(ds: xr.Dataset, dt: float | None, nstep: int | None, t0: float | None) -> _Axis:
    own = time_index(ds).transform
    interval = float(own.interval) if dt is None else dt
    start = float(own.offset) if t0 is None else t0
    if not 0 < interval < math.inf or not math.isfinite(start):
        raise ParameterError(f"dt {dt} s, t0 {t0} s: give DT and the first time of the run")
    if nstep is None:
        last = float(own.offset + (own.samples - 1) * own.interval)
        nstep = math.floor((last - start) / interval + 1e-6) + 1
    if nstep < 1:
        raise ParameterError(f"nstep {nstep}: give NSTEP of the run, and a t0 before its end")
    return _Axis(start, interval, nstep)


def _channels(dt: float, cartesian: bool) -> list[str]:
    """Z, N and E as SPECFEM names them: the band code is that of the sampling interval."""
    step = Fraction(dt).limit_denominator(10**9)  # 0.1 as it is meant
    band = next(letter for letter, limit in BANDS if step > limit or step == limit == 1)
    return [f"{band}X{letter}" for letter in ("ZYX" if cartesian else "ZNE")]


def _stations(ds: xr.Dataset, axis: _Axis) -> Iterator[_Station]:
    """Those with a source, of one event."""
    dims = ("station", "component")
    ds = ds[[name for name in ("adjoint_source", "misfit") if name in ds]].compute()
    sources = ds["adjoint_source"].transpose(*dims, "time")
    misfits = ds["misfit"].transpose(*dims).values if "misfit" in ds else None
    order = _ORDER[sources.attrs["quantity"]]
    own, seen = time_index(ds).transform, set()
    for number, label in enumerate(map(str, ds["station"].values)):
        found = np.nan_to_num(sources.isel(station=number).values.astype(np.float64))
        if not found.any():
            continue
        network, code, location, *_ = [*label.split("."), "", ""]
        if (network, code) in seen:
            raise SchemaError(f"two sensors of {network}.{code} have sources: select one of them")
        seen.add((network, code))
        one = ds.isel(station=number)
        directions = np.array([_direction(one, n, str(letter))
                               for n, letter in enumerate(ds["component"].values)])  # fmt: skip
        for _ in range(order):
            found = -np.gradient(found, float(own.interval), axis=-1)
        rotated = directions.T @ found
        place = {name: float(one[name]) if name in one.coords else 0.0
                 for name in ("latitude", "longitude", "elevation", "depth")}  # fmt: skip
        # A misfit belongs to the component it was measured on; of rotated ones, to that axis.
        shares = np.zeros(3)
        if misfits is not None:
            shares = np.square(directions).T @ np.nan_to_num(misfits[number])
        on_axis = np.stack([_resampled(x, ds, axis) for x in rotated])
        yield _Station(network, code, location, on_axis, shares, place)


def _direction(ds: xr.Dataset, number: int, letter: str) -> tuple[float, ...]:
    """Up, north and east of one component of one station."""
    if letter in _AXES:
        return _AXES[letter]
    azimuth, dip = (
        float(ds[name].values.reshape(-1)[number]) if name in ds.coords else np.nan
        for name in ("azimuth", "dip")
    )
    if np.isfinite(azimuth) and np.isfinite(dip):
        a, d = np.deg2rad(azimuth), np.deg2rad(dip)
        return -np.sin(d), np.cos(d) * np.cos(a), np.cos(d) * np.sin(a)
    if letter in "RT" and "back_azimuth" in ds.coords:
        angle = np.deg2rad(float(ds["back_azimuth"]))
        return tuple(radial_transverse(np.asarray(angle))["ZRT".index(letter)])
    raise SchemaError(
        f"component {letter} has no azimuth and dip, and no back_azimuth: assign them, or rotate "
        "with ces.rotate before measuring"
    )


def _resampled(source: np.ndarray, ds: xr.Dataset, axis: _Axis) -> np.ndarray:
    """On the axis of the run; band-limited, zero where the source has no samples."""
    step = axis.dt / float(sampling_interval(ds))
    first = (axis.start - float(time_index(ds).transform.offset)) / float(sampling_interval(ds))
    if abs(step - 1) * axis.samples < 1e-6 and abs(first - round(first)) < 1e-6:
        result = np.zeros(axis.samples)  # samples as they are
        shift = round(first)
        low, high = max(0, shift), min(len(source), shift + axis.samples)
        if low < high:
            result[low - shift : high - shift] = source[low:high]
        return result
    return np.nan_to_num(at_positions(source, first, step, axis.samples, "lanczos", _HALF_WIDTH))
