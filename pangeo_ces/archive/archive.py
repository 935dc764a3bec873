"""An archive: files kept by their content, and numbered stages that say what was there when."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
import json
import os
import re
from typing import Any

from ..errors import ParameterError, StoreError
from .folder import Folder, without_password

MARKER = "ces-archive.json"
FORMAT = {"format": "CES-archive", "version": "1.0"}
STATES = ("new", "updated", "unchanged", "removed")

_VERSION = re.compile(r"(?P<url>.+)@(?P<version>\d+|latest|\d{4}-\d\d-\d\d(T[\d:.]+(Z|\+00:00)?)?)")
_MANIFEST = re.compile(r"(\d{5,})\.json")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One file of a stage.

    Parameters
    ----------
    name
        Path within the archive, such as ``2016/IV/ARRO/HHZ.D/IV.ARRO..HHZ.D.2016.237``.
    kind
        ``waveform``, ``stations``, ``events`` or ``other``.
    state
        ``new``, ``updated`` or ``unchanged`` against the stage before; ``removed`` from the
        provider.
    sha256
        Checksum of the bytes.
    size
        Bytes.
    source
        URL the bytes came from.
    url
        Path or fsspec URL of the bytes themselves.
    """

    name: str
    kind: str
    state: str
    sha256: str
    size: int
    source: str
    url: str


def object_name(sha256: str) -> str:
    """Where the bytes with a checksum lie.

    >>> object_name("ab" * 32)[:20]
    'objects/ab/ababababa'

    """
    if not _SHA256.fullmatch(sha256):
        raise StoreError(
            f"{sha256!r} is no checksum: the manifest is damaged, use another stage of the archive"
        )
    return f"objects/{sha256[:2]}/{sha256}"


class Archive:
    """An archive of raw files, to be read.

    Parameters
    ----------
    url
        Folder: a path, ``s3://``, ``webdav://``, ``memory://`` or another fsspec URL.

    Raises
    ------
    StoreError
        If there is no archive, or it cannot be reached.
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self.folder = Folder(url)
        self.url = without_password(os.fspath(url))
        self._manifests: dict[int, dict[str, Any]] = {}
        self._check_marker()

    @classmethod
    def parse(cls, target: str | os.PathLike[str]) -> tuple[Archive, int]:
        """The archive and the number of the stage that a text names.

        Parameters
        ----------
        target
            ``url`` or ``url@latest``: the newest stage; ``url@3``: stage 3; ``url@2026-01-01``:
            the newest stage made before that time (UTC).

        Raises
        ------
        StoreError
            If there is no such archive or stage.
        """
        url, version = split_version(os.fspath(target))
        archive = cls(url)
        numbers = archive.stages()
        if version is None or version == "latest":
            found = numbers[-1:]
        elif version.isdecimal():
            found = [number for number in numbers if number == int(version)]
        else:
            moment = _utc(version)
            before = (n for n in reversed(numbers) if _utc(archive.manifest(n)["created"]) < moment)
            found = list(itertools.islice(before, 1))
        if not found:
            if not numbers:
                raise StoreError(f"{archive.url} has no stage yet: stage into it with ces stage")
            raise StoreError(
                f"{archive.url} has no stage {version}: there are {numbers[0]} to {numbers[-1]}, "
                "and ces history tells their times"
            )
        return archive, found[0]

    def stages(self) -> list[int]:
        """Numbers of the stages there are, oldest first."""
        found = (_MANIFEST.fullmatch(name) for name in self.folder.names("stages"))
        return sorted(int(match[1]) for match in found if match)

    @property
    def latest(self) -> int:
        """Number of the newest stage; 0 before the first."""
        return max(self.stages(), default=0)

    def manifest(self, number: int) -> dict[str, Any]:
        """The manifest of a stage as it is stored: request, counts, files and problems."""
        if number not in self._manifests:
            try:
                content = self.folder.read(manifest_name(number))
                self._manifests[number] = json.loads(content)
            except FileNotFoundError:
                raise StoreError(
                    f"{self.url} has no stage {number}: ces history {self.url} lists them"
                ) from None
            except ValueError as error:
                raise StoreError(
                    f"the manifest of stage {number} of {self.url} is damaged ({error}): "
                    "use another stage"
                ) from error
        return self._manifests[number]

    def files(self, number: int) -> list[Entry]:
        """The files of a stage, sorted by name, without those that the provider removed."""
        return [
            self._entry(row) for row in self.manifest(number)["files"] if row["state"] != "removed"
        ]

    def _entry(self, row: dict[str, Any]) -> Entry:
        return Entry(
            row["name"], row["kind"], row["state"], row["sha256"], row["size"], row["source"],
            self.folder.url(object_name(row["sha256"])),
        )  # fmt: skip

    def _check_marker(self) -> None:
        try:
            found = json.loads(self.folder.read(MARKER))
        except FileNotFoundError:
            raise StoreError(
                f"no archive at {self.url}: check the path, or make one with ces stage"
            ) from None
        except ValueError:
            found = {}
        if not isinstance(found, dict) or found.get("format") != FORMAT["format"]:
            raise StoreError(f"{self.url}/{MARKER} is not of an archive: check the path")
        if str(found.get("version")).partition(".")[0] != "1":
            raise StoreError(
                f"{self.url} has format version {found.get('version')}: use a newer pangeo_ces"
            )


def manifest_name(number: int) -> str:
    """File of a stage's manifest.

    >>> manifest_name(3)
    'stages/00003.json'
    """
    return f"stages/{number:05d}.json"


def _utc(text: str) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def split_version(target: str) -> tuple[str, str | None]:
    """A target without and with what follows its last ``@``, if that is a version.

    >>> split_version("s3://ces/raw@3")
    ('s3://ces/raw', '3')
    >>> split_version("webdav://me@host/raw")
    ('webdav://me@host/raw', None)
    """
    match = _VERSION.fullmatch(target)
    if not match:
        return target, None
    version = match["version"]
    if not version.isdecimal() and version != "latest":
        try:
            _utc(version)
        except ValueError:
            raise ParameterError(f"{version} is no time: write it as 2026-01-31") from None
    return match["url"], version


def is_archive(url: str | os.PathLike[str]) -> bool:
    """Whether a path or URL, with or without ``@version``, names an archive.

    >>> is_archive("memory://nothing-here")
    False
    """
    with contextlib.suppress(StoreError, ParameterError):
        return Folder(split_version(os.fspath(url))[0]).exists(MARKER)
    return False
