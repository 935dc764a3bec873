"""Measured peaks beside published ground-motion models.

The models are those of `pygmm` (Kottke): median and standard deviation of ln y for a scenario.  The
source is taken as a point, so that the distance to its surface projection is the epicentral one and
that to the rupture the hypocentral one: right for small earthquakes, too far near large faults.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from ..errors import ParameterError, SchemaError
from ..lineage import product_attrs
from ..registry import operator

#: Name, and class in pygmm, of the models; by their authors' abbreviations.
MODELS = {
    "ASB14": "AkkarSandikkayaBommer2014",
    "BSSA14": "BooreStewartSeyhanAtkinson2014",
    "CB14": "CampbellBozorgnia2014",
    "CY14": "ChiouYoungs2014",
}
#: Of the horizontals, what the models are for, the best first.
_PREFERRED = ("rotd50", "gmroti50", "geometric_mean")
#: Mechanism taken for an unknown one.
_ELSE = {"ASB14": "SS", "CB14": "SS"}
_GRAVITY = 9.80665


@operator(needs=("pga", "pgv", "psa"), gives=("pga_residual", "pgv_residual", "psa_residual"))
def ground_motion_residuals(
    ds: xr.Dataset,
    *,
    model: Literal["ASB14", "BSSA14", "CB14", "CY14"] = "BSSA14",
    v_s30: float = 760.0,
    mechanism: Literal["U", "SS", "NS", "RS"] = "U",
    component: str | None = None,
) -> xr.Dataset:
    """What a published ground-motion model predicts, and how measured peaks differ from it.

    Parameters
    ----------
    ds
        A product of :func:`peak_motion` with ``magnitude``, ``event_depth`` (m) and
        ``epicentral_distance`` (m).
    model
        ``ASB14`` Akkar, Sandıkkaya & Bommer (2014, Europe), ``BSSA14`` Boore et al. (2014),
        ``CB14`` Campbell & Bozorgnia (2014), ``CY14`` Chiou & Youngs (2014).
    v_s30
        Mean shear-wave velocity of the upper 30 m under the stations, m/s.
    mechanism
        Strike-slip ``SS``, normal ``NS``, reverse ``RS`` or unknown ``U``, which counts as
        strike-slip where a model has no such class (``ASB14``, ``CB14``).
    component
        Of the product; by default the first there is of ``rotd50``, ``gmroti50`` and
        ``geometric_mean``, which is what the models are for.

    Returns
    -------
    xr.Dataset
        For each of ``pga``, ``pgv`` and ``psa`` of the product, over (event, station) and period:
        ``NAME_predicted`` (the unit of NAME), ``NAME_residual`` = ln(measured / predicted) and
        ``NAME_sigma``, the model's standard deviation of ln.  NaN outside the magnitudes,
        distances, velocities and periods that the model is made for.

    Raises
    ------
    ParameterError
        When there is no such component.
    SchemaError
        When the product does not know its earthquakes.

    Examples
    --------
    >>> store = pangeo_ces.samples.german_events("memory://doc-residuals")
    >>> ds = pangeo_ces.open_store(store)["windows/main/observed/20Hz"].to_dataset()
    >>> peaks = pangeo_ces.peak_motion(pangeo_ces.remove_sensitivity(ds), periods=[1.0])
    >>> ground_motion_residuals(peaks, model="ASB14")["psa_residual"].dims
    ('event', 'station', 'period')
    """
    if model not in MODELS:
        raise ParameterError(f"no ground-motion model {model!r}: use one of {', '.join(MODELS)}")
    missing = [n for n in ("magnitude", "event_depth", "epicentral_distance") if n not in ds.coords]
    if missing:
        raise SchemaError(f"no {', '.join(missing)} here: convert the records with their events")
    there = [str(name) for name in ds["component"].values]
    chosen = component or next((name for name in _PREFERRED if name in there), None)
    if chosen not in there:
        raise ParameterError(
            f"no component {chosen or ' or '.join(_PREFERRED)} in this product: choose one of "
            f"{', '.join(there)}"
        )
    measured = ds.sel(component=chosen)
    periods = tuple(ds["period"].values.tolist()) if "psa" in ds else ()
    values = predict(
        model, ds["magnitude"].values[:, None], ds["epicentral_distance"].values * 1e-3,
        ds["event_depth"].values[:, None] * 1e-3, periods, v_s30, mechanism,
    )  # fmt: skip
    result = xr.Dataset(attrs=product_attrs(ds)).assign_coords(measured.coords)
    columns: dict[str, Any] = {"pga": 0, "pgv": 1, "psa": slice(2, None)}
    for name in [name for name in columns if name in ds]:
        dims = ("event", "station", "period") if name == "psa" else ("event", "station")
        median, sigma = ((dims, part[..., columns[name]]) for part in values)
        array = measured[name].transpose(*dims)
        result[f"{name}_predicted"] = median
        result[f"{name}_predicted"].attrs = {
            "units": array.attrs.get("units", ""), "long_name": f"{name} predicted by {model}",
        }  # fmt: skip
        result[f"{name}_residual"] = np.log(array.where(array > 0) / result[f"{name}_predicted"])
        result[f"{name}_residual"].attrs = {
            "units": "1", "long_name": f"ln of {name} over that of {model}",
        }  # fmt: skip
        result[f"{name}_sigma"] = sigma
        result[f"{name}_sigma"].attrs = {
            "units": "1", "long_name": f"standard deviation of ln {name} of {model}",
        }  # fmt: skip
    result.attrs |= {"ground_motion_model": model, "v_s30": float(v_s30), "mechanism": mechanism}
    return result


def predict(
    model: str,
    magnitude: np.ndarray,
    distance: np.ndarray,
    depth: np.ndarray,
    periods: Sequence[float],
    v_s30: float = 760.0,
    mechanism: str = "U",
) -> tuple[np.ndarray, np.ndarray]:
    """Median and standard deviation of ln of PGA (m/s²), PGV (m/s) and PSA (m/s²), in this order
    along the last axis.

    Parameters
    ----------
    magnitude, distance, depth
        Of the earthquake, epicentral in km, and of the hypocentre in km; broadcast together.
    periods
        In seconds.
    """
    one = functools.lru_cache(4096)(functools.partial(_predict_one, model))
    shape = np.broadcast_shapes(*map(np.shape, (magnitude, distance, depth)))
    points = [np.broadcast_to(x, shape).ravel().tolist() for x in (magnitude, distance, depth)]
    rows = [one(*point, tuple(periods), v_s30, mechanism) for point in zip(*points, strict=True)]
    found = np.array(rows, float).reshape(*shape, 2, 2 + len(periods))
    return found[..., 0, :], found[..., 1, :]


def _predict_one(
    model: str, magnitude: float, distance: float, depth: float, periods: tuple[float, ...],
    v_s30: float, mechanism: str,
) -> np.ndarray:  # fmt: skip
    """The same for one place, NaN where the model has nothing to say."""
    import pygmm

    result = np.full((2, 2 + len(periods)), np.nan)
    kind = getattr(pygmm, MODELS[model])
    depth = max(depth, 0.0)
    given: dict[str, Any] = {
        "mag": magnitude, "v_s30": v_s30, "dist_jb": distance, "dist_x": distance,
        "dist_rup": math.hypot(distance, depth), "depth_hyp": depth, "depth_tor": depth,
        "dip": 90.0, "mechanism": _ELSE.get(model, "U") if mechanism == "U" else mechanism,
    }  # fmt: skip
    limits = {p.name: (getattr(p, "min", None), getattr(p, "max", None)) for p in kind.PARAMS}
    for name in ("mag", "v_s30", "dist_jb", "dist_rup"):
        low, high = limits.get(name, (None, None))
        value = given[name]
        if not math.isfinite(value) or value < (low or -np.inf) or value > (high or np.inf):
            return result
    for name in ("depth_hyp", "depth_tor"):  # beyond these the models stay as they are there
        given[name] = min(given[name], limits.get(name, (0, None))[1] or np.inf)
    scenario = kind(pygmm.Scenario(**{k: v for k, v in given.items() if k in limits}))
    result[:, 0] = scenario.pga * _GRAVITY, scenario.ln_std_pga
    result[:, 1] = scenario.pgv * 1e-2, scenario.ln_std_pgv
    known = [i for i, t in enumerate(periods) if scenario.periods[0] <= t <= scenario.periods[-1]]
    if known:
        wanted = [periods[i] for i in known]
        columns = [2 + i for i in known]
        result[0, columns] = scenario.interp_spec_accels(wanted) * _GRAVITY
        result[1, columns] = scenario.interp_ln_stds(wanted)
    return result
