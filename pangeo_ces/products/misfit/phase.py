"""Misfits of envelope and phase, from the analytic signals of the tapered windows."""

from __future__ import annotations

import numpy as np
import scipy.fft

from ._options import Options
from ._windows import Cuts, simpson


def measure(observed, synthetic, cuts: Cuts, dt: float, options: Options, source):
    """Misfit of every window, and a measurement where it has one; adds to ``source``."""
    kernel = _KERNELS[options.measure]
    values = np.full((len(cuts), 2), np.nan)
    for number, weights, pieces in cuts.pieces(observed, synthetic):
        if not pieces.any(axis=-1).all():
            continue
        d, s = _analytic(pieces)
        *values[number], f = kernel(d, s, dt, options)
        if source is not None:
            source[cuts.row[number], cuts.begin[number] : cuts.end[number]] += weights * f
    return values


def _analytic(x):
    """``x + i H(x)`` over the last axis, as ``scipy.signal.hilbert`` has it."""
    n = x.shape[-1]
    spectrum = scipy.fft.fft(x, axis=-1)
    spectrum[..., 1 : (n + 1) // 2] *= 2
    spectrum[..., n // 2 + 1 :] = 0
    return scipy.fft.ifft(spectrum, axis=-1, overwrite_x=True)


def _transform(x):
    """Hilbert transform."""
    return _analytic(x).imag


def _envelope(observed, synthetic, dt, options: Options):
    """Bozdağ et al. (2011), eq. 10, with a water level from the observed."""
    d, s = np.abs(observed), np.abs(synthetic)
    water = options.wtr_env * d.max()
    both = (d + water > 0) & (s + water > 0)
    ratio = np.log(np.divide(d + water, s + water, out=np.ones_like(d), where=both))
    weighted = np.divide(ratio, (s + water) * s, out=np.zeros_like(s), where=s > 0)
    f = -weighted * synthetic.real + _transform(weighted * synthetic.imag)
    return 0.5 * np.square(ratio).sum() * dt, ratio.mean(), f


def _instantaneous_phase(observed, synthetic, dt, options: Options):
    """Bozdağ et al. (2011), eq. 13, weighted by the envelope of the observed."""
    d, s = np.abs(observed), np.abs(synthetic)
    weight = np.divide(
        d**2, d**2 + (options.wtr_env * d.max()) ** 2, out=np.zeros_like(d), where=d > 0
    )
    phase = np.angle(observed * synthetic.conj())
    weighted = np.divide(weight * phase, s**2, out=np.zeros_like(s), where=s > 0)
    f = weighted * synthetic.imag + _transform(weighted * synthetic.real)
    mean = (weight * phase).sum() / weight.sum()
    return 0.5 * (weight * phase**2).sum() * dt, mean, f


def _exponentiated_phase(observed, synthetic, dt, options: Options):
    """Yuan et al. (2020), eqs 6 and 8, with the water level of pyadjoint.

    As pyadjoint has it, the adjoint source has the raised envelopes in the formula of those
    without a water level: it is the derivative where the water level is small against them.
    """
    d_raised, s_raised = (
        envelope + options.wtr_env * envelope.max()
        for envelope in (np.abs(observed), np.abs(synthetic))
    )
    residual = observed / d_raised - synthetic / s_raised
    misfit = 0.5 * (simpson(residual.real**2, dt) + simpson(residual.imag**2, dt))
    s, h = synthetic.real, synthetic.imag
    slope = (residual.imag * s - residual.real * h) / s_raised**3
    return misfit, np.nan, slope * h + _transform(slope * s)


_KERNELS = {
    "envelope": _envelope,
    "instantaneous_phase": _instantaneous_phase,
    "exponentiated_phase": _exponentiated_phase,
}
