"""Phase and amplitude by multitapers (Laske & Masters 1996; Zhou et al. 2004).

Steps, limits and fallbacks as pyadjoint 0.2.3 has them, of which these differ in how they are
computed: spectra only in the band that is used, and tapers once for every length.
"""

from __future__ import annotations

import dataclasses
import functools

import numba
import numpy as np
import scipy.fft
from scipy.signal.windows import dpss

from ._band import band
from ._lags import best_lags
from ._options import Options
from ._windows import Cuts, taper
from .traveltime import traveltime_at

#: A spectrum comes back into the band above this many times the threshold that it fell below.
_COME_BACK = 10.0


def measure(observed, synthetic, cuts: Cuts, dt: float, options: Options, source):
    """Misfit, mean shift (s), mean dlnA, errors of both by cross-correlation, and 1.

    Windows that cannot be measured so are measured by cross-correlation and have 0 at the end.
    """
    shifts = best_lags(observed, synthetic, cuts)
    by_cc = traveltime_at(shifts, observed, synthetic, cuts, dt, options, None)
    values = np.concatenate([by_cc, np.where(np.isnan(by_cc[:, :1]), np.nan, 0.0)], axis=1)
    limits: dict[int, tuple[int, int]] = {}
    for number, weights, (s,) in cuts.pieces(synthetic):
        row, low, high = cuts.row[number], cuts.low[number], cuts.high[number]
        begin, end = cuts.begin[number], cuts.end[number]
        lag = int(shifts[number])
        if np.isnan(by_cc[number, 0]) or not _worth_trying(
            lag, begin + lag >= low and end + lag <= high, len(s), options
        ):
            continue
        if row not in limits:
            limits[row] = _frequency_limits(synthetic[row, low:high], dt, options)
        first, stop = limits[row]
        df = 1 / (2**options.lnpt * dt)
        if (stop - first) * df < options.mt_nw / (4 * (high - low) * dt):
            continue
        d = observed[row, begin + lag : end + lag] * np.exp(-by_cc[number, 2]) * weights
        window = _Window(d, s, lag * dt, by_cc[number, 2], first, stop, dt, options)
        if not window.acceptable():
            continue
        errors = by_cc[number, 3:]
        values[number] = window.misfit(errors), *window.means(), *errors, 1.0
        if source is not None:
            source[row, begin:end] += weights * window.adjoint(errors)
    if source is not None:
        others = values[:, -1] == 0
        traveltime_at(shifts[others], observed, synthetic, cuts.take(others), dt, options, source)
    return values


def _worth_trying(lag: int, inside: bool, samples: int, options: Options) -> bool:
    """Shifted by more than one sample, within the record, and of enough cycles.

    pyadjoint compares the cycles, in seconds, with the length in samples; so do we.
    """
    assert options.min_period is not None
    enough = options.min_cycle_in_window * options.min_period <= samples
    fits = 2 * options.mt_nw < samples <= 2**options.lnpt
    return abs(lag) > 1 and inside and enough and fits


def _frequency_limits(synthetic, dt, options: Options) -> tuple[int, int]:
    """First bin of the band in which the synthetic has energy, and one past the last."""
    size = 2**options.lnpt
    df = 1 / (size * dt)
    amplitude = np.abs(scipy.fft.rfft(synthetic, size))
    peak = int(amplitude.argmax())
    threshold = options.water_threshold * amplitude[peak]
    lowest = _last_change(amplitude[1:peak][::-1], threshold)
    highest = _last_change(amplitude[peak + 1 :], threshold)
    first = max(
        0 if lowest < 0 else peak - 1 - lowest,
        int(1 / (options.max_period * df)),
        int(options.min_cycle_in_window / (len(synthetic) * dt) / df) - 1,
    )
    stop = min(
        len(amplitude) - 1 if highest < 0 else peak + 1 + highest,
        int(1 / (options.min_period * df)),
        int(1 / (2 * dt) / df) - 1,
    )
    return first, stop


@numba.njit(nogil=True, cache=True)
def _last_change(amplitude, threshold):
    """Where the spectrum last fell below the threshold or rose well above it again; else -1."""
    found, above = -1, True
    for i in range(len(amplitude)):
        if above and amplitude[i] < threshold:
            found, above = i, False
        if not above and amplitude[i] > _COME_BACK * threshold:
            found, above = i, True
    return found


@dataclasses.dataclass
class _Window:
    """One window: observed moved and scaled onto the synthetic, both tapered."""

    d: np.ndarray
    s: np.ndarray
    shift: float
    dlna: float
    first: int
    stop: int
    dt: float
    options: Options

    def __post_init__(self) -> None:
        size, options = 2**self.options.lnpt, self.options
        self.tapers = _tapers(len(self.s), options.mt_nw, options.num_taper)
        self.band = band(len(self.s), self.first, self.stop - self.first, size)
        self.bins = np.arange(self.first, self.stop)
        self.df = 1 / (size * self.dt)
        rows = np.concatenate([self.d * self.tapers, self.s * self.tapers])
        d, s = np.split(self.band.forward(rows), 2)
        self.spectra = s * self.dt
        self.top = d * s.conj() * self.dt**2
        self.bottom = np.square(np.abs(s)) * self.dt**2
        self.dtau, self.dlnas = self._measured(self.top.sum(axis=0), self.bottom.sum(axis=0), None)

    def _measured(self, top, bottom, left_out: int | None):
        """Shift (s) and dlnA at every frequency."""
        water = self._water(bottom, left_out)
        transfer = top / np.where(bottom >= water, bottom, bottom + water)
        phase = np.angle(transfer)
        _unwrap(phase, self.options.phase_step)
        omega = 2 * np.pi * self.df * self.bins
        delay = np.divide(phase, omega, out=np.zeros_like(phase), where=omega > 0)
        return self.shift - delay, np.log(np.abs(transfer)) + self.dlna

    def _water(self, bottom, left_out: int | None) -> float:
        """Water level of the transfer function, from the maximum over all frequencies.

        The whole spectrum is looked at only where its bound says that the level matters.
        """
        level = self.options.transfunc_waterlevel**2
        tapered = self.s * np.delete(self.tapers, [] if left_out is None else left_out, axis=0)
        bound = np.square(np.abs(tapered).sum(axis=-1)).sum() * self.dt**2
        if bottom.min() >= level * bound:
            return 0.0
        whole = np.abs(scipy.fft.rfft(tapered, 2**self.options.lnpt, axis=-1)) * self.dt
        return float(np.square(whole).sum(axis=0).max() * level)

    @functools.cached_property
    def errors(self) -> tuple[np.ndarray, np.ndarray]:
        """Errors of shift and dlnA at every frequency, by leaving out one taper after another."""
        count = len(self.tapers)
        top, bottom = self.top.sum(axis=0), self.bottom.sum(axis=0)
        left = [self._measured(top - self.top[k], bottom - self.bottom[k], k)
                for k in range(count)]  # fmt: skip
        found = []
        for whole, parts in zip((self.dtau, self.dlnas), zip(*left, strict=True), strict=True):
            mean = count * whole - (count - 1) * np.mean(parts, axis=0)
            spread = np.square(np.array(parts) - mean).sum(axis=0)
            found.append(np.sqrt(spread / (count * (count - 1))))
        return found[0], found[1]

    def acceptable(self) -> bool:
        """Whether shifts and their errors are small against the period and the shift of all."""
        options = self.options
        period = np.divide(1.0, self.bins * self.df, out=np.full(len(self.bins), np.inf),
                           where=self.bins > 0)  # fmt: skip
        size = np.abs(self.dtau)
        good = (size <= period / options.dt_fac).all()
        good &= (size <= options.dt_max_scale * abs(self.shift)).all()
        if options.use_mt_error and options.num_taper > 1:
            good &= (self.errors[0] <= period / options.err_fac).all()
        return bool(good)

    def means(self) -> tuple[float, float]:
        return float(self.dtau.mean()), float(self.dlnas.mean())

    def misfit(self, errors: np.ndarray) -> float:
        """Simpson's rule over all frequencies, negative ones too."""
        squares = np.square(self._chosen) * self._weights(errors)
        simpson = np.where(self.bins % 2 == 1, 4 / 3, 2 / 3)
        simpson[self.bins == 0] = 1 / 3
        return float(np.dot(squares, simpson) * self.df)

    @property
    def _amplitude(self) -> bool:
        return self.options.measure_type == "am"

    @property
    def _chosen(self) -> np.ndarray:
        return self.dlnas if self._amplitude else self.dtau

    def _weights(self, errors: np.ndarray) -> np.ndarray:
        """Weight of every frequency: a cosine taper over the band over the squared error."""
        shape = taper(len(self.bins), 1.0, "cos_p10")
        weights = shape / (2 * self.df * shape.sum())
        if self.options.use_cc_error:
            return weights / errors[int(self._amplitude)] ** 2
        if self.options.use_mt_error:
            error = self.errors[int(self._amplitude)]
            water = self.options.water_threshold * np.abs(self._chosen).mean()
            return weights / (error + water * (error < water)) ** 2
        return weights

    def adjoint(self, errors: np.ndarray) -> np.ndarray:
        """Zhou et al. (2004), Tape et al. (2010), eqs C25 and C26."""
        factor = self._chosen * self._weights(errors) * 2 / self.dt / 2**self.options.lnpt
        if self._amplitude:
            spectra, factor = self.spectra, -factor
        else:
            slopes = np.gradient(self.s * self.tapers, self.dt, axis=-1)
            spectra = self.band.forward(slopes) * self.dt
        spectra = spectra * (factor / np.square(np.abs(spectra)).sum(axis=0))
        return (self.band.adjoint(spectra) * self.tapers).sum(axis=0)


@functools.lru_cache(maxsize=256)
def _tapers(samples: int, half_bandwidth: float, count: int) -> np.ndarray:
    tapers = dpss(samples, half_bandwidth, count) * np.sqrt(samples)
    tapers.setflags(write=False)
    return tapers


@numba.njit(nogil=True, cache=True)
def _unwrap(phase, largest_step):
    """Take off a cycle where that makes the phase smoother, one frequency after another."""
    for i in range(1, len(phase) - 1):
        if abs(phase[i] - phase[i + 1]) <= largest_step:
            continue
        bend = phase[i + 1] + phase[i - 1] - 2 * phase[i]
        now, up, down = abs(bend), abs(bend + 2 * np.pi), abs(bend - 2 * np.pi)
        step = 0.0
        if up < now and up < down:
            step = 2 * np.pi
        elif down < now and down < up:
            step = -2 * np.pi
        phase[i + 1 :] += step
