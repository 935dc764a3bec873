"""Addresses in a catalogue: relative where store and catalogue move together; never trusted."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path

from ..errors import StoreError

#: Where a store may lie, and which catalogues may say so: one from elsewhere names no local file.
_STORES = {"s3", "http", "https", "memory", "file", ""}
_NEAR = {"memory", "file", ""}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def absolute(url: str | os.PathLike[str]) -> str:
    """A URL, or a local path in full."""
    text = os.fspath(url)
    if scheme_of(text) not in ("", "file"):
        return text.rstrip("/")
    return str(Path(text.removeprefix("file://")).expanduser().absolute())


def scheme_of(url: str) -> str:
    """The scheme of a URL; empty for a path."""
    match = _SCHEME.match(url)
    return match[1].lower() if match else ""


def refer(target: str, catalogue: str, name: str) -> str:
    """How a file of a catalogue refers to what lies elsewhere.

    Parameters
    ----------
    target, catalogue
        As :func:`absolute` gives them.
    name
        Of the file that refers, within the catalogue.

    Returns
    -------
    str
        Relative if the target lies in the folder of the catalogue or beside it.

    Examples
    --------
    >>> refer("/data/quakes.zarr", "/data/stac", "collections/quakes/1.json")
    '../../../quakes.zarr'
    >>> refer("s3://ces/quakes.zarr", "/data/stac", "collections/quakes/1.json")
    's3://ces/quakes.zarr'
    """
    inside = target.startswith(f"{catalogue}/")
    around = posixpath.dirname(catalogue)
    beside = posixpath.dirname(target) == around and not around.endswith(":")  # two buckets
    if not (inside or beside):
        return target
    near = posixpath.relpath(target, posixpath.dirname(f"{catalogue}/{name}"))
    return near if near.startswith(".") else f"./{near}"


def resolve(href: str, catalogue: str, name: str) -> str:
    """The path or URL that a file of a catalogue refers to.

    Raises
    ------
    StoreError
        When no catalogue, or none from there, may refer to that.
    """
    scheme, home = scheme_of(href), scheme_of(catalogue)
    if "::" in href or ("://" in href and not scheme) or scheme not in _STORES:
        raise StoreError(
            f"{catalogue}/{name} refers to {href!r}: only paths, s3://, http(s):// and memory:// "
            "are opened; build the catalogue again"
        )
    if scheme or href.startswith("/"):
        if scheme in _NEAR and home not in _NEAR:
            raise StoreError(
                f"{catalogue} refers to {href!r}, a place on its own machine: get the store, and "
                "build a catalogue beside it"
            )
        return href
    root, path = ("", f"{catalogue}/{name}")
    if home:
        root, _, path = path.partition("://")
        root += "://"
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(path), href))
    if home in ("s3", "http", "https") and joined.split("/")[0] != path.split("/")[0]:
        raise StoreError(f"{catalogue}/{name} refers to {href!r}, outside of its server: build the "
                         "catalogue again")  # fmt: skip
    return root + joined


def inside(href: str, name: str) -> str:
    """The file of a catalogue that another one, ``name``, links to.

    Raises
    ------
    StoreError
        When it lies elsewhere: a static catalogue of ours is self-contained.

    Examples
    --------
    >>> inside("./2016.json", "collections/a/collection.json")
    'collections/a/2016.json'
    """
    found = posixpath.normpath(posixpath.join(posixpath.dirname(name), href))
    if scheme_of(href) or "::" in href or found.startswith(("/", "..")):
        raise StoreError(f"{name} links to {href!r}, outside of the catalogue: give the address of "
                         "a self-contained catalogue")  # fmt: skip
    return found
