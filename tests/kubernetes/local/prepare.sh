#!/bin/bash
# All that a local cluster needs and that takes minutes: Kubernetes, and the image with this source.
# What is there and still right is kept.  Usage: prepare.sh WORKDIR   environment: PYTHON, CES_K8S_BIN
set -euo pipefail
exec 8>"/var/lock/ces-prepare.lock"
flock 8  # whoever comes second finds all of it
HERE=$(dirname "$(readlink -f "$0")")
"$HERE/packages.sh" etcd-server containerd runc containernetworking-plugins iproute2 iptables \
  conntrack openssl buildah debootstrap
"$HERE/build.sh"
"$HERE/images.sh" "$1"
