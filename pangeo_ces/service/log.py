"""The access log: one line for each request, when its answer is out."""

from __future__ import annotations

import datetime
import json
import logging
import time
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import CesError

LOGGER = logging.getLogger("pangeo_ces.access")


class AccessLog:
    """Wraps an application and logs what it answers.

    The line has time (UTC), client, user, method, path, parameters, status, bytes, whether the
    answer went out whole, seconds and what went wrong; the application leaves user, parameters and
    error under ``scope["ces.log"]``.

    Parameters
    ----------
    app
        The application.
    as_json
        Lines of JSON instead of text.
    """

    def __init__(self, app: ASGIApp, as_json: bool = False):
        self._app = app
        self._as_json = as_json

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer and log."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status, size, whole = time.perf_counter(), 500, 0, False

        async def count(message: Message) -> None:
            nonlocal status, size, whole
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                size += len(message.get("body", b""))
                whole = not message.get("more_body", False)
            await send(message)

        noted: dict[str, Any] = scope.setdefault("ces.log", {})
        try:
            await self._app(scope, receive, count)
        except ClientDisconnect:
            pass  # nobody is there to be told
        except Exception as error:
            # The server breaks the connection off, so that no client takes a part for the whole.
            noted["error"] = f"{type(error).__name__}: {error}"
            if not isinstance(error, CesError):
                LOGGER.error("unexpected", exc_info=error)
        finally:
            query = scope.get("query_string", b"").decode("ascii", "backslashreplace")
            row = {
                "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
                "client": (scope.get("client") or ("-",))[0],
                "user": noted.get("user"),
                "method": scope["method"],
                "path": scope["path"],
                "parameters": noted.get("parameters", query),
                "status": status,
                "bytes": size,
                "whole": whole,
                "seconds": round(time.perf_counter() - begin, 4),
                "error": noted.get("error"),
            }
            LOGGER.info(json.dumps(row) if self._as_json else _line(row))


def _line(row: dict[str, Any]) -> str:
    """Fields with blanks between; what a client wrote is quoted, so that it stays on its line."""
    wrote = [json.dumps(f"{row['method']} {row['path']}"), json.dumps(row["parameters"])]
    broken = "" if row["whole"] else " broken off"
    broken += f" {json.dumps(row['error'])}" if row["error"] else ""
    return (
        f"{row['time']} {row['client']} {row['user'] or '-'} {' '.join(wrote)} "
        f"{row['status']} {row['bytes']} B {row['seconds']} s{broken}"
    )
