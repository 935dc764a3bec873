"""Make the sample store, and the catalogue of it that is kept here: ``python catalogs/build.py``.

The store is no part of the repository; the catalogue refers to it by its tag, ``v1``, since the ids
of snapshots differ each time a store is made.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pangeo_ces import samples
from pangeo_ces.catalog import Built, build_catalog
from pangeo_ces.store.versions import history, tag


def build(folder: Path) -> Built:
    """Make ``german_events.zarr`` in a folder, and the catalogue ``german_events`` beside it."""
    store = samples.german_events(str(folder / "german_events.zarr"))
    if not any("v1" in version["tags"] for version in history(store)):
        tag(store, "v1")
    return build_catalog(
        f"{store}@v1",
        folder / "german_events",
        title="Three German earthquakes, recorded and simulated",
        description="The sample data of pangeo_ces: five stations of the German Regional Seismic "
        "Network, and SPECFEM3D Cartesian. Make the store with: python catalogs/build.py",
    )


if __name__ == "__main__":
    done = build(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
    sys.stdout.write(f"{done.items} items in {done.url}\n")
