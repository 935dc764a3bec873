"""The FDSN web services dataselect, station and event over a store or an archive, as ASGI."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import logging
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from ..errors import CesError
from .access import Access, Digest, read_users
from .events import names
from .holdings import Holdings, Progress, cache_folder, current_version, open_holdings
from .log import AccessLog
from .parameters import SERVICES, VERSION, Query, RequestError, read, read_post
from .timeline import Codes, select
from .wadl import error_text, index, usage, wadl

MINISEED = "application/vnd.fdsn.mseed"
_LOGGER = logging.getLogger("pangeo_ces.service")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:\d{1,5})?")


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one request may cost.

    Parameters
    ----------
    data
        Bytes of waveforms, before compression.
    body
        Bytes of a POST.
    lines
        Lines of a POST.
    seconds
        Until an answer is broken off.
    """

    data: int = 2 << 30
    body: int = 2 << 20
    lines: int = 20_000
    seconds: float = 600.0


def fdsn_app(
    target: str | os.PathLike[str],
    *,
    users: str | os.PathLike[str] | None = None,
    restricted: Iterable[str] = (),
    limits: Limits | None = None,
    follow: float | None = None,
    cache: str | os.PathLike[str] | None = None,
    as_json: bool = False,
    progress: Progress = iter,
) -> ASGIApp:
    """An ASGI application that serves a store or an archive as an FDSN data centre.

    Parameters
    ----------
    target
        Path or URL of a store or an archive, with ``@version`` if it is not to be the newest.
    users
        File of users made by :func:`pangeo_ces.service.access.add_user`; with it there is
        ``queryauth``.
    restricted
        Networks (``"XX"``) and stations (``"XX.ABC"``; ``*`` and ``?`` work) that need a password,
        besides those the station metadata call closed.
    limits
        What one request may cost.
    follow
        Seconds between looks for a newer version; without it the version opened now is served.
    cache
        Folder for the index of an archive's records.
    as_json
        Write the access log as JSON.
    progress
        Called with the objects of an archive that must be read for the index; gives them back.

    Raises
    ------
    StoreError
        If there is no such store or archive.
    ConfigError
        If the file of users cannot be used.
    """
    centre = _Centre(
        target,
        Access(read_users(users) if users is not None else {}, tuple(restricted)),
        limits or Limits(),
        Path(cache) if cache is not None else cache_folder(),
        progress,
    )

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(centre.follow(follow)) if follow else None
        try:
            yield
        finally:
            if task is not None:
                task.cancel()
            centre.close()

    both = ["GET", "POST"]
    app = Starlette(
        routes=[
            Route("/", centre.index),
            Route("/fdsnws/{service}/1/", centre.usage),
            Route("/fdsnws/{service}/1/version", centre.version),
            Route("/fdsnws/{service}/1/application.wadl", centre.wadl),
            Route("/fdsnws/event/1/{what:str}s", centre.names),
            Route("/fdsnws/{service}/1/query", centre.query, methods=both),
            Route("/fdsnws/dataselect/1/queryauth", centre.query_with_password, methods=both),
        ],
        exception_handlers={
            RequestError: _refuse,
            HTTPException: _refuse,
            CesError: _fail,
            Exception: _fail,
        },
        lifespan=lifespan,
    )
    return AccessLog(app, as_json)


class _Centre:
    """What is served and the rules of it; its methods answer requests."""

    def __init__(
        self,
        target: str | os.PathLike[str],
        access: Access,
        limits: Limits,
        cache: Path,
        progress: Progress,
    ):
        self._target, self._access, self._limits, self._cache = target, access, limits, cache
        self._digest = Digest(access.users)
        self._pool = ThreadPoolExecutor(max(8, os.cpu_count() or 1), "ces-serve")
        self._holdings = self._open(progress)

    def _open(self, progress: Progress = iter) -> Holdings:
        holdings = open_holdings(self._target, self._pool, self._cache, progress)
        for note in holdings.notes:
            _LOGGER.warning("not served: %s", note)
        return holdings

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def follow(self, seconds: float) -> None:
        """Open newer versions as they come; answers under way keep theirs."""
        while True:
            await asyncio.sleep(seconds)
            try:
                if await run_in_threadpool(current_version, self._target) != self._holdings.version:
                    self._holdings = await run_in_threadpool(self._open)
                    _LOGGER.info("now serving version %s", self._holdings.version)
            except Exception as error:  # out of reach for now, say: what is served stays
                _LOGGER.warning("cannot look for a newer version: %s", error)

    async def index(self, request: Request) -> Response:
        return PlainTextResponse(index(_origin(request)))

    async def usage(self, request: Request) -> Response:
        return PlainTextResponse(usage(_service(request)))

    async def version(self, request: Request) -> Response:
        _service(request)
        return PlainTextResponse(VERSION)

    async def wadl(self, request: Request) -> Response:
        service = _service(request)
        text = wadl(service, _base(request), bool(self._access.users))
        return Response(text, media_type="application/xml")

    async def names(self, request: Request) -> Response:
        values = {"catalog": [], "contributor": self._holdings.events.contributors}
        what = request.path_params["what"]
        if what not in values:
            raise HTTPException(404)
        return Response(names(what.title(), values[what]), media_type="application/xml")

    async def query(self, request: Request) -> Response:
        return await self._answer(request, _service(request), None)

    async def query_with_password(self, request: Request) -> Response:
        if not self._access.users:
            raise RequestError(404, "this server has no users: ask query instead")
        target = request.scope["raw_path"] + b"?" + request.scope["query_string"]
        user, stale = self._digest.check(
            request.headers.get("authorization", ""),
            request.method,
            target.decode("latin-1").removesuffix("?"),
        )
        if user is None:
            text = _text(request, 401, "user and password, please: this is queryauth")
            challenge = {"WWW-Authenticate": self._digest.challenge(stale=stale)}
            return PlainTextResponse(text, 401, challenge)
        return await self._answer(request, "dataselect", user)

    async def _answer(self, request: Request, service: str, user: str | None) -> Response:
        """Read the request, select, and send."""
        noted = request.scope["ces.log"]
        noted["user"] = user
        if request.method == "POST":
            if service == "event":
                raise RequestError(405, "event has no POST: use GET")
            body = await self._body(request)
            query = await run_in_threadpool(read_post, service, body, self._limits.lines)
            noted["parameters"] = _summary(query)
        else:
            text = request.scope["query_string"].decode("latin-1")
            query = read(service, _pairs(text))
        holdings, deadline = self._holdings, time.monotonic() + self._limits.seconds

        def permits(codes: Codes) -> bool:
            return self._access.permits(user, codes, codes in holdings.closed)

        def check() -> None:
            if time.monotonic() > deadline:
                raise RequestError(413, "this takes too long: ask for less time or fewer channels")

        if service == "dataselect":
            blocks = await run_in_threadpool(self._waveforms, holdings, query, permits, check)
            if blocks is None:
                return _nothing(request, query)
            headers = {"Content-Disposition": 'attachment; filename="fdsnws-dataselect.mseed"'}
            return StreamingResponse(blocks, media_type=MINISEED, headers=headers)
        if service == "station":
            content = await run_in_threadpool(
                holdings.stations.document, query, permits, holdings.recorded, check
            )
        else:
            content = await run_in_threadpool(holdings.events.document, query)
        if not content:
            return _nothing(request, query)
        media = "application/xml" if query["format"] == "xml" else "text/plain; charset=utf-8"
        return Response(content, media_type=media)

    def _waveforms(
        self,
        holdings: Holdings,
        query: Query,
        permits: Callable[[Codes], bool],
        check: Callable[[], None],
    ) -> Iterator[bytes] | None:
        """The answer as it is read; the first block is there already, so that errors show."""
        clips = select(holdings.waveforms, query, permits, self._limits.data, check)
        blocks = holdings.waveforms.blocks(clips)
        first = next(blocks, None)
        if first is None:
            return None

        def rest() -> Iterator[bytes]:
            for block in blocks:
                check()
                yield block

        return itertools.chain([first], rest())

    async def _body(self, request: Request) -> bytes:
        """The body of a POST, if it is not too large nor too slow."""
        body = bytearray()
        try:
            async with asyncio.timeout(60):
                async for part in request.stream():
                    body += part
                    if len(body) > self._limits.body:
                        raise RequestError(
                            413, f"more than {self._limits.body} bytes: ask in several parts"
                        )
        except TimeoutError:
            raise RequestError(408, "the request did not arrive within a minute") from None
        return bytes(body)


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            text, keep_blank_values=True, strict_parsing=bool(text), errors="strict",
            max_num_fields=200,
        )  # fmt: skip
    except (ValueError, UnicodeError):
        raise RequestError(400, "the query is not NAME=VALUE&NAME=VALUE") from None


def _service(request: Request) -> str:
    service = request.path_params["service"]
    if service not in SERVICES:
        raise HTTPException(404)
    return service


def _origin(request: Request) -> str:
    """Scheme and host as the client knows them."""
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host if _HOST.fullmatch(host) else 'localhost'}"


def _base(request: Request) -> str:
    match = re.match(r"/fdsnws/(dataselect|station|event)/", request.scope["path"])
    return f"{_origin(request)}/fdsnws/{match[1]}/1" if match else _origin(request)


def _text(request: Request, status: int, message: str) -> str:
    base = _base(request)
    service = base.split("/")[-2] if "/fdsnws/" in base else "dataselect"
    query = request.scope["query_string"][:2000].decode("ascii", "backslashreplace")
    asked = f"{_origin(request)}{ascii(request.scope['path'][:500])[1:-1]}?{query}".rstrip("?")
    return error_text(status, message, service, base, asked)


def _nothing(request: Request, query: Query) -> Response:
    if query["nodata"] == "404":
        return PlainTextResponse(_text(request, 404, "no data for this request"), 404)
    return Response(status_code=204)


def _summary(query: Query) -> str:
    """A POST in the log: what is not the default, and how many lines."""
    first = query.lines[0]
    codes = ".".join(",".join(c) for c in (first.network, first.station, first.location,
                                           first.channel))  # fmt: skip
    return f"POST of {len(query.lines)} lines, the first {codes[:200]}"


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, RequestError):
        status, message, headers = error.status, str(error), None
    else:
        assert isinstance(error, HTTPException)
        status, headers = error.status_code, error.headers
        message = "there is no such page here" if status == 404 else error.detail
    return PlainTextResponse(_text(request, status, message), status, headers)


async def _fail(request: Request, error: Exception) -> Response:
    request.scope["ces.log"]["error"] = f"{type(error).__name__}: {error}"
    message = "the data could not be read: tell the operator of this server"
    return PlainTextResponse(_text(request, 500, message), 500)
