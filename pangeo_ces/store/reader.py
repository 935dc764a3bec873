"""Reading input files twice without decoding them twice."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

import numpy as np

from .. import config
from ..errors import FormatError
from ..sources import source_for
from ..sources.base import SourceFile, Trace

Problems = list[tuple[str, str]]


class Reader:
    """Decoded traces of recently used files, at most ``ces.cache-bytes`` of them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], tuple[list[Trace], Problems]] = OrderedDict()
        self._lock = threading.Lock()

    def read(
        self, file: SourceFile, checksum: str, stamp: str = "", once: bool = False
    ) -> tuple[list[Trace], Problems]:
        """Traces of a file and what is wrong with it, as it was when it had this checksum.

        Parameters
        ----------
        file, checksum
            A file and its SHA-256.
        stamp
            If that is still the file's, its bytes are not compared.
        once
            Nobody else needs it: it is not kept.

        Raises
        ------
        FormatError
            When it has changed, or nothing in it can be used.
        """
        key = (file.url, checksum)
        with self._lock:
            if key in self._kept and (file.piecewise or _is_whole(self._kept[key][0])):
                self._kept.move_to_end(key)
                return self._kept[key]
        problems: Problems = []
        try:
            same = bool(stamp) and file.stamp() == stamp
            if not same and hashlib.sha256(file.content).hexdigest() != checksum:
                raise FormatError("changed while it was being converted: convert again")
            source = source_for(file)
            if source is None:
                raise FormatError("no known waveform format")
            traces = source.read(
                file, samples=True, report=lambda trace, reason: problems.append((trace, reason))
            )
        except OSError as error:
            raise FormatError(f"cannot be read: {error}") from error
        finally:
            file.forget()
        if not once:
            self.keep(file.url, checksum, traces, problems)
        return traces, problems

    def keep(self, url: str, checksum: str, traces: list[Trace], problems: Problems) -> None:
        """Remember traces, and forget those not used for longest."""
        limit = config.get_bytes("cache-bytes")
        with self._lock:
            self._kept[url, checksum] = traces, problems
            size = sum(_size(kept) for kept, _ in self._kept.values())
            while size > limit and len(self._kept) > 1:
                size -= _size(self._kept.popitem(last=False)[1][0])

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()


def _is_whole(traces: list[Trace]) -> bool:
    return all(trace.data is None or isinstance(trace.data, np.ndarray) for trace in traces)


def _size(traces: list[Trace]) -> int:
    return sum(trace.data.nbytes for trace in traces if trace.data is not None)


#: One for each process, shared by its threads.
READER = Reader()
