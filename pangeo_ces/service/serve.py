"""Running the data centre until it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from types import FrameType

import uvicorn

from ..errors import ConfigError
from .app import Limits, fdsn_app
from .holdings import Progress


def serve_fdsn(
    target: str | os.PathLike[str],
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    users: str | os.PathLike[str] | None = None,
    restricted: Iterable[str] = (),
    limits: Limits | None = None,
    follow: float | None = None,
    cache: str | os.PathLike[str] | None = None,
    as_json: bool = False,
    progress: Progress = iter,
    started: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve a store or an archive as an FDSN data centre, until Ctrl-C or SIGTERM.

    Parameters
    ----------
    target
        Path or URL of a store or an archive, with ``@version`` if it is not to be the newest.
    host, port
        Where to listen; port 0 takes a free one.  ``0.0.0.0`` lets everyone on the network in.
    users, restricted, limits, follow, cache, as_json, progress
        As :func:`pangeo_ces.service.app.fdsn_app` has them.
    started
        Called with the URL when the server listens.

    Raises
    ------
    StoreError
        If there is no such store or archive.
    ConfigError
        If the address cannot be listened on, or the file of users cannot be used.
    """
    _log_to_stderr()
    app = fdsn_app(
        target, users=users, restricted=restricted, limits=limits, follow=follow, cache=cache,
        as_json=as_json, progress=progress,
    )  # fmt: skip
    listening = _listen(host, port)
    name = f"[{host}]" if ":" in host else host
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, limit_concurrency=200,
        timeout_graceful_shutdown=5, timeout_keep_alive=15, ws="none",
    )  # fmt: skip
    with listening, _quiet_signals():
        started(f"http://{name}:{listening.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"cannot listen on {host}:{port} ({error}): choose another") from error


class _quiet_signals:  # noqa: N801
    """uvicorn raises the signal that stopped it once more when all is closed: let it pass."""

    def __enter__(self) -> None:
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, _pass)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _pass(number: int, frame: FrameType | None) -> None:
    """Nothing is left to do."""


def _log_to_stderr() -> None:
    for name in ("pangeo_ces.access", "pangeo_ces.service"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.StreamHandler(sys.stderr))
            logger.setLevel(logging.INFO)
            logger.propagate = False
