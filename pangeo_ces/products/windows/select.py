"""Selection of time windows as FLEXWIN does it, with the parameters of Pyflex."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from ...blocks import map_blocks
from ...conventions import MOTION
from ...errors import ParameterError
from ...lineage import product_attrs
from ...process._runs import records
from ...registry import operator
from .._pairs import FAILED, NO_WINDOW, OK, STATUS_ATTRS, Pairs, common_spans, paired
from .arrivals import arrivals as first_arrivals
from .pair import Spans, limits, select
from .rules import REASON_ATTRS, REASONS, Rules, check

#: Variables over (..., window): units and long name.
_WINDOW = {
    "window_start": ("s", "label of the first sample of the window"),
    "window_end": ("s", "label of the last sample of the window"),
    "cc": ("1", "largest normalised cross-correlation"),
    "shift": ("s", "time shift of it, positive where the observed comes later"),
    "dlna": ("1", "0.5 ln of the energy ratio, observed over synthetic"),
    "weight": ("1", "length in shortest periods times correlation"),
    "left": ("1", "first sample of the window in the span that both have, -1 for none"),
    "right": ("1", "last sample of the window in the span that both have, -1 for none"),
}
_CANDIDATE = {
    "candidate_start": ("s", "label of the first sample of a rejected candidate"),
    "candidate_end": ("s", "label of the last sample of a rejected candidate"),
}


@operator(needs=MOTION, gives=(*_WINDOW, "status", "windows", "rejected"))
def select_windows(
    observed: xr.Dataset,
    synthetic: xr.Dataset,
    *,
    min_period: float,
    max_period: float,
    stalta_waterlevel: float = 0.07,
    tshift_acceptance_level: float = 10.0,
    tshift_reference: float = 0.0,
    dlna_acceptance_level: float = 1.3,
    dlna_reference: float = 0.0,
    cc_acceptance_level: float = 0.7,
    s2n_limit: float = 1.5,
    earth_model: str = "ak135",
    min_surface_wave_velocity: float = 3.0,
    max_time_before_first_arrival: float = 50.0,
    c_0: float = 1.0,
    c_1: float = 1.5,
    c_2: float = 0.0,
    c_3a: float = 4.0,
    c_3b: float = 2.5,
    c_4a: float = 2.0,
    c_4b: float = 6.0,
    check_global_data_quality: bool = False,
    snr_integrate_base: float = 3.5,
    snr_max_base: float = 3.0,
    noise_start_index: int = 0,
    noise_end_index: int | None = None,
    signal_start_index: int | None = None,
    signal_end_index: int = -1,
    window_signal_to_noise_type: Literal["amplitude", "energy"] = "amplitude",
    resolution_strategy: Literal["interval_scheduling", "merge"] = "interval_scheduling",
    arrivals: bool = True,
    max_windows: int = 20,
    max_candidates: int = 100,
    emulate_pyflex: bool = False,
) -> xr.Dataset:
    """Time windows in which a synthetic and a recorded trace can be compared (FLEXWIN).

    Candidates lie between minima of the short-term over long-term average E(t) of the synthetic's
    envelope and hold a maximum of it above the water level; rules on the shape of E, on noise and
    on the fit of both traces reject them, and of those that overlap the best are taken.  Names and
    defaults are those of Pyflex 0.2.0's ``Config``.

    Parameters
    ----------
    observed, synthetic
        Ground motion filtered between ``min_period`` and ``max_period``, on the same axes.
    min_period, max_period
        s.
    stalta_waterlevel
        Candidates need a maximum of E above this.
    tshift_acceptance_level, tshift_reference
        The time shift deviates from its reference by less than this, s.
    dlna_acceptance_level, dlna_reference
        Largest deviation of the amplitude ratio 0.5 ln(E_obs / E_syn) from its reference.
    cc_acceptance_level
        Smallest normalised cross-correlation.
    s2n_limit
        Smallest ratio of a window to the noise.
    earth_model
        TauPy's velocity model.
    min_surface_wave_velocity
        km/s; windows start before the arrival of a wave of this velocity, and none reaches
        further than ``max_period`` after it.
    max_time_before_first_arrival
        No window starts earlier, s.
    c_0
        Minima of E within a window are above ``c_0`` times the water level.
    c_1
        Shortest window, in ``min_period``.
    c_2
        Least drop from a maximum to both minima beside it, as a fraction of the maximum.
    c_3a, c_3b
        A window ends before another maximum that stands ``c_3a`` times higher above its lowest
        minimum; the factor falls with distance beyond ``c_3b`` times ``min_period``.
    c_4a, c_4b
        Longest part before the first and after the last maximum, in ``min_period``.
    check_global_data_quality, snr_integrate_base, snr_max_base
        Whether the ratios of signal to noise of whole records, of mean energy and of largest
        amplitude, must reach these.
    noise_start_index, noise_end_index, signal_start_index, signal_end_index
        Sample numbers within the span that both traces have, the end excluded, negative ones from
        its end.  By default the noise ends ``min_period`` before the first arrival, and the
        signal begins there.
    window_signal_to_noise_type
        ``amplitude``: ratio of largest amplitudes; ``energy``: of mean energies.
    resolution_strategy
        ``interval_scheduling``: the windows of largest total weight; ``merge``: unions of those
        that overlap or touch, which are not tested again.
    arrivals
        Whether to use the first arrival and the distance, where ``event_depth`` and coordinates
        or ``epicentral_distance`` are known.
    max_windows
        Windows kept of a pair: those of largest weight.
    max_candidates
        Rejected candidates kept of a pair: those that passed most rules.  0 for none.
    emulate_pyflex
        Do as Pyflex 0.2.0 does where it errs: the weight of the window that ends first is counted
        as zero when windows overlap; the noise ends at the sample whose *number* is the first
        arrival minus ``min_period`` in seconds after the origin; long-term averages below 1e-9 in
        the units of the data count as noise.

    Returns
    -------
    xr.Dataset
        Over ``(event, station, component, window)``, in order of start and NaN (-1) where there
        is no further window: ``window_start`` and ``window_end`` (s after the origin time, both
        samples within), ``cc``, ``shift`` (s, positive where the observed comes later), ``dlna``,
        ``weight``, ``left`` and ``right``.  ``status`` of the pair (``not_measurable`` where the
        check of the data quality fails), ``windows`` found, and ``rejected``, counts of distinct
        intervals over ``reason``.  ``candidate_start``, ``candidate_end``, ``candidate_reason``
        over ``candidate``, of those rejected.

    Raises
    ------
    ParameterError
        For a parameter out of its range, and for a check of the data quality without noise.

    Notes
    -----
    Of Pyflex's parameters, levels that change along a record and functions for weights are not
    offered.  Merged windows reach to the furthest end; in Pyflex to the end of the one that starts
    last, and for equal starts its order decides.  Where Pyflex stops with an ``IndexError``, as
    when a maximum of E comes before the first and another after the last minimum, windows are
    selected all the same.

    Maggi, A., Tape, C., Chen, M., Chao, D. & Tromp, J. (2009): An automated time-window selection
    algorithm for seismic tomography. Geophys. J. Int. 178, 257-281.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows(quantity="velocity", samples=1000)
    >>> found = select_windows(ds, ds, min_period=0.2, max_period=1.0, arrivals=False)
    >>> found["window_start"].dims
    ('event', 'station', 'component', 'window')
    >>> float(found["cc"].min().round(6))
    1.0
    """
    pairs = paired(observed, synthetic)
    rules = Rules(
        float(pairs.dt), float(min_period), float(max_period), float(stalta_waterlevel),
        float(tshift_acceptance_level), float(tshift_reference), float(dlna_acceptance_level),
        float(dlna_reference), float(cc_acceptance_level), float(s2n_limit),
        float(min_surface_wave_velocity), float(max_time_before_first_arrival), float(c_0),
        float(c_1), float(c_2), float(c_3a), float(c_3b), float(c_4a), float(c_4b),
        window_signal_to_noise_type == "energy", resolution_strategy == "merge",
        bool(emulate_pyflex),
    )  # fmt: skip
    spans = Spans(
        noise_start_index, noise_end_index, signal_start_index, signal_end_index,
        check_global_data_quality, float(snr_integrate_base), float(snr_max_base),
    )  # fmt: skip
    check(rules, window_signal_to_noise_type, resolution_strategy, max_windows, max_candidates)
    travel = first_arrivals(observed, earth_model) if arrivals else None
    if check_global_data_quality and noise_end_index is None and travel is None:
        raise ParameterError(
            "check_global_data_quality knows no noise here: give noise_end_index, or event_depth "
            "and epicentral_distance for the first arrival"
        )
    columns = _columns(max_windows, max_candidates)
    values = map_blocks(
        _rows,
        pairs.observed,
        pairs.synthetic,
        *_over_pairs(travel, pairs),
        dims=(*pairs.dims, "value"),
        sizes={"value": columns["end"].start},
        dtype="float64",
        start=pairs.start,
        rules=rules,
        spans_of=spans,
        columns=columns,
    )
    # In blocks as they are: what follows reads the windows of its own block, beside its samples.
    return _dataset(values, columns, observed)


def _over_pairs(travel: xr.Dataset | None, pairs: Pairs) -> list[xr.DataArray]:
    """First arrival and distance over all axes of the pairs."""
    sizes = {dim: pairs.observed.sizes[dim] for dim in pairs.dims}
    nothing = xr.DataArray(np.full(tuple(sizes.values()), np.nan), dims=pairs.dims)
    if travel is None:
        return [nothing, nothing]
    # NaN + 0 where unknown: to broadcast by name.
    return [
        (travel[name] + xr.zeros_like(nothing)).transpose(*pairs.dims)
        for name in ("first_arrival", "distance")
    ]


def _columns(windows: int, candidates: int) -> dict[str, slice]:
    """Where each variable lies in the row of a pair."""
    lengths = dict.fromkeys(_WINDOW, windows) | {"status": 1, "windows": 1}
    lengths |= {"rejected": len(REASONS)}
    lengths |= dict.fromkeys((*_CANDIDATE, "candidate_reason"), candidates)
    columns, at = {}, 0
    for name, length in lengths.items():
        columns[name] = slice(at, at + length)
        at += length
    return columns | {"end": slice(at, at)}


def _rows(observed, synthetic, arrival, distance, start, rules, spans_of, columns):
    one, two = (np.ascontiguousarray(records(x), np.float64) for x in (observed, synthetic))
    result = np.full((len(one), columns["end"].start), np.nan)
    for name in ("left", "right"):
        result[:, columns[name]] = -1
    for name in ("windows", "rejected", "candidate_reason"):
        result[:, columns[name]] = 0
    spans, status = common_spans(one, two)
    most = columns["left"].stop - columns["left"].start
    capacity = columns["candidate_start"].stop - columns["candidate_start"].start
    for row in range(len(one)):
        if status[row] == OK:
            low, high = spans[row]
            first = start + low * rules.dt
            where = limits(arrival.flat[row], distance.flat[row], first, rules)
            status[row] = _fill(
                select(one[row, low:high], two[row, low:high], where, rules, spans_of, most,
                       capacity),
                first, rules, columns, result[row],
            )  # fmt: skip
    result[:, columns["status"]] = status[:, None]
    return result.reshape(*observed.shape[:-1], -1)


def _fill(found, first, rules, columns, out):
    """Write the outcome of a pair into its row; its status."""
    values = {
        "window_start": first + found.intervals[:, 0] * rules.dt,
        "window_end": first + found.intervals[:, 1] * rules.dt,
        "cc": found.measured[:, 1],
        "shift": found.measured[:, 0] * rules.dt,
        "dlna": found.measured[:, 2],
        "weight": found.measured[:, 3],
        "left": found.intervals[:, 0],
        "right": found.intervals[:, 1],
        "windows": [found.found],
        "rejected": found.rejected[1:],
        "candidate_start": first + found.refused[:, 0] * rules.dt,
        "candidate_end": first + found.refused[:, 1] * rules.dt,
        "candidate_reason": found.refused[:, 2],
    }
    for name, numbers in values.items():
        begin = columns[name].start
        out[begin : begin + len(numbers)] = numbers
    if not found.usable:
        return FAILED
    return OK if found.found else NO_WINDOW


def _dataset(values: xr.DataArray, columns: dict[str, slice], ds: xr.Dataset) -> xr.Dataset:
    result = xr.Dataset(attrs=product_attrs(ds))

    def part(name: str, dim: str) -> xr.DataArray:
        return values.isel(value=columns[name]).rename(value=dim)

    for name, (units, long_name) in _WINDOW.items():
        kind = "int32" if name in ("left", "right") else "float64"
        result[name] = part(name, "window").astype(kind)
        result[name].attrs = {"units": units, "long_name": long_name}
    result["status"] = part("status", "value").isel(value=0).astype("int8")
    result["status"].attrs = dict(STATUS_ATTRS)
    result["windows"] = part("windows", "value").isel(value=0).astype("int32")
    result["windows"].attrs = {"units": "1", "long_name": "windows found"}
    result["rejected"] = part("rejected", "reason").astype("int32")
    result["rejected"].attrs = {"units": "1", "long_name": "candidates rejected by each rule"}
    result = result.assign_coords(reason=list(REASONS.values()))
    if columns["candidate_start"].start < columns["candidate_start"].stop:
        for name, (units, long_name) in _CANDIDATE.items():
            result[name] = part(name, "candidate")
            result[name].attrs = {"units": units, "long_name": long_name}
        result["candidate_reason"] = part("candidate_reason", "candidate").astype("int8")
        result["candidate_reason"].attrs = {
            "long_name": "rule that rejected the candidate"
        } | REASON_ATTRS
    return result
