"""Stage in a process of its own, which a test can kill: ``killed.py ARCHIVE URL [PAUSE]``."""

from __future__ import annotations

import sys
import time

from obspy import UTCDateTime

from pangeo_ces.archive import stage
from pangeo_ces.archive.fdsn import stage_fdsn

archive, url, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])
keep = stage.Staging._keep


def slowly(self, stream):
    """Time for a kill to hit anywhere: before, within and after each file."""
    found = keep(self, stream)
    time.sleep(pause)
    return found


stage.Staging._keep = slowly
start = UTCDateTime(2020, 1, 1)
done = stage_fdsn(archive, url, starttime=start, endtime=start + 2 * 86400)
print(done.stage)
