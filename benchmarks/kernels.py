"""Kernels on 30 records of 60,000 samples: the work of one task."""

import numpy as np
from scipy.signal import iirfilter

from pangeo_ces.process import condition, response_division
from pangeo_ces.process import filter as filtering
from pangeo_ces.process._trends import delinear
from pangeo_ces.products import peak_motion
from pangeo_ces.products.sweep import Oscillator


class Kernels:
    """Time of one block of 10 stations by 3 components."""

    def setup(self):
        self.block = np.random.default_rng(0).standard_normal((1, 10, 3, 60_000)).astype("f4")
        self.level = np.broadcast_to([False, True, True], (1, 10, 3)).copy()
        self.sos = iirfilter(4, [0.004, 0.08], btype="bandpass", ftype="butter", output="sos")
        for name in dir(self):
            if name.startswith("time_"):
                getattr(self, name)()

    def time_detrend(self):
        condition._runwise(self.block, rule=delinear)

    def time_bandpass(self):
        filtering._sosfilt_runs(self.block, sos=self.sos, zerophase=False)

    def time_prefilter(self):
        response_division.shape(self.block, dt=0.02, pre_filt=(0.005, 0.01, 8.0, 10.0))

    def time_peaks_and_three_periods(self):
        peak_motion._peaks_of_block(
            self.block, self.level, order=2, dt=0.02,
            oscillators=tuple(Oscillator(period, 0.05) for period in (0.3, 1.0, 3.0)),
            spectrum="psa", combinations=peak_motion.COMBINATIONS, oversampling=None,
        )  # fmt: skip
