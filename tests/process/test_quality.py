"""Signal-to-noise ratios by closed forms; flags on damage that the test did itself."""

from __future__ import annotations

import numpy as np
import obspy
import pytest
from scipy.signal import periodogram

import pangeo_ces as ces
from pangeo_ces.errors import ParameterError, SchemaError
from pangeo_ces.process.quality import clipping, quality_flags
from pangeo_ces.process.snr import signal_to_noise

SPANS = {"noise": (0.0, 3.99), "signal": (5.0, 8.99)}  # whole periods of 5 Hz


def tones(noise, quiet: float = 1.0, loud: float = 20.0):
    """A sine of 5 Hz, ``quiet`` before 4.5 s and ``loud`` after, on an offset."""
    ds = noise(1001)
    t = ds.time.values
    wave = np.where(t < 4.5, quiet, loud) * np.sin(2 * np.pi * 5 * t) + 300
    ds["counts"] = ds.counts * 0 + wave
    return ds


@pytest.mark.parametrize("method", ["peak", "rms", "spectral"])
@pytest.mark.parametrize("lazy", [False, True])
def test_ratio_of_two_sines(noise, method, lazy):
    ds = tones(noise)
    ratio = signal_to_noise(
        ds.chunk(station=1, time=300) if lazy else ds, **SPANS, method=method, frequencies=[5.0]
    )
    if lazy:
        ces.testing.assert_lazy(ratio)
    assert ratio.snr.dims[:3] == ("event", "station", "component")
    np.testing.assert_allclose(ratio.snr, 20.0, rtol=1e-9)


def test_spectral_ratio_is_that_of_the_periodograms(noise):
    ds = noise(1001)
    ds["counts"] = ds.counts - ds.counts.mean("time")
    spans = {"noise": (6.0, 9.0), "signal": (0.0, 2.5)}
    ours = signal_to_noise(ds, **spans, method="spectral", frequencies=[2.0, 20.0], octaves=1.0)
    power = []
    for first, last in (spans["signal"], spans["noise"]):
        x = ds.counts.sel(time=slice(first, last)).values
        lines, density = periodogram(x, 100.0, "hann", detrend="constant")
        bands = [(lines >= f / 2**0.5) & (lines <= f * 2**0.5) for f in (2.0, 20.0)]
        power.append(np.stack([density[..., band].mean(axis=-1) for band in bands], axis=-1))
    np.testing.assert_allclose(ours.snr, np.sqrt(power[0] / power[1]), rtol=1e-10)
    assert ours.frequency.values.tolist() == [2.0, 20.0]


def test_spans_count_from_a_coordinate(noise):
    ds = tones(noise)
    shifted = {name: (a - 4.5, b - 4.5) for name, (a, b) in SPANS.items()}
    ds["onset"] = (("event", "station"), [[4.5, np.nan]])
    ratio = signal_to_noise(ds, **shifted, relative_to="onset").snr.values[0]
    np.testing.assert_allclose(ratio[0], 20.0)
    assert np.isnan(ratio[1]).all()


def test_no_ratio_without_samples_or_noise(noise):
    ds = tones(noise, quiet=0.0)
    ds["counts"][0, 1] = np.nan
    assert np.isnan(signal_to_noise(ds, **SPANS).snr).all()
    ds = tones(noise)
    ds["counts"][0, 0, 0, 100] = np.nan
    for method, missing in (("rms", 0), ("spectral", 1)):
        ratio = signal_to_noise(ds, **SPANS, method=method, frequencies=[5.0]).snr
        assert int(np.isnan(ratio).sum()) == missing
    outside = signal_to_noise(ds, noise=(-9.0, -3.0), signal=(5.0, 9.0))
    assert np.isnan(outside.snr).all()


def test_clipping_of_real_records(recorded):
    """None is clipped; cut off at 30 % of its peak, each with five samples at the limit is."""
    there = recorded.data_start.notnull()
    assert there.sum() > 20
    assert not clipping(recorded).clipped.any()
    middle = recorded.counts.median("time")
    limit = 0.3 * abs(recorded.counts - middle).max("time")
    cut = recorded.assign(counts=recorded.counts.clip(middle - limit, middle + limit))
    cut.counts.attrs = recorded.counts.attrs
    amplitude = ((cut.counts - middle) / limit).values.reshape(-1, cut.sizes["time"])
    expected = [max(longest(row > 1 - 1e-6), longest(row < -1 + 1e-6)) >= 5 for row in amplitude]
    assert sum(expected) > 30 and not all(expected)
    assert clipping(cut).clipped.values.ravel().tolist() == expected


def longest(true: np.ndarray) -> int:
    """Length of the longest stretch of ``True``."""
    return max(map(len, "".join("x" if t else " " for t in true).split()), default=0)


@pytest.mark.parametrize("frequency", [0.05, 0.5, 1.0, 5.0])
def test_a_sine_is_not_clipped(noise, frequency):
    """However slow; and cut off at 90 % it is, unless five samples do not fit into the top."""
    ds = noise(4001, stations=1)
    wave = 1000 * np.sin(2 * np.pi * frequency * np.arange(4001) / 100)
    ds["counts"] = ds.counts * 0 + wave
    assert not clipping(ds).clipped.any()
    ds["counts"] = ds.counts * 0 + wave.clip(-900, 900)
    # A slow one falls off its flat top more slowly than the tolerance can tell.
    assert bool(clipping(ds, tolerance=1e-5).clipped.all()) is (frequency < 5.0)


@pytest.mark.parametrize("lazy", [False, True])
def test_flags(noise, lazy):
    ds = noise(2000)
    ds["counts"] = (ds.counts - ds.counts.mean("time")).round()
    ds["counts"] = ds.counts - ds.counts.median("time")
    values = ds.counts.values
    values[0, 0, 0, 500:530] = values[0, 0, 0, 900:905] = np.nan
    values[0, 0, 1, 700:950] = values[0, 0, 1, 700]
    values[0, 0, 2, 1200] += 1e6
    peak = abs(values[0, 1, 0]).max()
    values[0, 1, 0, 300:320] = 1.5 * peak
    values[0, 1, 2] = np.nan
    flags = quality_flags(ds.chunk(station=1) if lazy else ds, noise=(14, 19), signal=(0, 3))
    if lazy:
        ces.testing.assert_lazy(flags)
    flags = flags.compute().isel(event=0)

    def where(name):
        return [tuple(map(int, place)) for place in np.argwhere(flags[name].values)]

    assert where("has_gaps") == [(0, 0)]
    assert where("flat") == [(0, 1)]
    assert where("spikes") == [(0, 2)]
    assert where("clipped") == [(1, 0)]
    assert (1, 2) in where("low_snr")
    assert int(flags.gap_count[0, 0]) == 2
    assert float(flags.longest_gap[0, 0]) == pytest.approx(0.3)
    assert float(flags.coverage[0, 0]) == 1965 / 2000 and float(flags.coverage[1, 2]) == 0.0
    assert float(flags.longest_flat[0, 1]) == pytest.approx(2.49)
    assert int(flags.spike_count[0, 2]) == 1 and int(flags.clipped_samples[1, 0]) == 20
    assert all(flags[name].dtype == bool for name in ("flat", "clipped", "low_snr"))


def test_no_flag_without_reason(noise):
    ds = noise(2000)
    ds["counts"] = ds.counts - 2 * np.arange(2000)
    flags = quality_flags(ds)
    assert "snr" not in flags
    assert not any(flags[name].any() for name in ("has_gaps", "flat", "clipped", "spikes"))
    np.testing.assert_array_equal(flags.coverage, 1.0)


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_shortest_records(noise, length):
    ds = noise(10).isel(time=slice(0, length))
    flags = quality_flags(ds, noise=(0, 1), signal=(1, 2))
    assert not any(flags[name].any() for name in ("has_gaps", "flat", "clipped", "spikes"))
    assert flags.low_snr.all()


@pytest.mark.parametrize(
    "call, options, error, fix",
    [
        (signal_to_noise, SPANS | {"method": "mean"}, ParameterError, "use one of peak"),
        (signal_to_noise, SPANS | {"noise": (2.0, 1.0)}, ParameterError, "first and last second"),
        (signal_to_noise, SPANS | {"signal": (0.0, np.nan)}, ParameterError, "first and last"),
        (signal_to_noise, SPANS | {"relative_to": "p"}, SchemaError, "assign it"),
        (
            signal_to_noise,
            SPANS | {"method": "spectral", "frequencies": [0.0]},
            ParameterError,
            "positive numbers",
        ),
        (clipping, {"near": 1.2}, ParameterError, "fraction"),
        (clipping, {"tolerance": -1.0}, ParameterError, "from 0 up"),
        (quality_flags, {"spike": 0.5}, ParameterError, "from 1 up"),
        (quality_flags, {"flat_length": 0.0}, ParameterError, "positive number"),
        (quality_flags, {"noise": (0, 1)}, ParameterError, "both"),
        (quality_flags, {"minimum_snr": -1.0}, ParameterError, "positive ratio"),
    ],
)
def test_misuse(noise, call, options, error, fix):
    with pytest.raises(error, match=fix):
        call(noise(100), **options)


def test_flags_of_real_records(recorded):
    """Nothing is wrong with these records; a sample moved by the peak is found."""
    flags = quality_flags(recorded)
    assert not any(flags[name].any() for name in ("has_gaps", "flat", "clipped", "spikes"))
    there = recorded.data_start.notnull()
    assert (flags.coverage.where(there, 1.0) == 1.0).all()
    damaged = recorded.copy(deep=True)
    peak = abs(recorded.counts - recorded.counts.mean("time")).max("time")
    damaged.counts[..., 100] += peak  # before the first arrival
    np.testing.assert_array_equal(quality_flags(damaged).spike_count, there.astype(float))


@pytest.mark.parametrize(
    "name, expected",
    [
        ("clipped", ["clipped"]),
        ("flatline", ["flat"]),
        ("gap_three_records", ["has_gaps"]),
        ("nan_inf_float32", ["has_gaps"]),
        ("records_reversed", []),
    ],
)
def test_files_that_others_damaged(data, name, expected):
    trace = obspy.read(data(f"06_hostile/crafted/{name}.mseed")).merge()[0]
    samples = np.ma.filled(trace.data.astype(float), np.nan)
    ds = ces.testing.synthetic_windows(
        events=1, stations=1, components="Z", samples=len(samples),
        sampling_rate=trace.stats.sampling_rate, lazy=False,
    )  # fmt: skip
    values = np.where(np.isfinite(samples), samples, np.nan)
    ds["counts"] = (ds.counts * 0 + values).assign_attrs(ds.counts.attrs)
    flags = quality_flags(ds)
    raised = [n for n in ("has_gaps", "flat", "clipped", "spikes") if flags[n].any()]
    assert raised == expected
