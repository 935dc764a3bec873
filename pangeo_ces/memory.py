"""Memory that is used again: pages never touched before cost more than what fills them."""

from __future__ import annotations

import sys
import threading

import numpy as np

_HELD = threading.local()


def scratch(name: str, size: int, dtype: np.dtype) -> np.ndarray:
    """Undefined values in memory of this thread: that of the last call with the same ``name``,
    unless it is too small or somebody still holds a part of it.

    >>> first = scratch("example", 8, np.dtype("int32"))
    >>> second = scratch("example", 4, np.dtype("int32"))
    >>> np.shares_memory(first, second)
    False
    >>> del first, second
    >>> scratch("example", 2, np.dtype("int32")).size
    2
    """
    wanted = size * np.dtype(dtype).itemsize
    held = getattr(_HELD, name, None)
    if held is None or held.nbytes < wanted or sys.getrefcount(held) > _FREE:
        held = np.empty(wanted, "uint8")
        setattr(_HELD, name, held)
    return held[:wanted].view(dtype)


def _references_if_free() -> int:
    """What ``getrefcount`` says where nobody else holds an array, which depends on Python."""
    _HELD.probe = np.empty(1, "uint8")
    held = getattr(_HELD, "probe", None)
    return sys.getrefcount(held)


_FREE = _references_if_free()
