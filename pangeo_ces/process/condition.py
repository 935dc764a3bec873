"""Offsets, trends and tapers, run by run as ObsPy does them trace by trace."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import xarray as xr
from scipy.signal import windows

from ..blocks import map_time
from ..conventions import QUANTITIES, quantity_of
from ..errors import ParameterError
from ..registry import operator
from ..timeaxis import sampling_interval
from . import _trends
from ._runs import over_runs
from ._waveform import replace

#: Kernel of every trend, and the options it takes.
_TRENDS: dict[str, tuple[Callable[..., np.ndarray], tuple[str, ...]]] = {
    "constant": (_trends.demean, ()),
    "linear": (_trends.delinear, ()),
    "simple": (_trends.desimple, ()),
    "demean": (_trends.demean, ()),
    "polynomial": (_trends.depolynomial, ("order",)),
    "spline": (_trends.despline, ("order", "dspline")),
}
#: Taper shapes and the parameters that SciPy asks for.
_SHAPES: dict[str, tuple[str, ...]] = dict.fromkeys(
    ("hann", "cosine", "hamming", "barthann", "bartlett", "blackman", "blackmanharris", "bohman",
     "boxcar", "flattop", "nuttall", "parzen", "triang"), ()
) | {"chebwin": ("at",), "gaussian": ("std",), "general_gaussian": ("p", "sig"),
     "kaiser": ("beta",)}  # fmt: skip


@operator(needs=QUANTITIES)
def detrend(
    ds: xr.Dataset,
    *,
    type: Literal["constant", "demean", "linear", "simple", "polynomial", "spline"] = "linear",
    order: int | None = None,
    dspline: float | None = None,
) -> xr.Dataset:
    """Remove an offset or a trend from every gap-free run.

    Parameters
    ----------
    ds
        Waveforms, any quantity.
    type
        ``constant`` (or ``demean``) subtracts the mean, ``linear`` a least-squares line,
        ``simple`` the line through the first and the last sample, ``polynomial`` a least-squares
        polynomial, ``spline`` a least-squares spline.
    order
        Degree of the polynomial (0 up) or of the spline (1 to 5).
    dspline
        Distance of the knots of the spline in samples, larger than ``order``; the first is half
        of it after the first sample of the run.

    Raises
    ------
    ParameterError
        For an unknown type, or an option that is missing, out of range or of another type.

    Notes
    -----
    As ``obspy.Trace.detrend``.  A run with fewer samples than coefficients is fitted with as many
    as it has, so nothing is left of it.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows()
    >>> abs(float(detrend(ds, type="constant")["counts"].mean())) < 1e-3
    True
    >>> straight = detrend(ds, type="polynomial", order=3)
    """
    if type not in _TRENDS:
        raise ParameterError(f"detrend type {type!r}: use one of {', '.join(_TRENDS)}")
    rule, wanted = _TRENDS[type]
    options = _chosen(f"detrend type {type!r}", wanted, {"order": order, "dspline": dspline},
                      "constant, linear, simple")  # fmt: skip
    if order is not None and not (isinstance(order, int | np.integer) and order >= 0):
        raise ParameterError(f"order {order}: give a whole number from 0 up")
    if type == "spline":
        if not 1 <= options["order"] <= 5:
            raise ParameterError(f"spline order {order}: give 1 to 5")
        if not options["order"] < options["dspline"] < math.inf:
            raise ParameterError(f"dspline {dspline} samples: give more than the order, {order}")
    name = quantity_of(ds)
    return replace(ds, name, name, map_time(_runwise, ds[name], rule=rule, **options))


@operator(needs=QUANTITIES)
def taper(
    ds: xr.Dataset,
    *,
    max_percentage: float | None = 0.05,
    type: Literal[
        "hann",
        "cosine",
        "hamming",
        "barthann",
        "bartlett",
        "blackman",
        "blackmanharris",
        "bohman",
        "boxcar",
        "flattop",
        "nuttall",
        "parzen",
        "triang",
        "chebwin",
        "gaussian",
        "general_gaussian",
        "kaiser",
    ] = "hann",
    max_length: float | None = None,
    side: Literal["both", "left", "right"] = "both",
    at: float | None = None,
    std: float | None = None,
    p: float | None = None,
    sig: float | None = None,
    beta: float | None = None,
) -> xr.Dataset:
    """Taper the ends of every gap-free run, with ObsPy's shapes and window lengths.

    Parameters
    ----------
    ds
        Waveforms, any quantity.
    max_percentage
        Longest taper on one side, as a fraction of the run (0 to 0.5).
    type
        Shape; ``cosine`` is ObsPy's, the others are SciPy's windows of that name.
    max_length
        Longest taper on one side in seconds.  With it and no ``max_percentage``, only twice as
        much of neighbouring chunks of time is looked at.
    side
        Which ends.
    at
        Attenuation of the side lobes of ``chebwin`` in dB.
    std
        Standard deviation of ``gaussian`` in samples.
    p, sig
        Shape and standard deviation (samples) of ``general_gaussian``.
    beta
        Shape of ``kaiser``.

    Raises
    ------
    ParameterError
        For an unknown shape or side, a length out of range, or a parameter that the shape lacks
        or does not have.

    Examples
    --------
    >>> ds = pangeo_ces.testing.synthetic_windows()
    >>> float(abs(taper(ds, type="kaiser", beta=14.0)["counts"].isel(time=0)).max()) < 1.0
    True
    """  # fmt: skip
    if type not in _SHAPES:
        raise ParameterError(f"taper type {type!r}: use {', '.join(_SHAPES)}")
    if side not in ("both", "left", "right"):
        raise ParameterError(f"taper side {side!r}: use both, left or right")
    if max_percentage is not None and not 0 <= max_percentage <= 0.5:
        raise ParameterError(f"max_percentage {max_percentage}: give a fraction from 0 to 0.5")
    if max_length is not None and not max_length >= 0:
        raise ParameterError(f"max_length {max_length} s: give zero or more")
    shape = _chosen(
        f"taper type {type!r}", _SHAPES[type],
        {"at": at, "std": std, "p": p, "sig": sig, "beta": beta}, "hann, cosine",
    )  # fmt: skip
    if not all(math.isfinite(value) for value in shape.values()):
        raise ParameterError(f"taper type {type!r} with {shape}: give finite numbers")
    name = quantity_of(ds)
    rate = float(1 / sampling_interval(ds))  # times the rate, as ObsPy: 0.35 s * 20 Hz is 7
    longest = None if max_length is None else int(min(max_length * rate, ds.sizes["time"]))
    overlap = None
    if max_percentage is None and longest is not None:
        # Enough to see both ends of a run that is too short for two whole tapers.
        overlap = ((2 * longest + 1) / rate,) * 2
    tapered = map_time(
        _runwise, ds[name], overlap_s=overlap, rule=_taper, fraction=max_percentage,
        window=(type, shape), longest=longest, side=side,
    )  # fmt: skip
    return replace(ds, name, name, tapered)


def _chosen(
    what: str, wanted: tuple[str, ...], given: dict[str, Any], others: str
) -> dict[str, Any]:
    """The options that a choice needs, and no others."""
    missing = [option for option in wanted if given[option] is None]
    if missing:
        raise ParameterError(
            f"{what} needs {' and '.join(missing)}: give it, or use one of {others}"
        )
    strange = [option for option, value in given.items() if value is not None]
    strange = [option for option in strange if option not in wanted]
    if strange:
        raise ParameterError(f"{what} has no {' and no '.join(strange)}: leave it away")
    return {option: given[option] for option in wanted}


def _runwise(block, rule, **options):
    return over_runs(rule, block, **options)


def _taper(x, fraction, window, longest, side):
    n = x.shape[1]
    limits = [n // 2]
    if fraction is not None:
        limits.append(int(fraction * n))
    if longest is not None:
        limits.append(longest)
    length = min(limits)
    weights = _window(*window, 2 * length if 2 * length == n else 2 * length + 1)
    result = x.copy()
    if side in ("both", "left"):
        result[:, :length] *= weights[:length]
    if side in ("both", "right"):
        result[:, n - length :] *= weights[len(weights) - length :]
    return result


def _window(shape, parameters, size):
    if shape != "cosine":
        return getattr(windows, shape)(size, **parameters)
    half = size // 2
    rise = 0.5 * (1 - np.cos(np.pi * np.arange(half) / max(half - 1, 1)))
    return np.concatenate([rise, np.ones(size - 2 * half), rise[::-1]])
