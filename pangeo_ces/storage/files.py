"""Files of object stores by fsspec, with the options of their place."""

from __future__ import annotations

import os
from typing import Any

import fsspec

from ..errors import ConfigError
from .settings import Place, connection_string, place

#: Seconds to wait for a connection and for the first byte of an answer.  Where a server takes
#: connections and never answers, s3fs by default waits seven minutes and Icechunk without end.
CONNECT_SECONDS, ANSWER_SECONDS = 5, 15
#: How often s3fs's client makes a request: with its pauses, 15 s for a server that restarts.
_ATTEMPTS = 6
#: How often s3fs begins anew, which it does for broken answers and not for refused connections.
_ROUNDS = 2


def options(url: str | os.PathLike[str], **more: Any) -> dict[str, dict[str, Any]]:
    """fsspec's options for a URL, chained or not, by protocol.

    Parameters
    ----------
    url
        As fsspec takes it.
    more
        ``anonymous`` or ``endpoint``, where they are given with the URL.
    """
    text = os.fspath(url)
    if "://" not in text:
        return {}
    found = {}
    for part in text.split("::"):
        if there := place(part, **more):
            # A file that another process wrote is there, whatever was listed before: s3fs looks
            # into its listings even when it is asked to read.
            fresh = {"use_listings_cache": False}
            found[part.partition("://")[0]] = _OPTIONS_OF[there.family](there) | fresh
    return found


def _s3_options(there: Place) -> dict[str, Any]:
    found: dict[str, Any] = {"config_kwargs": {
        "connect_timeout": CONNECT_SECONDS, "read_timeout": ANSWER_SECONDS,
        "retries": {"mode": "standard", "total_max_attempts": _ATTEMPTS},
    }}  # fmt: skip
    if there.anonymous is not None:
        found["anon"] = there.anonymous
    if there.endpoint:
        found["endpoint_url"] = there.endpoint
    if there.region:
        found["client_kwargs"] = {"region_name": there.region}
    if there.profile:
        found["profile"] = there.profile
    return found


def _gs_options(there: Place) -> dict[str, Any]:
    found: dict[str, Any] = {"endpoint_url": there.endpoint} if there.endpoint else {}
    return found | ({"token": "anon"} if there.anonymous else {})


def _az_options(there: Place) -> dict[str, Any]:
    found: dict[str, Any] = {} if there.anonymous is None else {"anon": there.anonymous}
    if there.account:
        found["account_name"] = there.account
    known = connection_string().get("accountname")
    if there.anonymous:  # the environment's connection string would sign; this one has no key
        own = there.endpoint or f"https://{there.account}.blob.core.windows.net"
        found["connection_string"] = f"AccountName={there.account};BlobEndpoint={own}"
    elif known and known != there.account:
        raise ConfigError(
            f"AZURE_STORAGE_CONNECTION_STRING is of the account {known}, and {there.account} is "
            "asked for: unset it, and set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN"
        )
    elif there.endpoint and not known:
        scheme, _, host = there.endpoint.partition("://")
        if scheme == "http":
            raise ConfigError(
                f"{there.endpoint}: files on Azure go by https unless "
                "AZURE_STORAGE_CONNECTION_STRING says otherwise: set that for an emulator"
            )
        found["account_host"] = host
    return found


_OPTIONS_OF = {"s3": _s3_options, "gs": _gs_options, "az": _az_options}


def file_system(
    url: str | os.PathLike[str], *, asynchronous: bool = False, **more: Any
) -> tuple[Any, str]:
    """fsspec's file system and path of a URL, with the options of its place."""
    text = os.fspath(url)
    found = options(text, **more)
    if asynchronous:
        found.setdefault(text.partition("://")[0], {})["asynchronous"] = True
    fs, path = fsspec.core.url_to_fs(text, **found)
    return _bounded(fs), path


def open_url(url: str | os.PathLike[str], mode: str = "rb") -> Any:
    """``fsspec.open`` with the options of its place."""
    found = fsspec.open(os.fspath(url), mode, **options(url))
    _bounded(found.fs)
    return found


def _bounded(fs: Any) -> Any:
    """A file system that gives up in the end."""
    inner = getattr(fs, "target", fs)
    if "s3" in inner.protocol:
        inner.retries = _ROUNDS  # s3fs has no option for it
    return fs
