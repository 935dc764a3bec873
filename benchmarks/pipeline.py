"""From files to a store and from a store to a table, 10 stations by 20 minutes."""

import shutil
import tempfile
from pathlib import Path

import pangeo_ces as ces
from benchmarks.data import convert, make
from pangeo_ces.workflow.rapid_assessment import rapid_assessment


class Pipeline:
    """Times and peak memory of the spine."""

    timeout = 300

    def setup_cache(self):
        folder = Path(tempfile.mkdtemp(prefix="ces-asv-"))
        make(folder, 10)
        convert(folder)
        return str(folder)

    def time_convert(self, folder):
        shutil.rmtree(Path(folder, "again"), ignore_errors=True)
        ces.convert(
            Path(folder, "observed"),
            Path(folder, "again"),
            stations=Path(folder, "observed.xml"),
            event=Path(folder, "event.xml"),
        )

    def time_open(self, folder):
        ces.open_store(f"{folder}/store.zarr")

    def time_rapid_assessment(self, folder):
        rapid_assessment(ces.open_store(f"{folder}/store.zarr"), freqmax=2.0).product.compute()

    def peakmem_rapid_assessment(self, folder):
        self.time_rapid_assessment(folder)

    def time_misfit(self, folder):
        tree = ces.open_store(f"{folder}/store.zarr")
        ces.misfit(tree, min_period=1.0, max_period=20.0, adjoint="waveform").product.compute()

    def peakmem_misfit(self, folder):
        self.time_misfit(folder)
