"""The CES waveform conventions: the one table of names, dimensions and units, and its check.

``docs/conventions.md`` is the same in prose, with what a store MUST and MAY hold.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import xarray as xr

from .errors import SchemaError, UnitsError

#: Version of the conventions that this package writes; it reads the same major version.
VERSION = "1.1"

WAVEFORM_DIMS = (("station", "component", "time"), ("event", "station", "component", "time"))
#: Fill value of int32 counts on disk; the segment table, not this number, says what a gap is.
INT_FILL = {"int32": -(2**31), "int64": -(2**63)}
#: float32 holds whole numbers up to here exactly; larger counts are opened as float64.
FLOAT32_EXACT = 2**24
FLOAT64_EXACT = 2**53


@dataclasses.dataclass(frozen=True, slots=True)
class Variable:
    """One row of the schema."""

    name: str
    units: str
    long_name: str
    dims: tuple[str, ...] | None = None
    standard_name: str = ""

    @property
    def attrs(self) -> dict[str, str]:
        """Attributes for the xarray variable."""
        attrs = {"long_name": self.long_name, "units": self.units,
                 "standard_name": self.standard_name}  # fmt: skip
        return {key: value for key, value in attrs.items() if value}


_CHANNEL = ("event", "station", "component")
_ROWS = [
    # waveforms
    Variable("counts", "1", "digitiser counts"),
    Variable("displacement", "m", "ground displacement"),
    Variable("velocity", "m s-1", "ground velocity"),
    Variable("acceleration", "m s-2", "ground acceleration"),
    Variable("pressure", "Pa", "pressure"),
    # where
    Variable("latitude", "degrees_north", "station latitude", ("station",), "latitude"),
    Variable("longitude", "degrees_east", "station longitude", ("station",), "longitude"),
    Variable("elevation", "m", "ground elevation above sea level", ("station",), "height"),
    Variable("depth", "m", "burial of the sensor below ground", ("station",), "depth"),
    Variable("azimuth", "degree", "sensor azimuth, clockwise from true north", _CHANNEL),
    Variable("dip", "degree", "sensor dip, down from horizontal", _CHANNEL),
    Variable("sensitivity", "1", "overall sensitivity in counts per input unit", _CHANNEL),
    Variable("response_id", "1", "row of response_document, -1 for none", _CHANNEL),
    Variable("response_document", "1", "StationXML of each distinct response", ("response",)),
    Variable("input_quantity", "", "what the sensor measures", _CHANNEL),
    Variable("recorded", "", "quantities stored of the channel", _CHANNEL),
    Variable("data_start", "s", "label of the first sample", _CHANNEL),
    Variable("data_end", "s", "label of the last sample", _CHANNEL),
    Variable("time_offset", "s", "true minus nominal time of the samples", _CHANNEL),
    # events
    Variable("origin_time", "", "origin time, UTC", ("event",)),
    Variable("event_latitude", "degrees_north", "epicentre latitude", ("event",)),
    Variable("event_longitude", "degrees_east", "epicentre longitude", ("event",)),
    Variable("event_depth", "m", "hypocentre depth below sea level", ("event",)),
    Variable("magnitude", "1", "preferred magnitude", ("event",)),
    Variable("event_name", "", "region or name of the event", ("event",)),
    Variable("epicentral_distance", "m", "epicentral distance on WGS84", ("event", "station")),
    Variable("back_azimuth", "degree", "azimuth from station to epicentre", ("event", "station")),
    Variable("incidence", "degree", "angle of the ray against the vertical", ("event", "station")),
    Variable(
        "reference_time", "s", "reference of the window after the origin time", ("event", "station")
    ),
    # products
    Variable("pga", "m s-2", "peak ground acceleration"),
    Variable("pgv", "m s-1", "peak ground velocity"),
    Variable("pgd", "m", "peak ground displacement"),
    Variable("psa", "m s-2", "pseudo-spectral acceleration"),
    Variable("sa", "m s-2", "absolute spectral acceleration"),
    Variable("psv", "m s-1", "pseudo-spectral velocity"),
    Variable("sv", "m s-1", "relative spectral velocity"),
    Variable("sd", "m", "relative spectral displacement"),
    Variable("period", "s", "period", ("period",)),
    Variable("damping", "1", "fraction of critical damping", ()),
    Variable("coverage", "1", "fraction of the samples in the window that exist", _CHANNEL),
    Variable("cav", "m s-1", "cumulative absolute velocity"),
    Variable("cav_std", "m s-1", "standardised cumulative absolute velocity"),
    Variable("arias", "m s-1", "Arias intensity"),
    Variable("duration", "s", "significant duration"),
    Variable("jma_intensity", "1", "JMA instrumental seismic intensity"),
    Variable("intensity_pga", "1", "macroseismic intensity from pga"),
    Variable("intensity_pgv", "1", "macroseismic intensity from pgv"),
    Variable("intensity_psa", "1", "macroseismic intensity from psa"),
    Variable("fas", "", "Fourier amplitude spectrum"),
    Variable("frequency", "Hz", "frequency", ("frequency",)),
    Variable("hv", "1", "horizontal to vertical spectral ratio"),
    Variable("hv_sigma", "1", "standard deviation of ln(hv) over the windows"),
    Variable("windows", "1", "windows used"),
    Variable("peak_frequency", "Hz", "frequency of the largest ratio"),
    Variable("peak_ratio", "1", "largest ratio"),
    Variable("psd", "dB", "acceleration power spectral density, dB relative to 1 (m s-2)2 Hz-1"),
    Variable("histogram", "1", "segments with this density"),
    Variable("percentile_psd", "dB", "percentile of the power spectral density"),
    Variable("mode_psd", "dB", "most frequent power spectral density"),
    Variable("mean_psd", "dB", "mean power spectral density"),
    Variable("segments", "1", "segments used"),
    Variable("nlnm", "dB", "new low noise model (Peterson 1993)", ("period",)),
    Variable("nhnm", "dB", "new high noise model (Peterson 1993)", ("period",)),
    Variable("pga_residual", "1", "ln of pga over that of a ground-motion model"),
    Variable("pgv_residual", "1", "ln of pgv over that of a ground-motion model"),
    Variable("psa_residual", "1", "ln of psa over that of a ground-motion model"),
    Variable("snr", "1", "signal-to-noise ratio", _CHANNEL),
    Variable("clipped", "", "whether the channel is clipped", _CHANNEL),
    Variable("clipped_samples", "1", "samples in flat tops at the extremes", _CHANNEL),
    Variable("has_gaps", "", "whether samples are missing within the record", _CHANNEL),
    Variable("flat", "", "whether the channel has a flat line", _CHANNEL),
    Variable("spikes", "1", "samples that stand out alone", _CHANNEL),
    Variable("low_snr", "", "whether the signal-to-noise ratio is too low", _CHANNEL),
    Variable("highpass_corner", "Hz", "high-pass corner frequency", _CHANNEL),
    Variable("lowpass_corner", "Hz", "low-pass corner frequency", _CHANNEL),
    Variable("passed", "", "whether the channel passed all checks", _CHANNEL),
    Variable("reason", "", "why the channel did not pass", _CHANNEL),
    # pairs
    Variable("status", "1", "what is wrong with the pair"),
    Variable("cc", "1", "normalised correlation"),
    Variable("time_shift", "s", "time shift, positive where observed is later"),
    Variable("time_shift_error", "s", "error of the time shift"),
    Variable("dlna", "1", "ln of the amplitude of observed over synthetic, from their energies"),
    Variable("dlna_error", "1", "error of dlna"),
    Variable("multitaper_windows", "1", "windows measured with multitapers"),
    Variable("log_envelope_ratio", "1", "mean ln of the envelope of observed over synthetic"),
    Variable("phase_shift", "radian", "mean phase of observed minus synthetic"),
    Variable("log_amplitude_ratio", "1", "ln of the amplitude of observed over synthetic"),
    Variable(
        "observed_shift", "s", "differential time of observed, positive where the first is later"
    ),
    Variable(
        "synthetic_shift", "s", "differential time of synthetic, positive where the first is later"
    ),
    Variable("misfit", "", "misfit of a measure, units by measure and quantity"),
    Variable("adjoint_source", "", "adjoint source, units by measure and quantity"),
    Variable("em", "1", "envelope misfit"),
    Variable("pm", "1", "phase misfit"),
    Variable("eg", "1", "envelope goodness of fit"),
    Variable("pg", "1", "phase goodness of fit"),
    Variable("tem", "1", "time-dependent envelope misfit"),
    Variable("tpm", "1", "time-dependent phase misfit"),
    Variable("teg", "1", "time-dependent envelope goodness of fit"),
    Variable("tpg", "1", "time-dependent phase goodness of fit"),
    Variable("fem", "1", "frequency-dependent envelope misfit"),
    Variable("fpm", "1", "frequency-dependent phase misfit"),
    Variable("feg", "1", "frequency-dependent envelope goodness of fit"),
    Variable("fpg", "1", "frequency-dependent phase goodness of fit"),
    Variable("tfem", "1", "time-frequency envelope misfit"),
    Variable("tfpm", "1", "time-frequency phase misfit"),
    Variable("tfeg", "1", "time-frequency envelope goodness of fit"),
    Variable("tfpg", "1", "time-frequency phase goodness of fit"),
    Variable("score", "1", "goodness of fit"),
    Variable("band_score", "1", "goodness of fit, mean over criteria"),
    Variable("mean_score", "1", "goodness of fit, mean over bands and criteria"),
    Variable("window_start", "s", "label of the first sample of the window"),
    Variable("window_end", "s", "label of the last sample of the window"),
    Variable("shift", "s", "time shift of it, positive where the observed comes later"),
    Variable("weight", "1", "length in shortest periods times correlation"),
    Variable("left", "1", "first sample of the window in the span that both have, -1 for none"),
    Variable("right", "1", "last sample of the window in the span that both have, -1 for none"),
    Variable("rejected", "1", "candidates rejected by each rule"),
    Variable("candidate_start", "s", "label of the first sample of a rejected candidate"),
    Variable("candidate_end", "s", "label of the last sample of a rejected candidate"),
    Variable("candidate_reason", "1", "rule that rejected the candidate"),
]
VARIABLES = {row.name: row for row in _ROWS}
QUANTITIES = ("counts", "displacement", "velocity", "acceleration", "pressure")
#: Time derivatives of ground motion, in order.
MOTION = ("displacement", "velocity", "acceleration")


def quantity_of(ds: xr.Dataset, wanted: Iterable[str] = QUANTITIES) -> str:
    """Name of the single waveform variable of ``ds``, checked against ``wanted``.

    Raises
    ------
    UnitsError
        When there is none, more than one, or its units are not those of the table.
    """
    wanted = tuple(wanted)
    found = [name for name in QUANTITIES if name in ds.data_vars]
    usable = [name for name in found if name in wanted]
    if len(usable) != 1:
        raise UnitsError(
            f"this needs one of {', '.join(wanted)}, and the Dataset has "
            f"{', '.join(found) or 'no waveform variable'}: {_advice(found, wanted)}"
        )
    (name,) = usable
    units = ds[name].attrs.get("units")
    if units is not None and units != VARIABLES[name].units:
        raise UnitsError(
            f"{name} has units {units!r} but the conventions say {VARIABLES[name].units!r}: "
            f"convert the values and set ds[{name!r}].attrs['units'] = {VARIABLES[name].units!r}"
        )
    return name


def _advice(found: list[str], wanted: tuple[str, ...]) -> str:
    if found == ["counts"]:
        return "take the instrument off first with ces.remove_response or ces.remove_sensitivity"
    if set(found) & set(MOTION) and set(wanted) & set(MOTION):
        return "use ces.integrate or ces.differentiate, or keep one variable with ds[[name]]"
    return "open a waveform node with ces.open_store"


def validate(ds: xr.Dataset) -> None:
    """Check a waveform Dataset against the conventions.

    Raises
    ------
    SchemaError
        Naming the first rule that is broken and what to do about it.
    """
    name = quantity_of(ds)
    dims = tuple(str(dim) for dim in ds[name].dims)
    if dims not in WAVEFORM_DIMS:
        raise SchemaError(
            f"{name} has dimensions {dims}: transpose to "
            f"{' or '.join(str(tuple(d)) for d in WAVEFORM_DIMS)}"
        )
    for label in ("station", "component"):
        if label not in ds.coords:
            raise SchemaError(f"no {label!r} coordinate: assign the {label} labels")
        if len(set(ds[label].values.tolist())) != ds.sizes[label]:
            raise SchemaError(f"{label} labels are not unique: merge what has the same label")
    for variable in map(str, ds.variables):
        row = VARIABLES.get(variable)
        if row is None or row.dims is None:
            continue
        expected = tuple(dim for dim in row.dims if dim in dims or dim in ("response", "period"))
        if tuple(map(str, ds[variable].dims)) not in (expected, row.dims):
            raise SchemaError(
                f"{variable} has dimensions {ds[variable].dims}, the conventions say {expected}: "
                "transpose or rename them"
            )
        units = ds[variable].attrs.get("units", row.units)
        if row.units and units != row.units:
            raise SchemaError(f"{variable} has units {units!r}: convert it to {row.units!r}")


def split_label(station: str) -> tuple[str, str, str, str]:
    """Network, station, location and band+instrument code of a ``station`` label.

    >>> split_label("GR.BFO..HH")
    ('GR', 'BFO', '', 'HH')
    """
    parts = station.split(".")
    if len(parts) != 4:
        raise SchemaError(f"station label {station!r}: make it NET.STA.LOC.BI, as in 'GR.BFO..HH'")
    network, name, location, instrument = parts
    return network, name, location, instrument


def rate_name(interval: float) -> str:
    """Node name of a sampling interval (s): ``100Hz``, ``2.5Hz``, ``0.1Hz``.

    >>> rate_name(0.4)
    '2.5Hz'
    """
    if not (math.isfinite(interval) and interval > 0):
        raise SchemaError(f"sampling interval {interval} s: give a positive number")
    return f"{1 / interval:.10g}Hz"
