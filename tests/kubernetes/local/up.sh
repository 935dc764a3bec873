#!/bin/bash
# A real one-node Kubernetes in a network namespace of its own.  Usage: up.sh STATE_DIR IMAGE_TAR...
# Stays in the foreground and prints READY; SIGTERM stops it cleanly.  After kill -9: clean.sh STATE_DIR.
# Clients:  ip netns exec NS env KUBECONFIG=STATE_DIR/admin.kubeconfig kubectl get pods
# Environment: CES_K8S_BIN (made by build.sh), CES_K8S_NETNS (NS, default cesk8s),
#   CES_K8S_NODE_IP, PYTHON (one with dnslib), PATH (kubectl).
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
NS=${CES_K8S_NETNS:-cesk8s}
export CES_K8S_NODE_IP=${CES_K8S_NODE_IP:-10.244.0.1}
PYTHON=${PYTHON:-python3}
STATE=$(mkdir -p "$1" && cd "$1" && pwd)
shift

# Two kubelets at once would end each other's pods (same cgroup).
if pids=$(ip netns pids "$NS" 2>/dev/null) && [ -n "$pids" ]; then
  echo "network namespace $NS is in use by: $pids" >&2
  exit 1
fi
ip netns del "$NS" 2>/dev/null || true
ip netns add "$NS"
ip -n "$NS" link set lo up
# A bridge stands for the node's network card: kubelet refuses a loopback address.
ip -n "$NS" link add node0 type bridge
ip -n "$NS" addr add "$CES_K8S_NODE_IP/32" dev node0
ip -n "$NS" link set node0 up
ip -n "$NS" route add default dev node0
nsenter --net="/run/netns/$NS" sysctl -qw net.ipv4.ip_forward=1
# "ip netns exec" gives clients this file, so that they can resolve service names.
mkdir -p "/etc/netns/$NS"
cat >"/etc/netns/$NS/resolv.conf" <<RESOLV
nameserver $CES_K8S_NODE_IP
search default.svc.cluster.local svc.cluster.local cluster.local
options ndots:5 timeout:1 attempts:1
RESOLV
# Pods' namespaces that are there already are not ours to remove.
ip netns list | cut -d' ' -f1 >"$STATE/netns.before"
# nsenter, since "ip netns exec" would hide /sys/fs/cgroup.
exec nsenter --net="/run/netns/$NS" "$PYTHON" "$HERE/cluster.py" "$STATE" "$@"
