"""A Kubernetes cluster as tests see it, whether it was here before or is brought up here."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

PROJECT = pathlib.Path(__file__).resolve().parents[2]
LOCAL = pathlib.Path(__file__).with_name("local")
K8S = PROJECT / "deployments" / "k8s"
CACHE = pathlib.Path(os.environ.get("CES_IMAGES", "/var/cache/pangeo_ces/images"))
NETNS = os.environ.get("CES_K8S_NETNS", "cesk8s")
TOOLS = pathlib.Path(sys.prefix) / "helm"


class Missing(Exception):
    """Why there is no cluster here."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """``image`` is a reference by digest; ``address`` is this machine's, as pods reach it."""

    kubeconfig: pathlib.Path
    image: str
    address: str
    inside: tuple[str, ...] = ()

    @property
    def repository(self) -> str:
        return self.image.partition("@")[0]

    @property
    def digest(self) -> str:
        return self.image.partition("@")[2]

    def command(self, *words: object, kubeconfig: pathlib.Path | None = None) -> list[str]:
        """Words as they must be run to see the cluster."""
        path = f"{TOOLS}{os.pathsep}{pathlib.Path(sys.executable).parent}{os.pathsep}"
        environment = [f"KUBECONFIG={kubeconfig or self.kubeconfig}",
                       f"PATH={path}{os.environ['PATH']}"]  # fmt: skip
        return [*self.inside, "env", *environment, *map(str, words)]

    def run(
        self, *words: object, kubeconfig: pathlib.Path | None = None, **options
    ) -> subprocess.CompletedProcess[str]:
        """To its end, with its output; a failure shows what it said."""
        options = {"capture_output": True, "text": True, "timeout": 240, **options}
        check = options.pop("check", True)
        done = subprocess.run(self.command(*words, kubeconfig=kubeconfig), **options)
        if check and done.returncode:
            raise AssertionError(f"{words[:4]} failed:\n{done.stdout[-4000:]}{done.stderr[-6000:]}")
        return done

    def kubectl(self, *words: object, **options) -> str:
        return self.run("kubectl", *words, **options).stdout

    def python(self, script: str, *arguments: object, **options) -> str:
        """Run a Python text with the interpreter of these tests, as a client of the cluster."""
        return self.run(sys.executable, "-W", "ignore", "-c", script, *arguments, **options).stdout

    def account(self, folder: pathlib.Path, namespace: str, name: str) -> pathlib.Path:
        """A kubeconfig with the rights of a ServiceAccount."""
        token = self.kubectl("create", "token", name, "-n", namespace).strip()
        view = self.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json")
        config = json.loads(view)
        config["users"][0]["user"] = {"token": token}
        config["contexts"][0]["context"]["namespace"] = namespace
        file = folder / f"{name}.kubeconfig"
        file.touch(mode=0o600)
        file.write_text(json.dumps(config))
        return file


def until(condition: Callable[[], bool], what: str, timeout: float = 90) -> None:
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout:.0f} s")
        time.sleep(0.3)


@contextlib.contextmanager
def any_cluster(folder: pathlib.Path) -> Iterator[Cluster]:
    """That of KUBECONFIG and CES_TEST_IMAGE, else one of this machine."""
    given = os.environ.get("KUBECONFIG")
    image = os.environ.get("CES_TEST_IMAGE", "")
    if given and image:
        if "@sha256:" not in image:
            raise Missing("CES_TEST_IMAGE is no reference by digest")
        _tools()
        yield Cluster(pathlib.Path(given), image, os.environ.get("CES_TEST_ADDRESS", ""))
        return
    with _local(folder) as cluster:
        yield cluster


def _tools() -> None:
    done = subprocess.run(
        [sys.executable, LOCAL / "helm.py", TOOLS], capture_output=True, text=True
    )
    if done.returncode:
        raise Missing(f"helm and kubectl could not be installed: {done.stderr[-500:]}")


@contextlib.contextmanager
def _local(folder: pathlib.Path) -> Iterator[Cluster]:
    """Bring up one node; what takes minutes is done once and kept."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Missing("a cluster of this machine needs root on Debian; or set KUBECONFIG and "
                      "CES_TEST_IMAGE to use another")  # fmt: skip
    _tools()
    env = {**os.environ, "PYTHON": sys.executable, "CES_K8S_NETNS": NETNS,
           "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"}  # fmt: skip
    prepared = subprocess.run(
        [LOCAL / "prepare.sh", CACHE], env=env, capture_output=True, text=True, timeout=2400
    )
    if prepared.returncode:
        raise Missing(f"a cluster could not be built here: {prepared.stderr[-1500:]}")
    # Socket paths must be short.
    state = pathlib.Path(tempfile.mkdtemp(prefix="ces-k8s-"))
    log = folder / "up.log"
    words = [LOCAL / "up.sh", state, CACHE / "pause.tar", CACHE / "ces.tar"]
    with log.open("wb") as out:
        process = subprocess.Popen(words, env=env, stdout=out, stderr=out)
    try:
        end = time.monotonic() + 300
        while "READY" not in log.read_text():
            if process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"Kubernetes did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.2)
        digest = (state / "ces.digest").read_text().strip()
        inside = ("ip", "netns", "exec", NETNS)
        address = os.environ.get("CES_K8S_NODE_IP", "10.244.0.1")
        yield Cluster(state / "admin.kubeconfig", f"localhost/ces@{digest}", address, inside)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        subprocess.run([LOCAL / "clean.sh", state], env=env, timeout=120, check=False)
        process.kill()
        process.wait()
