"""What an interrupted staging has done already: rows that outlive the process."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from typing import Any

from ..errors import StoreError
from .folder import Folder

_FILE = "journal.json"


class Journal:
    """Rows with a ``key``, each safe as soon as :meth:`add` returns.

    On local disk a row is a line appended to one file, elsewhere an object of its own.  A kill can
    leave a torn line, which is no JSON and is passed over: what it told is then done again.

    Parameters
    ----------
    folder
        The archive.
    path
        Folder of the journal in it, removed by :meth:`remove`.

    Raises
    ------
    StoreError
        If another process on local disk has this journal.
    """

    def __init__(self, folder: Folder, path: str) -> None:
        self.folder, self.path = folder, path
        self._lock = threading.Lock()
        self._file = self._open() if folder.local else None
        self.rows: dict[str, dict[str, Any]] = {row["key"]: row for row in self._load()}

    def _open(self) -> int:
        """The file, locked as long as this process lives."""
        name = self.folder.path(f"{self.path}/{_FILE}")
        while True:
            with self.folder.errors():
                os.makedirs(os.path.dirname(name), exist_ok=True)
                file = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(file)
                raise StoreError(
                    f"the same request is being staged into {self.folder.given} at this moment: "
                    "run it again when that is done"
                ) from None
            if os.fstat(file).st_nlink:
                return file
            os.close(file)  # its owner finished, and removed it, before it was ours

    def _load(self) -> list[dict[str, Any]]:
        names = [name for name in self.folder.names(self.path) if name.endswith(".json")]
        contents = self.folder.read_all([f"{self.path}/{name}" for name in names])
        return [row for content in contents for row in parse(content)]

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row; a later one with the same key replaces it.  Safe from several threads."""
        text = json.dumps(row, separators=(",", ":")).encode()
        if self._file is None:
            name = hashlib.sha256(row["key"].encode()).hexdigest()
            self.folder.write(f"{self.path}/{name}.json", text)
        with self._lock:
            if self._file is not None:
                text = b"\n" + text  # in front, so that a row never continues a torn line
                with self.folder.errors():
                    while text:
                        text = text[os.write(self._file, text) :]
            self.rows[row["key"]] = row

    def clear(self) -> None:
        """Forget all rows."""
        if self._file is None:
            self.folder.remove(self.path)
        else:
            os.ftruncate(self._file, 0)
        self.rows = {}

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def remove(self) -> None:
        """Remove the journal and whatever else is left in its folder."""
        self.folder.remove(self.path)
        self.close()


def parse(content: bytes) -> list[dict[str, Any]]:
    """The rows among the lines of a journal; lines that are torn or damaged are left out.

    >>> parse(b'{"key": "a"}' + bytes([10]) + b'{"key": "b", "fi')
    [{'key': 'a'}]
    """
    rows = []
    for line in content.split(b"\n"):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("key"), str):
            rows.append(row)
    return rows
