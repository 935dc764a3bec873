"""connect("kubernetes") on a real cluster, with the rights of the account that notebooks have."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

CONNECT = """
import json, sys, time
import dask
import pangeo_ces as ces
args = json.loads(sys.argv[1])
dask.config.set({"ces.clusters.kubernetes": {
    "module": "pangeo_ces.compute.kubernetes", "class": "kube_cluster", "args": args}})
"""

ASSESS = (
    CONNECT
    + """
import subprocess, threading
import numpy as np

admin, folder, bucket = sys.argv[2:]
store = ces.samples.german_events(f"{bucket}/german_events")
parameters = ces.samples.GERMAN_EVENTS
with ces.connect("synchronous"):
    expected = ces.rapid_assessment(ces.open_store(store), **parameters).product.compute()


def same(product):
    for path in ("observed", "synthetic/specfem", "difference/specfem"):
        if path not in expected:
            continue
        for name, array in expected[path].to_dataset().variables.items():
            np.testing.assert_array_equal(product[path][name].values, array.values, err_msg=name)


def kill_one(connection, done):
    while True:
        busy = [w for w, tasks in connection.client.processing().items() if tasks]
        if busy:
            break
        time.sleep(0.05)
    name = connection.client.scheduler_info(n_workers=-1)["workers"][busy[0]]["name"]
    pods = ["kubectl", "--kubeconfig", admin, "-n", "ces"]
    pod, = [line for line in subprocess.check_output(
        [*pods, "get", "pods", "-o", "name"], text=True).split() if name in line]
    subprocess.run([*pods, "delete", pod, "--grace-period=1"], check=True)
    done.append(pod)


found = {}
with ces.connect("kubernetes", workers=2) as connection:
    connection.client.wait_for_workers(2, timeout=120)
    found["before"] = sorted(connection.client.processing())
    killed = []
    thread = threading.Thread(target=kill_one, args=(connection, killed))
    thread.start()
    start = time.monotonic()
    outcome = ces.run_rapid_assessment(store, f"{bucket}/assessment", **parameters)
    found["seconds"] = time.monotonic() - start
    thread.join()
    found["killed"] = killed
    same(outcome.product)
    connection.client.wait_for_workers(2, timeout=120)
    found["after"] = sorted(connection.client.processing())
    again = ces.rapid_assessment(ces.open_store(store), **parameters).product.compute()
    same(again)
same(ces.open_store(f"{bucket}/assessment/peak_motion.zarr"))
print(json.dumps(found))
"""
)

RESIZE = (
    CONNECT
    + """
def wait(connection, number, timeout=90):
    end = time.monotonic() + timeout
    while len(connection.client.scheduler_info(n_workers=-1)["workers"]) != number:
        assert time.monotonic() < end, (number, connection.client)
        time.sleep(0.2)
    seen.append(number)


seen = []
with ces.connect("kubernetes", workers=1) as connection:
    wait(connection, 1)
    connection.scale(2)
    wait(connection, 2)
    connection.scale(1)
    wait(connection, 1)
    connection.scale((1, 2))
    futures = connection.client.map(lambda n: time.sleep(0.5) or n, range(80))
    wait(connection, 2)
    assert sum(connection.client.gather(futures)) == sum(range(80))
print(json.dumps(seen))
"""
)

START = (
    CONNECT
    + """
with ces.connect("kubernetes", workers=1) as connection:
    print("started", flush=True)
"""
)


def last_json(text: str) -> dict:
    return json.loads(text.strip().splitlines()[-1])


def dask_objects(platform) -> str:
    kinds = "daskclusters,daskworkergroups,daskautoscalers,deployments,services"
    return platform.cluster.kubectl("get", kinds, "-n", "ces", "-o", "name")


@pytest.fixture(autouse=True)
def nothing_left(platform):
    """After each test: no cluster, no service, and soon no pod."""
    yield
    try:
        platform.until(lambda: not dask_objects(platform), "objects of Dask are gone", 60)
    except AssertionError as error:
        raise AssertionError(f"{error}: {dask_objects(platform)}") from None
    platform.until(lambda: not platform.pods(), "pods are gone", 120)


def test_rapid_assessment_survives_the_loss_of_a_worker(platform, tmp_path):
    """Bit for bit what one thread computes here, from S3 to S3."""
    out = platform.cluster.python(
        ASSESS, json.dumps(platform.args), platform.cluster.kubeconfig, tmp_path, "s3://ces-test",
        kubeconfig=platform.user, timeout=600,
        env={**os.environ, **platform.s3}, cwd=tmp_path,
    )  # fmt: skip
    found = last_json(out)
    assert len(found["killed"]) == 1
    assert found["before"] != found["after"]


def test_scale_and_adapt(platform):
    out = platform.cluster.python(
        RESIZE, json.dumps(platform.args), kubeconfig=platform.user, timeout=400
    )
    assert last_json(out) == [1, 2, 1, 2]


def test_what_does_not_start_leaves_nothing(platform):
    """An image that is not there, a Secret that is not there, and an impatient user."""
    for change, told in (
        ({"image": "localhost/none:1", "image_pull_policy": "Never"}, "ErrImageNeverPull"),
        ({"resources": {"cpu": "500m", "memory": "2Gi"}, "timeout": 0.1}, "not ready within"),
        ({"scheduler_resources": {"cpu": "9", "memory": "1Gi"}}, "maximum cpu usage"),
    ):
        done = platform.cluster.run(
            sys.executable, "-W", "ignore", "-c", START, json.dumps(platform.args | change),
            kubeconfig=platform.user, check=False,
        )  # fmt: skip
        assert done.returncode != 0
        error = done.stderr.strip().splitlines()[-1]
        assert told in error and "ClusterError" in error, done.stderr[-3000:]


def test_ctrl_c_while_it_starts_leaves_nothing(platform):
    # More than the node has, and no more than the namespace allows: it waits.
    large = {"cpu": "7", "memory": "1Gi"}
    words = platform.cluster.command(
        sys.executable, "-W", "ignore", "-c", START,
        json.dumps(platform.args | {"scheduler_resources": large}), kubeconfig=platform.user,
    )  # fmt: skip
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    platform.until(lambda: "daskcluster" in dask_objects(platform), "a DaskCluster")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert "started" not in out
    assert "KeyboardInterrupt" in error


def test_check_tells_what_is_missing(platform, tmp_path):
    """No kubeconfig, no server, an account without rights, no Secret."""
    ask = (
        "import json, sys\nfrom pangeo_ces.compute.kubernetes import missing\n"
        "print(json.dumps(missing('kube_cluster', json.loads(sys.argv[1]))))"
    )

    def missing(kubeconfig, **change):
        args = json.dumps(platform.args | change)
        return last_json(platform.cluster.python(ask, args, kubeconfig=kubeconfig))

    assert missing(platform.user) == []
    assert missing(platform.cluster.kubeconfig) == []
    (none,) = missing(tmp_path / "none")
    assert "set KUBECONFIG" in none
    off = tmp_path / "off"
    config = json.loads(platform.user.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    off.write_text(json.dumps(config))
    (message,) = missing(off)
    assert "does not answer" in message and "kubeconfig" in message
    (message,) = missing(platform.hub)
    assert "may not create daskclusters in namespace 'ces'" in message
    (message,) = missing(platform.cluster.kubeconfig, secret="none")
    assert message.startswith("no secret 'none': create it in namespace 'ces'")
    (message,) = missing(platform.user, image="")
    assert "image: …" in message


@pytest.mark.parametrize(
    "verb, what, allowed",
    [
        ("create", "daskclusters.kubernetes.dask.org", True),
        ("get", "pods/log", True),
        ("create", "pods", False),
        ("create", "pods/exec", False),
        ("get", "secrets", False),
        ("create", "deployments.apps", False),
        ("create", "rolebindings.rbac.authorization.k8s.io", False),
    ],
)
def test_rights_of_a_user(platform, verb, what, allowed):
    done = platform.cluster.run(
        "kubectl", "auth", "can-i", verb, what, "-n", "ces", kubeconfig=platform.user, check=False
    )
    assert done.stdout.strip() == ("yes" if allowed else "no")
    elsewhere = platform.cluster.run(
        "kubectl", "auth", "can-i", verb, what, "-n", "ces-hub", kubeconfig=platform.user,
        check=False,
    )  # fmt: skip
    assert elsewhere.stdout.strip() == "no"


def test_keys_are_in_no_manifest(platform):
    objects = platform.cluster.kubectl(
        "get", "configmaps,pods,deployments,serviceaccounts", "-A", "-o", "json"
    )
    assert platform.s3["AWS_SECRET_ACCESS_KEY"] not in objects
