"""Decoded chunks of a store, kept for a while and shared by all requests."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import zarr

Key = tuple[str, tuple[int, ...]]


class Chunks:
    """Chunks by array and place; two threads that want the same one wait for one reading.

    Parameters
    ----------
    limit
        Bytes of chunks kept.
    """

    def __init__(self, limit: int):
        self._limit = limit
        self._kept: OrderedDict[Key, Future[np.ndarray]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def line(self, array: zarr.Array[Any], place: tuple[int, ...]) -> np.ndarray:
        """Samples along the last axis, from ``place`` to the end of its chunk; do not write."""
        number = tuple(n // length for n, length in zip(place, array.chunks, strict=True))
        inside = tuple(n % length for n, length in zip(place, array.chunks, strict=True))
        line: np.ndarray = self._chunk(array, number)[inside[:-1]]
        return line[inside[-1] :]

    def _chunk(self, array: zarr.Array[Any], number: tuple[int, ...]) -> np.ndarray:
        key = (array.path, number)
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            else:
                mine = self._kept[key] = Future()
        if found is not None:
            return found.result()
        region = tuple(
            slice(n * length, (n + 1) * length)
            for n, length in zip(number, array.chunks, strict=True)
        )
        try:
            block = np.asarray(array[region])
        except BaseException as error:
            with self._lock:
                del self._kept[key]
            mine.set_exception(error)
            raise
        mine.set_result(block)
        with self._lock:
            self._bytes += block.nbytes
            while self._bytes > self._limit and next(iter(self._kept.values())).done():
                self._bytes -= self._kept.popitem(last=False)[1].result().nbytes
        return block


def ahead[Item, Result](
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], count: int
) -> Iterator[Result]:
    """Results in order, with at most ``count`` of them computed before they are asked for."""
    running: deque[Future[Result]] = deque()
    try:
        for item in items:
            running.append(pool.submit(function, item))
            if len(running) >= count:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for future in running:
            future.cancel()
