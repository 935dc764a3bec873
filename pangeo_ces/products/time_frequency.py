"""Time-frequency envelope and phase misfits (Kristekova et al. 2006, 2009).

Kristekova, Kristek, Moczo & Day (2006), BSSA 96, 1836-1850; Kristekova, Kristek & Moczo (2009),
GJI 178, 813-825.  Values are those of ``obspy.signal.tf_misfit``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import xarray as xr

from ..blocks import consolidate, map_blocks
from ..conventions import MOTION, VARIABLES
from ..errors import ParameterError, SchemaError
from ..lineage import product_attrs
from ..process._runs import records
from ..registry import operator
from ._envelopes import Fit, fit
from ._pairs import OK, common_spans, paired
from ._parts import length, parted, within
from .wavelets import bank, frequencies

_FAMILIES = {
    "": ("", ()),
    "t": ("time-dependent ", ("time",)),
    "f": ("frequency-dependent ", ("frequency",)),
    "tf": ("time-frequency ", ("frequency", "time")),
}
_KINDS = {"em": "envelope misfit", "pm": "phase misfit", "eg": "envelope goodness of fit",
          "pg": "phase goodness of fit"}  # fmt: skip
#: All results, in the order of the papers.
OUTPUTS = tuple(family + kind for family in ("", "t", "f", "tf") for kind in _KINDS)
REFERENCES = ("synthetic", "observed", "larger", "smaller")


@operator(needs=MOTION, gives=(*OUTPUTS, "status"))
def time_frequency_misfit(
    observed: xr.Dataset,
    synthetic: xr.Dataset,
    *,
    fmin: float,
    fmax: float,
    nf: int = 100,
    w0: float = 6.0,
    norm: Literal["global", "local"] = "global",
    reference: Literal["synthetic", "observed", "larger", "smaller"] = "synthetic",
    joint: bool = False,
    outputs: Sequence[str] = ("em", "pm", "eg", "pg"),
) -> xr.Dataset:
    """Envelope and phase misfits and goodness of fit in time and frequency (Kristekova et al.).

    With W and R the Morlet wavelet transforms of a record and of the reference, over all times t
    and frequencies f of a pair (2009, tables 1 and 2)::

        E = |W| - |R|                     P = |A| arg(W / R) / pi
        tfem = E / max |A|                tfpm = P / max |A|
        tem = sum_f E / max sum_f |A|     tpm = sum_f P / max sum_f |A|
        fem = sum_t E / max sum_t |A|     fpm = sum_t P / max sum_t |A|
        em = sqrt(sum E² / sum |A|²)      pm = sqrt(sum P² / sum |A|²)

    where A is R.  With ``norm="local"`` every value is divided by that of A at its own t or f
    instead of the largest; ``em`` and ``pm`` are the same.  The goodness of fit is (eq. 15, 16)
    ``eg`` = 10 exp(-abs(em)) and ``pg`` = 10 (1 - abs(pm)), and so with every prefix.

    Parameters
    ----------
    observed, synthetic
        The same quantity on the same axes (:func:`match`, then :func:`interpolate`).
    fmin, fmax
        Lowest and highest frequency (Hz), up to the Nyquist frequency.
    nf
        Number of frequencies, evenly spaced in their logarithm.
    w0
        Parameter of the wavelet: more resolves frequency better, and time worse.
    norm
        ``global``: by the largest value of the reference; ``local``: by its value at each point.
    reference
        Which record is the reference: positive envelope misfits mean that the other is larger,
        positive phase misfits that it is ahead.  Where neither is, E and P are of observed minus
        synthetic, and A is the one with the ``larger`` or the ``smaller`` maximum of abs(W):
        ``larger`` is ``st2_isref=False`` of ObsPy, but for its ``tpm``, which has the smaller;
        ``smaller`` is what the authors' program TF_MISFIT_GOF_CRITERIA takes.
    joint
        Take maxima, and the larger or smaller side, over all components of a station that can be
        compared, so that misfits of a weak one stay small.  No effect on the values of ``local``
        but for which side is ``larger``.
    outputs
        Any of ``em pm eg pg``, alone or after ``t`` (over time), ``f`` (over frequency) or ``tf``
        (over both: ``nf`` times the size of the record).

    Returns
    -------
    xr.Dataset
        ``outputs``, without units, over ``(event, station, component)`` and their own axes,
        ``frequency`` (Hz) and then ``time``; misfits from 0 (a perfect fit) up or to both sides
        of it, goodness up to 10.  ``status``.  NaN where the pair has no value, and in time where
        not both have samples: each pair is transformed on its common span, as if it were all.

    Raises
    ------
    ParameterError
        For frequencies that do not rise or exceed the Nyquist frequency, and unknown choices.

    Examples
    --------
    >>> one = pangeo_ces.testing.synthetic_windows(quantity="velocity", lazy=False)
    >>> two = one.assign(velocity=1.1 * one.velocity)
    >>> fit = time_frequency_misfit(two, one, fmin=1.0, fmax=10.0, outputs=["em", "pm", "tfem"])
    >>> fit.em.values.round(6).max(), fit.pm.values.round(6).max()
    (np.float64(0.1), np.float64(0.0))
    >>> fit.tfem.dims
    ('event', 'station', 'component', 'frequency', 'time')
    """
    pairs = paired(observed, synthetic)
    wanted = (outputs,) if isinstance(outputs, str) else tuple(outputs)
    _check(fmin, fmax, nf, w0, norm, reference, wanted, pairs.dt)
    data = pairs.observed
    if joint and "component" not in data.dims:
        raise SchemaError("joint needs several components: leave it, or give them along component")
    if joint:
        data = data.transpose(..., "component", "time")
    dims = tuple(str(dim) for dim in data.dims[:-1])
    axes = {"frequency": int(nf), "time": data.sizes["time"]}
    layout = {name: _dims_of(name) for name in wanted}
    whole = {"component": data.sizes["component"]} if joint else {}  # in one block
    values = map_blocks(
        _misfits,
        data,
        pairs.synthetic,
        dims=(*dims, "value"),
        sizes={"value": length(layout, axes)} | whole,
        dtype="float64",
        dt=pairs.dt,
        band=(float(fmin), float(fmax), int(nf), float(w0)),
        local=norm == "local",
        reference=reference,
        joint=joint,
        outputs=wanted,
    )
    if not any(layout.values()):
        values = consolidate(values)
    result = xr.Dataset(parted(values, layout, axes), attrs=product_attrs(observed))
    for name in wanted:
        result[name].attrs = _attrs(name)
    return _with_coords(result, pairs.observed, frequencies(fmin, fmax, nf))


def _check(
    fmin: float,
    fmax: float,
    nf: int,
    w0: float,
    norm: str,
    reference: str,
    outputs: tuple[str, ...],
    dt: float,
) -> None:
    nyquist = 0.5 / dt
    if not 0 < fmin < fmax < math.inf:
        raise ParameterError(f"fmin {fmin} Hz and fmax {fmax} Hz: give rising frequencies above 0")
    if fmax > nyquist * (1 + 1e-9):
        raise ParameterError(
            f"fmax {fmax} Hz: give one up to the Nyquist frequency of these records, {nyquist:g} Hz"
        )
    if nf != int(nf) or nf < 1:
        raise ParameterError(f"nf {nf}: give a whole number of frequencies from 1 up")
    if not 0 < w0 < math.inf:
        raise ParameterError(f"w0 {w0}: give a positive number, such as 6")
    if norm not in ("global", "local"):
        raise ParameterError(f"norm {norm!r}: use 'global' or 'local'")
    if reference not in REFERENCES:
        raise ParameterError(f"reference {reference!r}: use one of {', '.join(REFERENCES)}")
    unknown = [name for name in outputs if name not in OUTPUTS]
    if unknown or not outputs or len(set(outputs)) < len(outputs):
        raise ParameterError(f"outputs {outputs}: name any of {', '.join(OUTPUTS)}, each once")


def _dims_of(name: str) -> tuple[str, ...]:
    return _FAMILIES[name[:-2]][1]


def _attrs(name: str) -> dict[str, str]:
    return {"units": "1", "long_name": _FAMILIES[name[:-2]][0] + _KINDS[name[-2:]]}


def _with_coords(result: xr.Dataset, data: xr.DataArray, f: np.ndarray) -> xr.Dataset:
    """The coordinates of the record, and the axes that the results have."""
    plain = {name: c for name, c in data.coords.items() if "time" not in c.dims}
    result = result.assign_coords(plain)
    if "frequency" in result.dims:
        result = result.assign_coords(frequency=("frequency", f, VARIABLES["frequency"].attrs))
    if "time" in result.dims:
        result = result.assign_coords(xr.Coordinates.from_xindex(data.xindexes["time"]))
        result["time"].attrs.update(data["time"].attrs)
    return result


def _misfits(
    one: np.ndarray,
    two: np.ndarray,
    *,
    dt: float,
    band: tuple[float, float, int, float],
    local: bool,
    reference: str,
    joint: bool,
    outputs: tuple[str, ...],
) -> np.ndarray:
    """Status and outputs of every pair, one after the other: (…, value)."""
    x, y = records(np.ascontiguousarray(one)), records(np.ascontiguousarray(two))
    spans, status = common_spans(x, y)
    if reference == "observed":
        x, y = y, x
    axes = {"frequency": band[2], "time": x.shape[-1]}
    layout = {name: _dims_of(name) for name in outputs}
    result = np.full((len(x), length(layout, axes)), np.nan)
    result[:, 0] = status
    maps = any(len(name) > 2 for name in outputs)
    together = one.shape[-2] if joint else 1
    for begin in range(0, len(x), together):
        fits: dict[int, Fit] = {}
        for row in range(begin, begin + together):
            if status[row] == OK:
                start, stop = spans[row]
                pair = np.array([x[row, start:stop], y[row, start:stop]], np.float64)
                fits[row] = fit(pair, bank(stop - start, dt, *band), maps)
        for row, name, values in _normalised(fits, outputs, local, reference):
            place = within(result[row], name, layout, axes)
            inside = slice(*spans[row]) if "time" in layout[name] else slice(None)
            place[..., inside] = values
    return result.reshape(*one.shape[:-1], result.shape[-1])


def _normalised(
    fits: dict[int, Fit], outputs: tuple[str, ...], local: bool, reference: str
) -> Iterator[tuple[int, str, np.ndarray]]:
    """Row, name and values of the outputs of pairs that share a norm."""
    if not fits:
        return
    side = 1  # of the reference
    if reference in ("larger", "smaller"):
        peaks = np.max([one.peaks for one in fits.values()], axis=0)
        side = int(peaks[0] <= peaks[1]) if reference == "larger" else int(peaks[0] > peaks[1])
    parts = {row: _unnormalised(one, side) for row, one in fits.items()}
    for family in dict.fromkeys(name[:-2] for name in outputs):
        largest = max(of_row[family][2].max() for of_row in parts.values())
        for row, of_row in parts.items():
            envelope, phase, norm = of_row[family]
            scale = norm if local else largest
            with np.errstate(divide="ignore", invalid="ignore"):
                misfits = {"e": envelope / scale, "p": phase / scale}
            for name in outputs:
                if name[:-2] == family:
                    yield row, name, _rated(misfits[name[-2]], name[-2:])


def _unnormalised(one: Fit, side: int) -> dict[str, tuple[np.ndarray, ...]]:
    """E, P and the norm A of every family of misfits."""
    squares = [one.difference, one.turned[side], one.energies[side]]
    parts: dict[str, tuple[np.ndarray, ...]] = {"": tuple(np.sqrt(squares)[:, None])}
    if one.phases.size:
        norm = one.envelopes[side]
        plane = (one.envelopes[0] - one.envelopes[1], norm * one.phases, norm)
        parts["tf"] = plane
        for family, axis in (("t", 0), ("f", 1)):
            parts[family] = tuple(values.sum(axis=axis) for values in plane)
    return parts


def _rated(misfit: np.ndarray, kind: str) -> np.ndarray:
    """A misfit itself, or the goodness of fit from it."""
    if kind == "eg":
        return 10 * np.exp(-abs(misfit))
    return 10 * (1 - abs(misfit)) if kind == "pg" else misfit
