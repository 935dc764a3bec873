"""What the waveform pictures share: variable, colours, distances, choice of stations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from pangeo_ces.errors import ParameterError
from pangeo_ces.views.contents import source_title
from pangeo_ces.views.units import display_unit, largest_finite, number

QUANTITIES = ("velocity", "acceleration", "displacement")
OBSERVED_COLOUR = "#000000"
# Okabe and Ito: vermilion, blue, bluish green, reddish purple, sky blue.
MODEL_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9")
Waveforms = Mapping[str, xr.Dataset]


def trace_variables(waveforms: Waveforms) -> dict[str, xr.DataArray]:
    """The waveform variable (event, station, component, time) of each source, observed first."""
    if not waveforms:
        raise ParameterError("no waveforms; give 'observed' or 'synthetic/<model>'")
    found = {}
    for path in sorted(waveforms, key=lambda name: (name != "observed", name)):
        names = [name for name in QUANTITIES if name in waveforms[path]]
        if len(names) != 1:
            raise ParameterError(
                f"{path!r} holds {sorted(map(str, waveforms[path].data_vars))}; "
                f"keep one of {', '.join(QUANTITIES)}"
            )
        found[path] = waveforms[path][names[0]].transpose("event", "station", "component", "time")
    kinds = {str(array.name) for array in found.values()}
    if len(kinds) > 1:
        raise ParameterError(
            f"{' and '.join(sorted(kinds))} in one picture; convert to one of them"
        )
    return found


def colours(paths: Mapping[str, object]) -> dict[str, str]:
    """Colour of each source: observed black, the models from a colour-blind-safe set."""
    synthetic = [path for path in paths if path != "observed"]
    found = {path: MODEL_COLOURS[i % len(MODEL_COLOURS)] for i, path in enumerate(synthetic)}
    return {path: found.get(path, OBSERVED_COLOUR) for path in paths}


def legend_title(path: str, count: int) -> str:
    """``observed``, ``synthetic``, or ``synthetic (model)`` where there are several."""
    kind = path.split("/")[0]
    return kind if count <= 2 else source_title(path).lower()


def distances(traces: Mapping[str, xr.DataArray]) -> xr.DataArray:
    """Epicentral distance (event, station) in m, of the first source that has it."""
    for array in traces.values():
        if "epicentral_distance" in array.coords:
            distance = array["epicentral_distance"]
            if "event" not in distance.dims:
                distance = distance.expand_dims(event=array["event"].values)
            return distance.transpose("event", "station")
    raise ParameterError(
        "waveforms without distances; assign_coords(epicentral_distance=(('event', 'station'), …))"
    )


def stations_by_distance(
    traces: Mapping[str, xr.DataArray], event: object, most: int
) -> tuple[list[str], int]:
    """Nearest stations of an event in order of distance, and how many are left out.

    Stations without any trace of this event come last in the choice.
    """
    distance = distances(traces).sel(event=event)
    recorded = xr.zeros_like(distance, dtype=bool)
    for array in traces.values():
        usable = array.sel(event=event).notnull().any(("component", "time"))
        recorded = recorded | usable.reindex(station=distance["station"], fill_value=False)
    order = np.lexsort((distance.values, ~recorded.values))
    chosen = order[:most]
    chosen = chosen[np.argsort(distance.values[chosen], kind="stable")]
    labels = [str(distance["station"].values[i]) for i in chosen]
    return labels, int(recorded.values.sum() - recorded.values[order[:most]].sum())


def pick(
    traces: Mapping[str, xr.DataArray], event: object, station: str, component: str
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Time (s) and samples of one station and component, of the sources that have them."""
    found = {}
    for path, array in traces.items():
        here = {"event": event, "station": station, "component": component}
        if not all(value in array[dim].values for dim, value in here.items()):
            continue
        samples = array.sel(here).values
        if np.isfinite(samples).any():
            found[path] = (array["time"].values, samples)
    return found


def amplitude_text(largest: float, units: str) -> str:
    """Peak of a trace in a unit that fits, three digits.

    Examples
    --------
    >>> amplitude_text(1.234e-6, "m s-1")
    '1.23 µm/s'
    """
    shown = display_unit(units, largest, trace=True)
    return f"{number(largest * shown.factor)} {shown.label}".strip()


def peak(found: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> float:
    """Largest absolute sample of the traces of one panel; 1 for traces of zeros."""
    return max((largest_finite(samples) for _, samples in found.values()), default=0.0) or 1.0
