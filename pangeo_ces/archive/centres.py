"""Getting what is wanted from data centres: in requests of a handy size, a few at a time."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from ..errors import InputError
from ..sources.base import Problem
from . import services
from .selection import Channel, Piece
from .services import Provider
from .stage import Staging
from .wanted import Wanted
from .waveforms import by_channel, fault
from .web import NoAnswerError

#: Channels and bytes of one request.
BATCH, BATCH_BYTES = 20, 25e6


class Centres:
    """Data centres that are being asked.

    Parameters
    ----------
    wanted
        What they are asked for.
    staging
        Where to keep what comes.
    threads
        Requests to one data centre at the same time.
    progress
        Show a bar for each data centre.

    Attributes
    ----------
    problems, failed
        What could not be had, and the names of those files.
    """

    def __init__(self, wanted: Wanted, staging: Staging, threads: int, progress: bool) -> None:
        self.wanted, self.staging = wanted, staging
        self.web, self.request = wanted.web, wanted.request
        self.threads, self.progress = threads, progress
        self.problems: list[Problem] = []
        self.failed: set[str] = set()

    def ask(self) -> None:
        """Get everything that an interrupted run has not got.

        Raises
        ------
        InputError
            If there is nothing to ask for.
        """
        for event in self.wanted.events or ():
            name = f"events/{event.name}.xml"
            if not self.staging.done(name):
                self.staging.keep(name, name, "events", event.source or name, event.quakeml)
        fits = False
        for wave in self.wanted.waves():
            work = [
                (centre, self._jobs(centre, channels))
                for centre, channels in self.wanted.listings(wave)
            ]
            fits |= any(jobs is not None for _, jobs in work)
            self._do([(centre, jobs) for centre, jobs in work if jobs])
            self.wanted.delivered |= self._delivered([centre for centre, _ in wave])
        self.problems += self.wanted.problems
        if not fits:
            reasons = "; ".join(problem.reason for problem in self.problems)
            raise InputError(reasons or "no station fits: check the codes, time and domain")

    def _jobs(self, centre: Provider, channels: list[Channel]) -> list[Callable[[], None]] | None:
        """What is left to ask of a data centre; None if nothing there is wanted."""
        made_by = self.staging.request_of
        pieces = self.wanted.pieces(channels)
        pieces += self.wanted.unlisted(centre, {piece.name for piece in pieces}, made_by)
        stations = {*stations_of(channels), *self.wanted.unlisted_stations(centre, made_by)}
        if not pieces and not stations:
            return None
        rates = {channel.codes: channel.rate for channel in channels}
        left = [piece for piece in pieces if not self.staging.done(centre.source(piece))]
        jobs: list[Callable[[], None]] = [
            functools.partial(self._get, centre, batch)
            for batch in services.batches(left, rates, BATCH, BATCH_BYTES)
        ]
        return jobs + [functools.partial(self._get_station, centre, *s) for s in sorted(stations)]

    def _delivered(self, centres: Iterable[Provider]) -> set[tuple[str, str]]:
        """Stations of which some data centres have delivered something."""
        bases = tuple(f"{centre.base}/" for centre in centres)
        files = (row["file"] for row in self.staging.journal.rows.values() if row.get("file"))
        found = (
            services.read_source(file["name"], file["source"])
            for file in files
            if file["source"].startswith(bases)
        )
        return {piece.codes[:2] for piece in found if piece is not None}

    def _do(self, work: list[tuple[Provider, list[Callable[[], None]]]]) -> None:
        """All jobs, a few at a time at each data centre; the first error of ours ends them."""
        from rich.progress import Progress

        with Progress(disable=not self.progress) as bar, contextlib.ExitStack() as stack:
            futures = []
            for centre, jobs in work:
                pool = concurrent.futures.ThreadPoolExecutor(self.threads)
                stack.callback(pool.shutdown, cancel_futures=True)
                task = bar.add_task(urlsplit(centre.base).netloc, total=len(jobs))
                for job in jobs:
                    future = pool.submit(job)
                    future.add_done_callback(functools.partial(_advance, bar, task))
                    futures.append(future)
            for future in concurrent.futures.as_completed(futures):
                future.result()

    def _get(self, centre: Provider, batch: list[Piece], sure: bool = False) -> None:
        """Some pieces in one request; where that fails, in two.

        "No data" about what the archive has is believed when it is said twice.
        """
        for piece in batch:
            self.staging.asking(centre.source(piece))
        url = centre.url("dataselect", "query" if self.web.user is None else "queryauth")
        wanted = [piece.codes for piece in batch]
        try:
            reply = self.web.ask(
                url,
                lambda content: by_channel(content.read(), wanted),
                body=services.bulk({}, [services.line(piece) for piece in batch]),
                secret=True,
            )
        except NoAnswerError as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                self._get(centre, batch[:middle])
                self._get(centre, batch[middle:])
            else:
                self._problem(batch[0].name, ".".join(wanted[0]), str(error))
            return
        told = [Problem(url, "", "warning", f"{c}: asked again") for c in reply.complaints]
        found = reply.value or {}
        for piece in batch:
            if piece.codes in found:
                self._keep(piece, centre.source(piece), found[piece.codes], told)
                told = []
        missing = [piece for piece in batch if piece.codes not in found]
        if found and missing:  # the reply may have been cut short between two records
            self._get(centre, missing)
            return
        known = [] if sure else [p for p in missing if p.name in self.staging.previous]
        for piece in missing:
            if piece not in known:
                self.staging.absent(centre.source(piece), piece.name, told)
                told = []
        if known:
            self._get(centre, known, sure=True)

    def _keep(self, piece: Piece, source: str, content: bytes, told: list[Problem]) -> None:
        reason = fault(
            content,
            piece.end - piece.start,
            minimum_length=self.request["minimum_length"],
            reject_gaps=self.request["reject_gaps"],
        )
        if reason is None:
            self.staging.keep(source, piece.name, "waveform", source, content, told)
        else:
            problem = Problem(piece.name, ".".join(piece.codes), "rejected", reason)
            self.staging.refuse(source, piece.name, problem)

    def _get_station(
        self, centre: Provider, network: str, station: str, sure: bool = False
    ) -> None:
        name, url = (
            f"stations/{network}.{station}.xml",
            services.station_url(centre, network, station),
        )
        if self.staging.done(url):
            return
        self.staging.asking(url)
        try:
            reply = self.web.ask(
                url, lambda content: services.read_stationxml(content.read()), text=True
            )
        except NoAnswerError as error:
            self._problem(name, f"{network}.{station}", str(error))
            return
        told = [Problem(url, "", "warning", f"{c}: asked again") for c in reply.complaints]
        if reply.value is None and name in self.staging.previous and not sure:
            self._get_station(centre, network, station, sure=True)
        elif reply.value is None:
            self.staging.absent(url, name, told)
        else:
            self.staging.keep(url, name, "stations", url, reply.value, told)

    def _problem(self, file: str, trace: str, reason: str) -> None:
        self.problems.append(Problem(file, trace, "rejected", reason))
        self.failed.add(file)


def _advance(bar: Any, task: Any, _: concurrent.futures.Future[None]) -> None:
    bar.advance(task)


def stations_of(channels: Iterable[Channel]) -> set[tuple[str, str]]:
    """Networks and stations of some channels."""
    return {channel.codes[:2] for channel in channels}
