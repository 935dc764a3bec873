"""A folder on any file system that fsspec knows, written so that no reader meets half a file."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import posixpath
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from fsspec.core import has_magic
from fsspec.implementations.local import LocalFileSystem

from ..errors import CesError, StoreError
from ..storage import file_system, is_of_client, place, reason

#: HTTP status of something that another request is changing.
_LOCKED = 423


class Folder:
    """Files below one URL; names are relative to it.

    Local files are written under another name and renamed; elsewhere a file appears when its
    upload is complete, or is uploaded under another name and moved.
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self.given = os.fspath(url)
        with self.errors():
            self.fs, root = file_system(self.given)
        self.root = root.rstrip("/")
        self.local = isinstance(self.fs, LocalFileSystem)

    def path(self, name: str) -> str:
        """The name as the file system knows it."""
        return f"{self.root}/{name}" if name else self.root

    def url(self, name: str = "") -> str:
        """A path or URL for any reader, without credentials."""
        path = self.path(name)
        return path if self.local else self.fs.unstrip_protocol(path)

    def exists(self, name: str) -> bool:
        return self.size(name) is not None

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""
        with self.errors():
            try:
                return self.fs.info(self.path(name), **self._fresh)["size"]
            except FileNotFoundError:
                return None

    def read(self, name: str) -> bytes:
        with self.errors():
            return self.fs.cat_file(self.path(name))

    def read_all(self, names: list[str]) -> list[bytes]:
        """The contents of many files, read at once where the file system can."""
        with self.errors():
            # Not cat(), which would take brackets in the archive's own path for a pattern.
            paths = [self.path(name) for name in names]
            return self.fs.cat_ranges(paths, None, None, on_error="raise")

    def names(self, folder: str = "") -> list[str]:
        """Sorted names of files and folders directly in a folder; none where there is none."""
        with self.errors():
            try:
                found = self.fs.ls(self.path(folder), detail=False, **self._fresh)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(name for path in found if (name := posixpath.basename(path.rstrip("/"))))

    @functools.cached_property
    def _fresh(self) -> dict[str, bool]:
        """What makes a file system look again, rather than answer from its cache."""
        return {"refresh": True} if self._has("s3") else {}

    def _has(self, *protocols: str) -> bool:
        known = self.fs.protocol
        known = {known} if isinstance(known, str) else set(known)
        return not known.isdisjoint(protocols)

    def adopt(self, temporary: Path, name: str, mode: int = 0o644) -> None:
        """Make a finished local file the file called ``name``; the temporary one is gone then.

        A file that is there with the same size is left alone: use it for content-addressed names.
        """
        size = temporary.stat().st_size
        with self.errors():
            if self.size(name) == size:
                temporary.unlink()
            elif self.local:
                os.chmod(temporary, mode)
                os.makedirs(posixpath.dirname(self.path(name)), exist_ok=True)
                os.replace(temporary, self.path(name))
            else:
                self._make_parent(name)
                self.fs.put_file(str(temporary), self.path(name))
                temporary.unlink()

    def create(self, name: str, content: bytes, scratch: str) -> None:
        """Write a file that must not be there yet, all or nothing.

        Raises
        ------
        FileExistsError
            If it is there.
        """
        path, other = self.path(name), f"{scratch}/{uuid.uuid4().hex}"
        with self.errors():
            if self.local:
                os.makedirs(posixpath.dirname(path), exist_ok=True)
                temporary = self.write_local(other, content)
                try:
                    os.chmod(temporary, 0o444)
                    os.link(temporary, path)
                finally:
                    temporary.unlink()
            elif self._has("s3", "memory"):
                try:
                    self.fs.pipe_file(path, content, mode="create")
                except OSError as error:
                    if _code(error) in ("PreconditionFailed", "ConditionalRequestConflict"):
                        raise FileExistsError(errno.EEXIST, "File exists", name) from error
                    raise
            else:
                self._create_by_move(name, other, content)

    def _create_by_move(self, name: str, other: str, content: bytes) -> None:
        if self.exists(name):
            raise FileExistsError(errno.EEXIST, "File exists", name)
        self._make_parent(name)
        self.write(other, content)
        if hasattr(self.fs, "client") and hasattr(self.fs.client, "move"):  # WebDAV
            try:
                self.fs.client.move(self.path(other), self.path(name), overwrite=False)
            except Exception:
                self.fs.rm_file(self.path(other))
                if self.exists(name):
                    raise FileExistsError(errno.EEXIST, "File exists", name) from None
                raise
        else:
            self.fs.mv(self.path(other), self.path(name))

    def write(self, name: str, content: bytes) -> None:
        """Write or replace a small file."""
        with self.errors():
            if self.local:
                temporary = self.write_local(f"{name}.{uuid.uuid4().hex}", content)
                os.replace(temporary, self.path(name))
            else:
                self._make_parent(name)
                self.fs.pipe_file(self.path(name), content)

    def write_local(self, name: str, content: bytes) -> Path:
        """A new file on local disk, safe from a power cut."""
        path = Path(self.path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return path

    def remove(self, folder: str) -> None:
        """Remove a folder and all in it."""
        with self.errors():
            if self.local:
                shutil.rmtree(self.path(folder), ignore_errors=True)
            else:
                self._remove_there(self.path(folder))

    def _remove_there(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            if not has_magic(path):
                self.fs.rm(path, recursive=True)
                return
            for file in self.fs.find(path):  # rm() would take the path for a pattern
                self.fs.rm_file(file)

    def _make_parent(self, name: str) -> None:
        """Make the folders above a file where the file system has folders."""
        if self._has("s3"):
            return
        for wait in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 0):
            try:
                self.fs.makedirs(posixpath.dirname(self.path(name)), exist_ok=True)
                break
            except Exception as error:
                # WebDAV: another thread is making the same folder.
                if not wait or getattr(error, "status_code", None) != _LOCKED:
                    raise
                time.sleep(wait)

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Errors of disks, servers and credentials as ours; a file there or not stays as it is."""
        try:
            yield
        except (FileNotFoundError, FileExistsError, CesError):
            raise
        except Exception as error:
            if full(error):
                raise StoreError(
                    f"no space is left for {self.given}: free some, then give the same command "
                    "again: it goes on where it stopped, and earlier stages are as they were"
                ) from error
            if not (is_of_client(error) or isinstance(error, OSError | ImportError | ValueError)):
                raise
            shown = without_password(self.given)
            if place(self.given) is not None:
                raise StoreError(f"cannot use {shown}: {reason(self.given, error)}") from error
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise StoreError(
                f"cannot use {shown} ({said}): check the address, "
                "the permissions and the credentials"
            ) from error


def full(error: BaseException) -> bool:
    """Whether an error means that no space is left."""
    numbers = (errno.ENOSPC, errno.EDQUOT)
    return (isinstance(error, OSError) and error.errno in numbers) or "507" in str(error)[:40]


def _code(error: BaseException) -> str:
    """The error code an S3 server gave."""
    response = getattr(error.__cause__, "response", None) or {}
    return response.get("Error", {}).get("Code", "")


def without_password(url: str) -> str:
    """A URL without user and password."""
    return re.sub(r"(?<=://)[^/@]*@", "", url)
