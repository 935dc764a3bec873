"""Pairs by formula, and what Pyflex 0.2.0 selects in them.

Run by an interpreter that has pyflex (GPL; only its numbers are kept), this writes the table:

    PYTHON tests/products/windows/pyflex_table.py > tests/products/windows/pyflex_table.json
"""

import json
import sys
import warnings

import numpy as np

PAIRS = 160


def pair(number, samples=None, dt=None, cycles=None):
    """Observed, synthetic, and a description: wavelets that are shifted, scaled, turned; noise."""
    random = np.random.RandomState(number)  # its stream is frozen
    samples = samples or random.randint(500, 1300)
    dt = dt or (0.1, 0.25, 0.5, 1.0)[random.randint(4)]
    shortest = dt * (cycles or random.randint(8, 30))
    longest = shortest * random.uniform(2, 8)
    time = np.arange(samples) * dt
    frequency = np.fft.rfftfreq(2 * samples, dt)
    band = (frequency > 1 / longest) & (frequency < 1 / shortest)

    def noise(level):
        spectrum = np.fft.rfft(random.standard_normal(2 * samples)) * band
        values = np.fft.irfft(spectrum)[samples // 2 : samples // 2 + samples]
        return level * values / values.std()

    observed = noise((0.003, 0.03, 0.1)[random.randint(3)])
    synthetic = noise((1e-4, 0.003, 0.03)[random.randint(3)])
    for _ in range(random.randint(2, 9)):
        centre = random.uniform(0.15, 0.95) * time[-1]
        period = shortest * random.uniform(1.1, 3)
        width = period * random.uniform(0.6, 3)
        size, phase = random.lognormal(0, 0.8), random.uniform(0, 2 * np.pi)
        for trace, shift, gain, turn in (
            (synthetic, 0.0, 1.0, 0.0),
            (observed, 0.15 * period * random.randn(), np.exp(0.4 * random.randn()),
             0.4 * random.randn()),
        ):  # fmt: skip
            t = time - centre - shift
            trace += (
                size * gain * np.exp(-((t / width) ** 2))
                * np.cos(2 * np.pi * t / period + phase + turn)
            )  # fmt: skip
    ends = np.minimum(1, np.minimum(np.arange(samples), np.arange(samples)[::-1]) / 0.05 / samples)
    taper = np.sin(ends * np.pi / 2) ** 2
    about = {"dt": dt, "min_period": shortest, "max_period": longest, "samples": samples}
    return observed * taper, synthetic * taper, about


def parameters(number, about):
    """A configuration, and for every third pair a place: latitude, longitude, depth, start."""
    random = np.random.RandomState(10_000 + number)

    def one_of(*values):
        return values[random.randint(len(values))]

    shortest, samples = about["min_period"], about["samples"]
    config = {
        "min_period": shortest,
        "max_period": about["max_period"],
        "stalta_waterlevel": one_of(0.05, 0.07, 0.1, 0.15),
        "tshift_acceptance_level": shortest * random.uniform(0.2, 2),
        "tshift_reference": one_of(0.0, 0.0, 0.3 * shortest),
        "dlna_acceptance_level": random.uniform(0.3, 1.5),
        "dlna_reference": one_of(0.0, 0.0, 0.2),
        "cc_acceptance_level": random.uniform(0.5, 0.9),
        "s2n_limit": one_of(1.5, 3.0, 10.0),
        "c_0": random.uniform(0.5, 1.2),
        "c_1": random.uniform(0.5, 3),
        "c_2": one_of(0.0, 0.0, 0.3, 0.6),
        "c_3a": random.uniform(0.5, 4),
        "c_3b": random.uniform(1, 4),
        "c_4a": random.uniform(0.5, 4),
        "c_4b": random.uniform(1, 8),
        "resolution_strategy": one_of("interval_scheduling", "merge"),
        "window_signal_to_noise_type": one_of("amplitude", "energy"),
    }
    if random.uniform() < 0.5:
        config["noise_end_index"] = samples // 10
        config["signal_start_index"] = samples // 8
        config["check_global_data_quality"] = random.uniform() < 0.4
    place = None
    if number % 3 == 0:
        length = samples * about["dt"]
        degrees = random.uniform(0.1, 0.8) * length / 13  # so that P comes within the record
        config["min_surface_wave_velocity"] = random.uniform(1, 5)
        config["max_time_before_first_arrival"] = random.uniform(0, 5) * shortest
        place = {
            "event": (10.0, 20.0, 1000.0 * one_of(5.0, 33.0, 300.0)),
            "station": (10.0, 20.0 + min(degrees, 150.0)),
            "start": round(-random.uniform(0, 0.3) * length / about["dt"]) * about["dt"],
        }
    return config, place


def _selected(number):
    """Left, right, shift (samples), cc, dlnA of each window; None where Pyflex raises."""
    import obspy
    import pyflex

    observed, synthetic, about = pair(number)
    config, place = parameters(number, about)
    origin = obspy.UTCDateTime(2020, 1, 1)
    header = {"delta": about["dt"], "network": "XX", "station": "ONE", "channel": "BHZ"}
    known = {}
    if place:
        header["starttime"] = origin + place["start"]
        latitude, longitude, depth = place["event"]
        known["event"] = pyflex.Event(latitude, longitude, depth, origin)
        known["station"] = pyflex.Station(*place["station"])
    try:
        windows = pyflex.select_windows(
            obspy.Trace(observed, header), obspy.Trace(synthetic, header), pyflex.Config(**config),
            **known,
        )  # fmt: skip
    except Exception as error:
        print(number, repr(error), file=sys.stderr)
        return None
    rows = [
        [int(w.left), int(w.right), int(w.cc_shift), round(float(w.max_cc_value), 9),
         round(float(w.dlnA), 9)]
        for w in windows
    ]  # fmt: skip
    return sorted(rows)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    table = [_selected(number) for number in range(PAIRS)]
    print("[\n" + ",\n".join(json.dumps(rows) for rows in table) + "\n]")
