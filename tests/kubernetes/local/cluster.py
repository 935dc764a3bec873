"""One-node Kubernetes: etcd, API server, managers, containerd, kubelet, kube-proxy, cluster DNS.

    python cluster.py STATE_DIR IMAGE_TAR...      (run by up.sh, in its network namespace)

All are foreground children of this process; SIGTERM ends them in order.  The programs of
Kubernetes come from CES_K8S_BIN (see build.sh), the rest from Debian.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from processes import Processes, answers, executable, free_ports

K8S_BIN = pathlib.Path(os.environ.get("CES_K8S_BIN", "/var/cache/pangeo_ces/k8s"))
NODE_IP = os.environ.get("CES_K8S_NODE_IP", "10.244.0.1")
POD_CIDR = "10.244.7.0/24"
SERVICE_CIDR = "10.96.0.0/16"
NODE = "node0"
# The namespace has no way out; without this, 1.20 probes for cloud metadata (6 s).
ENVIRONMENT = {"AWS_EC2_METADATA_DISABLED": "true"}

# token, user, uid, groups
TOKENS = """\
admintoken,admin,admin,"system:masters"
managertoken,system:kube-controller-manager,manager
schedulertoken,system:kube-scheduler,scheduler
nodetoken,system:node:node0,node0,"system:nodes"
proxytoken,system:kube-proxy,proxy
"""

CONTAINERD = """\
version = 2
root = "{state}/containerd"
state = "{state}/containerd-run"
disabled_plugins = [
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper",
]
[grpc]
  address = "{state}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  # Root without CAP_SYS_RESOURCE cannot lower oom_score_adj.
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{state}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      base_runtime_spec = "{state}/spec.json"
"""


def run(*command: object, check: bool = True) -> str:
    words = [str(word) for word in command]
    return subprocess.run(words, check=check, capture_output=True, text=True).stdout


@dataclasses.dataclass
class ControlPlane:
    """What the node needs to know of a running control plane."""

    state: pathlib.Path
    servers: Processes
    url: str

    def kubeconfig(self, name: str, token: str) -> pathlib.Path:
        file = self.state / f"{name}.kubeconfig"
        authority = str(self.state / "ca.crt")
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "ces",
                    "cluster": {"server": self.url, "certificate-authority": authority},
                }
            ],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [
                {
                    "name": "ces",
                    "context": {"cluster": "ces", "user": name, "namespace": "default"},
                }
            ],
            "current-context": "ces",
        }
        file.write_text(json.dumps(config))
        file.chmod(0o600)
        return file


def make_certificates(state: pathlib.Path) -> None:
    """A CA, the API server's certificate, the key that signs service account tokens.

    Python 3.13 verifies strictly (RFC 5280): key usage and key identifiers must be there.
    """
    names = ["IP:127.0.0.1", "IP:10.96.0.1", f"IP:{NODE_IP}", "DNS:localhost", "DNS:kubernetes"]
    names += ["DNS:kubernetes.default", "DNS:kubernetes.default.svc"]
    extensions = [
        f"subjectAltName={','.join(names)}",
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature,keyEncipherment",
        "extendedKeyUsage=serverAuth,clientAuth",
        "subjectKeyIdentifier=hash",
        "authorityKeyIdentifier=keyid",
    ]
    (state / "extensions").write_text("\n".join(extensions) + "\n")
    new = ("-newkey", "rsa:2048", "-nodes")
    ca, ca_key = state / "ca.crt", state / "ca.key"
    key, request, certificate = state / "api.key", state / "api.csr", state / "api.crt"
    run(
        *("openssl", "req", "-x509", *new, "-days", "2", "-subj", "/CN=ces-ca"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        *("-keyout", ca_key, "-out", ca),
    )
    run(
        *("openssl", "req", *new, "-subj", "/CN=kube-apiserver"),
        *("-keyout", key, "-out", request),
    )
    run(
        *("openssl", "x509", "-req", "-in", request, "-out", certificate, "-days", "2"),
        *("-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-extfile", state / "extensions"),
    )
    run("openssl", "genrsa", "-out", state / "sa.key", "2048")


@contextlib.contextmanager
def control_plane(state: pathlib.Path) -> Iterator[ControlPlane]:
    """etcd, kube-apiserver, kube-controller-manager and kube-scheduler."""
    servers = Processes(state, ENVIRONMENT)
    etcd_port, peer_port, api_port, manager_port, scheduler_port = free_ports(5)
    etcd, peer = f"http://127.0.0.1:{etcd_port}", f"http://127.0.0.1:{peer_port}"
    api = f"https://127.0.0.1:{api_port}"
    plane = ControlPlane(state, servers, api)
    if not (state / "ca.crt").exists():
        make_certificates(state)
    tokens = state / "tokens.csv"
    tokens.write_text(TOKENS)
    tokens.chmod(0o600)
    trusted = ssl.create_default_context(cafile=str(state / "ca.crt"))
    unverified = ssl._create_unverified_context()  # the managers' own, self-signed, on loopback
    try:
        servers.start(
            "etcd",
            *(executable("etcd"), "--data-dir", state / "etcd", "--unsafe-no-fsync"),
            *("--listen-client-urls", etcd, "--advertise-client-urls", etcd),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"default={peer}"),
        )
        servers.wait("etcd", lambda: answers(f"{etcd}/health"))
        servers.start(
            "kube-apiserver",
            *(K8S_BIN / "kube-apiserver", "--etcd-servers", etcd, "--storage-backend", "etcd3"),
            *("--bind-address", "0.0.0.0", "--advertise-address", NODE_IP),
            *("--secure-port", api_port, "--cert-dir", state / "certs"),
            *("--tls-cert-file", state / "api.crt", "--tls-private-key-file", state / "api.key"),
            *("--token-auth-file", tokens, "--client-ca-file", state / "ca.crt"),
            *("--authorization-mode", "Node,RBAC", "--allow-privileged"),
            *("--service-account-issuer", "https://kubernetes.default.svc"),
            *("--service-account-key-file", state / "sa.key"),
            *("--service-account-signing-key-file", state / "sa.key"),
            *("--service-cluster-ip-range", SERVICE_CIDR),
            *("--kubelet-preferred-address-types", "InternalIP"),
            *("--kubelet-client-certificate", state / "api.crt"),
            *("--kubelet-client-key", state / "api.key"),
        )
        bearer = {"Authorization": "Bearer admintoken"}
        servers.wait(
            "kube-apiserver",
            lambda: answers(f"{api}/readyz", headers=bearer, context=trusted),
            timeout=90,
        )
        plane.kubeconfig("admin", "admintoken")
        local = ("--bind-address", "127.0.0.1", "--port", "0", "--leader-elect=false")
        servers.start(
            "kube-controller-manager",
            *(K8S_BIN / "kube-controller-manager", *local, "--secure-port", manager_port),
            *("--kubeconfig", plane.kubeconfig("manager", "managertoken")),
            *("--authentication-skip-lookup", "--authorization-always-allow-paths", "/healthz"),
            *("--use-service-account-credentials", "--root-ca-file", state / "ca.crt"),
            *("--service-account-private-key-file", state / "sa.key"),
            *("--cluster-signing-cert-file", state / "ca.crt"),
            *("--cluster-signing-key-file", state / "ca.key"),
            *("--controllers", "*,-bootstrapsigner,-tokencleaner"),
        )
        servers.start(
            "kube-scheduler",
            *(K8S_BIN / "kube-scheduler", *local, "--secure-port", scheduler_port),
            *("--kubeconfig", plane.kubeconfig("scheduler", "schedulertoken")),
            "--authentication-skip-lookup",
        )
        for name, port in (
            ("kube-controller-manager", manager_port),
            ("kube-scheduler", scheduler_port),
        ):
            health = f"https://127.0.0.1:{port}/healthz"
            servers.wait(name, lambda health=health: answers(health, context=unverified))
        yield plane
    finally:
        servers.stop()


def write_node_files(plane: ControlPlane) -> None:
    """Configuration of containerd, its network plug-in, kubelet and kube-proxy."""
    state = plane.state
    (state / "containerd.toml").write_text(CONTAINERD.format(state=state))
    spec = json.loads(run("ctr", "oci", "spec"))
    spec["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "hard": 20000, "soft": 20000}]
    (state / "spec.json").write_text(json.dumps(spec))
    bridge = {
        "type": "bridge",
        "bridge": "cesbr0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(state / "ipam"),
            "ranges": [[{"subnet": POD_CIDR}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    network = {"cniVersion": "0.4.0", "name": "ces", "plugins": [bridge, portmap]}
    (state / "cni").mkdir(exist_ok=True)
    (state / "cni" / "10-ces.conflist").write_text(json.dumps(network))
    kubelet_port, kubelet_health, proxy_health, proxy_metrics = free_ports(4)
    kubelet = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_IP,
        "port": kubelet_port,
        "readOnlyPort": 0,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": kubelet_health,
        "nodeStatusUpdateFrequency": "2s",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(state / "ca.crt")},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": True,
        "cgroupRoot": "/",
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "protectKernelDefaults": False,
        "makeIPTablesUtilChains": True,
        "clusterDNS": [NODE_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": "/etc/resolv.conf",
        "podCIDR": POD_CIDR,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
    }
    (state / "kubelet.json").write_text(json.dumps(kubelet))
    proxy = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "hostnameOverride": NODE,
        "bindAddress": "127.0.0.1",
        "healthzBindAddress": f"127.0.0.1:{proxy_health}",
        "metricsBindAddress": f"127.0.0.1:{proxy_metrics}",
        "clientConnection": {"kubeconfig": str(plane.kubeconfig("proxy", "proxytoken"))},
        "clusterCIDR": "10.244.0.0/16",
        "conntrack": {"maxPerCore": 0},
    }
    (state / "kube-proxy.json").write_text(json.dumps(proxy))


def name_by_digest(state: pathlib.Path, ctr: list, name: str) -> None:
    """Let pods name an image as they would with a registry: ``localhost/NAME@sha256:…``."""
    images = run(*ctr, "images", "ls", f"name==localhost/{name}:1").splitlines()[1:]
    digest = images[0].split()[2]
    run(*ctr, "images", "tag", f"localhost/{name}:1", f"localhost/{name}@{digest}")
    (state / f"{name}.digest").write_text(digest)


@contextlib.contextmanager
def node(plane: ControlPlane, images: Sequence[str]) -> Iterator[Processes]:
    """containerd with ``images``, kubelet, kube-proxy and DNS, joined to ``plane``."""
    state = plane.state
    servers = Processes(state, ENVIRONMENT)
    kubectl = [executable("kubectl"), "--kubeconfig", state / "admin.kubeconfig"]
    socket = state / "containerd.sock"
    ctr = ["ctr", "-a", socket, "-n", "k8s.io"]

    def node_is_ready() -> bool:
        ready = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
        return run(*kubectl, "get", "nodes", "-o", ready, check=False).strip() == "True"

    try:
        write_node_files(plane)
        servers.start("containerd", executable("containerd"), "--config", state / "containerd.toml")
        servers.wait("containerd", lambda: socket.exists() and "Server" in run(*ctr, "version"))
        for image in images:
            run(*ctr, "images", "import", "--all-platforms", image)
            name_by_digest(state, ctr, pathlib.Path(image).stem)
        servers.start(
            "kubelet",
            *(K8S_BIN / "kubelet", "--config", state / "kubelet.json", "--v", "2"),
            *("--kubeconfig", plane.kubeconfig("kubelet", "nodetoken")),
            *("--container-runtime", "remote"),
            *("--container-runtime-endpoint", f"unix://{socket}"),
            *("--hostname-override", NODE, "--node-ip", NODE_IP),
            *("--root-dir", state / "kubelet", "--cert-dir", state / "kubelet-certs"),
        )
        servers.start("kube-proxy", K8S_BIN / "kube-proxy", "--config", state / "kube-proxy.json")
        dns = pathlib.Path(__file__).with_name("cluster_dns.py")
        servers.start("dns", sys.executable, dns, state / "admin.kubeconfig", NODE_IP)
        servers.wait("kubelet", node_is_ready)
        yield servers
    finally:
        if "kubelet" in servers.running:
            kinds = "pods,deployments,statefulsets,daemonsets,jobs"
            now = ("--grace-period=0", "--force", "--wait=false")
            run(*kubectl, "delete", kinds, "--all", "-A", *now, check=False)
            time.sleep(1.5)
        servers.stop("dns", "kube-proxy", "kubelet", grace=15)
        if "containerd" in servers.running:
            for task in run(*ctr, "tasks", "ls", "-q", check=False).split():
                run(*ctr, "tasks", "kill", "-s", "SIGKILL", task, check=False)
        servers.stop(grace=15)
        with open("/proc/mounts") as mounts:
            points = [line.split()[1] for line in mounts]
        for point in sorted(points, reverse=True):
            if point.startswith(f"{state}/"):
                run("umount", point, check=False)


def main(arguments: Sequence[str]) -> None:
    state = pathlib.Path(arguments[0]).absolute()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    start = time.monotonic()
    with control_plane(state) as plane:
        print(f"control plane {time.monotonic() - start:.1f} s", flush=True)
        with node(plane, arguments[1:]):
            elapsed = time.monotonic() - start
            print(f"READY {elapsed:.1f} s", flush=True)
            signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:])
