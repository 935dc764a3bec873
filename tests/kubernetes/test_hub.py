"""A user's server as a pod, by a real JupyterHub with KubeSpawner outside the cluster."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import secrets
import shutil
import subprocess
import sys
import time

import pytest
import yaml

VALUES = pathlib.Path(__file__).parents[2] / "deployments/k8s/values/jupyterhub.yaml"
#: The hub as our values describe it to its chart, but for the addresses of this machine.
CONFIG = """
import json, os
c = get_config()
folder = os.environ["CES_HUB_FOLDER"]
hub = "http://" + os.environ["CES_HUB_ADDRESS"]
c.JupyterHub.bind_url = hub + ":8000"
c.JupyterHub.hub_bind_url = c.JupyterHub.hub_connect_url = hub + ":8081"
c.JupyterHub.db_url = "sqlite:///" + folder + "/hub.sqlite"
c.JupyterHub.cookie_secret_file = folder + "/cookie"
c.JupyterHub.pid_file = folder + "/hub.pid"
c.ConfigurableHTTPProxy.command = [os.environ["CES_HUB_PROXY"]]
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:8001"
c.ConfigurableHTTPProxy.pid_file = folder + "/proxy.pid"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
for name, value in json.loads(os.environ["CES_KUBESPAWNER"]).items():
    setattr(c.KubeSpawner, name, value)
c.JupyterHub.services = [{"name": "tests", "api_token": os.environ["CES_HUB_TOKEN"]}]
scopes = ["admin:users", "admin:servers", "access:servers", "tokens", "list:users"]
c.JupyterHub.load_roles = [{"name": "tests", "scopes": scopes, "services": ["tests"]}]
"""

#: Opens a notebook by the API of the user's server, runs every cell in a kernel of the pod.
VISIT = """
import json, os, sys, time, uuid
import requests, websocket

base, notebook, extra = sys.argv[1:]
hub = {"Authorization": "token " + os.environ["CES_HUB_TOKEN"]}
user = base + "/hub/api/users/alice"
start = time.monotonic()
requests.post(user, headers=hub).raise_for_status()
requests.post(user + "/server", headers=hub).raise_for_status()
while not requests.get(user, headers=hub).json()["servers"].get("", {}).get("ready"):
    assert time.monotonic() - start < 200, "the server did not start"
    time.sleep(0.3)
found = {"ready": time.monotonic() - start}
answer = requests.post(user + "/tokens", headers=hub, json={"note": "tests"})
token = {"Authorization": "token " + answer.json()["token"]}
server = base + "/user/alice"
lab = requests.get(server + "/lab", headers=token)
assert lab.status_code == 200 and "jupyterlab" in lab.text.lower(), lab.status_code
extensions = requests.get(server + "/lab/api/extensions", headers=token).json()
found["dask-labextension"] = any(e["name"] == "dask-labextension" and e["enabled"]
                                 for e in extensions)
content = requests.get(f"{server}/api/contents/{notebook}", headers=token)
content.raise_for_status()
cells = [c["source"] for c in content.json()["content"]["cells"] if c["cell_type"] == "code"]
session = requests.post(server + "/api/sessions", headers=token, json={
    "path": notebook, "type": "notebook", "name": "", "kernel": {"name": "python3"}})
session.raise_for_status()
kernel = session.json()["kernel"]["id"]
address = server.replace("http", "ws", 1) + f"/api/kernels/{kernel}/channels"
socket = websocket.create_connection(address, header=token, timeout=300)


def send(kind, content):
    number = uuid.uuid4().hex
    header = {"msg_id": number, "username": "tests", "session": "tests", "msg_type": kind,
              "version": "5.3", "date": ""}
    socket.send(json.dumps({"header": header, "parent_header": {}, "metadata": {},
                            "content": content, "channel": "shell"}))
    return number


def wait(number, kind):
    texts = []
    idle = reply = None
    while not (idle and reply):
        message = json.loads(socket.recv())
        if message["parent_header"].get("msg_id") != number:
            continue
        if message["msg_type"] == "stream":
            texts.append(message["content"]["text"])
        idle = idle or (message["msg_type"] == "status"
                        and message["content"]["execution_state"] == "idle")
        reply = message["content"] if message["msg_type"] == kind else reply
    return reply, "".join(texts)


wait(send("kernel_info_request", {}), "kernel_info_reply")
for source in [*cells, extra]:
    start = time.monotonic()
    reply, text = wait(send("execute_request", {
        "code": source, "silent": False, "store_history": True, "user_expressions": {},
        "allow_stdin": False, "stop_on_error": True}), "execute_reply")
    assert reply["status"] == "ok", (source, reply)
found["cells"] = len(cells)
found["extra"] = text.strip().splitlines()[-1]
socket.close()
requests.delete(user + "/server", headers=hub).raise_for_status()
while requests.get(user, headers=hub).json()["servers"]:
    time.sleep(0.3)
print(json.dumps(found))
"""

#: From the notebook: a cluster beside it, with nothing configured by the user.
CONNECT = """
import pangeo_ces as ces
motion = ces.testing.synthetic_windows(quantity="acceleration")
expected = ces.peak_motion(motion, periods=[1.0]).compute(scheduler="synchronous")
with ces.connect(workers=1) as connection:
    assert ces.peak_motion(motion, periods=[1.0]).compute().identical(expected)
    worker = connection.client.submit(lambda: __import__("socket").gethostname()).result()
print(connection.name, "worker" in worker)
"""


def proxy_program() -> str:
    beside = pathlib.Path(sys.prefix) / "hub" / "node_modules" / ".bin"
    found = shutil.which(
        "configurable-http-proxy", path=f"{beside}{os.pathsep}{os.environ['PATH']}"
    )
    if found is None:
        pytest.skip("no configurable-http-proxy: npm install it, as make peers does")
    return found


@pytest.fixture(scope="module")
def hub(platform, tmp_path_factory):
    """JupyterHub with the account of the hub; pods reach it by this machine's address."""
    cluster = platform.cluster
    pytest.importorskip("kubespawner", reason="KubeSpawner is not installed")
    if not cluster.address:
        pytest.skip("pods must reach this machine: set CES_TEST_ADDRESS")
    folder = tmp_path_factory.mktemp("hub")
    traits = yaml.safe_load(VALUES.read_text())["hub"]["config"]["KubeSpawner"]
    traits |= {"image": cluster.image, "cpu_guarantee": 0.1, "mem_guarantee": "512M"}
    config = folder / "jupyterhub_config.py"
    config.write_text(CONFIG)
    token = secrets.token_hex(16)
    env = {
        **os.environ,
        "CES_HUB_FOLDER": str(folder),
        "CES_HUB_ADDRESS": cluster.address,
        "CES_HUB_PROXY": proxy_program(),
        "CES_HUB_TOKEN": token,
        "CES_KUBESPAWNER": json.dumps(traits),
        "CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(16),
    }
    words = cluster.command(
        sys.executable, "-m", "jupyterhub", "-f", config, kubeconfig=platform.hub
    )
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(words, env=env, stdout=out, stderr=out, cwd=folder)
    url = f"http://{cluster.address}:8000"
    try:
        end = time.monotonic() + 90
        while cluster.run("curl", "-sf", f"{url}/hub/health", check=False).returncode:
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"JupyterHub did not start: {log.read_text()[-3000:]}")
            time.sleep(0.3)
        yield url, token, log
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()


def test_a_user_runs_the_demo_notebook_in_a_pod(hub, platform):
    """All cells, and then a Dask cluster from within it, by the rights of the pod's account."""
    url, token, log = hub
    done = platform.cluster.run(
        sys.executable, "-c", VISIT, url, "notebooks/01_rapid_assessment.ipynb", CONNECT,
        env={**os.environ, "CES_HUB_TOKEN": token}, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:] + log.read_text()[-2000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["cells"] >= 10
    assert found["extra"] == "kubernetes True"
    assert found["dask-labextension"]
    platform.until(lambda: not platform.pods(), "pods of Dask are gone", 60)
    platform.until(lambda: not platform.pods("component=singleuser-server"), "no user's pod", 60)
