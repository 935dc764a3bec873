"""A rapid-assessment product from random numbers, around the Rhine."""

from __future__ import annotations

import numpy as np
import xarray as xr

EVENTS = {
    "ev1": ("Alsdorf", "2002-07-22T05:45:04", 50.89, 6.19, 14e3, 4.9),
    "ev2": ("Rambervillers", "2003-02-22T20:41:05", 48.34, 6.66, 12e3, 5.2),
    "ev3": ("Waldkirch", "2004-12-05T01:52:39", 48.11, 8.08, 10e3, 4.7),
}
KNOWN = ["GR.BFO..HH", "GR.TNS..HH", "GR.FUR..HH", "GR.BUG..HH", "GR.CLZ..HH"]
COMPONENTS = ["Z", "N", "E", "larger", "geometric_mean", "vector"]
UNITS = {"pga": "m s-2", "pgv": "m s-1", "pgd": "m", "psa": "m s-2"}
PLACES = [(48.33, 8.33), (50.22, 8.45), (48.16, 11.28), (51.44, 7.27), (51.84, 10.37)]


def make_product(
    events: int = 1,
    stations: int = 5,
    models: tuple[str, ...] = ("specfem",),
    observed: bool = True,
    seed: int = 0,
) -> xr.DataTree:
    rng = np.random.default_rng(seed)
    coords = _coordinates(events, stations, rng)
    km = coords["epicentral_distance"][1] / 1e3
    level = 0.5 * (km + 10)[:, :, None] ** -1.5 * rng.lognormal(0, 0.4, (*km.shape, 6))
    level[:, :, 3] = level[:, :, 1:3].max(axis=2)
    missing = rng.random(km.shape) < 0.12
    missing[0, 0] = False
    missing[-1, 1] = True
    seen = np.where(missing[:, :, None], np.nan, level)
    groups: dict[str, xr.Dataset] = {}
    if observed:
        groups["observed"] = _dataset(seen, coords)
    for model in models:
        synthetic = _dataset(level * rng.lognormal(0, 0.5, level.shape), coords)
        groups[f"synthetic/{model}"] = synthetic
        if observed:
            obs = groups["observed"]
            groups[f"difference/{model}"] = _compared(synthetic - obs, "difference of ", False)
            groups[f"relative_difference/{model}"] = _compared(
                (synthetic - obs) / obs, "relative difference of ", True
            )
            groups[f"log_ratio/{model}"] = _compared(np.log(synthetic / obs), "log ratio of ", True)
    return xr.DataTree.from_dict(groups)


def _coordinates(events: int, stations: int, rng: np.random.Generator) -> dict:
    ids = list(EVENTS)[:events]
    lat = np.array([p[0] for p in PLACES] + list(rng.uniform(47.5, 52, stations)))[:stations]
    lon = np.array([p[1] for p in PLACES] + list(rng.uniform(6, 12, stations)))[:stations]
    labels = (KNOWN + [f"XX.S{i:03d}.00.BH" for i in range(stations)])[:stations]
    event_lat = np.array([EVENTS[name][2] for name in ids])
    event_lon = np.array([EVENTS[name][3] for name in ids])
    north = (lat - event_lat[:, None]) * 111.2e3
    east = (lon - event_lon[:, None]) * 111.2e3 * np.cos(np.radians(lat))
    return {
        "event": ids,
        "event_name": ("event", [EVENTS[name][0] for name in ids]),
        "origin_time": ("event", np.array([EVENTS[n][1] for n in ids], "datetime64[ns]")),
        "event_latitude": ("event", event_lat),
        "event_longitude": ("event", event_lon),
        "event_depth": ("event", np.array([EVENTS[name][4] for name in ids])),
        "magnitude": ("event", np.array([EVENTS[name][5] for name in ids])),
        "station": labels,
        "latitude": ("station", lat),
        "longitude": ("station", lon),
        "elevation": ("station", rng.uniform(0, 900, stations)),
        "epicentral_distance": (("event", "station"), np.hypot(north, east)),
        "back_azimuth": (("event", "station"), np.degrees(np.arctan2(-east, -north)) % 360),
        "component": COMPONENTS,
        "period": np.array([0.3, 1.0, 3.0]),
        "damping": 0.05,
    }


def _dataset(level: np.ndarray, coords: dict) -> xr.Dataset:
    dims = ("event", "station", "component")
    shape = np.array([2.2, 1.4, 0.5])
    return xr.Dataset(
        {
            "pga": (dims, level, {"long_name": "peak ground acceleration", "units": "m s-2"}),
            "pgv": (dims, level / 15, {"long_name": "peak ground velocity", "units": "m s-1"}),
            "pgd": (dims, level / 150, {"long_name": "peak ground displacement", "units": "m"}),
            "psa": (
                (*dims, "period"),
                level[..., None] * shape,
                {"long_name": "pseudo-spectral acceleration", "units": "m s-2"},
            ),
        },
        coords,
    )


def _compared(ds: xr.Dataset, prefix: str, dimensionless: bool) -> xr.Dataset:
    for name in ds.data_vars:
        ds[name].attrs = {
            "long_name": prefix + str(name),
            "units": "1" if dimensionless else UNITS[str(name)],
        }
    return ds


def make_waveforms(tree: xr.DataTree, bins: int | None = None) -> dict[str, xr.Dataset]:
    """Wave packets at 3.2 km/s, peak = pgv; envelopes of `bins` time bins if given."""
    rng = np.random.default_rng(1)
    time = np.arange(-20, 220, 0.1)
    found = {}
    for path in ("observed", "synthetic/specfem"):
        if path.split("/")[0] not in tree.children:
            continue
        ds = tree[path].to_dataset()
        arrival = ds["epicentral_distance"].values[:, :, None, None] / 3200
        frequency = rng.uniform(0.05, 0.08, (*ds["pgv"].shape[:2], 3, 1))
        width = 10 + arrival / 15
        shifted = time - arrival
        packet = np.exp(-((shifted / width) ** 2)) * np.sin(2 * np.pi * frequency * shifted)
        traces = packet * ds["pgv"].values[:, :, :3, None]
        dims = ("event", "station", "component", "time")
        coords = {k: v for k, v in ds.coords.items() if k not in ("component", "period", "damping")}
        coords |= {"component": ["Z", "N", "E"], "time": time}
        attrs = {"long_name": "velocity", "units": "m s-1"}
        if bins is None:
            found[path] = xr.Dataset({"velocity": (dims, traces, attrs)}, coords)
            continue
        blocks = traces.reshape(*traces.shape[:3], bins, -1)
        coords["time"] = time.reshape(bins, -1).mean(axis=1)
        found[path] = xr.Dataset(
            {"minimum": (dims, blocks.min(-1)), "maximum": (dims, blocks.max(-1))},
            coords,
            {"quantity": "velocity", "units": "m s-1"},
        )
    return found
