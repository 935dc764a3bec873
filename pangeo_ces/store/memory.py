"""Memory that is used again: pages never touched before cost more than what fills them."""

from __future__ import annotations

import threading

import numpy as np

_HELD = threading.local()


def scratch(name: str, size: int, dtype: np.dtype) -> np.ndarray:
    """Undefined values in memory of this thread: the same for the same ``name`` each time."""
    wanted = size * np.dtype(dtype).itemsize
    held = getattr(_HELD, name, None)
    if held is None or held.nbytes < wanted:
        held = np.empty(wanted, "uint8")
        setattr(_HELD, name, held)
    return held[:wanted].view(dtype)
