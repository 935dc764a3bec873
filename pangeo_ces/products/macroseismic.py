"""Macroseismic intensity from peak motion, by named relations (GMICE)."""

from __future__ import annotations

import dataclasses

import numpy as np
import xarray as xr

from ..errors import ParameterError, SchemaError, UnitsError
from ..lineage import product_attrs
from ..registry import operator


@dataclasses.dataclass(frozen=True)
class Relation:
    """Intensity = a + b log10(y), y in cm/s² or cm/s: lines (from log10(y) on, a, b), rising.

    ``spectral`` is by the period of the pseudo-spectral acceleration.
    """

    scale: str
    reference: str
    pga: tuple[tuple[float, float, float], ...]
    pgv: tuple[tuple[float, float, float], ...]
    spectral: dict[float, tuple[tuple[float, float, float], ...]]


_ALL = -np.inf
RELATIONS = {
    "worden2012": Relation(
        "MMI",
        "Worden, Gerstenberger, Rhoades & Wald (2012), BSSA 102(1)",
        pga=((_ALL, 1.71, 2.08), (0.14, 1.78, 1.55), (1.57, -1.60, 3.70)),
        pgv=((_ALL, 4.62, 2.17), (-1.21, 3.78, 1.47), (0.53, 2.89, 3.16)),
        spectral={
            0.3: ((_ALL, 1.15, 1.92), (0.44, 1.26, 1.69), (2.21, -4.15, 4.14)),
            1.0: ((_ALL, 2.71, 2.17), (-0.33, 2.50, 1.51), (1.65, 0.20, 2.90)),
            3.0: ((_ALL, 7.35, 3.45), (-1.55, 3.81, 1.17), (0.99, 1.99, 3.01)),
        },
    ),
    "wald1999": Relation(
        "MMI",
        "Wald, Quitoriano, Heaton & Kanamori (1999), Earthquake Spectra 15(3)",
        pga=((_ALL, 1.00, 2.20), (1.82, -1.66, 3.66)),
        pgv=((_ALL, 3.40, 2.10), (0.76, 2.35, 3.47)),
        spectral={},
    ),
    "faenza2010": Relation(
        "MCS",
        "Faenza & Michelini (2010), GJI 180; spectral: (2011), GJI 186",
        pga=((_ALL, 1.68, 2.58),),
        pgv=((_ALL, 5.11, 2.35),),
        spectral={
            0.3: ((_ALL, 1.24, 2.47),),
            1.0: ((_ALL, 3.12, 2.05),),
            2.0: ((_ALL, 4.31, 2.00),),
        },
    ),
}
#: Intensities that the relations are given for.
_RANGE = (1.0, 10.0)
_CENTIMETRES = 100.0
_UNITS = {"pga": "m s-2", "pgv": "m s-1", "psa": "m s-2"}


@operator(needs=("pga", "pgv", "psa"), gives=("intensity_pga", "intensity_pgv", "intensity_psa"))
def instrumental_intensity(product: xr.Dataset, *, relation: str = "worden2012") -> xr.Dataset:
    """Macroseismic intensity from PGA, PGV and 5 % pseudo-spectra, by a published relation.

    ============== ===== ===================== ========================================
    relation       scale spectral periods (s)  made from
    ============== ===== ===================== ========================================
    ``worden2012`` MMI   0.3, 1.0, 3.0         California; below MMI 2 by ShakeMap
    ``wald1999``   MMI                         California; PGA for V-VIII, PGV for V-IX,
                                               below V by ShakeMap
    ``faenza2010`` MCS   0.3, 1.0, 2.0         Italy
    ============== ===== ===================== ========================================

    Parameters
    ----------
    product
        Of :func:`peak_motion`: some of ``pga`` (m/s²), ``pgv`` (m/s), ``psa`` (m/s²).
    relation
        One of the above.

    Returns
    -------
    xr.Dataset
        ``intensity_pga``, ``intensity_pgv`` and, where ``psa`` has periods of the relation,
        ``intensity_psa``, on the axes of the measures.  Clipped to 1 and 10, as ShakeMap does;
        NaN stays NaN.

    Notes
    -----
    The relations are made for the larger of the two horizontals: select ``component="larger"``.
    """
    if relation not in RELATIONS:
        raise ParameterError(f"relation {relation!r}: use one of {', '.join(RELATIONS)}")
    chosen = RELATIONS[relation]
    result = xr.Dataset(attrs=product_attrs(product))
    for name, lines in (("pga", chosen.pga), ("pgv", chosen.pgv)):
        if name in product:
            result[f"intensity_{name}"] = _convert(_checked(product, name), lines)
    spectral = [
        _convert(_checked(product, "psa").isel(period=[number]), chosen.spectral[known])
        for number, period in enumerate(product["period"].values if "psa" in product else [])
        for known in chosen.spectral
        if np.isclose(period, known, rtol=1e-6)
    ]
    if spectral:
        _check_damping(product)
        result["intensity_psa"] = xr.concat(
            spectral, "period", coords="minimal", compat="override", join="outer"
        )
    for variable in map(str, result.data_vars):
        measure = variable.removeprefix("intensity_")
        result[variable].attrs = {
            "units": "1",
            "long_name": f"macroseismic intensity ({chosen.scale}) from {measure}",
            "method": chosen.reference,
        }
    return result


def _checked(product: xr.Dataset, name: str) -> xr.DataArray:
    units = product[name].attrs.get("units")
    if units not in (None, _UNITS[name]):
        raise UnitsError(
            f"{name} has units {units!r}: convert the values to {_UNITS[name]!r}, as "
            "ces.peak_motion gives them"
        )
    return product[name]


def _check_damping(product: xr.Dataset) -> None:
    damping = product.coords.get("damping")
    if damping is not None and not (damping.ndim == 0 and np.isclose(damping, 0.05)):
        raise SchemaError(
            f"psa has a damping of {', '.join(f'{d:g}' for d in np.ravel(damping))}, the relations "
            "need 0.05: use ces.peak_motion(damping=0.05)"
        )


def _convert(values: xr.DataArray, lines: tuple[tuple[float, float, float], ...]) -> xr.DataArray:
    logarithm = xr.ufuncs.log10(xr.ufuncs.maximum(values * _CENTIMETRES, 1e-30))
    intensity = xr.full_like(logarithm, np.nan)
    for start, constant, slope in lines:
        intensity = xr.where(logarithm >= start, constant + slope * logarithm, intensity)
    return intensity.clip(*_RANGE)
