"""What a cluster needs and does not find."""

from __future__ import annotations

import importlib
from urllib.parse import urlsplit

from ..errors import ConfigError
from .entry import find


def missing(name: str) -> list[str]:
    """What hinders a cluster from starting, each with how to mend it; nothing is started.

    Parameters
    ----------
    name
        As for :func:`~pangeo_ces.connect`.

    Returns
    -------
    list of str
        Empty when nothing is known to be missing.

    Examples
    --------
    >>> missing("threads")
    []
    """
    entry = find(name)
    if entry.scheduler:
        return []
    if entry.address:
        return _unanswered(entry.address)
    try:
        entry.factory()
    except ConfigError as error:
        return [str(error)]
    module = importlib.import_module(entry.module)
    ask = getattr(module, "missing", None) if entry.module.startswith("pangeo_ces.") else None
    if ask is None:
        return []
    return list(ask(entry.callable, dict(entry.args)))


def _unanswered(address: str) -> list[str]:
    """A scheduler that is not there, or runs other versions."""
    from dask.distributed import Client

    if not urlsplit(address).port:
        return [f"{address} has no port: give it as tcp://HOST:8786"]
    try:
        with Client(address, timeout=5, set_as_default=False) as client:
            try:
                client.get_versions(check=True)
            except ValueError as error:
                return [f"{address} runs other versions: {error}; use the same environment"]
    except (OSError, TimeoutError):
        return [
            f"no scheduler answers at {address}: start one with ces cluster start, or correct it"
        ]
    return []
