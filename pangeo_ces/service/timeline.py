"""Which runs of samples a request wants: found by channel and time, cut, and picked by length."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np

from .parameters import Patterns, Query, RequestError

#: Network, station, location, channel.
Codes = tuple[str, str, str, str]
#: Requests name times to the microsecond: a sample belongs to the one its time rounds to.
HALF_MICROSECOND = 500
_MOST_CLIPS = 500_000


@dataclasses.dataclass(frozen=True, slots=True)
class Clip:
    """A run and the span of time wanted of it (ns, both ends belong to it)."""

    run: int
    start: int
    end: int


class Timeline:
    """Runs of samples without gaps, sorted by channel and time.

    Parameters
    ----------
    channels
        Codes of each channel.
    channel
        (run,) number of the run's channel.
    start, end
        (run,) times of its first and last sample, ns since 1970.
    step
        (run,) sampling interval, ns.
    quality
        (run,) miniSEED's letter ``D``, ``R``, ``Q`` or ``M``, or empty.

    Attributes
    ----------
    order
        (run,) the place each run, as it is sorted here, had in the arrays that were given.
    """

    def __init__(
        self,
        channels: Sequence[Codes],
        channel: np.ndarray,
        start: np.ndarray,
        end: np.ndarray,
        step: np.ndarray,
        quality: np.ndarray,
    ):
        self.channels = list(channels)
        self.order = np.lexsort([end, start, channel])
        self.channel, self.start, self.end, self.step, self.quality = (
            column[self.order] for column in (channel, start, end, step, quality)
        )
        self._first = np.searchsorted(self.channel, np.arange(len(self.channels) + 1))
        # The latest end so far lets a search by time skip all earlier runs at once.
        self._reached = self.end.copy()
        for begin, stop in zip(self._first[:-1], self._first[1:], strict=True):
            np.maximum.accumulate(self.end[begin:stop], out=self._reached[begin:stop])
        self._number = {codes: number for number, codes in enumerate(self.channels)}

    def match(self, wanted: Sequence[Patterns]) -> list[int]:
        """Numbers of the channels whose four codes fit the patterns."""
        if all(len(codes) == 1 and not set(codes[0]) & set("*?") for codes in wanted):
            exact: Codes = (wanted[0][0], wanted[1][0], wanted[2][0], wanted[3][0])
            return [self._number[exact]] if exact in self._number else []
        return [number for number, codes in enumerate(self.channels) if matches(wanted, codes)]

    def overlapping(self, channel: int, start: int, end: int) -> Iterator[int]:
        """Runs of a channel with any sample from ``start`` to ``end`` (ns), roughly."""
        begin, stop = self._first[channel], self._first[channel + 1]
        first = begin + np.searchsorted(self._reached[begin:stop], start - HALF_MICROSECOND)
        last = begin + np.searchsorted(self.start[begin:stop], end + HALF_MICROSECOND, "right")
        for run in range(first, last):
            if self.end[run] >= start - HALF_MICROSECOND:
                yield run


def matches(wanted: Sequence[Patterns], codes: Sequence[str]) -> bool:
    """Whether each code fits one of its patterns."""
    return all(_regex(p).fullmatch(code) for p, code in zip(wanted, codes, strict=True))


@lru_cache(maxsize=4096)
def _regex(codes: Patterns) -> re.Pattern[str]:
    return re.compile(
        "|".join(re.escape(c).replace(r"\*", ".*").replace(r"\?", ".") for c in codes)
    )


class Waveforms(Protocol):
    """Where samples come from: a store or an archive."""

    timeline: Timeline

    def size(self, clip: Clip) -> int:
        """Bytes that a clip costs at most; 0 where no sample of the run lies in it."""
        ...

    def blocks(self, clips: Sequence[Clip]) -> Iterator[bytes]:
        """The clips as miniSEED, some kilobytes to megabytes at a time."""
        ...


def select(
    waveforms: Waveforms,
    query: Query,
    permitted: Callable[[Codes], bool],
    most_bytes: int,
    check: Callable[[], None],
) -> list[Clip]:
    """What a request wants of the waveforms, in order of channel and time.

    Parameters
    ----------
    permitted
        Whether the client may have a channel; others are left out.
    most_bytes
        Largest sum of the sizes of the clips.
    check
        Called now and then; raises when time is up.

    Raises
    ------
    RequestError
        403 when all that is wanted is restricted, 413 when it is too much.
    """
    timeline, quality = waveforms.timeline, query["quality"]
    spans: dict[int, list[tuple[int, int]]] = {}
    matched: dict[tuple[Patterns, ...], list[int]] = {}
    refused = count = 0
    for line in query.lines:
        check()
        codes = (line.network, line.station, line.location, line.channel)
        if codes not in matched:
            matched[codes] = timeline.match(codes)
        for channel in matched[codes]:
            runs = timeline.overlapping(channel, line.start, line.end)
            if not permitted(timeline.channels[channel]):
                refused += any(True for _ in runs)
                continue
            for run in runs:
                if quality in ("B", timeline.quality[run]):
                    spans.setdefault(run, []).append((line.start, line.end))
                    count += 1
            if count > _MOST_CLIPS:
                raise RequestError(413, "too many pieces: ask for less time or fewer channels")
    clips, total = [], 0
    for run in sorted(spans):
        for start, end in _union(spans[run]):
            clip = Clip(run, start, end)
            if size := waveforms.size(clip):
                clips.append(clip)
                total += size
        if total > most_bytes:
            raise RequestError(
                413, f"more than {most_bytes} bytes: ask for less time or fewer channels"
            )
    if refused and not clips:
        raise RequestError(403, "these data are restricted: ask through queryauth, with a password")
    return _long_enough(timeline, clips, query["minimumlength"], query["longestonly"])


def _union(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans that share no moment, and all of them together."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1] + 2 * HALF_MICROSECOND:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


@dataclasses.dataclass
class _Segment:
    channel: int
    start: int
    end: int
    clips: list[Clip]


def _long_enough(
    timeline: Timeline, clips: list[Clip], seconds: float, longest: bool
) -> list[Clip]:
    """The clips of segments of at least ``seconds``, or only of each channel's longest."""
    if not (seconds or longest):
        return clips
    segments: list[_Segment] = []
    for clip in clips:
        channel = int(timeline.channel[clip.run])
        start = max(clip.start, int(timeline.start[clip.run]))
        end = min(clip.end, int(timeline.end[clip.run]))
        last = segments[-1] if segments else None
        if (
            last is not None
            and last.channel == channel
            and start <= last.end + 1.5 * timeline.step[clip.run]
        ):
            last.clips.append(clip)
            last.end = max(last.end, end)
        else:
            segments.append(_Segment(channel, start, end, [clip]))
    segments = [s for s in segments if s.end - s.start >= seconds * 1e9]
    if longest:
        best: dict[int, _Segment] = {}
        for segment in segments:
            other = best.setdefault(segment.channel, segment)
            if segment.end - segment.start > other.end - other.start:
                best[segment.channel] = segment
        segments = list(best.values())
    return [clip for segment in segments for clip in segment.clips]
