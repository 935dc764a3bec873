"""Time intervals as people write them: "2016-08-24/2016-09-01", "../2016", pairs of times."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ParameterError
from ..timeaxis import utc_ns

#: What open ends are: the first and the last nanosecond that there is.
FIRST, LAST = -(2**63) + 1, 2**63 - 1

_PERIOD = re.compile(r"(\d{4})(-\d\d)?(-\d\d)?")
_OPEN = ("", "..", None)

Interval = tuple[int, int]


def parse_interval(time: Any) -> Interval:
    """The first and the last nanosecond (UTC) of an interval.

    Parameters
    ----------
    time
        ``"START/END"``, a pair, or one day, month or year.  Ends are anything pandas reads as a
        time; ``..``, an empty text or ``None`` leave an end open.  A day, month or year without
        a time of day means all of it, as in pandas.

    Raises
    ------
    ParameterError
        When it is no interval, or ends before it starts.

    Examples
    --------
    >>> first, last = parse_interval("2016-08-24/2016-08-25")
    >>> (last + 1 - first) // 86_400_000_000_000
    2
    """
    if isinstance(time, str):
        start, slash, end = time.strip().partition("/")
        ends: tuple[Any, Any] = (start, end) if slash else (start, start)
    else:
        try:
            one, two = time
        except (TypeError, ValueError):
            one = two = time
        ends = (one, two)
    try:
        first = FIRST if _is_open(ends[0]) else _bounds(ends[0])[0]
        last = LAST if _is_open(ends[1]) else _bounds(ends[1])[1]
    except (TypeError, ValueError, OverflowError) as error:
        raise ParameterError(
            f"time {time!r} is no interval ({str(error).splitlines()[0]}): write it as "
            "2016-08-24/2016-09-01, with .. for an open end"
        ) from error
    if first > last:
        raise ParameterError(f"time {time!r} ends before it starts: exchange the two")
    return first, last


def _is_open(end: Any) -> bool:
    return end is None or (isinstance(end, str) and end.strip() in _OPEN)


def _bounds(end: Any) -> Interval:
    """The first and last nanosecond of one end."""
    match = _PERIOD.fullmatch(end.strip()) if isinstance(end, str) else None
    if match:
        period = pd.Period(match[0])  # of a day, a month or a year, as it is written
        return utc_ns(period.start_time), utc_ns((period + 1).start_time) - 1
    if isinstance(end, int | float | np.number):
        raise ValueError("a number is no time")
    exact = getattr(end, "_ns", None)  # ObsPy's UTCDateTime
    ns = utc_ns(end) if exact is None else int(exact)
    return ns, ns
