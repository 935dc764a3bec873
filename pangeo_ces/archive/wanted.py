"""What a request wants of which data centre: earthquakes, channels, and the files they make."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from obspy import UTCDateTime

from ..errors import InputError
from ..sources.base import Problem
from . import services
from .selection import (
    DAY,
    Channel,
    Piece,
    choose,
    days,
    matches,
    parse_sds_name,
    sds_name,
    within,
)
from .services import Event, Lines, Provider
from .web import NoAnswerError, Web

Wave = list[tuple[Provider, Lines]]
#: Gives the request that last asked for a file of the newest stage.
Made = Callable[[dict[str, Any]], dict[str, Any]]


class Wanted:
    """A request to data centres, worked out by asking them what they have.

    Parameters
    ----------
    web
        How to ask.
    request
        What is wanted, as in the manifest.
    given
        The earthquakes, if not an event service has them.
    previous
        Name -> file of the newest stage.
    memo
        Remembers what a call gave, under a key, in case of an interruption.

    Attributes
    ----------
    events
        The earthquakes; None where the request is not about any.
    problems
        What could not be found out.
    delivered
        Stations that are not wanted of further data centres.
    """

    def __init__(
        self,
        web: Web,
        request: dict[str, Any],
        given: list[Event] | None,
        previous: dict[str, Any],
        memo: Callable[[str, Callable[[], Any]], Any] = lambda key, call: call(),
    ) -> None:
        self.web, self.request, self.previous, self.memo = web, request, previous, memo
        self.start, self.end = (
            None if request[key] is None else UTCDateTime(request[key])
            for key in ("starttime", "endtime")
        )
        self.problems: list[Problem] = []
        self.delivered: set[tuple[str, str]] = set()
        self.events = self._choose_events(given) if "events" in request else None

    def _choose_events(self, given: list[Event] | None) -> list[Event]:
        chosen = []
        for event in self._query_events() if given is None else given:
            if event.time is None:
                self._problem(f"events/{event.name}.xml", "its origin has no time")
            elif (self.start or event.time) <= event.time <= (self.end or event.time):
                chosen.append(event)
        if not chosen:
            raise InputError("no event fits: check magnitude, region and time")
        return chosen

    def _query_events(self) -> list[Event]:
        query = dict(self.request["events"])
        for key in ("starttime", "endtime"):
            if self.request[key]:
                query.setdefault(key, self.request[key])
        url = services.provider(self.request["event_provider"]).url("event", format="xml", **query)

        def ask() -> list[list[str]]:
            found = services.query_events(self.web, url)
            return [[e.name, str(e.time or ""), e.quakeml.decode(), url] for e in found]

        return [
            Event(name, UTCDateTime(time) if time else None, quakeml.encode(), source)
            for name, time, quakeml, source in self.memo(f"events {url}", ask)
        ]

    def waves(self) -> Iterator[Wave]:
        """Data centres to be asked together, and what each is asked for."""
        lines = self._lines()
        for name in self.request["provider"]:
            if not services.is_router(name):
                yield [(services.provider(name), lines)]
                continue
            try:
                routes = self.memo(f"routes {name}", functools.partial(self._routes, name, lines))
            except NoAnswerError as error:
                self._problem(name, str(error))
                continue
            yield [(Provider(base), [tuple(line) for line in routed]) for base, routed in routes]

    def _lines(self) -> Lines:
        """The request as one line of a bulk request."""
        if self.events is None:
            start, end = self.start, self.end
        else:
            times = [event.time for event in self.events if event.time is not None]
            start = min(times) - self.request["before"]
            end = max(times) + self.request["after"]
        network, station, location, channel = (
            ",".join(code.strip() or "--" for code in self.request[key].split(","))
            for key in ("network", "station", "location", "channel")
        )
        return [(network, station, location, channel, services.stamp(start), services.stamp(end))]

    def _routes(self, name: str, lines: Lines) -> list[Any]:
        return [[c.base, routed] for c, routed in services.route(self.web, name, lines).items()]

    def listings(self, wave: Wave) -> Iterator[tuple[Provider, list[Channel]]]:
        """The channels each data centre has of those wanted."""
        for centre, lines in wave:
            digest = hashlib.sha256(services.bulk({}, lines).encode()).hexdigest()[:16]
            try:
                ask = functools.partial(self._list, centre, lines)
                rows = self.memo(f"channels {centre.base} {digest}", ask)
            except NoAnswerError as error:
                self._problem(centre.base, str(error))
                continue
            yield centre, [c for row in rows if self._wants(c := Channel(*row))]

    def _list(self, centre: Provider, lines: Lines) -> list[Any]:
        found = services.listing(self.web, centre, lines, self.request["domain"])
        return [dataclasses.astuple(channel) for channel in found]

    def _wants(self, channel: Channel) -> bool:
        names = ("network", "station", "location", "channel")
        return (
            channel.codes[:2] not in self.delivered
            and all(matches(getattr(channel, name), self.request[name]) for name in names)
            and within(channel, self.request["domain"])
        )

    def pieces(self, channels: list[Channel]) -> list[Piece]:
        """The files that the channels make."""
        found: dict[str, Piece] = {}
        if self.events is None:
            chosen = self._choose(c for c in channels if c.runs(self.start, self.end))
            for start, end in days(self.start, self.end):
                for channel in chosen:
                    if channel.runs(start, end):
                        name = sds_name(channel.codes, start)
                        piece = Piece(name, channel.codes, start, end)
                        found[name] = _with_what_there_is(piece, self.previous.get(name))
        for event in self.events or ():
            start, end = event.time - self.request["before"], event.time + self.request["after"]
            for channel in self._choose(c for c in channels if c.runs(start, end)):
                name = f"windows/{event.name}/{'.'.join(channel.codes)}.mseed"
                found[name] = Piece(name, channel.codes, start, end)
        return list(found.values())

    def _choose(self, channels: Iterable[Channel]) -> list[Channel]:
        return choose(
            channels, self.request["channel_priorities"], self.request["location_priorities"]
        )

    def unlisted(self, centre: Provider, listed: set[str], made_by: Made) -> list[Piece]:
        """Files of earlier stages within this request that are not listed any more."""
        found = []
        for name, file in self.previous.items():
            if name in listed or not file["source"].startswith(f"{centre.base}/dataselect/"):
                continue
            piece = services.read_source(name, file["source"])
            if piece is not None and self._covers(piece, made_by(file)):
                found.append(piece)
        return found

    def unlisted_stations(self, centre: Provider, made_by: Made) -> list[tuple[str, str]]:
        """Stations of the same request, which may not be listed any more."""
        sources = (
            file["source"]
            for file in self.previous.values()
            if file["source"].startswith(f"{centre.base}/station/")
            and made_by(file) == self.request
        )
        return [codes for source in sources if (codes := services.read_station_source(source))]

    def _covers(self, piece: Piece, made_by: dict[str, Any]) -> bool:
        if self.events is not None:
            return made_by == self.request
        times = dict.fromkeys(("starttime", "endtime"))
        same = made_by | times == self.request | times
        return same and bool(self.start <= piece.start and piece.end <= self.end)

    def _problem(self, file: str, reason: str) -> None:
        self.problems.append(Problem(file, "", "rejected", reason))


def _with_what_there_is(piece: Piece, old: dict[str, Any] | None) -> Piece:
    """A piece of a day, wide enough to replace the piece of that day that the archive has."""
    parsed = parse_sds_name(piece.name.rpartition("/")[2])
    if old is None or parsed is None:
        return piece
    day = parsed[1]
    had = services.read_source(piece.name, old["source"])
    start, end = (had.start, had.end) if had else (day, day + DAY - 1e-6)
    return dataclasses.replace(piece, start=min(piece.start, start), end=max(piece.end, end))
