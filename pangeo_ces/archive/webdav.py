"""WebDAV as an fsspec file system that is named by URL alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from webdav4.fsspec import WebdavFileSystem


class WebDAV(WebdavFileSystem):
    """``webdav://host/path`` (over http) and ``webdavs://host/path`` (over https).

    Parameters
    ----------
    host
        Host and port.
    secure
        Whether to use https.
    auth
        User and password; else those of the URL, of ``CES_WEBDAV_USER`` and
        ``CES_WEBDAV_PASSWORD``, or of fsspec's configuration.
    """

    protocol = ("webdav", "webdavs")

    def __init__(
        self, host: str, secure: bool = False, auth: Sequence[str] | None = None, **options: Any
    ) -> None:
        if auth is None and "CES_WEBDAV_USER" in os.environ:
            auth = (os.environ["CES_WEBDAV_USER"], os.environ.get("CES_WEBDAV_PASSWORD", ""))
        self._site = f"{'webdavs' if secure else 'webdav'}://{host}"
        base = f"{'https' if secure else 'http'}://{host}"
        super().__init__(base, auth=tuple(auth) if auth else None, **options)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(item) for item in path]
        text = os.fspath(path)
        if text.startswith(("webdav://", "webdavs://")):
            text = text.partition("://")[2].partition("/")[2]
        return text.strip("/")

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        parts = urlsplit(path)
        found: dict[str, Any] = {
            "host": parts.netloc.rpartition("@")[2],
            "secure": parts.scheme == "webdavs",
        }
        if parts.username:
            found["auth"] = (unquote(parts.username), unquote(parts.password or ""))
        return found

    def unstrip_protocol(self, name: str) -> str:
        return f"{self._site}/{self._strip_protocol(name)}"
