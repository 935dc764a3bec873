"""Servers as foreground children: started, waited for, and stopped by their pids."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL("libc.so.6", use_errno=True)


def executable(name: str) -> str:
    """Path of a program: beside the running interpreter, on PATH, or in the sbin folders."""
    beside = pathlib.Path(sys.executable).parent
    path = os.pathsep.join([str(beside), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed")
    return found


def free_ports(count: int) -> list[int]:
    """TCP ports of 127.0.0.1 that are free now."""
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [item.getsockname()[1] for item in sockets]


def answers(
    url: str, headers: Mapping[str, str] | None = None, context: ssl.SSLContext | None = None
) -> bool:
    """Whether a GET is answered with 200."""
    request = urllib.request.Request(url, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=2, context=context) as answer:
            return answer.status == 200
    except OSError:
        return False


def _end_with_parent() -> None:
    """In the child, before exec: get SIGTERM when the starting thread ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Processes:
    """Named children that share a log folder; stopped in reverse order."""

    def __init__(self, logs: pathlib.Path, env: Mapping[str, str] | None = None):
        self.logs = logs
        self.env = {**os.environ, **(env or {})}
        self.running: dict[str, subprocess.Popen] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def log(self, name: str) -> pathlib.Path:
        return self.logs / f"{name}.log"

    def start(self, name: str, *command: object) -> subprocess.Popen:
        with open(self.log(name), "ab") as log:
            self.running[name] = subprocess.Popen(
                [str(word) for word in command], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, cwd=self.logs, env=self.env,
                preexec_fn=_end_with_parent,
            )  # fmt: skip
        return self.running[name]

    def wait(self, name: str, condition: Callable[[], bool], timeout: float = 60.0) -> None:
        """Poll; fail at once, with the end of the log, if the process has ended."""
        process, log = self.running[name], self.log(name)
        end = time.monotonic() + timeout
        while not condition():
            if process.poll() is not None or time.monotonic() > end:
                tail = log.read_text(errors="replace")[-2000:]
                raise TimeoutError(f"{name} did not become ready ({process.poll()}):\n{tail}")
            time.sleep(0.05)

    def stop(self, *names: str, grace: float = 10.0) -> None:
        """SIGTERM, then SIGKILL after ``grace`` seconds; always reaped."""
        chosen = [name for name in reversed(self.running) if not names or name in names]
        for name in chosen:
            self.running[name].terminate()
        for name in chosen:
            process = self.running.pop(name)
            try:
                process.wait(grace)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
