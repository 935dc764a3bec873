"""Write whole files or none: atomically on local disk, in one put to any fsspec URL."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

from ..errors import InputError
from .faults import is_of_client, reason
from .files import file_system


def write_bytes(path_or_url: str | os.PathLike[str], content: bytes) -> None:
    """Write a file so that a reader finds the old one or the new one, never a part.

    Parameters
    ----------
    path_or_url : str or path
        Local path or fsspec URL (``s3://``, ``memory://``, …); folders are made.
    content : bytes
        The whole file.
    """
    name = os.fspath(path_or_url)
    if "://" in name and not name.startswith(("file://", "local://")):
        try:
            filesystem, inner = file_system(name)
            filesystem.pipe_file(inner, content)
        except Exception as error:
            if not (isinstance(error, OSError | ValueError | ImportError) or is_of_client(error)):
                raise
            raise InputError(f"cannot write {name}: {reason(name, error)}") from error
        return
    path = Path(name.split("://", 1)[-1])
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise InputError(f"cannot write {path}: {error}; choose a folder you may write") from error
