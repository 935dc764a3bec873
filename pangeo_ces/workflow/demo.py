"""The demonstration: sample files to maps, with nothing but what the package carries."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from .. import samples
from ..compute import connect
from .run import Outcome, run_rapid_assessment


def demo(
    output: str | os.PathLike[str] = "demo-output",
    *,
    cluster: str | None = None,
    progress: bool = False,
    say: Callable[[str], Any] = lambda text: None,
) -> Outcome:
    """Convert and assess three German earthquakes, recorded and simulated.

    Parameters
    ----------
    output
        Folder for the store and the results.
    cluster
        Where to compute.
    progress
        Show progress bars.
    say
        Called with a line for people at each step.
    """
    folder = os.fspath(output).rstrip("/")
    store = f"{folder}/german_events.zarr"
    with connect(cluster):
        say(f"1. records (miniSEED) and simulations (SPECFEM3D) into one Zarr store: {store}")
        samples.german_events(store)
        say("2. one lazy graph: response off, 0.03-0.08 Hz, peak motion of both, differences")
        outcome = run_rapid_assessment(store, folder, progress=progress, **samples.GERMAN_EVENTS)
    for model, fit in outcome.fits.items():
        cc = float(fit["cc_best"].median())
        say(f"3. {model}: median correlation {cc:.2f} at the best shift; look at waveforms.png")
    return outcome
