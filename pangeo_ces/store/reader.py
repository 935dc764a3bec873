"""Reading input files twice without decoding them twice."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable

from .. import config
from ..errors import FormatError
from ..sources import source_for
from ..sources.base import SourceFile, Trace

Report = Callable[[str, str], None]


class Reader:
    """Decoded traces of recently used files, at most ``ces.cache-bytes`` of them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], list[Trace]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, file: SourceFile, report: Report) -> tuple[list[Trace], str, int]:
        """Traces, sha256 and size of a file; its bytes are not kept.

        Raises
        ------
        FormatError
            When no source reads the file, or nothing in it can be used.
        """
        try:
            content = file.content
            checksum = hashlib.sha256(content).hexdigest()
            source = source_for(file)
            if source is None:
                raise FormatError("no known waveform format")
            traces = source.read(file, samples=True, report=report)
            self._keep((file.url, checksum), traces)
            return traces, checksum, len(content)
        except OSError as error:
            raise FormatError(f"cannot be read: {error}") from error
        finally:
            file.forget()

    def again(self, url: str, checksum: str) -> list[Trace]:
        """The traces of a file that was read before, as it was then."""
        with self._lock:
            if (url, checksum) in self._kept:
                self._kept.move_to_end((url, checksum))
                return self._kept[url, checksum]
        traces, now, _ = self.read(SourceFile(url), lambda trace, reason: None)
        if now != checksum:
            raise FormatError("changed while it was being converted: convert again")
        return traces

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()

    def _keep(self, key: tuple[str, str], traces: list[Trace]) -> None:
        limit = config.get_bytes("cache-bytes")
        with self._lock:
            self._kept[key] = traces
            size = sum(_size(kept) for kept in self._kept.values())
            while size > limit and len(self._kept) > 1:
                size -= _size(self._kept.popitem(last=False)[1])


def _size(traces: list[Trace]) -> int:
    return sum(trace.data.nbytes for trace in traces if trace.data is not None)


#: One for each process, shared by its threads.
READER = Reader()
