"""Asking a web service until it answers, politely."""

from __future__ import annotations

import dataclasses
import email.utils
import random
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO, Any

import requests
import requests.auth

from .. import __version__
from ..errors import InputError
from .waveforms import GarbledError

#: Seconds before the second attempt; doubled for each further one, give or take a half.
FIRST_WAIT = 0.5
LONGEST_WAIT = 60.0
#: A server that asks for more patience than this many seconds is given up.
PATIENCE = 900.0
ATTEMPTS = 6
#: Requests that fail one after the other before a server is asked no more.
DEAD_AFTER = 5
#: Bytes of an answer kept in memory; longer ones go to disk.
IN_MEMORY = 1 << 25

_AGAIN = {408, 425, 429, *range(500, 600)} - {501, 505}
_FIXES = {
    400: "the service does not understand the request; check the codes and times",
    401: "the data are restricted; give user and password",
    403: "the data are restricted, or user and password are wrong; ask the data centre",
    413: "too much at once; ask for a shorter time or fewer channels",
}


class NoAnswerError(InputError):
    """A service refused a request, or did not answer it properly in several attempts."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclasses.dataclass
class Reply[T]:
    """What came: the value (None for "no data"), and what had been wrong before it did."""

    value: T | None
    complaints: tuple[str, ...] = ()


class Web:
    """HTTP with retries; safe to use from several threads.

    Parameters
    ----------
    user, password
        For services with restricted data (HTTP digest authentication).
    timeout
        Seconds without a byte after which a request is given up and tried again.
    """

    def __init__(
        self, user: str | None = None, password: str | None = None, timeout: float = 60.0
    ) -> None:
        self.timeout = timeout
        self.user = user
        self._auth = (user, password or "") if user is not None else None
        self._local = threading.local()
        self._failures: dict[str, int] = {}
        self._services: dict[str, bool] = {}

    def ask[T](
        self,
        url: str,
        understand: Callable[[IO[bytes]], T],
        *,
        body: str | None = None,
        secret: bool = False,
        text: bool = False,
    ) -> Reply[T]:
        """GET a URL, or POST a body to it, until there is an answer.

        Parameters
        ----------
        url, body
            What to ask.
        understand
            Makes the value of the bytes, an open file (on disk if there are many); raises
            :class:`GarbledError` if they are none.
        secret
            Send user and password if the server asks for them.
        text
            Let the server compress: for documents, not for files that must come as they are.

        Raises
        ------
        NoAnswerError
            If the server refuses, or gives no good answer in several attempts.
        """
        server = url.partition("/fdsnws/")[0]
        if self._failures.get(server, 0) >= DEAD_AFTER:
            raise NoAnswerError(f"{server} has stopped to answer: try again later")
        complaints: list[str] = []
        wait = reason = None
        for attempt in range(ATTEMPTS):
            if attempt:
                pause = FIRST_WAIT * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)  # noqa: S311
                time.sleep(max(min(pause, LONGEST_WAIT), wait or 0.0))
            wait = None
            try:
                status, headers, content = self._send(url, body, secret, text)
            except requests.RequestException as error:
                reason = _cause(error)
                continue
            if status == 200:
                try:
                    value = understand(content)
                except GarbledError as error:
                    reason = str(error)
                    complaints.append(reason)
                    continue
                self._failures[server] = 0
                return Reply(value, tuple(dict.fromkeys(complaints)))
            if status == 204 or (status == 404 and self._serves(url)):
                self._failures[server] = 0
                return Reply(None, tuple(dict.fromkeys(complaints)))
            reason = f"status {status}"
            if status not in _AGAIN:
                fix = _FIXES.get(status, "check the address")
                raise NoAnswerError(
                    f"{url} answers {status} {_text(content.read(300))}: {fix}", status
                )
            wait = _retry_after(headers)
            if wait is not None and wait > PATIENCE:
                raise NoAnswerError(f"{server} asks to wait {wait:.0f} s: try again later", status)
        self._failures[server] = self._failures.get(server, 0) + 1
        raise NoAnswerError(f"{url} gives no answer ({reason}, {ATTEMPTS} times): try again later")

    def _send(
        self, url: str, body: str | None, secret: bool, text: bool
    ) -> tuple[int, Mapping[str, str], IO[bytes]]:
        auth = requests.auth.HTTPDigestAuth(*self._auth) if secret and self._auth else None
        with self._session.request(
            "GET" if body is None else "POST", url, data=body, auth=auth, stream=True,
            headers={"Accept-Encoding": "gzip" if text else "identity"},
            timeout=(min(self.timeout, 20.0), self.timeout),
            allow_redirects=auth is None,  # never carry a password elsewhere
        ) as reply:  # fmt: skip
            content: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
            for block in reply.iter_content(1 << 16):
                content.write(block)
            content.seek(0)
            return reply.status_code, reply.headers, content

    @property
    def _session(self) -> Any:
        """Of this thread: requests' sessions are not made for sharing."""
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.headers["User-Agent"] = f"pangeo_ces/{__version__}"
        return self._local.session

    def _serves(self, url: str) -> bool:
        """Whether a 404 is the "no data" of a service that is there, not of a wrong address."""
        base, sign, _ = url.partition("/query")
        if not sign or "/fdsnws/" not in url:
            return False
        for _ in range(ATTEMPTS):
            if base in self._services:
                break
            try:
                status = self._send(f"{base}/version", None, False, True)[0]
            except requests.RequestException:
                continue
            if status not in _AGAIN:
                self._services[base] = status == 200
        return self._services.get(base, False)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds a server asks to wait for, written as a number or as a date."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _cause(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return "it took too long"
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return "the connection broke"
    return type(error).__name__


def _text(content: bytes) -> str:
    """The first words of an error message of a server."""
    words = " ".join(content.decode("utf-8", "replace").split())
    return f"({words[:100]})" if words and not words.startswith("<") else ""
