"""A cluster of another process, as `ces cluster start` keeps it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def kept(folder: Path, workers: int = 1) -> Iterator[tuple[str, subprocess.Popen]]:
    """Address of its scheduler and the process that holds it, until it is killed."""
    log = folder / "cluster.log"
    command = [sys.executable, "-m", "pangeo_ces", "cluster", "start", "local"]
    with log.open("w") as out:
        server = subprocess.Popen([*command, "--workers", str(workers)], stdout=out, stderr=out)
    try:
        yield _printed(log, "scheduler "), server
    finally:
        server.kill()
        server.wait()


def _printed(log: Path, what: str) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            if line.startswith(what):
                return line.removeprefix(what)
        time.sleep(0.1)
    raise AssertionError(log.read_text())
