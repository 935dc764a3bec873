#!/bin/bash
# After up.sh has ended, cleanly or by kill -9: end the containers that are left in STATE_DIR, unmount,
# remove STATE_DIR and the network namespace.  Usage: clean.sh STATE_DIR
STATE=$(readlink -f "$1")
NS=${CES_K8S_NETNS:-cesk8s}
[ -d "$STATE" ] || exit 0

# Only the shims that name this state's containerd socket, and their children, each by its pid.
for shim in $(pgrep -f -- "containerd-shim.* -address $STATE/containerd.sock"); do
  for container in $(pgrep -P "$shim"); do
    kill -9 "$container"
  done
  sleep 0.3
  kill -9 "$shim"
done
# The servers end by themselves after a kill -9 of up.sh; what has not after 15 s is ended by its pid.
for _ in $(seq 30); do
  [ -n "$(ip netns pids "$NS" 2>/dev/null)" ] || break
  sleep 0.5
done
for left in $(ip netns pids "$NS" 2>/dev/null); do
  kill -9 "$left"
done
sleep 0.5
awk -v prefix="$STATE/" 'index($2, prefix) == 1 { print $2 }' /proc/mounts | sort -r |
  while read -r mount; do
    umount "$mount"
  done
ip netns list | cut -d' ' -f1 | grep '^cni-' | grep -vxFf "$STATE/netns.before" |
  while read -r pod; do
    ip netns del "$pod"
  done
ip netns del "$NS" 2>/dev/null
rm -rf "$STATE" "/etc/netns/$NS"
[ ! -e "$STATE" ]
